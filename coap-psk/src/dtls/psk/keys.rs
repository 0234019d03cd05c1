//! From the pre-shared key to the keys of records.

use hmac::Hmac;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::prf::{hmac, prf};
use super::protection::KeyPair;
use crate::secret::PskKey;
use crate::suite::CipherSuite;

/// The random bytes of both hellos.
#[derive(Clone, Copy)]
pub(super) struct Randoms {
    pub(super) client: [u8; 32],
    pub(super) server: [u8; 32],
}

/// One side of a handshake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    Client,
    Server,
}

/// The master secret of a session (RFC 5246, 8.1), as HMAC under it: it is for nothing else, and is wiped with that.
pub(super) struct MasterSecret(Hmac<Sha256>);

impl MasterSecret {
    /// Derives it from the key; `transcript` goes up to the ClientKeyExchange.
    pub(super) fn derive(
        key: &PskKey,
        extended: bool,
        randoms: &Randoms,
        transcript: &Sha256,
    ) -> Self {
        let premaster = hmac(premaster(key).as_slice());
        let mut master = Zeroizing::new([0; 48]);
        if extended {
            // RFC 7627, 4
            let session_hash = transcript.clone().finalize();
            prf(
                &premaster,
                b"extended master secret",
                &[&session_hash],
                master.as_mut_slice(),
            );
        } else {
            prf(
                &premaster,
                b"master secret",
                &[&randoms.client, &randoms.server],
                master.as_mut_slice(),
            );
        }
        Self(hmac(master.as_slice()))
    }

    /// The keys of both directions. (RFC 5246, 6.3)
    pub(super) fn key_pair(&self, suite: CipherSuite, randoms: &Randoms) -> KeyPair {
        let mut material = Zeroizing::new([0; KeyPair::MAX_MATERIAL]);
        let (material, _) = material.split_at_mut(KeyPair::material_len(suite));
        prf(
            &self.0,
            b"key expansion",
            &[&randoms.server, &randoms.client],
            material,
        );
        KeyPair::cut(suite, material)
    }

    /// What the Finished of a side says; `transcript` goes up to it. (RFC 5246, 7.4.9)
    pub(super) fn verify_data(&self, side: Side, transcript: &Sha256) -> [u8; 12] {
        let label: &[u8] = match side {
            Side::Client => b"client finished",
            Side::Server => b"server finished",
        };
        let mut data = [0; 12];
        let hash = transcript.clone().finalize();
        prf(&self.0, label, &[&hash], &mut data);
        data
    }
}

/// What stands before a key of 16 bytes in its premaster secret: as many zeros, each of the two with its length. (RFC 4279, 2)
const BEFORE_KEY: [u8; 20] = [0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16];

/// The premaster secret of plain PSK.
fn premaster(key: &PskKey) -> Zeroizing<[u8; 36]> {
    let mut secret = Zeroizing::new([0; 36]);
    let (before, own) = secret.split_at_mut(BEFORE_KEY.len());
    before.copy_from_slice(&BEFORE_KEY);
    own.copy_from_slice(key.expose());
    secret
}

#[cfg(test)]
mod tests;
