use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Certificate, Fingerprint};
use crate::error::ErrorKind;
use crate::unix::unix_millis;

/// The certificate of one device, known by its fingerprint: given beforehand, or fixed by the first one that comes.
///
/// The first comer is trusted only where an operator opened a window for it, and the window closes with the first one.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct LeafPin {
    primary: Option<Fingerprint>,
    secondary: Option<Fingerprint>,
    /// Until when the first comer is taken, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_use_until: Option<u64>,
}

/// What a [`LeafPin`] says to a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "whoever asks must act on each")]
pub enum PinVerdict {
    /// It is the device's.
    Match,
    /// It is the first to come while the window is open: bind it with [`LeafPin::bind`], durably, before anything is answered.
    FirstUse(Fingerprint),
    /// It is not the device's.
    Refused,
}

impl LeafPin {
    /// Pins a certificate, and a second one for the time of a change.
    #[must_use]
    pub fn new(primary: Fingerprint, secondary: Option<Fingerprint>) -> Self {
        Self {
            primary: Some(primary),
            secondary,
            first_use_until: None,
        }
    }

    /// Trusts the first certificate that comes before `until`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] for a time before 1970.
    pub fn dangerous_first_use(until: SystemTime) -> Result<Self, crate::Error> {
        match unix_millis(until) {
            0 => Err(ErrorKind::InvalidValue.into()),
            until => Ok(Self {
                first_use_until: Some(until),
                ..Self::default()
            }),
        }
    }

    /// Judges a certificate at a time. Whether it is valid then is not asked: a pinned certificate is known by itself.
    #[must_use]
    pub fn check(&self, leaf: &Certificate, at: SystemTime) -> PinVerdict {
        let pinned = [self.primary, self.secondary];
        if pinned.iter().flatten().any(|pin| pin.matches(leaf)) {
            return PinVerdict::Match;
        }
        let unbound = pinned.iter().all(Option::is_none);
        let open = self
            .first_use_until
            .is_some_and(|until| unix_millis(at) < until);
        if unbound && open {
            PinVerdict::FirstUse(leaf.fingerprint())
        } else {
            PinVerdict::Refused
        }
    }

    /// Fixes the first comer and closes the window; without effect where one is fixed already.
    pub fn bind(&mut self, fingerprint: Fingerprint) {
        if self.primary.is_none() && self.secondary.is_none() && self.first_use_until.is_some() {
            self.primary = Some(fingerprint);
            self.first_use_until = None;
        }
    }

    /// Forgets what is pinned, and pins this; nothing gets in by a pin of nothing without a window.
    pub fn reset(&mut self, primary: Option<Fingerprint>) {
        *self = Self {
            primary,
            ..Self::default()
        };
    }

    /// The fingerprint that is pinned first.
    #[must_use]
    pub fn primary(&self) -> Option<Fingerprint> {
        self.primary
    }

    /// The second one.
    #[must_use]
    pub fn secondary(&self) -> Option<Fingerprint> {
        self.secondary
    }
}
