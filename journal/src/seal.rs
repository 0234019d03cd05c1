//! Sealing of secrets, so that a journal holds none in the clear.
//!
//! Three layers: the operator's *master key* in a file outside the data directory wraps one *data key* per stream, and
//! the data key seals the secrets of that stream, each bound to its field. The wrapped data keys live in a folder of their
//! own, beside the master key and not in the journal: [`Keyring::destroy`] makes everything that was ever sealed for a
//! stream unreadable, in every backup of the journal too.
//!
//! The folder knows its master key and refuses another, with which no key would be found and nothing be known as destroyed.
//!
//! What is backed up of the keys is one folder that follows this one ([`Keyring::backup`]), never a series of copies.
//!
//! Ciphers: XChaCha20-Poly1305 for both layers; HMAC-SHA256 turns the caller's entropy into keys and nonces.

mod keyring;
mod master;
mod store;

pub use keyring::{Keyring, Unsealed};
pub use master::MasterKey;
