use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::seal::MasterKey;
use crate::seal::master::{mac, prefixed_length};
use crate::seal::store::{Held, KeyStore, Name};
use crate::{Error, ErrorKind, Journal};

/// The first byte of everything sealed. It and the layout behind it (24 bytes of nonce, then the ciphertext) are forever.
const FORM: u8 = 1;
const NONCE: usize = 24;
/// How many data keys stay in memory.
const CACHED: usize = 16_384;

/// Seals and opens the secrets of streams.
///
/// One keyring at a time holds the folder: another would not learn that a key was destroyed.
pub struct Keyring {
    master: MasterKey,
    store: KeyStore,
    /// Guards the folder as well: a key that is being destroyed must not come back from a reader's hand.
    keys: Mutex<BTreeMap<String, DataKey>>,
}

impl Keyring {
    /// Opens the folder of wrapped data keys, or makes it, readable by its owner alone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyFile`] when the keys in it belong to another master key; [`ErrorKind::Damaged`] when what tells that is
    /// missing; [`ErrorKind::Locked`] when another keyring holds the folder; [`ErrorKind::NoSpace`], [`ErrorKind::Io`].
    pub fn load(master: MasterKey, folder: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self {
            store: KeyStore::open(folder.as_ref(), check(&master))?,
            master,
            keys: Mutex::default(),
        })
    }

    /// Seals `secret` for one field of a stream.
    ///
    /// `entropy` must be fresh for every call and known to nobody else: it makes the nonce, and for a new stream the data
    /// key, which is durable before this returns.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unopenable`] when the stream's data key belongs to another master key; [`ErrorKind::NoSpace`],
    /// [`ErrorKind::Io`].
    pub fn seal(
        &self,
        stream: &str,
        field: &str,
        entropy: [u8; 32],
        secret: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let entropy = Zeroizing::new(entropy);
        let mut keys = self.keys();
        let key = match self.find(&mut keys, stream)? {
            Some(key) => key,
            None => self.create(&mut keys, stream, &entropy)?,
        };
        drop(keys);
        let bound = bound_to(stream, field);
        encrypt(&key.0, &entropy, &bound, secret)
    }

    /// Opens what [`seal`](Self::seal) returned for the same stream and field.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoKey`] when the stream has no data key; [`ErrorKind::Unopenable`]; [`ErrorKind::Io`].
    pub fn open(&self, stream: &str, field: &str, sealed: &[u8]) -> Result<Unsealed, Error> {
        let key = self.find(&mut self.keys(), stream)?;
        let key = key.ok_or(ErrorKind::NoKey)?;
        decrypt(&key.0, &bound_to(stream, field), sealed).map(Unsealed)
    }

    /// Destroys the data key of a stream: nothing that was sealed for it can be opened again.
    ///
    /// Sealing for the stream afterwards begins with a new key. Destroying twice is harmless. Of a stream that never had
    /// a key, too, the folder then remembers that it was destroyed; [`erase_destroyed`](Self::erase_destroyed) says what for.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoSpace`], [`ErrorKind::Io`]; the key may then still be there, and destroying is to be repeated.
    pub fn destroy(&self, stream: &str) -> Result<(), Error> {
        let mut keys = self.keys();
        keys.remove(stream);
        self.store.destroy(&self.name(stream))
    }

    /// Makes the folder `backup` follow this one: keys that are new are copied there, keys that were destroyed are
    /// destroyed there too.
    ///
    /// The wrapped keys are of no use without the master key, which is not copied. Keep one such folder for all backups of
    /// a journal, never several: an old copy of a key would open what was erased since. A backup of the journal comes
    /// first, then this, so that every secret in that backup has its key.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyFile`] when the keys in `backup` belong to another master key; [`ErrorKind::Locked`] when it is in use;
    /// [`ErrorKind::Damaged`], [`ErrorKind::NoSpace`], [`ErrorKind::Io`].
    pub fn backup(&self, backup: impl AsRef<Path>) -> Result<(), Error> {
        let backup = KeyStore::open(backup.as_ref(), check(&self.master))?;
        for name in self.store.names()? {
            let _held = self.keys();
            backup.follow(&name, &self.store)?;
        }
        // What was destroyed after it had been copied.
        for name in backup.names()? {
            let _held = self.keys();
            backup.follow(&name, &self.store)?;
        }
        Ok(())
    }

    /// Takes in what the folder `backup` has and this one has not: keys, and what it remembers of destroyed ones.
    ///
    /// What this folder has stays, since it may know of a destruction that the backup has not heard of. With another master
    /// key than the backup's nothing is taken in: no key would be found then, and nobody be known as erased.
    ///
    /// # Errors
    ///
    /// As for [`backup`](Self::backup).
    pub fn restore(&self, backup: impl AsRef<Path>) -> Result<(), Error> {
        let backup = KeyStore::open(backup.as_ref(), check(&self.master))?;
        for name in backup.names()? {
            let _held = self.keys();
            if self.store.read(&name)? == Held::Nothing {
                self.store.follow(&name, &backup)?;
            }
        }
        Ok(())
    }

    /// Whether the data key of a stream was destroyed, and no new one made since.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Damaged`], [`ErrorKind::Io`].
    pub fn is_destroyed(&self, stream: &str) -> Result<bool, Error> {
        let _held = self.keys();
        Ok(self.store.read(&self.name(stream))? == Held::Destroyed)
    }

    /// Erases from a journal that comes from a backup every stream whose data key was destroyed since; says how many.
    ///
    /// With their key their secrets are lost already. This removes what was never sealed, too.
    ///
    /// # Errors
    ///
    /// Those of [`Journal::list`] and [`Journal::erase`], and [`ErrorKind::Io`].
    pub fn erase_destroyed(&self, journal: &dyn Journal) -> Result<u64, Error> {
        let (mut erased, mut after) = (0_u64, None::<String>);
        loop {
            let streams = journal.list("", after.as_deref(), 1000)?;
            for stream in &streams {
                if self.is_destroyed(stream)? {
                    journal.erase(stream)?;
                    erased = erased.saturating_add(1);
                }
            }
            let Some(last) = streams.into_iter().next_back() else {
                return Ok(erased);
            };
            after = Some(last);
        }
    }

    fn keys(&self) -> MutexGuard<'_, BTreeMap<String, DataKey>> {
        // The map is only a copy of what is on disk, so a panic elsewhere leaves nothing to mistrust.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(
        &self,
        keys: &mut BTreeMap<String, DataKey>,
        stream: &str,
    ) -> Result<Option<DataKey>, Error> {
        if let Some(key) = keys.get(stream) {
            return Ok(Some(key.clone()));
        }
        let Held::Key(wrapped) = self.store.read(&self.name(stream))? else {
            return Ok(None);
        };
        let key = decrypt(
            self.master.expose(),
            &bound_to(stream, "data key"),
            &wrapped,
        )?;
        let key = <[u8; 32]>::try_from(key.as_slice())
            .map(|key| DataKey(Zeroizing::new(key)))
            .map_err(|_| ErrorKind::Damaged)?;
        cache(keys, stream, &key);
        Ok(Some(key))
    }

    fn create(
        &self,
        keys: &mut BTreeMap<String, DataKey>,
        stream: &str,
        entropy: &[u8; 32],
    ) -> Result<DataKey, Error> {
        let key = self
            .master
            .derive(b"data key", &[entropy, stream.as_bytes()]);
        let key = DataKey(Zeroizing::new(key));
        let bound = bound_to(stream, "data key");
        let wrapped = encrypt(self.master.expose(), entropy, &bound, &*key.0)?;
        if self.store.create(&self.name(stream), &wrapped)? {
            cache(keys, stream, &key);
            return Ok(key);
        }
        // One came from elsewhere in between, as from a backup being put back; that one counts.
        self.find(keys, stream)?
            .ok_or_else(|| ErrorKind::NoKey.into())
    }

    fn name(&self, stream: &str) -> Name {
        self.master.derive(b"file name", &[stream.as_bytes()])
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(..)")
    }
}

/// A secret that was opened. Does not print itself, and is wiped when dropped.
pub struct Unsealed(Zeroizing<Vec<u8>>);

impl Unsealed {
    /// The secret's bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Unsealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unsealed(..)")
    }
}

#[derive(Clone)]
struct DataKey(Zeroizing<[u8; 32]>);

fn cache(keys: &mut BTreeMap<String, DataKey>, stream: &str, key: &DataKey) {
    if keys.len() >= CACHED {
        keys.pop_first();
    }
    keys.insert(stream.to_owned(), key.clone());
}

/// What a folder holds to know its master key again.
fn check(master: &MasterKey) -> [u8; 32] {
    master.derive(b"check", &[])
}

/// What a sealed secret is bound to: no other stream and field give the same bytes.
fn bound_to(stream: &str, field: &str) -> Vec<u8> {
    let length = prefixed_length(stream.as_bytes());
    [&length, stream.as_bytes(), field.as_bytes()].concat()
}

fn encrypt(
    key: &[u8; 32],
    entropy: &[u8; 32],
    bound: &[u8],
    secret: &[u8],
) -> Result<Vec<u8>, Error> {
    // The secret is hashed in, so that even entropy used twice by mistake does not repeat a nonce with another text.
    let nonce = mac(key, b"nonce", &[entropy, bound, secret]);
    let (nonce, _) = nonce.split_at(NONCE);
    let payload = Payload {
        msg: secret,
        aad: bound,
    };
    let ciphertext = XChaCha20Poly1305::new(key.into())
        .encrypt(
            &XNonce::try_from(nonce).map_err(|_| ErrorKind::Damaged)?,
            payload,
        )
        .map_err(|_| ErrorKind::Invalid)?;
    Ok([&[FORM], nonce, &ciphertext].concat())
}

fn decrypt(key: &[u8; 32], bound: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    let Some((&FORM, rest)) = sealed.split_first() else {
        return Err(ErrorKind::Unopenable.into());
    };
    let Some((nonce, ciphertext)) = rest.split_first_chunk::<NONCE>() else {
        return Err(ErrorKind::Unopenable.into());
    };
    let payload = Payload {
        msg: ciphertext,
        aad: bound,
    };
    XChaCha20Poly1305::new(key.into())
        .decrypt(&XNonce::from(*nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| ErrorKind::Unopenable.into())
}
