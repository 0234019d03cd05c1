//! What comes in over HTTPS goes to the interface or to account linking, and is measured on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use account_linking::server::Refusal;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use tracing::{Instrument as _, debug, info, info_span};
use uci_server_core::driver::Handle as Cloud;
use uci_server_core::{Authentication, Principal};

use crate::certification::{Certification, LISTS};
use crate::clock;
use crate::https::refusal;
use crate::linking::Linking;
use crate::monitor::{self, Metrics};
use crate::pages::{STYLE_PATH, style_sheet};
use crate::provisioning::Management;

/// The HTTPS side of the cloud; clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    cloud: Cloud,
    linking: Linking,
    metrics: Arc<Metrics>,
    certification: Certification,
    /// Of the pages that people see.
    style: Bytes,
    requests: Arc<AtomicU64>,
    /// The interface of the provisioning service, if there is one.
    management: Option<Management>,
}

impl Doors {
    pub(crate) fn new(
        cloud: Cloud,
        linking: Linking,
        certification: Certification,
        metrics: Arc<Metrics>,
        style: Bytes,
        management: Option<Management>,
    ) -> Self {
        Self {
            management,
            style,
            cloud,
            linking,
            certification,
            metrics,
            requests: Arc::default(),
        }
    }

    /// Answers a request; what is logged meanwhile names its number and its route.
    pub(crate) async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let method = monitor::method(request.method());
        let route = monitor::template(request.method(), request.uri().path());
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let span = info_span!("request", number, method, route);
        let since = clock::now();
        let response = self.pass(request).instrument(span.clone()).await;
        let took = clock::now().saturating_duration_since(since);
        let status = response.status();
        self.metrics.answered(route, method, status, took);
        let _entered = span.entered();
        let (status, micros) = (status.as_u16(), took.as_micros());
        if response.status().is_server_error() {
            info!(status, micros, "answered");
        } else {
            debug!(status, micros, "answered");
        }
        response
    }

    async fn pass(&self, request: Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        if path == "/" {
            return refusal(StatusCode::OK, "device-side-cloud\n");
        }
        if path == STYLE_PATH && *request.method() == Method::GET {
            return style_sheet(&self.style);
        }
        if let Some(management) = self
            .management
            .as_ref()
            .filter(|_| Management::is_asked(path))
        {
            return management.answer(&request).await;
        }
        if path.starts_with(LISTS) {
            return self.certification.answer(&request).await;
        }
        if path != "/api/v1" && !path.starts_with("/api/v1/") {
            return self.linking.answer(request).await;
        }
        let (head, body) = request.into_parts();
        let authentication = match self.linking.authenticate(&head).await {
            Ok(principal) => match granted(&principal) {
                Some(principal) => Authentication::Granted(principal),
                None => Authentication::Invalid,
            },
            Err(Refusal::Missing) => Authentication::Missing,
            Err(Refusal::Invalid) => Authentication::Invalid,
            Err(refusal) => return self.refuse(refusal),
        };
        let mut request = Request::from_parts(head, body);
        request.extensions_mut().insert(authentication);
        let mut response = self.cloud.answer(request).await;
        if response.status() == StatusCode::UNAUTHORIZED {
            // The core knows bearer tokens only (RFC 9449, 7.2).
            let offered = Refusal::Missing.challenge_with_dpop(self.linking.dpop_algorithms());
            let dpop = offered
                .as_deref()
                .and_then(|both| both.strip_prefix("Bearer, "));
            let bearer = response.headers().get(header::WWW_AUTHENTICATE);
            let bearer = bearer.and_then(|value| value.to_str().ok());
            if let (Some(bearer), Some(dpop)) = (bearer, dpop)
                && let Ok(both) = HeaderValue::try_from(format!("{bearer}, {dpop}"))
            {
                response
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, both);
            }
        }
        response
    }
}

impl Doors {
    fn refuse(&self, refused: Refusal) -> Response<Bytes> {
        let mut response = refusal(refused.status(), "the access token was not checked");
        let headers = response.headers_mut();
        let challenge = refused.challenge_with_dpop(self.linking.dpop_algorithms());
        if let Some(Ok(challenge)) = challenge.map(HeaderValue::try_from) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(nonce) = refused.dpop_nonce()
            && let Ok(nonce) = HeaderValue::try_from(nonce.to_string())
        {
            headers.insert("dpop-nonce", nonce);
        }
        if refused == Refusal::Unavailable {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// A token's bearer as the core names it.
fn granted(principal: &account_linking::server::Principal) -> Option<Principal> {
    let expires = std::time::SystemTime::UNIX_EPOCH.checked_add(principal.expires)?;
    Some(Principal::new(
        principal.account.as_str().parse().ok()?,
        principal.client.as_str().parse().ok()?,
        principal.grant.to_string().parse().ok()?,
        &principal.scopes.to_string(),
        expires,
    ))
}
