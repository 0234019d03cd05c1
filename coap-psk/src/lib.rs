//! Constrained devices over CoAP and DTLS-PSK: identities, derived keys, dynamic activation, lifetime presence, message layer.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;
