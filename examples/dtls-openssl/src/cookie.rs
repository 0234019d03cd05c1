//! Cookies that need no memory: a MAC of what the client said, where it is, and when. (RFC 6347, 4.2.1)

use std::net::IpAddr;

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::memcmp;
use openssl::pkey::{PKey, Private};
use openssl::rand::rand_bytes;
use openssl::sign::Signer;

use crate::slot::Greeting;

/// A cookie is good in the period that it was made in and the next one, in microseconds.
const PERIOD: u64 = 60_000_000;

pub(crate) struct Cookies {
    key: PKey<Private>,
}

impl Cookies {
    pub(crate) fn new() -> Result<Self, ErrorStack> {
        let mut secret = [0; 32];
        rand_bytes(&mut secret)?;
        let key = PKey::hmac(&secret)?;
        Ok(Self { key })
    }

    pub(crate) fn issue(&self, greeting: &Greeting) -> Result<Vec<u8>, ErrorStack> {
        self.sign(greeting, period_of(greeting))
    }

    pub(crate) fn verify(&self, greeting: &Greeting, cookie: &[u8]) -> bool {
        let period = period_of(greeting);
        [Some(period), period.checked_sub(1)]
            .into_iter()
            .flatten()
            .filter_map(|period| self.sign(greeting, period).ok())
            .any(|good| good.len() == cookie.len() && memcmp::eq(&good, cookie))
    }

    fn sign(&self, greeting: &Greeting, period: u64) -> Result<Vec<u8>, ErrorStack> {
        let mut signer = Signer::new(MessageDigest::sha256(), &self.key)?;
        match greeting.from.ip() {
            IpAddr::V4(address) => signer.update(&address.octets())?,
            IpAddr::V6(address) => signer.update(&address.octets())?,
        }
        signer.update(&greeting.from.port().to_be_bytes())?;
        signer.update(&greeting.random)?;
        signer.update(&period.to_be_bytes())?;
        signer.sign_to_vec()
    }
}

const fn period_of(greeting: &Greeting) -> u64 {
    greeting.at.as_micros() / PERIOD
}

#[cfg(test)]
mod tests {
    use coap_psk::Instant;

    use super::*;

    #[test]
    fn a_cookie_is_good_for_its_peer_and_its_time_only() {
        let cookies = Cookies::new().unwrap();
        let greeting = Greeting {
            from: "192.0.2.1:5684".parse().unwrap(),
            random: [1; 32],
            at: Instant::from_micros(PERIOD),
        };
        let cookie = cookies.issue(&greeting).unwrap();
        let after = |micros| Greeting {
            at: Instant::from_micros(PERIOD + micros),
            ..greeting
        };
        assert!(cookies.verify(&greeting, &cookie));
        assert!(cookies.verify(&after(PERIOD), &cookie));
        let port = Greeting {
            from: "192.0.2.1:5685".parse().unwrap(),
            ..greeting
        };
        let random = Greeting {
            random: [2; 32],
            ..greeting
        };
        for other in [after(2 * PERIOD), port, random] {
            assert!(!cookies.verify(&other, &cookie));
        }
        assert!(!cookies.verify(&greeting, &cookie[1..]));
        assert!(!Cookies::new().unwrap().verify(&greeting, &cookie));
    }
}
