//! Steps 7 to 9: an account is linked, devices are found and used.

use std::ffi::OsString;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::devices::event;
use super::{ALICE, CBOR, Cast, DEVICE_ID, JSON, LIGHT, THERMOSTAT};
use crate::demo::browser::Browser;
use crate::demo::linking;
use crate::demo::process::{PATIENCE, Process};
use crate::demo::story::{Story, sibling};
use crate::error::Error;

/// Starts the client-side cloud; its state is in its own folder.
pub(super) async fn start_client(story: &mut Story, cast: &Cast) -> Result<(), Error> {
    let client = cast.cloud_client()?;
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
    let code = end.way.iter().find_map(linking::code_in);
    let code = code.ok_or_else(|| Error::plain("the user did not come back with a code"))?;
    story.secrets.add("an authorization code", &code);
    story.overheard(&browser);
    let state = story
        .until("the link", PATIENCE, || async {
            let (_, state) = story.control(Method::GET, "/link-state", None).await?;
            Ok((state.get("state") == Some(&json!("linked"))).then_some(state))
        })
        .await?;
    let algorithm = a_code_is_good_once(story, cast).await?;
    story.saw(
        "a client-side cloud links the account",
        &format!(
            "14 steps by HTTP with forms, PKCE S256, {algorithm} JWT and refresh token; a code that is used twice is refused and \
             ends what it gave; the client-side cloud now says {state}"
        ),
    );
    Ok(())
}

/// Looks at what the story's own client gets for a code, and uses the code again; how the access token was signed.
async fn a_code_is_good_once(story: &mut Story, cast: &Cast) -> Result<String, Error> {
    let own = cast.own_client()?;
    let tokens = linking::link(story, own, ALICE, &cast.password, "r:*").await?;
    let (header, claims) = linking::read_jwt(&tokens.access)?;
    let algorithm = header.get("alg").and_then(Value::as_str);
    let ours = claims.get("iss") == Some(&Value::from(story.cloud_url()))
        && claims.get("client_id") == Some(&Value::from(own.id.as_str()));
    let (Some(algorithm @ "ES256"), true) = (algorithm, ours) else {
        return Err(Error::plain(format!(
            "the access token says {header} {claims}"
        )));
    };
    let before = story.list_devices(&tokens.access).await?.status();
    let (status, answer) = linking::redeem_again(story, own, &tokens).await?;
    let after = story.list_devices(&tokens.access).await?.status();
    if status != StatusCode::BAD_REQUEST || answer.get("error") != Some(&json!("invalid_grant")) {
        return Err(Error::plain(format!(
            "a code that was used twice gave {status} {answer}"
        )));
    }
    if before != StatusCode::OK || after != StatusCode::UNAUTHORIZED {
        return Err(Error::plain(format!(
            "the token of a code that was used twice gave {before} before that and {after} after it"
        )));
    }
    Ok(algorithm.to_owned())
}

pub(super) async fn the_client_discovers(story: &mut Story) -> Result<(), Error> {
    let mut seen = Vec::new();
    for content in ["base", "all"] {
        for (format, media_type) in [("json", JSON), ("cbor", CBOR)] {
            let (status, found) = story
                .control(
                    Method::GET,
                    &format!("/discover?content={content}&format={format}"),
                    None,
                )
                .await?;
            let text = found.to_string();
            if status != StatusCode::OK
                || found.get("format") != Some(&Value::from(media_type))
                || !text.contains(DEVICE_ID)
                || !text.contains(&format!("/{DEVICE_ID}{LIGHT}"))
                || (content == "all" && !text.contains("\"rep\""))
                || !text.contains("online")
            {
                return Err(Error::plain(format!(
                    "content={content} in {format} gave {status} {text}"
                )));
            }
            let bytes = found.get("bytes").unwrap_or(&Value::Null);
            seen.push(format!("{content}: {bytes} bytes of {media_type}"));
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
    let target =
        json!({"device": DEVICE_ID, "href": THERMOSTAT, "body": {"targetTemperature": 23.5}});
    let (status, answer) = story.control(Method::POST, "/set", Some(target)).await?;
    if status != StatusCode::OK {
        return Err(Error::plain(format!(
            "setting the thermostat gave {status} {answer}"
        )));
    }
    the_device_was_set(story, "23.5").await?;
    let own = cast.own_client()?;
    let reader = linking::link(story, own, ALICE, &cast.password, "r:*").await?;
    let writer = linking::link(story, own, ALICE, &cast.password, "r:* w:*").await?;
    let path = format!("/devices/{DEVICE_ID}{THERMOSTAT}");
    for media_type in [JSON, CBOR] {
        let read = story
            .uci(Method::GET, &path, &reader.access, media_type, None)
            .await?;
        let came_as = read.headers().get("content-type");
        if read.status() != StatusCode::OK
            || came_as.is_none_or(|came_as| came_as != media_type)
            || (media_type == JSON && !String::from_utf8_lossy(read.body()).contains("23.5"))
        {
            return Err(Error::plain(format!(
                "reading the thermostat in {media_type} gave {} {came_as:?}",
                read.status()
            )));
        }
    }
    // The same request under either token: what the device-side cloud itself answers.
    let body = Some((JSON, r#"{"targetTemperature":21.5}"#));
    let refused = story
        .uci(Method::POST, &path, &reader.access, JSON, body)
        .await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let lines = story.device()?.take_lines();
    if refused.status() != StatusCode::FORBIDDEN
        || lines.iter().any(|line| line.contains("\"updated\""))
    {
        return Err(Error::plain(format!(
            "a token without w:* got {}, and the device said {lines:?}",
            refused.status()
        )));
    }
    let done = story
        .uci(Method::POST, &path, &writer.access, JSON, body)
        .await?;
    the_device_was_set(story, "21.5").await?;
    if done.status() != StatusCode::OK {
        return Err(Error::plain(format!(
            "a token with w:* got {}",
            done.status()
        )));
    }
    (cast.reader, cast.writer) = (Some(reader), Some(writer));
    story.saw(
        "it reads and sets the thermostat",
        "23.5 and 21.5 at the device, whose CoAP 2.04 became HTTP 200; a token with r:* alone got 403 and the device saw nothing",
    );
    Ok(())
}

/// Waits until the device was set to a temperature, and looks at what it answered.
async fn the_device_was_set(story: &mut Story, temperature: &str) -> Result<(), Error> {
    let update = event(story.device()?, "updated").await?;
    if update.get("code") != Some(&Value::from("2.04")) || !update.to_string().contains(temperature)
    {
        return Err(Error::plain(format!(
            "the device was to be set to {temperature} and said {update}"
        )));
    }
    Ok(())
}
