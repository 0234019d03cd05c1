//! Streams that are loaded, loaded anew, given up, and forgotten for a while.

use std::time::{Instant, SystemTime};

use super::line::Task;
use super::stream::{Ledger, Stream, StreamName};
use super::{DeviceCloud, Timer, after};
use crate::append::Loaded;
use crate::error::ErrorKind;
use crate::output::{Event, Output};

impl DeviceCloud {
    /// Takes what the journal holds of a stream, after an [`Output::Load`].
    pub fn handle_loaded(&mut self, stream: &str, loaded: &Loaded, wall: SystemTime, now: Instant) {
        let now = self.tick(wall, now);
        if let Some(name) = StreamName::parse(stream) {
            self.finish_loading(&name, loaded, now);
        }
        self.advance(now);
    }

    /// Takes that a stream could not be loaded: what waits for it fails, and the next that needs it tries again.
    pub fn handle_load_failed(&mut self, stream: &str, now: Instant) {
        let now = self.tick(self.wall, now);
        let loading = |name: &StreamName| self.streams.get(name).is_some_and(Stream::is_loading);
        if let Some(name) = StreamName::parse(stream).filter(loading) {
            self.stall(&name);
        }
        self.advance(now);
    }

    pub(super) fn load(&mut self, name: StreamName, now: Instant) {
        self.forget_bodies(&name);
        let deadline = after(now, self.config.load_timeout);
        self.timers.insert((deadline, Timer::Load(name.clone())));
        self.outputs.push_back(Output::Load {
            stream: name.to_string(),
        });
        self.streams.insert(name, Stream::loading(deadline));
    }

    pub(super) fn reload(&mut self, name: &StreamName, now: Instant) {
        let waiting = self
            .take_stream(name)
            .map(|stream| stream.waiting)
            .unwrap_or_default();
        self.load(name.clone(), now);
        if let Some(stream) = self.streams.get_mut(name) {
            stream.waiting = waiting;
        }
    }

    pub(super) fn finish_loading(&mut self, name: &StreamName, loaded: &Loaded, now: Instant) {
        let Some(stream) = self.streams.get_mut(name) else {
            return;
        };
        if !stream.is_loading() {
            return;
        }
        let (mut ledger, must_forget) = match Ledger::load(name, loaded) {
            Ok(found) => found,
            Err(error) => {
                let stream = name.to_string();
                self.note(Event::Unreadable { stream, error });
                return self.drop_stream(name);
            }
        };
        self.timers
            .remove(&(stream.load_deadline, Timer::Load(name.clone())));
        stream.version = loaded.version;
        stream.snapshot_version = loaded
            .snapshot
            .as_ref()
            .map_or(0, |snapshot| snapshot.version);
        let mut owing = Vec::new();
        if let (Ledger::Account(ledger), StreamName::Account(account)) = (&mut ledger, name) {
            ledger.share_all(&mut self.models);
            owing = ledger.owing().collect();
            for (device, generation) in ledger.online_devices() {
                let account = account.clone();
                let event = Event::PresumedOnline {
                    account,
                    device,
                    generation,
                };
                self.outputs.push_back(Output::Event(event));
            }
        }
        stream.ledger = Some(ledger);
        // The process may have ended before it could have it forgotten.
        if must_forget {
            stream.forget();
        }
        self.save(name, now);
        if let StreamName::Account(account) = name {
            for subscription in owing {
                self.dispatch(account, subscription, now);
            }
        }
        self.begin_erasing(name, now);
        self.movable.insert(name.clone());
    }

    /// Forgets a stream that cannot be worked with at the moment; what waits for it fails.
    pub(super) fn stall(&mut self, name: &StreamName) {
        self.drop_stream(name);
        if let StreamName::Account(account) = name {
            let account = account.clone();
            self.note(Event::Stalled { account });
        }
    }

    /// Forgets a stream; what waits for it fails.
    pub(super) fn drop_stream(&mut self, name: &StreamName) {
        let Some(stream) = self.take_stream(name) else {
            return;
        };
        let tasks: Vec<Task> = stream
            .waiting
            .iter()
            .filter_map(|id| self.tasks.remove(id))
            .collect();
        for other in tasks.iter().flat_map(|task| &task.needs) {
            if let Some(other) = self.streams.get_mut(other) {
                other.waiting.retain(|id| !stream.waiting.contains(id));
            }
            self.movable.insert(other.clone());
        }
        self.fail(tasks);
        for erasure in stream.erasures {
            self.erased(erasure, Err(ErrorKind::Unavailable.into()));
        }
        if let StreamName::Account(account) = name {
            self.deliveries.forget_account(account);
        }
    }

    /// Looks after a stream of which nothing is wanted for now: an ownership is forgotten at once, as it is wanted seldom,
    /// and an account after a while, unless it owes something.
    pub(super) fn rest(&mut self, name: &StreamName, now: Instant) {
        let Some(stream) = self.streams.get_mut(name) else {
            return;
        };
        stream.last_used = now;
        if !stream.can_be_unloaded() {
            if let Some(deadline) = stream.idle_deadline.take() {
                self.timers.remove(&(deadline, Timer::Idle(name.clone())));
            }
        } else if matches!(name, StreamName::Device(_)) {
            self.streams.remove(name);
        } else if stream.idle_deadline.is_none() {
            let deadline = after(now, self.config.idle_after);
            stream.idle_deadline = Some(deadline);
            self.timers.insert((deadline, Timer::Idle(name.clone())));
        }
    }

    /// Forgets an account that was not used for long enough, or sees when that will be.
    pub(super) fn unload_idle(&mut self, name: &StreamName, now: Instant) {
        let Some(stream) = self.streams.get_mut(name) else {
            return;
        };
        stream.idle_deadline = None;
        if !stream.can_be_unloaded() {
            return;
        }
        let deadline = after(stream.last_used, self.config.idle_after);
        if deadline <= now {
            self.streams.remove(name);
            self.forget_bodies(name);
        } else {
            stream.idle_deadline = Some(deadline);
            self.timers.insert((deadline, Timer::Idle(name.clone())));
        }
    }

    /// Forgets what was encoded of an account: another node may change it from now on.
    fn forget_bodies(&mut self, name: &StreamName) {
        if let StreamName::Account(account) = name {
            self.bodies.forget_account(account);
        }
    }

    /// Takes a stream out, with its timers.
    fn take_stream(&mut self, name: &StreamName) -> Option<Stream> {
        let stream = self.streams.remove(name)?;
        self.forget_bodies(name);
        self.timers
            .remove(&(stream.load_deadline, Timer::Load(name.clone())));
        if let Some(deadline) = stream.idle_deadline {
            self.timers.remove(&(deadline, Timer::Idle(name.clone())));
        }
        if let Some(deadline) = stream.erasing {
            self.timers.remove(&(deadline, Timer::Erase(name.clone())));
        }
        Some(stream)
    }
}
