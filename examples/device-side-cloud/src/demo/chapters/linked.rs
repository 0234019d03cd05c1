//! Steps 5 to 8: an account is linked, devices are found, used and watched.

use std::ffi::OsString;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::devices::event;
use super::{ALICE, Cast, DEVICE_ID, LIGHT, THERMOSTAT};
use crate::demo::browser::Browser;
use crate::demo::linking;
use crate::demo::process::{PATIENCE, Process};
use crate::demo::story::{Story, sibling};
use crate::error::Error;

const CBOR: &str = "application/vnd.ocf+cbor";
const JSON: &str = "application/json";

/// Starts the client-side cloud; its state is in its own folder.
pub(super) async fn start_client(story: &mut Story, cast: &Cast) -> Result<(), Error> {
    let client = cast
        .cloud_client
        .as_ref()
        .ok_or_else(|| Error::plain("the client-side cloud is not registered"))?;
    let secret = story.dir.join("client.secret");
    crate::certificates::write_private(&secret, client.secret.as_bytes())?;
    let ca = story.ca()?;
    let (certificate, key) = ca.issue("client-side-cloud", &["localhost", "127.0.0.1"])?;
    let arguments: Vec<OsString> = vec![
        "--listen".into(),
        format!("127.0.0.1:{}", story.ports.client).into(),
        "--public-url".into(),
        story.client_url().into(),
        "--control".into(),
        format!("127.0.0.1:{}", story.ports.control).into(),
        "--cloud".into(),
        story.cloud_url().into(),
        "--client-id".into(),
        client.id.clone().into(),
        "--client-secret-file".into(),
        secret.into(),
        "--certificate".into(),
        certificate.into(),
        "--private-key".into(),
        key.into(),
        "--ca".into(),
        ca.certificate().into(),
        "--data".into(),
        story.dir.join("client-data").into(),
        "--keys".into(),
        story.dir.join("client-keys").into(),
    ];
    let mut process = Process::start(
        "the client-side cloud",
        &sibling("client-side-cloud")?,
        &arguments,
        &story.dir.join("client.log"),
    )?;
    process
        .wait_for("that it listens", PATIENCE, |line| {
            line.contains("listening on")
        })
        .await?;
    story.client = Some(process);
    Ok(())
}

pub(super) async fn an_account_is_linked(story: &mut Story, cast: &mut Cast) -> Result<(), Error> {
    start_client(story, cast).await?;
    let mut browser = Browser::new(story.http()?.clone());
    // Steps 1 to 5: the user starts at the client-side cloud and is sent to the authorization server.
    let login = browser
        .open(&format!("{}/link?user=demo", story.client_url()))
        .await?;
    let authorize = format!("{}/authorize?", story.cloud_url());
    if !login
        .way
        .iter()
        .map(ToString::to_string)
        .any(|uri| uri.starts_with(&authorize) && uri.contains("code_challenge_method=S256"))
    {
        return Err(Error::plain(format!(
            "the user was not sent to the authorization server with PKCE S256, but to {}",
            login.uri
        )));
    }
    // Steps 6 to 10: login, consent, the redirect with the code; 11 to 14 follow it.
    let end = linking::log_in_and_allow(&mut browser, login, ALICE, &cast.password).await?;
    if !end.uri.to_string().starts_with(&story.client_url()) || end.status != StatusCode::OK {
        return Err(Error::plain(format!(
            "the user did not come back linked, but to {} ({})",
            end.uri, end.status
        )));
    }
    let state = story
        .until("the link", PATIENCE, || async {
            let (_, state) = story.control(Method::GET, "/link-state", None).await?;
            Ok((state.get("state") == Some(&json!("linked"))).then_some(state))
        })
        .await?;
    story.saw(
        "a client-side cloud links the account",
        &format!("14 steps by HTTP with forms, PKCE S256, one-time code, JWT and refresh token; it now says {state}"),
    );
    Ok(())
}

pub(super) async fn the_client_discovers(story: &mut Story) -> Result<(), Error> {
    let mut seen = Vec::new();
    for content in ["base", "all"] {
        for format in ["json", "cbor"] {
            let (status, found) = story
                .control(
                    Method::GET,
                    &format!("/discover?content={content}&format={format}"),
                    None,
                )
                .await?;
            let text = found.to_string();
            if status != StatusCode::OK
                || !text.contains(DEVICE_ID)
                || !text.contains(&format!("/{DEVICE_ID}{LIGHT}"))
                || (content == "all" && !text.contains("\"rep\""))
                || !text.contains("online")
            {
                return Err(Error::plain(format!(
                    "content={content} in {format} gave {status} {text}"
                )));
            }
            seen.push(format!("{content}/{format}"));
        }
    }
    story.saw(
        "it discovers",
        &format!(
            "the thermostat online with its links and representations ({})",
            seen.join(", ")
        ),
    );
    Ok(())
}

pub(super) async fn the_client_controls(story: &mut Story, cast: &mut Cast) -> Result<(), Error> {
    let (status, answer) = story
        .control(
            Method::POST,
            "/set",
            Some(json!({"device": DEVICE_ID, "href": THERMOSTAT, "body": {"targetTemperature": 23.5}})),
        )
        .await?;
    if status != StatusCode::OK {
        return Err(Error::plain(format!(
            "setting the thermostat gave {status} {answer}"
        )));
    }
    let update = event(story.device()?, "updated").await?;
    if !update.to_string().contains("23.5") {
        return Err(Error::plain(format!(
            "the device was set to something else: {update}"
        )));
    }
    let own = cast
        .own_client
        .as_ref()
        .ok_or_else(|| Error::plain("the story's client is not registered"))?;
    let reader = linking::link(story, own, ALICE, &cast.password, "r:*").await?;
    let path = format!("/devices/{DEVICE_ID}{THERMOSTAT}");
    let read = story
        .uci(Method::GET, &path, &reader.access, JSON, None)
        .await?;
    if read.status() != StatusCode::OK || !String::from_utf8_lossy(read.body()).contains("23.5") {
        return Err(Error::plain(format!(
            "reading the thermostat gave {}",
            read.status()
        )));
    }
    let cbor = story
        .uci(Method::GET, &path, &reader.access, CBOR, None)
        .await?;
    if cbor
        .headers()
        .get("content-type")
        .is_none_or(|value| value != CBOR)
    {
        return Err(Error::plain("the thermostat was not read in CBOR"));
    }
    let refused = story
        .uci(
            Method::POST,
            &path,
            &reader.access,
            JSON,
            Some((JSON, r#"{"targetTemperature":9.0}"#)),
        )
        .await?;
    if refused.status() != StatusCode::FORBIDDEN {
        return Err(Error::plain(format!(
            "a token without w:* got {}",
            refused.status()
        )));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    if story
        .device()?
        .take_lines()
        .iter()
        .any(|line| line.contains("\"updated\""))
    {
        return Err(Error::plain("the device saw the update that was refused"));
    }
    cast.reader = Some(reader);
    story.saw(
        "it reads and sets the thermostat",
        "23.5 at the device, CoAP 2.04 became HTTP 200; a token with r:* alone got 403 and the device saw nothing",
    );
    Ok(())
}

pub(super) async fn the_client_subscribes(story: &mut Story, cast: &mut Cast) -> Result<(), Error> {
    let levels = [
        json!({"level": "devices"}),
        json!({"level": "device", "device": DEVICE_ID}),
        json!({"level": "resource", "device": DEVICE_ID, "href": LIGHT}),
    ];
    for level in levels {
        let (status, answer) = story
            .control(Method::POST, "/subscribe", Some(level.clone()))
            .await?;
        let id = answer.get("id").and_then(Value::as_str);
        let (true, Some(id)) = (status.is_success(), id) else {
            return Err(Error::plain(format!(
                "subscribing to {level} gave {status} {answer}"
            )));
        };
        cast.subscriptions.push(id.to_owned());
    }
    // One initial notification for each subscribed type: four, two and one.
    let initial = story
        .until("the initial notifications", PATIENCE, || async {
            let all = notifications(story).await?;
            Ok((all.len() >= 7).then_some(all.len()))
        })
        .await?;
    story
        .device()?
        .tell(&format!("set {LIGHT} {{\"state\":true,\"power\":40}}"))
        .await?;
    let changed = wait_for_content(story, &resource_subscription(cast)?, "\"power\":40").await?;
    story.saw(
        "it subscribes at all three levels",
        &format!(
            "{initial} initial notifications, then a signed resource_contentchanged that verified: Sequence-Number {}",
            sequence(&changed)
        ),
    );
    Ok(())
}

/// Every notification that the client-side cloud has accepted, oldest first.
pub(super) async fn notifications(story: &Story) -> Result<Vec<Value>, Error> {
    let (status, answer) = story.control(Method::GET, "/notifications", None).await?;
    match answer.get("notifications") {
        Some(Value::Array(all)) => Ok(all.clone()),
        _ => Err(Error::plain(format!(
            "the client-side cloud said {status} {answer}"
        ))),
    }
}

/// The notifications of one subscription.
pub(super) async fn of_subscription(story: &Story, id: &str) -> Result<Vec<Value>, Error> {
    let mut all = notifications(story).await?;
    all.retain(|one| one.get("id").and_then(Value::as_str) == Some(id));
    Ok(all)
}

/// Waits until a subscription was told of a content.
pub(super) async fn wait_for_content(
    story: &Story,
    id: &str,
    content: &str,
) -> Result<Value, Error> {
    story
        .until(
            &format!("a notification with {content}"),
            PATIENCE,
            || async {
                let all = of_subscription(story, id).await?;
                Ok(all
                    .into_iter()
                    .find(|one| one.to_string().contains(content)))
            },
        )
        .await
}

pub(super) fn sequence(notification: &Value) -> u64 {
    notification
        .get("sequence")
        .and_then(Value::as_u64)
        .unwrap_or(u64::MAX)
}

pub(super) fn resource_subscription(cast: &Cast) -> Result<String, Error> {
    cast.subscriptions
        .last()
        .cloned()
        .ok_or_else(|| Error::plain("there is no subscription to the light"))
}

/// Checks that the numbers of a subscription run from 0 without a gap, in the order of arrival.
pub(super) fn check_numbers(all: &[Value]) -> Result<(), Error> {
    for (expected, one) in (0_u64..).zip(all) {
        if sequence(one) != expected {
            return Err(Error::plain(format!(
                "expected Sequence-Number {expected} and found {one}"
            )));
        }
    }
    Ok(())
}
