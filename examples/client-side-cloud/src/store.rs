//! The journal, for the two machines that keep their ledgers in it.

use std::path::Path;
use std::sync::Arc;

use journal::seal::{Keyring, MasterKey};
use journal::{Due, Embedded, Journal, Writer, WriterConfig};
use tokio::sync::oneshot;

use crate::{Failure, clock};

/// How many names are read at once.
const PAGE: usize = 1_000;

/// The journal on its own thread.
#[derive(Debug)]
pub(crate) struct Store(Writer);

impl Store {
    /// Opens the journal in `folder`, or makes it.
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        let failure = |error| {
            Failure::of(
                format!("cannot open the journal in {}", folder.display()),
                error,
            )
        };
        std::fs::create_dir_all(folder)
            .map_err(|error| Failure::of(format!("cannot make {}", folder.display()), error))?;
        let journal = Embedded::open_reporting(folder.join("journal.redb"), |progress| {
            let (rows, of) = (progress.rows, progress.of);
            tracing::info!(
                rows,
                of,
                "the journal is of an older format and is upgraded"
            );
        })
        .map_err(failure)?;
        Writer::start(Arc::new(journal), WriterConfig::default())
            .map(Self)
            .map_err(failure)
    }

    /// Appends; `None` when the outcome is not known, and the machine must repeat it.
    pub(crate) async fn append(&self, append: journal::Append) -> Option<journal::Appended> {
        let (done, answer) = oneshot::channel();
        self.0.append(append, move |result| drop(done.send(result)));
        let result = answer.await.ok()?;
        result
            .inspect_err(|error| tracing::error!(%error, "the journal did not take an append"))
            .ok()
    }

    /// Reads a stream; `None` when that failed.
    pub(crate) async fn load(&self, stream: &str) -> Option<journal::Loaded> {
        let name = stream.to_owned();
        self.with(move |journal| journal.load(&name)).await
    }

    /// Keeps a snapshot and drops the changes that it sums up, at once.
    pub(crate) async fn save_snapshot(&self, stream: String, snapshot: journal::Snapshot) {
        self.with(move |journal| journal.condense(&stream, &snapshot))
            .await;
    }

    /// Erases a stream.
    pub(crate) async fn erase(&self, stream: String) {
        self.with(move |journal| journal.erase(&stream)).await;
    }

    /// The streams that owe something by now.
    pub(crate) async fn due(&self) -> Vec<String> {
        let before = clock::unix_milliseconds();
        let due = self.with(move |journal| {
            let mut found: Vec<Due> = Vec::new();
            loop {
                let page = journal.due(before, found.last(), PAGE)?;
                let is_last = page.len() < PAGE;
                found.extend(page);
                if is_last {
                    return Ok(found);
                }
            }
        });
        due.await
            .unwrap_or_default()
            .into_iter()
            .map(|due| due.stream)
            .collect()
    }

    /// The streams whose names begin with `prefix`.
    pub(crate) async fn list(&self, prefix: &'static str) -> Vec<String> {
        let names = self.with(move |journal| {
            let mut found: Vec<String> = Vec::new();
            loop {
                let page = journal.list(prefix, found.last().map(String::as_str), PAGE)?;
                let is_last = page.len() < PAGE;
                found.extend(page);
                if is_last {
                    return Ok(found);
                }
            }
        });
        names.await.unwrap_or_default()
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Journal) -> Result<T, journal::Error> + Send + 'static,
    ) -> Option<T> {
        let (done, answer) = oneshot::channel();
        self.0
            .call(move |journal| drop(done.send(journal.and_then(work))));
        match answer.await.ok()? {
            Ok(result) => Some(result),
            Err(error) => {
                tracing::error!(%error, "the journal failed");
                None
            }
        }
    }
}

/// Opens the keys in `folder`, or makes them.
pub(crate) fn keyring(folder: &Path) -> Result<Arc<Keyring>, Failure> {
    let failure = |error| {
        Failure::of(
            format!("cannot open the keys in {}", folder.display()),
            error,
        )
    };
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::of(format!("cannot make {}", folder.display()), error))?;
    let entropy =
        clock::entropy().map_err(|error| Failure::of("the system has no entropy", error))?;
    let master = MasterKey::load_or_create(folder.join("master.key"), entropy).map_err(failure)?;
    Keyring::load(master, folder.join("data-keys"))
        .map(Arc::new)
        .map_err(failure)
}

/// The keys as both machines want them. Sealing may write a file, once per stream; that is short enough for a machine's task.
#[derive(Clone, Debug)]
pub(crate) struct Keys(pub(crate) Arc<Keyring>);

/// Both crates name the same values alike, each for itself; this converts between one of them and the journal.
macro_rules! convert {
    ($module:ident, $of:ident, $opened:path, $error:path, $sealer:path, $no:expr) => {
        pub(crate) mod $module {
            //! Between the journal and one of the machines.

            use super::Keys;

            pub(crate) fn append(append: $of::Append) -> journal::Append {
                let streams = append.streams.into_iter().map(|part| {
                    journal::StreamAppend::new(part.stream, part.expected_version, part.changes).with_due(part.due)
                });
                journal::Append::new(journal::AppendId::new(id(append.id)), streams.collect())
            }

            pub(crate) fn appended(appended: Option<journal::Appended>) -> $of::Appended {
                match appended {
                    Some(journal::Appended::Done { versions }) => $of::Appended::Done { versions },
                    Some(journal::Appended::Conflict { stream }) => {
                        $of::Appended::Conflict { stream }
                    }
                    Some(journal::Appended::Fenced) => $of::Appended::Fenced,
                    None => $of::Appended::Unknown,
                }
            }

            pub(crate) fn loaded(loaded: journal::Loaded) -> $of::Loaded {
                let snapshot = loaded.snapshot.map(|kept| $of::Snapshot::new(kept.version, kept.format, kept.bytes));
                $of::Loaded::new(loaded.version, snapshot, loaded.changes)
            }

            pub(crate) fn snapshot(snapshot: $of::Snapshot) -> journal::Snapshot {
                journal::Snapshot::new(snapshot.version, snapshot.format, snapshot.bytes)
            }

            fn id(id: $of::AppendId) -> [u8; 16] {
                ($no)(id)
            }

            impl $sealer for Keys {
                fn seal(&self, stream: &str, field: &str, entropy: [u8; 32], secret: &[u8]) -> Result<Vec<u8>, $error> {
                    self.0.seal(stream, field, entropy, secret).map_err(|error| refused(stream, &error))
                }

                fn open(&self, stream: &str, field: &str, sealed: &[u8]) -> Result<$opened, $error> {
                    let opened = self.0.open(stream, field, sealed).map_err(|error| refused(stream, &error))?;
                    Ok(<$opened>::new(opened.expose().to_vec()))
                }
            }

            fn refused(stream: &str, error: &journal::Error) -> $error {
                tracing::error!(stream, %error, "a secret could not be sealed or opened");
                <$error>::default()
            }
        }
    };
}

convert!(
    linking,
    account_linking,
    account_linking::client::OpenedSecret,
    account_linking::client::SealError,
    account_linking::client::Sealer,
    |id: account_linking::AppendId| id.to_bytes()
);
convert!(
    uci,
    uci_client,
    uci_client::Opened,
    uci_client::SealError,
    uci_client::Sealer,
    |id: uci_client::AppendId| { *id.as_bytes() }
);
