//! A store that can be told to fail.

use std::collections::{BTreeMap, VecDeque};

use account_linking::{Append, AppendId, Appended, Loaded, Snapshot};
use bytes::Bytes;

/// What the store does wrong with its next answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    UnknownWritten,
    UnknownLost,
    Fenced,
    Silent,
    /// It is written, and no answer comes.
    SilentWritten,
    /// Another writer got in between, with a change of its own.
    Overtaken,
    SilentLoad,
    LoadFailed,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    pub(crate) streams: BTreeMap<String, Vec<Bytes>>,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    pub(crate) due: BTreeMap<String, u64>,
    pub(crate) faults: VecDeque<Fault>,
    pub(crate) loads: usize,
    pub(crate) repeats: usize,
    answered: BTreeMap<AppendId, Appended>,
}

impl Store {
    pub(crate) fn append(&mut self, append: &Append) -> Option<Appended> {
        if let Some(answer) = self.answered.get(&append.id) {
            self.repeats += 1;
            return Some(answer.clone());
        }
        match self.faults.front().copied() {
            Some(Fault::UnknownLost) => {
                self.faults.pop_front();
                return Some(Appended::Unknown);
            }
            Some(Fault::Fenced) => {
                self.faults.pop_front();
                return Some(Appended::Fenced);
            }
            Some(Fault::Silent) => {
                self.faults.pop_front();
                return None;
            }
            Some(Fault::Overtaken) => {
                self.faults.pop_front();
                let stream = append.streams[0].stream.clone();
                self.streams
                    .entry(stream.clone())
                    .or_default()
                    .extend(append.streams[0].changes.clone());
                return Some(Appended::Conflict { stream });
            }
            _ => {}
        }
        for part in &append.streams {
            let held = self.streams.get(&part.stream).map_or(0, Vec::len) as u64;
            if held != part.expected_version {
                let stream = part.stream.clone();
                return Some(Appended::Conflict { stream });
            }
        }
        let mut versions = Vec::new();
        for part in &append.streams {
            let held = self.streams.entry(part.stream.clone()).or_default();
            held.extend(part.changes.clone());
            versions.push(held.len() as u64);
            match part.due {
                Some(due) => self.due.insert(part.stream.clone(), due),
                None => self.due.remove(&part.stream),
            };
        }
        let answer = Appended::Done { versions };
        self.answered.insert(append.id, answer.clone());
        match self.faults.front() {
            Some(Fault::UnknownWritten) => {
                self.faults.pop_front();
                Some(Appended::Unknown)
            }
            Some(Fault::SilentWritten) => {
                self.faults.pop_front();
                None
            }
            _ => Some(answer),
        }
    }

    pub(crate) fn load(&mut self, stream: &str) -> Loaded {
        self.loads += 1;
        let changes = self.streams.get(stream).cloned().unwrap_or_default();
        let version = changes.len() as u64;
        let snapshot = self.snapshots.get(stream).cloned();
        let kept = snapshot
            .as_ref()
            .map_or(0, |kept| usize::try_from(kept.version).unwrap());
        Loaded::new(version, snapshot, changes[kept..].to_vec())
    }

    /// Everything that is stored, to look for what must not be.
    pub(crate) fn dump(&self) -> Vec<u8> {
        let changes = self.streams.values().flatten();
        let snapshots = self.snapshots.values().map(|kept| &kept.bytes);
        changes.chain(snapshots).flatten().copied().collect()
    }
}
