//! Steps 13 and 14: who may not see, and how everything ends.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::watched::{event_type, of_subscription};
use super::{ALICE, BOB, Cast, DEVICE_ID, JSON, LAMP_ID, LIFETIME, LIGHT};
use crate::clock;
use crate::demo::linking;
use crate::demo::process::PATIENCE;
use crate::demo::story::Story;
use crate::error::Error;

pub(super) async fn another_user_sees_nothing(story: &mut Story, cast: &Cast) -> Result<(), Error> {
    let own = cast.own_client()?;
    let bob = linking::link(story, own, BOB, &cast.password, "r:* w:*").await?;
    let list = story.list_devices(&bob.access).await?;
    let listed = String::from_utf8_lossy(list.body());
    if list.status() != StatusCode::OK || !listed.contains(LAMP_ID) || listed.contains(DEVICE_ID) {
        return Err(Error::plain(format!("{BOB} was listed {listed}")));
    }
    let (_, subscriptions) = story.control(Method::GET, "/subscriptions", None).await?;
    let subscription = subscriptions
        .get("subscriptions")
        .and_then(Value::as_array)
        .and_then(|all| all.iter().find_map(|one| one.get("subscription")?.as_str()))
        .ok_or_else(|| Error::plain(format!("no subscription is known: {subscriptions}")))?;
    let device = format!("/devices/{DEVICE_ID}");
    let light = format!("{device}{LIGHT}");
    let tries = [
        (Method::GET, device, None),
        (Method::GET, light.clone(), None),
        (Method::POST, light, Some((JSON, r#"{"state":false}"#))),
        (
            Method::DELETE,
            format!("/devices/{DEVICE_ID}{LIGHT}/subscriptions/{subscription}"),
            None,
        ),
    ];
    let count = tries.len();
    for (method, path, body) in tries {
        let answer = story
            .uci(method.clone(), &path, &bob.access, JSON, body)
            .await?;
        if answer.status() != StatusCode::NOT_FOUND {
            return Err(Error::plain(format!(
                "{BOB} got {} for {method} {path}",
                answer.status()
            )));
        }
    }
    story.saw(
        "a second user sees nothing of the first one's devices",
        &format!("a list of his lamp alone, and 404 for all of {count} attempts at the thermostat"),
    );
    Ok(())
}

pub(super) async fn everything_ends(story: &mut Story, cast: &Cast) -> Result<(), Error> {
    let [devices, device, light] = cast.subscriptions.as_slice() else {
        return Err(Error::plain("there should be three subscriptions"));
    };
    a_backup_is_made(story, cast).await?;
    // A silent device goes offline after its lifetime.
    let before = of_offline(story, devices).await?;
    story.device()?.tell("silence").await?;
    let patience = Duration::from_secs(LIFETIME).saturating_add(PATIENCE);
    story
        .until("devices_offline", patience, || async {
            Ok((of_offline(story, devices).await? > before).then_some(()))
        })
        .await?;
    // Unsubscribing ends with subscription_cancelled.
    for id in [device, light] {
        let (status, answer) = story
            .control(Method::POST, "/unsubscribe", Some(json!({"id": id})))
            .await?;
        if !status.is_success() {
            return Err(Error::plain(format!(
                "unsubscribing gave {status} {answer}"
            )));
        }
        story
            .until("subscription_cancelled", PATIENCE, || async {
                let all = of_subscription(story, id).await?;
                let last = all.last().map(event_type);
                Ok((last == Some("subscription_cancelled")).then_some(()))
            })
            .await?;
    }
    the_client_unlinks(story, cast).await?;
    let (own, reader) = (cast.own_client()?, cast.reader()?);
    let (revoked, _) = linking::form(story, own, "/revoke", &[("token", &reader.refresh)]).await?;
    let after = story.list_devices(&reader.access).await?;
    if revoked != StatusCode::OK || after.status() != StatusCode::UNAUTHORIZED {
        return Err(Error::plain(format!(
            "revoking gave {revoked}, and the token then {}",
            after.status()
        )));
    }
    let searched = no_secret_was_kept(story, cast)?;
    story.saw(
        "everything ends",
        &format!(
            "devices_offline after {LIFETIME} s of silence, subscription_cancelled after each unsubscribe; unlinking ended the \
             consent, and a revoked token gets 401 at once; none of the {} secrets of the story stands in the {searched} bytes \
             of journals, backup and logs",
            story.secrets.len()
        ),
    );
    Ok(())
}

/// Makes a backup while everything is there that is to be kept secret, a subscription whose signing secret is known included.
async fn a_backup_is_made(story: &mut Story, cast: &Cast) -> Result<(), Error> {
    let secret = URL_SAFE_NO_PAD.encode(clock::entropy::<24>()?);
    story.secrets.add("a signing secret", &secret);
    let body = json!({
        // Nobody listens there; what is due waits.
        "eventsUrl": format!("{}/events", linking::REDIRECT_URI),
        "eventTypes": ["devices_online"],
        "signingSecret": secret,
    });
    let (token, body) = (&cast.writer()?.access, body.to_string());
    let path = "/devices/subscriptions";
    let made = story
        .uci(Method::POST, path, token, JSON, Some((JSON, &body)))
        .await?;
    if made.status() != StatusCode::CREATED {
        return Err(Error::plain(format!(
            "the story's own subscription gave {}",
            made.status()
        )));
    }
    let backups = story.dir.join("backups");
    let backups = backups
        .to_str()
        .ok_or_else(|| Error::plain("the story's folder has no plain name"))?;
    story.admin(&["backup", backups], "").await.map(drop)
}

/// Unlinking kills the tokens, on both sides.
async fn the_client_unlinks(story: &Story, cast: &Cast) -> Result<(), Error> {
    let client = &cast.cloud_client()?.id;
    if !is_let_in(story, client).await? {
        return Err(Error::plain(format!("{ALICE} has not let {client} in")));
    }
    let (status, answer) = story
        .control(Method::POST, "/unlink", Some(json!({})))
        .await?;
    if !status.is_success() {
        return Err(Error::plain(format!("unlinking gave {status} {answer}")));
    }
    let (status, _) = story
        .control(Method::GET, "/discover?content=base&format=json", None)
        .await?;
    if status.is_success() {
        return Err(Error::plain("the client-side cloud can still discover"));
    }
    story
        .until("the end of the consent", PATIENCE, || async {
            Ok((!is_let_in(story, client).await?).then_some(()))
        })
        .await
}

/// Whether one of Alice's consents is for this client.
async fn is_let_in(story: &Story, client: &str) -> Result<bool, Error> {
    let grants = story.admin(&["grant", "list", ALICE], "").await?;
    for (_, grant) in &grants {
        let grant: Value = serde_json::from_str(grant)
            .map_err(|cause| Error::new(format!("{grant} is no JSON"), cause))?;
        if grant.get("client") == Some(&Value::from(client)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Searches what the clouds wrote for every secret of the story; how many bytes that is.
fn no_secret_was_kept(story: &Story, cast: &Cast) -> Result<usize, Error> {
    let client = cast.cloud_client()?.id.as_str();
    let mut searched = 0_usize;
    for (place, witness) in [
        ("data", Some(client)),
        ("backups", Some(client)),
        ("client-data", Some(DEVICE_ID)),
        ("cloud.log", None),
        ("client.log", None),
        ("device.log", None),
        ("lamp.log", None),
    ] {
        let bytes = story.secrets.search(&story.dir.join(place), witness)?;
        searched = searched.saturating_add(bytes);
    }
    Ok(searched)
}

async fn of_offline(story: &Story, id: &str) -> Result<usize, Error> {
    let all = of_subscription(story, id).await?;
    Ok(all
        .iter()
        .filter(|one| event_type(one) == "devices_offline" && one.to_string().contains(DEVICE_ID))
        .count())
}
