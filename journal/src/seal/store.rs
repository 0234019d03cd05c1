//! The folder of wrapped data keys: one small file a stream, named so that it does not tell which.

use std::fs::{self, DirBuilder};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::seal::master::to_hex;
use crate::{Error, ErrorKind, files};

/// A wrapped key is far shorter; more is not ours.
const MAX_FILE: u64 = 1024;

#[derive(Debug)]
pub(super) struct KeyStore {
    folder: PathBuf,
}

impl KeyStore {
    pub(super) fn open(folder: &Path) -> Result<Self, Error> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
        files::sync_folder_of(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    pub(super) fn read(&self, name: &[u8; 32]) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path(name);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > MAX_FILE => Err(ErrorKind::Damaged.into()),
            Ok(_) => {
                let wrapped = fs::read(&path)?;
                if wrapped.iter().all(|byte| *byte == 0) {
                    // Its destruction was cut short after the overwriting.
                    self.destroy(name)?;
                    return Ok(None);
                }
                Ok(Some(wrapped))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps the wrapped key durably, unless there is one already; says whether it did.
    pub(super) fn create(&self, name: &[u8; 32], wrapped: &[u8]) -> Result<bool, Error> {
        Ok(files::create_holding(&self.path(name), wrapped)?)
    }

    /// Overwrites and removes the wrapped key.
    pub(super) fn destroy(&self, name: &[u8; 32]) -> Result<(), Error> {
        let path = self.path(name);
        let mut file = match fs::OpenOptions::new().write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let length = usize::try_from(file.metadata()?.len().min(MAX_FILE)).unwrap_or(0);
        file.write_all(&vec![0; length])?;
        file.sync_all()?;
        fs::remove_file(&path)?;
        files::sync_folder_of(&path)?;
        Ok(())
    }

    fn path(&self, name: &[u8; 32]) -> PathBuf {
        self.folder.join(to_hex(name).as_str())
    }
}
