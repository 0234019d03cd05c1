use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::memory::leases::Leases;
use crate::{
    Append, AppendId, Appended, Due, Error, ErrorKind, Journal, Loaded, Page, REMEMBERED_APPENDS,
    SOLE_EPOCH, Snapshot, StreamAppend,
};

mod leases;

/// A journal that lives as long as the process, for tests and for programs that may forget.
#[derive(Debug, Default)]
pub struct Memory {
    state: Mutex<State>,
}

impl Memory {
    /// An empty journal that one process holds alone: every lease is granted.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty journal that several nodes share, as they would a replicated one: leases run out and fence.
    ///
    /// Its time stands still but for [`pass`](Self::pass).
    #[must_use]
    pub fn with_leases() -> Self {
        let state = State {
            leases: Some(Leases::default()),
            ..State::default()
        };
        let state = Mutex::new(state);
        Self { state }
    }

    /// Lets time pass for leases.
    pub fn pass(&self, time: Duration) {
        if let Some(leases) = &mut self.lock().leases {
            leases.pass(time);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No change of the state can stop halfway, so a panic elsewhere leaves nothing to mistrust.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for Memory {
    fn append_batch(&self, appends: &[Append]) -> Vec<Result<Appended, Error>> {
        let mut state = self.lock();
        appends.iter().map(|append| state.append(append)).collect()
    }

    fn read(&self, stream: &str, after_version: u64, limit: usize) -> Result<Page, Error> {
        let state = self.lock();
        let Some(entry) = state.streams.get(stream) else {
            return Ok(Page::default());
        };
        Ok(Page {
            version: entry.version,
            changes: entry.after(after_version)?.take(limit).cloned().collect(),
        })
    }

    fn load(&self, stream: &str) -> Result<Loaded, Error> {
        let state = self.lock();
        let Some(entry) = state.streams.get(stream) else {
            return Ok(Loaded::default());
        };
        let after = entry
            .snapshot
            .as_ref()
            .map_or(entry.truncated, |snapshot| snapshot.version);
        Ok(Loaded {
            version: entry.version,
            snapshot: entry.snapshot.clone(),
            changes: entry.after(after)?.cloned().collect(),
            due: entry.due,
        })
    }

    fn save_snapshot(&self, stream: &str, snapshot: &Snapshot) -> Result<(), Error> {
        snapshot.check()?;
        self.lock().existing(stream)?.save(snapshot)
    }

    fn load_snapshot(&self, stream: &str) -> Result<Option<Snapshot>, Error> {
        let state = self.lock();
        Ok(state
            .streams
            .get(stream)
            .and_then(|entry| entry.snapshot.clone()))
    }

    fn truncate(&self, stream: &str, up_to: u64) -> Result<(), Error> {
        self.lock().existing(stream)?.truncate(up_to)
    }

    fn condense(&self, stream: &str, snapshot: &Snapshot) -> Result<(), Error> {
        snapshot.check()?;
        let mut state = self.lock();
        let entry = state.existing(stream)?;
        entry.save(snapshot)?;
        entry.truncate(snapshot.version)
    }

    fn erase(&self, stream: &str) -> Result<(), Error> {
        let mut state = self.lock();
        let Some(entry) = state.streams.get_mut(stream) else {
            return Ok(());
        };
        if entry.erased {
            return Ok(());
        }
        let version = entry.version.saturating_add(1);
        let due = entry.due;
        *entry = Stream {
            version,
            truncated: version,
            erased: true,
            ..Stream::default()
        };
        if let Some(at) = due {
            state.due.remove(&Due::new(at, stream));
        }
        Ok(())
    }

    fn due(&self, before: u64, after: Option<&Due>, limit: usize) -> Result<Vec<Due>, Error> {
        let state = self.lock();
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.clone()));
        Ok(state
            .due
            .range((from, Bound::Unbounded))
            .take_while(|due| due.at < before)
            .take(limit)
            .cloned()
            .collect())
    }

    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Error> {
        let state = self.lock();
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        Ok(state
            .streams
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(name, _)| name.starts_with(prefix))
            .filter(|(_, entry)| !entry.erased)
            .take(limit)
            .map(|(name, _)| name.clone())
            .collect())
    }

    fn acquire(&self, partition: &str, node: &str, ttl: Duration) -> Result<Option<u64>, Error> {
        Ok(match &mut self.lock().leases {
            Some(leases) => leases.acquire(partition, node, ttl),
            None => Some(SOLE_EPOCH),
        })
    }

    fn renew(&self, partition: &str, node: &str, epoch: u64, ttl: Duration) -> Result<bool, Error> {
        Ok(match &mut self.lock().leases {
            Some(leases) => leases.renew(partition, node, epoch, ttl),
            None => epoch == SOLE_EPOCH,
        })
    }

    fn release(&self, partition: &str, node: &str, epoch: u64) -> Result<(), Error> {
        if let Some(leases) = &mut self.lock().leases {
            leases.release(partition, node, epoch);
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct State {
    streams: BTreeMap<String, Stream>,
    due: BTreeSet<Due>,
    answers: BTreeMap<AppendId, Vec<u64>>,
    answered: VecDeque<AppendId>,
    /// `None` when one process holds everything.
    leases: Option<Leases>,
}

#[derive(Debug, Default)]
struct Stream {
    version: u64,
    /// The version of the last change that is gone; `changes` begins after it.
    truncated: u64,
    changes: VecDeque<Bytes>,
    snapshot: Option<Snapshot>,
    due: Option<u64>,
    erased: bool,
}

impl Stream {
    fn after(&self, version: u64) -> Result<impl Iterator<Item = &Bytes>, Error> {
        let Some(skip) = version.checked_sub(self.truncated) else {
            return Err(ErrorKind::Truncated.into());
        };
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        Ok(self.changes.iter().skip(skip))
    }

    fn save(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        let kept = self
            .snapshot
            .as_ref()
            .map_or(self.truncated, |kept| kept.version);
        if self.erased || snapshot.version > self.version || snapshot.version < kept {
            return Err(ErrorKind::NotCovered.into());
        }
        self.snapshot = Some(snapshot.clone());
        Ok(())
    }

    fn truncate(&mut self, up_to: u64) -> Result<(), Error> {
        match &self.snapshot {
            Some(snapshot) if snapshot.version >= up_to => {}
            _ => return Err(ErrorKind::NotCovered.into()),
        }
        while self.truncated < up_to && self.changes.pop_front().is_some() {
            self.truncated = self.truncated.saturating_add(1);
        }
        Ok(())
    }
}

impl State {
    fn existing(&mut self, stream: &str) -> Result<&mut Stream, Error> {
        let entry = self.streams.get_mut(stream);
        entry.ok_or_else(|| ErrorKind::NotCovered.into())
    }

    fn append(&mut self, append: &Append) -> Result<Appended, Error> {
        append.check()?;
        if let Some(versions) = self.answers.get(&append.id) {
            return Ok(Appended::Done {
                versions: versions.clone(),
            });
        }
        if !self.grants(append.epoch) {
            return Ok(Appended::Fenced);
        }
        let mut versions = Vec::with_capacity(append.streams.len());
        for part in &append.streams {
            let version = self
                .streams
                .get(&part.stream)
                .map_or(0, |entry| entry.version);
            if version != part.expected_version {
                return Ok(Appended::Conflict {
                    stream: part.stream.clone(),
                });
            }
            versions.push(part.next_version()?);
        }
        for (part, version) in append.streams.iter().zip(&versions) {
            self.write(part, *version);
        }
        self.remember(append.id, versions.clone());
        Ok(Appended::Done { versions })
    }

    fn grants(&self, epoch: u64) -> bool {
        match &self.leases {
            Some(leases) => leases.holds(epoch),
            None => epoch == SOLE_EPOCH,
        }
    }

    fn write(&mut self, part: &StreamAppend, version: u64) {
        // A guard of a stream that does not exist creates nothing.
        if version == 0 {
            return;
        }
        let entry = self.streams.entry(part.stream.clone()).or_default();
        entry.version = version;
        entry.erased &= part.changes.is_empty();
        entry.changes.extend(part.changes.iter().cloned());
        if let Some(at) = entry.due {
            self.due.remove(&Due::new(at, part.stream.clone()));
        }
        entry.due = part.due.filter(|_| !entry.erased);
        if let Some(at) = entry.due {
            self.due.insert(Due::new(at, part.stream.clone()));
        }
    }

    fn remember(&mut self, id: AppendId, versions: Vec<u64>) {
        self.answers.insert(id, versions);
        self.answered.push_back(id);
        if self.answered.len() > REMEMBERED_APPENDS
            && let Some(oldest) = self.answered.pop_front()
        {
            self.answers.remove(&oldest);
        }
    }
}
