//! A journal for one process.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use uci_server_core::{Append, AppendId, Appended, Loaded, Snapshot};

/// The contract of a journal, in memory.
#[derive(Clone, Default)]
pub(crate) struct Journal {
    pub(crate) streams: BTreeMap<String, Vec<Bytes>>,
    pub(crate) snapshots: BTreeMap<String, Snapshot>,
    pub(crate) due: BTreeMap<String, u64>,
    /// At which version a stream begins: after it was erased.
    begin: BTreeMap<String, u64>,
    done: BTreeSet<AppendId>,
    pub(crate) appends: usize,
    /// What every append is answered, instead of being done.
    pub(crate) always: Option<Appended>,
}

impl Journal {
    pub(crate) fn append(&mut self, append: &Append) -> Appended {
        if self.done.contains(&append.id) {
            return Appended::Done;
        }
        if let Some(appended) = self.always {
            return appended;
        }
        for part in &append.streams {
            if self.version(&part.stream) != part.expected_version {
                return Appended::Conflict;
            }
        }
        for part in &append.streams {
            let stream = self.streams.entry(part.stream.clone()).or_default();
            stream.extend(part.changes.iter().cloned());
            match part.due {
                Some(due) => drop(self.due.insert(part.stream.clone(), due)),
                None => drop(self.due.remove(&part.stream)),
            }
        }
        self.appends += 1;
        self.done.insert(append.id);
        Appended::Done
    }

    pub(crate) fn load(&self, stream: &str) -> Loaded {
        let changes = self.streams.get(stream).cloned().unwrap_or_default();
        let snapshot = self.snapshots.get(stream).cloned();
        let covered = snapshot.as_ref().map_or(0, |snapshot| snapshot.version);
        let begin = self.begin.get(stream).copied().unwrap_or_default();
        let covered = usize::try_from(covered.saturating_sub(begin)).unwrap();
        Loaded {
            version: self.version(stream),
            snapshot,
            changes: changes[covered..].to_vec(),
        }
    }

    fn version(&self, stream: &str) -> u64 {
        let begin = self.begin.get(stream).copied().unwrap_or_default();
        begin + self.streams.get(stream).map_or(0, Vec::len) as u64
    }

    /// Leaves a tombstone: the version, one higher than before.
    pub(crate) fn erase(&mut self, stream: &str) {
        self.begin
            .insert(stream.to_owned(), self.version(stream) + 1);
        self.streams.remove(stream);
        self.snapshots.remove(stream);
        self.due.remove(stream);
    }

    /// Removes what snapshots cover, as a journal may at any time.
    pub(crate) fn truncate(&mut self) {
        for (stream, snapshot) in &self.snapshots {
            let begin = self.begin.entry(stream.clone()).or_default();
            let changes = self.streams.get_mut(stream).unwrap();
            changes.drain(..usize::try_from(snapshot.version - *begin).unwrap());
            *begin = snapshot.version;
        }
    }

    /// Everything that is kept, byte after byte.
    pub(crate) fn dump(&self) -> Vec<u8> {
        let changes = self.streams.values().flatten();
        let snapshots = self.snapshots.values().map(|snapshot| &snapshot.bytes);
        changes.chain(snapshots).flatten().copied().collect()
    }
}
