//! Identities of any form over an endpoint that knows those of EnOS alone.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use coap_psk::dtls::{DtlsEndpoint, DtlsEvent, HandshakeId, SessionId, Transmit};
use coap_psk::{Error, Instant, PskIdentity, PskKey};

/// A DTLS engine whose peers name what identities they like: up to 74 bytes, which `coap-psk` sees written in the letters of a product
/// and a device. A longer one looks like a wrong key.
#[derive(Debug)]
pub struct AnyIdentity<D>(D);

impl<D> AnyIdentity<D> {
    /// An engine with its peers' identities as they are.
    #[must_use]
    pub const fn new(engine: D) -> Self {
        Self(engine)
    }
}

/// What a device key begins with, so that it is long enough.
const PREFIX: &str = "psk:";
/// How many letters go into a device key, of at most 64, and into a product key, of at most 40 with a letter before them.
const DEVICE: usize = 60;
const PRODUCT: usize = 39;
/// A client that is silent for so long, in seconds, is gone.
const LIFETIME: u32 = 300;

/// An identity in the form of EnOS; nothing for one that is too long.
#[must_use]
pub(crate) fn disguised(identity: &[u8]) -> Option<Vec<u8>> {
    let letters = URL_SAFE_NO_PAD.encode(identity);
    let (device, product) = letters.split_at(letters.len().min(DEVICE));
    (product.len() <= PRODUCT)
        .then(|| format!("l{product},{PREFIX}{device},2,{LIFETIME}").into_bytes())
}

/// The identity that was disguised.
#[must_use]
pub(crate) fn revealed(identity: &PskIdentity) -> Option<Vec<u8>> {
    let device = identity
        .device()
        .device_key()
        .as_str()
        .strip_prefix(PREFIX)?;
    let product = identity.device().product_key().as_str().strip_prefix('l')?;
    URL_SAFE_NO_PAD.decode(format!("{device}{product}")).ok()
}

impl<D: DtlsEndpoint> DtlsEndpoint for AnyIdentity<D> {
    fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) {
        self.0.handle_datagram(from, datagram, now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.0.next_deadline()
    }

    fn poll_event(&mut self) -> Option<DtlsEvent> {
        let mut event = self.0.poll_event()?;
        if let DtlsEvent::NeedKey { identity, .. } | DtlsEvent::Established { identity, .. } =
            &mut event
        {
            // Nothing is no identity, which ends as a wrong key does.
            *identity = disguised(identity).unwrap_or_default();
        }
        Some(event)
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.0.poll_transmit()
    }

    fn provide_key(&mut self, handshake: HandshakeId, key: Option<PskKey>, now: Instant) {
        self.0.provide_key(handshake, key, now);
    }

    fn connect(
        &mut self,
        to: SocketAddr,
        identity: &[u8],
        key: PskKey,
        now: Instant,
    ) -> Result<SessionId, Error> {
        self.0.connect(to, identity, key, now)
    }

    fn send(&mut self, session: SessionId, data: &[u8], now: Instant) -> Result<(), Error> {
        self.0.send(session, data, now)
    }

    fn confirm_path(&mut self, session: SessionId, now: Instant) {
        self.0.confirm_path(session, now);
    }

    fn close(&mut self, session: SessionId, now: Instant) {
        self.0.close(session, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_of_any_bytes_up_to_74_come_back_and_are_ones_of_enos_meanwhile() {
        for length in [0, 1, 2, 3, 44, 45, 46, 74] {
            let identity: Vec<u8> = (0..length)
                .map(|at| u8::try_from(at * 3).unwrap())
                .collect();
            let seen = PskIdentity::parse(&disguised(&identity).unwrap()).unwrap();
            assert_eq!(revealed(&seen), Some(identity));
        }
        assert_eq!(disguised(&[0; 75]), None);
    }

    #[test]
    fn an_identity_that_was_not_disguised_is_nobodys() {
        let enos = PskIdentity::parse(b"MuGsF6W4,15bBZlRknc,2,3600").unwrap();
        assert_eq!(revealed(&enos), None);
    }
}
