//! Machine: an authorization server, from HTTP requests to HTTP answers.
//!
//! ```text
//! handle_request ─▶ parse ─▶ Load? ─▶ decide ─▶ VerifyPassword? Verify? Sign? ─▶ Append ─▶ Respond
//! authenticate   ─▶ parse ─▶ Verify? ─▶ Load? ──────────────────────────────────▶ Authenticated
//! commands       ─▶ Load? ─▶ decide ─▶ Append ──────────────────────────────────▶ Event
//! ```
//!
//! A request is a task that runs until it lacks something, and runs again from its start when that
//! has come. Whatever it decides it decides on the state it finds then, so that a lost race needs
//! no rule of its own. Nothing leaves before the change behind it is durable (L5).

mod assertion_steps;
mod browser_steps;
mod client_steps;
mod command_steps;
mod device_steps;
mod links_steps;
mod proof_steps;
mod push_steps;
mod routes;
mod tasks;
mod token_steps;

use core::fmt;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::error::Error;
use crate::resource::Resource;
use crate::secret::SecretBytes;
use crate::server::access_token::{Principal, Refusal};
use crate::server::browser::Browsers;
use crate::server::config::{Config, RefreshKey, SigningKey};
use crate::server::device::Devices;
use crate::server::dpop::{Nonces, Proofs};
use crate::server::grants::Grants;
use crate::server::ids::RequestId;
use crate::server::output::{Event, Output};
use crate::server::pages::Pages;
use crate::server::presented_token::Access;
use crate::server::pushed::Pushed;
use crate::server::registration::Client;
use crate::server::streams::{Desk, Streams};
use crate::server::throttle::Throttle;
use crate::server::verified_tokens::VerifiedTokens;
use crate::stream::{AppendId, Appended, Loaded};
use crate::user_id::UserId;
use tasks::{Awaiting, Task, Work};

/// The authorization server of a device-side cloud.
pub struct AuthorizationServer {
    config: Config,
    pages: Box<dyn Pages>,
    clients: Streams<Client>,
    grants: Streams<Grants>,
    browsers: Browsers,
    throttle: Throttle,
    pushed: Pushed,
    devices: Devices,
    /// User codes that were not right, by user.
    guesses: Throttle,
    proofs: Proofs,
    /// Client assertions that were accepted.
    assertions: Proofs,
    nonces: Option<Nonces>,
    verified: VerifiedTokens,
    tasks: BTreeMap<RequestId, Box<Task>>,
    deadlines: BTreeSet<(Instant, RequestId)>,
    next_request: u64,
    /// The latest wall time seen, since the Unix epoch: a clock step back revives nothing.
    wall: Duration,
    desk: Desk,
}

impl fmt::Debug for AuthorizationServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationServer")
            .field("issuer", &self.config.issuer)
            .field("tasks", &self.tasks.len())
            .finish_non_exhaustive()
    }
}

impl AuthorizationServer {
    /// A server that remembers nothing yet.
    ///
    /// `seed` is fresh entropy of this start: the names of appends come from it and must not
    /// return after a restart.
    ///
    /// # Errors
    /// As of [`Config::check`].
    pub fn new(
        config: Config,
        pages: Box<dyn Pages>,
        seed: [u8; 32],
        now: Instant,
    ) -> Result<Self, Error> {
        config.check()?;
        let nonces = config.dpop.as_ref().and_then(|dpop| {
            let lifetime = dpop.nonce_lifetime?;
            Some(Nonces::new(&SecretBytes::new(seed), lifetime))
        });
        let throttle = || {
            Throttle::new(
                config.max_login_failures,
                config.login_failure_window,
                config.max_sessions,
            )
        };
        let flow = config.device_flow.as_ref();
        let max_proofs = config.dpop.as_ref().map_or(0, |dpop| dpop.max_proofs);
        let assertions = config.client_assertions.as_ref();
        let max_assertions = assertions.map_or(0, |settings| settings.max_remembered);
        Ok(Self {
            clients: Streams::new(config.max_streams),
            grants: Streams::new(config.max_streams),
            browsers: Browsers::new(config.max_sessions),
            throttle: throttle(),
            guesses: throttle(),
            devices: Devices::new(flow.map_or(0, |flow| flow.max_devices)),
            pushed: Pushed::new(config.max_pushed_requests),
            proofs: Proofs::new(max_proofs),
            assertions: Proofs::new(max_assertions),
            nonces,
            verified: VerifiedTokens::new(config.max_verified_tokens),
            tasks: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            next_request: 0,
            wall: Duration::ZERO,
            desk: Desk::new(seed, now, config.request_timeout, config.append_retry),
            config,
            pages,
        })
    }

    /// Takes other keys, at once and for requests in progress too: the first of each makes tokens, all of them are accepted.
    ///
    /// Without an outage: add a new key in front; take an old one away when the tokens made with it are over. Of a signing key
    /// that is an [access token's lifetime](Config::access_token_lifetime) after it stopped signing, of a refresh key when no
    /// [`GrantSummary::refresh_key`](super::GrantSummary::refresh_key) names it: a client gets a token of the new key with its
    /// next refresh, also where its token stays otherwise.
    ///
    /// # Errors
    /// As of [`Config::check`]; the former keys stay then.
    pub fn replace_keys(
        &mut self,
        signing_keys: Vec<SigningKey>,
        refresh_keys: Vec<RefreshKey>,
    ) -> Result<(), Error> {
        let config = Config {
            signing_keys,
            refresh_keys,
            ..self.config.clone()
        };
        config.check()?;
        self.config = config;
        // Some of them may be of a key that is believed no more.
        self.verified.clear();
        Ok(())
    }

    /// Checks the access token of a request to the protected API, [`Config::audience`].
    ///
    /// The answer is [`Output::Authenticated`]; it takes effect of a revocation at once. A proof of
    /// possession has to be for the path of the request at the origin of the audience, or of the
    /// issuer when the audience has none (RFC 9449 4.3).
    pub fn authenticate(
        &mut self,
        request: &http::Request<Bytes>,
        wall: SystemTime,
        now: Instant,
    ) -> RequestId {
        self.check(request, None, wall, now)
    }

    /// The same for one of the further APIs ([`Config::resources`], RFC 8707): a token for another
    /// one is refused.
    pub fn authenticate_for(
        &mut self,
        resource: &Resource,
        request: &http::Request<Bytes>,
        wall: SystemTime,
        now: Instant,
    ) -> RequestId {
        self.check(request, Some(resource), wall, now)
    }

    fn check(
        &mut self,
        request: &http::Request<Bytes>,
        resource: Option<&Resource>,
        wall: SystemTime,
        now: Instant,
    ) -> RequestId {
        let id = self.next_id(now);
        self.wall = self.wall.max(since_epoch(wall));
        if let Some(principal) = self.check_verified(request, resource) {
            self.authenticated(id, Ok(principal));
            return id;
        }
        let audience = match resource {
            Some(resource) => resource.to_string(),
            None => self.config.audience.clone(),
        };
        match Access::read(request, &self.config, Some(audience)) {
            Ok(access) => {
                let access = Box::new(access);
                self.start(id, Work::Check { access }, wall);
            }
            Err(refusal) => self.authenticated(id, Err(refusal)),
        }
        id
    }

    /// Takes a request to one of the server's own endpoints; the answer is [`Output::Respond`].
    ///
    /// `entropy` is fresh for every call: session names, codes and token ids come from it.
    pub fn handle_request(
        &mut self,
        request: &http::Request<Bytes>,
        entropy: [u8; 32],
        wall: SystemTime,
        now: Instant,
    ) -> RequestId {
        let id = self.next_id(now);
        match self.route(request, SecretBytes::new(entropy)) {
            Ok(work) => self.start(id, work, wall),
            Err(response) => self.respond(id, *response),
        }
        id
    }

    /// Takes whose password it was; `None` when the name or the password is wrong.
    pub fn handle_password(&mut self, request: RequestId, user: Option<UserId>, now: Instant) {
        self.advance(now);
        if let Some(task) = self.awaiting(request, |awaiting| *awaiting == Awaiting::Password) {
            task.password = Some(user);
            self.run(request);
        }
    }

    /// Takes a signature; `None` when the key could not be used.
    pub fn handle_signature(&mut self, request: RequestId, signature: Option<&[u8]>, now: Instant) {
        self.advance(now);
        let signing = |awaiting: &Awaiting| matches!(awaiting, Awaiting::Signature(_));
        let Some(task) = self.awaiting(request, signing) else {
            return;
        };
        let awaited = core::mem::replace(&mut task.awaiting, Awaiting::Stream);
        match (awaited, signature) {
            (Awaiting::Signature(input), Some(signature)) => {
                task.signed = Some((input, signature.to_vec()));
                self.run(request);
            }
            _ => self.fail(request),
        }
    }

    /// Takes whether a signature was good, of a token, a proof or a client's assertion.
    pub fn handle_verification(&mut self, request: RequestId, good: bool, now: Instant) {
        self.advance(now);
        let verifying = |awaiting: &Awaiting| {
            matches!(
                awaiting,
                Awaiting::Verification | Awaiting::Proof | Awaiting::Assertion
            )
        };
        if let Some(task) = self.awaiting(request, verifying) {
            match task.awaiting {
                Awaiting::Proof => task.proven = Some(good),
                Awaiting::Assertion if good => task.asserted = true,
                Awaiting::Assertion => task.refuted = task.refuted.saturating_add(1),
                _ => task.verified = Some(good),
            }
            self.run(request);
        }
    }

    /// Takes what the store has of a stream.
    pub fn handle_loaded(&mut self, stream: &str, loaded: &Loaded, now: Instant) {
        self.advance(now);
        let result = if stream.starts_with("client/") {
            self.clients.handle_loaded(stream, loaded)
        } else {
            self.grants.handle_loaded(stream, loaded)
        };
        match result {
            Ok(woken) => self.run_all(woken),
            Err(failed) => {
                let stream = stream.to_owned();
                self.tell(Event::StreamUnreadable { stream });
                failed.into_iter().for_each(|id| self.fail(id));
            }
        }
    }

    /// Takes that a stream could not be read.
    pub fn handle_load_failed(&mut self, stream: &str, now: Instant) {
        self.advance(now);
        let mut failed = self.clients.handle_load_failed(stream);
        failed.extend(self.grants.handle_load_failed(stream));
        failed.into_iter().for_each(|id| self.fail(id));
    }

    /// Takes the store's answer to an append.
    pub fn handle_appended(&mut self, id: AppendId, answer: &Appended, now: Instant) {
        self.advance(now);
        if let Some(settled) = self.clients.handle_appended(id, answer, &mut self.desk) {
            let durable = settled.changes.is_some();
            self.settle(settled.by, durable, settled.failed, settled.woken);
        } else if let Some(settled) = self.grants.handle_appended(id, answer, &mut self.desk) {
            let durable = settled.changes.is_some();
            self.announce(&settled.stream, settled.changes.unwrap_or_default());
            self.settle(settled.by, durable, settled.failed, settled.woken);
        }
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        let now = self.desk.now;
        while let Some((at, id)) = self.deadlines.first().copied()
            && at <= now
        {
            self.deadlines.pop_first();
            self.fail(id);
        }
        let mut woken = self.clients.handle_timeout(&mut self.desk);
        woken.extend(self.grants.handle_timeout(&mut self.desk));
        self.run_all(woken);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.desk.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        [
            self.deadlines.first().map(|(at, _)| *at),
            self.clients.next_deadline(),
            self.grants.next_deadline(),
            self.browsers.next_deadline(),
            self.throttle.next_deadline(),
            self.pushed.next_deadline(),
            self.devices.next_deadline(),
            self.guesses.next_deadline(),
            self.proofs.next_deadline(),
            self.assertions.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Time never runs back here; a session that is over is over even when the driver is late
    /// with `handle_timeout`.
    fn advance(&mut self, now: Instant) {
        let now = self.desk.now.max(now);
        self.desk.now = now;
        self.browsers.handle_timeout(now);
        self.throttle.handle_timeout(now);
        self.pushed.handle_timeout(now);
        self.devices.handle_timeout(now);
        self.guesses.handle_timeout(now);
        self.proofs.handle_timeout(now);
        self.assertions.handle_timeout(now);
    }

    fn next_id(&mut self, now: Instant) -> RequestId {
        self.advance(now);
        self.next_request = self.next_request.wrapping_add(1);
        RequestId(self.next_request)
    }

    fn has_room(&self) -> bool {
        self.tasks.len() < self.config.max_requests
    }

    fn respond(&mut self, request: RequestId, response: http::Response<Bytes>) {
        let output = Output::Respond { request, response };
        self.desk.outputs.push_back(output);
    }

    fn authenticated(&mut self, request: RequestId, result: Result<Principal, Refusal>) {
        let output = Output::Authenticated { request, result };
        self.desk.outputs.push_back(output);
    }

    fn tell(&mut self, event: Event) {
        self.desk.outputs.push_back(Output::Event(event));
    }
}

/// Time since the Unix epoch; nothing before it.
fn since_epoch(wall: SystemTime) -> Duration {
    wall.duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
