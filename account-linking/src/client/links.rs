//! Machine: the links of many local users, from the first redirect to the last revocation.
//!
//! ```text
//!            start                  callback                tokens              remote user known
//!  (none) ---------> AwaitingUser ----------> Exchanging ----------> Identifying ------------> Linked
//!                        |                        |                       |                    | ^ |
//!                        | too late, refused,     | refused, lost         | unknown, taken     | | | unlink
//!                        v wrong browser          v                       v (tokens revoked)   | | v
//!                     NotLinked               NotLinked               NotLinked        refresh | | revocations
//!                                                                                              v |
//!                                                           transient: wait and try again   Refreshing
//!                                                           invalid_grant: NeedsRelink ---> start again
//! ```
//!
//! One stream per local user (`links/{user}`) holds all of that; one per remote user (`claim/{cloud}/{hash}`) makes
//! sure that no two local users share a remote one. Nothing is sent, redirected or told before the change that calls
//! for it is durable. The only thing that is held in memory alone is an authorization code on its way: it may be used
//! once, so after a restart the attempt is over and the user begins again.
//!
//! One node acts for a user at a time; the store's versions catch it when two do.

mod clock;
mod config;
mod deadlines;
mod exchanges;
mod follow;
mod output;
mod plan;
mod schedule;
mod start;
mod store;
mod stored;
mod work;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;

pub use config::Config;
pub use output::{
    Event, ExchangeId, Failure, LinkSummary, OperationId, Output, Refusal, TransportFailure,
};
pub use start::Start;
pub use stored::check_change;

use self::clock::Clock;
use self::deadlines::Deadlines;
use self::exchanges::Exchange;
use self::schedule::Memory;
use self::store::Store;
use self::work::{Begin, Return, TaskId, Work};
use super::authorization::{self, State};
use super::callback::Callback;
use super::cloud::{Cloud, CloudId};
use super::seal::{Sealed, Sealer};
use crate::error::{Error, ErrorKind};
use crate::pkce::PkceVerifier;
use crate::secret::{AccessToken, SecretBytes, sha256};
use crate::stream::{AppendId, Appended, Loaded};
use crate::user_id::UserId;

/// The links of many local users.
pub struct Links {
    config: Config,
    clouds: BTreeMap<CloudId, Cloud>,
    sealer: Arc<dyn Sealer>,
    seed: SecretBytes,
    /// How many values have been drawn from the seed.
    drawn: u64,
    clock: Clock,
    store: Store,
    /// What is under way for a user, beside what the ledger says.
    users: BTreeMap<UserId, Memory>,
    /// Whose the attempts are that wait for a callback.
    states: BTreeMap<String, UserId>,
    exchanges: BTreeMap<ExchangeId, Exchange>,
    operations: BTreeSet<OperationId>,
    deadlines: Deadlines<Timer>,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Timer {
    User(UserId),
    Exchange(ExchangeId),
    Operation(OperationId),
    Append(TaskId),
    Load(String),
}

impl Links {
    /// Begins with nothing in memory.
    ///
    /// `seed` is 32 fresh bytes of the operating system's entropy: names, nonces and jitter are drawn from it. Call
    /// [`Links::wake`] for every user whose stream the store lists as due, now and from time to time.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidUrl`] or [`ErrorKind::InvalidConfig`] when a cloud's description cannot be right.
    pub fn new(
        config: Config,
        clouds: impl IntoIterator<Item = Cloud>,
        sealer: Arc<dyn Sealer>,
        seed: SecretBytes,
        wall: SystemTime,
        now: Instant,
    ) -> Result<Self, Error> {
        let clouds: BTreeMap<_, _> = clouds
            .into_iter()
            .map(|cloud| (cloud.id.clone(), cloud))
            .collect();
        clouds
            .values()
            .try_for_each(|cloud| cloud.check(clouds.values()))?;
        Ok(Self {
            config,
            clouds,
            sealer,
            seed,
            drawn: 0,
            clock: Clock::new(wall, now),
            store: Store::new(),
            users: BTreeMap::new(),
            states: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            operations: BTreeSet::new(),
            deadlines: Deadlines::new(),
            outputs: VecDeque::new(),
        })
    }

    /// Takes over the wall clock, after it was set or a long sleep; otherwise the machine counts on by itself.
    pub fn handle_clock(&mut self, wall: SystemTime, now: Instant) {
        let now = self.clock.pass(now);
        self.clock = Clock::new(wall, now);
    }

    /// Begins an attempt; ends in [`Event::Redirect`] or [`Event::Failed`].
    ///
    /// `state` and `verifier` are 32 fresh bytes of entropy each, which nothing else is made from.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] for an unknown cloud or return page, [`ErrorKind::Full`] when too much is under way,
    /// [`ErrorKind::Unavailable`] when the verifier cannot be sealed.
    pub fn start(
        &mut self,
        start: Start,
        state: [u8; 32],
        verifier: [u8; 32],
        now: Instant,
    ) -> Result<OperationId, Error> {
        let now = self.clock.pass(now);
        let cloud = self
            .clouds
            .get(&start.cloud)
            .ok_or(ErrorKind::NotFound)?
            .clone();
        if !self.config.return_pages.contains(&start.return_page) {
            return Err(ErrorKind::NotFound.into());
        }
        let state = State::generate(state);
        let verifier = cloud.pkce.then(|| PkceVerifier::generate(verifier));
        let location = authorization::location(&cloud, &state, verifier.as_ref())?;
        let attempt = state.attempt();
        let sealed = match &verifier {
            Some(verifier) => Some(self.seal(&start.user, "verifier", verifier.expose())?),
            None => None,
        };
        let operation = self.begin_operation(&start.user, now)?;
        let begin = Begin {
            operation,
            attempt,
            cloud: cloud.id,
            browser: sha256(start.browser.expose()),
            verifier: sealed,
            return_page: start.return_page,
            replace: start.replace,
            location,
            issuer: cloud.issuer,
            scopes: cloud.scopes,
            redirect_uri: cloud.redirect_uri,
        };
        self.enqueue(&start.user, Work::Begin(Box::new(begin)), now);
        Ok(operation)
    }

    /// Takes the redirect in: `user` is who is signed in here, `browser` what the cookie says, `received_at` the
    /// address that was called, without its query. Ends in [`Event::Linked`], [`Event::NotLinked`] or [`Event::Failed`].
    ///
    /// Whatever comes of it, answer the browser with 303 to a page of your own, so that the code leaves its address bar.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidAnswer`] when the query names no attempt, [`ErrorKind::Full`] when too much is under way.
    pub fn callback(
        &mut self,
        user: &UserId,
        browser: &SecretBytes,
        received_at: &str,
        query: &str,
        now: Instant,
    ) -> Result<OperationId, Error> {
        let now = self.clock.pass(now);
        let callback = Callback::parse(query).ok_or(ErrorKind::InvalidAnswer)?;
        let attempt = authorization::attempt_of(&callback.state);
        let operation = self.begin_operation(user, now)?;
        // An attempt of another user is spent without a word; this user's answer is that there is no such attempt.
        let owner = self
            .states
            .get(&attempt)
            .filter(|owner| *owner != user)
            .cloned();
        if let Some(owner) = owner
            && let Some(callback) = Callback::parse(query)
        {
            let (attempt, received_at) = (attempt.clone(), received_at.to_owned());
            let spend = Return {
                operation: None,
                attempt,
                browser: None,
                received_at,
                callback,
            };
            self.enqueue(&owner, Work::Return(Box::new(spend)), now);
        }
        let back = Return {
            operation: Some(operation),
            attempt,
            browser: Some(sha256(browser.expose())),
            received_at: received_at.to_owned(),
            callback,
        };
        self.enqueue(user, Work::Return(Box::new(back)), now);
        Ok(operation)
    }

    /// Asks for a token to call `cloud` with; ends in [`Event::Token`] or [`Event::Failed`].
    ///
    /// `rejected` is a token that the cloud has just answered with 401: it is replaced, once. After 403 `insufficient_scope` leave it
    /// out: the next token would be no better, and the user is to link again, which asks for [`Cloud::scopes`] anew.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`] when too much is under way.
    pub fn token(
        &mut self,
        user: &UserId,
        cloud: &CloudId,
        rejected: Option<AccessToken>,
        now: Instant,
    ) -> Result<OperationId, Error> {
        let cloud = cloud.clone();
        self.command(user, now, |operation| Work::Token {
            operation,
            cloud,
            rejected,
        })
    }

    /// Ends a link; ends in [`Event::Unlinked`] or [`Event::Failed`]. The other side is told as soon as it can be reached.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`] when too much is under way.
    pub fn unlink(
        &mut self,
        user: &UserId,
        cloud: &CloudId,
        now: Instant,
    ) -> Result<OperationId, Error> {
        let cloud = cloud.clone();
        self.command(user, now, |operation| Work::Unlink { operation, cloud })
    }

    /// Asks for the links of a user; ends in [`Event::Links`] or [`Event::Failed`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`] when too much is under way.
    pub fn list(&mut self, user: &UserId, now: Instant) -> Result<OperationId, Error> {
        self.command(user, now, |operation| Work::List { operation })
    }

    /// Loads a stream that the store says is due; streams of others are ignored.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`] when too many users are in memory: ask again later.
    pub fn wake(&mut self, stream: &str, now: Instant) -> Result<(), Error> {
        let now = self.clock.pass(now);
        let Some(user) = stream
            .strip_prefix(USER_PREFIX)
            .and_then(|user| user.parse().ok())
        else {
            return Ok(());
        };
        if !self.store.is_loaded(stream) {
            self.make_room_for(stream)?;
            self.enqueue(&user, Work::Wake, now);
        }
        Ok(())
    }

    /// Takes a response in.
    pub fn handle_response(
        &mut self,
        exchange: ExchangeId,
        response: &http::Response<Bytes>,
        now: Instant,
    ) {
        let now = self.clock.pass(now);
        if let Some(ended) = self.end_exchange(exchange) {
            self.answered(ended, Some(response), now);
        }
    }

    /// Takes in that there is no response.
    pub fn handle_failure(
        &mut self,
        exchange: ExchangeId,
        _failure: TransportFailure,
        now: Instant,
    ) {
        let now = self.clock.pass(now);
        if let Some(ended) = self.end_exchange(exchange) {
            self.answered(ended, None, now);
        }
    }

    /// Takes the store's answer to an [`Output::Append`] in.
    pub fn handle_appended(&mut self, id: AppendId, appended: &Appended, now: Instant) {
        let now = self.clock.pass(now);
        self.appended(id, appended, now);
    }

    /// Takes the store's answer to an [`Output::Load`] in.
    pub fn handle_loaded(&mut self, stream: &str, loaded: &Loaded, now: Instant) {
        let now = self.clock.pass(now);
        self.loaded(stream, loaded, now);
    }

    /// Takes in that a stream could not be read now.
    pub fn handle_load_failed(&mut self, stream: &str, now: Instant) {
        let now = self.clock.pass(now);
        self.load_failed(stream, now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.clock.pass(now);
        while let Some(timer) = self.deadlines.pop_due(now) {
            match timer {
                Timer::User(user) => self.act(&user, now),
                Timer::Exchange(exchange) => {
                    if let Some(ended) = self.end_exchange(exchange) {
                        self.answered(ended, None, now);
                    }
                }
                Timer::Operation(operation) => self.fail(operation, Failure::TimedOut),
                Timer::Append(task) => self.append_again(task, now),
                Timer::Load(stream) => self.load_again(&stream, now),
            }
        }
    }

    /// The next thing to do; draining late changes nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Links::handle_timeout`] must be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    fn command(
        &mut self,
        user: &UserId,
        now: Instant,
        work: impl FnOnce(OperationId) -> Work,
    ) -> Result<OperationId, Error> {
        let now = self.clock.pass(now);
        let operation = self.begin_operation(user, now)?;
        self.enqueue(user, work(operation), now);
        Ok(operation)
    }

    fn begin_operation(&mut self, user: &UserId, now: Instant) -> Result<OperationId, Error> {
        if self.operations.len() >= self.config.max_operations {
            return Err(ErrorKind::Full.into());
        }
        self.make_room_for(&user_stream(user))?;
        let operation = OperationId(self.draw());
        self.operations.insert(operation);
        if let Some(at) = now.checked_add(self.config.operation_timeout) {
            self.deadlines.set(Timer::Operation(operation), at);
        }
        Ok(operation)
    }

    /// Ends a command, if it is not over already; says whether it was still open.
    fn end_operation(&mut self, operation: OperationId) -> bool {
        self.deadlines.cancel(&Timer::Operation(operation));
        self.operations.remove(&operation)
    }

    fn fail(&mut self, operation: OperationId, failure: Failure) {
        if self.end_operation(operation) {
            self.tell(Event::Failed { operation, failure });
        }
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// The next number of this run.
    fn draw(&mut self) -> u64 {
        self.drawn = self.drawn.saturating_add(1);
        self.drawn
    }

    /// Bytes that are different in every call and in every run.
    fn fresh(&mut self, label: &str) -> [u8; 32] {
        let drawn = self.draw();
        self.seed.mac(&[label.as_bytes(), &drawn.to_be_bytes()])
    }

    /// Seals a secret for the stream of `user`, under a field name that no other secret has.
    fn seal(&mut self, user: &UserId, kind: &str, secret: &str) -> Result<Sealed, Error> {
        let name = crate::secret::base64url(&self.fresh("field"));
        let nonce = self.fresh("nonce");
        Sealed::new(
            self.sealer.as_ref(),
            &user_stream(user),
            format!("{kind}/{name}"),
            nonce,
            secret,
        )
        .map_err(|error| Error::new(ErrorKind::Unavailable, error))
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links")
            .field("clouds", &self.clouds.keys())
            .field("operations", &self.operations.len())
            .field("exchanges", &self.exchanges.len())
            .field("next_deadline", &self.next_deadline())
            .finish_non_exhaustive()
    }
}

const USER_PREFIX: &str = "links/";

/// The stream of a user's links.
fn user_stream(user: &UserId) -> String {
    format!("{USER_PREFIX}{user}")
}
