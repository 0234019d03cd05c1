//! The tables of the file, its format, and how it is made and opened.

use std::fs::OpenOptions;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{Database, StorageBackend, TableDefinition, WriteTransaction};

use crate::embedded::blocks::Blocks;
use crate::embedded::failure::Failure;
use crate::embedded::upgrade;
use crate::{UpgradeProgress, files};

/// The format that this release writes: the tables below in [`Blocks`]. A file with a higher one is refused.
///
/// Format 1 had the same tables without checksums.
pub(super) const FORMAT: u64 = 2;

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
/// Append id to the versions it was answered with.
pub(super) const ANSWERS: TableDefinition<'_, &[u8; 16], Vec<u64>> =
    TableDefinition::new("answers");
/// Running number of a remembered append to its id, so that the oldest can be forgotten.
pub(super) const ANSWERED: TableDefinition<'_, u64, &[u8; 16]> = TableDefinition::new("answered");

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
) -> Result<Database, Failure> {
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
) -> Result<Database, Failure> {
    if upgrade::is_due(path)? {
        upgrade::run(path, progress)?;
    }
    open_in(backend(path)?, check)
}

/// Opens what is in a file of this format.
pub(super) fn open_in(file: impl StorageBackend, check: Check) -> Result<Database, Failure> {
    let mut builder = Database::builder();
    builder.set_check_integrity_on_open(check == Check::Everything);
    Ok(builder.create_with_backend(Blocks::open(file)?)?)
}

/// Makes an empty database that others cannot read.
pub(super) fn create(draft: &Path) -> Result<Database, Failure> {
    files::new(draft)?.sync_all()?;
    create_in(backend(draft)?)
}

/// Makes an empty database in an empty file.
pub(super) fn create_in(file: impl StorageBackend) -> Result<Database, Failure> {
    Ok(Database::builder().create_with_backend(Blocks::create(file)?)?)
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
        transaction.open_table(ANSWERS)?;
        transaction.open_table(ANSWERED)?;
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
