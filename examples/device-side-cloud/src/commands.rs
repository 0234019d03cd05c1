//! The commands that write a configuration or ask the running cloud for something.

use std::io::BufRead as _;
use std::path::Path;

use serde_json::Value;

use crate::admin::{self, New, Password};
use crate::args::{Client, ConfigFile, Device, Product, User};
use crate::config::{Config, SAMPLE};
use crate::error::Error;

/// Writes the commented sample.
///
/// # Errors
/// There is a configuration already, or the folder cannot be written.
pub(crate) fn init(dir: &Path) -> Result<(), Error> {
    let path = dir.join("cloud.toml");
    if path.exists() {
        return Err(Error::plain(format!(
            "{} is there already; it was left as it is",
            path.display()
        )));
    }
    std::fs::create_dir_all(dir)
        .and_then(|()| std::fs::write(&path, SAMPLE))
        .map_err(|cause| Error::new(format!("cannot write {}", path.display()), cause))?;
    say(&format!(
        "wrote {}\nnext: device-side-cloud serve --config {}",
        path.display(),
        path.display()
    ));
    Ok(())
}

/// Product commands.
pub(crate) async fn product(command: Product) -> Result<(), Error> {
    let Product::Add {
        name,
        dynamic_activation,
        file,
    } = command;
    let request = New::Product {
        name,
        dynamic_activation,
    };
    ask(&file, request).await
}

/// Device commands.
pub(crate) async fn device(command: Device) -> Result<(), Error> {
    let Device::Add {
        product,
        owner,
        device_key,
        file,
    } = command;
    let request = New::Device {
        product,
        owner,
        device_key,
    };
    ask(&file, request).await
}

/// User commands.
pub(crate) async fn user(command: User) -> Result<(), Error> {
    let User::Add { name, file } = command;
    let mut line = zeroize::Zeroizing::new(String::new());
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|cause| Error::new("no password on standard input", cause))?;
    let password = Password::new(line.trim_end_matches(['\r', '\n']).to_owned());
    ask(&file, New::User { name, password }).await
}

/// Client commands.
pub(crate) async fn client(command: Client) -> Result<(), Error> {
    let Client::Add {
        name,
        redirect_uris,
        public,
        file,
    } = command;
    let request = New::Client {
        name,
        redirect_uris,
        public,
    };
    ask(&file, request).await
}

/// Asks the running cloud and prints its answer as lines `name: value`.
async fn ask(file: &ConfigFile, request: New) -> Result<(), Error> {
    let config = Config::read(&file.config)?;
    if let Value::Object(answer) = admin::ask(&config.data_dir, &request).await? {
        for (name, value) in answer {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned);
            say(&format!("{name}: {value}"));
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer to the operator's command")]
fn say(line: &str) {
    println!("{line}");
}
