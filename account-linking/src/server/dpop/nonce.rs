//! Nonces that the server demands in proofs (RFC 9449 8): made from the time and a key, none is kept.

use core::time::Duration;

use super::DpopNonce;
use crate::secret::{SecretBytes, same};

/// Makes and knows nonces; each is good in the time it was made in and the one after.
#[derive(Debug)]
pub(crate) struct Nonces {
    key: SecretBytes,
    lifetime: u64,
}

impl Nonces {
    /// `seed` is of this start.
    pub(crate) fn new(seed: &SecretBytes, lifetime: Duration) -> Self {
        Self {
            key: SecretBytes::new(seed.derive("dpop nonce")),
            lifetime: lifetime.as_secs().max(1),
        }
    }

    /// The nonce to use now.
    pub(crate) fn current(&self, wall: Duration) -> DpopNonce {
        self.of(self.turn(wall))
    }

    /// Whether `nonce` was given lately.
    pub(crate) fn admits(&self, nonce: &str, wall: Duration) -> bool {
        let turn = self.turn(wall);
        let lately = [Some(turn), turn.checked_sub(1)].into_iter().flatten();
        lately.fold(false, |found, turn| {
            found | same(self.of(turn).to_string().as_bytes(), nonce.as_bytes())
        })
    }

    fn turn(&self, wall: Duration) -> u64 {
        wall.as_secs()
            .checked_div(self.lifetime)
            .unwrap_or_default()
    }

    fn of(&self, turn: u64) -> DpopNonce {
        DpopNonce::from_bytes(self.key.mac(&[&turn.to_be_bytes()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_for_its_lifetime_and_no_longer_than_twice_that() {
        let nonces = Nonces::new(&SecretBytes::new([1; 32]), Duration::from_secs(10));
        let at = Duration::from_secs;
        let nonce = nonces.current(at(19)).to_string();
        for (time, good) in [(19, true), (29, true), (30, false), (9, false)] {
            assert_eq!(nonces.admits(&nonce, at(time)), good, "{time}");
        }
        let other = Nonces::new(&SecretBytes::new([2; 32]), Duration::from_secs(10));
        assert!(!other.admits(&nonce, at(19)));
        assert!(!nonces.admits("", at(19)));
    }
}
