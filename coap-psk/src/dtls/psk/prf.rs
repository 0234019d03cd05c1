//! The pseudo-random function of TLS 1.2 with SHA-256. (RFC 5246, 5)

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// HMAC-SHA256 under a key of any length.
pub(super) fn hmac(key: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    Hmac::new_from_slice(key).expect("HMAC takes keys of every length")
}

/// Fills `out` with `PRF(secret, label, seed)`, where `keyed` is HMAC under the secret; the seed may come in parts.
pub(super) fn prf(keyed: &Hmac<Sha256>, label: &[u8], seed: &[&[u8]], out: &mut [u8]) {
    let hash = |chain: &[u8], with_seed: bool| {
        let mut mac = keyed.clone();
        mac.update(chain);
        if with_seed {
            mac.update(label);
            seed.iter().for_each(|part| mac.update(part));
        }
        Zeroizing::new(<[u8; 32]>::from(mac.finalize().into_bytes()))
    };
    let mut chain: Option<Zeroizing<[u8; 32]>> = None;
    for chunk in out.chunks_mut(32) {
        // A(1) is the hash of the seed, and each further one that of the one before.
        let next = match &chain {
            None => hash(&[], true),
            Some(chain) => hash(chain.as_slice(), false),
        };
        let block = hash(next.as_slice(), true);
        let (block, _) = block.split_at(chunk.len());
        chunk.copy_from_slice(block);
        chain = Some(next);
    }
}
