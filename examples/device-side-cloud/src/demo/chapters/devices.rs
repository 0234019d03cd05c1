//! Steps 1, 2 and 6: the cloud, the operator, and what the thermostat publishes.

use serde_json::Value;

use super::{ALICE, BOB, CBOR, Cast, LIGHT, THERMOSTAT};
use crate::clock;
use crate::demo::linking::{Client, REDIRECT_URI};
use crate::demo::process::{PATIENCE, Process};
use crate::demo::story::Story;
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
    for (user, id) in [(ALICE, &mut cast.alice), (BOB, &mut cast.bob)] {
        let password = format!("{}\n", cast.password);
        let made = story.admin(&["user", "add", user], &password).await?;
        *id = value(&made, "id")?;
    }
    let product = story.admin(&["product", "add", "Thermostats"], "").await?;
    cast.product_key = value(&product, "product_key")?;
    let secret = value(&product, "product_secret")?;
    story.secrets.add("the product's secret", &secret);
    let callback = format!("{}/oauth/callback", story.client_url());
    cast.cloud_client = Some(client(story, "Acme Home", &callback).await?);
    cast.own_client = Some(client(story, "The story", REDIRECT_URI).await?);
    story.saw(
        "an operator makes a product, users and clients",
        &format!(
            "ProductKey {}, {ALICE} and {BOB}; secrets were shown once",
            cast.product_key
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
        "the thermostat publishes",
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
