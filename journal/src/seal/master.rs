use std::fmt;
use std::fs;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{Error, ErrorKind, files};

/// The operator's key, which wraps every data key. Wiped when dropped.
pub struct MasterKey(Zeroizing<[u8; 32]>);

impl MasterKey {
    /// A master key of these bytes, which must come from a source of entropy.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads the key from its file, or makes the file from `entropy`, readable by its owner alone.
    ///
    /// The file holds 64 hexadecimal digits, and perhaps a line end. Keep it outside the data directory, and back it up
    /// apart from it: without it nothing sealed can be opened.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::KeyFile`] when the file holds something else, or others than its owner may read it;
    /// [`ErrorKind::NoSpace`], [`ErrorKind::Io`].
    pub fn load_or_create(path: impl AsRef<Path>, entropy: [u8; 32]) -> Result<Self, Error> {
        let path = path.as_ref();
        let entropy = Zeroizing::new(entropy);
        if !path.try_exists()? {
            let key = Self::new(mac(&entropy, b"master key", &[]));
            // Should another process be faster, its key counts.
            if files::create_holding(path, to_hex(key.expose()).as_bytes())? {
                return Ok(key);
            }
        }
        Self::load(path)
    }

    /// Reads the key from its file.
    ///
    /// # Errors
    ///
    /// As for [`load_or_create`](Self::load_or_create); [`ErrorKind::Io`] when there is no file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            if fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
                return Err(ErrorKind::KeyFile.into());
            }
        }
        let text = Zeroizing::new(fs::read(path)?);
        from_hex(text.trim_ascii_end())
            .map(Self::new)
            .ok_or_else(|| ErrorKind::KeyFile.into())
    }

    /// A key or name that belongs to this master key, by its purpose and parts.
    pub(super) fn derive(&self, purpose: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        mac(&self.0, purpose, parts)
    }

    pub(super) fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// HMAC-SHA256 over the purpose and the parts, each preceded by its length, so that no two lists of parts look alike.
pub(super) fn mac(key: &[u8; 32], purpose: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC fills a key up to its block with zeros; filling it here leaves no length that could be refused.
    let mut block = Zeroizing::new([0; 64]);
    let (head, _) = block.split_at_mut(key.len());
    head.copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    for part in std::iter::once(&purpose).chain(parts) {
        mac.update(&prefixed_length(part));
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

pub(super) fn prefixed_length(part: &[u8]) -> [u8; 8] {
    u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes()
}

pub(super) fn to_hex(bytes: &[u8]) -> Zeroizing<String> {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    Zeroizing::new(
        digits
            .filter_map(|digit| DIGITS.get(usize::from(digit)))
            .collect(),
    )
}

pub(super) fn from_hex(text: &[u8]) -> Option<[u8; 32]> {
    let (pairs, rest) = text.as_chunks::<2>();
    let mut key = Zeroizing::new([0; 32]);
    if !rest.is_empty() || pairs.len() != key.len() {
        return None;
    }
    for (byte, [high, low]) in key.iter_mut().zip(pairs) {
        let high = char::from(*high).to_digit(16)?;
        let low = char::from(*low).to_digit(16)?;
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(*key)
}
