//! The journal of this process, for async code: one writer thread with group commit, and the keyring that seals secrets.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use journal::driver::{Handle, drive};
use journal::seal::{Keyring, MasterKey};
use journal::{
    Append, AppendId, Appended, Due, Embedded, Journal, Loaded, Snapshot, StreamAppend, Writer,
    WriterConfig,
};
use tokio::sync::Mutex;
use tracing::{info, warn};

use crate::backup;
use crate::clock;
use crate::error::Error;
use crate::monitor::Monitor;

/// After how many changes a ledger is kept as a snapshot.
const CONDENSE_AFTER: u64 = 1024;
/// How long appends that come together wait for more at most, so that one flush does for many.
const GATHER: Duration = Duration::from_millis(4);
/// A stream that is never written.
const PROBE_STREAM: &str = "probe";
/// How often the journal is asked at most whether it takes changes.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// How long it has for an answer.
const PROBE_PATIENCE: Duration = Duration::from_secs(2);

/// A handle; clones share the writer.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    journal: Arc<Embedded>,
    writer: Handle,
    keyring: Arc<Keyring>,
    monitor: Monitor,
    /// When the journal was last asked whether it takes changes.
    probed: Arc<Mutex<Option<Instant>>>,
}

impl Store {
    /// Opens the journal in `data_dir` and the keyring in `key_dir`, making both on first run. Only inside a runtime.
    ///
    /// # Errors
    /// A folder cannot be written, the journal is open in another process, or the master key does not fit.
    pub(crate) fn open(data_dir: &Path, key_dir: &Path, monitor: Monitor) -> Result<Self, Error> {
        for dir in [data_dir, key_dir] {
            make_private(dir)?;
        }
        let file = data_dir.join("journal.redb");
        let journal = Embedded::open_reporting(&file, |progress| {
            let (rows, of) = (progress.rows, progress.of);
            info!(
                rows,
                of, "the journal is of an older format and is upgraded"
            );
        })
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
        let journal = Arc::new(journal);
        let shared: Arc<dyn Journal> = Arc::<Embedded>::clone(&journal);
        let mut config = WriterConfig::default();
        config.gather = GATHER;
        let writer = Writer::start(shared, config)
            .map_err(|cause| Error::new("cannot start the journal's thread", cause))?;
        let (writer, answers) = drive(writer);
        // It ends with the last handle.
        tokio::spawn(answers);
        Ok(Self {
            journal,
            writer,
            keyring: Arc::new(keyring),
            monitor,
            probed: Arc::default(),
        })
    }

    /// Adds a backup of everything that is durable now to the folder `dir`; returns its file.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub(crate) async fn back_up(&self, dir: PathBuf) -> Result<PathBuf, Error> {
        let (journal, keyring) = (Arc::clone(&self.journal), Arc::clone(&self.keyring));
        // Not on the writer's thread, which goes on meanwhile.
        tokio::task::spawn_blocking(move || backup::make(&journal, &keyring, &dir))
            .await
            .map_err(|cause| Error::new("the backup broke off", cause))?
    }

    /// The keys that seal what is secret in the journal.
    pub(crate) fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// Appends under an id that the caller chose.
    pub(crate) async fn append(&self, append: Append) -> Result<Appended, journal::Error> {
        let appending = self.monitor.metrics.appending();
        let result = self.writer.append(append).await;
        appending.ended(match &result {
            Ok(Appended::Done { .. }) => "done",
            Ok(Appended::Conflict { .. }) => "conflict",
            Ok(Appended::Fenced) => "fenced",
            Err(_) => "failed",
        });
        let health = &self.monitor.health;
        match &result {
            Ok(Appended::Fenced) => health.superseded(),
            Ok(_) => health.journal_works(),
            // What breaks a rule says nothing about the journal.
            Err(cause) if cause.kind() == journal::ErrorKind::Invalid => {}
            Err(cause) => health.journal_fails(cause.to_string()),
        }
        result
    }

    /// Finds out whether the journal takes changes, at most once a second, and leaves the answer with the monitor.
    pub(crate) async fn probe(&self) {
        let mut probed = self.probed.lock().await;
        let now = clock::now();
        if probed.is_some_and(|at| now.saturating_duration_since(at) < PROBE_EVERY) {
            return;
        }
        *probed = Some(now);
        let Ok(id) = clock::entropy() else {
            return;
        };
        // It guards a stream that nobody writes: a whole append, and nothing is kept but its id.
        let guard = StreamAppend::new(PROBE_STREAM, 0, Vec::new());
        let append = Append::new(AppendId::new(id), vec![guard]);
        if tokio::time::timeout(PROBE_PATIENCE, self.append(append))
            .await
            .is_err()
        {
            let health = &self.monitor.health;
            health.journal_fails("it does not answer".to_owned());
        }
    }

    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Journal) -> Result<T, journal::Error> + Send + 'static,
    ) -> Result<T, journal::Error> {
        self.writer.call(work).await
    }

    /// Reads a stream.
    pub(crate) async fn load(&self, stream: &str) -> Result<Loaded, journal::Error> {
        let stream = stream.to_owned();
        self.call(move |journal| journal.load(&stream)).await
    }

    /// Keeps a snapshot and removes the changes that it covers, at once.
    pub(crate) async fn save_snapshot(
        &self,
        stream: &str,
        snapshot: Snapshot,
    ) -> Result<(), journal::Error> {
        let stream = stream.to_owned();
        self.call(move |journal| journal.condense(&stream, &snapshot))
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

    /// Whether a stream was erased, perhaps by a cloud that this one's journal was restored after.
    pub(crate) async fn was_erased(&self, stream: String) -> Result<bool, Error> {
        let keyring = Arc::clone(&self.keyring);
        tokio::task::spawn_blocking(move || keyring.is_destroyed(&stream))
            .await
            .map_err(|cause| Error::new("looking at the keys broke", cause))?
            .map_err(|cause| Error::new("the keys cannot be read", cause))
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

    /// All streams that owe something before a time.
    pub(crate) async fn owing(&self, before: u64) -> Result<Vec<Due>, journal::Error> {
        self.call(move |journal| {
            let mut all: Vec<Due> = Vec::new();
            loop {
                let page = journal.due(before, all.last(), 1000)?;
                if page.is_empty() {
                    return Ok(all);
                }
                all.extend(page);
            }
        })
        .await
    }
}

/// Makes a folder that only its owner may look into, unless there is one.
///
/// # Errors
/// It cannot be made.
pub(crate) fn make_private(dir: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|cause| Error::new(format!("cannot make {}", dir.display()), cause))
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

    /// The ledger as a snapshot, with the number of its form; `None` for one that is condensed by its keeper, or never.
    ///
    /// # Errors
    /// It cannot be written.
    fn snapshot(&self) -> Result<Option<(u32, Bytes)>, Error> {
        Ok(None)
    }

    /// Reads a snapshot. A ledger that writes none knows none.
    ///
    /// # Errors
    /// The format is not known, or the bytes do not fit it.
    fn restore(format: u32, _bytes: &[u8]) -> Result<Self, Error> {
        Err(Error::plain(format!(
            "this program does not know the snapshot format {format}"
        )))
    }
}

/// A ledger in memory together with its place in the journal. This process is the only writer of its streams.
#[derive(Debug)]
pub(crate) struct Kept<L> {
    stream: String,
    version: u64,
    /// The version at which it was kept as a snapshot last.
    condensed: u64,
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
        let mut ledger = match &loaded.snapshot {
            Some(snapshot) => L::restore(snapshot.format, &snapshot.bytes)?,
            None => L::default(),
        };
        for change in &loaded.changes {
            ledger.apply(&L::decode(change)?);
        }
        Ok(Self {
            version: loaded.version,
            condensed: loaded.snapshot.map_or(0, |snapshot| snapshot.version),
            stream,
            ledger,
        })
    }

    /// The ledger as it stands.
    pub(crate) fn ledger(&self) -> &L {
        &self.ledger
    }

    /// Keeps the ledger as a snapshot and forgets how it came about; of one that was never written there is nothing to keep.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) async fn condense(
        &mut self,
        store: &Store,
        format: u32,
        bytes: Bytes,
    ) -> Result<(), Error> {
        if self.version == 0 {
            return Ok(());
        }
        let failed = |cause| Error::new(format!("{} was not condensed", self.stream), cause);
        let snapshot = Snapshot::new(self.version, format, bytes);
        store
            .save_snapshot(&self.stream, snapshot)
            .await
            .map_err(failed)?;
        self.condensed = self.version;
        Ok(())
    }

    /// Condenses a ledger that has many changes since it was condensed last. What cannot be condensed now is later.
    async fn condense_when_due(&mut self, store: &Store) {
        if self.version.saturating_sub(self.condensed) < CONDENSE_AFTER {
            return;
        }
        let condensed = match self.ledger.snapshot() {
            Ok(None) => return,
            Ok(Some((format, bytes))) => self.condense(store, format, bytes).await,
            Err(cause) => Err(cause),
        };
        if let Err(cause) = condensed {
            warn!(
                stream = self.stream,
                error = cause.chain(),
                "a ledger was not condensed"
            );
        }
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
                self.condense_when_due(store).await;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts its changes.
    #[derive(Debug, Default, Eq, PartialEq)]
    struct Count(u64);

    impl Ledger for Count {
        type Change = ();

        fn encode((): &()) -> Result<Bytes, Error> {
            Ok(Bytes::from_static(b"+"))
        }

        fn decode(_: &[u8]) -> Result<(), Error> {
            Ok(())
        }

        fn apply(&mut self, (): &()) {
            self.0 = self.0.saturating_add(1);
        }

        fn snapshot(&self) -> Result<Option<(u32, Bytes)>, Error> {
            Ok(Some((1, Bytes::copy_from_slice(&self.0.to_be_bytes()))))
        }

        fn restore(_: u32, bytes: &[u8]) -> Result<Self, Error> {
            let bytes = bytes.try_into().map_err(|_| Error::plain("not a count"))?;
            Ok(Self(u64::from_be_bytes(bytes)))
        }
    }

    #[tokio::test]
    async fn a_ledger_with_many_changes_is_kept_as_a_snapshot_and_its_changes_go() {
        let folder = std::env::temp_dir().join(format!("store-{}", std::process::id()));
        let store = Store::open(
            &folder.join("data"),
            &folder.join("keys"),
            Monitor::default(),
        );
        let store = store.expect("store");
        let mut kept = Kept::<Count>::load(&store, "counts/1").await.expect("load");
        kept.record(&store, &[(); 1023]).await.expect("record");
        let before = store.load("counts/1").await.expect("load");
        assert!(before.snapshot.is_none() && before.changes.len() == 1023);
        kept.record(&store, &[()]).await.expect("record");
        let after = store.load("counts/1").await.expect("load");
        assert!(after.snapshot.is_some() && after.changes.is_empty());
        kept.record(&store, &[()]).await.expect("record");
        let again = Kept::<Count>::load(&store, "counts/1").await.expect("load");
        assert_eq!((again.ledger(), again.version), (&Count(1025), 1025));
        // The next one is as many changes later.
        assert_eq!(again.condensed, 1024);
        drop(store);
        std::fs::remove_dir_all(&folder).expect("folder");
    }
}
