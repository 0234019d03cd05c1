use bytes::Bytes;
use http::{Response, StatusCode};

use super::super::failure::Failure;
use super::super::{json, plain, put};
use super::shown;
use crate::certificates::issuance::{Command, IssuedCertificates};
use crate::certificates::{Certificate, CertificationRequest, Serial};
use crate::{CaId, Code, Error, ErrorKind, ProfileId, RegistrationId, Secret};

/// Something that is to be changed in what a tenant issues, and how that is answered.
#[derive(Debug)]
#[must_use = "nothing is changed before its deed is done"]
pub struct IssuanceEdit {
    deed: IssuanceDeed,
    shows: Shows,
    status: StatusCode,
}

/// What is to be done.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "each of them must be done")]
pub enum IssuanceDeed {
    /// An issuer with a key of the service's is to be made and to sign from now on.
    AddIssuer {
        /// Its id.
        issuer: CaId,
        /// For how many days it is valid.
        days: u32,
    },
    /// A certificate is to be issued.
    Issue {
        /// The device.
        id: RegistrationId,
        /// How.
        profile: ProfileId,
        /// The device's request; without one, the service makes the key and hands it out once.
        request: Option<Box<CertificationRequest>>,
    },
    /// The ledger is to be changed.
    Change(Box<Command>),
}

/// What came of it.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "each of them is an answer")]
pub enum Made {
    /// It is done.
    Done,
    /// A certificate.
    Certificate {
        /// It.
        certificate: Box<Certificate>,
        /// Who signed it.
        issuer: Box<Certificate>,
        /// What makes it active, unless it is.
        token: Option<Secret>,
        /// PKCS #8 in PEM, where the service made the key.
        private_key: Option<Secret>,
    },
}

/// What the answer shows.
#[derive(Debug)]
pub(super) enum Shows {
    Issuer(CaId),
    Profile(ProfileId),
    Certificate(Serial),
    /// What was issued.
    New,
    Nothing,
}

impl IssuanceEdit {
    pub(super) fn new(deed: IssuanceDeed, shows: Shows, status: StatusCode) -> Self {
        Self {
            deed,
            shows,
            status,
        }
    }

    /// What is to be done.
    #[must_use]
    pub fn deed(&self) -> &IssuanceDeed {
        &self.deed
    }

    /// The answer, from what came of it and the certificates as they are then.
    #[must_use]
    pub fn answer(
        self,
        issued: &IssuedCertificates,
        result: Result<Made, &Error>,
    ) -> Response<Bytes> {
        let made = match result {
            Err(error) => return refused(error).into(),
            Ok(made) => made,
        };
        let (shown, made) = match (self.shows, made) {
            (Shows::Nothing, _) => return plain(StatusCode::NO_CONTENT),
            (Shows::Issuer(id), _) => {
                let one = issued.issuers().get(&id);
                let shown = one.map(|one| shown::issuer(issued, id.as_str(), one));
                (shown.map(shown::versioned), None)
            }
            (Shows::Profile(id), _) => (shown::profile_of(issued, &id), None),
            (Shows::Certificate(serial), _) => (shown::certificate_of(issued, &serial), None),
            (
                Shows::New,
                Made::Certificate {
                    certificate,
                    issuer,
                    token,
                    private_key,
                },
            ) => {
                let shown = shown::certificate_of(issued, certificate.serial());
                let pem = format!("{}{}", certificate.to_pem(), issuer.to_pem());
                (shown, Some((pem, token, private_key)))
            }
            (Shows::New, Made::Done) => (None, None),
        };
        let Some((mut shown, version)) = shown else {
            return Failure::from(Code::NOT_FOUND).into();
        };
        if let Some((pem, token, private_key)) = made {
            put(&mut shown, "content", pem);
            for (member, secret) in [("token", token), ("private_key", private_key)] {
                if let Some(secret) = secret {
                    let text = String::from_utf8_lossy(secret.expose()).into_owned();
                    put(&mut shown, member, text);
                }
            }
        }
        json(self.status, &shown, Some(version))
    }
}

fn refused(error: &Error) -> Failure {
    let source = std::error::Error::source(error);
    match error.kind() {
        ErrorKind::Certificate => {
            let text = source.map_or_else(|| error.to_string(), ToString::to_string);
            Failure::told(Code::CERTIFICATE_MALFORMED, text)
        }
        ErrorKind::UnknownAuthority => {
            let text = "the tenant has no issuer whose time it is".to_owned();
            Failure::told(Code::NO_AUTHORITY, text)
        }
        ErrorKind::UnknownEntry => Code::NOT_FOUND.into(),
        ErrorKind::Exists => Code::EXISTS.into(),
        ErrorKind::Full => Code::LIMIT.into(),
        ErrorKind::InUse => Code::IN_USE.into(),
        ErrorKind::Conflict => Code::CHANGED.into(),
        ErrorKind::Unavailable => Code::UNAVAILABLE.into(),
        kind => kind.into(),
    }
}
