//! The device id of a device that publishes none: it follows from the device's name, so that it is the same wherever and
//! whenever it is worked out.
//!
//! It is a UUID of version 8 (RFC 9562, 5.8): the first 16 bytes of SHA-256 over the 16 bytes of [`NAMESPACE`] and
//! `{ProductKey},{DeviceKey}`, with the bits of version and variant set.

use sha2::{Digest as _, Sha256};
use uci_model::DeviceId;

use super::Name;

/// `324d7167-0897-401d-8baf-9dfad3cacfed`, drawn once for this purpose.
const NAMESPACE: u128 = 0x324d_7167_0897_401d_8baf_9dfa_d3ca_cfed;
const VERSION_8: u128 = 0x8 << 76;
const VARIANT: u128 = 0b10 << 62;

/// The id of the device with this name.
pub(crate) fn given_id(name: &Name) -> DeviceId {
    let digest = Sha256::new()
        .chain_update(NAMESPACE.to_be_bytes())
        .chain_update(name.to_string())
        .finalize();
    let hash = digest
        .iter()
        .take(16)
        .fold(0, |hash: u128, byte| hash << 8 | u128::from(*byte));
    let free = !(0xf << 76 | 0b11 << 62);
    DeviceId::from_bytes((hash & free | VERSION_8 | VARIANT).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_follows_from_the_name_alone() {
        let id = |name: &str| given_id(&name.parse().expect("a name")).to_string();
        // Worked out with Python's hashlib and uuid.
        assert_eq!(
            id("Lb32lYl0,867530900000001"),
            "c4904a22-0018-8384-818b-ad86c3e0c32a"
        );
        assert_eq!(
            id("Lb32lYl0,867530900000002"),
            "7c50b1ec-1973-8c70-b6a1-84de747ba34e"
        );
        assert_eq!(
            id("MuGsF6W4,15bBZlRknc"),
            "ed94a359-2d75-8dd9-be35-9e944eff932b"
        );
    }
}
