//! The streams of an authorization server in the journal that the program has, as durable as there.

use std::path::Path;
use std::sync::Arc;

use account_linking::{Append, Appended, Loaded, Snapshot};
use journal::{Embedded, Writer, WriterConfig};
use tokio::sync::oneshot;

use crate::sbs::authorization::Kept;

/// A journal, and the thread in front of it.
pub(super) struct Durable(Writer);

impl Durable {
    /// A new journal with what is kept so far.
    pub(super) fn new(kept: Kept, path: &Path) -> Self {
        use journal::Journal as _;
        let journal = Embedded::open(path).expect("a journal");
        for (number, (stream, changes)) in kept.into_iter().enumerate() {
            let mut id = [0xff; 16];
            id[..8].copy_from_slice(&number.to_be_bytes());
            let part = journal::StreamAppend::new(stream, 0, changes);
            let append = journal::Append::new(journal::AppendId::new(id), vec![part]);
            journal.append(&append).expect("appended");
        }
        let writer = Writer::start(Arc::new(journal), WriterConfig::default());
        Self(writer.expect("a thread"))
    }

    pub(super) async fn load(&self, stream: String) -> Option<Loaded> {
        let (to, loaded) = oneshot::channel();
        self.0.call(move |journal| {
            let loaded = journal.and_then(|journal| journal.load(&stream));
            let _ = to.send(loaded);
        });
        let loaded = loaded.await.ok()?.ok()?;
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
        let (to, appended) = oneshot::channel();
        self.0.append(append, move |done| drop(to.send(done)));
        match appended.await {
            Ok(Ok(journal::Appended::Done { versions })) => Appended::Done { versions },
            other => panic!("nobody else writes: {other:?}"),
        }
    }

    pub(super) async fn save_snapshot(&self, stream: String, snapshot: Snapshot) {
        let (to, saved) = oneshot::channel();
        let snapshot = journal::Snapshot::new(snapshot.version, snapshot.format, snapshot.bytes);
        self.0.call(move |journal| {
            let saved = journal.and_then(|journal| journal.save_snapshot(&stream, &snapshot));
            let _ = to.send(saved);
        });
        saved.await.expect("it runs").expect("saved");
    }
}
