//! The tables and the log before them: an append is one record in the log, and the tables have what is in it with the next commit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use redb::{Database, ReadTransaction, ReadableDatabase as _, StorageBackend, WriteTransaction};

use crate::embedded::answers;
use crate::embedded::failure::Failure;
use crate::embedded::log::Log;
use crate::embedded::pending::{Pending, Waiting, after};
use crate::embedded::read::{self, Known};
use crate::embedded::schema::{self, Stream};
use crate::embedded::write;
use crate::{Append, AppendId, Appended, Error, SOLE_EPOCH};

/// After how many appends the log goes into the tables: few enough that nobody waits long for it, many enough that the pages that
/// they change are written once for many.
const COMMIT_AFTER: usize = 512;

/// An open file.
#[derive(Debug)]
pub(super) struct Store {
    database: Database,
    /// Held by whoever writes.
    log: Mutex<Log>,
    pending: RwLock<Pending>,
}

impl Store {
    /// Opens what is in the log behind the tables.
    pub(super) fn open(database: Database, file: Arc<dyn StorageBackend>) -> Result<Self, Failure> {
        answers::convert(&database)?;
        let from = database.begin_read()?;
        let (log, appends) = Log::open(file, read::mark(&from)?)?;
        let mut pending = Pending::default();
        if !appends.is_empty() {
            let known = Known::open(&from)?;
            for append in &appends {
                let versions = append.streams.iter().map(|part| part.next_version());
                let versions = versions.collect::<Result<_, _>>()?;
                pending.take_in(append, versions, |stream| known.stream(stream))?;
            }
        }
        Ok(Self {
            database,
            log: Mutex::new(log),
            pending: RwLock::new(pending),
        })
    }

    /// Decides each append on the state that the ones before it left, and makes all of them durable.
    pub(super) fn append_batch(
        &self,
        appends: &[Append],
    ) -> Result<Vec<Result<Appended, Error>>, Failure> {
        let mut log = self.log();
        if self.pending().answers.waiting() >= COMMIT_AFTER {
            self.commit(&mut log, |_| Ok(()))?;
        }
        let from = self.database.begin_read()?;
        if !self.pending().answers.is_read() {
            self.pending_mut().answers.read(&from)?;
        }
        let mut batch = Batch {
            known: Known::open(&from)?,
            pending: self.pending(),
            streams: BTreeMap::new(),
            answers: BTreeMap::new(),
            done: Vec::new(),
        };
        let mut answers = Vec::with_capacity(appends.len());
        for append in appends {
            answers.push(match batch.decide(append) {
                Ok(appended) => Ok(appended),
                Err(Failure::Rule(kind)) => Err(kind.into()),
                Err(failure) => return Err(failure),
            });
        }
        let Batch {
            known,
            done,
            pending,
            ..
        } = batch;
        drop(pending);
        if done.is_empty() {
            return Ok(answers);
        }
        let logged: Vec<_> = done.iter().map(|(append, _)| *append).collect();
        let is_logged = log.write(&logged)?;
        self.take_in(done, &known)?;
        if !is_logged {
            // The log is full, or this is more than it can ever hold.
            self.commit(&mut log, |_| Ok(()))?;
        }
        Ok(answers)
    }

    fn take_in(&self, done: Vec<(&Append, Vec<u64>)>, known: &Known) -> Result<(), Failure> {
        let mut pending = self.pending_mut();
        for (append, versions) in done {
            pending.take_in(append, versions, |stream| known.stream(stream))?;
        }
        Ok(())
    }

    /// Does `work` on tables that have everything, in one durable transaction.
    pub(super) fn writing<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.commit(&mut self.log(), work)
    }

    fn commit<T>(
        &self,
        log: &mut Log,
        work: impl FnOnce(&WriteTransaction) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        // Nobody reads between the commit and the end of what waited for it: it would be there twice.
        let mut pending = self.pending_mut();
        if !pending.is_empty() {
            pending.answers.read(&self.database.begin_read()?)?;
        }
        let mark = log.next_mark();
        let done = schema::commit(&self.database, |transaction| {
            if !pending.is_empty() {
                write::take_in(transaction, &pending, mark)?;
            }
            work(transaction)
        })?;
        if !pending.is_empty() {
            pending.settle();
            log.restart(mark);
        }
        Ok(done)
    }

    /// The tables with everything in them.
    pub(super) fn reading(&self) -> Result<ReadTransaction, Failure> {
        let mut log = self.log();
        if !self.pending().is_empty() {
            self.commit(&mut log, |_| Ok(()))?;
        }
        Ok(self.database.begin_read()?)
    }

    /// The tables as they are, and what waits for one stream.
    pub(super) fn reading_of(
        &self,
        stream: &str,
    ) -> Result<(ReadTransaction, Option<Waiting>), Failure> {
        let pending = self.pending();
        let waiting = pending.streams.get(stream).cloned();
        Ok((self.database.begin_read()?, waiting))
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        // Whatever panicked halfway has closed the file, and another one is open.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> RwLockReadGuard<'_, Pending> {
        self.pending.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending_mut(&self) -> RwLockWriteGuard<'_, Pending> {
        self.pending.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Appends that are decided and not yet in the log.
struct Batch<'b> {
    known: Known,
    pending: RwLockReadGuard<'b, Pending>,
    streams: BTreeMap<&'b str, Stream>,
    answers: BTreeMap<AppendId, Vec<u64>>,
    done: Vec<(&'b Append, Vec<u64>)>,
}

impl<'b> Batch<'b> {
    fn decide(&mut self, append: &'b Append) -> Result<Appended, Failure> {
        append.check()?;
        if let Some(versions) = self.answer(&append.id) {
            let versions = versions.clone();
            return Ok(Appended::Done { versions });
        }
        if append.epoch != SOLE_EPOCH {
            return Ok(Appended::Fenced);
        }
        let mut versions = Vec::with_capacity(append.streams.len());
        let mut streams = Vec::with_capacity(append.streams.len());
        for part in &append.streams {
            let stream = self.stream(&part.stream)?;
            if stream.0 != part.expected_version {
                return Ok(Appended::Conflict {
                    stream: part.stream.clone(),
                });
            }
            let version = part.next_version()?;
            versions.push(version);
            streams.push((part.stream.as_str(), after(stream, part, version)));
        }
        // A guard of a stream that does not exist creates nothing.
        let created = streams.into_iter().filter(|(_, stream)| stream.0 > 0);
        self.streams.extend(created);
        self.answers.insert(append.id, versions.clone());
        self.done.push((append, versions.clone()));
        Ok(Appended::Done { versions })
    }

    fn answer(&self, id: &AppendId) -> Option<&Vec<u64>> {
        let here = self.answers.get(id);
        here.or_else(|| self.pending.answers.get(id))
    }

    fn stream(&self, stream: &str) -> Result<Stream, Failure> {
        if let Some(here) = self.streams.get(stream) {
            return Ok(*here);
        }
        match self.pending.streams.get(stream) {
            Some(waiting) => Ok(waiting.next),
            None => self.known.stream(stream),
        }
    }
}
