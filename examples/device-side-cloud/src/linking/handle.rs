//! How the rest of the program speaks to account linking.

use std::sync::{Arc, RwLock};
use std::time::{Instant, SystemTime};

use account_linking::server::driver::Handle;
use account_linking::server::presets::Programme;
use account_linking::server::{
    Algorithm, AuthorizationServer, ClientId, ClientKey, Config, Event, GrantId, GrantSummary,
    Principal, Refusal, Registration, RequestId,
};
use account_linking::{RedirectUri, Resource, ScopeSet, UserId};
use bytes::Bytes;
use http::{Request, Response, request};
use tokio::sync::{Mutex, mpsc, oneshot};
use tracing::info;

use super::settling::{self, Unsettled};
use crate::admin::NewClient;
use crate::clock;
use crate::error::Error;
use crate::keys::{Keys, Kind, Shown};
use crate::users::hex;

/// All that a client may ask for (OCF: read device data, update resources).
const SCOPES: &str = "r:* w:* offline_access";

/// A client's id and, this once, its secret.
#[derive(Debug)]
pub(crate) struct Registered {
    pub(crate) client: String,
    pub(crate) secret: Option<String>,
    /// In what the cloud does not meet what the client's programme needs.
    pub(crate) unmet: Option<String>,
}

/// Speaks to the running machine; clones speak to the same one.
#[derive(Clone, Debug)]
pub(crate) struct Linking {
    machine: Handle,
    settings: Arc<Config>,
    keys: Arc<RwLock<Keys>>,
    /// Held by whoever changes the keys until the machine has them.
    changing: Arc<Mutex<()>>,
    settle: mpsc::Sender<settling::Reply>,
}

impl Linking {
    pub(super) fn new(
        machine: Handle,
        settings: Arc<Config>,
        keys: Arc<RwLock<Keys>>,
        settle: mpsc::Sender<settling::Reply>,
    ) -> Self {
        Self {
            machine,
            settings,
            keys,
            changing: Arc::default(),
            settle,
        }
    }

    /// The algorithms of proofs (RFC 9449).
    pub(crate) fn dpop_algorithms(&self) -> &[Algorithm] {
        self.settings
            .dpop
            .as_ref()
            .map_or(&[], |dpop| &dpop.algorithms)
    }

    /// Answers a request to one of the endpoints and pages.
    pub(crate) async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        self.machine.answer(request).await
    }

    /// Checks the access token of a request.
    pub(crate) async fn authenticate(
        &self,
        request: &request::Parts,
    ) -> Result<Principal, Refusal> {
        self.machine.authenticate(request).await
    }

    /// Registers a client-side cloud.
    ///
    /// # Errors
    /// A redirect URI is not usable, or the journal cannot be written.
    pub(crate) async fn register(&self, new: NewClient) -> Result<Registered, Error> {
        let unusable = |cause| Error::new("the client cannot be registered", cause);
        let id: ClientId = format!("client-{}", hex(&clock::entropy::<8>()?))
            .parse()
            .map_err(unusable)?;
        let scopes: ScopeSet = SCOPES.parse().map_err(unusable)?;
        let of_word = |word: &String| {
            let mut all = Programme::ALL.into_iter();
            all.find(|programme| programme.word() == word)
                .ok_or_else(|| Error::plain(format!("there is no programme {word}")))
        };
        let programme = new.programme.as_ref().map(of_word).transpose()?;
        let mut registration = if let Some(programme) = programme {
            let word = programme.word();
            let mut registration =
                programme
                    .registration(id, &new.own, scopes)
                    .map_err(|cause| {
                        Error::new(
                            format!("{:?} is not what {word} has of its own", new.own),
                            cause,
                        )
                    })?;
            registration.name = new.name;
            registration
        } else {
            let redirect_uris = new
                .redirect_uris
                .iter()
                .map(|uri| uri.parse::<RedirectUri>())
                .collect::<Result<Vec<_>, _>>()
                .map_err(|cause| Error::new("a redirect URI is not usable", cause))?;
            let keys = new.keys.iter().map(|key| client_key(key));
            let keys = keys.collect::<Result<Vec<_>, _>>()?;
            if new.public {
                Registration::public(id, new.name, redirect_uris, scopes)
            } else if !keys.is_empty() {
                Registration::with_keys(id, new.name, redirect_uris, scopes, keys)
            } else {
                Registration::confidential(id, new.name, redirect_uris, scopes)
            }
        };
        registration.require_pushed_requests = new.require_pushed_requests;
        registration.dpop_bound_access_tokens = new.dpop_bound;
        registration.device_flow = new.device_flow;
        let resources = new.resources.iter().map(|uri| uri.parse::<Resource>());
        registration.resources = resources
            .collect::<Result<_, _>>()
            .map_err(|cause| Error::new("a resource is no absolute URI", cause))?;
        let unmet = programme
            .and_then(|programme| programme.check(&self.settings, &registration).err())
            .map(|unmet| unmet.to_string());
        let made = self
            .command(move |server, entropy, wall, now| {
                server.register_client(registration, entropy, wall, now)
            })
            .await?;
        match made {
            Event::ClientRegistered { client, secret, .. } => Ok(Registered {
                client: client.to_string(),
                secret: secret.map(|secret| secret.expose().to_owned()),
                unmet,
            }),
            _ => Err(unexpected()),
        }
    }

    /// Adds a key to a client that has keys.
    ///
    /// # Errors
    /// It is not usable, there is no such client, or it has no keys or too many.
    pub(crate) async fn add_client_key(&self, client: &str, key: &str) -> Result<(), Error> {
        let (client, key) = (client_id(client)?, client_key(key)?);
        self.command(move |server, _, wall, now| server.add_client_key(client, key, wall, now))
            .await
            .map(drop)
    }

    /// Ends all keys of a client but the newest.
    ///
    /// # Errors
    /// There is no such client.
    pub(crate) async fn retire_client_keys(&self, client: &str) -> Result<(), Error> {
        let client = client_id(client)?;
        self.command(move |server, _, wall, now| server.retire_client_keys(client, wall, now))
            .await
            .map(drop)
    }

    /// Adds a secret to a client that has secrets, and gives it back, this once.
    ///
    /// # Errors
    /// There is no such client, or it has no secrets or too many.
    pub(crate) async fn add_client_secret(&self, client: &str) -> Result<Option<String>, Error> {
        let client = client_id(client)?;
        let made = self
            .command(move |server, entropy, wall, now| {
                server.add_client_secret(client, entropy, wall, now)
            })
            .await?;
        match made {
            Event::ClientRegistered { secret, .. } => {
                Ok(secret.map(|secret| secret.expose().to_owned()))
            }
            _ => Err(unexpected()),
        }
    }

    /// Ends all secrets of a client but the newest.
    ///
    /// # Errors
    /// There is no such client.
    pub(crate) async fn retire_client_secrets(&self, client: &str) -> Result<(), Error> {
        let client = client_id(client)?;
        self.command(move |server, _, wall, now| server.retire_client_secrets(client, wall, now))
            .await
            .map(drop)
    }

    /// The keys of tokens.
    ///
    /// # Errors
    /// The cloud is stopping.
    pub(crate) fn keys(&self) -> Result<Vec<Shown>, Error> {
        let keys = self.keys.read().map_err(|_| stopping())?;
        Ok(keys.shown())
    }

    /// Makes another key, which makes the tokens from now on; its number.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) async fn add_key(&self, kind: Kind) -> Result<u8, Error> {
        self.change_keys(|keys| keys.add(kind)).await
    }

    /// Takes a key away: its tokens are refused from now on.
    ///
    /// # Errors
    /// There is no such key, or it makes the tokens of today.
    pub(crate) async fn retire_key(&self, kind: Kind, number: u8) -> Result<(), Error> {
        self.change_keys(|keys| keys.retire(kind, number)).await
    }

    /// Changes the keys, and gives the machine those that there are then, also when the change went wrong half way.
    async fn change_keys<T>(
        &self,
        change: impl FnOnce(&mut Keys) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let unusable = |cause| Error::new("the keys cannot be used", cause);
        let _alone = self.changing.lock().await;
        let (changed, signing, refresh) = {
            let mut keys = self.keys.write().map_err(|_| stopping())?;
            let changed = change(&mut keys);
            (changed, keys.public().map_err(unusable)?, keys.refresh())
        };
        self.machine
            .replace_keys(signing, refresh)
            .await
            .map_err(|cause| Error::new("the keys cannot be used", cause))?;
        info!("the keys of tokens changed");
        changed
    }

    /// The consents of a user that are alive.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) async fn grants(&self, user: &str) -> Result<Vec<GrantSummary>, Error> {
        let user = user_id(user)?;
        let listed = self
            .command(move |server, _, wall, now| server.list_grants(user, wall, now))
            .await?;
        match listed {
            Event::Grants { grants, .. } => Ok(grants),
            _ => Err(unexpected()),
        }
    }

    /// Ends a consent: its tokens open nothing any more, and its subscriptions are cancelled.
    ///
    /// # Errors
    /// There is no such consent, or the journal cannot be written.
    pub(crate) async fn end_grant(&self, user: &str, grant: &str) -> Result<(), Error> {
        let user = user_id(user)?;
        let grant: GrantId = grant
            .parse()
            .map_err(|cause| Error::new(format!("{grant} is no grant"), cause))?;
        self.command(move |server, _, wall, now| server.end_grant(user, grant, wall, now))
            .await
            .map(drop)
    }

    /// Ends everywhere what a stop left half ended, and answers when that is durable: for which users it could not be done.
    /// Until then nothing may leave that was promised under a link.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) async fn settle(&self) -> Result<Unsettled, Error> {
        let (send, receive) = oneshot::channel();
        drop(self.settle.send(send).await);
        receive
            .await
            .ok()
            .flatten()
            .ok_or_else(|| Error::plain("cannot list which links have ended"))
    }

    /// Has the machine do something; its final event.
    async fn command(
        &self,
        order: impl FnOnce(
            &mut AuthorizationServer,
            [u8; 32],
            SystemTime,
            Instant,
        ) -> Result<RequestId, account_linking::Error>
        + Send
        + 'static,
    ) -> Result<Event, Error> {
        let done = self.machine.command(order).await;
        done.map_err(|cause| Error::new("it was not done", cause))
    }
}

fn stopping() -> Error {
    Error::plain("the cloud is stopping")
}

fn unexpected() -> Error {
    Error::plain("account linking answered something else")
}

fn client_id(client: &str) -> Result<ClientId, Error> {
    client
        .parse()
        .map_err(|cause| Error::new(format!("{client} is no client"), cause))
}

fn client_key(jwk: &str) -> Result<ClientKey, Error> {
    jwk.trim()
        .parse()
        .map_err(|cause| Error::new("it is not the JWK of a public key with alg", cause))
}

fn user_id(user: &str) -> Result<UserId, Error> {
    user.parse()
        .map_err(|cause| Error::new("the user's id is not usable", cause))
}
