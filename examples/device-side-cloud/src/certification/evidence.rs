//! What the certificates that a device shows prove, in the words of the machine of registrations.

use provisioning_proto::certificates::authorities::State;
use provisioning_proto::certificates::issuance::Subject;
use provisioning_proto::certificates::{Certificate, CertificateError, CertificationRequest};
use provisioning_proto::directory::{CertificateNames, Evidence, Issuer};
use provisioning_proto::{CaId, RegistrationId, ScopeId, TenantId};
use tracing::info;

use super::{Certification, Ring, Tenant};
use crate::clock;
use crate::error::Error;

/// The profile of certificates that are handed out with an assignment.
const PROFILE: &str = "registration";

impl Certification {
    /// What a device proves that completed a handshake with the key of the first of these certificates; `None` where that
    /// was revoked.
    ///
    /// An authority vouches for an id that is the common name or an alternative one, and no other. A fingerprint is pinned to an id, whatever the name.
    pub(crate) async fn evidence(
        &self,
        scope: Option<ScopeId>,
        id: RegistrationId,
        shown: &[Certificate],
    ) -> Option<Evidence> {
        let leaf = shown.first()?;
        let name = id.as_str();
        let named =
            leaf.common_name() == Some(name) || leaf.alternative_names().any(|other| other == name);
        let mut issuers = Vec::new();
        let tenants = self.tenants.lock().await;
        for (name, tenant) in tenants.iter() {
            match tenant.judge(leaf, &id) {
                Ok(issuer) => issuers.extend(issuer.map(|ca| tenant.own(name, ca))),
                Err(cause) => {
                    info!(tenant = %name, device = %id, %cause, "a certificate was not taken");
                    return None;
                }
            }
            if named {
                issuers.extend(tenant.vouching(name, shown));
            }
        }
        let digits = [leaf.fingerprint(), leaf.fingerprint_sha1()];
        let fingerprints = digits.into_iter().filter_map(|one| one.try_into().ok());
        Some(Evidence::Certificate {
            scope,
            id,
            issuers,
            fingerprints: fingerprints.collect(),
            names: CertificateNames::of(leaf),
        })
    }

    /// A certificate for a device that authenticated itself, DER. The device gets it together with its assignment, so it is active
    /// at once, whatever the profile says of tokens.
    ///
    /// # Errors
    /// The request is refused, or the tenant issues none by the profile `registration`.
    pub(crate) async fn answer_request(
        &self,
        tenant: &TenantId,
        id: &RegistrationId,
        request: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let request = match std::str::from_utf8(request) {
            Ok(text) if text.contains("-----BEGIN") => CertificationRequest::from_pem(text),
            _ => CertificationRequest::from_der(request),
        };
        let request = request.map_err(|cause| Error::new("the request is refused", cause))?;
        let profile = PROFILE
            .parse()
            .map_err(|cause| Error::new("there is no profile", cause))?;
        let issued = self
            .issue(tenant, id.clone(), profile, Subject::Request(request))
            .await?;
        if let Some(token) = issued.token {
            let id = id.clone();
            let command =
                provisioning_proto::certificates::issuance::Command::Activate { id, token };
            self.on_issued(tenant, command).await?;
        }
        Ok(issued.certificate.der().to_vec())
    }
}

impl Tenant {
    /// Who of the tenant's own issued the certificate to this device, if one did and it may be used.
    fn judge(
        &self,
        leaf: &Certificate,
        id: &RegistrationId,
    ) -> Result<Option<CaId>, CertificateError> {
        let issued = self.issued.ledger();
        match issued.authenticate(leaf, clock::wall()) {
            Ok(owner) if owner == id => {
                let found = issued.certificate(leaf.serial());
                Ok(found.map(|issued| issued.issuer.clone()))
            }
            Ok(_) => Err(CertificateError::ForeignName),
            Err(CertificateError::UnknownAuthority) => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    /// The authority of the tenant that the chain leads to.
    fn vouching(&self, name: &TenantId, shown: &[Certificate]) -> Option<Issuer> {
        let at = clock::wall();
        let authorities = self.authorities.ledger();
        // Whether an authority past its end is taken is for the enrollment or the group to say.
        let path = authorities.verify_chain(shown, true, &Ring, at).ok()?;
        let authority = authorities.authority(&path.ca)?;
        let expired = authority.state(at) == State::Expired && !authority.accept_expired;
        let issuer = Issuer::new(name.clone(), path.ca, expired);
        Some(issuer.named(&authority.name, &authority.certificate))
    }

    /// An issuer of this cloud's, which has the name of its id.
    fn own(&self, tenant: &TenantId, ca: CaId) -> Issuer {
        let issuer = Issuer::new(tenant.clone(), ca, false);
        let name = issuer.ca.to_string();
        match self.issued.ledger().issuers().get(&issuer.ca) {
            Some(own) => issuer.named(&name, &own.certificate),
            None => issuer,
        }
    }
}
