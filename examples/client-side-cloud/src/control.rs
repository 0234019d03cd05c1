//! Commands of people and scripts: JSON over HTTP on loopback.
//!
//! Every command takes `user`, the local user it is about; without it the user is `demo`.

use std::sync::Arc;

use account_linking::UserId;
use account_linking::client::RelinkReason;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use http::header::{HOST, ORIGIN};
use serde::Deserialize;
use serde_json::{Value, json};
use uci_client::{FailureKind, Reply, SubscribeId, Target};
use uci_model::api::{
    BatchFormat, RequestOptions, retrieve_devices, retrieve_resource, update_resource,
};
use uci_model::{Content, ContentFormat, DeviceId, Href};

use crate::Failure;
use crate::accounts::{Account, Accounts};
use crate::notifications::to_json;

type Shared = State<Arc<Accounts>>;
type Answer = Result<Json<Value>, ApiError>;

/// The routes.
pub(crate) fn router(accounts: Arc<Accounts>) -> Router {
    Router::new()
        .route("/link-state", get(link_state))
        .route("/unlink", post(unlink))
        .route("/discover", get(discover))
        .route("/get", get(retrieve))
        .route("/set", post(set))
        .route("/mirror", get(mirror))
        .route("/subscribe", post(subscribe))
        .route("/subscriptions", get(subscriptions))
        .route("/unsubscribe", post(unsubscribe))
        .route("/notifications", get(notifications))
        .layer(from_fn(from_here))
        .with_state(accounts)
}

/// Why a command was not done.
struct ApiError(StatusCode, Value);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        Self(
            StatusCode::SERVICE_UNAVAILABLE,
            json!({ "error": failure.to_string() }),
        )
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self(
            StatusCode::BAD_REQUEST,
            json!({ "error": rejection.body_text() }),
        )
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        Self(
            rejection.status(),
            json!({ "error": rejection.body_text() }),
        )
    }
}

/// The device-side cloud said no, or nothing: 502, with its status where there is one.
impl From<uci_client::Failure> for ApiError {
    fn from(failure: uci_client::Failure) -> Self {
        let status = match failure.kind {
            FailureKind::Status(status) => Some(status),
            _ => None,
        };
        Self(
            StatusCode::BAD_GATEWAY,
            json!({ "error": failure.to_string(), "status": status }),
        )
    }
}

/// Refuses what a web page in someone's browser sent here.
async fn from_here(request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let name = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    if matches!(name, Some("127.0.0.1" | "localhost" | "[::1]"))
        && !request.headers().contains_key(ORIGIN)
    {
        next.run(request).await
    } else {
        StatusCode::FORBIDDEN.into_response()
    }
}

/// The fields that many commands have.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WhoseQuery {
    user: Option<UserId>,
}

/// The account of the user that a command is about.
fn account(accounts: &Accounts, user: Option<UserId>) -> Result<(UserId, Arc<Account>), ApiError> {
    let user = whose(user)?;
    match accounts.get(&user) {
        Some(account) => Ok((user, account)),
        None => Err(ApiError(
            StatusCode::NOT_FOUND,
            json!({ "error": format!("{user} is not linked") }),
        )),
    }
}

fn whose(user: Option<UserId>) -> Result<UserId, ApiError> {
    let user = user.map_or_else(|| "demo".parse(), Ok);
    user.map_err(|error| Failure::of("the default user is none", error).into())
}

async fn link_state(
    State(accounts): Shared,
    query: Result<Query<WhoseQuery>, QueryRejection>,
) -> Answer {
    let user = whose(query?.0.user)?;
    let Some((access, link)) = accounts.shared().linking.link(user.clone()).await? else {
        return Ok(Json(json!({ "user": user, "state": "none" })));
    };
    let reason = link.relink.map(|reason| match reason {
        RelinkReason::GrantEnded => "grant-ended",
        RelinkReason::TokenRejected => "token-rejected",
        RelinkReason::Expired => "expired",
        _ => "other",
    });
    Ok(Json(json!({
        "user": user,
        "state": if reason.is_none() { "linked" } else { "needs-relink" },
        "reason": reason,
        "access": access,
        "link": link.id,
        "remote_user": link.remote_user,
        "scopes": link.scopes,
    })))
}

async fn unlink(State(accounts): Shared, body: Result<Json<WhoseQuery>, JsonRejection>) -> Answer {
    let (user, account) = account(&accounts, body?.0.user)?;
    if let Err(failure) = account.leave().await {
        // Unlinking ends the subscriptions at the other side in any case.
        tracing::warn!(%user, %failure, "the subscriptions were not ended one by one");
    }
    let unlinked = accounts
        .shared()
        .linking
        .unlink(user.clone(), account.cloud.clone())
        .await?;
    accounts.close(&user).await;
    Ok(Json(json!({ "user": user, "unlinked": unlinked })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DiscoverQuery {
    user: Option<UserId>,
    #[serde(default)]
    content: Batch,
    #[serde(default)]
    format: Format,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Batch {
    #[default]
    Base,
    All,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Json,
    Cbor,
}

impl From<Format> for ContentFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Json => Self::Json,
            Format::Cbor => Self::OcfCbor,
        }
    }
}

async fn discover(
    State(accounts): Shared,
    query: Result<Query<DiscoverQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query?;
    let (_, account) = account(&accounts, query.user)?;
    let mut request = retrieve_devices::Request::new(match query.content {
        Batch::Base => BatchFormat::Base,
        Batch::All => BatchFormat::All,
    });
    request.options = RequestOptions::accepting(query.format.into());
    let reply = account.call(request.into()).await??;
    Ok(Json(shown(&reply)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GetQuery {
    user: Option<UserId>,
    device: DeviceId,
    href: Href,
    #[serde(default)]
    format: Format,
}

async fn retrieve(
    State(accounts): Shared,
    query: Result<Query<GetQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query?;
    let (_, account) = account(&accounts, query.user)?;
    let mut request = retrieve_resource::Request::new(query.device, query.href);
    request.options = RequestOptions::accepting(query.format.into());
    let reply = account.call(request.into()).await??;
    Ok(Json(shown(&reply)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetBody {
    user: Option<UserId>,
    device: DeviceId,
    href: Href,
    body: uci_model::Value,
    #[serde(default)]
    format: Format,
}

async fn set(State(accounts): Shared, body: Result<Json<SetBody>, JsonRejection>) -> Answer {
    let Json(set) = body?;
    let (_, account) = account(&accounts, set.user)?;
    let format: ContentFormat = set.format.into();
    let content = Content::encode(format, &set.body).map_err(|error| {
        ApiError(
            StatusCode::BAD_REQUEST,
            json!({ "error": error.to_string() }),
        )
    })?;
    let mut request = update_resource::Request::new(set.device, set.href, content);
    request.options = RequestOptions::accepting(format);
    let reply = account.call(request.into()).await??;
    Ok(Json(shown(&reply)))
}

/// What the device-side cloud answered.
fn shown(reply: &Reply) -> Value {
    let content = match reply {
        Reply::Devices(devices) => Some(&devices.content),
        Reply::Representation(representation) => representation.content.as_ref(),
        _ => None,
    };
    json!({
        "format": content.map(|content| content.format().as_str()),
        "bytes": content.map_or(0, |content| content.body().len()),
        "body": content.map_or(Value::Null, to_json),
    })
}

async fn mirror(
    State(accounts): Shared,
    query: Result<Query<WhoseQuery>, QueryRejection>,
) -> Answer {
    let (_, account) = account(&accounts, query?.0.user)?;
    let mirrored = account.visit(|client, _| {
        let mirror = client.mirror();
        let devices = mirror.devices().map(|(id, device)| {
            let representations: serde_json::Map<String, Value> = device
                .representations()
                .map(|(href, value)| {
                    (
                        href.as_str().to_owned(),
                        serde_json::to_value(value).unwrap_or(Value::Null),
                    )
                })
                .collect();
            json!({
                "device": id,
                "properties": device.properties(),
                "status": device.status(),
                "links": device.links().map(|(_, link)| link).collect::<Vec<_>>(),
                "representations": representations,
            })
        });
        let devices: Vec<Value> = devices.collect();
        json!({ "origin": mirror.origin().to_string(), "devices": devices })
    });
    Ok(Json(mirrored.await?))
}

#[derive(Debug, Deserialize)]
struct SubscribeBody {
    user: Option<UserId>,
    #[serde(flatten)]
    target: Level,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "level", rename_all = "lowercase")]
enum Level {
    Devices,
    Device { device: DeviceId },
    Resource { device: DeviceId, href: Href },
}

impl From<Level> for Target {
    fn from(level: Level) -> Self {
        match level {
            Level::Devices => Self::Devices,
            Level::Device { device } => Self::Device { device },
            Level::Resource { device, href } => Self::Resource { device, href },
        }
    }
}

async fn subscribe(
    State(accounts): Shared,
    body: Result<Json<SubscribeBody>, JsonRejection>,
) -> Answer {
    let Json(body) = body?;
    let (_, account) = account(&accounts, body.user)?;
    let id = account.subscribe(body.target.into()).await?;
    Ok(Json(json!({ "id": id.to_string() })))
}

async fn subscriptions(
    State(accounts): Shared,
    query: Result<Query<WhoseQuery>, QueryRejection>,
) -> Answer {
    let (_, account) = account(&accounts, query?.0.user)?;
    let all = account.subscriptions().await?;
    let all = all.into_iter().map(|(id, state)| {
        json!({
            "id": id.to_string(),
            "target": state.target,
            "state": state.state,
            "subscription": state.subscription,
            "polled": state.polled,
            "reason": state.reason,
        })
    });
    Ok(Json(json!({ "subscriptions": all.collect::<Vec<_>>() })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnsubscribeBody {
    user: Option<UserId>,
    /// Absent for all.
    id: Option<String>,
}

async fn unsubscribe(
    State(accounts): Shared,
    body: Result<Json<UnsubscribeBody>, JsonRejection>,
) -> Answer {
    let Json(body) = body?;
    let (_, account) = account(&accounts, body.user)?;
    let id = match body
        .id
        .as_deref()
        .map(|id| u64::from_str_radix(id, 16))
        .transpose()
    {
        Ok(id) => id.map(SubscribeId::from_u64),
        Err(error) => {
            return Err(ApiError(
                StatusCode::BAD_REQUEST,
                json!({ "error": error.to_string() }),
            ));
        }
    };
    account.unsubscribe(id).await?;
    Ok(Json(json!({ "unsubscribing": true })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NotificationsQuery {
    user: Option<UserId>,
    /// Only those after this number.
    #[serde(default)]
    after: u64,
}

async fn notifications(
    State(accounts): Shared,
    query: Result<Query<NotificationsQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query?;
    let user = whose(query.user)?;
    let listed = accounts.shared().notifications.of(&user, query.after);
    Ok(Json(json!({ "notifications": listed })))
}
