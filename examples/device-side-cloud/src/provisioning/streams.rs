//! The machine's streams in the journal.

use bytes::Bytes;
use journal::{Append as JournalAppend, AppendId, Appended, Snapshot, StreamAppend};
use provisioning_proto::registration::{Append, Stored, StreamId};
use provisioning_proto::roster::{self, Roster};
use provisioning_proto::tenant::{self, Tenant};
use tracing::{error, warn};

use super::{Provisioning, State};
use crate::clock;
use crate::error::Error;

/// After how many changes a stream is kept as a snapshot.
const CONDENSE_AFTER: u64 = 4096;

/// A ledger as it was loaded.
enum Ledger {
    Settings(Tenant),
    Roster(Roster),
}

impl Provisioning {
    pub(super) async fn load_all(&self) -> Result<(), Error> {
        let failed = |cause| Error::new("cannot list the tenants of provisioning", cause);
        let streams = self.0.store.list("provisioning/").await.map_err(failed)?;
        let mut streams: Vec<_> = streams.iter().filter_map(|name| named(name)).collect();
        // Settings first: a device's registration is judged by them.
        streams.sort_by_key(|stream| matches!(stream, StreamId::Roster(..)));
        for stream in streams {
            self.load_stream(&stream).await?;
        }
        Ok(())
    }

    pub(super) async fn load_stream(&self, stream: &StreamId) -> Result<(), Error> {
        let name = stream.name();
        let failed = |cause: journal::Error| Error::new(format!("cannot load {name}"), cause);
        let loaded = self.0.store.load(&name).await.map_err(failed)?;
        let unreadable =
            |cause: provisioning_proto::Error| Error::new(format!("cannot read {name}"), cause);
        let snapshot = loaded.snapshot.as_ref();
        let changes = loaded.changes.iter().map(|change| &change[..]);
        let ledger = match stream {
            StreamId::Settings(_) => {
                let restored = snapshot.map(|one| Tenant::restore(one.format, &one.bytes));
                let mut tenant = restored
                    .transpose()
                    .map_err(unreadable)?
                    .unwrap_or_default();
                tenant.replay_after(changes).map_err(unreadable)?;
                Ledger::Settings(tenant)
            }
            StreamId::Roster(..) => {
                let restored = snapshot.map(|one| Roster::restore(one.format, &one.bytes));
                let mut roster = restored
                    .transpose()
                    .map_err(unreadable)?
                    .unwrap_or_default();
                roster.replay_after(changes).map_err(unreadable)?;
                Ledger::Roster(roster)
            }
        };
        let version = loaded.version;
        self.with(|state| {
            let covered = snapshot.map_or(0, |snapshot| snapshot.version);
            state.condensed.insert(name.clone(), covered);
            state.versions.insert(name.clone(), version);
            let (wall, now) = (clock::wall(), clock::now());
            let machine = &mut state.machine;
            match (stream, ledger) {
                (StreamId::Settings(tenant), Ledger::Settings(settings)) => {
                    machine.handle_loaded_tenant(tenant.clone(), settings, version, wall, now);
                }
                (StreamId::Roster(tenant, shard), Ledger::Roster(roster)) => {
                    machine.handle_loaded_roster(tenant, *shard, roster, version, wall, now);
                }
                _ => {}
            }
        });
        Ok(())
    }

    pub(super) async fn append(&self, append: Append) {
        let name = append.stream.name();
        let part = StreamAppend::new(&name, append.expected_version, append.changes);
        let stored = self.store_changes(append.id.to_bytes(), part).await;
        let snapshot = self.with(|state| {
            let (wall, now) = (clock::wall(), clock::now());
            state.machine.handle_stored(append.id, stored, wall, now);
            match stored {
                Stored::Done { version } => state.due_snapshot(&append.stream, &name, version),
                _ => None,
            }
        });
        if let Some(snapshot) = snapshot
            && let Err(cause) = self.0.store.save_snapshot(&name, snapshot).await
        {
            warn!(%cause, stream = name, "a stream of provisioning was not condensed");
        }
    }

    /// Appends to a stream and tells the machine's word for what came of it.
    pub(super) async fn store_changes(&self, id: [u8; 16], part: StreamAppend) -> Stored {
        let name = part.stream.clone();
        let append = JournalAppend::new(AppendId::new(id), vec![part]);
        match self.0.store.append(append).await {
            Ok(Appended::Done { versions }) => match versions.first() {
                Some(version) => Stored::Done { version: *version },
                None => Stored::Unknown,
            },
            Ok(Appended::Conflict { .. }) => Stored::Conflict,
            Ok(Appended::Fenced) => {
                error!("another process has taken over this journal; stop this one");
                Stored::Unknown
            }
            Err(cause) => {
                warn!(%cause, stream = %name, "changes of provisioning were not stored; they are tried again");
                Stored::Unknown
            }
        }
    }

    /// Keeps what is durable of a stream as a snapshot, and lets the journal forget how it came about.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(super) async fn condense(&self, stream: &StreamId) -> Result<(), Error> {
        let name = stream.name();
        let snapshot = self.with(|state| {
            let version = state.versions.get(&name).copied()?;
            state.snapshot(stream, &name, version)
        });
        let Some(snapshot) = snapshot else {
            return Ok(());
        };
        let kept = self.0.store.save_snapshot(&name, snapshot).await;
        kept.map_err(|cause| Error::new(format!("{name} was not condensed"), cause))
    }
}

impl State {
    /// What is durable of a stream at this version, when it is time to keep that as a snapshot.
    fn due_snapshot(&mut self, stream: &StreamId, name: &str, version: u64) -> Option<Snapshot> {
        self.versions.insert(name.to_owned(), version);
        let before = self.condensed.get(name).copied().unwrap_or(0);
        if version.saturating_sub(before) < CONDENSE_AFTER {
            return None;
        }
        self.snapshot(stream, name, version)
    }

    fn snapshot(&mut self, stream: &StreamId, name: &str, version: u64) -> Option<Snapshot> {
        let directory = self.machine.directory();
        let (format, bytes) = match stream {
            StreamId::Settings(tenant) => {
                let tenant = directory.tenant(tenant)?;
                (tenant::SNAPSHOT_FORMAT, tenant.snapshot().ok()?)
            }
            StreamId::Roster(tenant, shard) => {
                let roster = directory.roster(tenant, *shard)?;
                (roster::SNAPSHOT_FORMAT, roster.snapshot().ok()?)
            }
        };
        self.condensed.insert(name.to_owned(), version);
        Some(Snapshot::new(version, format, Bytes::from(bytes)))
    }
}

/// The stream of a name; `None` for what is kept beside it.
fn named(name: &str) -> Option<StreamId> {
    let (tenant, part) = name.strip_prefix("provisioning/")?.split_once('/')?;
    let tenant = tenant.parse().ok()?;
    if part == "settings" {
        return Some(StreamId::Settings(tenant));
    }
    let shard = part.parse().ok().filter(|shard| *shard < Roster::SHARDS)?;
    let stream = StreamId::Roster(tenant, shard);
    (stream.name() == name).then_some(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_found_by_their_names_and_others_are_passed_over() {
        for stream in [
            StreamId::Settings("t-1".parse().expect("id")),
            StreamId::Roster("t_1".parse().expect("id"), 0),
            StreamId::Roster("t".parse().expect("id"), 63),
        ] {
            assert_eq!(named(&stream.name()), Some(stream));
        }
        for name in [
            "provisioning/t/64",
            "provisioning/t/7",
            "provisioning/t/authorities",
            "product/x",
        ] {
            assert_eq!(named(name), None, "{name}");
        }
    }
}
