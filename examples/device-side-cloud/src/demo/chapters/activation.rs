//! Step 6: a device that knows nothing but the secret of its product.

use std::ffi::OsString;
use std::path::Path;

use super::devices::{event, value};
use super::{Cast, LIFETIME};
use crate::certificates::write_private;
use crate::demo::process::Process;
use crate::demo::story::{Story, sibling};
use crate::error::Error;

const OWNER: &str = "dora";
const METER_KEY: &str = "867530900000003";
const METER_ID: &str = "7d0c94f2-31be-4c0a-8f5e-6b2a90d8e417";

pub(super) async fn a_meter_activates(story: &mut Story, cast: &Cast) -> Result<(), Error> {
    let password = format!("{}\n", cast.password);
    story.admin(&["user", "add", OWNER], &password).await?;
    let product = ["product", "add", "Meters", "--dynamic-activation"];
    let product = story.admin(&product, "").await?;
    let (product_key, product_secret) = (
        value(&product, "product_key")?,
        value(&product, "product_secret")?,
    );
    story.secrets.add("the meters' secret", &product_secret);
    let secret = story.dir.join("meters.secret");
    write_private(&secret, product_secret.as_bytes())?;
    let add = ["device", "add", "--product", &product_key];
    let add = [&add[..], &["--owner", OWNER, METER_KEY]].concat();
    let made = story.admin(&add, "").await?;
    let own_secret = value(&made, "device_secret")?;
    story.secrets.add("the meter's secret", &own_secret);

    let mut meter = start(story, &product_key, &secret)?;
    event(&mut meter, "activated").await?;
    let online = event(&mut meter, "online").await?;
    if online.get("mode") != Some(&2.into()) {
        return Err(Error::plain(format!(
            "the meter is not online in SecureMode 2: {online}"
        )));
    }
    if !keeps(&story.dir.join("meter"), &own_secret)? {
        return Err(Error::plain(
            "the meter did not keep the secret that the operator saw",
        ));
    }
    meter.terminate().await?;
    story.saw(
        "a meter that knows only its product's secret activates",
        &format!(
            "identity {product_key},{METER_KEY},3,{LIFETIME} with CCM_8, its own secret fetched once and kept, back with SecureMode 2"
        ),
    );
    Ok(())
}

/// Starts the meter, with its state in the folder `meter`.
fn start(story: &Story, product_key: &str, secret: &Path) -> Result<Process, Error> {
    let arguments: Vec<OsString> = vec![
        "--cloud".into(),
        format!("127.0.0.1:{}", story.ports.coaps).into(),
        "--product-key".into(),
        product_key.into(),
        "--device-key".into(),
        METER_KEY.into(),
        "--product-secret-file".into(),
        secret.into(),
        "--state".into(),
        story.dir.join("meter").into(),
        "--lifetime".into(),
        LIFETIME.to_string().into(),
        "--di".into(),
        METER_ID.into(),
        "--name".into(),
        "Meter".into(),
    ];
    let log = story.dir.join("meter.log");
    Process::start("the meter", &sibling("device")?, &arguments, &log)
}

/// Whether a file of the folder holds the text.
fn keeps(dir: &Path, text: &str) -> Result<bool, Error> {
    let failed = |cause| Error::new(format!("cannot read {}", dir.display()), cause);
    for entry in dir.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_file() {
            let bytes = std::fs::read(&path).map_err(failed)?;
            if String::from_utf8_lossy(&bytes).contains(text) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
