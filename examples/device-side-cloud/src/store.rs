//! The journal of this process, for async code: one writer thread with group commit, and the keyring that seals secrets.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use journal::seal::{Keyring, MasterKey};
use journal::{
    Append, AppendId, Appended, Due, Embedded, Journal, Loaded, Snapshot, StreamAppend, Writer,
    WriterConfig,
};
use tokio::sync::oneshot;

use crate::clock;
use crate::error::Error;

/// A handle; clones share the writer.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    writer: Arc<Writer>,
    keyring: Arc<Keyring>,
}

impl Store {
    /// Opens the journal in `data_dir` and the keyring in `key_dir`, making both on first run.
    ///
    /// # Errors
    /// A folder cannot be written, the journal is open in another process, or the master key does not fit.
    pub(crate) fn open(data_dir: &Path, key_dir: &Path) -> Result<Self, Error> {
        for dir in [data_dir, key_dir] {
            std::fs::create_dir_all(dir)
                .map_err(|cause| Error::new(format!("cannot make {}", dir.display()), cause))?;
        }
        let file = data_dir.join("journal.redb");
        let journal = Embedded::open(&file)
            .map_err(|cause| Error::new(format!("cannot open {}", file.display()), cause))?;
        let keys = |cause| {
            Error::new(
                format!("cannot use the keys in {}", key_dir.display()),
                cause,
            )
        };
        let master = MasterKey::load_or_create(key_dir.join("master.key"), clock::entropy()?)
            .map_err(keys)?;
        let keyring = Keyring::load(master, key_dir.join("streams")).map_err(keys)?;
        let writer = Writer::start(Arc::new(journal), WriterConfig::default())
            .map_err(|cause| Error::new("cannot start the journal's thread", cause))?;
        Ok(Self {
            writer: Arc::new(writer),
            keyring: Arc::new(keyring),
        })
    }

    /// The keys that seal what is secret in the journal.
    pub(crate) fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// Appends under an id that the caller chose.
    pub(crate) async fn append(&self, append: Append) -> Result<Appended, journal::Error> {
        let (tell, told) = oneshot::channel();
        self.writer.append(append, move |result| {
            // The asker may be gone: what is durable stays durable.
            drop(tell.send(result));
        });
        told.await
            .unwrap_or_else(|_| Err(journal::ErrorKind::Closed.into()))
    }

    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Journal) -> Result<T, journal::Error> + Send + 'static,
    ) -> Result<T, journal::Error> {
        let (tell, told) = oneshot::channel();
        self.writer.call(move |journal| {
            drop(tell.send(journal.and_then(work)));
        });
        told.await
            .unwrap_or_else(|_| Err(journal::ErrorKind::Closed.into()))
    }

    /// Reads a stream.
    pub(crate) async fn load(&self, stream: &str) -> Result<Loaded, journal::Error> {
        let stream = stream.to_owned();
        self.call(move |journal| journal.load(&stream)).await
    }

    /// Keeps a snapshot, then removes the changes that it covers.
    pub(crate) async fn save_snapshot(
        &self,
        stream: &str,
        snapshot: Snapshot,
    ) -> Result<(), journal::Error> {
        let stream = stream.to_owned();
        self.call(move |journal| {
            journal.save_snapshot(&stream, &snapshot)?;
            journal.truncate(&stream, snapshot.version)
        })
        .await
    }

    /// Erases a stream, and then the key of its secrets: from then on a backup holds nothing that can be read of them.
    pub(crate) async fn erase(&self, stream: &str) -> Result<(), journal::Error> {
        let (stream, keyring) = (stream.to_owned(), Arc::clone(&self.keyring));
        self.call(move |journal| {
            journal.erase(&stream)?;
            keyring.destroy(&stream)
        })
        .await
    }

    /// All streams with a prefix.
    pub(crate) async fn list(&self, prefix: &str) -> Result<Vec<String>, journal::Error> {
        let prefix = prefix.to_owned();
        self.call(move |journal| {
            let mut all: Vec<String> = Vec::new();
            loop {
                let page = journal.list(&prefix, all.last().map(String::as_str), 1000)?;
                if page.is_empty() {
                    return Ok(all);
                }
                all.extend(page);
            }
        })
        .await
    }

    /// All streams that owe something, now or later.
    pub(crate) async fn owing(&self) -> Result<Vec<Due>, journal::Error> {
        self.call(|journal| {
            let mut all: Vec<Due> = Vec::new();
            loop {
                let page = journal.due(u64::MAX, all.last(), 1000)?;
                if page.is_empty() {
                    return Ok(all);
                }
                all.extend(page);
            }
        })
        .await
    }
}

/// A ledger of this program, as the store keeps it.
pub(crate) trait Ledger: Default {
    /// What can happen to it.
    type Change;
    /// The written form of a change; it is forever.
    fn encode(change: &Self::Change) -> Result<Bytes, Error>;
    /// Reads the written form.
    fn decode(bytes: &[u8]) -> Result<Self::Change, Error>;
    /// Takes a change in; cannot fail.
    fn apply(&mut self, change: &Self::Change);
}

/// A ledger in memory together with its place in the journal. This process is the only writer of its streams.
#[derive(Debug)]
pub(crate) struct Kept<L> {
    stream: String,
    version: u64,
    ledger: L,
}

impl<L: Ledger> Kept<L> {
    /// Loads a ledger; one that was never written is empty.
    ///
    /// # Errors
    /// The journal cannot be read or holds a change that this program does not know.
    pub(crate) async fn load(store: &Store, stream: impl Into<String>) -> Result<Self, Error> {
        let stream = stream.into();
        let failed = |cause: journal::Error| Error::new(format!("cannot load {stream}"), cause);
        let loaded = store.load(&stream).await.map_err(failed)?;
        let mut ledger = L::default();
        for change in &loaded.changes {
            ledger.apply(&L::decode(change)?);
        }
        Ok(Self {
            version: loaded.version,
            stream,
            ledger,
        })
    }

    /// The ledger as it stands.
    pub(crate) fn ledger(&self) -> &L {
        &self.ledger
    }

    /// Makes changes durable, then takes them in.
    ///
    /// # Errors
    /// They could not be written; then nothing changed.
    pub(crate) async fn record(
        &mut self,
        store: &Store,
        changes: &[L::Change],
    ) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let encoded = changes.iter().map(L::encode).collect::<Result<_, _>>()?;
        let append = Append::new(
            AppendId::new(clock::entropy()?),
            vec![StreamAppend::new(&self.stream, self.version, encoded)],
        );
        let failed = |cause| Error::new(format!("{} was not changed", self.stream), cause);
        match store.append(append).await.map_err(failed)? {
            Appended::Done { versions } => {
                self.version = versions.first().copied().unwrap_or(self.version);
                for change in changes {
                    self.ledger.apply(change);
                }
                Ok(())
            }
            Appended::Conflict { stream } => Err(Error::plain(format!(
                "{stream} was changed by someone else; restart the cloud"
            ))),
            Appended::Fenced => Err(Error::plain(
                "another process has taken over this journal; stop this one",
            )),
        }
    }
}
