//! The bootstraps of many clients: one after the other is asked what it has, written to, checked and let go. (LwM2M 1.1 Core, 6.1)
//!
//! ```text
//!  POST /bs ─▶ Configuring ──▶ 2.04, Discovering ─▶ Working ─▶ Verifying ─▶ Finishing ─▶ Finished
//!                  │                  ▲    (Delete*, Write*)                    │
//!                  │                  └────────────── 4.06, k times ────────────┘
//!                  ├▶ 4.00, 5.00 or 5.03          any refusal, Reset, time-out ─▶ Failed
//!                  └▶ 2.05 with a pack            POST /bs again ─▶ Failed(Cancelled), and from the beginning
//! ```

mod config;
mod output;
mod phase;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use super::check::Configuration;
use super::message::{Code, Request, Response};
use super::pack::pack;
use super::request::{BootstrapRequest, Operation};

pub use config::{Config, Verify};
pub use output::{
    BootstrapId, Client, Event, ExchangeId, Failure, Missing, Output, PeerId, RequestId,
    TransportFailure,
};
use phase::{Bootstrap, Phase, Turn};

/// A request that a client made.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "what a carrier knows of a request"
)]
pub struct Incoming<'a> {
    /// Its number.
    pub id: RequestId,
    /// Where it came from, and where everything is sent.
    pub peer: PeerId,
    /// Whose credential secures what came.
    pub client: Client,
    /// Whether nobody else can read what is sent to the peer.
    pub confidential: bool,
    /// The request.
    pub request: &'a Request,
}

/// Machine: the bootstraps of many clients.
///
/// A client has one bootstrap at a time and one request of ours; when it asks anew it begins anew. Moments must not go back; one
/// that does counts as the latest.
#[derive(Debug)]
pub struct Bootstraps {
    config: Config,
    latest: Option<Instant>,
    next_id: u64,
    bootstraps: BTreeMap<BootstrapId, Bootstrap>,
    clients: BTreeMap<Client, BootstrapId>,
    exchanges: BTreeMap<ExchangeId, BootstrapId>,
    deadlines: BTreeSet<(Instant, BootstrapId)>,
    outputs: VecDeque<Output>,
}

impl Bootstraps {
    /// No bootstraps yet.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            latest: None,
            next_id: 0,
            bootstraps: BTreeMap::new(),
            clients: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            outputs: VecDeque::new(),
        }
    }

    /// How many are under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bootstraps.len()
    }

    /// Whether none is under way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bootstraps.is_empty()
    }

    /// Takes a request of a client. One that was seen before is answered as before.
    pub fn handle_request(&mut self, incoming: Incoming<'_>, now: Instant) {
        let now = self.advance(now);
        let Incoming {
            id,
            peer,
            client,
            confidential,
            request,
        } = incoming;
        let asked = match BootstrapRequest::parse(request) {
            Ok(asked) => asked,
            Err(code) => return self.respond(peer, id, Response::new(code)),
        };
        if asked.operation == Operation::Pack && !self.config.packs {
            // The client then asks to be written to.
            return self.respond(peer, id, Response::new(Code::NOT_FOUND));
        }
        if let Some(claimed) = asked.endpoint.filter(|claimed| *claimed != client.endpoint) {
            self.respond(peer, id, Response::new(Code::BAD_REQUEST));
            let event = Event::WrongEndpoint { client, claimed };
            return self.outputs.push_back(Output::Event(event));
        }
        if let Some(known) = self.clients.get(&client).copied() {
            let repeated = self
                .bootstraps
                .get(&known)
                .filter(|it| (it.peer, it.request) == (peer, id));
            if let Some(it) = repeated {
                // Without an answer yet, the first one still gets it.
                if !matches!(it.phase, Phase::Configuring { .. }) {
                    self.respond(peer, id, Response::new(Code::CHANGED));
                }
                return;
            }
            self.fail(known, Failure::Cancelled);
        }
        if self.bootstraps.len() >= self.config.max_bootstraps {
            return self.put_off(peer, id);
        }
        let bootstrap = BootstrapId(self.fresh());
        let ends = now.checked_add(self.config.total_timeout);
        let mut it = Bootstrap {
            client: client.clone(),
            peer,
            request: id,
            confidential,
            format: asked.format,
            exchange: None,
            rounds: self.config.corrective_rounds,
            ends,
            deadline: None,
            configuration: Configuration::default(),
            placed: Vec::new(),
            refused: Vec::new(),
            phase: Phase::Configuring {
                operation: asked.operation,
            },
        };
        it.deadline = now
            .checked_add(self.config.configuration_timeout)
            .into_iter()
            .chain(ends)
            .min();
        self.deadlines
            .extend(it.deadline.map(|deadline| (deadline, bootstrap)));
        self.bootstraps.insert(bootstrap, it);
        self.clients.insert(client.clone(), bootstrap);
        self.outputs
            .push_back(Output::Configure { bootstrap, client });
    }

    /// Takes what a client is to have, or why there is nothing. A late or repeated answer is ignored.
    pub fn handle_configuration(
        &mut self,
        bootstrap: BootstrapId,
        configuration: Result<Configuration, Missing>,
        now: Instant,
    ) {
        let now = self.advance(now);
        let Some(it) = self.bootstraps.get_mut(&bootstrap) else {
            return;
        };
        let Phase::Configuring { operation } = it.phase else {
            return;
        };
        let (peer, request) = (it.peer, it.request);
        let fit = configuration
            .map_err(|missing| match missing {
                Missing::Nothing => Failure::NoConfiguration,
                Missing::NotNow => Failure::Unavailable,
            })
            .and_then(|wanted| {
                wanted.check(it.confidential || self.config.insecure)?;
                Ok(wanted)
            });
        let wanted = match fit {
            Ok(wanted) => wanted,
            Err(failure) => {
                // What the operator made of it is not the client's fault.
                let code = match failure {
                    Failure::NoConfiguration => Code::BAD_REQUEST,
                    Failure::Unavailable => Code::SERVICE_UNAVAILABLE,
                    _ => Code::INTERNAL_SERVER_ERROR,
                };
                if code == Code::SERVICE_UNAVAILABLE {
                    self.put_off(peer, request);
                } else {
                    self.respond(peer, request, Response::new(code));
                }
                return self.fail(bootstrap, failure);
            }
        };
        if operation == Operation::Pack {
            return self.answer_with_pack(bootstrap, &wanted);
        }
        it.configuration = wanted;
        // Nothing may reach the client before this. (LwM2M 1.1 Core, 6.1.7.1)
        self.respond(peer, request, Response::new(Code::CHANGED));
        self.take_turn(bootstrap, Turn::Discover, now);
    }

    fn answer_with_pack(&mut self, bootstrap: BootstrapId, wanted: &Configuration) {
        let Some(it) = self.bootstraps.get(&bootstrap) else {
            return;
        };
        let (peer, request, format) = (it.peer, it.request, it.format);
        let (payload, placed) = match pack(wanted, format) {
            Ok((Some(payload), placed)) => (payload, placed),
            Ok((None, _)) => {
                self.respond(peer, request, Response::new(Code::NOT_ACCEPTABLE));
                return self.fail(bootstrap, Failure::NoConfiguration);
            }
            Err(error) => {
                self.respond(peer, request, Response::new(Code::INTERNAL_SERVER_ERROR));
                return self.fail(bootstrap, error.into());
            }
        };
        let response = Response::new(Code::CONTENT).with_payload(format.number(), payload);
        self.respond(peer, request, response);
        if let Some(it) = self.forget(bootstrap) {
            let client = it.client;
            let event = Event::Packed {
                bootstrap,
                client,
                placed,
            };
            self.outputs.push_back(Output::Event(event));
        }
    }

    /// Takes a client's response. A late, repeated or unknown one is ignored.
    pub fn handle_response(&mut self, exchange: ExchangeId, response: &Response, now: Instant) {
        let now = self.advance(now);
        let Some(bootstrap) = self.exchanges.remove(&exchange) else {
            return;
        };
        let Some(it) = self.bootstraps.get_mut(&bootstrap) else {
            return;
        };
        it.exchange = None;
        let turn = it.handle_response(response, &self.config);
        self.take_turn(bootstrap, turn, now);
    }

    /// Takes that a request has no response.
    pub fn handle_failure(
        &mut self,
        exchange: ExchangeId,
        failure: TransportFailure,
        now: Instant,
    ) {
        self.advance(now);
        if let Some(bootstrap) = self.exchanges.remove(&exchange) {
            if let Some(it) = self.bootstraps.get_mut(&bootstrap) {
                it.exchange = None;
            }
            self.fail(
                bootstrap,
                match failure {
                    TransportFailure::TimedOut => Failure::TimedOut,
                    TransportFailure::Unreachable => Failure::Unreachable,
                },
            );
        }
    }

    /// Takes that a peer is gone: what is under way with it fails.
    pub fn handle_gone(&mut self, peer: PeerId, now: Instant) {
        self.advance(now);
        let gone = self.bootstraps.iter().filter(|(_, it)| it.peer == peer);
        let gone: Vec<_> = gone.map(|(bootstrap, _)| *bootstrap).collect();
        for bootstrap in gone {
            self.fail(bootstrap, Failure::Unreachable);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        while let Some((deadline, bootstrap)) = self.deadlines.first().copied() {
            if deadline > now {
                break;
            }
            self.deadlines.pop_first();
            let waiting = self
                .bootstraps
                .get(&bootstrap)
                .map(|it| (it.peer, it.request, &it.phase));
            if let Some((peer, request, Phase::Configuring { .. })) = waiting {
                self.put_off(peer, request);
            }
            self.fail(bootstrap, Failure::TimedOut);
        }
    }

    /// The next output.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    fn advance(&mut self, now: Instant) -> Instant {
        let now = self.latest.map_or(now, |latest| latest.max(now));
        self.latest = Some(now);
        now
    }

    fn fresh(&mut self) -> u64 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }

    fn respond(&mut self, peer: PeerId, request: RequestId, response: Response) {
        self.outputs.push_back(Output::Respond {
            peer,
            request,
            response,
        });
    }

    /// Answers that the client is to come again later.
    fn put_off(&mut self, peer: PeerId, request: RequestId) {
        let secs = u32::try_from(self.config.retry_after.as_secs()).unwrap_or(u32::MAX);
        let response = Response::new(Code::SERVICE_UNAVAILABLE).with_max_age(secs);
        self.respond(peer, request, response);
    }

    fn take_turn(&mut self, bootstrap: BootstrapId, turn: Turn, now: Instant) {
        let request = match turn {
            Turn::Fail(failure) => return self.fail(bootstrap, failure),
            Turn::Done => {
                if let Some(it) = self.forget(bootstrap) {
                    let Bootstrap {
                        client,
                        placed,
                        refused,
                        ..
                    } = it;
                    let event = Event::Finished {
                        bootstrap,
                        client,
                        placed,
                        refused,
                    };
                    self.outputs.push_back(Output::Event(event));
                }
                return;
            }
            Turn::Discover => {
                let Some(it) = self.bootstraps.get_mut(&bootstrap) else {
                    return;
                };
                it.phase = Phase::Discovering;
                Request::discover()
            }
            Turn::Send(request) => request,
        };
        let exchange = ExchangeId(self.fresh());
        let Some(it) = self.bootstraps.get_mut(&bootstrap) else {
            return;
        };
        if let Some(old) = it.deadline {
            self.deadlines.remove(&(old, bootstrap));
        }
        let answered = now.checked_add(self.config.request_timeout);
        it.deadline = answered.into_iter().chain(it.ends).min();
        self.deadlines
            .extend(it.deadline.map(|deadline| (deadline, bootstrap)));
        it.exchange = Some(exchange);
        self.exchanges.insert(exchange, bootstrap);
        let peer = it.peer;
        self.outputs.push_back(Output::Send {
            exchange,
            peer,
            request,
        });
    }

    fn fail(&mut self, bootstrap: BootstrapId, cause: Failure) {
        if let Some(it) = self.forget(bootstrap) {
            let client = it.client;
            let event = Event::Failed {
                bootstrap,
                client,
                cause,
            };
            self.outputs.push_back(Output::Event(event));
        }
    }

    fn forget(&mut self, bootstrap: BootstrapId) -> Option<Bootstrap> {
        let it = self.bootstraps.remove(&bootstrap)?;
        if self.clients.get(&it.client) == Some(&bootstrap) {
            self.clients.remove(&it.client);
        }
        if let Some(deadline) = it.deadline {
            self.deadlines.remove(&(deadline, bootstrap));
        }
        if let Some(exchange) = it.exchange {
            self.exchanges.remove(&exchange);
            self.outputs.push_back(Output::Cancel { exchange });
        }
        Some(it)
    }
}

#[cfg(test)]
mod tests;
