//! The commands that write a configuration or ask the running cloud for something.

mod certificates;
mod import;
mod migrations;
mod transfers;

use std::io::BufRead as _;
use std::path::{Path, PathBuf};

use coap_psk::measurepoint::MAX_TEMPLATE_LEN;
use serde_json::Value;

use crate::admin::{self, NewClient, Order, Password};
use crate::args::{Client, ConfigFile, Device, Grant, Key, Migration, Product, Provisioning, User};
use crate::backup;
use crate::config::{Config, SAMPLE};
use crate::error::Error;
use crate::provisioning;
pub(crate) use certificates::{authority, certificate};

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
    match command {
        Product::Add {
            name,
            dynamic_activation,
            template,
            file,
        } => {
            let order = Order::AddProduct {
                name,
                dynamic_activation,
                template: template.as_deref().map(read_template).transpose()?,
            };
            ask(&file, order).await
        }
        Product::Template {
            product,
            template,
            file,
        } => {
            let template = read_template(&template)?;
            ask(&file, Order::SetTemplate { product, template }).await
        }
    }
}

/// The longest file with a key of a client, in bytes.
const MAX_KEY_LENGTH: usize = 4096;

fn read_template(path: &Path) -> Result<String, Error> {
    read_text(path, MAX_TEMPLATE_LEN)
}

/// The text of a file, read no further than just beyond what may be in it.
fn read_text(path: &Path, most: usize) -> Result<String, Error> {
    use std::io::Read as _;

    let failed = |cause| Error::new(format!("cannot read {}", path.display()), cause);
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(most.saturating_add(1)).read_to_string(&mut text))
        .map_err(failed)?;
    Ok(text)
}

/// Device commands.
pub(crate) async fn device(command: Device) -> Result<(), Error> {
    match command {
        Device::Add {
            product,
            owner,
            device_key,
            file,
        } => {
            let order = Order::AddDevice {
                product,
                owner,
                device_key,
            };
            ask(&file, order).await
        }
        Device::List {
            owner,
            after,
            limit,
            file,
        } => {
            let order = Order::ListDevices {
                owner,
                after,
                limit,
            };
            ask(&file, order).await
        }
        Device::Transfer { device, to, file } => {
            ask(&file, Order::TransferDevice { device, to }).await
        }
        Device::Remove { device, file } => ask(&file, Order::RemoveDevice { device }).await,
    }
}

/// User commands.
pub(crate) async fn user(command: User) -> Result<(), Error> {
    match command {
        User::Add { name, file } => {
            let password = read_password()?;
            ask(&file, Order::AddUser { name, password }).await
        }
        User::Export { name, file } => {
            let export = answer(&file, &Order::ExportUser { name }).await?;
            say(&format!("{export:#}"));
            Ok(())
        }
        User::Erase { name, file } => ask(&file, Order::EraseUser { name }).await,
    }
}

fn read_password() -> Result<Password, Error> {
    let mut line = zeroize::Zeroizing::new(String::new());
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|cause| Error::new("no password on standard input", cause))?;
    let password = line.trim_end_matches(['\r', '\n']);
    Ok(Password::new(password.to_owned()))
}

/// Client commands.
pub(crate) async fn client(command: Client) -> Result<(), Error> {
    let (file, order) = match command {
        Client::Add {
            name,
            redirect_uris,
            public,
            keys,
            programme,
            own,
            require_pushed_requests,
            dpop_bound,
            device_flow,
            resources,
            file,
        } => {
            let keys = keys.iter().map(|path| read_key(path));
            let order = Order::AddClient(NewClient {
                name,
                redirect_uris,
                public,
                keys: keys.collect::<Result<_, _>>()?,
                programme,
                own,
                require_pushed_requests,
                dpop_bound,
                device_flow,
                resources,
            });
            (file, order)
        }
        Client::AddKey { client, key, file } => {
            let key = read_key(&key)?;
            (file, Order::AddClientKey { client, key })
        }
        Client::RetireKeys { client, file } => (file, Order::RetireClientKeys { client }),
        Client::AddSecret { client, file } => (file, Order::AddClientSecret { client }),
        Client::RetireSecrets { client, file } => (file, Order::RetireClientSecrets { client }),
    };
    ask(&file, order).await
}

fn read_key(path: &Path) -> Result<String, Error> {
    read_text(path, MAX_KEY_LENGTH)
}

/// Grant commands.
pub(crate) async fn grant(command: Grant) -> Result<(), Error> {
    match command {
        Grant::List { user, file } => ask(&file, Order::ListGrants { user }).await,
        Grant::End { user, grant, file } => ask(&file, Order::EndGrant { user, grant }).await,
    }
}

/// Provisioning commands.
pub(crate) async fn provisioning(command: Provisioning) -> Result<(), Error> {
    let (file, order) = match command {
        Provisioning::Tenant { tenant, name, file } => {
            (file, provisioning::Order::CreateTenant { tenant, name })
        }
        Provisioning::Grant {
            tenant,
            access_point,
            to,
            file,
        } => {
            let order = provisioning::Order::Grant {
                tenant,
                access_point,
                to,
            };
            (file, order)
        }
        Provisioning::Show { tenant, path, file } => {
            (file, request(tenant, "GET", path, Value::Null))
        }
        Provisioning::Create {
            tenant,
            path,
            body,
            file,
        } => (file, request(tenant, "POST", path, read_body(&body)?)),
        Provisioning::Change {
            tenant,
            path,
            body,
            file,
        } => (file, request(tenant, "PUT", path, read_body(&body)?)),
        Provisioning::Remove { tenant, path, file } => {
            (file, request(tenant, "DELETE", path, Value::Null))
        }
        Provisioning::Trigger {
            tenant,
            device,
            file,
        } => {
            let action = serde_json::json!({"action": "triggerBootstrapDevice"});
            let path = format!("devices/{device}/action");
            (file, request(tenant, "POST", path, action))
        }
        Provisioning::Migrate {
            tenant,
            device,
            to,
            hours,
            file,
        } => (
            file,
            migrations::plan(tenant, &device, "access_point_id", &to, hours),
        ),
        Provisioning::Transfer {
            tenant,
            device,
            to,
            hours,
            file,
        } => (
            file,
            migrations::plan(tenant, &device, "instance", &to, hours),
        ),
        Provisioning::Migration(Migration::File(command)) => {
            return transfers::run(command).await;
        }
        Provisioning::Migration(Migration::Request(command)) => migrations::request(command),
        Provisioning::Import { tenant, csv, file } => {
            let config = Config::read(&file.config)?;
            return import::run(&config.data_dir, &tenant, &csv).await;
        }
    };
    let answer = answer(&file, &Order::Provisioning(order)).await?;
    if !answer.is_null() {
        say(&format!("{answer:#}"));
    }
    Ok(())
}

fn request(tenant: String, method: &str, path: String, body: Value) -> provisioning::Order {
    provisioning::Order::Request {
        tenant,
        method: method.to_owned(),
        path,
        body,
    }
}

/// JSON as it was typed, or behind `@` the file that holds it.
fn read_body(text: &str) -> Result<Value, Error> {
    let failed = |cause| Error::new(format!("cannot read {text}"), cause);
    let json = match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).map_err(failed)?,
        None => text.to_owned(),
    };
    serde_json::from_str(&json).map_err(|cause| Error::new("the body is not JSON", cause))
}

/// Key commands.
pub(crate) async fn key(command: Key) -> Result<(), Error> {
    match command {
        Key::List { file } => ask(&file, Order::ListKeys).await,
        Key::Add { kind, file } => ask(&file, Order::AddKey { kind }).await,
        Key::Retire {
            kind,
            number,
            force,
            file,
        } => {
            let order = Order::RetireKey {
                kind,
                number,
                force,
            };
            ask(&file, order).await
        }
    }
}

/// Has the running cloud add a backup to the folder.
pub(crate) async fn backup(dir: PathBuf, file: &ConfigFile) -> Result<(), Error> {
    // The cloud has a working directory of its own.
    let dir = std::path::absolute(&dir)
        .map_err(|cause| Error::new(format!("cannot use {}", dir.display()), cause))?;
    ask(file, Order::BackUp { dir }).await
}

/// Puts a backup back, where no cloud runs.
pub(crate) fn restore(dir: &Path, name: Option<&Path>, file: &ConfigFile) -> Result<(), Error> {
    let config = Config::read(&file.config)?;
    let restored = backup::put_back(&config, dir, name)?;
    say(&format!("restored: {}", restored.file.display()));
    say(&format!("erased again: {}", restored.erased));
    Ok(())
}

/// Asks the running cloud and prints its answer as lines `name: value`; a list has a line for each of its values.
async fn ask(file: &ConfigFile, order: Order) -> Result<(), Error> {
    print(answer(file, &order).await?);
    Ok(())
}

fn print(answer: Value) {
    if let Value::Object(answer) = answer {
        for (name, value) in answer {
            let values = match value {
                Value::Null => Vec::new(),
                Value::Array(values) => values,
                value => vec![value],
            };
            for value in values {
                let value = value
                    .as_str()
                    .map_or_else(|| value.to_string(), ToOwned::to_owned);
                say(&format!("{name}: {value}"));
            }
        }
    }
}

async fn answer(file: &ConfigFile, order: &Order) -> Result<Value, Error> {
    let config = Config::read(&file.config)?;
    admin::ask(&config.data_dir, order).await
}

#[expect(clippy::print_stdout, reason = "the answer to the operator's command")]
fn say(line: &str) {
    println!("{line}");
}
