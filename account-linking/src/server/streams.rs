//! The streams of one kind of ledger: loaded on demand, written one append at a time.
//!
//! ```text
//!            read            loaded            write            done
//! (absent) ───────▶ Loading ────────▶ Ready ─────────▶ Writing ──────▶ Ready
//!     ▲                │ failed         ▲ │ idle           │ unknown: the same append again
//!     └────────────────┴────────────────┼─┘                │ conflict: Loading, decide again
//!                                       └──────────────────┘ fenced: absent
//! ```

mod desk;
mod reading;
mod snapshots;
mod writing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use crate::server::ids::RequestId;
use crate::server::ledger::Ledger;
use crate::server::output::Output;
use crate::stream::{Append, AppendId};
pub(crate) use desk::Desk;

/// The name of a stream, which several places here hold.
type Name = Arc<str>;

#[derive(Debug)]
struct Slot<L: Ledger> {
    stream: Name,
    state: State<L>,
    waiting: Vec<RequestId>,
    /// What is there is at least as new as the store was then.
    as_of: Instant,
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
    slots: BTreeMap<Name, Slot<L>>,
    appends: BTreeMap<AppendId, Name>,
    deadlines: BTreeSet<(Instant, Name)>,
    /// The one to be unloaded next is the first that was not used since it got its place.
    order: BTreeMap<u64, Name>,
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

    fn next_place(&mut self, stream: &Name) -> u64 {
        self.last_place = self.last_place.wrapping_add(1);
        self.order.insert(self.last_place, Name::clone(stream));
        self.last_place
    }

    fn remove(&mut self, stream: &str) -> Option<Slot<L>> {
        let slot = self.slots.remove(stream)?;
        self.order.remove(&slot.place);
        if let Some(deadline) = slot.deadline {
            self.deadlines
                .remove(&(deadline, Name::clone(&slot.stream)));
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
            self.deadlines.remove(&(old, Name::clone(&slot.stream)));
        }
        slot.deadline = deadline;
        if let Some(new) = deadline {
            self.deadlines.insert((new, Name::clone(&slot.stream)));
        }
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
