//! The commands for files between two instances that do not reach each other.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use provisioning_proto::migration::{Purpose, TransferFile};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{answer, say};
use crate::admin::Order;
use crate::args::{ConfigFile, MigrationFile};
use crate::error::Error;
use crate::provisioning::{self, Carried, FileOrder};

pub(super) async fn run(command: MigrationFile) -> Result<(), Error> {
    match command {
        MigrationFile::Export {
            tenant,
            device,
            to,
            out,
            hours,
            overwrite,
            file,
        } => {
            let out = Out::new(out, overwrite)?;
            let order = FileOrder::Export {
                tenant,
                device,
                instance: to,
                hours,
            };
            out.keep(asked(&file, order).await?)
        }
        MigrationFile::Import {
            path,
            out,
            overwrite,
            file,
        } => {
            let beside = || {
                let mut name = path.clone().into_os_string();
                name.push(".receipt");
                PathBuf::from(name)
            };
            let out = Out::new(out.unwrap_or_else(beside), overwrite)?;
            let order = FileOrder::Import { file: read(&path)? };
            out.keep(asked(&file, order).await?)
        }
        MigrationFile::Receipt { path, file } => {
            let order = FileOrder::Receipt { file: read(&path)? };
            let migration = asked(&file, order).await?;
            say(&format!("{migration:#}"));
            Ok(())
        }
    }
}

async fn asked(file: &ConfigFile, order: FileOrder) -> Result<Value, Error> {
    let order = provisioning::Order::Migration(order);
    answer(file, &Order::Provisioning(order)).await
}

/// A file, in base64.
fn read(path: &Path) -> Result<String, Error> {
    let failed = |cause| Error::new(format!("cannot read {}", path.display()), cause);
    let mut bytes = Vec::new();
    let most = u64::try_from(TransferFile::MAX).unwrap_or(u64::MAX);
    fs::File::open(path)
        .and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() > TransferFile::MAX {
        let text = format!("{} is too long for a file of a migration", path.display());
        return Err(Error::plain(text));
    }
    Ok(STANDARD.encode(bytes))
}

/// Where a file is to be written.
#[derive(Debug)]
struct Out {
    path: PathBuf,
    overwrite: bool,
}

impl Out {
    /// # Errors
    /// A file is there that is not to be replaced: it is said before anything is done.
    fn new(path: PathBuf, overwrite: bool) -> Result<Self, Error> {
        if !overwrite && path.symlink_metadata().is_ok() {
            return Err(there(&path));
        }
        Ok(Self { path, overwrite })
    }

    /// Writes what the cloud gave, and says what it is and what comes next.
    fn keep(&self, carried: Value) -> Result<(), Error> {
        let no_answer = |cause| Error::new("the cloud gave no proper answer", cause);
        let mut carried: Carried = serde_json::from_value(carried).map_err(no_answer)?;
        let bytes = STANDARD.decode(std::mem::take(&mut carried.file));
        let bytes = bytes.map_err(|cause| Error::new("the cloud gave no proper answer", cause))?;
        self.write(&bytes)?;
        let next = match carried.purpose {
            Purpose::Receipt => "provisioning migration receipt",
            Purpose::Registration | Purpose::Withdrawal => "provisioning migration import",
        };
        let mut shown = serde_json::to_value(&carried).map_err(no_answer)?;
        if let Some(shown) = shown.as_object_mut() {
            let digest = base16ct::lower::encode_string(&Sha256::digest(&bytes));
            let next = format!("carry it to {:?}: {next} FILE", carried.instance);
            shown.insert("path".to_owned(), self.path.display().to_string().into());
            shown.insert("sha256".to_owned(), digest.into());
            shown.insert("next".to_owned(), next.into());
        }
        say(&format!("{shown:#}"));
        Ok(())
    }

    /// Writes a file of its own that only its owner may read; what was there is not written into.
    fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        let failed = |cause| Error::new(format!("cannot write {}", self.path.display()), cause);
        if self.overwrite
            && let Err(cause) = fs::remove_file(&self.path)
            && cause.kind() != ErrorKind::NotFound
        {
            return Err(failed(cause));
        }
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600);
        let mut file = match opened.open(&self.path) {
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {
                return Err(there(&self.path));
            }
            opened => opened.map_err(failed)?,
        };
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        written.map_err(|cause| {
            // Half a file is worse than none; the command can be repeated.
            drop(fs::remove_file(&self.path));
            failed(cause)
        })
    }
}

fn there(path: &Path) -> Error {
    Error::plain(format!(
        "{} is there already and was left as it is: name another file with --out, or have it replaced with --overwrite",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// A file that is not there, in a folder of this test's own.
    fn place(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("transfers-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).expect("a folder");
        folder.join("lamp-1.move")
    }

    fn gone(path: &Path) {
        drop(fs::remove_dir_all(path.parent().expect("a folder")));
    }

    #[test]
    fn a_file_is_its_owners_alone_and_is_replaced_only_when_that_is_said() {
        let path = place("kept");
        let out = |overwrite| Out::new(path.clone(), overwrite);
        let first = out(false).expect("nothing is there");
        first.write(b"one").expect("written");
        let mode = fs::metadata(&path).expect("it is there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        // Neither before anything is asked nor after.
        assert!(out(false).is_err_and(|error| error.chain().contains("--overwrite")));
        assert!(first.write(b"two").is_err());
        assert_eq!(fs::read(&path).expect("it is there"), b"one");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
        out(true).expect("wanted").write(b"two").expect("written");
        assert_eq!(fs::read(&path).expect("it is there"), b"two");
        let mode = fs::metadata(&path).expect("it is there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        gone(&path);
    }

    #[test]
    fn a_file_that_is_too_long_is_not_sent() {
        let path = place("long");
        fs::write(&path, vec![0; TransferFile::MAX]).expect("written");
        assert!(read(&path).is_ok());
        fs::write(&path, vec![0; TransferFile::MAX + 1]).expect("written");
        assert!(read(&path).is_err_and(|error| error.chain().contains("too long")));
        gone(&path);
    }
}
