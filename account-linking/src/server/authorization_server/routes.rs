//! Which endpoint a request is for, and what is refused before anything is done.

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, ORIGIN};
use http::{HeaderMap, Method, Request, Response, StatusCode};

use super::AuthorizationServer;
use super::tasks::{BrowserWork, ClientWork, Work};
use crate::form::{Form, MAX_FORM_LENGTH, is_form};
use crate::secret::SecretBytes;
use crate::server::browser::cookie;
use crate::server::dpop;
use crate::server::metadata::{jwks, metadata};
use crate::server::pages::PageError;
use crate::server::presented_token::Access;
use crate::server::response::{TokenError, empty, method_not_allowed, page, token_refusal};

impl AuthorizationServer {
    /// What a request asks for, or its answer when that is known at once.
    pub(super) fn route(
        &self,
        request: &Request<Bytes>,
        entropy: SecretBytes,
    ) -> Result<Work, Answered> {
        let path = request.uri().path();
        let base = self.config.issuer.path();
        // RFC 8414, 3.1 puts the well-known part before the issuer's path, OpenID behind it.
        let is_metadata = path.strip_prefix("/.well-known/oauth-authorization-server")
            == Some(base)
            || path.strip_prefix(base) == Some("/.well-known/openid-configuration");
        let method = request.method();
        if is_metadata && *method == Method::GET {
            return answer(metadata(&self.config));
        } else if is_metadata {
            return answer(method_not_allowed("GET"));
        }
        match (path.strip_prefix(base).unwrap_or_default(), method) {
            ("/jwks", &Method::GET) => answer(jwks(&self.config)),
            ("/authorize", &Method::GET) => {
                Ok(Work::Authorize(self.browser_work(request, entropy)?))
            }
            ("/login", &Method::GET) => Ok(Work::LoginPage(self.browser_work(request, entropy)?)),
            ("/login", &Method::POST) => Ok(Work::Login(self.browser_form(request, entropy)?)),
            ("/consent", &Method::GET) => {
                Ok(Work::ConsentPage(self.browser_work(request, entropy)?))
            }
            ("/consent", &Method::POST) => Ok(Work::Consent(self.browser_form(request, entropy)?)),
            ("/links", &Method::GET) => Ok(Work::LinksPage(self.browser_work(request, entropy)?)),
            ("/links", &Method::POST) => Ok(Work::Links(self.browser_form(request, entropy)?)),
            // What is not offered is not there.
            ("/device" | "/device_authorization", _) if self.config.device_flow.is_none() => {
                answer(empty(StatusCode::NOT_FOUND))
            }
            ("/device", &Method::GET) => Ok(Work::DevicePage(self.browser_work(request, entropy)?)),
            ("/device", &Method::POST) => Ok(Work::Device(self.browser_form(request, entropy)?)),
            ("/device_authorization", &Method::POST) => Ok(Work::DeviceAuthorization(client_work(
                request, entropy, "resource",
            )?)),
            ("/token", &Method::POST) => {
                Ok(Work::Token(client_work(request, entropy, "resource")?))
            }
            ("/par", &Method::POST) => Ok(Work::Push(client_work(request, entropy, "resource")?)),
            ("/revoke", &Method::POST) => Ok(Work::Revoke(client_work(request, entropy, "")?)),
            ("/introspect", &Method::POST) => {
                Ok(Work::Introspect(client_work(request, entropy, "")?))
            }
            ("/userinfo", &Method::GET | &Method::POST) => self.userinfo_work(request),
            ("/jwks" | "/authorize", _) => answer(method_not_allowed("GET")),
            ("/login" | "/consent" | "/links" | "/device" | "/userinfo", _) => {
                answer(method_not_allowed("GET, POST"))
            }
            ("/token" | "/par" | "/revoke" | "/introspect" | "/device_authorization", _) => {
                answer(method_not_allowed("POST"))
            }
            _ => answer(empty(StatusCode::NOT_FOUND)),
        }
    }

    fn browser_work(
        &self,
        request: &Request<Bytes>,
        entropy: SecretBytes,
    ) -> Result<BrowserWork, Answered> {
        let query = request.uri().query().unwrap_or_default();
        self.browser_input(request, query.as_bytes(), entropy)
    }

    fn browser_form(
        &self,
        request: &Request<Bytes>,
        entropy: SecretBytes,
    ) -> Result<BrowserWork, Answered> {
        // `null` is what browsers send under `Referrer-Policy: no-referrer`, as our pages do.
        let origin = request.headers().get(ORIGIN);
        let foreign = origin.is_some_and(|origin| {
            origin != "null" && origin.as_bytes() != self.config.issuer.origin().as_bytes()
        });
        if foreign || !is_form(request) {
            return answer(self.bad_request_page());
        }
        self.browser_input(request, request.body(), entropy)
    }

    fn browser_input(
        &self,
        request: &Request<Bytes>,
        input: &[u8],
        entropy: SecretBytes,
    ) -> Result<BrowserWork, Answered> {
        let form = Form::parse(input).or_else(|_| answer(self.bad_request_page()))?;
        Ok(BrowserWork {
            form,
            cookie: cookie(request.headers()).map(str::to_owned),
            entropy,
            approved: None,
            device: None,
            unlinking: None,
        })
    }

    fn userinfo_work(&self, request: &Request<Bytes>) -> Result<Work, Answered> {
        let dpop = self.config.dpop_algorithms();
        let access = Access::read(request, &self.config, None)
            .or_else(|refusal| answer(token_refusal(refusal, dpop)))?;
        let access = Box::new(access);
        Ok(Work::Userinfo { access })
    }

    pub(super) fn bad_request_page(&self) -> Response<Bytes> {
        let html = self.pages.error(PageError::BadRequest);
        page(StatusCode::BAD_REQUEST, html)
    }
}

/// An answer that is known before anything is done.
type Answered = Box<Response<Bytes>>;

fn answer<T>(response: Response<Bytes>) -> Result<T, Answered> {
    Err(Box::new(response))
}

/// A request of a client, in which only `repeatable` may come more than once (RFC 8707 2).
fn client_work(
    request: &Request<Bytes>,
    entropy: SecretBytes,
    repeatable: &str,
) -> Result<ClientWork, Answered> {
    let refused = || Box::new(TokenError::InvalidRequest.response());
    if request.body().len() > MAX_FORM_LENGTH {
        return answer(empty(StatusCode::PAYLOAD_TOO_LARGE));
    }
    let query = request.uri().query().unwrap_or_default();
    let query = Form::parse(query.as_bytes()).map_err(|_| refused())?;
    let form = Form::parse(request.body()).map_err(|_| refused())?;
    // RFC 6749, 2.3.1: credentials never travel in the URI.
    let secret_in_uri = ["client_secret", "client_assertion"]
        .iter()
        .any(|name| query.get(name).is_some());
    if secret_in_uri || !is_form(request) || form.has_repeats_but(repeatable) {
        return Err(refused());
    }
    Ok(ClientWork {
        form,
        headers: credentials(request.headers()),
        entropy,
    })
}

/// The headers that say who asks. A request that waits keeps no more of them.
fn credentials(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for name in [AUTHORIZATION, HeaderName::from_static(dpop::HEADER)] {
        for value in headers.get_all(&name) {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}
