//! The tables of the file, its format version, and how it is made and opened.

use std::path::Path;

use redb::{Database, TableDefinition, TableError, WriteTransaction};

use crate::embedded::failure::Failure;
use crate::{ErrorKind, files};

/// The format that this release writes. A file with a higher one is refused.
pub(super) const FORMAT: u64 = 1;

/// `format`: the format version of the file.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
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

pub(super) const META_FORMAT: &str = "format";

/// Opens the file, or makes it when there is none.
pub(super) fn open(path: &Path) -> Result<Database, Failure> {
    if !path.try_exists()? {
        // Should another process be faster, its file is as good.
        files::create(path, draw_up)?;
    }
    let database = Database::open(path)?;
    check(&database)?;
    Ok(database)
}

/// Opens a file that may have come from anywhere: every page is checked, which takes as long as reading it.
pub(super) fn open_mistrusted(path: &Path) -> Result<Database, Failure> {
    let mut builder = Database::builder();
    let database = builder.set_check_integrity_on_open(true).open(path)?;
    check(&database)?;
    Ok(database)
}

/// Makes a complete journal file.
fn draw_up(draft: &Path) -> Result<(), Failure> {
    lay_out(&create(draft)?)
}

/// Makes an empty database that others cannot read.
pub(super) fn create(draft: &Path) -> Result<Database, Failure> {
    files::new(draft)?.sync_all()?;
    Ok(Database::create(draft)?)
}

/// Makes the tables in an empty database and writes the format version.
pub(super) fn lay_out(database: &Database) -> Result<(), Failure> {
    commit(database, |transaction| {
        transaction.open_table(STREAMS)?;
        transaction.open_table(CHANGES)?;
        transaction.open_table(SNAPSHOTS)?;
        transaction.open_table(DUE)?;
        transaction.open_table(ANSWERS)?;
        transaction.open_table(ANSWERED)?;
        let mut meta = transaction.open_table(META)?;
        meta.insert(META_FORMAT, FORMAT)?;
        Ok(())
    })
}

fn check(database: &Database) -> Result<(), Failure> {
    use redb::ReadableDatabase as _;
    let meta = match database.begin_read()?.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return Err(ErrorKind::NotAJournal.into()),
    };
    match meta.get(META_FORMAT)?.map(|format| format.value()) {
        Some(FORMAT) => Ok(()),
        Some(found) if found > FORMAT => {
            let newest = FORMAT;
            Err(ErrorKind::NewerFormat { found, newest }.into())
        }
        _ => Err(ErrorKind::NotAJournal.into()),
    }
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
