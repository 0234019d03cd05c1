//! Mbed TLS 3.6 behind [`coap_psk::dtls::DtlsEndpoint`]: the peer of our own engine that knows the connection ids of RFC 9146, and
//! a second oracle beside OpenSSL.
//!
//! One object per connection, as in `dtls-openssl`; [`dtls_per_peer`] makes an endpoint of many of them. The time is the caller's.
//!
//! ```
//! use coap_psk::CipherSuite;
//! use dtls_mbedtls::{Limits, Mbedtls, MbedtlsEndpoint};
//!
//! let engine = Mbedtls::new(&CipherSuite::ALL, Some(b"id"))?;
//! let endpoint = MbedtlsEndpoint::new(Limits::default(), engine);
//! # Ok::<(), coap_psk::Error>(())
//! ```
//!
//! # What is different
//!
//! - It is for tests. A ClientHello costs a whole connection until its cookie is judged, and cookies and keys draw on the
//!   system's randomness, so that the same input does not give the same output.
//! - A peer without encrypt-then-MAC is served.
//! - Peers are told apart by their addresses: a server here takes and gives connection ids, and follows nobody by them.
//!
//! `src/ffi.rs` has the `unsafe` code, and `c/` what it calls.

mod connection;
mod engine;
mod ffi;

pub use connection::MbedtlsConnection;
pub use dtls_per_peer::Limits;
pub use engine::{Mbedtls, MbedtlsEndpoint};
