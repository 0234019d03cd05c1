//! A journal in memory, for either side: appends at the expected version, the same answer to the same id, snapshots, truncation.
//!
//! It does what it is told in the order in which it is told, as the connection of one process does; its answers may get lost.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

/// What a process wants of its journal.
pub enum Order {
    Append(Append),
    Load(String),
    Save(String, Snapshot),
}

/// One append, in the words of neither side.
pub struct Append {
    pub id: [u8; 16],
    pub parts: Vec<Part>,
}

pub struct Part {
    pub stream: String,
    pub expected_version: u64,
    pub changes: Vec<Bytes>,
    pub due: Option<u64>,
}

#[derive(Clone)]
pub struct Snapshot {
    pub version: u64,
    pub format: u32,
    pub bytes: Bytes,
}

/// What comes back from it.
pub enum Answer {
    Appended([u8; 16], Outcome),
    Loaded(String, Loaded),
    LoadFailed(String),
    /// Whether the snapshot of this version is kept.
    Saved(String, u64, bool),
}

#[derive(Clone)]
pub enum Outcome {
    Done(Vec<u64>),
    Conflict(String),
    Unknown,
}

pub struct Loaded {
    pub version: u64,
    pub snapshot: Option<Snapshot>,
    pub changes: Vec<Bytes>,
}

#[derive(Default)]
pub struct Journal {
    streams: BTreeMap<String, Stream>,
    outcomes: BTreeMap<[u8; 16], Outcome>,
    /// Until when it is busy with what it was told before.
    pub busy_until: Duration,
}

#[derive(Default)]
struct Stream {
    truncated: u64,
    changes: Vec<Bytes>,
    snapshot: Option<Snapshot>,
    due: Option<u64>,
}

impl Stream {
    fn version(&self) -> u64 {
        self.truncated + self.changes.len() as u64
    }
}

impl Journal {
    /// What became of an append with this id.
    pub fn outcome(&self, id: &[u8; 16]) -> Option<&Outcome> {
        self.outcomes.get(id)
    }

    /// Appends nothing and says that somebody else did.
    pub fn refuse(&mut self, append: &Append) -> Outcome {
        let outcome = Outcome::Conflict(append.parts[0].stream.clone());
        self.outcomes.insert(append.id, outcome.clone());
        outcome
    }

    /// Appends what was not appended under this id before.
    pub fn append(&mut self, append: &Append) -> Outcome {
        let version = |part: &Part| self.streams.get(&part.stream).map_or(0, Stream::version);
        let moved = append
            .parts
            .iter()
            .find(|part| version(part) != part.expected_version);
        let outcome = match moved {
            Some(part) => Outcome::Conflict(part.stream.clone()),
            None => Outcome::Done(append.parts.iter().map(|part| self.extend(part)).collect()),
        };
        self.outcomes.insert(append.id, outcome.clone());
        outcome
    }

    fn extend(&mut self, part: &Part) -> u64 {
        let stream = self.streams.entry(part.stream.clone()).or_default();
        stream.changes.extend(part.changes.iter().cloned());
        stream.due = part.due;
        stream.version()
    }

    pub fn load(&self, stream: &str) -> Loaded {
        let Some(kept) = self.streams.get(stream) else {
            return Loaded {
                version: 0,
                snapshot: None,
                changes: Vec::new(),
            };
        };
        let covered = kept
            .snapshot
            .as_ref()
            .map_or(0, |snapshot| snapshot.version);
        Loaded {
            version: kept.version(),
            snapshot: kept.snapshot.clone(),
            changes: kept.changes[(covered - kept.truncated) as usize..].to_vec(),
        }
    }

    /// Keeps a snapshot, unless it has a later one, and drops what it covers if it `truncates`.
    pub fn save(&mut self, stream: String, snapshot: Snapshot, truncates: bool) {
        let kept = self.streams.entry(stream).or_default();
        if kept
            .snapshot
            .as_ref()
            .is_some_and(|old| old.version >= snapshot.version)
        {
            return;
        }
        if truncates {
            kept.changes
                .drain(..(snapshot.version - kept.truncated) as usize);
            kept.truncated = snapshot.version;
        }
        kept.snapshot = Some(snapshot);
    }

    /// The streams that owe something.
    pub fn due(&self) -> Vec<String> {
        let due = self
            .streams
            .iter()
            .filter(|(_, stream)| stream.due.is_some());
        due.map(|(name, _)| name.clone()).collect()
    }

    /// Everything that is written in it.
    pub fn texts(&self) -> impl Iterator<Item = &Bytes> {
        self.streams.values().flat_map(|stream| {
            let snapshot = stream.snapshot.iter().map(|snapshot| &snapshot.bytes);
            stream.changes.iter().chain(snapshot)
        })
    }
}
