use std::time::SystemTime;

use subtle::ConstantTimeEq as _;

use super::{
    Authority, CertificateAuthorities, Challenge, Change, Config, Denial, Fact, Reference,
};
use crate::certificates::{Certificate, CertificateError, Signatures};
use crate::time::{millis, unix_millis};
use crate::{CaId, Error, ErrorKind};

/// The longest name of an authority, in bytes.
const MAX_NAME: usize = 256;

/// What an operator wants of the ledger.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Uploads an authority.
    Upload {
        /// A name for people, 1 to 256 bytes.
        name: String,
        /// Its certificate.
        certificate: Certificate,
    },
    /// Puts another certificate in the place of its own.
    ReplaceCertificate(Certificate),
    /// Makes a code to be signed; a former one ends. Answered with [`Reply::Code`].
    GenerateCode {
        /// Random bytes.
        entropy: [u8; 20],
    },
    /// Shows a certificate that has the code as its common name. Answered with [`Reply::Verified`] or [`Reply::NotVerified`].
    Verify(Certificate),
    /// Whether devices are still taken after its end.
    SetAcceptExpired(bool),
    /// Takes it out of use.
    Revoke,
    /// Deletes it, if nothing refers to it.
    Delete,
    /// Something refers to it from now on.
    Refer(Reference),
    /// Something refers to it no more.
    Unrefer(Reference),
    /// Refuses a certificate below it.
    Deny(Denial),
    /// Refuses it no more.
    Allow(Denial),
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
    /// The code to be signed.
    Code(Challenge),
    /// The key is proved.
    Verified,
    /// The certificate does not prove the key; the change that counts this must be stored.
    NotVerified(CertificateError),
}

impl CertificateAuthorities {
    /// Decides what a command changes at the time `wall`, and changes nothing itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownAuthority`], [`ErrorKind::Exists`], [`ErrorKind::InUse`], [`ErrorKind::CaTaken`], [`ErrorKind::Full`],
    /// [`ErrorKind::InvalidValue`], [`ErrorKind::NoCode`], and [`ErrorKind::Certificate`] with the
    /// [`CertificateError`] as its source.
    pub fn decide(
        &self,
        ca: &CaId,
        command: Command,
        config: &Config,
        signatures: &dyn Signatures,
        wall: SystemTime,
    ) -> Result<Decision, Error> {
        let at = self.latest.max(unix_millis(wall));
        let (fact, reply) = match command {
            Command::Upload { name, certificate } => (
                self.upload(ca, name, certificate, config, wall)?,
                Reply::Done,
            ),
            Command::GenerateCode { entropy } => generate(self.known(ca)?, entropy, config, at)?,
            Command::Verify(shown) => verify(self.known(ca)?, &shown, signatures, at)?,
            Command::ReplaceCertificate(certificate) => {
                (self.replace(ca, certificate, wall)?, Reply::Done)
            }
            Command::Delete => {
                if !self.known(ca)?.references.is_empty() {
                    return Err(ErrorKind::InUse.into());
                }
                (Some(Fact::Deleted), Reply::Done)
            }
            other => (settle(self.known(ca)?, other, config)?, Reply::Done),
        };
        let ca = ca.clone();
        Ok(Decision {
            changes: fact
                .map(|fact| Change { at, ca, fact })
                .into_iter()
                .collect(),
            reply,
        })
    }

    fn known(&self, ca: &CaId) -> Result<&Authority, ErrorKind> {
        self.authorities.get(ca).ok_or(ErrorKind::UnknownAuthority)
    }

    fn upload(
        &self,
        ca: &CaId,
        name: String,
        certificate: Certificate,
        config: &Config,
        wall: SystemTime,
    ) -> Result<Option<Fact>, Error> {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(ErrorKind::InvalidValue.into());
        }
        if self.authorities.contains_key(ca) {
            return Err(ErrorKind::Exists.into());
        }
        self.admit(ca, &certificate, wall)?;
        if self.authorities.len() >= config.max_authorities {
            return Err(ErrorKind::Full.into());
        }
        Ok(Some(Fact::Uploaded { name, certificate }))
    }

    fn replace(
        &self,
        ca: &CaId,
        certificate: Certificate,
        wall: SystemTime,
    ) -> Result<Option<Fact>, Error> {
        if self.known(ca)?.certificate == certificate {
            return Ok(None);
        }
        self.admit(ca, &certificate, wall)?;
        Ok(Some(Fact::CertificateReplaced { certificate }))
    }

    /// A certificate must be an authority's and not past its end; and an authority is enrolled once, or a path through it
    /// could end at either.
    fn admit(&self, ca: &CaId, certificate: &Certificate, wall: SystemTime) -> Result<(), Error> {
        if !certificate.is_authority() {
            return Err(CertificateError::NotAuthority.into());
        }
        // Such as constraints on names, which are then not obeyed below it.
        if certificate.extensions().unknown_critical {
            return Err(CertificateError::CriticalExtension.into());
        }
        if certificate.check_validity(wall) == Err(CertificateError::Expired) {
            return Err(CertificateError::Expired.into());
        }
        let same = |other: &Certificate| {
            other.subject() == certificate.subject()
                && other.public_key() == certificate.public_key()
        };
        let taken = self
            .authorities
            .iter()
            .any(|(id, other)| id != ca && same(&other.certificate));
        if taken {
            return Err(ErrorKind::Exists.into());
        }
        Ok(())
    }
}

fn generate(
    authority: &Authority,
    entropy: [u8; 20],
    config: &Config,
    at: u64,
) -> Result<(Option<Fact>, Reply), ErrorKind> {
    // A revoked authority comes back with another certificate only, and a verified one has nothing to prove.
    if authority.revoked || authority.verified {
        return Err(ErrorKind::NoCode);
    }
    let challenge = Challenge {
        code: base16ct::lower::encode_string(&entropy),
        expires_at: at.saturating_add(millis(config.code_lifetime)),
        tries: config.code_tries.max(1),
    };
    let fact = Fact::CodeGenerated {
        code: challenge.code.clone(),
        expires_at: challenge.expires_at,
        tries: challenge.tries,
    };
    Ok((Some(fact), Reply::Code(challenge)))
}

fn verify(
    authority: &Authority,
    shown: &Certificate,
    signatures: &dyn Signatures,
    at: u64,
) -> Result<(Option<Fact>, Reply), ErrorKind> {
    let open = |challenge: &&Challenge| challenge.expires_at > at;
    let challenge = authority.challenge.as_ref().filter(open);
    let challenge = challenge.ok_or(ErrorKind::NoCode)?;
    let name = shown.common_name().unwrap_or_default().as_bytes();
    // The dates of the shown certificate are not looked at: the code itself is new and ends soon, and two clocks differ.
    let judged = if bool::from(name.ct_eq(challenge.code.as_bytes())) {
        shown.check_issued_by(&authority.certificate, signatures)
    } else {
        Err(CertificateError::ForeignName)
    };
    Ok(match judged {
        Ok(()) => (Some(Fact::Verified), Reply::Verified),
        Err(error) => (Some(Fact::VerificationFailed), Reply::NotVerified(error)),
    })
}

fn settle(
    authority: &Authority,
    command: Command,
    config: &Config,
) -> Result<Option<Fact>, ErrorKind> {
    Ok(match command {
        Command::SetAcceptExpired(accept) => {
            (authority.accept_expired != accept).then_some(Fact::AcceptExpiredSet { accept })
        }
        Command::Revoke => (!authority.revoked).then_some(Fact::Revoked),
        Command::Refer(reference) => refer(authority, reference, config)?,
        Command::Unrefer(reference) => authority
            .references
            .contains(&reference)
            .then_some(Fact::Unreferred { reference }),
        Command::Deny(denial) => {
            let denied = authority.denials.contains(&denial);
            if !denied && authority.denials.len() >= config.max_denials {
                return Err(ErrorKind::Full);
            }
            (!denied).then_some(Fact::Denied { denial })
        }
        Command::Allow(denial) => authority
            .denials
            .contains(&denial)
            .then_some(Fact::Allowed { denial }),
        Command::Upload { .. }
        | Command::ReplaceCertificate(_)
        | Command::GenerateCode { .. }
        | Command::Verify(_)
        | Command::Delete => None,
    })
}

fn refer(
    authority: &Authority,
    reference: Reference,
    config: &Config,
) -> Result<Option<Fact>, ErrorKind> {
    if authority.references.contains(&reference) {
        return Ok(None);
    }
    let group = |reference: &Reference| matches!(reference, Reference::Group(_));
    if group(&reference) && authority.references.iter().any(group) {
        return Err(ErrorKind::CaTaken);
    }
    if authority.references.len() >= config.max_references {
        return Err(ErrorKind::Full);
    }
    Ok(Some(Fact::Referred { reference }))
}
