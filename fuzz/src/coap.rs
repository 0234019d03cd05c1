//! Targets of `coap-psk`.

use coap_psk::PskIdentity;

/// The PSK identity that a device sends: what parses is printed exactly as it came.
pub fn identity(bytes: &[u8]) {
    if let Ok(identity) = PskIdentity::parse(bytes) {
        assert_eq!(identity.to_string().as_bytes(), bytes);
    }
}
