//! Steps 11 and 12: the receiver goes away, the sender is killed, and nothing that was promised is lost.

use std::time::Duration;

use http::StatusCode;

use super::devices::event;
use super::linked::start_client;
use super::watched::{
    check_numbers, of_subscription, resource_subscription, sequence, set_power, tells,
    wait_for_content,
};
use super::{Cast, DEVICE_ID, LIGHT};
use crate::demo::process::PATIENCE;
use crate::demo::story::Story;
use crate::error::Error;

pub(super) async fn the_client_is_away(story: &mut Story, cast: &Cast) -> Result<(), Error> {
    let light = resource_subscription(cast)?;
    let before = of_subscription(story, &light).await?.len();
    if let Some(mut client) = story.client.take() {
        client.terminate().await?;
    }
    for power in 51..=55 {
        set_power(story, power).await?;
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
    let before = of_subscription(story, &light).await?.len();
    // Nobody takes notifications, so that the next one waits in the outbox, and under its number once it was tried.
    if let Some(mut client) = story.client.take() {
        client.terminate().await?;
    }
    let tried = story.deliveries("no_answer").await?;
    set_power(story, 61).await?;
    story
        .until("an attempt to deliver in vain", PATIENCE, || async {
            Ok((story.deliveries("no_answer").await? > tried).then_some(()))
        })
        .await?;
    // Traffic, and the kill in the middle of it.
    for power in 62..=70 {
        set_power(story, power).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if let Some(mut cloud) = story.cloud.take() {
        cloud.kill().await?;
    }
    for power in 71..=80 {
        set_power(story, power).await?;
    }
    drop(story.device()?.take_lines());
    story.start_cloud().await?;
    start_client(story, cast).await?;
    event(story.device()?, "online").await?;
    let last = wait_for_content(story, &light, "\"power\":80").await?;
    let all = of_subscription(story, &light).await?;
    check_numbers(&all)?;
    let next = all.get(before);
    if !next.is_some_and(|next| tells(next, "\"power\":61")) {
        return Err(Error::plain(format!(
            "the change that waited in the outbox should be Sequence-Number {before}, and that is {next:?}"
        )));
    }
    let reader = cast.reader()?;
    story
        .until("the device online", PATIENCE, || async {
            let list = story.list_devices(&reader.access).await?;
            let text = String::from_utf8_lossy(list.body());
            Ok((list.status() == StatusCode::OK
                && text.contains(DEVICE_ID)
                && text.contains(LIGHT)
                && text.contains("\"online\""))
            .then_some(()))
        })
        .await?;
    story.saw(
        "the cloud is killed with SIGKILL in the middle of traffic and started again",
        &format!(
            "the device came back by itself; devices, links, subscriptions and the old token are good; the change that waited \
             in the outbox came as Sequence-Number {before}, the latest as {}, without a gap",
            sequence(&last)
        ),
    );
    Ok(())
}
