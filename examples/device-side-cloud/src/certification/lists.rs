//! The lists of revocations, which anybody may fetch: each is made once for what it says, and again a day later.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use provisioning_proto::certificates::issuance::{Command, Config, Reply};
use provisioning_proto::{CaId, TenantId};
use tracing::warn;

use super::{Certification, Tenant};
use crate::clock;
use crate::error::Error;
use crate::https::refusal;

/// Where the lists are.
pub(crate) const PREFIX: &str = "/certificates/";
/// How long a list is served before another is made: well within the week that it counts.
const FRESH: Duration = Duration::from_secs(24 * 3600);

/// The lists that were made; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists(Arc<Mutex<BTreeMap<(TenantId, CaId), Made>>>);

#[derive(Clone, Debug)]
struct Made {
    der: Bytes,
    at: Instant,
    revision: u64,
}

impl Lists {
    fn fresh(&self, of: &(TenantId, CaId), revision: u64) -> Option<Bytes> {
        let made = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let found = made.get(of)?;
        let age = clock::now().saturating_duration_since(found.at);
        (found.revision == revision && age < FRESH).then(|| found.der.clone())
    }

    fn keep(&self, of: (TenantId, CaId), der: Bytes, revision: u64) {
        let made = Made {
            der,
            at: clock::now(),
            revision,
        };
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(of, made);
    }
}

impl Certification {
    /// Answers a request below [`PREFIX`]: `/certificates/{tenant}/{issuer}.crl` (RFC 5280, 4.2.1.13; RFC 2585, 4.2).
    pub(crate) async fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        if *request.method() != Method::GET {
            return refusal(StatusCode::METHOD_NOT_ALLOWED, "a list can be fetched\n");
        }
        let Some(of) = named(request.uri().path()) else {
            return refusal(StatusCode::NOT_FOUND, "there is no such list\n");
        };
        match self.list(of).await {
            Ok(Some(der)) => {
                let mut response = Response::new(der);
                response.headers_mut().insert(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("application/pkix-crl"),
                );
                response
            }
            Ok(None) => refusal(StatusCode::NOT_FOUND, "there is no such list\n"),
            Err(error) => {
                warn!(
                    error = error.chain(),
                    "no list of revocations could be made"
                );
                refusal(StatusCode::SERVICE_UNAVAILABLE, "try again later\n")
            }
        }
    }

    /// The list of an issuer, if there is the issuer.
    async fn list(&self, of: (TenantId, CaId)) -> Result<Option<Bytes>, Error> {
        // Held while a list is made, so that nobody makes it twice.
        let mut tenants = self.tenants.lock().await;
        let Some(tenant) = tenants.get_mut(&of.0) else {
            return Ok(None);
        };
        if !tenant.issued.ledger().issuers().contains_key(&of.1) {
            return Ok(None);
        }
        if let Some(der) = self.lists.fresh(&of, tenant.revision) {
            return Ok(Some(der));
        }
        let der = self.make(tenant, &of).await?;
        self.lists.keep(of, der.clone(), tenant.revision);
        Ok(Some(der))
    }

    async fn make(&self, tenant: &mut Tenant, of: &(TenantId, CaId)) -> Result<Bytes, Error> {
        let prepared = tenant
            .issued
            .ledger()
            .prepare_list(&of.1, &Config::default(), clock::wall())
            .map_err(|cause| Error::new("the list cannot be written", cause))?;
        let signature = self.sign(&of.0, &of.1, prepared.key(), prepared.message())?;
        let command = Command::RecordList {
            prepared: Box::new(prepared),
            signature,
        };
        match tenant.carry_out(&self.store, command).await? {
            Reply::List(der) => Ok(der.into()),
            _ => Err(Error::plain("no list was made")),
        }
    }
}

fn named(path: &str) -> Option<(TenantId, CaId)> {
    let rest = path.strip_prefix(PREFIX)?.strip_suffix(".crl")?;
    let (tenant, issuer) = rest.split_once('/')?;
    Some((tenant.parse().ok()?, issuer.parse().ok()?))
}
