//! The keys of account linking: files in the key directory, of which the newest makes tokens and all are accepted.
//!
//! A number is never given to another key: what stays of a retired one is a file that says so.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use account_linking::SecretBytes;
use account_linking::server::{Algorithm, RefreshKey, SigningKey as PublicKey};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::certificates::write_private;
use crate::error::Error;
use crate::signing::SigningKey;

/// What a key is for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// It signs access tokens.
    Signing,
    /// It authenticates refresh tokens.
    Refresh,
}

impl Kind {
    /// The word by which an operator names it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::Refresh => "refresh",
        }
    }

    fn stem(self) -> &'static str {
        match self {
            Self::Signing => "access-tokens",
            Self::Refresh => "refresh-tokens",
        }
    }

    /// The file of a key; the first one has no number.
    fn file(self, number: u8) -> String {
        let suffix = match self {
            Self::Signing => "pk8",
            Self::Refresh => "key",
        };
        match number {
            1 => format!("{}.{suffix}", self.stem()),
            _ => format!("{}-{number}.{suffix}", self.stem()),
        }
    }

    fn tombstone(self, number: u8) -> String {
        format!("{}-{number}.retired", self.stem())
    }
}

/// One key and its number.
#[derive(Debug)]
struct Numbered<K> {
    number: u8,
    key: K,
}

/// What an operator sees of a key.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) kind: Kind,
    pub(crate) number: u8,
    /// The `kid` of the tokens that it signs.
    pub(crate) id: Option<String>,
    /// Since when it is there, as far as the file system knows.
    pub(crate) since: Option<SystemTime>,
    /// Since when another one makes the tokens; `None`: it makes them.
    pub(crate) superseded: Option<SystemTime>,
}

/// All keys, newest first.
#[derive(Debug)]
pub(crate) struct Keys {
    dir: PathBuf,
    signing: Vec<Numbered<SigningKey>>,
    refresh: Vec<Numbered<SecretBytes>>,
}

impl Keys {
    /// Reads the keys of a key directory, and makes one of each kind on first run.
    ///
    /// # Errors
    /// A file cannot be read or written, or holds something else.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        let numbers = |kind| -> Result<Vec<u8>, Error> {
            let numbers = numbers(dir, kind);
            if numbers.is_empty() {
                let number = unused(dir, kind)?;
                make(dir, kind, number)?;
                return Ok(vec![number]);
            }
            Ok(numbers)
        };
        let mut keys = Self {
            dir: dir.to_owned(),
            signing: Vec::new(),
            refresh: Vec::new(),
        };
        for number in numbers(Kind::Signing)? {
            let key = SigningKey::open(&dir.join(Kind::Signing.file(number)))?;
            keys.signing.push(Numbered { number, key });
        }
        for number in numbers(Kind::Refresh)? {
            let key = read_secret(&dir.join(Kind::Refresh.file(number)))?;
            keys.refresh.push(Numbered { number, key });
        }
        Ok(keys)
    }

    /// Makes a key, which makes the tokens from now on; its number.
    ///
    /// # Errors
    /// The file cannot be written, or all numbers are used.
    pub(crate) fn add(&mut self, kind: Kind) -> Result<u8, Error> {
        let number = unused(&self.dir, kind)?;
        make(&self.dir, kind, number)?;
        *self = Self::open(&self.dir)?;
        Ok(number)
    }

    /// Takes a key away for good: its tokens are refused from now on.
    ///
    /// # Errors
    /// There is no such key, it is the one that makes the tokens, or the files cannot be changed.
    pub(crate) fn retire(&mut self, kind: Kind, number: u8) -> Result<(), Error> {
        let numbers = numbers(&self.dir, kind);
        if !numbers.contains(&number) {
            return Err(Error::plain(format!(
                "there is no {} key {number}",
                kind.word()
            )));
        }
        if numbers.first() == Some(&number) {
            let text = "it makes the tokens of today; add another one first";
            return Err(Error::plain(text));
        }
        // The number first: it must not come back, whatever happens between the two.
        write_private(&self.dir.join(kind.tombstone(number)), b"")?;
        let path = self.dir.join(kind.file(number));
        fs::remove_file(&path)
            .map_err(|cause| Error::new(format!("cannot remove {}", path.display()), cause))?;
        *self = Self::open(&self.dir)?;
        Ok(())
    }

    /// The private key with this `kid`.
    pub(crate) fn signing(&self, id: &str) -> Option<&SigningKey> {
        let mut keys = self.signing.iter().map(|held| &held.key);
        keys.find(|key| key.id() == id)
    }

    /// The public keys of access tokens, as the machine is told.
    ///
    /// # Errors
    /// The machine does not take one.
    pub(crate) fn public(&self) -> Result<Vec<PublicKey>, account_linking::Error> {
        let keys = self.signing.iter().map(|held| &held.key);
        keys.map(|key| PublicKey::new(key.id(), Algorithm::Es256, &key.public_jwk()))
            .collect()
    }

    /// The keys of refresh tokens, as the machine is told.
    pub(crate) fn refresh(&self) -> Vec<RefreshKey> {
        let keys = self.refresh.iter();
        keys.map(|held| RefreshKey::new(held.number, held.key.clone()))
            .collect()
    }

    /// All keys for an operator.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        let signing = self.signing.iter().map(|held| {
            let id = held.key.id().to_owned();
            (Kind::Signing, held.number, Some(id))
        });
        let refresh = self
            .refresh
            .iter()
            .map(|held| (Kind::Refresh, held.number, None));
        let mut newer = None;
        signing
            .chain(refresh)
            .map(|(kind, number, id)| {
                let file = self.dir.join(kind.file(number));
                let since = fs::metadata(file).and_then(|data| data.modified()).ok();
                let before = newer.replace((kind, since));
                let superseded = before.filter(|(of, _)| *of == kind);
                Shown {
                    kind,
                    number,
                    id,
                    since,
                    superseded: superseded.and_then(|(_, since)| since),
                }
            })
            .collect()
    }
}

/// The numbers of the keys that are there, newest first.
fn numbers(dir: &Path, kind: Kind) -> Vec<u8> {
    let all = (1..=u8::MAX).rev();
    // What has a tombstone was being taken away.
    all.filter(|number| dir.join(kind.file(*number)).exists())
        .filter(|number| !dir.join(kind.tombstone(*number)).exists())
        .collect()
}

/// The next number.
fn unused(dir: &Path, kind: Kind) -> Result<u8, Error> {
    let used = |number: &u8| {
        dir.join(kind.file(*number)).exists() || dir.join(kind.tombstone(*number)).exists()
    };
    let last = (1..=u8::MAX).rev().find(used).unwrap_or_default();
    last.checked_add(1).ok_or_else(|| {
        Error::plain(format!(
            "there are no more numbers for {} keys",
            kind.word()
        ))
    })
}

fn make(dir: &Path, kind: Kind, number: u8) -> Result<(), Error> {
    let path = dir.join(kind.file(number));
    match kind {
        Kind::Signing => SigningKey::make(&path),
        Kind::Refresh => write_private(&path, &crate::clock::entropy::<32>()?),
    }
}

fn read_secret(path: &Path) -> Result<SecretBytes, Error> {
    let bytes = fs::read(path)
        .map(zeroize::Zeroizing::new)
        .map_err(|cause| Error::new(format!("cannot read {}", path.display()), cause))?;
    let bytes = bytes.as_slice().try_into();
    bytes
        .map(SecretBytes::new)
        .map_err(|_| Error::plain(format!("{} must hold 32 bytes", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(keys: &Keys, kind: Kind) -> Vec<u8> {
        let shown = keys.shown().into_iter();
        shown
            .filter(|one| one.kind == kind)
            .map(|one| one.number)
            .collect()
    }

    #[test]
    fn a_number_is_given_once_and_the_newest_key_cannot_be_retired() {
        let dir = std::env::temp_dir().join(format!("cloud-keys-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let mut keys = Keys::open(&dir).unwrap();
        let first = keys.public().unwrap();
        for kind in [Kind::Signing, Kind::Refresh] {
            assert_eq!(ids(&keys, kind), [1]);
            assert!(keys.retire(kind, 1).is_err());
            assert_eq!(keys.add(kind).unwrap(), 2);
            assert_eq!(ids(&keys, kind), [2, 1]);
            keys.retire(kind, 1).unwrap();
            assert!(keys.retire(kind, 1).is_err());
            assert!(keys.retire(kind, 2).is_err());
            assert_eq!(keys.add(kind).unwrap(), 3);
        }
        let again = Keys::open(&dir).unwrap();
        assert_eq!(ids(&again, Kind::Signing), [3, 2]);
        assert_eq!(again.refresh(), keys.refresh());
        assert_eq!(again.public().unwrap(), keys.public().unwrap());
        assert!(!keys.public().unwrap().contains(&first[0]));
        assert!(keys.signing(first[0].id()).is_none());
        let shown = again.shown();
        assert!(shown[0].superseded.is_none() && shown[1].superseded.is_some());
        assert!(shown[2].superseded.is_none(), "the newest of its kind");
        fs::remove_dir_all(dir).unwrap();
    }
}
