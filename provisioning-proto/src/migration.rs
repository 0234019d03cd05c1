//! The machine of migrations: a device is moved to another access point, or its registration to another instance.
//!
//! ```text
//! Planned ─▶ Begun ─▶ Prepared ─▶ Confirmed ─▶ Finished
//!    └─────────┴─────────┴─▶ Aborting ─▶ Aborted
//! ```
//!
//! There are two ways. A device that knows provisioning is *directed*: its registration names the access point to which it goes when
//! it registers next, and it is triggered until it does ([`Way::Direct`]). A device that knows nothing of it is *transferred*: its
//! registration is offered to another instance, whose target takes the device in; then its address is turned over there, by a name
//! in the DNS, and it is seen ([`Way::Transfer`]).
//!
//! Either way the new place knows the device, with the credentials that it has, before the old one forgets it, and the old one
//! forgets it only when it was seen at the new one (but for the grace of [`registration::Config`](crate::registration::Config)).
//! Until then a migration can be aborted, and is when its time is over. Whether a transfer was in time is decided in one place, the
//! other instance: it notes either that the device was seen or that the transfer was withdrawn, whichever comes first, so an abort
//! that comes too late turns into the end of the migration. What the two sides tell each other stays true, and may be lost, repeated
//! or late. Where the other instance is gone for good, an operator [ends the abort](Migrations::end_alone) without its word; should it
//! then say that it has seen the device, both have it and the record says so, until an operator [lets it go](Migrations::let_go).
//!
//! What they tell each other may go as files where neither reaches the other: see [`TransferFile`].
//!
//! The machine knows no connection and no registration: it asks for what it needs with [`Output`]s, again and again with longer
//! pauses, and takes what it hears in any order. What it decides leaves it as [`Output::Append`], one at a time for each tenant.
//!
//! ```
//! use std::time::{Duration, Instant, SystemTime};
//! use provisioning_proto::migration::{Config, Migrations, News, Output, Plan, Stage, Way};
//! use provisioning_proto::registration::Stored;
//! use provisioning_proto::{RegistrationId, TenantId};
//!
//! # #[expect(clippy::disallowed_methods, reason = "an example has no other clock")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (wall, now) = (SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000), Instant::now());
//! let mut migrations = Migrations::new(Config::default(), [9; 32]);
//! let (tenant, id): (TenantId, RegistrationId) = ("acme".parse()?, "meter-7".parse()?);
//! let transfer: provisioning_proto::TransferId = "00112233445566778899aabbccddeeff".parse()?;
//! let way = Way::Transfer { transfer: transfer.clone(), instance: "production".to_owned() };
//! migrations.plan(&tenant, &id, Plan::new("east".parse()?, way), wall, now)?;
//!
//! // The run loop: here the journal is a counter, and the other instance takes the device, which is then seen there.
//! let (mut version, mut stages, mut offered, mut retired) = (0, Vec::new(), 0, false);
//! while let Some(output) = migrations.poll_output() {
//!     match output {
//!         Output::Append(append) => {
//!             version += append.changes.len() as u64;
//!             migrations.handle_stored(append.id, Stored::Done { version }, wall, now);
//!         }
//!         Output::Offer { .. } => {
//!             offered += 1; // its registration goes to the other instance, as a `Bundle`
//!             migrations.handle_news(&tenant, &id, &transfer, News::Accepted, wall, now);
//!         }
//!         Output::Ask { .. } => migrations.handle_news(&tenant, &id, &transfer, News::Seen, wall, now),
//!         Output::Look { .. } => migrations.handle_registration(&tenant, &id, None, wall, now),
//!         Output::Moved { stage, .. } => stages.push(stage),
//!         Output::Retire { .. } => retired = true,
//!         _ => {}
//!     }
//! }
//! assert_eq!(stages, [Stage::Planned, Stage::Begun, Stage::Prepared, Stage::Confirmed, Stage::Finished]);
//! assert_eq!((offered, retired), (1, false)); // nothing is registered here that would have to be retired
//! # Ok(())
//! # }
//! ```

mod bundle;
mod commands;
mod config;
mod driving;
mod file;
mod hearing;
mod output;
mod plans;
mod writing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Instant, SystemTime};

use crate::numbers::Numbers;
use crate::registration::{AppendId, CommandId};
use crate::timers::Timers;
use crate::{ErrorKind, RegistrationId, TenantId};

pub use bundle::{Bundle, BundleField};
pub use config::Config;
pub use file::{FileContent, FileHead, Purpose, TransferFile};
pub use hearing::News;
pub use output::{Append, Output};
pub use plans::{
    AbortCause, Alone, Change, Command, Decision, Fact, Migration, Plan, Plans, SNAPSHOT_FORMAT,
    Stage, Way,
};

use writing::Stream;

/// Whose migration it is.
type Key = (TenantId, RegistrationId);

/// What a deadline is of.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Timer {
    /// What was asked for is asked for again.
    Again(Key),
    /// The time of the migration is over.
    Ends(Key),
    Append(TenantId),
    Command(CommandId),
}

/// All migrations of the tenants of one cloud.
#[derive(Debug)]
pub struct Migrations {
    config: Config,
    streams: BTreeMap<TenantId, Stream>,
    appends: BTreeMap<AppendId, TenantId>,
    /// How often the present step of a migration was asked for.
    attempts: BTreeMap<Key, u32>,
    commands: BTreeSet<CommandId>,
    timers: Timers<Timer>,
    outputs: VecDeque<Output>,
    numbers: Numbers,
    now: Option<Instant>,
}

impl Migrations {
    /// A machine without migrations; `seed` makes the ids of its appends different from those of every other machine and run.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            config,
            streams: BTreeMap::new(),
            appends: BTreeMap::new(),
            attempts: BTreeMap::new(),
            commands: BTreeSet::new(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            numbers: Numbers::new(seed),
            now: None,
        }
    }

    /// Takes in a tenant's migrations as they were stored, at the version of their stream: at the start, or when
    /// [`Output::Reload`] asks for them. What is open goes on.
    pub fn handle_loaded(
        &mut self,
        tenant: &TenantId,
        plans: Plans,
        version: u64,
        wall: SystemTime,
        now: Instant,
    ) {
        let now = self.advance(now);
        if self.is_writing(tenant) {
            return;
        }
        let open = plans.migrations().iter();
        let open = open.filter(|(_, migration)| migration.stage.is_open());
        let open: Vec<_> = open.map(|(id, _)| id.clone()).collect();
        self.loaded(tenant, plans, version, wall);
        for id in open {
            self.drive(&(tenant.clone(), id), wall, now);
        }
    }

    /// What is known and durable of a tenant's migrations.
    #[must_use]
    pub fn plans(&self, tenant: &TenantId) -> Option<&Plans> {
        self.streams.get(tenant).map(|stream| &stream.plans)
    }

    /// Repeats what was not answered, and aborts what has taken too long.
    pub fn handle_timeout(&mut self, wall: SystemTime, now: Instant) {
        let now = self.advance(now);
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Again(key) => self.drive(&key, wall, now),
                Timer::Ends(key) => {
                    let cause = AbortCause::TimedOut;
                    self.note(&key, Command::Abort { cause }, wall);
                }
                Timer::Append(tenant) => self.repeat_append(&tenant),
                Timer::Command(command) => self.done(command, Err(ErrorKind::Unavailable)),
            }
        }
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Time never goes back here.
    fn advance(&mut self, now: Instant) -> Instant {
        let now = self.now.map_or(now, |before| before.max(now));
        self.now = Some(now);
        now
    }

    fn migration(&self, (tenant, id): &Key) -> Option<&Migration> {
        self.plans(tenant)?.migration(id)
    }
}
