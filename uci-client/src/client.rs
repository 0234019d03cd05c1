//! The machine: one linked account at one device-side cloud.

mod calling;
mod committing;
mod exchanging;
mod polling;
mod receiving;
mod resuming;
mod subscribing;
mod syncing;
mod unsubscribing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use self::committing::Store;
use crate::config::Config;
use crate::credentials::Credentials;
use crate::exchange::Exchanges;
use crate::ledger::SubscribeId;
use crate::mirror::Mirror;
use crate::notifications::Refusal;
use crate::output::{CallId, ExchangeId, FailureKind, Output, RequestId};
use crate::random::Random;
use crate::seal::Sealer;
use crate::subscriptions::{Activity, Standing};
use crate::sync::Sync;

/// The client side of one linked account: calls, subscriptions, the receiver of notifications and the mirror.
///
/// Nothing in it does anything by itself. Feed it with commands and `handle_*`, drain [`Client::poll_output`] and do what it
/// says, and call [`Client::handle_timeout`] at [`Client::next_deadline`]. `now` is monotonic; one that goes backwards counts
/// as no time passed.
pub struct Client {
    config: Config,
    stream: String,
    sealer: Arc<dyn Sealer>,
    /// Ids and jitter.
    random: Random,
    /// Signing secrets and the nonces that seal them.
    secrets: Random,
    now: Option<Instant>,
    outputs: VecDeque<Output>,
    timers: crate::timers::Timers<Timer>,
    credentials: Credentials,
    exchanges: Exchanges,
    store: Store,
    activities: BTreeMap<SubscribeId, Activity>,
    /// The notifications that wait for their append.
    requests: BTreeSet<RequestId>,
    last_request: u64,
    /// The calls that are open.
    calls: BTreeSet<CallId>,
    last_call: u64,
    mirror: Mirror,
    sync: Sync,
}

/// What a deadline is about.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Timer {
    Exchange(ExchangeId),
    Token,
    Journal,
    Subscription(SubscribeId),
    Request(RequestId),
    Sync,
    Poll,
}

impl Client {
    /// Makes a client whose subscriptions are kept in `stream`, and asks for that stream first.
    ///
    /// `seed` makes ids and jitter and must be another one in every run. `entropy` makes signing secrets and must come from a
    /// cryptographically secure source.
    #[must_use]
    pub fn new(
        config: Config,
        stream: impl Into<String>,
        seed: [u8; 32],
        entropy: [u8; 32],
        sealer: Arc<dyn Sealer>,
        now: Instant,
    ) -> Self {
        let mirror = Mirror::new(config.base().clone(), config.max_mirrored);
        let mut client = Self {
            config,
            stream: stream.into(),
            sealer,
            random: Random::new(seed),
            secrets: Random::new(entropy),
            now: None,
            outputs: VecDeque::new(),
            timers: crate::timers::Timers::new(),
            credentials: Credentials::default(),
            exchanges: Exchanges::default(),
            store: Store::new(),
            activities: BTreeMap::new(),
            requests: BTreeSet::new(),
            last_request: 0,
            calls: BTreeSet::new(),
            last_call: 0,
            mirror,
            sync: Sync::default(),
        };
        let now = client.advance(now);
        client.load(now);
        client.settle(now);
        client
    }

    /// Does everything whose time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Exchange(exchange) => {
                    self.fail_exchange(exchange, FailureKind::Timeout, now);
                }
                Timer::Token => self.fail_waiting(now),
                Timer::Journal => self.ask_journal(now),
                Timer::Subscription(id) => self.subscription_due(id, now),
                Timer::Request(request) => self.refuse_waiting(request, Refusal::Unavailable),
                Timer::Sync => self.sync.go_on(),
                Timer::Poll => self.poll(now),
            }
        }
        self.settle(now);
    }

    /// Takes the next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Client::handle_timeout`] is to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// The devices, links and representations as they are now known.
    #[must_use]
    pub const fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    /// The subscriptions that are kept alive or are being ended. What was decided last may still be on its way into the
    /// journal.
    pub fn subscriptions(&self) -> impl Iterator<Item = Standing<'_>> {
        let kept = self.store.ledger.subscriptions().iter();
        kept.map(|(id, wanted)| Standing::new(*id, wanted, self.activities.get(id)))
    }

    /// The settings.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The time to reckon with: never before an earlier one.
    fn advance(&mut self, now: Instant) -> Instant {
        let now = self.now.map_or(now, |before| before.max(now));
        self.now = Some(now);
        now
    }

    /// Carries on with everything that an input has made possible.
    fn settle(&mut self, now: Instant) {
        loop {
            self.flush(now);
            self.fetch();
            self.pump(now);
            // A request that cannot be built ends its subscription, which is a command again.
            if !self.store.has_work() {
                return;
            }
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
