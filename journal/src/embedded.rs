//! The store for one machine: redb tables and a log before them, in a file that one process holds.

mod answers;
mod backup;
mod beside_log;
mod blocks;
mod failure;
mod log;
mod pending;
mod read;
mod schema;
mod store;
#[cfg(test)]
mod tests;
mod upgrade;
mod write;

use std::fmt;
use std::path::Path;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use redb::{ReadTransaction, WriteTransaction};

use crate::embedded::failure::{Failure, guarded};
use crate::embedded::schema::Check;
use crate::embedded::store::Store;
use crate::{Append, Appended, Due, Error, ErrorKind, Journal, Loaded, Page, Snapshot, files};

type Opener = Box<dyn Fn() -> Result<Store, Failure> + Send + Sync>;

/// A journal in one file, durable over crashes and power cuts.
///
/// Every batch of appends is one record in a log with one flush; the tables behind it take in many at a time. After a
/// storage error the file is closed, and the next call opens it again: once a full disk has space, the journal works
/// without a restart of the program.
///
/// Every block that is read is compared with its checksum, so that what was damaged behind the store's back is
/// [`ErrorKind::Damaged`] and never taken for what was written; the rest of the file stays readable.
pub struct Embedded {
    open: Opener,
    /// `None` after a storage error, until the next call.
    store: RwLock<Option<Store>>,
}

impl Embedded {
    /// Opens the journal at `path`, or makes a new one that only its owner may read.
    ///
    /// # Errors
    ///
    /// As for [`open_reporting`](Self::open_reporting).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_reporting(path, |_| ())
    }

    /// Opens the journal at `path` as [`open`](Self::open) does, and tells how far it is if the file is of an older format.
    ///
    /// Such a file is checked and copied as a whole, which takes as long as that and needs as much room again; the copy
    /// comes into its place at once. Whenever that is cut short, the next opening begins anew.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`], [`ErrorKind::NotAJournal`], [`ErrorKind::NewerFormat`], [`ErrorKind::NoSpace`],
    /// [`ErrorKind::Damaged`], [`ErrorKind::Io`].
    pub fn open_reporting(
        path: impl AsRef<Path>,
        mut progress: impl FnMut(UpgradeProgress),
    ) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        let store = guarded(|| schema::open(&path, &mut progress))?;
        let open = Box::new(move || schema::open(&path, &mut |_| ()));
        Ok(Self::of(store, open))
    }

    /// Writes everything that is durable at this moment to a new file at `path`, which only its owner may read.
    ///
    /// Others read and append meanwhile. The copy is a journal file as any other and holds nothing of what was truncated
    /// or erased, nor anything that was damaged: everything in it was read, and so checked. Secrets in it stay sealed; the
    /// data keys are backed up apart from it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`] when there is a file at `path`; [`ErrorKind::NoSpace`], [`ErrorKind::Damaged`],
    /// [`ErrorKind::Io`]. Nothing is at `path` then that was not there before.
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let from = self.with(Store::reading)?;
        // The disk of the copy may fail without this journal having to be opened again.
        let made = guarded(|| {
            files::create(path.as_ref(), |draft| {
                backup::copy(&from, &schema::create(draft)?, &mut |_| ())
            })
        })?;
        new_only(made)
    }

    /// Makes a new journal file at `path` from one that [`backup`](Self::backup) wrote, in this format or an older one, after
    /// checking every page of it.
    ///
    /// `amend` is called with the new journal before the file comes into its place, so that a restored journal is
    /// never seen without what it does: erasing again whoever was erased since the backup, above all.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`] when there is a file at `path`; [`ErrorKind::NotAJournal`], [`ErrorKind::NewerFormat`],
    /// [`ErrorKind::Damaged`], [`ErrorKind::NoSpace`], [`ErrorKind::Io`], and whatever `amend` returns. Nothing is at
    /// `path` then that was not there before, and the backup is never written to.
    pub fn restore(
        backup: impl AsRef<Path>,
        path: impl AsRef<Path>,
        amend: impl FnOnce(&Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let made = files::create(path.as_ref(), |draft| {
            files::copy(backup.as_ref(), draft)?;
            let draft = draft.to_owned();
            let restored = Self::open_with(Box::new(move || {
                schema::open_existing(&draft, Check::Everything, &mut |_| ())
            }))?;
            amend(&restored)
        })?;
        new_only(made)
    }

    fn open_with(open: Opener) -> Result<Self, Error> {
        let store = guarded(&open)?;
        Ok(Self::of(store, open))
    }

    fn of(store: Store, open: Opener) -> Self {
        Self {
            open,
            store: RwLock::new(Some(store)),
        }
    }

    fn store(&self) -> Result<RwLockReadGuard<'_, Option<Store>>, Error> {
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        if store.is_some() {
            return Ok(store);
        }
        drop(store);
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        if store.is_none() {
            *store = Some(guarded(&self.open)?);
        }
        drop(store);
        Ok(self.store.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn with<T>(&self, work: impl FnOnce(&Store) -> Result<T, Failure>) -> Result<T, Error> {
        let guard = self.store()?;
        // Another call may have closed it again in between; that call has reported why.
        let Some(store) = guard.as_ref() else {
            return Err(ErrorKind::Io.into());
        };
        let result = guarded(|| work(store));
        drop(guard);
        result.map_err(|failure| {
            if failure.is_of_storage() {
                self.close();
            }
            failure.into()
        })
    }

    fn close(&self) {
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        let store = store.take();
        // Whoever caused the closing reports why; what the store has to say on its end adds nothing.
        let _ = guarded(|| {
            drop(store);
            Ok(())
        });
    }

    fn reading<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        self.with(|store| work(&store.reading()?))
    }

    fn writing<T>(
        &self,
        work: impl FnOnce(&WriteTransaction) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        self.with(|store| store.writing(work))
    }
}

fn new_only(made: bool) -> Result<(), Error> {
    if made {
        Ok(())
    } else {
        Err(ErrorKind::Exists.into())
    }
}

impl Journal for Embedded {
    fn append_batch(&self, appends: &[Append]) -> Vec<Result<Appended, Error>> {
        let outcome = self.with(|store| store.append_batch(appends));
        match outcome {
            Ok(answers) => answers,
            Err(error) => appends
                .iter()
                .map(|append| {
                    Err(append
                        .check()
                        .err()
                        .map_or_else(|| error.clone(), Error::from))
                })
                .collect(),
        }
    }

    fn read(&self, stream: &str, after_version: u64, limit: usize) -> Result<Page, Error> {
        self.with(|store| {
            let (tables, waiting) = store.reading_of(stream)?;
            let mut page = read::page(&tables, stream, after_version, limit)?;
            if let Some(waiting) = waiting {
                waiting.add_to_page(&mut page, after_version, limit);
            }
            Ok(page)
        })
    }

    fn load(&self, stream: &str) -> Result<Loaded, Error> {
        self.with(|store| {
            let (tables, waiting) = store.reading_of(stream)?;
            let mut loaded = read::load(&tables, stream)?;
            if let Some(waiting) = waiting {
                waiting.add_to_loaded(&mut loaded);
            }
            Ok(loaded)
        })
    }

    fn save_snapshot(&self, stream: &str, snapshot: &Snapshot) -> Result<(), Error> {
        snapshot.check()?;
        self.writing(|transaction| write::save_snapshot(transaction, stream, snapshot))
    }

    fn load_snapshot(&self, stream: &str) -> Result<Option<Snapshot>, Error> {
        self.with(|store| {
            let (tables, _) = store.reading_of(stream)?;
            read::snapshot(&tables, stream)
        })
    }

    fn truncate(&self, stream: &str, up_to: u64) -> Result<(), Error> {
        self.writing(|transaction| write::truncate(transaction, stream, up_to))
    }

    fn condense(&self, stream: &str, snapshot: &Snapshot) -> Result<(), Error> {
        snapshot.check()?;
        self.writing(|transaction| {
            write::save_snapshot(transaction, stream, snapshot)?;
            write::truncate(transaction, stream, snapshot.version)
        })
    }

    fn erase(&self, stream: &str) -> Result<(), Error> {
        self.writing(|transaction| write::erase(transaction, stream))
    }

    fn due(&self, before: u64, after: Option<&Due>, limit: usize) -> Result<Vec<Due>, Error> {
        self.reading(|transaction| read::due(transaction, before, after, limit))
    }

    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Error> {
        self.reading(|transaction| read::list(transaction, prefix, after, limit))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let store = self.store.get_mut().unwrap_or_else(PoisonError::into_inner);
        // A file at rest has everything in its tables. What cannot be put there now is in the log when it is opened again.
        let _ = guarded(|| store.as_ref().map(Store::reading).transpose());
        self.close();
    }
}

/// How far the upgrade of a file is that an older release wrote.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UpgradeProgress {
    /// The rows that are copied.
    pub rows: u64,
    /// The rows of the file.
    pub of: u64,
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").finish_non_exhaustive()
    }
}
