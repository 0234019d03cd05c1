//! Backups: a folder with one journal file per backup and one folder of data keys, which follows the cloud's.
//!
//! An old copy of a data key would open what was erased since, so there is only ever the newest one; and the master key, which
//! wraps them, is never in the folder.

use std::path::{Path, PathBuf};

use journal::Embedded;
use journal::seal::{Keyring, MasterKey};

use crate::clock;
use crate::config::Config;
use crate::error::Error;
use crate::store::make_private;

/// The folder of data keys within a backup folder.
const KEYS: &str = "keys";
const PREFIX: &str = "journal-";
const SUFFIX: &str = ".redb";

/// Adds a backup to the folder `dir`, while everything goes on; returns the new file. Blocks.
///
/// # Errors
/// The folder cannot be written.
pub(crate) fn make(journal: &Embedded, keyring: &Keyring, dir: &Path) -> Result<PathBuf, Error> {
    let failed = |cause| Error::new(format!("no backup in {}", dir.display()), cause);
    make_private(dir)?;
    let file = dir.join(format!("{PREFIX}{:013}{SUFFIX}", clock::unix_millis()));
    journal.backup(&file).map_err(failed)?;
    // After the journal: whatever is sealed in it has its key by now.
    keyring.backup(dir.join(KEYS)).map_err(failed)?;
    Ok(file)
}

/// What was put back.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) file: PathBuf,
    /// How many streams were erased again.
    pub(crate) erased: u64,
}

/// Makes the journal of a cloud that does not run from a backup in `dir`: the one called `name`, or the latest.
///
/// # Errors
/// There is a journal already, no master key to open the data keys with, or no sound backup.
pub(crate) fn put_back(
    config: &Config,
    dir: &Path,
    name: Option<&Path>,
) -> Result<Restored, Error> {
    let file = match name {
        Some(name) => dir.join(name),
        None => latest(dir)?,
    };
    let keys = dir.join(KEYS);
    if !keys.is_dir() {
        return Err(Error::plain(format!(
            "{} is missing: without its data keys a backup cannot be read",
            keys.display()
        )));
    }
    make_private(&config.data_dir)?;
    let failed = |cause| {
        let (file, to) = (file.display(), config.data_dir.display());
        Error::new(format!("{file} was not restored to {to}"), cause)
    };
    let master = config.key_dir.join("master.key");
    let master = MasterKey::load(&master).map_err(|cause| {
        let text = format!(
            "put your copy of the master key back at {} first",
            master.display()
        );
        Error::new(text, cause)
    })?;
    let keyring = Keyring::load(master, config.key_dir.join("streams")).map_err(failed)?;
    keyring.restore(keys).map_err(failed)?;
    let mut erased = 0;
    let amend = |journal: &Embedded| {
        erased = keyring.erase_destroyed(journal)?;
        Ok(())
    };
    Embedded::restore(&file, config.data_dir.join("journal.redb"), amend).map_err(failed)?;
    Ok(Restored { file, erased })
}

fn latest(dir: &Path) -> Result<PathBuf, Error> {
    let failed = |cause| Error::new(format!("cannot read {}", dir.display()), cause);
    let mut latest = None;
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().into_string();
        // Names are as long as each other, so the last one is the latest.
        latest = latest.max(
            name.ok()
                .filter(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX)),
        );
    }
    latest
        .map(|name| dir.join(name))
        .ok_or_else(|| Error::plain(format!("there is no backup in {}", dir.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use journal::{Append, AppendId, ErrorKind, Journal as _, StreamAppend};

    /// A configuration in a folder of its own.
    fn config(folder: &Path) -> Config {
        std::fs::create_dir_all(folder).unwrap();
        let path = folder.join("cloud.toml");
        std::fs::write(&path, crate::config::SAMPLE).unwrap();
        Config::read(&path).unwrap()
    }

    fn open(config: &Config) -> (Embedded, Keyring) {
        std::fs::create_dir_all(&config.data_dir).unwrap();
        std::fs::create_dir_all(&config.key_dir).unwrap();
        let master = MasterKey::load_or_create(config.key_dir.join("master.key"), [7; 32]);
        let keyring = Keyring::load(master.unwrap(), config.key_dir.join("streams")).unwrap();
        let journal = Embedded::open(config.data_dir.join("journal.redb")).unwrap();
        (journal, keyring)
    }

    #[test]
    fn a_new_machine_gets_everything_but_who_was_erased() {
        let folder = std::env::temp_dir().join(format!("cloud-backup-{}", std::process::id()));
        let (old, dir) = (config(&folder.join("old")), folder.join("backups"));
        let (journal, keyring) = open(&old);
        for (id, stream) in [(1, "account/alice"), (2, "account/bob")] {
            let sealed = keyring
                .seal(stream, "f", [id; 32], stream.as_bytes())
                .unwrap();
            let part = StreamAppend::new(stream, 0, vec![Bytes::from(sealed)]);
            journal
                .append(&Append::new(AppendId::new([id; 16]), vec![part]))
                .unwrap();
        }
        let first = make(&journal, &keyring, &dir).unwrap();
        journal.erase("account/alice").unwrap();
        keyring.destroy("account/alice").unwrap();
        let second = make(&journal, &keyring, &dir).unwrap();
        assert_eq!(latest(&dir).unwrap(), second);
        drop((journal, keyring));
        assert!(
            put_back(&old, &dir, None).is_err(),
            "there is a journal already"
        );

        let new = config(&folder.join("new"));
        assert!(
            put_back(&new, &dir, None).is_err(),
            "there is no master key"
        );
        std::fs::create_dir_all(&new.key_dir).unwrap();
        let key = "master.key";
        let wrong = MasterKey::load_or_create(new.key_dir.join(key), [8; 32]);
        drop(wrong.unwrap());
        let name = Path::new(first.file_name().unwrap());
        let error = put_back(&new, &dir, Some(name)).unwrap_err();
        let text = error.chain();
        assert!(text.contains("belong to another master key"), "{text}");
        assert!(!new.data_dir.join("journal.redb").exists());
        std::fs::copy(old.key_dir.join(key), new.key_dir.join(key)).unwrap();
        let lost = dir.with_extension("lost");
        std::fs::rename(dir.join(KEYS), &lost).unwrap();
        assert!(
            put_back(&new, &dir, None).is_err(),
            "there are no data keys"
        );
        std::fs::rename(lost, dir.join(KEYS)).unwrap();
        let restored = put_back(&new, &dir, Some(name)).unwrap();
        assert_eq!((restored.file, restored.erased), (first, 1));
        let (journal, keyring) = open(&new);
        assert_eq!(journal.list("", None, 9).unwrap(), ["account/bob"]);
        let sealed = journal.load("account/bob").unwrap().changes;
        let opened = keyring.open("account/bob", "f", &sealed[0]).unwrap();
        assert_eq!(opened.expose(), b"account/bob");
        let lost = keyring.open("account/alice", "f", &sealed[0]).unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::NoKey);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
