//! One user's story, from an empty folder to an unlinked account, with real sockets, real processes and a real disk.
//!
//! Each step prints one line with what it saw, and fails when it did not see what it should.

mod browser;
mod chapters;
mod linking;
mod process;
mod secrets;
mod story;

use std::path::PathBuf;

use crate::clock;
use crate::error::Error;
use crate::gateway::DtlsEngine;
use story::Story;

/// Runs the story.
///
/// # Errors
/// A step did not see what it should; the data and the logs stay where they are.
pub(crate) async fn run(keep: bool, dir: Option<PathBuf>, dtls: DtlsEngine) -> Result<(), Error> {
    let dir = dir.unwrap_or_else(|| {
        std::env::temp_dir().join(format!("device-side-cloud-demo-{}", clock::unix_millis()))
    });
    if dir
        .read_dir()
        .is_ok_and(|mut entries| entries.next().is_some())
    {
        return Err(Error::plain(format!(
            "{} is not empty; the story starts in a fresh folder",
            dir.display()
        )));
    }
    let mut story = Story::begin(&dir, dtls)?;
    let cast = match chapters::tell(&mut story).await {
        Ok(cast) => cast,
        Err(error) => {
            story.say(&format!("the data and the logs are in {}", dir.display()));
            return Err(error);
        }
    };
    story.say("the story is told: every step saw what it should");
    if keep {
        chapters::stay(&mut story, &cast).await?;
    }
    story.end().await?;
    drop(std::fs::remove_dir_all(&dir));
    Ok(())
}
