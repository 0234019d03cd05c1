//! The tables of the file, its format, and how it is made and opened.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{Database, StorageBackend, TableDefinition, WriteTransaction};

use crate::embedded::beside_log::BesideLog;
use crate::embedded::blocks::{self, Blocks};
use crate::embedded::failure::Failure;
use crate::embedded::store::Store;
use crate::embedded::upgrade;
use crate::{UpgradeProgress, files};

/// The format that this release writes: the tables below in [`Blocks`], and a [`Log`](crate::embedded::log::Log) before them. A file
/// with a higher one is refused.
///
/// Format 1 had the same tables without checksums, format 2 had no log.
pub(super) const FORMAT: u64 = 3;
/// The format without a log.
pub(super) const WITHOUT_LOG: u64 = 2;

/// What is known of a stream: version, version of the last truncated change, due time, erased.
pub(super) type Stream = (u64, u64, Option<u64>, bool);
pub(super) const STREAMS: TableDefinition<'_, &str, Stream> = TableDefinition::new("streams");
/// (Stream, version) to the change that made that version.
pub(super) const CHANGES: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("changes");
/// Stream to (version, the ledger's format, bytes).
pub(super) const SNAPSHOTS: TableDefinition<'_, &str, (u64, u32, &[u8])> =
    TableDefinition::new("snapshots");
/// (Due time, stream).
pub(super) const DUE: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("due");
/// Running number of a commit to what its appends were answered with, as [`Answers`](crate::embedded::answers::Answers) writes it.
pub(super) const REMEMBERED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("remembered");
/// The same where each append had rows of its own: append id to the versions.
pub(super) const ANSWERS: TableDefinition<'_, &[u8; 16], Vec<u64>> =
    TableDefinition::new("answers");
/// Their order: running number to append id.
pub(super) const ANSWERED: TableDefinition<'_, u64, &[u8; 16]> = TableDefinition::new("answered");
/// The mark of the log that follows the last commit.
pub(super) const MARK: TableDefinition<'_, (), u64> = TableDefinition::new("mark");

/// How much of a file is checked when it is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Check {
    /// What is read to open it. The rest is checked when it is read.
    WhatIsRead,
    /// Every page, which takes as long as reading it: the file may have come from anywhere.
    Everything,
}

/// Opens the file, or makes it when there is none.
pub(super) fn open(
    path: &Path,
    progress: &mut dyn FnMut(UpgradeProgress),
) -> Result<Store, Failure> {
    if !path.try_exists()? {
        // Should another process be faster, its file is as good.
        files::create(path, |draft| lay_out(&create(draft)?))?;
    }
    open_existing(path, Check::WhatIsRead, progress)
}

/// Opens a file of any format up to this release's.
pub(super) fn open_existing(
    path: &Path,
    check: Check,
    progress: &mut dyn FnMut(UpgradeProgress),
) -> Result<Store, Failure> {
    if let Some(format) = upgrade::is_due(path)? {
        upgrade::run(path, format, progress)?;
    }
    open_in(backend(path)?, check)
}

/// Opens what is in a file of this format.
pub(super) fn open_in(file: impl StorageBackend, check: Check) -> Result<Store, Failure> {
    let file: Arc<dyn StorageBackend> = Arc::new(file);
    let beside = BesideLog::new(Arc::clone(&file));
    let database = open_database(Blocks::open(beside, FORMAT)?, check)?;
    Store::open(database, file)
}

/// Opens the tables of a file that has no log.
pub(super) fn open_without_log(path: &Path, check: Check) -> Result<Database, Failure> {
    open_database(Blocks::open(backend(path)?, WITHOUT_LOG)?, check)
}

fn open_database(blocks: impl StorageBackend, check: Check) -> Result<Database, Failure> {
    let mut builder = Database::builder();
    builder.set_check_integrity_on_open(check == Check::Everything);
    Ok(builder.create_with_backend(blocks)?)
}

/// Makes an empty database that others cannot read.
pub(super) fn create(draft: &Path) -> Result<Database, Failure> {
    files::new(draft)?.sync_all()?;
    create_in(backend(draft)?)
}

/// Makes an empty database in an empty file.
pub(super) fn create_in(file: impl StorageBackend) -> Result<Database, Failure> {
    let beside = BesideLog::create(Arc::new(file))?;
    Ok(Database::builder().create_with_backend(Blocks::create(beside)?)?)
}

/// The format that the head of a file names.
pub(super) fn format_of(path: &Path) -> Result<u64, Failure> {
    blocks::format_of(&backend(path)?)
}

fn backend(path: &Path) -> Result<FileBackend, Failure> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    Ok(FileBackend::new(file)?)
}

/// Makes the tables in an empty database.
pub(super) fn lay_out(database: &Database) -> Result<(), Failure> {
    commit(database, |transaction| {
        transaction.open_table(STREAMS)?;
        transaction.open_table(CHANGES)?;
        transaction.open_table(SNAPSHOTS)?;
        transaction.open_table(DUE)?;
        transaction.open_table(REMEMBERED)?;
        transaction.open_table(MARK)?;
        Ok(())
    })
}

/// Begins a transaction whose commit makes recovery after a crash quick.
pub(super) fn begin(database: &Database) -> Result<WriteTransaction, Failure> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Does `work` in one durable transaction.
pub(super) fn commit<T>(
    database: &Database,
    work: impl FnOnce(&WriteTransaction) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let transaction = begin(database)?;
    let value = work(&transaction)?;
    transaction.commit()?;
    Ok(value)
}
