//! Snapshots, and those among them that are owed: the history holds what must not be kept until they are.
//!
//! ```text
//!                    SaveSnapshot            kept
//! must be forgotten ─────────────▶ awaited ────────▶ forgotten
//!        ▲                            │
//!        └──── after a while ◀────────┘ not kept, or no answer
//! ```
//!
//! Who never answers is not asked over and over: after a few times only with the next append, or when the stream is loaded
//! the next time.

use std::time::{Instant, SystemTime};

use super::stream::StreamName;
use super::{DeviceCloud, Timer, after};
use crate::output::Output;

/// A snapshot that is owed and was handed out.
#[derive(Debug)]
pub(super) struct Saving {
    version: u64,
    /// When its answer is given up, or when it is asked for again.
    until: Instant,
    /// It was not kept.
    failed: bool,
    /// How often it was asked for without an answer, before this time.
    unanswered: u32,
}

impl DeviceCloud {
    /// Takes whether an [`Output::SaveSnapshot`] is done: the snapshot of that version is kept, and the changes that it
    /// covers are removed.
    pub fn handle_saved(
        &mut self,
        stream: &str,
        version: u64,
        saved: bool,
        wall: SystemTime,
        now: Instant,
    ) {
        let now = self.tick(wall, now);
        if let Some(name) = StreamName::parse(stream) {
            self.finish_saving(&name, version, saved);
        }
        self.advance(now);
    }

    /// Hands a snapshot of a stream out, when one is due.
    pub(super) fn save(&mut self, name: &StreamName, now: Instant) {
        let Some(stream) = self.streams.get_mut(name) else {
            return;
        };
        let Some(snapshot) = stream.snapshot(self.config.snapshot_every) else {
            return;
        };
        if stream.forgetting {
            self.await_saved(name, snapshot.version, now);
        }
        self.outputs.push_back(Output::SaveSnapshot {
            stream: name.to_string(),
            snapshot,
        });
    }

    fn await_saved(&mut self, name: &StreamName, version: u64, now: Instant) {
        let former = self.take_saving(name);
        let until = after(now, self.config.load_timeout);
        self.timers.insert((until, Timer::Save(name.clone())));
        let saving = Saving {
            version,
            until,
            failed: false,
            unanswered: former.map_or(0, |former| former.unanswered),
        };
        self.saving.insert(name.clone(), saving);
    }

    /// Only the latest that is owed matters.
    fn finish_saving(&mut self, name: &StreamName, version: u64, saved: bool) {
        let Some(saving) = self.saving.get_mut(name) else {
            return;
        };
        if saving.version != version {
            return;
        }
        if !saved {
            saving.failed = true;
            return;
        }
        self.take_saving(name);
        // What came after it may have more to forget.
        if let Some(stream) = self.streams.get_mut(name) {
            stream.forgetting = stream.must_forget;
        }
    }

    /// Asks again for a snapshot that was not kept, of a stream that is not there any more by loading it. Without an answer
    /// it does so a few times.
    pub(super) fn stop_saving(&mut self, name: &StreamName, now: Instant) {
        let Some(saving) = self.saving.get_mut(name) else {
            return;
        };
        let failed = saving.failed;
        saving.unanswered = if failed {
            0
        } else {
            saving.unanswered.saturating_add(1)
        };
        let again = saving.unanswered < self.config.append_attempts;
        match self.streams.get_mut(name) {
            Some(stream) if stream.forgetting => {
                stream.must_forget = true;
                // Of what is not durable yet there is no snapshot until it is.
                if again && stream.is_idle() {
                    return self.save(name, now);
                }
            }
            None if failed => self.load(name.clone(), now),
            _ => {}
        }
        self.saving.remove(name);
    }

    fn take_saving(&mut self, name: &StreamName) -> Option<Saving> {
        let saving = self.saving.remove(name)?;
        self.timers
            .remove(&(saving.until, Timer::Save(name.clone())));
        Some(saving)
    }
}
