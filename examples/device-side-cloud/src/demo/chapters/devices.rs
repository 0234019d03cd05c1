//! Steps 1 to 4: the cloud, the operator, the device.

use std::ffi::OsString;

use serde_json::Value;

use super::{ALICE, BOB, CBOR, Cast, DEVICE_ID, LIFETIME, LIGHT, THERMOSTAT};
use crate::clock;
use crate::demo::linking::{Client, REDIRECT_URI};
use crate::demo::process::{PATIENCE, Process};
use crate::demo::story::{Story, sibling};
use crate::error::Error;
use crate::users::hex;

pub(super) async fn the_cloud_starts(story: &mut Story) -> Result<(), Error> {
    story.write_config()?;
    let line = story.start_cloud().await?;
    for made in ["data/journal.redb", "data/ca/ca.pem", "keys/master.key"] {
        if !story.dir.join(made).exists() {
            return Err(Error::plain(format!("the cloud made no {made}")));
        }
    }
    story.saw(
        "the cloud starts",
        &format!("journal, keys and development CA made; {line}"),
    );
    Ok(())
}

pub(super) async fn an_operator_makes_everything(
    story: &mut Story,
    cast: &mut Cast,
) -> Result<(), Error> {
    cast.password = hex(&clock::entropy::<12>()?);
    story.secrets.add("the password", &cast.password);
    for user in [ALICE, BOB] {
        story
            .admin(&["user", "add", user], &format!("{}\n", cast.password))
            .await?;
    }
    let product = story
        .admin(
            &["product", "add", "Thermostats", "--dynamic-activation"],
            "",
        )
        .await?;
    cast.product_key = value(&product, "product_key")?;
    let product_secret = value(&product, "product_secret")?;
    story.secrets.add("the product's secret", &product_secret);
    let path = story.dir.join("product.secret");
    crate::certificates::write_private(&path, product_secret.as_bytes())?;
    let device = story
        .admin(
            &[
                "device",
                "add",
                "--product",
                &cast.product_key,
                "--owner",
                ALICE,
                "867530900000001",
            ],
            "",
        )
        .await?;
    cast.device_key = value(&device, "device_key")?;
    cast.device_secret = value(&device, "device_secret")?;
    story
        .secrets
        .add("the device's secret", &cast.device_secret);
    let callback = format!("{}/oauth/callback", story.client_url());
    cast.cloud_client = Some(client(story, "Acme Home", &callback).await?);
    cast.own_client = Some(client(story, "The story", REDIRECT_URI).await?);
    story.saw(
        "an operator makes a product, a device, users and clients",
        &format!(
            "ProductKey {}, DeviceKey {}, owner {ALICE}; secrets were shown once",
            cast.product_key, cast.device_key
        ),
    );
    Ok(())
}

async fn client(story: &mut Story, name: &str, redirect_uri: &str) -> Result<Client, Error> {
    let made = story
        .admin(&["client", "add", name, "--redirect-uri", redirect_uri], "")
        .await?;
    let secret = value(&made, "client_secret")?;
    story.secrets.add("a client's secret", &secret);
    Ok(Client {
        id: value(&made, "client_id")?,
        secret,
    })
}

/// Starts the device; its state is in its own folder.
pub(super) fn start_device(story: &Story, cast: &Cast) -> Result<Process, Error> {
    let arguments: Vec<OsString> = vec![
        "--cloud".into(),
        format!("127.0.0.1:{}", story.ports.coaps).into(),
        "--product-key".into(),
        cast.product_key.clone().into(),
        "--device-key".into(),
        cast.device_key.clone().into(),
        "--product-secret-file".into(),
        story.dir.join("product.secret").into(),
        "--state".into(),
        story.dir.join("device").into(),
        "--lifetime".into(),
        LIFETIME.to_string().into(),
        "--di".into(),
        DEVICE_ID.into(),
        "--name".into(),
        "Hall thermostat".into(),
    ];
    let log = story.dir.join("device.log");
    Process::start("the device", &sibling("device")?, &arguments, &log)
}

pub(super) async fn the_device_activates(story: &mut Story, cast: &Cast) -> Result<(), Error> {
    let mut device = start_device(story, cast)?;
    event(&mut device, "activated").await?;
    let online = event(&mut device, "online").await?;
    if online.get("mode") != Some(&Value::from(2)) {
        return Err(Error::plain(format!(
            "the device is not online in SecureMode 2: {online}"
        )));
    }
    let kept = read_all(&story.dir.join("device"))?;
    if !kept.contains(&cast.device_secret) {
        return Err(Error::plain(
            "the device did not keep the secret that the operator saw",
        ));
    }
    story.device = Some(device);
    story.saw(
        "the device activates and comes online",
        &format!(
            "identity {},{},3,{LIFETIME} with CCM_8, its own secret fetched once and kept, back with SecureMode 2",
            cast.product_key, cast.device_key
        ),
    );
    Ok(())
}

pub(super) async fn the_device_publishes(story: &mut Story) -> Result<(), Error> {
    let device = story.device()?;
    let publishing = event(device, "publishing").await?;
    if publishing.get("format") != Some(&Value::from(CBOR)) {
        return Err(Error::plain(format!(
            "the device does not publish in CBOR: {publishing}"
        )));
    }
    // The cloud begins to observe when it has taken the links: that may overtake the answer to the publication.
    let mut missing = vec!["published", THERMOSTAT, LIGHT];
    while !missing.is_empty() {
        let line = device
            .wait_for(&format!("{missing:?}"), PATIENCE, |line| {
                ["published", "observed"]
                    .iter()
                    .any(|name| is_event(line, name))
            })
            .await?;
        let event = read_event(&line)?;
        let what = event.get("href").or_else(|| event.get("event"));
        missing.retain(|awaited| what != Some(&Value::from(*awaited)));
        if event.get("code").is_some_and(|code| code != "2.04") {
            return Err(Error::plain(format!("the links were not taken: {event}")));
        }
    }
    story.saw(
        "the device publishes",
        &format!(
            "POST /oic/rd in {CBOR} gave 2.04; the cloud observes {THERMOSTAT} and {LIGHT} on the same session"
        ),
    );
    Ok(())
}

/// Waits for an event line of the device.
pub(super) async fn event(device: &mut Process, name: &str) -> Result<Value, Error> {
    let line = device
        .wait_for(&format!("\"{name}\""), PATIENCE, |line| {
            is_event(line, name)
        })
        .await?;
    read_event(&line)
}

fn is_event(line: &str, name: &str) -> bool {
    line.contains(&format!("\"event\":\"{name}\""))
}

fn read_event(line: &str) -> Result<Value, Error> {
    serde_json::from_str(line).map_err(|cause| Error::new(format!("{line} is no JSON"), cause))
}

fn value(lines: &[(String, String)], name: &str) -> Result<String, Error> {
    lines
        .iter()
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.clone())
        .ok_or_else(|| Error::plain(format!("the command printed no {name}")))
}

fn read_all(dir: &std::path::Path) -> Result<String, Error> {
    let failed = |cause| Error::new(format!("cannot read {}", dir.display()), cause);
    let mut all = String::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_file() {
            all.push_str(&String::from_utf8_lossy(
                &std::fs::read(&path).map_err(failed)?,
            ));
        }
    }
    Ok(all)
}
