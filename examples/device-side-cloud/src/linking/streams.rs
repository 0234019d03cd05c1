//! The streams of account linking in the store.

use account_linking::{Appended, Loaded, Snapshot};
use tracing::error;

use crate::store::Store;

pub(super) async fn load(store: &Store, stream: &str) -> Option<Loaded> {
    match store.load(stream).await {
        Ok(loaded) => {
            let snapshot = loaded
                .snapshot
                .map(|snapshot| Snapshot::new(snapshot.version, snapshot.format, snapshot.bytes));
            Some(Loaded::new(loaded.version, snapshot, loaded.changes))
        }
        Err(cause) => {
            error!(stream, %cause, "a stream cannot be read");
            None
        }
    }
}

pub(super) async fn make_durable(store: &Store, append: account_linking::Append) -> Appended {
    let streams = append
        .streams
        .into_iter()
        .map(|part| {
            journal::StreamAppend::new(part.stream, part.expected_version, part.changes)
                .with_due(part.due)
        })
        .collect();
    let id = journal::AppendId::new(append.id.to_bytes());
    match store.append(journal::Append::new(id, streams)).await {
        Ok(journal::Appended::Done { versions }) => Appended::Done { versions },
        Ok(journal::Appended::Conflict { stream }) => Appended::Conflict { stream },
        Ok(journal::Appended::Fenced) => Appended::Fenced,
        Err(cause) => {
            error!(%cause, "the journal cannot be written");
            Appended::Unknown
        }
    }
}
