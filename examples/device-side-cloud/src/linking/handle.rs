//! How the rest of the program speaks to account linking.

use account_linking::server::presets::Programme;
use account_linking::server::{
    Algorithm, ClientId, GrantId, GrantSummary, Principal, Refusal, Registration,
};
use account_linking::{RedirectUri, Resource, ScopeSet, UserId};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tokio::sync::{mpsc, oneshot};

use super::settling::Unsettled;
use crate::admin::NewClient;
use crate::clock;
use crate::error::Error;
use crate::https::refusal;
use crate::keys::{Kind, Shown};
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

/// Where the answer to an operator's command goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What the machine is given to do.
pub(super) enum Command {
    Answer(Request<Bytes>, oneshot::Sender<Response<Bytes>>),
    Authenticate(Request<()>, oneshot::Sender<Result<Principal, Refusal>>),
    Register(Box<Registration>, Option<Programme>, Reply<Registered>),
    Keys(Reply<Vec<Shown>>),
    AddKey(Kind, Reply<u8>),
    RetireKey(Kind, u8, Reply<()>),
    Grants(UserId, Reply<Vec<GrantSummary>>),
    EndGrant(UserId, GrantId, Reply<()>),
    Settle(oneshot::Sender<Option<Unsettled>>),
}

/// Speaks to the running machine; clones speak to the same one.
#[derive(Clone, Debug)]
pub(crate) struct Linking {
    commands: mpsc::Sender<Command>,
    dpop: Vec<Algorithm>,
}

impl Linking {
    pub(super) fn new(commands: mpsc::Sender<Command>, dpop: Vec<Algorithm>) -> Self {
        Self { commands, dpop }
    }

    /// The algorithms of proofs (RFC 9449).
    pub(crate) fn dpop_algorithms(&self) -> &[Algorithm] {
        &self.dpop
    }

    /// Answers a request to one of the endpoints and pages.
    pub(crate) async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (send, receive) = oneshot::channel();
        drop(self.commands.send(Command::Answer(request, send)).await);
        receive
            .await
            .unwrap_or_else(|_| refusal(StatusCode::SERVICE_UNAVAILABLE, "the cloud is stopping"))
    }

    /// Checks the access token of a request.
    pub(crate) async fn authenticate(
        &self,
        request: &Request<Bytes>,
    ) -> Result<Principal, Refusal> {
        let (send, receive) = oneshot::channel();
        let mut head = Request::new(());
        *head.method_mut() = request.method().clone();
        *head.uri_mut() = request.uri().clone();
        *head.headers_mut() = request.headers().clone();
        drop(self.commands.send(Command::Authenticate(head, send)).await);
        receive.await.unwrap_or(Err(Refusal::Unavailable))
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
            if new.public {
                Registration::public(id, new.name, redirect_uris, scopes)
            } else {
                Registration::confidential(id, new.name, redirect_uris, scopes)
            }
        };
        registration.require_pushed_requests = new.require_pushed_requests;
        registration.dpop_bound_access_tokens = new.dpop_bound;
        let resources = new.resources.iter().map(|uri| uri.parse::<Resource>());
        registration.resources = resources
            .collect::<Result<_, _>>()
            .map_err(|cause| Error::new("a resource is no absolute URI", cause))?;
        self.ask(|reply| Command::Register(Box::new(registration), programme, reply))
            .await
    }

    /// The keys of tokens.
    ///
    /// # Errors
    /// The cloud is stopping.
    pub(crate) async fn keys(&self) -> Result<Vec<Shown>, Error> {
        self.ask(Command::Keys).await
    }

    /// Makes another key, which makes the tokens from now on; its number.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) async fn add_key(&self, kind: Kind) -> Result<u8, Error> {
        self.ask(|reply| Command::AddKey(kind, reply)).await
    }

    /// Takes a key away: its tokens are refused from now on.
    ///
    /// # Errors
    /// There is no such key, or it makes the tokens of today.
    pub(crate) async fn retire_key(&self, kind: Kind, number: u8) -> Result<(), Error> {
        self.ask(|reply| Command::RetireKey(kind, number, reply))
            .await
    }

    /// The consents of a user that are alive.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) async fn grants(&self, user: &str) -> Result<Vec<GrantSummary>, Error> {
        let user = user_id(user)?;
        self.ask(|reply| Command::Grants(user, reply)).await
    }

    /// Ends a consent: its tokens open nothing any more, and its subscriptions are cancelled.
    ///
    /// # Errors
    /// There is no such consent, or the journal cannot be written.
    pub(crate) async fn end_grant(&self, user: &str, grant: &str) -> Result<(), Error> {
        let user = user_id(user)?;
        let grant = grant
            .parse()
            .map_err(|cause| Error::new(format!("{grant} is no grant"), cause))?;
        self.ask(|reply| Command::EndGrant(user, grant, reply))
            .await
    }

    /// Ends everywhere what a stop left half ended, and answers when that is durable: for which users it could not be done.
    /// Until then nothing may leave that was promised under a link.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) async fn settle(&self) -> Result<Unsettled, Error> {
        let (send, receive) = oneshot::channel();
        drop(self.commands.send(Command::Settle(send)).await);
        receive
            .await
            .ok()
            .flatten()
            .ok_or_else(|| Error::plain("cannot list which links have ended"))
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Error> {
        let (send, receive) = oneshot::channel();
        drop(self.commands.send(command(send)).await);
        receive
            .await
            .map_err(|cause| Error::new("the cloud is stopping", cause))?
    }
}

fn user_id(user: &str) -> Result<UserId, Error> {
    user.parse()
        .map_err(|cause| Error::new("the user's id is not usable", cause))
}
