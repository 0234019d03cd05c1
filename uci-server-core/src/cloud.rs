//! The machine: requests and reports in; answers, questions to devices, notifications and appends out.
//!
//! Everything that concerns an account waits in one line. What can be done at once is decided and applied as one batch, its
//! changes leave as one append, and until that is durable nothing of it is seen outside and nothing else of that account
//! is looked at. Different accounts never wait for each other.
//!
//! ```text
//! handle_request ─┐                      ┌─▶ Respond, Ask, Reported, Deliver
//! handle_report  ─┼─▶ line ─▶ batch ─▶ Append ─▶ handle_appended
//! handle_delivery ┘    ▲                 │ Conflict: load again, decide again
//!                      └─────────────────┘
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use uci_model::{ContentFormat, SubscriptionId};

use crate::account::{Command, Models};
use crate::append::{AppendId, Appended};
use crate::authorization::Authentication;
use crate::config::Config;
use crate::delivery::Deliveries;
use crate::device_port::{
    DeliveryOutcome, DeviceAnswer, DeviceReport, DeviceRequest, Occurrence, TransportFailure,
};
use crate::entropy::Entropy;
use crate::ids::{
    AccountId, AskId, ClientId, DeliveryId, GrantEndId, GrantId, ReportId, RequestId,
};
use crate::openapi;
use crate::output::{Event, Output};
use crate::quota::Quotas;
use crate::request::{self, Wanted};
use crate::sealer::Sealer;

mod admission;
mod answers;
mod appends;
mod as_known;
mod bodies;
mod clock;
mod erasure;
mod line;
mod loading;
mod operator;
mod outbox;
mod ownership;
mod perform;
mod saving;
mod stream;

use appends::InFlight;
use bodies::Bodies;
use clock::SteadyClock;
use line::{Task, TaskId, Work};
use saving::Saving;
use stream::{Stream, StreamName};

/// A device-side cloud.
///
/// `seed` must be new in every process: ids that must never repeat come from it.
pub struct DeviceCloud {
    config: Config,
    /// As it is served.
    description: Bytes,
    sealer: Arc<dyn Sealer>,
    entropy: Entropy,
    /// The latest monotonic time that was ever given; `None` before the first.
    now: Option<Instant>,
    /// The wall time that was given last.
    wall: SystemTime,
    /// By which ages are told.
    clock: SteadyClock,
    outputs: VecDeque<Output>,
    streams: BTreeMap<StreamName, Stream>,
    models: Models,
    /// Streams whose line may have become able to move.
    movable: BTreeSet<StreamName>,
    tasks: BTreeMap<TaskId, Task>,
    appends: BTreeMap<AppendId, InFlight>,
    /// Of each stream the latest snapshot that is owed and not known to be kept.
    saving: BTreeMap<StreamName, Saving>,
    requests: BTreeMap<RequestId, PendingRequest>,
    quotas: Quotas,
    asks: BTreeMap<AskId, Asked>,
    deliveries: Deliveries,
    /// The ends of grants that are durable, and how many attempts must be over before they are acknowledged.
    ending: BTreeMap<GrantEndId, usize>,
    /// Accounts that are to be woken, in order, and those that are on their way.
    to_wake: VecDeque<AccountId>,
    waking: BTreeSet<AccountId>,
    bodies: Bodies,
    timers: BTreeSet<(Instant, Timer)>,
    /// Commands without their final event.
    open_commands: usize,
    next_number: u64,
}

/// A request without its answer.
#[derive(Debug)]
struct PendingRequest {
    deadline: Instant,
    correlation: Option<HeaderValue>,
    /// In whose quota it counts.
    client: Option<ClientId>,
    /// The device's answer that it waits for.
    ask: Option<AskId>,
}

/// A device that was asked on behalf of a request.
#[derive(Debug)]
struct Asked {
    request: RequestId,
    grant: GrantId,
    /// What it was asked.
    question: Box<DeviceRequest>,
    deadline: Instant,
    format: ContentFormat,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Timer {
    Append(AppendId),
    Ask(AskId),
    Erase(StreamName),
    Idle(StreamName),
    Load(StreamName),
    Request(RequestId),
    Save(StreamName),
}

impl fmt::Debug for DeviceCloud {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DeviceCloud")
            .field("streams", &self.streams.len())
            .field("requests", &self.requests.len())
            .field("outputs", &self.outputs.len())
            .finish_non_exhaustive()
    }
}

impl DeviceCloud {
    /// A cloud that knows nobody yet.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32], sealer: Arc<dyn Sealer>) -> Self {
        let deliveries = Deliveries::new(&config.delivery);
        let bodies = Bodies::new(config.body_cache);
        let description = openapi::describe(&config.prefix, &config.described_at).into();
        Self {
            config,
            description,
            sealer,
            entropy: Entropy::new(seed),
            now: None,
            wall: UNIX_EPOCH,
            clock: SteadyClock::default(),
            outputs: VecDeque::new(),
            streams: BTreeMap::new(),
            models: Models::default(),
            movable: BTreeSet::new(),
            tasks: BTreeMap::new(),
            appends: BTreeMap::new(),
            saving: BTreeMap::new(),
            requests: BTreeMap::new(),
            quotas: Quotas::default(),
            asks: BTreeMap::new(),
            deliveries,
            ending: BTreeMap::new(),
            to_wake: VecDeque::new(),
            waking: BTreeSet::new(),
            bodies,
            timers: BTreeSet::new(),
            open_commands: 0,
            next_number: 0,
        }
    }

    /// Takes an HTTP request whose body is complete. Exactly one [`Output::Respond`] follows, unless the request is cancelled.
    pub fn handle_request(
        &mut self,
        request: &Request<Bytes>,
        authentication: Authentication,
        wall: SystemTime,
        now: Instant,
    ) -> RequestId {
        let now = self.tick(wall, now);
        let id = RequestId::new(self.number());
        let (client, wanted) = self.admit(request, authentication, now);
        let deadline = after(now, self.config.request_timeout);
        let correlation = request.headers().get(request::CORRELATION_ID).cloned();
        self.requests.insert(
            id,
            PendingRequest {
                deadline,
                correlation,
                client,
                ask: None,
            },
        );
        self.timers.insert((deadline, Timer::Request(id)));
        match wanted {
            Ok(Wanted::Description) => {
                self.respond(id, openapi::response(self.description.clone()));
            }
            Ok(Wanted::OfAccount(incoming)) => {
                if let Some(response) = self.answer_at_once(&incoming, now) {
                    self.respond(id, response);
                    return id;
                }
                let needs = [StreamName::Account(incoming.principal.account.clone())];
                self.enqueue(
                    needs,
                    Work::Request {
                        request: id,
                        incoming,
                    },
                    now,
                );
            }
            Err(problem) => self.respond(id, problem.into_response()),
        }
        self.advance(now);
        id
    }

    /// Forgets a request: its client is gone. What it caused already stays.
    pub fn cancel_request(&mut self, id: RequestId) {
        let pending = self.take_request(id);
        if let Some(ask) = pending.and_then(|pending| pending.ask) {
            self.take_ask(ask);
        }
    }

    /// Takes what a device did. Exactly one [`Event::Reported`] follows, after it is durable.
    pub fn handle_report(
        &mut self,
        report: DeviceReport,
        wall: SystemTime,
        now: Instant,
    ) -> ReportId {
        let now = self.tick(wall, now);
        let id = ReportId::new(self.number());
        if let Err(error) = self.open_command() {
            let result = Err(error);
            self.note(Event::Reported { report: id, result });
            return id;
        }
        let account = StreamName::Account(report.account.clone());
        let device = StreamName::Device(report.device);
        let needs = match report.occurrence {
            // Who the former owner is turns out when the device's own stream is there.
            Occurrence::Registered | Occurrence::Unregistered => vec![account, device],
            _ => vec![account],
        };
        self.enqueue(
            needs,
            Work::Report {
                report: id,
                told: Box::new(report),
            },
            now,
        );
        self.advance(now);
        id
    }

    /// Ends all subscriptions of a grant and refuses its access tokens from now on. Exactly one [`Event::GrantEnded`]
    /// follows, after it is durable and no notification with a body is under way for any of them: attempts are stopped
    /// ([`Output::Abort`]), and waited for as long as an attempt may take.
    ///
    /// A cloud that starts again knows of the end only when that was durable. Until whoever ends grants has repeated an end
    /// that was not acknowledged, what was subscribed under it is still told: repeat them before accounts are woken.
    pub fn end_grant(
        &mut self,
        account: AccountId,
        grant: GrantId,
        wall: SystemTime,
        now: Instant,
    ) -> GrantEndId {
        let now = self.tick(wall, now);
        let id = GrantEndId::new(self.number());
        if let Err(error) = self.open_command() {
            let result = Err(error);
            self.note(Event::GrantEnded { end: id, result });
            return id;
        }
        self.enqueue(
            [StreamName::Account(account)],
            Work::EndGrant { end: id, grant },
            now,
        );
        self.advance(now);
        id
    }

    /// Loads an account that still owes something, so that its notifications go on. A composition calls it at its start for
    /// every account stream that the journal lists as due; at most [`Config::max_waking`] are loaded at once.
    pub fn wake(&mut self, account: AccountId, wall: SystemTime, now: Instant) {
        let now = self.tick(wall, now);
        self.to_wake.push_back(account);
        self.advance(now);
    }

    /// Takes a device's answer to an [`Output::Ask`].
    pub fn handle_answer(&mut self, ask: AskId, answer: DeviceAnswer, now: Instant) {
        let now = self.tick(self.wall, now);
        if let Some(asked) = self.take_ask(ask) {
            self.settle_answer(asked, answer, now);
        }
        self.advance(now);
    }

    /// Takes what a receiver answered to an [`Output::Deliver`], or why it could not; after an [`Output::Abort`], that the
    /// attempt is over.
    pub fn handle_delivery(
        &mut self,
        delivery: DeliveryId,
        result: Result<DeliveryOutcome, TransportFailure>,
        wall: SystemTime,
        now: Instant,
    ) {
        let now = self.tick(wall, now);
        self.end_delivery(delivery, result, now);
        self.advance(now);
    }

    /// Takes how an [`Output::Append`] ended.
    pub fn handle_appended(
        &mut self,
        id: AppendId,
        appended: Appended,
        wall: SystemTime,
        now: Instant,
    ) {
        let now = self.tick(wall, now);
        self.finish_append(id, appended, now);
        self.advance(now);
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, wall: SystemTime, now: Instant) {
        let now = self.tick(wall, now);
        while let Some((at, _)) = self.timers.first()
            && *at <= now
            && let Some((_, timer)) = self.timers.pop_first()
        {
            match timer {
                Timer::Append(id) => self.finish_append(id, Appended::Unknown, now),
                Timer::Ask(ask) => {
                    if let Some(asked) = self.take_ask(ask) {
                        let silence = &DeviceAnswer::Unreachable;
                        let response = self.answer_response(&asked, silence, None);
                        self.respond(asked.request, response);
                    }
                }
                Timer::Erase(name) => self.finish_erasing(&name, false, now),
                Timer::Idle(name) => self.unload_idle(&name, now),
                Timer::Load(name) => self.stall(&name),
                Timer::Request(id) => self.respond_unavailable(id),
                Timer::Save(name) => self.stop_saving(&name, now),
            }
        }
        let overdue = self.deliveries.overdue(now);
        self.abort_attempts();
        for delivery in overdue {
            self.end_delivery(delivery, Err(TransportFailure::Timeout), now);
        }
        for (account, subscription) in self.deliveries.awake(now) {
            self.dispatch(&account, subscription, now);
        }
        self.advance(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`DeviceCloud::handle_timeout`] has something to do, if nothing comes before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let own = self.timers.first().map(|(at, _)| *at);
        own.into_iter().chain(self.deliveries.next_deadline()).min()
    }

    /// Notes the time; monotonic time that runs backwards is no time passed.
    fn tick(&mut self, wall: SystemTime, now: Instant) -> Instant {
        self.wall = wall;
        let now = self.now.map_or(now, |latest| latest.max(now));
        self.now = Some(now);
        let settle_after = self.config.delivery.max_age;
        self.clock.note(wall.into(), now, settle_after);
        now
    }

    fn number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        number
    }

    /// Answers a request, if it still waits.
    fn respond(&mut self, request: RequestId, mut response: Response<Bytes>) {
        let Some(pending) = self.take_request(request) else {
            return;
        };
        if let Some(correlation) = pending.correlation {
            response
                .headers_mut()
                .insert(request::CORRELATION_ID, correlation);
        }
        self.outputs
            .push_back(Output::Respond { request, response });
    }

    fn respond_unavailable(&mut self, request: RequestId) {
        self.respond(request, self.busy().into_response());
    }

    fn take_request(&mut self, request: RequestId) -> Option<PendingRequest> {
        let pending = self.requests.remove(&request)?;
        self.timers
            .remove(&(pending.deadline, Timer::Request(request)));
        if let Some(client) = &pending.client {
            self.quotas.release(client);
        }
        Some(pending)
    }

    fn take_ask(&mut self, ask: AskId) -> Option<Asked> {
        let asked = self.asks.remove(&ask)?;
        self.timers.remove(&(asked.deadline, Timer::Ask(ask)));
        Some(asked)
    }

    /// Puts what a delivery came to in the account's line.
    fn enqueue_settlement(
        &mut self,
        account: AccountId,
        subscription: SubscriptionId,
        command: Command,
        now: Instant,
    ) {
        let needs = [StreamName::Account(account.clone())];
        self.enqueue(
            needs,
            Work::Settle {
                account,
                subscription,
                command,
            },
            now,
        );
    }
}

/// `duration` after `now`, at least a little, so that time passes before a timer fires; at most a century.
fn after(now: Instant, duration: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 86_400);
    let duration = duration.clamp(Duration::from_millis(1), CENTURY);
    now.checked_add(duration).unwrap_or(now)
}
