//! One output at a time: begun in the world, its answer handed in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tracing::debug;
use uci_model::api::AccessToken;

use super::{World, now};
use crate::append::{AppendId, Appended, Loaded};
use crate::client::Client;
use crate::output::{ExchangeId, Output, RequestId, TransportFailure};

/// What the world has done.
pub(super) enum Done {
    Sent(ExchangeId, Result<http::Response<Bytes>, TransportFailure>),
    Token(Option<(AccessToken, Option<Instant>)>),
    Loaded(String, Option<Loaded>),
    Appended(AppendId, Appended),
    Saved,
}

/// The requests to the events URL that wait for their answer.
pub(super) type Requests = BTreeMap<RequestId, oneshot::Sender<http::Response<Bytes>>>;

/// Begins what an output asks for.
pub(super) fn carry_out<W: World>(
    output: Output,
    world: &Arc<W>,
    tasks: &mut JoinSet<Done>,
    requests: &mut Requests,
) {
    let world = Arc::clone(world);
    match output {
        Output::Send { exchange, request } => {
            debug!(?exchange, method = %request.method(), "send");
            tasks.spawn(async move { Done::Sent(exchange, world.send(request).await) });
        }
        Output::NeedToken { refused } => {
            tasks.spawn(async move { Done::Token(world.token(refused).await) });
        }
        Output::Respond { request, response } => {
            debug!(?request, status = response.status().as_u16(), "respond");
            if let Some(answer) = requests.remove(&request) {
                // The peer may have hung up meanwhile; it will ask again.
                let _ = answer.send(response);
            }
        }
        Output::Load { stream } => {
            tasks.spawn(async move {
                let loaded = world.load(&stream).await;
                Done::Loaded(stream, loaded)
            });
        }
        Output::Append(append) => {
            tasks.spawn(async move { Done::Appended(append.id, world.append(append).await) });
        }
        Output::SaveSnapshot { stream, snapshot } => {
            tasks.spawn(async move {
                world.save_snapshot(stream, snapshot).await;
                Done::Saved
            });
        }
        // The caller of this function sends events on.
        Output::Event(_) => {}
    }
}

/// Hands an answer of the world to the machine.
pub(super) fn hand_in(client: &mut Client, done: Done) {
    let now = now();
    match done {
        Done::Sent(exchange, Ok(response)) => client.handle_response(exchange, &response, now),
        Done::Sent(exchange, Err(failure)) => client.handle_failure(exchange, failure, now),
        Done::Token(Some((token, expires))) => client.handle_token(token, expires, now),
        Done::Token(None) => client.handle_token_failed(now),
        Done::Loaded(stream, Some(loaded)) => client.handle_loaded(&stream, &loaded, now),
        Done::Loaded(stream, None) => client.handle_load_failed(&stream, now),
        Done::Appended(id, appended) => client.handle_appended(id, &appended, now),
        Done::Saved => {}
    }
}
