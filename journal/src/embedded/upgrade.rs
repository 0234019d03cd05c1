//! What becomes of a file of format 1: a bare file of the store, without checksums of ours.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use redb::{Database, ReadableDatabase as _, TableDefinition, TableError};

use crate::embedded::backup;
use crate::embedded::failure::Failure;
use crate::embedded::schema;
use crate::{ErrorKind, UpgradeProgress, files};

/// What a file of the store itself begins with.
const MAGIC: [u8; 4] = *b"redb";
/// `format`: the format version.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const META_FORMAT: &str = "format";

/// Whether the file may be of format 1.
pub(super) fn is_due(path: &Path) -> io::Result<bool> {
    let mut found = [0; MAGIC.len()];
    match File::open(path)?.read_exact(&mut found) {
        Ok(()) => Ok(found == MAGIC),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Puts a file of the present format in the place of one of format 1, at once; until then the old one stays as it is.
pub(super) fn run(path: &Path, progress: &mut dyn FnMut(UpgradeProgress)) -> Result<(), Failure> {
    let mut builder = Database::builder();
    // What was damaged unnoticed must not get a checksum as if it were sound.
    let old = builder.set_check_integrity_on_open(true).open(path)?;
    let from = old.begin_read()?;
    let meta = match from.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return Err(ErrorKind::NotAJournal.into()),
    };
    if meta.get(META_FORMAT)?.map(|format| format.value()) != Some(1) {
        return Err(ErrorKind::NotAJournal.into());
    }
    files::replace(path, |draft| {
        backup::copy(&from, &schema::create(draft)?, progress)
    })?;
    // Another process may have opened the old file just now, and wait for this one to let go of it.
    schema::commit(&old, |old| {
        old.open_table(META)?.remove(META_FORMAT)?;
        Ok(())
    })
}
