//! Steps 11 and 12: who may not see, and how everything ends.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::linked::of_subscription;
use super::{BOB, Cast, DEVICE_ID, LIFETIME, LIGHT};
use crate::demo::linking;
use crate::demo::process::PATIENCE;
use crate::demo::story::Story;
use crate::error::Error;

const JSON: &str = "application/json";

pub(super) async fn another_user_sees_nothing(story: &mut Story, cast: &Cast) -> Result<(), Error> {
    let own = cast
        .own_client
        .as_ref()
        .ok_or_else(|| Error::plain("the story's client is not registered"))?;
    let bob = linking::link(story, own, BOB, &cast.password, "r:* w:*").await?;
    let list = story
        .uci(Method::GET, "/devices", &bob.access, JSON, None)
        .await?;
    if list.status() != StatusCode::OK || list.body().as_ref() != b"[]" {
        return Err(Error::plain(format!(
            "{BOB} was listed {}",
            String::from_utf8_lossy(list.body())
        )));
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
        &format!("an empty list, and 404 for all of {count} attempts"),
    );
    Ok(())
}

pub(super) async fn everything_ends(story: &mut Story, cast: &Cast) -> Result<(), Error> {
    let [devices, device, light] = cast.subscriptions.as_slice() else {
        return Err(Error::plain("there should be three subscriptions"));
    };
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
                Ok(all
                    .last()
                    .is_some_and(|one| one.get("type") == Some(&json!("subscription_cancelled")))
                    .then_some(()))
            })
            .await?;
    }
    // Unlinking kills the tokens.
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
    let (Some(own), Some(reader)) = (&cast.own_client, &cast.reader) else {
        return Err(Error::plain("the story's client is not linked"));
    };
    let (revoked, _) = linking::form(story, own, "/revoke", &[("token", &reader.refresh)]).await?;
    let after = story
        .uci(Method::GET, "/devices", &reader.access, JSON, None)
        .await?;
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
            "devices_offline after {LIFETIME} s of silence, subscription_cancelled after each unsubscribe, unlinked, \
             a revoked token gets 401 at once; no secret of the story stands in the {searched} bytes of journals and logs"
        ),
    );
    Ok(())
}

/// Searches what the clouds wrote for every secret of the story.
fn no_secret_was_kept(story: &Story, cast: &Cast) -> Result<u64, Error> {
    let secret_of = |client: &Option<linking::Client>| {
        client
            .as_ref()
            .map_or_else(String::new, |client| client.secret.clone())
    };
    let mut secrets = vec![
        ("the product's secret", cast.product_secret.clone()),
        ("the device's secret", cast.device_secret.clone()),
        ("the password", cast.password.clone()),
        ("a client's secret", secret_of(&cast.cloud_client)),
        ("a client's secret", secret_of(&cast.own_client)),
    ];
    if let Some(reader) = &cast.reader {
        secrets.push(("an access token", reader.access.clone()));
        secrets.push(("a refresh token", reader.refresh.clone()));
    }
    let mut searched = 0_u64;
    for place in [
        "data",
        "client-data",
        "cloud.log",
        "client.log",
        "device.log",
    ] {
        for (path, bytes) in files(&story.dir.join(place))? {
            for (what, secret) in &secrets {
                if bytes
                    .windows(secret.len().max(1))
                    .any(|part| part == secret.as_bytes())
                {
                    return Err(Error::plain(format!("{what} stands in {}", path.display())));
                }
            }
            searched = searched.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        }
    }
    Ok(searched)
}

/// A file, or every file of a folder, with its bytes. Sockets and the like have none.
fn files(path: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, Error> {
    let failed = |cause| Error::new(format!("cannot read {}", path.display()), cause);
    let kind = std::fs::metadata(path).map_err(failed)?.file_type();
    if kind.is_file() {
        return Ok(vec![(
            path.to_path_buf(),
            std::fs::read(path).map_err(failed)?,
        )]);
    }
    let mut all = Vec::new();
    if kind.is_dir() {
        for entry in std::fs::read_dir(path).map_err(failed)? {
            all.extend(files(&entry.map_err(failed)?.path())?);
        }
    }
    Ok(all)
}

async fn of_offline(story: &Story, id: &str) -> Result<usize, Error> {
    let all = of_subscription(story, id).await?;
    Ok(all
        .iter()
        .filter(|one| {
            one.get("type") == Some(&json!("devices_offline"))
                && one.to_string().contains(DEVICE_ID)
        })
        .count())
}
