//! What becomes of a file of an older format: format 1, a bare file of the store without checksums of ours, and format 2, which
//! had no log.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use redb::{Database, ReadableDatabase as _, TableDefinition, TableError};

use crate::embedded::backup;
use crate::embedded::failure::Failure;
use crate::embedded::schema::{self, Check, STREAMS};
use crate::{ErrorKind, UpgradeProgress, files};

/// What a file of the store itself begins with.
const MAGIC: [u8; 4] = *b"redb";
/// `format`: the format version.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const META_FORMAT: &str = "format";

/// Of which older format the file may be.
pub(super) fn is_due(path: &Path) -> Result<Option<u64>, Failure> {
    let mut found = [0; MAGIC.len()];
    match File::open(path)?.read_exact(&mut found) {
        Ok(()) if found == MAGIC => return Ok(Some(1)),
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let format = schema::format_of(path)?;
    Ok((format == schema::WITHOUT_LOG).then_some(format))
}

/// Puts a file of the present format in the place of an older one, at once; until then the old one stays as it is.
pub(super) fn run(
    path: &Path,
    format: u64,
    progress: &mut dyn FnMut(UpgradeProgress),
) -> Result<(), Failure> {
    // What was damaged unnoticed must not get a checksum as if it were sound.
    let old = match format {
        1 => Database::builder()
            .set_check_integrity_on_open(true)
            .open(path)?,
        _ => schema::open_without_log(path, Check::Everything)?,
    };
    let from = old.begin_read()?;
    if format == 1 {
        let meta = match from.open_table(META) {
            Ok(meta) => meta,
            Err(TableError::Storage(error)) => return Err(error.into()),
            Err(_) => return Err(ErrorKind::NotAJournal.into()),
        };
        if meta.get(META_FORMAT)?.map(|format| format.value()) != Some(1) {
            return Err(ErrorKind::NotAJournal.into());
        }
    }
    files::replace(path, |draft| {
        backup::copy(&from, &schema::create(draft)?, progress)
    })?;
    // Another process may have opened the old file just now, and wait for this one to let go of it.
    schema::commit(&old, |old| {
        if format == 1 {
            old.open_table(META)?.remove(META_FORMAT)?;
        } else {
            old.delete_table(STREAMS)?;
        }
        Ok(())
    })
}
