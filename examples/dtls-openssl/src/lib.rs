//! OpenSSL behind [`coap_psk::dtls::DtlsEndpoint`], for the example programs and as the oracle of the DTLS tests.
//!
//! The system's libssl speaks TLS_PSK_WITH_AES_128_CCM_8 and TLS_PSK_WITH_AES_128_CBC_SHA256, one object per connection;
//! [`dtls_per_peer`] makes an endpoint of many of them. A ClientHello is answered by one object for all peers
//! (`DTLSv1_listen`), so that an address which did not return its cookie costs no memory; the object becomes the connection of
//! the peer that did.
//!
//! ```
//! use coap_psk::CipherSuite;
//! use dtls_openssl::{Limits, Openssl, OpensslEndpoint};
//!
//! let endpoint = OpensslEndpoint::new(Limits::default(), Openssl::new(&CipherSuite::ALL)?);
//! # Ok::<(), coap_psk::Error>(())
//! ```
//!
//! # What is different
//!
//! - OpenSSL reads the time itself, from the system's wall clock, for its retransmissions. An endpoint of it does not keep the
//!   rule that the same input gives the same output.
//! - A peer without encrypt-then-MAC is served: OpenSSL's code for it takes the same time for good and bad padding.
//! - Empty data is not sent, since OpenSSL has no record for it, and identities hold no zero byte.
//! - Until a handshake is verified, an alert in clear ends it, whoever sent that; and with
//!   TLS_PSK_WITH_AES_128_CBC_SHA256 OpenSSL 3.0 ends a session when it gets a record that is not authentic. RFC 6347, 4.1.2.7,
//!   allows that and advises against it.
//! - A session costs about 70 kilobytes, and there are no connection ids.
//!
//! `src/ffi.rs` has the `unsafe` code: what the safe `openssl` crate does not offer of DTLS.

mod connection;
mod context;
mod cookie;
mod engine;
mod ffi;
mod slot;
mod wire;

pub use connection::OpensslConnection;
pub use dtls_per_peer::Limits;
pub use engine::{Openssl, OpensslEndpoint};
