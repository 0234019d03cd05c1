//! Machine: one bootstrap connection, from its CONNECT to its end.
//!
//! The caller decodes packets and says them to [`Session`], one `handle_` for each, carries out what [`Session::poll_output`] gives, and
//! calls [`Session::handle_timeout`] when [`Session::next_deadline`] has come. Packets are given only while
//! [`Session::wants_packets`]; until then they wait where they are.
//!
//! A device may subscribe to its own `bootstrap/down` and `messages/down` and publish to its own `bootstrap/up` and `events/up`; another
//! filter is refused, and whatever else it does ends the connection. Each request is registered once, however often it is sent, and is answered once:
//! in time or with an error object in its place, and not before the device listens. The same holds for a trigger
//! ([`Session::handle_trigger`]), of which one waits at most.

mod config;
mod connecting;
mod input;
mod output;
mod request;

use std::collections::VecDeque;
use std::time::Instant;

use super::{DownPayload, Topic, Topics, trigger};
use crate::RegistrationId;

pub use config::SessionConfig;
pub use input::{Authentication, Connect, Publish, QoS};
pub use output::{Cause, ConnectCode, Credentials, Output, Presented, RequestId};

use request::{Requests, TooMany};

/// One bootstrap connection.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    phase: Phase,
    /// The latest time heard of; time does not go back.
    now: Instant,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum Phase {
    /// Nothing was said yet.
    Fresh {
        until: Option<Instant>,
    },
    /// The caller is judging the credentials.
    Authenticating(Authenticating),
    /// A refusal waits for its time, which is the same whatever the reason.
    Refusing {
        code: ConnectCode,
        at: Option<Instant>,
    },
    /// The device is who it says.
    Open(Box<Open>),
    Closed,
}

#[derive(Debug)]
struct Authenticating {
    device: RegistrationId,
    topics: Topics,
    keep_alive: u16,
    refuse_at: Option<Instant>,
    until: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    device: RegistrationId,
    topics: Topics,
    subscribed: bool,
    /// Whether it listens to triggers.
    hears_triggers: bool,
    /// The message that makes it bootstrap again, until it listens.
    trigger: Option<DownPayload>,
    keep_alive: u16,
    silent_until: Option<Instant>,
    until: Option<Instant>,
    packets: u32,
    requests: Requests,
}

impl Session {
    /// A connection that was just made.
    #[must_use]
    pub fn new(config: SessionConfig, now: Instant) -> Self {
        let until = now.checked_add(config.connect_within);
        Self {
            config,
            phase: Phase::Fresh { until },
            now,
            outputs: VecDeque::new(),
        }
    }

    /// Whether a packet may be given now; not while credentials are judged or a refusal waits, and not after the end.
    #[must_use]
    pub fn wants_packets(&self) -> bool {
        matches!(self.phase, Phase::Fresh { .. } | Phase::Open(_))
    }

    /// Whether the connection has ended, or will when its outputs are carried out.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// SUBSCRIBE: the device's own `bootstrap/down` and `messages/down` are granted with QoS 0, every other filter refused.
    pub fn handle_subscribe<'a>(
        &mut self,
        packet_id: u16,
        filters: impl IntoIterator<Item = &'a str>,
        now: Instant,
    ) {
        let Some(open) = self.packet(now) else {
            return;
        };
        let mut granted = Vec::new();
        for filter in filters {
            let topic = open.topics.recognize(filter);
            open.subscribed |= topic == Topic::BootstrapDown;
            open.hears_triggers |= topic == Topic::MessagesDown;
            granted.push(matches!(topic, Topic::BootstrapDown | Topic::MessagesDown));
        }
        self.outputs
            .push_back(Output::SubAck { packet_id, granted });
        self.answer_if_due();
        self.trigger_if_due();
    }

    /// UNSUBSCRIBE.
    pub fn handle_unsubscribe<'a>(
        &mut self,
        packet_id: u16,
        filters: impl IntoIterator<Item = &'a str>,
        now: Instant,
    ) {
        let Some(open) = self.packet(now) else {
            return;
        };
        for filter in filters {
            match open.topics.recognize(filter) {
                Topic::BootstrapDown => open.subscribed = false,
                Topic::MessagesDown => open.hears_triggers = false,
                _ => {}
            }
        }
        self.outputs.push_back(Output::UnsubAck { packet_id });
    }

    /// PUBLISH: to `bootstrap/up` it is a request, unless one is open or it was sent before; to `events/up` it is acknowledged and
    /// forgotten.
    pub fn handle_publish(&mut self, publish: &Publish<'_>, now: Instant) {
        let Some(open) = self.packet(now) else {
            return;
        };
        let topic = open.topics.recognize(publish.topic);
        let allowed = matches!(topic, Topic::BootstrapUp | Topic::EventsUp);
        let packet_id = match publish.qos {
            QoS::AtMostOnce if allowed => None,
            QoS::AtLeastOnce(packet_id) if allowed => Some(packet_id),
            _ => return self.close(Cause::NotAllowed),
        };
        if topic == Topic::BootstrapUp
            && let Err(TooMany) = self.ask(publish, packet_id)
        {
            return self.close(Cause::TooMuch);
        }
        if let Some(packet_id) = packet_id {
            self.outputs.push_back(Output::PubAck { packet_id });
        }
    }

    fn ask(&mut self, publish: &Publish<'_>, packet_id: Option<u16>) -> Result<(), TooMany> {
        let Phase::Open(open) = &mut self.phase else {
            return Ok(());
        };
        // It does what it would be asked to do.
        open.trigger = None;
        let asked = open
            .requests
            .ask(packet_id, publish.duplicate, &self.config, self.now)?;
        if let Some((request, answer_by)) = asked {
            self.outputs.push_back(Output::Register {
                request,
                payload: publish.payload.to_vec(),
                answer_by,
            });
        }
        Ok(())
    }

    /// PINGREQ.
    pub fn handle_ping(&mut self, now: Instant) {
        if self.packet(now).is_some() {
            self.outputs.push_back(Output::PingResp);
        }
    }

    /// A packet that a device has no business to send here, or bytes that are none.
    pub fn handle_other(&mut self, now: Instant) {
        self.advance(now);
        self.close(Cause::NotAllowed);
    }

    /// DISCONNECT, or the end of the connection under it.
    pub fn handle_disconnect(&mut self, now: Instant) {
        self.advance(now);
        self.close(Cause::Device);
    }

    /// The server ends the connection: it stops, or the device has come in on another one.
    pub fn handle_end(&mut self, now: Instant) {
        self.advance(now);
        self.close(Cause::Server);
    }

    /// The answer to an [`Output::Register`]; one that comes late or twice is ignored.
    pub fn handle_answer(&mut self, request: RequestId, payload: DownPayload, now: Instant) {
        self.advance(now);
        if let Phase::Open(open) = &mut self.phase {
            open.requests.answer(request, payload);
        }
        self.answer_if_due();
    }

    /// The device is to bootstrap again: it is told as soon as it listens, in a message with this id, unless it has asked by then.
    /// One that is not in yet, or has gone, is told nothing.
    pub fn handle_trigger(&mut self, id: &str, now: Instant) {
        self.advance(now);
        if let Phase::Open(open) = &mut self.phase {
            let (_, payload) = trigger(&open.device, id);
            open.trigger = Some(DownPayload::of_trigger(payload));
        }
        self.trigger_if_due();
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        let now = self.now;
        let past = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        match &mut self.phase {
            Phase::Fresh { until } => {
                if past(*until) {
                    self.close(Cause::Silent);
                }
            }
            Phase::Authenticating(waiting) => {
                if past(waiting.until) {
                    self.refuse(ConnectCode::ServerUnavailable, None);
                }
            }
            Phase::Refusing { code, at } => {
                if past(*at) {
                    let code = *code;
                    self.refuse(code, None);
                }
            }
            Phase::Open(open) => {
                open.requests.pass(&self.config, now);
                let (silent, over) = (past(open.silent_until), past(open.until));
                self.answer_if_due();
                self.forget_unheard();
                if silent || over {
                    self.close(if over { Cause::TooLong } else { Cause::Silent });
                }
            }
            Phase::Closed => {}
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Fresh { until } => *until,
            Phase::Authenticating(waiting) => waiting.until,
            Phase::Refusing { at, .. } => *at,
            Phase::Open(open) => [open.silent_until, open.until, open.requests.deadline()]
                .into_iter()
                .flatten()
                .min(),
            Phase::Closed => None,
        }
    }

    /// The next thing to carry out.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Counts a packet of an open connection; `None` when there is none, or there have been too many, which ends it.
    fn packet(&mut self, now: Instant) -> Option<&mut Open> {
        self.advance(now);
        let fault = match &mut self.phase {
            Phase::Open(open) => {
                open.packets = open.packets.saturating_add(1);
                open.silent_until = silent_until(open.keep_alive, self.now);
                (open.packets > self.config.max_packets).then_some(Cause::TooMuch)
            }
            _ => Some(Cause::NotAllowed),
        };
        if let Some(fault) = fault {
            self.close(fault);
        }
        match &mut self.phase {
            Phase::Open(open) => Some(open),
            _ => None,
        }
    }

    fn answer_if_due(&mut self) {
        let Phase::Open(open) = &mut self.phase else {
            return;
        };
        if !open.subscribed {
            return;
        }
        if let Some(payload) = open.requests.take_answer() {
            let topic = open.topics.down();
            self.outputs.push_back(Output::Publish { topic, payload });
        }
    }

    fn trigger_if_due(&mut self) {
        if let Phase::Open(open) = &mut self.phase
            && open.hears_triggers
            && let Some(payload) = open.trigger.take()
        {
            let topic = open.topics.messages_down();
            self.outputs.push_back(Output::Publish { topic, payload });
        }
    }

    fn forget_unheard(&mut self) {
        if let Phase::Open(open) = &mut self.phase {
            open.requests.forget_unheard(self.now);
        }
    }

    fn close(&mut self, cause: Cause) {
        if !self.is_closed() {
            self.phase = Phase::Closed;
            self.outputs.push_back(Output::Close(cause));
        }
    }
}

/// One and a half times the keep-alive after a packet (MQTT 3.1.1, 3.1.2.10); without one the connection's own end bounds it.
fn silent_until(keep_alive: u16, now: Instant) -> Option<Instant> {
    let millis = u64::from(keep_alive).saturating_mul(1500);
    if millis == 0 {
        return None;
    }
    now.checked_add(std::time::Duration::from_millis(millis))
}
