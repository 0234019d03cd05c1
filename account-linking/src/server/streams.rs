//! The streams of one kind of ledger: loaded on demand, written one append at a time.
//!
//! ```text
//!            read            loaded            write            done
//! (absent) ───────▶ Loading ────────▶ Ready ─────────▶ Writing ──────▶ Ready
//!     ▲                │ failed         ▲ │ idle           │ unknown: the same append again
//!     └────────────────┴────────────────┼─┘                │ conflict: Loading, decide again
//!                                       └──────────────────┘ fenced: absent
//! ```

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use crate::error::Error;
use crate::secret::SecretBytes;
use crate::server::ids::RequestId;
use crate::server::ledger::{Ledger, rebuild};
use crate::server::output::Output;
use crate::stream::{Append, AppendId, Appended, Loaded, Snapshot, StreamAppend};

/// A snapshot is written after this many changes at the latest, and after half of them at the earliest.
const SNAPSHOT_INTERVAL: u64 = 64;

/// How many streams are kept at a time because they were used: looking for one that was not has an end.
const MAX_SPARED: usize = 64;

/// After how many changes a stream has its snapshots: not all the same, or grants that are used in step would all write theirs at one
/// moment, and the requests of that moment would wait for them.
fn snapshot_interval(stream: &str) -> u64 {
    let sum = stream
        .bytes()
        .fold(0_u64, |sum, byte| sum.wrapping_add(u64::from(byte)));
    SNAPSHOT_INTERVAL.saturating_sub(sum % (SNAPSHOT_INTERVAL / 2))
}

/// What every stream needs of the machine around it.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) now: Instant,
    pub(crate) timeout: Duration,
    pub(crate) retry: Duration,
    seed: SecretBytes,
    appends: u64,
}

impl Desk {
    pub(crate) fn new(seed: [u8; 32], now: Instant, timeout: Duration, retry: Duration) -> Self {
        Self {
            outputs: VecDeque::new(),
            now,
            timeout,
            retry,
            seed: SecretBytes::new(seed),
            appends: 0,
        }
    }

    fn next_append(&mut self) -> AppendId {
        self.appends = self.appends.wrapping_add(1);
        AppendId::derive(&self.seed, self.appends)
    }

    /// `now` and a while; a time that cannot be told is now.
    pub(crate) fn after(&self, time: Duration) -> Instant {
        self.now.checked_add(time).unwrap_or(self.now)
    }
}

#[derive(Debug)]
struct Slot<L: Ledger> {
    state: State<L>,
    waiting: Vec<RequestId>,
    /// The requests that waited for what is there now.
    read_for: Vec<RequestId>,
    /// Its place in the order of unloading.
    place: u64,
    /// Used since it got that place.
    used: bool,
    /// When something is done though no answer came.
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum State<L: Ledger> {
    Loading,
    Ready(Held<L>),
    Writing(Held<L>, Write<L>),
}

#[derive(Clone, Debug)]
struct Held<L> {
    ledger: L,
    version: u64,
    snapshot_version: u64,
}

#[derive(Debug)]
struct Write<L: Ledger> {
    append: Append,
    by: RequestId,
    changes: Vec<L::Change>,
    next: L,
    gives_up: Instant,
}

/// What came of an answer to an append.
#[derive(Debug)]
pub(crate) struct Settled<L: Ledger> {
    pub(crate) stream: String,
    pub(crate) by: RequestId,
    /// The changes that are durable now; `None` when they are not.
    pub(crate) changes: Option<Vec<L::Change>>,
    /// Requests that can go on.
    pub(crate) woken: Vec<RequestId>,
    /// Whether the request that wrote is to fail rather than to decide again.
    pub(crate) failed: bool,
}

/// The streams of one kind of ledger.
#[derive(Debug)]
pub(crate) struct Streams<L: Ledger> {
    slots: BTreeMap<String, Slot<L>>,
    appends: BTreeMap<AppendId, String>,
    deadlines: BTreeSet<(Instant, String)>,
    /// The one to be unloaded next is the first that was not used since it got its place.
    order: BTreeMap<u64, String>,
    last_place: u64,
    limit: usize,
}

impl<L: Ledger> Streams<L> {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            slots: BTreeMap::new(),
            appends: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            order: BTreeMap::new(),
            last_place: 0,
            limit,
        }
    }

    /// The durable state of a stream; `None` when the request has to wait for it.
    pub(crate) fn read(&mut self, stream: &str, by: RequestId, desk: &mut Desk) -> Option<&L> {
        self.touch(stream, by, false, desk)
    }

    /// The durable state, when nobody else is changing it; `None` when the request has to wait.
    pub(crate) fn read_to_write(
        &mut self,
        stream: &str,
        by: RequestId,
        desk: &mut Desk,
    ) -> Option<&L> {
        self.touch(stream, by, true, desk)
    }

    /// Has a stream read to its end again, since another replica may have written: whether the request has to wait for it. What was
    /// read since the request came is new enough.
    pub(crate) fn reread(&mut self, stream: &str, by: RequestId, desk: &mut Desk) -> bool {
        match self.slots.get_mut(stream) {
            Some(slot) if slot.read_for.contains(&by) => return false,
            // What is being loaded or written is as new as the store when it is there.
            Some(slot) if !matches!(slot.state, State::Ready(_)) => {
                if !slot.waiting.contains(&by) {
                    slot.waiting.push(by);
                }
            }
            _ => self.load(stream, vec![by], desk),
        }
        true
    }

    /// The durable state of a stream that is used now, if it is in memory.
    pub(crate) fn read_if_held(&mut self, stream: &str) -> Option<&L> {
        let slot = self.slots.get_mut(stream)?;
        slot.used = true;
        match &slot.state {
            State::Loading => None,
            State::Ready(held) | State::Writing(held, _) => Some(&held.ledger),
        }
    }

    /// The durable state of a stream, if it is in memory.
    pub(crate) fn peek(&self, stream: &str) -> Option<&L> {
        match &self.slots.get(stream)?.state {
            State::Loading => None,
            State::Ready(held) | State::Writing(held, _) => Some(&held.ledger),
        }
    }

    fn touch(
        &mut self,
        stream: &str,
        by: RequestId,
        to_write: bool,
        desk: &mut Desk,
    ) -> Option<&L> {
        if !self.slots.contains_key(stream) {
            self.unload_one_if_full();
            self.load(stream, vec![by], desk);
            return None;
        }
        let slot = self.slots.get_mut(stream)?;
        slot.used = true;
        match &slot.state {
            State::Ready(held) => Some(&held.ledger),
            State::Writing(held, _) if !to_write => Some(&held.ledger),
            State::Loading | State::Writing(..) => {
                if !slot.waiting.contains(&by) {
                    slot.waiting.push(by);
                }
                None
            }
        }
    }

    fn load(&mut self, stream: &str, waiting: Vec<RequestId>, desk: &mut Desk) {
        self.remove(stream);
        let deadline = desk.after(desk.timeout);
        let slot = Slot {
            state: State::Loading,
            waiting,
            read_for: Vec::new(),
            place: self.next_place(stream),
            used: false,
            deadline: Some(deadline),
        };
        self.deadlines.insert((deadline, stream.to_owned()));
        self.slots.insert(stream.to_owned(), slot);
        let stream = stream.to_owned();
        desk.outputs.push_back(Output::Load { stream });
    }

    fn unload_one_if_full(&mut self) {
        if self.slots.len() < self.limit {
            return;
        }
        // Each was used since its turn once at most; busy ones are few: each belongs to a request in progress.
        for passed in 0..self.order.len().saturating_mul(2) {
            let Some((_, stream)) = self.order.pop_first() else {
                return;
            };
            let place = self.next_place(&stream);
            let Some(slot) = self.slots.get_mut(&stream) else {
                self.order.remove(&place);
                continue;
            };
            slot.place = place;
            let spared = core::mem::take(&mut slot.used) && passed < MAX_SPARED;
            if !spared && matches!(slot.state, State::Ready(_)) {
                self.remove(&stream);
                return;
            }
        }
    }

    fn next_place(&mut self, stream: &str) -> u64 {
        self.last_place = self.last_place.wrapping_add(1);
        self.order.insert(self.last_place, stream.to_owned());
        self.last_place
    }

    fn remove(&mut self, stream: &str) -> Option<Slot<L>> {
        let slot = self.slots.remove(stream)?;
        self.order.remove(&slot.place);
        if let Some(deadline) = slot.deadline {
            self.deadlines.remove(&(deadline, stream.to_owned()));
        }
        if let State::Writing(_, write) = &slot.state {
            self.appends.remove(&write.append.id);
        }
        Some(slot)
    }

    fn set_deadline(&mut self, stream: &str, deadline: Option<Instant>) {
        let Some(slot) = self.slots.get_mut(stream) else {
            return;
        };
        if let Some(old) = slot.deadline {
            self.deadlines.remove(&(old, stream.to_owned()));
        }
        slot.deadline = deadline;
        if let Some(new) = deadline {
            self.deadlines.insert((new, stream.to_owned()));
        }
    }

    /// Starts to make `changes` durable; only right after [`Streams::read_to_write`] gave the
    /// state they were decided on.
    ///
    /// # Errors
    /// As of encoding; nothing has changed then.
    pub(crate) fn write(
        &mut self,
        stream: &str,
        by: RequestId,
        changes: Vec<L::Change>,
        desk: &mut Desk,
    ) -> Result<(), Error> {
        let encoded: Result<Vec<_>, _> = changes.iter().map(L::encode).collect();
        let encoded = encoded?;
        let Some(slot) = self.slots.get_mut(stream) else {
            return Ok(());
        };
        let State::Ready(held) = &slot.state else {
            return Ok(());
        };
        let held = held.clone();
        let mut next = held.ledger.clone();
        for change in &changes {
            next.apply(change);
        }
        let append = Append {
            id: desk.next_append(),
            streams: vec![StreamAppend {
                stream: stream.to_owned(),
                expected_version: held.version,
                changes: encoded,
                due: next.due(),
            }],
        };
        let gives_up = desk.after(desk.timeout);
        self.appends.insert(append.id, stream.to_owned());
        desk.outputs.push_back(Output::Append(append.clone()));
        let write = Write {
            append,
            by,
            changes,
            next,
            gives_up,
        };
        slot.state = State::Writing(held, write);
        self.set_deadline(stream, Some(gives_up));
        Ok(())
    }

    /// Takes what the store has of a stream; gives the requests that can go on.
    ///
    /// # Errors
    /// The requests that must fail, when the stream cannot be read.
    pub(crate) fn handle_loaded(
        &mut self,
        stream: &str,
        loaded: &Loaded,
    ) -> Result<Vec<RequestId>, Vec<RequestId>> {
        let Some(slot) = self.slots.get_mut(stream) else {
            return Ok(Vec::new());
        };
        if !matches!(slot.state, State::Loading) {
            return Ok(Vec::new());
        }
        match rebuild(loaded) {
            Ok(ledger) => {
                slot.state = State::Ready(Held {
                    ledger,
                    version: loaded.version,
                    snapshot_version: loaded.snapshot.as_ref().map_or(0, |kept| kept.version),
                });
                let woken = core::mem::take(&mut slot.waiting);
                slot.read_for.clone_from(&woken);
                self.set_deadline(stream, None);
                Ok(woken)
            }
            Err(_) => Err(self.handle_load_failed(stream)),
        }
    }

    /// Gives up loading; gives the requests that must fail.
    pub(crate) fn handle_load_failed(&mut self, stream: &str) -> Vec<RequestId> {
        let slot = self.slots.get(stream);
        if !slot.is_some_and(|slot| matches!(slot.state, State::Loading)) {
            return Vec::new();
        }
        self.remove(stream)
            .map(|slot| slot.waiting)
            .unwrap_or_default()
    }

    /// Takes the store's answer to an append; `None` when nothing follows from it now.
    pub(crate) fn handle_appended(
        &mut self,
        id: AppendId,
        answer: &Appended,
        desk: &mut Desk,
    ) -> Option<Settled<L>> {
        let stream = self.appends.get(&id)?.clone();
        if *answer == Appended::Unknown {
            let again = desk.after(desk.retry);
            let gives_up = match &self.slots.get(&stream)?.state {
                State::Writing(_, write) => write.gives_up,
                _ => return None,
            };
            self.set_deadline(&stream, Some(again.min(gives_up)));
            return None;
        }
        let mut slot = self.remove(&stream)?;
        let State::Writing(held, write) = slot.state else {
            return None;
        };
        let mut settled = Settled {
            stream: stream.clone(),
            by: write.by,
            changes: None,
            woken: Vec::new(),
            failed: false,
        };
        match answer {
            Appended::Done { versions } => {
                let added = u64::try_from(write.changes.len()).unwrap_or(u64::MAX);
                let version = versions.first().copied();
                let mut held = Held {
                    ledger: write.next,
                    version: version.unwrap_or_else(|| held.version.saturating_add(added)),
                    snapshot_version: held.snapshot_version,
                };
                held.snapshot_if_due(&stream, desk);
                slot.state = State::Ready(held);
                slot.deadline = None;
                settled.woken = core::mem::take(&mut slot.waiting);
                slot.read_for.clone_from(&settled.woken);
                settled.changes = Some(write.changes);
                slot.place = self.next_place(&stream);
                self.slots.insert(stream, slot);
            }
            Appended::Conflict { .. } => {
                slot.waiting.insert(0, write.by);
                self.load(&stream, slot.waiting, desk);
            }
            Appended::Fenced | Appended::Unknown => {
                settled.woken = slot.waiting;
                settled.failed = true;
            }
        }
        Some(settled)
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Repeats appends of unknown outcome and forgets what nobody answers; gives the requests that
    /// can go on. They find out by themselves whether it is too late for them.
    pub(crate) fn handle_timeout(&mut self, desk: &mut Desk) -> Vec<RequestId> {
        let mut woken = Vec::new();
        while let Some((at, stream)) = self.deadlines.first().cloned()
            && at <= desk.now
        {
            let write = match self.slots.get(&stream).map(|slot| &slot.state) {
                Some(State::Writing(_, write)) if write.gives_up > desk.now => {
                    Some((write.append.clone(), write.gives_up))
                }
                _ => None,
            };
            if let Some((append, gives_up)) = write {
                desk.outputs.push_back(Output::Append(append));
                self.set_deadline(&stream, Some(gives_up));
            } else if let Some(slot) = self.remove(&stream) {
                woken.extend(slot.waiting);
            } else {
                self.deadlines.pop_first();
            }
        }
        woken
    }
}

impl<L: Ledger> Held<L> {
    fn snapshot_if_due(&mut self, stream: &str, desk: &mut Desk) {
        if self.version.saturating_sub(self.snapshot_version) < snapshot_interval(stream) {
            return;
        }
        if let Ok((format, bytes)) = self.ledger.snapshot() {
            self.snapshot_version = self.version;
            desk.outputs.push_back(Output::SaveSnapshot {
                stream: stream.to_owned(),
                snapshot: Snapshot::new(self.version, format, bytes),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn streams_have_their_snapshots_at_different_times() {
        let intervals: Vec<u64> = (0..1000)
            .map(|n| snapshot_interval(&format!("grant/{:x}", n * 7919)))
            .collect();
        assert!(intervals.iter().all(|after| (33..=64).contains(after)));
        assert!(intervals.iter().collect::<BTreeSet<_>>().len() > 16);
        assert_eq!(snapshot_interval("grant/1"), snapshot_interval("grant/1"));
    }
}
