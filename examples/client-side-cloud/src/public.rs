//! What browsers and the device-side cloud reach: linking and notifications.

use std::sync::Arc;

use account_linking::UserId;
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, RawQuery, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;

use crate::accounts::Accounts;
use crate::config::{FULL, READ};
use crate::linking::Returned;
use crate::sessions::Sessions;
use crate::{Failure, pages};

/// The longest notification that is read; the machine has a limit of its own.
const MAX_NOTIFICATION: usize = 4 * 1024 * 1024;

/// What the handlers work on.
#[derive(Debug)]
pub(crate) struct Public {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) sessions: Sessions,
    /// The origin under which this program is reached.
    pub(crate) origin: String,
}

/// The routes.
pub(crate) fn router(public: Arc<Public>) -> Router {
    Router::new()
        .route("/", get(|| async { pages::start() }))
        .route("/link", get(link))
        .route("/oauth/callback", get(come_back))
        .route("/linked", get(|| async { pages::linked() }))
        .route("/not-linked", get(|| async { pages::not_linked() }))
        .route("/events/{user}", post(notify))
        .with_state(public)
}

#[derive(Debug, Deserialize)]
struct LinkQuery {
    user: UserId,
    #[serde(default)]
    access: Access,
    /// The user has agreed that another remote account may take the place of the linked one.
    #[serde(default)]
    replace: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Access {
    #[default]
    Full,
    Read,
}

/// Step 1 to 3 of linking: the browser is sent to the device-side cloud.
async fn link(
    State(public): State<Arc<Public>>,
    headers: HeaderMap,
    query: Result<Query<LinkQuery>, QueryRejection>,
) -> Response {
    let Ok(Query(query)) = query else {
        return pages::refused(StatusCode::BAD_REQUEST);
    };
    match begin(&public, &headers, query).await {
        Ok(response) => response,
        Err(error) => {
            tracing::warn!(%error, "linking did not begin");
            pages::refused(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

async fn begin(
    public: &Public,
    headers: &HeaderMap,
    query: LinkQuery,
) -> Result<Response, Failure> {
    let known = public
        .sessions
        .of(headers)
        .filter(|session| session.user == query.user);
    let (session, cookie) = match known {
        Some(session) => (session, None),
        None => public
            .sessions
            .begin(query.user)
            .map(|(session, cookie)| (session, Some(cookie)))?,
    };
    let cloud = match query.access {
        Access::Full => FULL,
        Access::Read => READ,
    };
    let cloud = cloud
        .parse()
        .map_err(|error| Failure::of("no such cloud", error))?;
    let linking = &public.accounts.shared().linking;
    let location = linking
        .begin(session.user, cloud, session.browser, query.replace)
        .await?;
    let mut response = Redirect::to(&location).into_response();
    pages::protect(&mut response);
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Step 11: the browser comes back. It is sent on at once, so that the code leaves its address bar.
async fn come_back(
    State(public): State<Arc<Public>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let to = match (public.sessions.of(&headers), query) {
        (Some(session), Some(query)) => {
            let received_at = format!("{}/oauth/callback", public.origin);
            let linking = &public.accounts.shared().linking;
            match linking
                .come_back(session.user, session.browser, received_at, query)
                .await
            {
                Ok(Returned::Linked) => "/linked",
                Ok(Returned::NotLinked(refusal)) => {
                    tracing::warn!(refusal, "not linked");
                    "/not-linked"
                }
                Err(error) => {
                    tracing::warn!(%error, "not linked");
                    "/not-linked"
                }
            }
        }
        _ => "/not-linked",
    };
    send_on(to)
}

/// Sends the browser to a page of a fixed list: nothing of the address that it came with is in the new one.
fn send_on(to: &'static str) -> Response {
    let mut response = Redirect::to(to).into_response();
    pages::protect(&mut response);
    response
}

/// A notification of the device-side cloud.
async fn notify(
    State(public): State<Arc<Public>>,
    Path(user): Path<String>,
    request: Request,
) -> Response {
    let account = user
        .parse()
        .ok()
        .and_then(|user: UserId| public.accounts.get(&user));
    // Nobody here any more: 410 makes the other side cancel.
    let Some(account) = account else {
        return StatusCode::GONE.into_response();
    };
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_NOTIFICATION).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let answer = account.notify(http::Request::from_parts(head, body)).await;
    answer.map_or_else(
        || StatusCode::SERVICE_UNAVAILABLE.into_response(),
        |answer| answer.map(axum::body::Body::from),
    )
}

#[cfg(test)]
mod tests {
    use http::header::{CACHE_CONTROL, LOCATION, REFERRER_POLICY};
    use tower_service::Service as _;

    use super::*;
    use crate::accounts::Shared;
    use crate::linking;
    use crate::notifications::Notifications;
    use crate::sender::Sender;
    use crate::store::{Keys, Store, keyring};

    /// What accounts need, without an account.
    fn shared(folder: &std::path::Path) -> Shared {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let (store, sender) = (Store::open(&folder.join("data")).unwrap(), Sender::new(tls));
        let (store, keys) = (
            Arc::new(store),
            Keys(keyring(&folder.join("keys")).unwrap()),
        );
        let linking = linking::start(Vec::new(), &store, keys.clone(), sender.clone());
        Shared {
            linking: linking.unwrap().0,
            notifications: Notifications::open(&folder.join("data")).unwrap(),
            store,
            keys,
            sender,
            api: http::Uri::from_static("https://cloud.example/api/v1"),
            origin: "https://client.example".to_owned(),
        }
    }

    #[tokio::test]
    async fn devices_of_another_cloud_are_not_served_on() {
        let folder = std::env::temp_dir().join(format!("no-interface-{}", std::process::id()));
        let public = Public {
            accounts: Arc::new(Accounts::new(Arc::new(shared(&folder)))),
            sessions: Sessions::default(),
            origin: "https://client.example".to_owned(),
        };
        let mut router = router(Arc::new(public));
        let device = "53080a4f-5e3e-4291-802f-3436238232d2";
        for root in ["", "/api/v1"] {
            for path in [
                "/devices".to_owned(),
                "/devices/subscriptions".to_owned(),
                format!("/devices/subscriptions/{device}"),
                format!("/devices/{device}"),
                format!("/devices/{device}/subscriptions"),
                format!("/devices/{device}/light/1"),
                format!("/devices/{device}/light/1/subscriptions"),
            ] {
                for method in ["GET", "POST", "DELETE"] {
                    let request = Request::builder()
                        .method(method)
                        .uri(format!("{root}{path}"))
                        .body(axum::body::Body::empty())
                        .unwrap();
                    let response = router.call(request).await.unwrap();
                    assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
                }
            }
        }
    }

    #[test]
    fn after_the_callback_the_browser_is_on_a_page_without_code_and_state() {
        for page in ["/linked", "/not-linked"] {
            let response = send_on(page);
            assert_eq!(response.status(), StatusCode::SEE_OTHER);
            assert_eq!(response.headers()[LOCATION], page);
            assert_eq!(response.headers()[REFERRER_POLICY], "no-referrer");
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        }
    }
}
