//! Steps 9 and 10: the receiver goes away, the sender is killed, and nothing that was promised is lost.

use std::time::Duration;

use super::devices::event;
use super::linked::{
    check_numbers, of_subscription, resource_subscription, sequence, start_client, wait_for_content,
};
use super::{Cast, DEVICE_ID, LIGHT};
use crate::demo::process::PATIENCE;
use crate::demo::story::Story;
use crate::error::Error;
use http::{Method, StatusCode};

pub(super) async fn the_client_is_away(story: &mut Story, cast: &Cast) -> Result<(), Error> {
    let light = resource_subscription(cast)?;
    let before = of_subscription(story, &light).await?.len();
    if let Some(mut client) = story.client.take() {
        client.terminate().await?;
    }
    for power in 51..=55 {
        story
            .device()?
            .tell(&format!("set {LIGHT} {{\"state\":true,\"power\":{power}}}"))
            .await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    start_client(story, cast).await?;
    wait_for_content(story, &light, "\"power\":55").await?;
    let all = of_subscription(story, &light).await?;
    check_numbers(&all)?;
    story.saw(
        "the client-side cloud is away while the device changes five times",
        &format!(
            "{} notifications waited for it, the last one with the fifth change; Sequence-Numbers 0 to {} without a gap",
            all.len().saturating_sub(before),
            all.len().saturating_sub(1)
        ),
    );
    Ok(())
}

pub(super) async fn the_cloud_is_killed(story: &mut Story, cast: &Cast) -> Result<(), Error> {
    let light = resource_subscription(cast)?;
    // Traffic, and the kill in the middle of it.
    for power in 61..=70 {
        story
            .device()?
            .tell(&format!("set {LIGHT} {{\"state\":true,\"power\":{power}}}"))
            .await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if let Some(mut cloud) = story.cloud.take() {
        cloud.kill().await?;
    }
    let last = of_subscription(story, &light).await?;
    for power in 71..=80 {
        story
            .device()?
            .tell(&format!("set {LIGHT} {{\"state\":true,\"power\":{power}}}"))
            .await?;
    }
    drop(story.device()?.take_lines());
    story.start_cloud().await?;
    event(story.device()?, "online").await?;
    let found = wait_for_content(story, &light, "\"power\":80").await?;
    let all = of_subscription(story, &light).await?;
    check_numbers(&all)?;
    let reader = cast
        .reader
        .as_ref()
        .ok_or_else(|| Error::plain("nobody can read"))?;
    let list = story
        .until("the device online", PATIENCE, || async {
            let list = story
                .uci(
                    Method::GET,
                    "/devices",
                    &reader.access,
                    "application/json",
                    None,
                )
                .await?;
            let text = String::from_utf8_lossy(list.body()).into_owned();
            Ok((list.status() == StatusCode::OK
                && text.contains(DEVICE_ID)
                && text.contains(LIGHT)
                && text.contains("\"online\""))
            .then_some(text))
        })
        .await?;
    drop(list);
    story.saw(
        "the cloud is killed with SIGKILL in the middle of traffic and started again",
        &format!(
            "the device came back by itself; devices, links, subscriptions and the old token are good; deliveries went on from {} to Sequence-Number {} without a gap",
            last.last().map_or(0, sequence),
            sequence(&found)
        ),
    );
    Ok(())
}
