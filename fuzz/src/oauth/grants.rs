//! What the authorization server keeps: clients and grants.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use account_linking::server::{AuthorizationServer, Event, GrantId, Output, PlainPages};
use account_linking::{Appended, Loaded, Snapshot};
use bytes::Bytes;

use super::CONFIG;

/// What every kind of change of a user's grants was written as.
const GRANTS: &str = include_str!("../../../account-linking/tests/journal_compat/0.1.0/grants.hex");
/// The same of a client.
const CLIENT: &str = include_str!("../../../account-linking/tests/journal_compat/0.1.0/client.hex");
/// After how many changes the server writes a snapshot.
const INTERVAL: u64 = 64;

/// A server with one stream, whose store always agrees.
struct Store {
    machine: AuthorizationServer,
    wall: SystemTime,
    now: Instant,
    loaded: Loaded,
    appended: Vec<Bytes>,
    written: Option<Snapshot>,
    ended: Vec<GrantId>,
}

impl Store {
    fn new(loaded: Loaded) -> Self {
        let now = Instant::now();
        let machine = AuthorizationServer::new(CONFIG.clone(), Box::new(PlainPages), [1; 32], now);
        Self {
            machine: machine.expect("a server"),
            // By then every grant has ended.
            wall: UNIX_EPOCH + Duration::from_secs(9_000_000_000),
            now,
            loaded,
            appended: Vec::new(),
            written: None,
            ended: Vec::new(),
        }
    }

    fn run(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Load { stream } => {
                    self.machine.handle_loaded(&stream, &self.loaded, self.now);
                }
                Output::Append(append) => {
                    let part = &append.streams[0];
                    self.appended.extend(part.changes.iter().cloned());
                    let version = part.expected_version + part.changes.len() as u64;
                    let versions = vec![version];
                    let done = Appended::Done { versions };
                    self.machine.handle_appended(append.id, &done, self.now);
                }
                Output::SaveSnapshot { snapshot, .. } => self.written = Some(snapshot),
                Output::Event(Event::GrantEnded { grant, .. }) => self.ended.push(grant),
                _ => {}
            }
        }
    }

    /// Ends all secrets of the client but the newest.
    fn retire(&mut self) {
        let client = "client-acme".parse().expect("an id");
        self.machine
            .retire_client_secrets(client, self.wall, self.now)
            .expect("a command");
        self.run();
    }

    /// Ends what has expired.
    fn expire(&mut self) {
        self.machine
            .wake("grants/user-1", self.wall, self.now)
            .expect("a command");
        self.run();
    }

    /// Forgets the grants that have ended.
    fn settle(&mut self) {
        self.expire();
        let user: account_linking::UserId = "user-1".parse().expect("an id");
        for grant in std::mem::take(&mut self.ended) {
            self.machine
                .settle_grant_end(user.clone(), grant, self.wall, self.now)
                .expect("a command");
            self.run();
        }
    }
}

/// What the store has of a user's grants and of a client, as a change after all others or as a snapshot.
pub(super) fn stored(bytes: &Bytes) {
    for (changes, first, second) in [
        (
            GRANTS,
            Store::expire as fn(&mut Store),
            Store::settle as fn(&mut Store),
        ),
        (CLIENT, Store::retire, Store::retire),
    ] {
        let mut changes: Vec<Bytes> = changes.lines().map(unhex).collect();
        changes.push(bytes.clone());
        // As of a stream that was erased and begun anew, so that the next change is one for a snapshot.
        written_as_read(Loaded::new(INTERVAL, None, changes), first, second);
        let snapshot = Snapshot::new(INTERVAL, 1, bytes.clone());
        written_as_read(
            Loaded::new(INTERVAL, Some(snapshot), Vec::new()),
            first,
            second,
        );
    }
}

/// What is read, and what `first` does to it, is written in a snapshot as what reads the same: `second` does the same to it
/// as to the changes.
fn written_as_read(loaded: Loaded, first: fn(&mut Store), second: fn(&mut Store)) {
    let mut store = Store::new(loaded.clone());
    first(&mut store);
    // Where nothing was written, nothing could be read, or there was nothing to do.
    let (Some(snapshot), Some(change)) = (store.written, store.appended.first()) else {
        return;
    };
    // As many more that it takes for the next snapshot.
    let later = vec![change.clone(); INTERVAL as usize];
    let version = snapshot.version + INTERVAL;
    let mut restored = Store::new(Loaded::new(version, Some(snapshot), later.clone()));
    let changes = [loaded.changes, store.appended, later].concat();
    let mut replayed = Store::new(Loaded::new(version, loaded.snapshot, changes));
    second(&mut restored);
    second(&mut replayed);
    assert_eq!(restored.appended, replayed.appended);
    assert_eq!(restored.written, replayed.written);
}

fn unhex(line: &str) -> Bytes {
    let byte = |at: usize| u8::from_str_radix(&line[at..at + 2], 16).expect("two digits");
    (0..line.len()).step_by(2).map(byte).collect()
}
