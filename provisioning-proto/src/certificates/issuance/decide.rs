use std::time::SystemTime;

use subtle::ConstantTimeEq as _;

use super::{
    Activation, Change, Config, Fact, Issued, IssuedCertificates, Issuer, ListToSign, MAX_ACTIVE,
    MAX_PENDING, Profile, Reason, State, ToSign,
};
use crate::certificates::algorithm::check_signature;
use crate::certificates::signed::assemble;
use crate::certificates::{
    Certificate, CertificateError, Digest, Serial, SignatureAlgorithm, Signatures,
};
use crate::time::{millis, unix_millis};
use crate::{CaId, Error, ErrorKind, ProfileId, RegistrationId, SealedSecret, Secret};

/// The longest URL of a list of revocations, in bytes.
const MAX_URL: usize = 1024;

/// What is wanted of the ledger.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Command {
    /// Lets somebody sign from now on. One who did before stays, for the list of its revocations.
    AddIssuer {
        /// Its id, never used before.
        issuer: CaId,
        /// Its certificate: an authority's, with a key on an elliptic curve.
        certificate: Box<Certificate>,
        /// Its private key.
        key: SealedSecret,
        /// Where its list of revocations is fetched: an `http` or `https` URL to be written into certificates.
        list_url: Option<String>,
    },
    /// Makes or changes a profile.
    SetProfile {
        /// Its id.
        profile: ProfileId,
        /// The profile.
        settings: Profile,
    },
    /// Removes a profile; what was issued by it stays.
    RemoveProfile(ProfileId),
    /// A prepared certificate was signed. Answered with [`Reply::Issued`].
    Record {
        /// What was prepared.
        prepared: Box<ToSign>,
        /// The signature.
        signature: Vec<u8>,
        /// Random bytes, for the token.
        entropy: [u8; 32],
    },
    /// A device shows the token of its certificate. Answered with [`Reply::Activated`].
    Activate {
        /// The device, as it authenticated itself.
        id: RegistrationId,
        /// The token.
        token: Secret,
    },
    /// Takes a certificate out of use for ever.
    Revoke {
        /// Its serial number.
        serial: Serial,
        /// Why.
        reason: Reason,
    },
    /// Takes all certificates of a device out of use for ever.
    RevokeAll {
        /// The device.
        id: RegistrationId,
        /// Why.
        reason: Reason,
    },
    /// Lets other devices have the keys of one that has no certificate any more.
    ReleaseKeys(RegistrationId),
    /// Removes what time has ended, up to so many.
    Expire {
        /// How many at most.
        most: usize,
    },
    /// A prepared list of revocations was signed. Answered with [`Reply::List`].
    RecordList {
        /// What was prepared.
        prepared: Box<ListToSign>,
        /// The signature.
        signature: Vec<u8>,
    },
}

/// What follows from a command: changes to append, and what to answer once they are durable.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// The changes, in order; none when everything is as wanted already.
    pub changes: Vec<Change>,
    /// The answer to whoever gave the command.
    pub reply: Reply,
}

/// The answer to a [`Command`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// It is done.
    Done,
    /// The certificate, for its device alone while it has a token.
    Issued {
        /// The certificate.
        certificate: Box<Certificate>,
        /// Who signed it.
        issuer: Box<Certificate>,
        /// The token that makes it active, unless it is: 64 hexadecimal digits.
        token: Option<Secret>,
    },
    /// The certificate that became active.
    Activated(Serial),
    /// The list of revocations, DER.
    List(Vec<u8>),
}

impl IssuedCertificates {
    /// Decides what a command changes at the time `wall`, and changes nothing itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownAuthority`], [`ErrorKind::UnknownEntry`], [`ErrorKind::Exists`], [`ErrorKind::InUse`],
    /// [`ErrorKind::Full`], [`ErrorKind::InvalidValue`], [`ErrorKind::Conflict`] for what was prepared on another state, and
    /// [`ErrorKind::Certificate`] with the [`CertificateError`] as its source.
    pub fn decide(
        &self,
        command: Command,
        config: &Config,
        signatures: &dyn Signatures,
        wall: SystemTime,
    ) -> Result<Decision, Error> {
        let at = self.latest.max(unix_millis(wall));
        let done = |facts: Vec<Fact>| (facts, Reply::Done);
        let (facts, reply) = match command {
            Command::AddIssuer {
                issuer,
                certificate,
                key,
                list_url,
            } => done(self.add_issuer(issuer, certificate, key, list_url, config, wall)?),
            Command::SetProfile { profile, settings } => {
                done(self.set_profile(profile, settings, config)?)
            }
            Command::RemoveProfile(profile) => {
                let known = self.profiles.contains_key(&profile);
                done(
                    known
                        .then_some(Fact::ProfileRemoved { profile })
                        .into_iter()
                        .collect(),
                )
            }
            Command::Record {
                prepared,
                signature,
                entropy,
            } => self.record(*prepared, &signature, entropy, config, signatures, at)?,
            Command::Activate { id, token } => self.activate(&id, &token, at)?,
            Command::Revoke { serial, reason } => {
                let issued = self
                    .certificates
                    .get(&serial)
                    .ok_or(ErrorKind::UnknownEntry)?;
                done(revoke(&serial, issued, reason).into_iter().collect())
            }
            Command::RevokeAll { id, reason } => done(
                self.certificates_of(&id)
                    .filter_map(|(serial, issued)| revoke(serial, issued, reason))
                    .collect(),
            ),
            Command::ReleaseKeys(id) => {
                if self.by_id.contains_key(&id) {
                    return Err(ErrorKind::InUse.into());
                }
                let any = self.keys.values().any(|owner| *owner == id);
                done(
                    any.then_some(Fact::KeysReleased { id })
                        .into_iter()
                        .collect(),
                )
            }
            Command::Expire { most } => done(self.expired(at, most)),
            Command::RecordList {
                prepared,
                signature,
            } => self.record_list(*prepared, &signature, signatures)?,
        };
        Ok(Decision {
            changes: facts.into_iter().map(|fact| Change { at, fact }).collect(),
            reply,
        })
    }

    fn add_issuer(
        &self,
        issuer: CaId,
        certificate: Box<Certificate>,
        key: SealedSecret,
        list_url: Option<String>,
        config: &Config,
        wall: SystemTime,
    ) -> Result<Vec<Fact>, Error> {
        if self.issuers.contains_key(&issuer) {
            return Err(ErrorKind::Exists.into());
        }
        if !certificate.is_authority() {
            return Err(CertificateError::NotAuthority.into());
        }
        certificate.check_validity(wall)?;
        if SignatureAlgorithm::for_issuer(certificate.public_key().algorithm()).is_none() {
            return Err(CertificateError::UnsupportedAlgorithm.into());
        }
        let fits = |url: &String| {
            url.len() <= MAX_URL
                && url.bytes().all(|byte| byte.is_ascii_graphic())
                && (url.starts_with("https://") || url.starts_with("http://"))
        };
        if !list_url.as_ref().is_none_or(fits) {
            return Err(ErrorKind::InvalidValue.into());
        }
        if self
            .keys
            .contains_key(&Digest::of(certificate.public_key().spki()))
        {
            return Err(CertificateError::KeyTaken.into());
        }
        if self.issuers.len() >= config.max_issuers {
            return Err(ErrorKind::Full.into());
        }
        Ok(vec![Fact::IssuerAdded {
            issuer,
            certificate,
            key,
            list_url,
        }])
    }

    fn set_profile(
        &self,
        profile: ProfileId,
        settings: Profile,
        config: &Config,
    ) -> Result<Vec<Fact>, ErrorKind> {
        settings.check()?;
        let known = self.profiles.get(&profile);
        if known == Some(&settings) {
            return Ok(Vec::new());
        }
        if known.is_none() && self.profiles.len() >= config.max_profiles {
            return Err(ErrorKind::Full);
        }
        Ok(vec![Fact::ProfileSet { profile, settings }])
    }

    /// Puts certificate and signature together, and checks all that may have changed since it was prepared.
    fn record(
        &self,
        prepared: ToSign,
        signature: &[u8],
        entropy: [u8; 32],
        config: &Config,
        signatures: &dyn Signatures,
        at: u64,
    ) -> Result<(Vec<Fact>, Reply), Error> {
        let issuer = self
            .issuers
            .get(&prepared.issuer)
            .filter(|_| self.current.as_ref() == Some(&prepared.issuer))
            .ok_or(ErrorKind::Conflict)?;
        let certificate = signed(&prepared, signature, issuer, signatures)?;
        self.check_key(&prepared.id, &prepared.public_key, config)?;
        if self.certificates.contains_key(&prepared.serial) {
            return Err(ErrorKind::Exists.into());
        }
        if self.certificates.len() >= config.max_certificates {
            return Err(ErrorKind::Full.into());
        }
        let token = match prepared.activation {
            Activation::Token => Some(Secret::new(base16ct::lower::encode_string(&entropy))?),
            Activation::Immediate => None,
        };
        let state = token
            .as_ref()
            .map_or(State::Active, |token| State::PendingActivation {
                token: Digest::of(token.expose()),
                expires_at: at.saturating_add(millis(config.token_lifetime)),
            });
        let mut facts = match state {
            State::Active => self.make_room(&prepared.id),
            _ => self.drop_pending(&prepared.id),
        };
        let issued = Issued {
            id: prepared.id,
            issuer: prepared.issuer,
            digest: Digest::of(certificate.der()),
            key: prepared.public_key,
            issued_at: at,
            not_after: unix_millis(certificate.not_after()),
            state,
        };
        facts.push(Fact::CertificateIssued {
            serial: prepared.serial,
            issued,
        });
        let reply = Reply::Issued {
            certificate: Box::new(certificate),
            issuer: Box::new(issuer.certificate.clone()),
            token,
        };
        Ok((facts, reply))
    }

    fn activate(
        &self,
        id: &RegistrationId,
        token: &Secret,
        at: u64,
    ) -> Result<(Vec<Fact>, Reply), Error> {
        let shown = Digest::of(token.expose());
        // The token of another device is nothing here: only this device's certificates are looked at.
        let found = self.certificates_of(id).find(|(_, issued)| {
            matches!(&issued.state, State::PendingActivation { token, expires_at }
                if *expires_at > at && bool::from(token.as_bytes().ct_eq(shown.as_bytes())))
        });
        let (serial, _) = found.ok_or(CertificateError::Denied)?;
        let mut facts = self.make_room(id);
        facts.push(Fact::CertificateActivated {
            serial: serial.clone(),
        });
        Ok((facts, Reply::Activated(serial.clone())))
    }

    /// Supersedes the oldest active certificates, so that there is room for one more.
    fn make_room(&self, id: &RegistrationId) -> Vec<Fact> {
        let active = self.oldest_first(id, |state| *state == State::Active);
        superfluous(active, MAX_ACTIVE)
            .map(|serial| Fact::CertificateSuperseded { serial })
            .collect()
    }

    fn drop_pending(&self, id: &RegistrationId) -> Vec<Fact> {
        let pending = |state: &State| matches!(state, State::PendingActivation { .. });
        superfluous(self.oldest_first(id, pending), MAX_PENDING)
            .map(|serial| Fact::PendingRemoved { serial })
            .collect()
    }

    fn oldest_first(&self, id: &RegistrationId, wanted: impl Fn(&State) -> bool) -> Vec<Serial> {
        let mut found: Vec<_> = self
            .certificates_of(id)
            .filter(|(_, issued)| wanted(&issued.state))
            .map(|(serial, issued)| (issued.issued_at, serial))
            .collect();
        found.sort();
        found
            .into_iter()
            .map(|(_, serial)| serial.clone())
            .collect()
    }

    fn expired(&self, at: u64, most: usize) -> Vec<Fact> {
        let ended = self.due.iter().take_while(|(due, _)| *due <= at).take(most);
        let fact = |(_, serial): &(u64, Serial)| {
            let serial = serial.clone();
            let pending =
                |issued: &&Issued| matches!(issued.state, State::PendingActivation { .. });
            match self.certificates.get(&serial).filter(pending) {
                Some(_) => Fact::PendingRemoved { serial },
                None => Fact::CertificateExpired { serial },
            }
        };
        ended.map(fact).collect()
    }

    fn record_list(
        &self,
        prepared: ListToSign,
        signature: &[u8],
        signatures: &dyn Signatures,
    ) -> Result<(Vec<Fact>, Reply), Error> {
        let issuer = self
            .issuers
            .get(&prepared.issuer)
            .filter(|issuer| issuer.list_number < prepared.number)
            .ok_or(ErrorKind::Conflict)?;
        check_signature(
            signatures,
            prepared.algorithm,
            issuer.certificate.public_key(),
            &prepared.message,
            signature,
        )?;
        let identifier = prepared
            .algorithm
            .identifier()
            .ok_or(CertificateError::UnsupportedAlgorithm)?;
        let list = assemble(&prepared.message, &identifier, signature)?;
        let fact = Fact::ListIssued {
            issuer: prepared.issuer,
            number: prepared.number,
        };
        Ok((vec![fact], Reply::List(list)))
    }
}

/// All but the newest, where they leave no room for one more.
fn superfluous(oldest_first: Vec<Serial>, most: usize) -> impl Iterator<Item = Serial> {
    let over = oldest_first.len().saturating_add(1).saturating_sub(most);
    oldest_first.into_iter().take(over)
}

/// The whole certificate, read again as a device or an outsider reads it, and signed by its issuer.
fn signed(
    prepared: &ToSign,
    signature: &[u8],
    issuer: &Issuer,
    signatures: &dyn Signatures,
) -> Result<Certificate, CertificateError> {
    let identifier = prepared
        .algorithm
        .identifier()
        .ok_or(CertificateError::UnsupportedAlgorithm)?;
    let certificate = Certificate::from_der(&assemble(&prepared.message, &identifier, signature)?)?;
    certificate.check_issued_by(&issuer.certificate, signatures)?;
    Ok(certificate)
}

fn revoke(serial: &Serial, issued: &Issued, reason: Reason) -> Option<Fact> {
    let serial = serial.clone();
    match issued.state {
        // Nobody has used it, and nobody will.
        State::PendingActivation { .. } => Some(Fact::PendingRemoved { serial }),
        State::Revoked { .. } => None,
        State::Active | State::Superseded { .. } => {
            Some(Fact::CertificateRevoked { serial, reason })
        }
    }
}
