//! The folder of wrapped data keys: one small file a stream, named so that it does not tell which.
//!
//! A file with nothing in it stands for a key that was destroyed. One more file tells which master key they all belong to.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use crate::seal::master::{from_hex, to_hex};
use crate::{Error, ErrorKind, files};

/// A wrapped key is far shorter; more is not ours.
const MAX_FILE: u64 = 1024;
/// Held by whoever has the folder open.
const LOCK: &str = "lock";
/// Holds what only the master key of the folder gives. Without it every name would just not be found.
const CHECK: &str = "check";

/// The name of a stream's file.
pub(super) type Name = [u8; 32];

/// What a folder has for a stream.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Held {
    Nothing,
    Destroyed,
    Key(Vec<u8>),
}

/// What the folder's check says of a master key that is not its own.
#[derive(Debug, thiserror::Error)]
#[error("the data keys in {} belong to another master key", .0.display())]
struct OtherMasterKey(PathBuf);

#[derive(Debug, thiserror::Error)]
#[error("there are data keys in {}, but no file `check`", .0.display())]
struct NoCheck(PathBuf);

#[derive(Debug)]
pub(super) struct KeyStore {
    folder: PathBuf,
    check: [u8; 32],
    _lock: File,
}

impl KeyStore {
    /// Opens a folder, or makes it, for the master key that gives `check`.
    pub(super) fn open(folder: &Path, check: [u8; 32]) -> Result<Self, Error> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
        files::sync_folder_of(folder)?;
        let mut options = OpenOptions::new();
        let lock = options.create(true).append(true).open(folder.join(LOCK))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => ErrorKind::Locked.into(),
            TryLockError::Error(error) => Error::from(error),
        })?;
        let store = Self {
            folder: folder.to_owned(),
            check,
            _lock: lock,
        };
        store.compare()?;
        Ok(store)
    }

    /// Refuses a folder of another master key.
    fn compare(&self) -> Result<(), Error> {
        let folder = || self.folder.clone();
        match fs::read(self.folder.join(CHECK)) {
            Ok(found) if from_hex(&found) == Some(self.check) => Ok(()),
            Ok(_) => Err(Error::new(ErrorKind::KeyFile, OtherMasterKey(folder()))),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            Err(_) if self.names()?.is_empty() => Ok(()),
            Err(_) => Err(Error::new(ErrorKind::Damaged, NoCheck(folder()))),
        }
    }

    pub(super) fn read(&self, name: &Name) -> Result<Held, Error> {
        let path = self.path(name);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > MAX_FILE => Err(ErrorKind::Damaged.into()),
            Ok(_) => {
                let wrapped = fs::read(&path)?;
                if wrapped.is_empty() {
                    return Ok(Held::Destroyed);
                }
                if wrapped.iter().all(|byte| *byte == 0) {
                    // Its destruction was cut short after the overwriting.
                    self.destroy(name)?;
                    return Ok(Held::Destroyed);
                }
                Ok(Held::Key(wrapped))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Held::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps the wrapped key durably, unless there is one already; says whether it did.
    pub(super) fn create(&self, name: &Name, wrapped: &[u8]) -> Result<bool, Error> {
        match self.read(name)? {
            Held::Key(_) => Ok(false),
            Held::Nothing => Ok(self.create_holding(name, wrapped)?),
            Held::Destroyed => {
                files::replace_holding(&self.path(name), wrapped)?;
                Ok(true)
            }
        }
    }

    fn create_holding(&self, name: &Name, content: &[u8]) -> io::Result<bool> {
        // Only now: a wrong key that was tried with an empty folder is to leave no trace.
        let check = self.folder.join(CHECK);
        if !check.try_exists()? {
            files::create_holding(&check, to_hex(&self.check).as_bytes())?;
        }
        files::create_holding(&self.path(name), content)
    }

    /// Overwrites the wrapped key and leaves an empty file in its place, whether there was a key or not.
    pub(super) fn destroy(&self, name: &Name) -> Result<(), Error> {
        let path = self.path(name);
        let mut file = match OpenOptions::new().write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.create_holding(name, b"")?;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let length = usize::try_from(file.metadata()?.len().min(MAX_FILE)).unwrap_or(0);
        if length > 0 {
            file.rewind()?;
            file.write_all(&vec![0; length])?;
            file.sync_all()?;
            file.set_len(0)?;
            file.sync_all()?;
        }
        Ok(())
    }

    /// Makes this folder's file of that name say the same as `other`'s.
    pub(super) fn follow(&self, name: &Name, other: &Self) -> Result<(), Error> {
        match (self.read(name)?, other.read(name)?) {
            (own, others) if own == others => Ok(()),
            // Not there is not destroyed: a folder that lost its files empties no other.
            (_, Held::Nothing) => Ok(()),
            (_, Held::Destroyed) => self.destroy(name),
            (own, Held::Key(wrapped)) => {
                if own != Held::Nothing {
                    self.destroy(name)?;
                }
                self.create(name, &wrapped).map(drop)
            }
        }
    }

    /// The names of all keys, those that were destroyed included.
    pub(super) fn names(&self) -> Result<Vec<Name>, Error> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            // The lock, the check, and drafts of a killed process have other names.
            names.extend(
                entry?
                    .file_name()
                    .to_str()
                    .and_then(|name| from_hex(name.as_bytes())),
            );
        }
        Ok(names)
    }

    fn path(&self, name: &Name) -> PathBuf {
        self.folder.join(to_hex(name).as_str())
    }
}
