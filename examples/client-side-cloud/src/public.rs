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
mod tests;
