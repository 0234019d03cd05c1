//! The processes of the client-side clouds: what goes into their machines, and what comes out.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use uci_client::{Appended, Client, Event, Loaded, Output, Snapshot, StreamAppend};
use uci_model::{Limits, Value};
use uci_server_core::DeliveryOutcome;

use super::journal::{self, Order};
use super::network::{Attempt, Exchange};
use super::sealers::ClientSealer;
use super::witness::reads_foreign_data;
use super::{Process, World};

impl World {
    pub fn start_link(&mut self, index: usize) {
        let process = Process::Link(index);
        self.links[index].run += 1;
        let (seed, entropy) = (self.entropy(process, 2), self.entropy(process, 3));
        let now = self.now();
        let link = &mut self.links[index];
        let stream = format!("link/{index}");
        let sealer = Arc::new(ClientSealer);
        link.machine = Some(Client::new(
            link.config(),
            stream,
            seed,
            entropy,
            sealer,
            now,
        ));
        self.drain_link(index);
    }

    pub fn response_arrives(
        &mut self,
        exchange: Exchange,
        result: Result<Response<Bytes>, uci_client::TransportFailure>,
    ) {
        let now = self.now();
        let link = &mut self.links[exchange.link];
        if link.run != exchange.run {
            return;
        }
        if let Some(client) = &mut link.machine {
            match result {
                Ok(response) => client.handle_response(exchange.id, &response, now),
                Err(failure) => client.handle_failure(exchange.id, failure, now),
            }
            self.drain_link(exchange.link);
        }
    }

    pub fn notification_arrives(&mut self, attempt: Attempt, request: &Request<Bytes>) {
        let (wall, now) = (self.wall(Process::Link(attempt.link)), self.now());
        let link = &mut self.links[attempt.link];
        let Some(client) = &mut link.machine else {
            let failure = Err(uci_server_core::TransportFailure::Connection);
            return self.answer_notification(attempt, failure);
        };
        let header = |name| request.headers()[name].to_str().unwrap();
        let subscription = header("subscription-id").parse().unwrap();
        let sequence = header("sequence-number").parse().unwrap();
        let id = client.handle_request(request, wall, now);
        let before = link.requests.insert(id, (attempt, subscription, sequence));
        assert!(before.is_none(), "an id came twice");
        self.drain_link(attempt.link);
    }

    pub fn journal_answers_link(&mut self, index: usize, answer: journal::Answer) {
        let now = self.now();
        let Some(client) = &mut self.links[index].machine else {
            return;
        };
        match answer {
            journal::Answer::Appended(id, outcome) => {
                let appended = match outcome {
                    journal::Outcome::Done(versions) => Appended::Done { versions },
                    journal::Outcome::Conflict(stream) => Appended::Conflict { stream },
                    journal::Outcome::Unknown => Appended::Unknown,
                };
                client.handle_appended(uci_client::AppendId::new(id), &appended, now);
            }
            journal::Answer::Loaded(stream, loaded) => {
                let snapshot = loaded.snapshot.map(|snapshot| {
                    Snapshot::new(snapshot.version, snapshot.format, snapshot.bytes)
                });
                let loaded = Loaded::new(loaded.version, snapshot, loaded.changes);
                client.handle_loaded(&stream, &loaded, now);
            }
            journal::Answer::LoadFailed(stream) => client.handle_load_failed(&stream, now),
            // It does not ask.
            journal::Answer::Saved(..) => {}
        }
        self.drain_link(index);
    }

    /// Carries out outputs until there is none, or until the process dies.
    pub fn drain_link(&mut self, index: usize) {
        while let Some(output) = self.links[index]
            .machine
            .as_mut()
            .and_then(Client::poll_output)
        {
            if self.dice.one_in(self.faults.crash) {
                return self.crash(Process::Link(index));
            }
            self.carry_out_for_link(index, output);
        }
    }

    fn carry_out_for_link(&mut self, index: usize, output: Output) {
        let process = Process::Link(index);
        match output {
            Output::Send {
                exchange: id,
                request,
            } => {
                let link = &mut self.links[index];
                if let Some(secret) = signing_secret(&request) {
                    link.secrets.insert(secret);
                }
                let exchange = Exchange {
                    link: index,
                    run: link.run,
                    id,
                };
                self.trace.line(
                    self.elapsed,
                    format_args!(
                        "{index} sends {} {}",
                        request.method(),
                        request.uri().path()
                    ),
                );
                self.send_request(exchange, &request);
            }
            Output::NeedToken { .. } => self.give_token(index),
            Output::Respond { request, response } => {
                let link = &mut self.links[index];
                let open = link.requests.remove(&request);
                let (attempt, subscription, sequence) =
                    open.expect("one answer to an open request");
                let status = response.status();
                self.trace.line(
                    self.elapsed,
                    format_args!("{index} answers {subscription} {sequence}: {status}"),
                );
                if status == http::StatusCode::OK {
                    self.witness.note_taken(subscription, sequence);
                }
                self.answer_notification(attempt, Ok(DeliveryOutcome::from_response(&response)));
            }
            Output::Load { stream } => self.order(process, Order::Load(stream)),
            Output::Append(append) => {
                let id = *append.id.as_bytes();
                let parts = append.streams.into_iter().map(to_part).collect();
                self.order(process, Order::Append(journal::Append { id, parts }));
            }
            Output::SaveSnapshot { stream, snapshot } => {
                let Snapshot {
                    version,
                    format,
                    bytes,
                    ..
                } = snapshot;
                let snapshot = journal::Snapshot {
                    version,
                    format,
                    bytes,
                };
                self.order(process, Order::Save(stream, snapshot));
            }
            Output::Event(event) => self.note_link_event(index, event),
        }
    }

    fn note_link_event(&mut self, index: usize, event: Event) {
        self.trace
            .detail(self.elapsed, format_args!("{index} notes {event:?}"));
        let link = &mut self.links[index];
        match event {
            // What became durable before the crash is kept; read again in the same run, nothing was lost.
            Event::Loaded { subscriptions } if !link.loaded => {
                link.loaded = true;
                link.wanted.retain(|_, id| subscriptions.contains(id));
            }
            Event::Answered { call, result } => {
                assert!(link.calls.remove(&call), "{call:?} ended twice");
                drop(result);
            }
            Event::Ended { id, .. } => link.wanted.retain(|_, wanted| *wanted != id),
            Event::Notified(told) => link.note(&told),
            Event::Stopped { .. } | Event::MirrorFull => panic!("{event:?}"),
            _ => {}
        }
    }

    /// Nothing in a mirror is another account's.
    pub fn check_mirror_is_own(&self, index: usize) {
        let link = &self.links[index];
        let Some(client) = &link.machine else {
            return;
        };
        for (id, device) in client.mirror().devices() {
            let body = device
                .representations()
                .fold(id.to_string(), |text, (_, value)| {
                    text + &String::from_utf8(value.to_json().unwrap()).unwrap()
                });
            let foreign = reads_foreign_data(&body.into(), link.account(), &self.devices);
            assert!(!foreign, "{} mirrors {id}", link.account());
        }
    }
}

fn signing_secret(request: &Request<Bytes>) -> Option<String> {
    let value = Value::from_json(request.body(), &Limits::default()).ok()?;
    Some(value.get("signingSecret")?.as_str()?.to_owned())
}

fn to_part(part: StreamAppend) -> journal::Part {
    journal::Part {
        stream: part.stream,
        expected_version: part.expected_version,
        changes: part.changes,
        due: part.due,
    }
}
