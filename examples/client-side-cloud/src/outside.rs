//! What an account's machine needs from outside: the sender, the store, tokens of its link.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use account_linking::UserId;
use account_linking::client::CloudId;
use bytes::Bytes;
use uci_client::driver::World;
use uci_client::{Append, Appended, Loaded, Snapshot, TransportFailure};
use uci_model::api::AccessToken;

use crate::accounts::Shared;
use crate::clock;
use crate::sender::SendError;
use crate::store::uci as convert;

/// The world of one account.
pub(crate) struct Outside {
    shared: Arc<Shared>,
    user: UserId,
    cloud: CloudId,
    /// The token that was given last, to be named when it is refused.
    last: Mutex<Option<account_linking::AccessToken>>,
}

impl Outside {
    pub(crate) fn new(shared: Arc<Shared>, user: UserId, cloud: CloudId) -> Self {
        Self {
            shared,
            user,
            cloud,
            last: Mutex::default(),
        }
    }
}

impl World for Outside {
    async fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, TransportFailure> {
        self.shared
            .sender
            .send(request)
            .await
            .map_err(|error| match error {
                SendError::NotSent => TransportFailure::NotSent,
                SendError::Interrupted => TransportFailure::Interrupted,
            })
    }

    async fn token(&self, refused: bool) -> Option<(AccessToken, Option<Instant>)> {
        let last = self
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let got = self
            .shared
            .linking
            .token(
                self.user.clone(),
                self.cloud.clone(),
                last.filter(|_| refused),
            )
            .await;
        let (token, expires) = got
            .inspect_err(|error| tracing::warn!(user = %self.user, %error, "no token"))
            .ok()?;
        let for_calls = AccessToken::try_from(token.expose().to_owned()).ok()?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(token);
        let left = expires.map(|expires| expires.duration_since(clock::wall()).unwrap_or_default());
        Some((
            for_calls,
            left.and_then(|left| clock::now().checked_add(left)),
        ))
    }

    async fn load(&self, stream: &str) -> Option<Loaded> {
        self.shared.store.load(stream).await.map(convert::loaded)
    }

    async fn append(&self, append: Append) -> Appended {
        convert::appended(self.shared.store.append(convert::append(append)).await)
    }

    async fn save_snapshot(&self, stream: String, snapshot: Snapshot) {
        self.shared
            .store
            .save_snapshot(stream, convert::snapshot(snapshot))
            .await;
    }

    fn wall(&self) -> SystemTime {
        clock::wall()
    }
}
