#![cfg_attr(docsrs, feature(doc_cfg))]
//! Where ledgers are kept: streams of opaque changes with optimistic versions, snapshots, due times and sealed secrets.
//!
//! A [`Journal`] knows nothing of what it keeps. [`Memory`] lives as long as the process, [`Embedded`] is one crash-safe
//! file on one machine, and a [`Writer`] puts either behind a thread of its own for async programs. This crate does not
//! replicate: a journal for many machines implements the same trait on an existing replicated engine.
//!
//! # Example
//!
//! ```
//! use bytes::Bytes;
//! use journal::{Append, AppendId, Appended, Journal, Memory, StreamAppend};
//!
//! # fn main() -> Result<(), journal::Error> {
//! let journal = Memory::new();
//! let changes = vec![Bytes::from_static(b"opened"), Bytes::from_static(b"renamed")];
//! let append = Append::new(
//!     AppendId::new([1; 16]),
//!     vec![StreamAppend::new("account/7", 0, changes).with_due(Some(1_700_000_000_000))],
//! );
//! let done = Appended::Done { versions: vec![2] };
//! assert_eq!(journal.append(&append)?, done);
//! // The answer was lost on its way? The same id has the same answer, and nothing happens twice.
//! assert_eq!(journal.append(&append)?, done);
//!
//! // Someone who decided on an older version is told so, and loads again.
//! let stale = vec![StreamAppend::new("account/7", 1, vec![Bytes::from_static(b"closed")])];
//! let answer = journal.append(&Append::new(AppendId::new([2; 16]), stale))?;
//! assert_eq!(answer, Appended::Conflict { stream: "account/7".to_owned() });
//! assert_eq!(journal.load("account/7")?.version, 2);
//!
//! // After a restart only what owes something needs to be loaded.
//! let due = journal.due(1_700_000_000_001, None, 100)?;
//! assert_eq!(due[0].stream, "account/7");
//! # Ok(())
//! # }
//! ```
//!
//! # The contract
//!
//! [`conformance::check`] holds an implementation to these rules, and [`conformance::check_shared`] one that several use at
//! once, with threads that race. They were chosen so that a table store with transactions can
//! keep them: `POSTGRES.md` in this crate's folder goes through them for PostgreSQL, statement by statement.
//!
//! - **J1** The version of a stream is 0 until its first change and grows by one with each. An append names the version it
//!   was decided on; any other is a [`Conflict`](Appended::Conflict) and writes nothing.
//! - **J2** An append to several streams happens whole or not at all. Without changes, a part only guards a version.
//! - **J3** A durable append that is repeated under its [`AppendId`] gets its first answer and changes nothing. At least the
//!   last [`REMEMBERED_APPENDS`] are recognized. A conflict leaves no trace.
//! - **J4** A batch is decided one append after the other, and becomes durable as one.
//! - **J5** What breaks a limit is refused as [`Invalid`](ErrorKind::Invalid) and has no effect. After every other error of an
//!   append its outcome is unknown, and the caller repeats it.
//! - **J6** Changes are removed only below a durable snapshot; a snapshot is never replaced by an older one. Condensing keeps
//!   a snapshot and removes what it covers as one.
//! - **J7** Erasing a stream leaves one number: its version, one higher. Whatever was decided before conflicts.
//! - **J8** A stream is due at the time its latest append named, and not at any earlier one.
//! - **J9** A free partition is granted, to one node and until its time is over. Epochs are counted over the whole store and
//!   rise with every grant, so that an epoch names its lease. Under a lease that ran out, was released or was never granted,
//!   an append is [`Fenced`](Appended::Fenced). Where one process holds the whole store, every grant is [`SOLE_EPOCH`] and none
//!   runs out. [`conformance::check_leases`] tests the stores that are shared.
//!
//! # Features
//!
//! | feature | adds | default |
//! | --- | --- | --- |
//! | `embedded` | [`Embedded`], on redb | yes |
//! | `seal` | [`seal`]: a master key, a data key per stream | yes |
//! | `tokio` | [`driver`]: a writer's answers as futures | no |
//!
//! # Security
//!
//! A journal stores what it is given. Secrets go in sealed ([`seal::Keyring`]), with the master key and the folder of
//! data keys outside the data directory; erasing a person is [`Journal::erase`] and [`seal::Keyring::destroy`], which holds for
//! older backups too ([`seal::Keyring::backup`]). What a snapshot leaves out is gone with [`Journal::condense`]. Files are made
//! readable by their owner alone.

#[cfg(test)]
extern crate self as journal; // The load that unit and integration tests share names the crate as a user does.

mod append;
pub mod conformance;
mod contract;
#[cfg(feature = "tokio")]
pub mod driver;
#[cfg(feature = "embedded")]
mod embedded;
mod error;
#[cfg(any(feature = "embedded", feature = "seal"))]
mod files;
mod memory;
#[cfg(feature = "seal")]
pub mod seal;
mod writer;

pub use append::{
    Append, AppendId, Appended, MAX_APPEND, MAX_ITEMS, MAX_STREAM_NAME, MAX_VALUE,
    REMEMBERED_APPENDS, StreamAppend,
};
pub use contract::{Due, Journal, Loaded, Page, SOLE_EPOCH, Snapshot};
#[cfg(feature = "embedded")]
pub use embedded::{Embedded, UpgradeProgress};
pub use error::{Error, ErrorKind};
pub use memory::Memory;
pub use writer::{Writer, WriterConfig};

#[cfg(all(doctest, feature = "embedded", feature = "seal"))]
#[doc = include_str!("../README.md")]
struct Readme;
