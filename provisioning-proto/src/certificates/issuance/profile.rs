use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::certificates::KeyAlgorithm;
use crate::{Error, ErrorKind};

/// The longest validity, in days: ten years.
const MAX_DAYS: u32 = 3653;

/// How certificates are issued.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Profile {
    /// For how many days a certificate is valid, and never longer than its issuer.
    pub days: u32,
    /// The kinds of key that are certified.
    pub keys: BTreeSet<KeyAlgorithm>,
    /// What the certificate may be used for.
    pub purposes: BTreeSet<Purpose>,
    /// What becomes of a request for something else than the device's own certificate.
    pub misnamed: Misnamed,
    /// How a certificate becomes active.
    pub activation: Activation,
}

impl Profile {
    /// For device certificates of so many days, 1 to 3653: elliptic curves, client authentication, refusing, by token.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`].
    pub fn new(days: u32) -> Result<Self, Error> {
        let profile = Self {
            days,
            keys: [
                KeyAlgorithm::EcdsaP256,
                KeyAlgorithm::EcdsaP384,
                KeyAlgorithm::Ed25519,
            ]
            .into(),
            purposes: [Purpose::ClientAuth].into(),
            misnamed: Misnamed::Refuse,
            activation: Activation::Token,
        };
        profile.check()?;
        Ok(profile)
    }

    pub(super) fn check(&self) -> Result<(), ErrorKind> {
        let fits = (1..=MAX_DAYS).contains(&self.days)
            && !self.keys.is_empty()
            && !self.purposes.is_empty();
        fits.then_some(()).ok_or(ErrorKind::InvalidValue)
    }
}

/// What a certificate may be used for (RFC 5280, 4.2.1.12).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// As a client in TLS.
    ClientAuth,
    /// As a server in TLS.
    ServerAuth,
}

/// What becomes of a request that names another device or asks to be an authority.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Misnamed {
    /// It is refused.
    Refuse,
    /// It is answered with a certificate for the device that asks, which is no authority.
    Overwrite,
}

/// How a certificate becomes active.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// When its token is shown, within [`Config::token_lifetime`](super::Config::token_lifetime).
    Token,
    /// As soon as it is issued.
    Immediate,
}
