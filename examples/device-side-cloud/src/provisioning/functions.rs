//! Tenants' own functions: asked over HTTPS where a device belongs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use provisioning_proto::TenantId;
use provisioning_proto::allocation::{FunctionUrn, MAX_HOOK_REPLY};
use tokio::sync::Semaphore;
use uci_server_core::EventsUrlPolicy;

use crate::config::ProvisioningFunction;
use crate::error::Error;
use crate::outbound::Outbound;

/// How many functions are asked at once; who comes later waits, within the time that an answer has.
const AT_ONCE: usize = 256;

/// The functions that may be asked, and the way to them.
#[derive(Clone, Debug)]
pub(crate) struct Functions {
    /// By the tenant and the name that its policies use.
    places: Arc<BTreeMap<(TenantId, String), Uri>>,
    outbound: Outbound,
    turns: Arc<Semaphore>,
}

impl Functions {
    /// How long a function has for its answer. A device waits for four seconds, in which its target is told, too.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

    /// Those of the configuration, on addresses that the policy allows.
    ///
    /// # Errors
    /// A tenant or name is none, stands there twice, or a URL is not HTTPS or may not be asked.
    pub(crate) fn new(
        settings: &[ProvisioningFunction],
        policy: &EventsUrlPolicy,
        outbound: Outbound,
    ) -> Result<Self, Error> {
        let mut places = BTreeMap::new();
        for function in settings {
            let ProvisioningFunction { tenant, urn, url } = function;
            // The URL may hold a secret: it stands in no message.
            let what = format!("the function {urn:?} of {tenant:?} in the configuration");
            let tenant: TenantId = tenant
                .parse()
                .map_err(|cause| Error::new(format!("{what} has no tenant"), cause))?;
            FunctionUrn::new(urn)
                .map_err(|cause| Error::new(format!("{what} has no name"), cause))?;
            let url = policy
                .check(url)
                .map_err(|cause| Error::new(format!("{what} has a URL that is refused"), cause))?;
            let place = Uri::try_from(url.as_str())
                .map_err(|cause| Error::new(format!("{what} has no URL"), cause))?;
            if places.insert((tenant, urn.clone()), place).is_some() {
                return Err(Error::plain(format!("{what} is there twice")));
            }
        }
        Ok(Self {
            places: Arc::new(places),
            outbound,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// Asks a function of a tenant; what it answered is not judged here.
    ///
    /// # Errors
    /// It is not one that may be asked, cannot be reached, is too slow, says too much, or answers with another status than 200.
    pub(super) async fn ask(
        &self,
        tenant: &TenantId,
        function: &FunctionUrn,
        question: String,
    ) -> Result<Bytes, Error> {
        let name = (tenant.clone(), function.as_str().to_owned());
        let place = self.places.get(&name);
        let place = place.ok_or_else(|| Error::plain("it is not one that may be asked"))?;
        let mut request = Request::new(Bytes::from(question));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = place.clone();
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        let asking = async {
            let _turn = self.turns.acquire().await;
            self.outbound.ask(request, MAX_HOOK_REPLY).await
        };
        let response = tokio::time::timeout(Self::PATIENCE, asking)
            .await
            .unwrap_or_else(|_| Err(Error::plain("no answer in time")))?;
        match response.status() {
            StatusCode::OK => Ok(response.into_body()),
            status => Err(Error::plain(format!("it answered with status {status}"))),
        }
    }
}

#[cfg(test)]
mod tests;
