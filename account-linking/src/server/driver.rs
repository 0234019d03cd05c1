//! The machine on tokio: a task that owns the [`AuthorizationServer`], and handles to it.
//!
//! The task moves requests, answers and changes between the machine and an [`Outside`] and decides nothing. How many requests
//! may wait for it is the caller's choice; while that many wait, whoever asks waits too. What people see when the task has ended
//! is a 503.

mod outside;
mod task;

use std::future::Future;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Request, Response, StatusCode, request};
use tokio::sync::{mpsc, oneshot};

use crate::error::Error;
use crate::resource::Resource;
use crate::server::access_token::{Principal, Refusal};
use crate::server::authorization_server::AuthorizationServer;
use crate::server::config::{RefreshKey, SigningKey};
use crate::server::ids::RequestId;
use crate::server::output::Event;

pub use outside::Outside;

/// What a command does at the machine, with fresh entropy and the time.
type Order = Box<
    dyn FnOnce(&mut AuthorizationServer, [u8; 32], SystemTime, Instant) -> Result<RequestId, Error>
        + Send,
>;

enum Input {
    Answer(Request<Bytes>, oneshot::Sender<Response<Bytes>>),
    Authenticate(
        Request<Bytes>,
        Option<Resource>,
        oneshot::Sender<Result<Principal, Refusal>>,
    ),
    Keys(
        Vec<SigningKey>,
        Vec<RefreshKey>,
        oneshot::Sender<Result<(), Error>>,
    ),
    Command(Order, oneshot::Sender<Result<Event, Error>>),
}

/// Why a command has no final event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The machine refused it, or could not do it; nothing has changed.
    #[error("the command was refused")]
    Refused(#[from] Error),
    /// The task has ended.
    #[error("the task of the authorization server has ended")]
    Gone,
}

/// A way to the task; cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<Input>);

impl Handle {
    /// Answers a request to one of the server's own endpoints; 503 when the task has ended.
    ///
    /// The length of the body is for the caller to bound: 64 KiB are more than any request needs.
    pub async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (to, answer) = oneshot::channel();
        if self.0.send(Input::Answer(request, to)).await.is_err() {
            return stopped();
        }
        answer.await.unwrap_or_else(|_| stopped())
    }

    /// Checks the access token of a request to the protected API: whose it is, and what it may do.
    ///
    /// # Errors
    ///
    /// The [`Refusal`], which says how to answer; [`Refusal::Unavailable`] also when the task has ended.
    pub async fn authenticate(&self, head: &request::Parts) -> Result<Principal, Refusal> {
        self.check(head, None).await
    }

    /// The same for one of the further APIs (RFC 8707).
    ///
    /// # Errors
    ///
    /// As of [`Handle::authenticate`].
    pub async fn authenticate_for(
        &self,
        resource: Resource,
        head: &request::Parts,
    ) -> Result<Principal, Refusal> {
        self.check(head, Some(resource)).await
    }

    /// Replaces the keys, as [`AuthorizationServer::replace_keys`] says.
    ///
    /// # Errors
    ///
    /// [`CommandError::Refused`] when the former keys stay, [`CommandError::Gone`] when the task has ended.
    pub async fn replace_keys(
        &self,
        signing_keys: Vec<SigningKey>,
        refresh_keys: Vec<RefreshKey>,
    ) -> Result<(), CommandError> {
        let (to, answer) = oneshot::channel();
        let input = Input::Keys(signing_keys, refresh_keys, to);
        self.0.send(input).await.map_err(|_| CommandError::Gone)?;
        Ok(answer.await.map_err(|_| CommandError::Gone)??)
    }

    async fn check(
        &self,
        head: &request::Parts,
        resource: Option<Resource>,
    ) -> Result<Principal, Refusal> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = head.uri.clone();
        *request.headers_mut() = head.headers.clone();
        let (to, answer) = oneshot::channel();
        let sent = self
            .0
            .send(Input::Authenticate(request, resource, to))
            .await;
        sent.map_err(|_| Refusal::Unavailable)?;
        answer.await.unwrap_or(Err(Refusal::Unavailable))
    }

    /// Gives a command with fresh entropy and the time, and waits for its final event.
    ///
    /// # Errors
    ///
    /// [`CommandError::Refused`] when the machine refuses it or it fails, [`CommandError::Gone`] when the task has ended.
    pub async fn command(
        &self,
        order: impl FnOnce(
            &mut AuthorizationServer,
            [u8; 32],
            SystemTime,
            Instant,
        ) -> Result<RequestId, Error>
        + Send
        + 'static,
    ) -> Result<Event, CommandError> {
        let (to, event) = oneshot::channel();
        let input = Input::Command(Box::new(order), to);
        self.0.send(input).await.map_err(|_| CommandError::Gone)?;
        match event.await.map_err(|_| CommandError::Gone)?? {
            Event::CommandFailed { kind, .. } => Err(Error::from(kind).into()),
            event => Ok(event),
        }
    }
}

/// Makes a handle and the future that drives `server` until every handle is dropped.
///
/// `capacity` is how many requests, checks and commands may wait for the machine.
pub fn drive<O: Outside>(
    server: AuthorizationServer,
    outside: O,
    capacity: usize,
) -> (Handle, impl Future<Output = AuthorizationServer> + Send) {
    let (sender, inputs) = mpsc::channel(capacity.max(1));
    (Handle(sender), task::run(server, outside, inputs))
}

fn stopped() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(b"the service has stopped"));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}
