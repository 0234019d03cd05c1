//! What the driver of account linking needs from this program: its clock, its users, its keys, its store.

use std::sync::{Arc, RwLock};
use std::time::SystemTime;

use account_linking::server::dpop::ProofKey;
use account_linking::server::driver::Outside;
use account_linking::server::{Algorithm, Event};
use account_linking::{Append, Appended, Loaded, Password, Snapshot, UserId};
use bytes::Bytes;
use tracing::{error, info, warn};

use super::settling::Ends;
use super::streams;
use crate::clock;
use crate::keys::Keys;
use crate::signing::proves;
use crate::store::Store;
use crate::users::Users;

pub(super) struct Surroundings {
    pub(super) store: Store,
    pub(super) users: Users,
    pub(super) keys: Arc<RwLock<Keys>>,
    /// Where the ends of grants go.
    pub(super) ends: Ends,
}

impl Outside for Surroundings {
    fn wall(&self) -> SystemTime {
        clock::wall()
    }

    fn entropy(&self) -> Option<[u8; 32]> {
        clock::entropy()
            .inspect_err(|error| error!(error = error.chain(), "no entropy"))
            .ok()
    }

    async fn verify_password(&self, user_name: String, password: Password) -> Option<UserId> {
        let found = self
            .users
            .verify(&user_name, password.expose().to_owned())
            .await;
        let user = found.unwrap_or_else(|error| {
            warn!(error = error.chain(), "a password could not be checked");
            None
        });
        user?.parse().ok()
    }

    async fn sign(&self, key_id: String, _: Algorithm, input: Bytes) -> Option<Vec<u8>> {
        let keys = self.keys.read().ok()?;
        keys.signing(&key_id)?
            .sign(&input)
            .inspect_err(|error| error!(error = error.chain(), "cannot sign"))
            .ok()
    }

    async fn verify(&self, key_id: String, _: Algorithm, input: Bytes, signature: Bytes) -> bool {
        let Ok(keys) = self.keys.read() else {
            return false;
        };
        let key = keys.signing(&key_id);
        key.is_some_and(|key| key.verify(&input, &signature))
    }

    async fn verify_proof(
        &self,
        key: ProofKey,
        _: Algorithm,
        input: Bytes,
        signature: Bytes,
    ) -> bool {
        proves(&key, &input, &signature)
    }

    async fn load(&self, stream: String) -> Option<Loaded> {
        streams::load(&self.store, &stream).await
    }

    async fn append(&self, append: Append) -> Appended {
        streams::make_durable(&self.store, append).await
    }

    async fn save_snapshot(&self, stream: String, snapshot: Snapshot) {
        let snapshot = journal::Snapshot::new(snapshot.version, snapshot.format, snapshot.bytes);
        if let Err(cause) = self.store.save_snapshot(&stream, snapshot).await {
            // The changes are still there, so nothing but time is lost.
            warn!(stream, %cause, "a snapshot was not kept");
        }
    }

    fn note(&self, event: Event) {
        match event {
            Event::GrantEnded {
                account,
                client,
                grant,
                reason,
            } => {
                info!(%account, %client, ?reason, "a link ended");
                self.ends.tell(account, grant);
            }
            Event::GrantStarted {
                account,
                client,
                grant,
                ..
            } => info!(%account, %client, %grant, "an account was linked"),
            other => info!(event = ?other, "account linking reports"),
        }
    }
}
