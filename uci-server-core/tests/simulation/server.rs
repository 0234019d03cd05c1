//! The device-side cloud: the machine, what stands before it, and what it waits for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use uci_server_core::{
    AccountId, Appended, Config, DeliveryId, DeliveryOutcome, DeliveryRules, DeviceCloud,
    ErrorKind, Event, GrantEndId, GrantId, Loaded, Output, ReportId, RequestId, Snapshot,
    StreamAppend, TransportFailure,
};

use super::journal::{self, Journal, Order};
use super::network::{Attempt, Exchange};
use super::sealers::ServerSealer;
use super::witness::reads_foreign_data;
use super::{Happening, Process, World};

#[derive(Default)]
pub struct Server {
    /// `None` while the process is down.
    pub machine: Option<DeviceCloud>,
    pub run: u32,
    pub journal: Journal,
    /// By how many seconds its wall clock is wrong.
    pub clock_step: i64,
    /// What waits for its one answer.
    pub requests: BTreeMap<RequestId, Asking>,
    pub reports: BTreeMap<ReportId, usize>,
    pub grant_ends: BTreeMap<GrantEndId, (usize, u32)>,
    /// The notifications under way.
    pub sending: BTreeMap<DeliveryId, Sending>,
}

/// A notification under way: until its answer is heard, or its sender has stopped.
pub struct Sending {
    link: usize,
    since: Duration,
    /// The consent under which it tells something.
    tells_under: Option<GrantId>,
}

impl Sending {
    /// Whether the attempt has taken as long as it may: its sender has stopped.
    fn is_over(&self, elapsed: Duration) -> bool {
        elapsed >= self.since + DeliveryRules::default().attempt_timeout
    }
}

/// A request that waits for its answer.
#[derive(Clone, Copy)]
pub struct Asking {
    pub exchange: Exchange,
    /// Whether its token was of a consent whose end is durable.
    pub revoked: bool,
}

fn config(seed: u64) -> Config {
    let mut config = Config::default();
    config.snapshot_every = 1 + seed % 23;
    config.queue.coalesce = !seed.is_multiple_of(3);
    config.queue.limit = 8 + (seed % 4) as u32 * 20;
    // A client that cannot be told of the end in time never learns it, whatever it does: that is no promise of the core's.
    config.delivery.cancellation_age = Duration::from_secs(100_000);
    config.delivery.max_age = Duration::from_secs(1_800 + 3_600 * (seed % 5));
    config
}

impl World {
    pub fn start_server(&mut self) {
        self.server.run += 1;
        let entropy = self.entropy(Process::Server, 1);
        let machine = DeviceCloud::new(config(self.seed), entropy, Arc::new(ServerSealer));
        self.server.machine = Some(machine);
        for stream in self.server.journal.due() {
            if let Some(account) = stream.strip_prefix("account/") {
                self.wake(account.parse().unwrap());
            }
        }
    }

    /// The process is gone, with the sessions of all devices and the connections of all clients.
    pub fn stop_server(&mut self) {
        self.server.machine = None;
        self.server.run += 1;
        self.server.sending.clear();
        for asking in std::mem::take(&mut self.server.requests).into_values() {
            self.break_off(asking.exchange);
        }
        for device in std::mem::take(&mut self.server.reports).into_values() {
            self.devices[device].telling = false;
            self.plan(Duration::from_secs(5), Happening::Report(device));
        }
        for (link, grant) in std::mem::take(&mut self.server.grant_ends).into_values() {
            self.plan(Duration::from_secs(5), Happening::TellGrantEnd(link, grant));
        }
        self.lose_sessions();
    }

    pub fn wake(&mut self, account: AccountId) {
        let (wall, now) = (self.wall(Process::Server), self.now());
        if let Some(cloud) = &mut self.server.machine {
            cloud.wake(account, wall, now);
            self.drain_server();
        }
    }

    pub fn request_arrives(&mut self, exchange: Exchange, request: &Request<Bytes>) {
        let (wall, now) = (self.wall(Process::Server), self.now());
        let (authentication, revoked) = self.authenticate(request);
        let Some(cloud) = &mut self.server.machine else {
            let failure = Err(uci_client::TransportFailure::NotSent);
            return self.plan(
                Duration::from_millis(2),
                Happening::ResponseArrives(exchange, failure),
            );
        };
        self.trace.line(
            self.elapsed,
            format_args!(
                "{} {} of {}",
                request.method(),
                request.uri().path(),
                exchange.link
            ),
        );
        let id = cloud.handle_request(request, authentication, wall, now);
        let asking = Asking { exchange, revoked };
        assert!(
            self.server.requests.insert(id, asking).is_none(),
            "an id came twice"
        );
        self.drain_server();
        if self.dice.one_in(self.faults.network) && self.dice.one_in(10) {
            self.hang_up(id);
        }
    }

    /// The client of a request is gone before its answer.
    fn hang_up(&mut self, id: RequestId) {
        let Some(asking) = self.server.requests.remove(&id) else {
            return;
        };
        if let Some(cloud) = &mut self.server.machine {
            cloud.cancel_request(id);
        }
        self.break_off(asking.exchange);
    }

    pub fn notification_answered(
        &mut self,
        attempt: Attempt,
        result: Result<DeliveryOutcome, TransportFailure>,
    ) {
        let (wall, now) = (self.wall(Process::Server), self.now());
        if attempt.run != self.server.run {
            return;
        }
        self.server.sending.remove(&attempt.id);
        if let Some(cloud) = &mut self.server.machine {
            cloud.handle_delivery(attempt.id, result, wall, now);
            self.drain_server();
        }
    }

    pub fn journal_answers_server(&mut self, answer: journal::Answer) {
        let (wall, now) = (self.wall(Process::Server), self.now());
        let Some(cloud) = &mut self.server.machine else {
            return;
        };
        match answer {
            journal::Answer::Appended(id, outcome) => {
                let appended = match outcome {
                    journal::Outcome::Done(_) => Appended::Done,
                    journal::Outcome::Conflict(_) => Appended::Conflict,
                    journal::Outcome::Unknown => Appended::Unknown,
                };
                cloud.handle_appended(uci_server_core::AppendId(id), appended, wall, now);
            }
            journal::Answer::Loaded(stream, loaded) => {
                cloud.handle_loaded(&stream, &to_loaded(loaded), wall, now);
            }
            journal::Answer::LoadFailed(stream) => cloud.handle_load_failed(&stream, now),
            journal::Answer::Saved(stream, version, saved) => {
                cloud.handle_saved(&stream, version, saved, wall, now);
            }
        }
        self.drain_server();
    }

    /// Carries out outputs until there is none, or until the process dies.
    pub fn drain_server(&mut self) {
        while let Some(output) = self
            .server
            .machine
            .as_mut()
            .and_then(DeviceCloud::poll_output)
        {
            if self.dice.one_in(self.faults.crash) {
                return self.crash(Process::Server);
            }
            self.carry_out_for_server(output);
        }
    }

    fn carry_out_for_server(&mut self, output: Output) {
        match output {
            Output::Load { stream } => self.order(Process::Server, Order::Load(stream)),
            Output::Append(append) => {
                let parts = append.streams.into_iter().map(to_part).collect();
                let id = append.id.0;
                self.order(
                    Process::Server,
                    Order::Append(journal::Append { id, parts }),
                );
            }
            Output::SaveSnapshot { stream, snapshot } => {
                let Snapshot {
                    version,
                    format,
                    bytes,
                } = snapshot;
                let snapshot = journal::Snapshot {
                    version,
                    format,
                    bytes,
                };
                self.order(Process::Server, Order::Save(stream, snapshot));
            }
            Output::Respond { request, response } => self.respond(request, &response),
            Output::Deliver { delivery, request } => self.deliver(delivery, &request),
            Output::Abort { delivery } => self.abort(delivery),
            Output::Ask { ask, request } => {
                self.counts.asks += 1;
                let run = self.server.run;
                self.send_ask(run, ask, &request);
            }
            Output::Erase { stream } => panic!("nobody asked for the end of {stream}"),
            Output::Event(event) => self.note_server_event(event),
        }
    }

    fn respond(&mut self, request: RequestId, response: &Response<Bytes>) {
        let asking = self
            .server
            .requests
            .remove(&request)
            .expect("one answer to an open request");
        let status = response.status();
        self.trace.line(
            self.elapsed,
            format_args!(
                "{status} to {}: {} bytes",
                asking.exchange.link,
                response.body().len()
            ),
        );
        assert!(
            !(asking.revoked && status.is_success()),
            "a withdrawn consent was good for {status}"
        );
        let link = &self.links[asking.exchange.link];
        let foreign = reads_foreign_data(response.body(), link.account(), &self.devices);
        assert!(
            !foreign,
            "{} was answered with {response:?}",
            link.account()
        );
        if status == http::StatusCode::CREATED {
            self.counts.subscriptions += 1;
            self.witness.check_created(response.body());
        }
        self.send_response(asking.exchange, response);
    }

    fn deliver(&mut self, id: DeliveryId, request: &Request<Bytes>) {
        self.counts.notifications += 1;
        let (link, grant, told) = self.witness.check_sent(request);
        self.trace
            .line(self.elapsed, format_args!("notifies {link}: {told}"));
        let account = self.links[link].account();
        let foreign = reads_foreign_data(request.body(), account, &self.devices);
        assert!(!foreign, "{account} was told {request:?}");
        let tells_under = Some(grant).filter(|_| !request.body().is_empty());
        let sending = Sending {
            link,
            since: self.elapsed,
            tells_under,
        };
        self.server.sending.insert(id, sending);
        let run = self.server.run;
        self.send_notification(Attempt { link, run, id }, request);
    }

    /// The sender stops, after a moment. The machine waits for that no longer than an attempt may take.
    fn abort(&mut self, id: DeliveryId) {
        let Some(sending) = self.server.sending.get(&id) else {
            return;
        };
        let (link, run) = (sending.link, self.server.run);
        if sending.is_over(self.elapsed) {
            self.server.sending.remove(&id);
            return;
        }
        self.counts.aborts += 1;
        let after = self.dice.milliseconds(1, 500);
        let stopped = Err(TransportFailure::Connection);
        let attempt = Attempt { link, run, id };
        self.plan(after, Happening::NotificationAnswered(attempt, stopped));
    }

    /// From the moment in which the end of a consent is acknowledged, nothing is told under it.
    fn check_nothing_is_told_under(&self, grant: &GrantId) {
        let mut sending = self.server.sending.values();
        let told = sending.any(|sending| {
            !sending.is_over(self.elapsed) && sending.tells_under.as_ref() == Some(grant)
        });
        assert!(!told, "something is still being told under {grant}");
    }

    fn note_server_event(&mut self, event: Event) {
        match event {
            Event::Reported { report, result } => {
                let device = self
                    .server
                    .reports
                    .remove(&report)
                    .expect("one end of an open report");
                self.reported(device, result.map_err(|error| error.kind()));
            }
            Event::GrantEnded { end, result } => {
                let (link, grant) = self.server.grant_ends.remove(&end).expect("one end");
                match result.map_err(|error| error.kind()) {
                    Ok(()) => {
                        self.counts.grants_ended += 1;
                        let id = self.links[link].grant_id(grant).parse().unwrap();
                        self.check_nothing_is_told_under(&id);
                        self.links[link].ended.insert(grant);
                    }
                    Err(ErrorKind::Unavailable) => {
                        self.plan(Duration::from_secs(3), Happening::TellGrantEnd(link, grant));
                    }
                    Err(other) => panic!("{other:?}"),
                }
            }
            Event::PresumedOnline {
                device, generation, ..
            } => {
                let after = self.dice.milliseconds(1_000, 20_000);
                self.plan(after, Happening::Missed(device, generation));
            }
            Event::Stalled { account } => {
                self.plan(Duration::from_secs(7), Happening::Wake(account));
            }
            Event::SubscriptionEnded {
                subscription,
                cause,
                ..
            } => {
                self.trace.line(
                    self.elapsed,
                    format_args!("{subscription} ended: {cause:?}"),
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

fn to_part(part: StreamAppend) -> journal::Part {
    journal::Part {
        stream: part.stream,
        expected_version: part.expected_version,
        changes: part.changes,
        due: part.due,
    }
}

pub fn to_loaded(loaded: journal::Loaded) -> Loaded {
    let snapshot = loaded.snapshot.map(|snapshot| Snapshot {
        version: snapshot.version,
        format: snapshot.format,
        bytes: snapshot.bytes,
    });
    Loaded {
        version: loaded.version,
        snapshot,
        changes: loaded.changes,
    }
}
