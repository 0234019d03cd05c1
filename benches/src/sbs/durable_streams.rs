//! The streams of an authorization server in the journal that the program has, as durable as there.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use account_linking::{Append, Appended, Loaded, Snapshot};
use journal::driver::{Handle, drive};
use journal::{Embedded, Writer, WriterConfig};

use crate::sbs::authorization::Kept;

/// A journal, and the thread in front of it, as they are in the program.
pub(super) struct Durable(Handle);

impl Durable {
    /// A new journal with what is kept so far, and what has to run beside it.
    pub(super) fn new(kept: Kept, path: &Path) -> (Self, impl Future<Output = ()> + Send + use<>) {
        use journal::Journal as _;
        let journal = Embedded::open(path).expect("a journal");
        for (number, (stream, changes)) in kept.into_iter().enumerate() {
            let mut id = [0xff; 16];
            id[..8].copy_from_slice(&number.to_be_bytes());
            let part = journal::StreamAppend::new(stream, 0, changes);
            let append = journal::Append::new(journal::AppendId::new(id), vec![part]);
            journal.append(&append).expect("appended");
        }
        let mut config = WriterConfig::default();
        config.gather = Duration::from_millis(4);
        let writer = Writer::start(Arc::new(journal), config).expect("a thread");
        let (handle, answers) = drive(writer);
        (Self(handle), answers)
    }

    pub(super) async fn load(&self, stream: String) -> Option<Loaded> {
        let loaded = self.0.call(move |journal| journal.load(&stream));
        let loaded = loaded.await.ok()?;
        let snapshot = loaded
            .snapshot
            .map(|kept| Snapshot::new(kept.version, kept.format, kept.bytes));
        Some(Loaded::new(loaded.version, snapshot, loaded.changes))
    }

    pub(super) async fn append(&self, append: Append) -> Appended {
        let parts = append.streams.into_iter().map(|part| {
            journal::StreamAppend::new(part.stream, part.expected_version, part.changes)
                .with_due(part.due)
        });
        let id = journal::AppendId::new(append.id.to_bytes());
        let append = journal::Append::new(id, parts.collect());
        match self.0.append(append).await {
            Ok(journal::Appended::Done { versions }) => Appended::Done { versions },
            other => panic!("nobody else writes: {other:?}"),
        }
    }

    pub(super) async fn save_snapshot(&self, stream: String, snapshot: Snapshot) {
        let snapshot = journal::Snapshot::new(snapshot.version, snapshot.format, snapshot.bytes);
        let saved = self
            .0
            .call(move |journal| journal.condense(&stream, &snapshot));
        saved.await.expect("saved");
    }
}
