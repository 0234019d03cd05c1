//! Cookies: proof that a client receives at the address it sends from, without anything kept for it. (RFC 6347, 4.2.1)

use core::mem;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::hello::ClientHello;
use super::prf::hmac;
use crate::random::Random;
use crate::time::Instant;

const COOKIE_LEN: usize = 16;

/// No client could return a cookie sooner.
const SHORTEST_LIFETIME: Duration = Duration::from_secs(1);

/// HMAC under it, which is wiped with that.
type Key = Hmac<Sha256>;

/// The key of cookies and the one before it.
pub(super) struct Cookies {
    current: Key,
    previous: Key,
    rotated: Instant,
}

impl Cookies {
    pub(super) fn new(random: &mut Random) -> Self {
        Self {
            current: fresh(random),
            previous: fresh(random),
            rotated: Instant::ZERO,
        }
    }

    /// Takes new keys when their time has come.
    pub(super) fn rotate(&mut self, lifetime: Duration, random: &mut Random, now: Instant) {
        let lifetime = lifetime.max(SHORTEST_LIFETIME);
        let age = now.saturating_duration_since(self.rotated);
        if age < lifetime {
            return;
        }
        let current = mem::replace(&mut self.current, fresh(random));
        if age < lifetime.saturating_mul(2) {
            self.previous = current;
            // On time, even if no client came then: what is too old must not live on.
            self.rotated = self.rotated.saturating_add(lifetime);
        } else {
            self.previous = fresh(random);
            self.rotated = now;
        }
    }

    /// The cookie for this hello from this address.
    pub(super) fn issue(&self, peer: SocketAddr, hello: &ClientHello<'_>) -> [u8; COOKIE_LEN] {
        compute(&self.current, peer, hello)
    }

    /// Whether the hello brings a cookie that was issued for it.
    pub(super) fn verify(&self, peer: SocketAddr, hello: &ClientHello<'_>) -> bool {
        hello.cookie.len() == COOKIE_LEN
            && [&self.current, &self.previous]
                .into_iter()
                .any(|key| compute(key, peer, hello).ct_eq(hello.cookie).into())
    }
}

fn fresh(random: &mut Random) -> Key {
    let mut key = Zeroizing::new([0; 32]);
    random.fill(key.as_mut_slice());
    hmac(key.as_slice())
}

/// The client must repeat all of its hello but the cookie, so all of it is covered.
fn compute(key: &Key, peer: SocketAddr, hello: &ClientHello<'_>) -> [u8; COOKIE_LEN] {
    let mut mac = key.clone();
    let ip = match peer.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    mac.update(&ip.octets());
    mac.update(&peer.port().to_be_bytes());
    for part in hello.parameters {
        mac.update(part);
    }
    let tag = mac.finalize().into_bytes();
    core::array::from_fn(|at| tag.get(at).copied().unwrap_or_default())
}
