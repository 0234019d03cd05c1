//! What operators ask for, as it goes over the socket.

use provisioning_proto::certificates::authorities::{Authority, Command, Denial, Reply};
use provisioning_proto::certificates::issuance::{
    self, Activation, Misnamed, Profile, Reason, State, Subject,
};
use provisioning_proto::certificates::{
    Certificate, CertificationRequest, KeyAlgorithm, MAX_CHAIN, Serial,
};
use provisioning_proto::{CaId, ParseIdError, RegistrationId, Secret, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::issuing::{Issued, ServiceKey};
use super::{Certification, known};
use crate::clock;
use crate::error::Error;

/// What is to become of an authority.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", tag = "deed")]
pub(crate) enum AuthorityDeed {
    Upload { name: String, pem: String },
    Replace { pem: String },
    Code,
    Verify { pem: String },
    Show,
    AcceptExpired { accept: bool },
    Deny { denial: String },
    Allow { denial: String },
    Revoke,
    Delete,
}

/// What is to become of the certificates that a tenant issues.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", tag = "deed")]
pub(crate) enum CertificateDeed {
    AddIssuer {
        issuer: String,
        days: u32,
    },
    SetProfile {
        profile: String,
        days: u32,
        overwrite: bool,
        immediate: bool,
        rsa: bool,
    },
    Issue {
        device: String,
        profile: String,
        /// PEM; without one, the service makes the key.
        request: Option<String>,
    },
    Activate {
        device: String,
        token: crate::admin::Password,
    },
    Revoke {
        serial: String,
        reason: Reason,
    },
    Show {
        device: String,
    },
    Judge {
        pem: String,
    },
    CheckChain {
        pem: String,
    },
}

impl Certification {
    /// Does to an authority what an operator wants.
    ///
    /// # Errors
    /// It cannot be done, in words for the operator.
    pub(crate) async fn authority(
        &self,
        tenant: &str,
        ca: &str,
        deed: AuthorityDeed,
    ) -> Result<Value, Error> {
        let (tenant, ca): (TenantId, CaId) = (parse(tenant)?, parse(ca)?);
        let command = match deed {
            AuthorityDeed::Show => return self.show_authority(&tenant, &ca).await,
            AuthorityDeed::Upload { name, pem } => Command::Upload {
                name,
                certificate: read(&pem)?,
            },
            AuthorityDeed::Replace { pem } => Command::ReplaceCertificate(read(&pem)?),
            AuthorityDeed::Code => Command::GenerateCode {
                entropy: clock::entropy()?,
            },
            AuthorityDeed::Verify { pem } => Command::Verify(read(&pem)?),
            AuthorityDeed::AcceptExpired { accept } => Command::SetAcceptExpired(accept),
            AuthorityDeed::Deny { denial } => Command::Deny(parse_denial(&denial)?),
            AuthorityDeed::Allow { denial } => Command::Allow(parse_denial(&denial)?),
            AuthorityDeed::Revoke => Command::Revoke,
            AuthorityDeed::Delete => {
                self.on_authority(&tenant, &ca, Command::Delete).await?;
                return Ok(json!({"deleted": ca.as_str()}));
            }
        };
        match self.on_authority(&tenant, &ca, command).await? {
            Reply::Code(challenge) => Ok(json!({"code": challenge.code, "tries": challenge.tries})),
            Reply::NotVerified(cause) => Err(Error::new("the authority is not verified", cause)),
            _ => self.show_authority(&tenant, &ca).await,
        }
    }

    async fn show_authority(&self, tenant: &TenantId, ca: &CaId) -> Result<Value, Error> {
        let tenants = self.tenants.lock().await;
        let authority = known(&tenants, tenant)?.authorities.ledger().authority(ca);
        let authority = authority.ok_or_else(|| Error::plain(format!("there is no {ca}")))?;
        let named = self.references(tenant, ca);
        Ok(shown(ca, authority, named))
    }

    /// Does to the issued certificates what an operator wants.
    ///
    /// # Errors
    /// It cannot be done, in words for the operator.
    pub(crate) async fn certificate(
        &self,
        tenant: &str,
        deed: CertificateDeed,
    ) -> Result<Value, Error> {
        let tenant: TenantId = parse(tenant)?;
        match deed {
            CertificateDeed::AddIssuer { issuer, days } => {
                let issuer: CaId = parse(&issuer)?;
                let certificate = self.add_issuer(&tenant, &issuer, days).await?;
                Ok(json!({
                    "issuer": issuer.as_str(),
                    "fingerprint": certificate.fingerprint(),
                    "pem": certificate.to_pem(),
                }))
            }
            CertificateDeed::SetProfile {
                profile,
                days,
                overwrite,
                immediate,
                rsa,
            } => {
                let settings = settings(days, overwrite, immediate, rsa)?;
                let command = issuance::Command::SetProfile {
                    profile: parse(&profile)?,
                    settings,
                };
                self.on_issued(&tenant, command).await?;
                Ok(json!({"profile": profile}))
            }
            CertificateDeed::Issue {
                device,
                profile,
                request,
            } => self.order(&tenant, &device, &profile, request).await,
            CertificateDeed::Activate { device, token } => {
                let token = Secret::new(token.expose().as_bytes().to_vec())
                    .map_err(|cause| Error::new("the token is not usable", cause))?;
                let id = parse(&device)?;
                let command = issuance::Command::Activate { id, token };
                match self.on_issued(&tenant, command).await? {
                    issuance::Reply::Activated(serial) => {
                        Ok(json!({"activated": serial.to_string()}))
                    }
                    _ => Err(Error::plain("nothing was activated")),
                }
            }
            CertificateDeed::Revoke { serial, reason } => {
                let command = issuance::Command::Revoke {
                    serial: parse(&serial)?,
                    reason,
                };
                self.on_issued(&tenant, command).await?;
                Ok(json!({"revoked": serial}))
            }
            CertificateDeed::Show { device } => self.show(&tenant, &parse(&device)?).await,
            CertificateDeed::Judge { pem } => {
                // What `issue` wrote, with the issuer's behind it, is as good.
                let certificate = Certificate::chain_from_pem(&pem, MAX_CHAIN)
                    .map_err(|cause| Error::new("the certificate cannot be read", cause))?
                    .into_iter()
                    .next()
                    .ok_or_else(|| Error::plain("there is no certificate in the file"))?;
                let tenants = self.tenants.lock().await;
                let issued = known(&tenants, &tenant)?.issued.ledger();
                let device = issued
                    .authenticate(&certificate, clock::wall())
                    .map_err(|cause| Error::new("the certificate is not taken", cause))?;
                Ok(json!({"device": device.as_str()}))
            }
            CertificateDeed::CheckChain { pem } => {
                let (device, path) = self.check_chain(&tenant, &pem).await?;
                Ok(json!({"authority": path.ca.as_str(), "device": device}))
            }
        }
    }

    async fn order(
        &self,
        tenant: &TenantId,
        device: &str,
        profile: &str,
        request: Option<String>,
    ) -> Result<Value, Error> {
        let (subject, private) = match request {
            Some(pem) => {
                let request = CertificationRequest::from_pem(&pem)
                    .map_err(|cause| Error::new("the request is refused", cause))?;
                (Subject::Request(request), None)
            }
            None => {
                let key = ServiceKey::make()?;
                (Subject::ServiceKey(key.public), Some(key.private))
            }
        };
        let issued = self
            .issue(tenant, parse(device)?, parse(profile)?, subject)
            .await?;
        let Issued {
            certificate,
            issuer,
            token,
        } = issued;
        let token = token.map(|token| String::from_utf8_lossy(token.expose()).into_owned());
        Ok(json!({
            "serial": certificate.serial().to_string(),
            "fingerprint": certificate.fingerprint(),
            "token": token,
            "pem": format!("{}{}", certificate.to_pem(), issuer.to_pem()),
            "private_key": private.as_ref().map(|pem| pem.as_str()),
        }))
    }

    async fn show(&self, tenant: &TenantId, id: &RegistrationId) -> Result<Value, Error> {
        let tenants = self.tenants.lock().await;
        let issued = known(&tenants, tenant)?.issued.ledger();
        let rows: Vec<_> = issued
            .certificates_of(id)
            .map(|(serial, issued)| format!("{serial} {}", word(&issued.state)))
            .collect();
        Ok(json!({"certificate": rows}))
    }
}

fn settings(days: u32, overwrite: bool, immediate: bool, rsa: bool) -> Result<Profile, Error> {
    let mut settings =
        Profile::new(days).map_err(|cause| Error::new("the profile is not usable", cause))?;
    if overwrite {
        settings.misnamed = Misnamed::Overwrite;
    }
    if immediate {
        settings.activation = Activation::Immediate;
    }
    if rsa {
        settings.keys.insert(KeyAlgorithm::Rsa);
    }
    Ok(settings)
}

fn shown(ca: &CaId, authority: &Authority, named: Option<usize>) -> Value {
    let state = authority.state(clock::wall());
    json!({
        "authority": ca.as_str(),
        "name": authority.name,
        "state": format!("{state:?}").to_lowercase(),
        "expired": state.expired_value(),
        "accept_expired": authority.accept_expired,
        "fingerprint": authority.certificate.fingerprint(),
        "references": named.unwrap_or(authority.references.len()),
        "denied": authority.denials.len(),
    })
}

fn word(state: &State) -> &'static str {
    match state {
        State::PendingActivation { .. } => "pending",
        State::Active => "active",
        State::Superseded { .. } => "superseded",
        State::Revoked { .. } => "revoked",
        _ => "unknown",
    }
}

/// A fingerprint, or else a serial number.
fn parse_denial(text: &str) -> Result<Denial, Error> {
    let serial = || parse::<Serial>(text).map(Denial::Serial);
    text.parse().map(Denial::Certificate).or_else(|_| serial())
}

fn read(pem: &str) -> Result<Certificate, Error> {
    Certificate::from_pem(pem).map_err(|cause| Error::new("the certificate cannot be read", cause))
}

fn parse<T: std::str::FromStr<Err = ParseIdError>>(text: &str) -> Result<T, Error> {
    text.parse()
        .map_err(|cause| Error::new(format!("{text:?} is not usable"), cause))
}
