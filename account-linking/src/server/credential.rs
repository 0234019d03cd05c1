//! The texts of authorization codes and refresh tokens.
//!
//! Both name their user and grant, so that they are found without an index over secrets. A code
//! carries 256 random bits of which the hash is kept; a refresh token carries its generation and
//! a MAC over everything under a key that no store holds.

use crate::error::{Error, ErrorKind};
use crate::secret::{
    AuthorizationCode, RefreshToken, SecretBytes, base64url, from_base64url, same, sha256,
};
use crate::server::config::RefreshKey;
use crate::server::grants::RefreshSeed;
use crate::server::ids::GrantId;
use crate::user_id::UserId;

const CODE: u8 = b'c';
const REFRESH: u8 = b'r';

/// A code as a client presents it.
#[derive(Clone, Debug)]
pub(crate) struct PresentedCode {
    pub(crate) user: UserId,
    pub(crate) grant: GrantId,
    pub(crate) hash: [u8; 32],
}

/// Makes the code of a grant.
pub(crate) fn code(
    user: &UserId,
    grant: GrantId,
    secret: &SecretBytes,
) -> Result<AuthorizationCode, Error> {
    let mut bytes = head(CODE, user, grant)?;
    bytes.extend_from_slice(secret.expose());
    AuthorizationCode::new(base64url(&bytes))
}

/// Reads a code; what it names need not exist.
pub(crate) fn parse_code(text: &str) -> Option<PresentedCode> {
    let bytes = from_base64url(text)?;
    let (user, grant, secret) = split_head(CODE, &bytes)?;
    (secret.len() == 32).then(|| PresentedCode {
        user,
        grant,
        hash: sha256(text.as_bytes()),
    })
}

/// The hash under which a code is kept.
pub(crate) fn code_hash(code: &AuthorizationCode) -> [u8; 32] {
    sha256(code.expose().as_bytes())
}

/// A refresh token as a client presents it, not yet known to be authentic.
#[derive(Clone, Debug)]
pub(crate) struct PresentedRefresh {
    pub(crate) user: UserId,
    pub(crate) grant: GrantId,
    pub(crate) generation: u64,
    key: u8,
    covered: Vec<u8>,
    mac: Vec<u8>,
}

/// Makes the refresh token of a generation: the same bytes every time.
pub(crate) fn refresh_token(
    user: &UserId,
    grant: GrantId,
    seed: RefreshSeed,
    keys: &[RefreshKey],
) -> Result<RefreshToken, Error> {
    let key = find(keys, seed.key).ok_or(ErrorKind::InvalidConfig)?;
    let mut bytes = head(REFRESH, user, grant)?;
    bytes.push(seed.key);
    bytes.extend_from_slice(&seed.generation.to_be_bytes());
    let mac = key.mac(&[b"refresh token", &bytes, &seed.salt]);
    bytes.extend_from_slice(&mac);
    RefreshToken::new(base64url(&bytes))
}

/// Reads a refresh token; what it names need not exist.
pub(crate) fn parse_refresh(text: &str) -> Option<PresentedRefresh> {
    let bytes = from_base64url(text)?;
    let (user, grant, rest) = split_head(REFRESH, &bytes)?;
    let (key, rest) = rest.split_first()?;
    let (generation, mac) = rest.split_first_chunk::<8>()?;
    let covered = bytes.get(..bytes.len().checked_sub(mac.len())?)?;
    (mac.len() == 32).then(|| PresentedRefresh {
        user,
        grant,
        generation: u64::from_be_bytes(*generation),
        key: *key,
        covered: covered.to_vec(),
        mac: mac.to_vec(),
    })
}

impl PresentedRefresh {
    /// Whether this server made the token, for the grant with this salt.
    pub(crate) fn is_authentic(&self, salt: &[u8; 16], keys: &[RefreshKey]) -> bool {
        find(keys, self.key).is_some_and(|key| {
            let mac = key.mac(&[b"refresh token", &self.covered, salt]);
            same(&mac, &self.mac)
        })
    }
}

fn find(keys: &[RefreshKey], id: u8) -> Option<&SecretBytes> {
    keys.iter().find(|key| key.id == id).map(|key| &key.key)
}

fn head(kind: u8, user: &UserId, grant: GrantId) -> Result<Vec<u8>, Error> {
    let user = user.as_str().as_bytes();
    let length = u8::try_from(user.len()).map_err(|_| ErrorKind::InvalidIdentifier)?;
    let mut bytes = vec![kind, length];
    bytes.extend_from_slice(user);
    bytes.extend_from_slice(&grant.to_bytes());
    Ok(bytes)
}

fn split_head(kind: u8, bytes: &[u8]) -> Option<(UserId, GrantId, &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first()?;
    let (user, rest) = rest.split_at_checked(usize::from(*length))?;
    let (grant, rest) = rest.split_first_chunk::<16>()?;
    let user = core::str::from_utf8(user).ok()?.parse().ok()?;
    (*found == kind).then_some((user, GrantId::from_bytes(*grant), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<RefreshKey> {
        vec![
            RefreshKey::new(2, SecretBytes::new([2; 32])),
            RefreshKey::new(1, SecretBytes::new([1; 32])),
        ]
    }

    fn token(generation: u64, key: u8) -> RefreshToken {
        let seed = RefreshSeed {
            generation,
            key,
            salt: [5; 16],
        };
        let user = "user-1".parse().unwrap();
        refresh_token(&user, GrantId::from_bytes([3; 16]), seed, &keys()).unwrap()
    }

    #[test]
    fn a_refresh_token_is_authentic_under_its_key_and_salt_only() {
        let presented = parse_refresh(token(7, 1).expose()).unwrap();
        assert_eq!(presented.generation, 7);
        assert!(presented.is_authentic(&[5; 16], &keys()));
        assert!(!presented.is_authentic(&[6; 16], &keys()));
        assert!(!presented.is_authentic(&[5; 16], &keys()[..1]));
        assert_ne!(token(7, 1), token(7, 2));
        assert_ne!(token(7, 1), token(8, 1));
        assert_eq!(token(7, 1), token(7, 1));
    }

    #[test]
    fn every_changed_byte_of_a_refresh_token_is_noticed() {
        let bytes = from_base64url(token(7, 1).expose()).unwrap();
        for index in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[index] ^= 1;
            let accepted = parse_refresh(&base64url(&forged))
                .is_some_and(|presented| presented.is_authentic(&[5; 16], &keys()));
            assert!(!accepted, "byte {index}");
        }
    }

    #[test]
    fn codes_and_refresh_tokens_are_not_taken_for_each_other() {
        let user = "user-1".parse().unwrap();
        let secret = SecretBytes::new([8; 32]);
        let code = code(&user, GrantId::from_bytes([3; 16]), &secret).unwrap();
        let presented = parse_code(code.expose()).unwrap();
        assert_eq!(presented.hash, code_hash(&code));
        assert_eq!(presented.user, user);
        assert!(parse_refresh(code.expose()).is_none());
        assert!(parse_code(token(1, 1).expose()).is_none());
    }
}
