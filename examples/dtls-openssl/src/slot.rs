//! What the callbacks of OpenSSL have to know of the connection that they are called for.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use coap_psk::{Instant, PskKey};
use dtls_per_peer::{ClientRandom, Hello};

/// Shared by a connection and its callbacks.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<Mutex<Contents>>);

#[derive(Default)]
pub(crate) struct Contents {
    /// What a cookie is about; `None` in a client.
    pub(crate) greeting: Option<Greeting>,
    /// The identity of a client.
    pub(crate) identity: Vec<u8>,
    /// The key, when it is known.
    pub(crate) key: Option<PskKey>,
}

/// A ClientHello, and when it came.
#[derive(Clone, Copy)]
pub(crate) struct Greeting {
    pub(crate) from: SocketAddr,
    pub(crate) random: ClientRandom,
    pub(crate) at: Instant,
}

impl Slot {
    pub(crate) fn of_client(identity: &[u8], key: PskKey) -> Self {
        Self(Arc::new(Mutex::new(Contents {
            greeting: None,
            identity: identity.to_vec(),
            key: Some(key),
        })))
    }

    pub(crate) fn greet(&self, hello: &Hello<'_>, at: Instant) {
        self.contents().greeting = Some(Greeting {
            from: hello.from,
            random: *hello.random,
            at,
        });
    }

    pub(crate) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot(..)")
    }
}
