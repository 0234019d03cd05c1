//! End users: a ledger of ids, names and argon2id hashes, and the check of a password.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, Semaphore};

use crate::clock;
use crate::error::Error;
use crate::store::{Kept, Ledger, Store};

const STREAM: &str = "users";
/// The form of snapshots that this program writes.
const SNAPSHOT_FORMAT: u32 = 1;
/// The shortest password that is taken, in characters (NIST SP 800-63B, 5.1.1.2).
const MIN_PASSWORD: usize = 8;
/// The longest, in bytes: hashing cost must not be the caller's to choose.
const MAX_PASSWORD: usize = 256;

/// Something that happened to the users. The written form is forever.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Change {
    /// A user was made.
    Created {
        id: String,
        name: String,
        password_hash: String,
    },
    /// A user is gone.
    Erased {
        /// Under which the user was known.
        name: String,
    },
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct User {
    id: String,
    password_hash: String,
}

/// The users by name.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct UserLedger {
    by_name: BTreeMap<String, User>,
}

impl UserLedger {
    fn snapshot(&self) -> Result<Bytes, Error> {
        let mut bytes = Vec::new();
        ciborium::into_writer(self, &mut bytes)
            .map_err(|cause| Error::new("the users cannot be written", cause))?;
        Ok(bytes.into())
    }
}

impl Ledger for UserLedger {
    type Change = Change;

    fn encode(change: &Change) -> Result<Bytes, Error> {
        let mut bytes = Vec::new();
        ciborium::into_writer(change, &mut bytes)
            .map_err(|cause| Error::new("a change of the users cannot be written", cause))?;
        Ok(bytes.into())
    }

    fn decode(bytes: &[u8]) -> Result<Change, Error> {
        ciborium::from_reader(bytes)
            .map_err(|cause| Error::new("a change of the users cannot be read", cause))
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Created {
                id,
                name,
                password_hash,
            } => {
                self.by_name.insert(
                    name.clone(),
                    User {
                        id: id.clone(),
                        password_hash: password_hash.clone(),
                    },
                );
            }
            Change::Erased { name } => {
                self.by_name.remove(name);
            }
        }
    }

    fn restore(format: u32, bytes: &[u8]) -> Result<Self, Error> {
        if format != SNAPSHOT_FORMAT {
            return Err(Error::plain(format!(
                "the users are in format {format}, and this program knows {SNAPSHOT_FORMAT}"
            )));
        }
        ciborium::from_reader(bytes).map_err(|cause| Error::new("the users cannot be read", cause))
    }
}

/// The users of this cloud; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Users {
    store: Store,
    kept: Arc<Mutex<Kept<UserLedger>>>,
    /// The ids of users whose erasure has begun.
    leaving: Arc<Mutex<BTreeSet<String>>>,
    /// Hashing is meant to be dear: never more of it at once than this many.
    hashing: Arc<Semaphore>,
    /// Checked when the name is unknown, so that both refusals take the same work.
    nobody: Arc<str>,
}

impl Users {
    /// Loads the users.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) async fn load(store: &Store) -> Result<Self, Error> {
        let mut kept = Kept::load(store, STREAM).await?;
        // An erasure may have been cut off before the name and the password hash were gone from the journal.
        condense(&mut kept, store).await?;
        Ok(Self {
            kept: Arc::new(Mutex::new(kept)),
            store: store.clone(),
            leaving: Arc::default(),
            hashing: Arc::new(Semaphore::new(2)),
            nobody: hash("nobody has this password", &clock::entropy()?)?.into(),
        })
    }

    /// Makes a user and gives back the id, which is what tokens and devices name.
    ///
    /// # Errors
    /// The name is taken or not usable, the password is too short or too long, or the journal cannot be written.
    pub(crate) async fn add(&self, name: &str, password: &str) -> Result<String, Error> {
        if name.is_empty() || name.len() > 64 || name.chars().any(|c| c.is_control() || c == ' ') {
            return Err(Error::plain(
                "a user name has 1 to 64 characters without spaces",
            ));
        }
        if password.chars().count() < MIN_PASSWORD || password.len() > MAX_PASSWORD {
            return Err(Error::plain(format!(
                "a password has at least {MIN_PASSWORD} characters and at most {MAX_PASSWORD} bytes"
            )));
        }
        let mut kept = self.kept.lock().await;
        if kept.ledger().by_name.contains_key(name) {
            return Err(Error::plain(format!("there is a user {name} already")));
        }
        let salt = clock::entropy()?;
        let password = password.to_owned();
        let password_hash = tokio::task::spawn_blocking(move || hash(&password, &salt))
            .await
            .map_err(|cause| Error::new("hashing the password failed", cause))??;
        let id = format!("u-{}", hex(&clock::entropy::<16>()?));
        let created = Change::Created {
            id: id.clone(),
            name: name.to_owned(),
            password_hash,
        };
        kept.record(&self.store, &[created]).await?;
        Ok(id)
    }

    /// Forgets a user: the name, the id and the password hash are in the journal no longer.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) async fn erase(&self, name: &str) -> Result<(), Error> {
        let mut kept = self.kept.lock().await;
        let erased = Change::Erased {
            name: name.to_owned(),
        };
        let id = kept.ledger().by_name.get(name).map(|user| user.id.clone());
        kept.record(&self.store, &[erased]).await?;
        condense(&mut kept, &self.store).await?;
        if let Some(id) = id {
            self.leaving.lock().await.remove(&id);
        }
        Ok(())
    }

    /// Lets nobody log in as the user with this id any more, in this run.
    pub(crate) async fn shut_out(&self, id: &str) {
        self.leaving.lock().await.insert(id.to_owned());
    }

    /// The names and ids of all users.
    pub(crate) async fn all(&self) -> Vec<(String, String)> {
        let kept = self.kept.lock().await;
        let users = kept.ledger().by_name.iter();
        users
            .map(|(name, user)| (name.clone(), user.id.clone()))
            .collect()
    }

    /// The id of a user.
    pub(crate) async fn id_of(&self, name: &str) -> Option<String> {
        let kept = self.kept.lock().await;
        kept.ledger().by_name.get(name).map(|user| user.id.clone())
    }

    /// The id of the user with this name and password; `None` for an unknown name and for a wrong password alike.
    ///
    /// # Errors
    /// The check itself could not be made.
    pub(crate) async fn verify(
        &self,
        name: &str,
        password: String,
    ) -> Result<Option<String>, Error> {
        let user = self.kept.lock().await.ledger().by_name.get(name).cloned();
        if password.len() > MAX_PASSWORD {
            return Ok(None);
        }
        let (id, known) = match user {
            Some(user) => (Some(user.id), user.password_hash),
            None => (None, self.nobody.to_string()),
        };
        let _permit = self
            .hashing
            .acquire()
            .await
            .map_err(|cause| Error::new("the cloud is stopping", cause))?;
        let right = tokio::task::spawn_blocking(move || {
            PasswordHash::new(&known).is_ok_and(|known| {
                Argon2::default()
                    .verify_password(password.as_bytes(), &known)
                    .is_ok()
            })
        })
        .await
        .map_err(|cause| Error::new("the password check failed", cause))?;
        let leaving = self.leaving.lock().await;
        Ok(id.filter(|id| right && !leaving.contains(id)))
    }
}

async fn condense(kept: &mut Kept<UserLedger>, store: &Store) -> Result<(), Error> {
    let snapshot = kept.ledger().snapshot()?;
    kept.condense(store, SNAPSHOT_FORMAT, snapshot).await
}

fn hash(password: &str, salt: &[u8; 16]) -> Result<String, Error> {
    let hash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), salt)
        .map_err(|cause| Error::new("the password cannot be hashed", cause))?;
    Ok(hash.to_string())
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;
    use std::path::PathBuf;

    use super::*;
    use crate::monitor::Monitor;

    /// A store in a folder that goes away with it.
    struct Folder(PathBuf);

    impl Folder {
        fn open(&self) -> Store {
            let (data, keys) = (self.0.join("data"), self.0.join("keys"));
            Store::open(&data, &keys, Monitor::default()).expect("store")
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    #[tokio::test]
    async fn an_erased_user_is_gone_for_good_and_the_name_is_free() {
        let name = format!("users-{}", clock::unix_millis());
        let folder = Folder(std::env::temp_dir().join(name));
        let former = {
            let store = folder.open();
            for dir in ["data", "keys"] {
                let mode = std::fs::metadata(folder.0.join(dir))
                    .expect("folder")
                    .mode();
                assert_eq!(mode & 0o777, 0o700, "{dir} is open to others");
            }
            let users = Users::load(&store).await.expect("users");
            let former = users.add("alice", "a long password").await.expect("alice");
            users.add("bob", "another password").await.expect("bob");
            users.shut_out(&former).await;
            let out = users.verify("alice", "a long password".to_owned()).await;
            assert_eq!(out.expect("checked"), None, "an erasure has begun");
            users.erase("alice").await.expect("erased");
            let loaded = store.load(STREAM).await.expect("stream");
            assert!(loaded.changes.is_empty(), "what was erased can be replayed");
            former
        };
        let users = Users::load(&folder.open()).await.expect("users");
        assert_eq!(users.id_of("alice").await, None);
        let right = users.verify("alice", "a long password".to_owned()).await;
        assert_eq!(right.expect("checked"), None);
        let bob = users.verify("bob", "another password".to_owned()).await;
        assert_eq!(bob.expect("checked"), users.id_of("bob").await);
        let again = users.add("alice", "a long password").await.expect("again");
        assert_ne!(again, former);
    }
}
