//! Step 10: the device is watched, and what later steps ask about notifications.

use http::Method;
use serde_json::{Value, json};

use super::{Cast, DEVICE_ID, LIGHT};
use crate::demo::process::PATIENCE;
use crate::demo::story::Story;
use crate::error::Error;

const CHANGED: &str = "resource_contentchanged";

pub(super) async fn the_client_subscribes(story: &mut Story, cast: &mut Cast) -> Result<(), Error> {
    // Each level with its event types: there is one initial notification of each.
    let levels = [
        (
            json!({"level": "devices"}),
            vec![
                "devices_offline",
                "devices_online",
                "devices_registered",
                "devices_unregistered",
            ],
        ),
        (
            json!({"level": "device", "device": DEVICE_ID}),
            vec!["resources_published", "resources_unpublished"],
        ),
        (
            json!({"level": "resource", "device": DEVICE_ID, "href": LIGHT}),
            vec![CHANGED],
        ),
    ];
    let mut initial = Vec::new();
    for (level, types) in levels {
        let (status, answer) = story
            .control(Method::POST, "/subscribe", Some(level.clone()))
            .await?;
        let id = answer.get("id").and_then(Value::as_str);
        let (true, Some(id)) = (status.is_success(), id) else {
            return Err(Error::plain(format!(
                "subscribing to {level} gave {status} {answer}"
            )));
        };
        let what = format!("the initial notifications {types:?}");
        story
            .until(&what, PATIENCE, || async {
                let all = of_subscription(story, id).await?;
                let mut came: Vec<_> = all.iter().map(event_type).collect();
                came.sort_unstable();
                Ok((came == types).then_some(()))
            })
            .await?;
        initial.push(types.len().to_string());
        cast.subscriptions.push(id.to_owned());
    }
    set_power(story, 40).await?;
    let changed = wait_for_content(story, &resource_subscription(cast)?, "\"power\":40").await?;
    story.saw(
        "it subscribes at all three levels",
        &format!(
            "{} initial notifications, one of each type, then a signed {CHANGED} that verified: Sequence-Number {}",
            initial.join(", "),
            sequence(&changed)
        ),
    );
    Ok(())
}

/// Has somebody at the device set the light.
pub(super) async fn set_power(story: &mut Story, power: u8) -> Result<(), Error> {
    let line = format!("set {LIGHT} {{\"state\":true,\"power\":{power}}}");
    story.device()?.tell(&line).await
}

/// Every notification that the client-side cloud has accepted, oldest first.
async fn notifications(story: &Story) -> Result<Vec<Value>, Error> {
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

/// Waits until a subscription was told of a changed content.
pub(super) async fn wait_for_content(
    story: &Story,
    id: &str,
    content: &str,
) -> Result<Value, Error> {
    story
        .until(&format!("a {CHANGED} with {content}"), PATIENCE, || async {
            let all = of_subscription(story, id).await?;
            Ok(all.into_iter().find(|one| tells(one, content)))
        })
        .await
}

/// Whether a notification is of a changed content, and of this one.
pub(super) fn tells(notification: &Value, content: &str) -> bool {
    let body = notification.get("body").unwrap_or(&Value::Null);
    event_type(notification) == CHANGED && body.to_string().contains(content)
}

pub(super) fn event_type(notification: &Value) -> &str {
    notification
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
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
