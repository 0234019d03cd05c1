use sha2::{Digest, Sha256};

use crate::{AccessPointId, RegistrationId};

/// How many places an access point has, and how many probes a device.
pub(super) const PLACES: usize = 16;
/// A place takes part in a probe where this many bits of a hash are nought.
const ACCEPTING_BITS: u32 = 4;

/// Whether a place takes part in a probe: both folded by a product of 128 bits.
pub(super) fn accepts(probe: u64, place: u64) -> bool {
    let product = u128::from(probe).wrapping_mul(u128::from(place));
    let (high, low) = (product >> 64, product & u128::from(u64::MAX));
    (high ^ low) >> 64_u32.saturating_sub(ACCEPTING_BITS) == 0
}

/// What the places of an access point follow from, and by which it is found.
pub(in crate::allocation) fn seed(id: &AccessPointId) -> u64 {
    hash("access point", id.as_str())
}

/// The places of an access point with that seed.
pub(super) fn places(seed: u64) -> [u64; PLACES] {
    std::array::from_fn(|n| nth(seed, n as u64))
}

/// The probes of a device.
pub(super) fn probes(device: &RegistrationId) -> [u64; PLACES] {
    places(hash("registration", device.as_str()))
}

/// The first 64 bits of SHA-256 over what is hashed, a zero byte, and the text.
pub(super) fn hash(what: &str, text: &str) -> u64 {
    let mut sha = Sha256::new();
    sha.update(what.as_bytes());
    sha.update([0]);
    sha.update(text.as_bytes());
    let digest: [u8; 32] = sha.finalize().into();
    let mut first = [0; 8];
    first.copy_from_slice(digest.first_chunk::<8>().unwrap_or(&[0; 8]));
    u64::from_be_bytes(first)
}

/// The number `n` of the sequence of SplitMix64 (Steele, Lea and Flood 2014) from a seed.
pub(super) fn nth(seed: u64, n: u64) -> u64 {
    let steps = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = seed.wrapping_add(steps);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
