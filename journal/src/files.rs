//! Files that are there whole or not at all, whenever the process is killed, and that only their owner may read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Makes a file at `path` as `write` does, unless there is one already; says whether it did.
///
/// `write` gets another path and must make a new, durable file there.
pub(crate) fn create<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<bool, E> {
    let draft = draft_of(path)?;
    // A link, unlike a renaming, never replaces a file that is in use.
    let made = write(&draft).and_then(|()| match fs::hard_link(&draft, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.into()),
    });
    let removed = fs::remove_file(&draft);
    let made = made?;
    removed?;
    sync_folder_of(path)?;
    Ok(made)
}

/// Makes a durable copy of a file at `draft`, where there is none.
#[cfg(feature = "embedded")]
pub(crate) fn copy(from: &Path, draft: &Path) -> io::Result<()> {
    let mut from = File::open(from)?;
    let mut file = new(draft)?;
    io::copy(&mut from, &mut file)?;
    file.sync_all()
}

/// Makes a file that holds `content`, as [`create`] does.
#[cfg(feature = "seal")]
pub(crate) fn create_holding(path: &Path, content: &[u8]) -> io::Result<bool> {
    create(path, |draft| write_new(draft, content))
}

/// Puts a file that `write` makes in the place of the one at `path`, at once.
///
/// `write` gets another path and must make a new, durable file there.
pub(crate) fn replace<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let draft = draft_of(path)?;
    if let Err(error) = write(&draft) {
        // There may be none; what stopped it says more than what else may fail.
        let _ = fs::remove_file(&draft);
        return Err(error);
    }
    fs::rename(&draft, path)?;
    Ok(sync_folder_of(path)?)
}

/// Puts a file that holds `content` in the place of the one at `path`.
#[cfg(feature = "seal")]
pub(crate) fn replace_holding(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, |draft| write_new(draft, content))
}

#[cfg(feature = "seal")]
fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = new(path)?;
    io::Write::write_all(&mut file, content)?;
    file.sync_all()
}

/// Where a file is made before it comes to `path`; nothing is there.
fn draft_of(path: &Path) -> io::Result<PathBuf> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".new-{}", std::process::id()));
    let draft = PathBuf::from(draft);
    // A killed process of the same number may have left one, perhaps linked already: it is not to be written into.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(draft),
    }
}

/// Makes an empty file that others cannot read.
pub(crate) fn new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes the entries of a file's folder durable.
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}
