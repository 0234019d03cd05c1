//! A journal that does what it is told, unless it has an excuse.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use uci_server_core::{Append, AppendId, Appended, Loaded, Snapshot};

/// What a journal does instead of what it is told.
#[derive(Clone, Copy)]
pub(super) enum Excuse {
    /// Neither does it nor answers.
    Silence,
    /// Does not do it and cannot say.
    Lost,
    /// Does it and cannot say.
    Uncertain,
    /// Says that somebody was faster.
    Conflict,
    /// Says that the node is nobody's any more.
    Fenced,
}

#[derive(Default)]
pub(super) struct Journal {
    streams: BTreeMap<String, Stream>,
    done: BTreeSet<AppendId>,
    /// For the next append.
    pub(super) excuse: Option<Excuse>,
    /// For the next snapshot or erasure.
    pub(super) removal_excuse: Option<Excuse>,
}

#[derive(Default)]
struct Stream {
    /// At which version the changes begin.
    begin: u64,
    changes: Vec<Bytes>,
    snapshot: Option<Snapshot>,
    owes: bool,
}

impl Stream {
    fn version(&self) -> u64 {
        self.begin + self.changes.len() as u64
    }
}

impl Journal {
    /// The answer, if there is one, and whether it has happened just now.
    pub(super) fn append(&mut self, append: &Append) -> (Option<Appended>, bool) {
        if self.done.contains(&append.id) {
            return (Some(Appended::Done), false);
        }
        match self.excuse.take() {
            Some(Excuse::Silence) => (None, false),
            Some(Excuse::Lost) => (Some(Appended::Unknown), false),
            Some(Excuse::Conflict) => (Some(Appended::Conflict), false),
            Some(Excuse::Fenced) => (Some(Appended::Fenced), false),
            Some(Excuse::Uncertain) => (Some(Appended::Unknown), self.keep(append)),
            None if self.keep(append) => (Some(Appended::Done), true),
            None => (Some(Appended::Conflict), false),
        }
    }

    fn keep(&mut self, append: &Append) -> bool {
        let version = |stream| self.streams.get(stream).map_or(0, Stream::version);
        let mut parts = append.streams.iter();
        if parts.any(|part| version(&part.stream) != part.expected_version) {
            return false;
        }
        for part in &append.streams {
            let stream = self.streams.entry(part.stream.clone()).or_default();
            stream.changes.extend(part.changes.iter().cloned());
            stream.owes = part.due.is_some();
        }
        self.done.insert(append.id);
        true
    }

    pub(super) fn load(&self, stream: &str) -> Loaded {
        self.streams
            .get(stream)
            .map_or_else(Loaded::default, |kept| Loaded {
                version: kept.version(),
                snapshot: kept.snapshot.clone(),
                changes: kept.changes.clone(),
            })
    }

    /// Keeps a snapshot and removes what it covers; the answer, if there is one.
    pub(super) fn save(&mut self, stream: &str, snapshot: Snapshot) -> Option<bool> {
        let excuse = self.removal_excuse.take();
        let kept = self.streams.entry(stream.to_owned()).or_default();
        let done = matches!(excuse, None | Some(Excuse::Uncertain));
        if done && snapshot.version > kept.begin {
            let covered = usize::try_from(snapshot.version - kept.begin).expect("few changes");
            kept.changes.drain(..covered);
            kept.begin = snapshot.version;
            kept.snapshot = Some(snapshot);
        }
        (!matches!(excuse, Some(Excuse::Silence | Excuse::Uncertain))).then_some(done)
    }

    /// Leaves a tombstone: the version, one higher than before; the answer, if there is one.
    pub(super) fn erase(&mut self, stream: &str) -> Option<bool> {
        let excuse = self.removal_excuse.take();
        let done = matches!(excuse, None | Some(Excuse::Uncertain));
        if done && let Some(kept) = self.streams.get_mut(stream) {
            *kept = Stream {
                begin: kept.version() + 1,
                ..Stream::default()
            };
        }
        (!matches!(excuse, Some(Excuse::Silence | Excuse::Uncertain))).then_some(done)
    }

    /// The accounts that owe something.
    pub(super) fn due(&self) -> Vec<String> {
        let due = self.streams.iter().filter(|(_, stream)| stream.owes);
        due.filter_map(|(name, _)| Some(name.strip_prefix("account/")?.to_owned()))
            .collect()
    }
}
