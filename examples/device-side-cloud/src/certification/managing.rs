//! What operators ask over HTTPS about the certificates that a tenant issues.

use bytes::Bytes;
use http::{Response, StatusCode};
use provisioning_proto::certificates::authorities::CertificateAuthorities;
use provisioning_proto::certificates::issuance::{IssuedCertificates, Subject};
use provisioning_proto::management::{IssuanceDeed, Made, Step};
use provisioning_proto::{Error as Refusal, ErrorKind, Secret, TenantId};
use tracing::warn;

use super::Certification;
use super::issuing::{Issued, ServiceKey};
use crate::error::Error;
use crate::https::refusal;

impl Certification {
    /// Answers an operator's request about what a tenant issues.
    pub(crate) async fn manage_issuing(
        &self,
        tenant: &TenantId,
        read: impl FnOnce(&CertificateAuthorities, &IssuedCertificates) -> Step,
    ) -> Response<Bytes> {
        let mut tenants = self.tenants.lock().await;
        // Only a command makes ledgers of a tenant that has none.
        let (nobody, nothing) = (
            CertificateAuthorities::default(),
            IssuedCertificates::default(),
        );
        let step = match tenants.get(tenant) {
            Some(known) => read(known.authorities.ledger(), known.issued.ledger()),
            None => read(&nobody, &nothing),
        };
        let edit = match step {
            Step::Answer(response) => return response,
            Step::Issuance(edit) => edit,
            Step::Edit(_) | Step::Authority(_) | Step::Migration(_) => {
                return refusal(StatusCode::NOT_FOUND, "no such thing\n");
            }
        };
        let result = match edit.deed() {
            // What the request believes to be there is there until this is done.
            IssuanceDeed::Change(command) => match self.found(&mut tenants, tenant).await {
                Ok(found) => {
                    let done = found.carry_out(&self.store, (**command).clone()).await;
                    done.map(|_| Made::Done)
                }
                Err(error) => Err(error),
            },
            deed => {
                drop(tenants);
                let made = self.carry_out_deed(tenant, deed).await;
                tenants = self.tenants.lock().await;
                made
            }
        };
        let issued = tenants.get(tenant).map(|known| known.issued.ledger());
        let issued = issued.unwrap_or(&nothing);
        match result {
            Ok(made) => edit.answer(issued, Ok(made)),
            Err(error) => match refused(&error) {
                Some(cause) => edit.answer(issued, Err(cause)),
                None => {
                    warn!(error = error.chain(), "nothing was issued");
                    edit.answer(issued, Err(&ErrorKind::Unavailable.into()))
                }
            },
        }
    }

    async fn carry_out_deed(&self, tenant: &TenantId, deed: &IssuanceDeed) -> Result<Made, Error> {
        match deed {
            IssuanceDeed::Change(command) => {
                let done = self.on_issued(tenant, (**command).clone()).await;
                done.map(|_| Made::Done)
            }
            IssuanceDeed::AddIssuer { issuer, days } => {
                self.add_issuer(tenant, issuer, *days).await?;
                Ok(Made::Done)
            }
            IssuanceDeed::Issue {
                id,
                profile,
                request,
            } => {
                let (subject, private_key) = match request {
                    Some(request) => (Subject::Request((**request).clone()), None),
                    None => {
                        let key = ServiceKey::make()?;
                        let private = Secret::new(key.private.as_bytes().to_vec());
                        let private = private
                            .map_err(|cause| Error::new("the new key cannot be kept", cause))?;
                        (Subject::ServiceKey(key.public), Some(private))
                    }
                };
                let issued = self.issue(tenant, id.clone(), profile.clone(), subject);
                let Issued {
                    certificate,
                    issuer,
                    token,
                } = issued.await?;
                Ok(Made::Certificate {
                    certificate: Box::new(certificate),
                    issuer: Box::new(issuer),
                    token,
                    private_key,
                })
            }
        }
    }
}

/// What the ledger said, if it was the ledger that refused.
fn refused(error: &Error) -> Option<&Refusal> {
    let mut cause = std::error::Error::source(error);
    while let Some(one) = cause {
        if let Some(refusal) = one.downcast_ref() {
            return Some(refusal);
        }
        cause = one.source();
    }
    None
}
