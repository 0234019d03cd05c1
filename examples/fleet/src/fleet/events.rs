//! What becomes of a device when the cloud answers, and when it does not.

use coap_psk::activation::ActivateInfo;
use coap_psk::dtls::SessionId;
use coap_psk::{Code, Event, ExchangeId, Failure, Instant, Output, Response};

use super::Fleet;
use crate::device::{State, Turn};
use crate::member::Secret;
use crate::tally;

impl Fleet {
    pub(super) fn handle_output(&mut self, output: Output, now: Instant) {
        match output {
            Output::Transmit(transmit) => self.transmits.push_back(transmit),
            // A device has nothing to offer here, and lets nobody in.
            Output::Request { exchange, .. } => {
                let nothing = Response::new(Code::NOT_FOUND);
                // A response without options and payload always fits.
                let _ = self.endpoint.respond(exchange, nothing, now);
            }
            Output::KeyWanted { handshake, .. } => self.endpoint.provide_key(handshake, None, now),
            Output::Event(Event::Online { session, .. }) => self.handle_online(session, now),
            Output::Event(Event::Offline { session, why, .. }) => {
                if let Some(index) = self.sessions.remove(&session) {
                    self.handle_no_session(index, tally::of_session(why), now);
                }
            }
            Output::Event(Event::Response { exchange, response }) => {
                self.handle_response(exchange, &response, now);
            }
            Output::Event(Event::Failed { exchange, failure }) => {
                self.handle_failure(exchange, failure, now);
            }
            Output::Event(_) => {}
        }
    }

    fn handle_online(&mut self, session: SessionId, now: Instant) {
        let Some(index) = self.sessions.get(&session).copied() else {
            return;
        };
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        device.failed = 0;
        self.tally.handshakes.note(device.began, now);
        device.began = now;
        if let Secret::Product(_) = device.member.secret {
            self.activate(index, session, now);
        } else {
            self.tally.online = self.tally.online.saturating_add(1);
            self.become_idle(index, session, Turn::Now);
        }
    }

    fn handle_response(&mut self, exchange: ExchangeId, response: &Response, now: Instant) {
        let Some(index) = self.waiting_for(exchange) else {
            return;
        };
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        match device.state {
            State::Activating(session, _) => match ActivateInfo::from_json(&response.payload) {
                Ok(info) if info.device == device.member.name => {
                    device.member.secret = Secret::Device(info.device_secret);
                    self.tally.activations = self.tally.activations.saturating_add(1);
                    self.end_session(index, session, now);
                    self.set_turn(index, Turn::Now);
                }
                _ => self.give_session_up(index, session, "activation refused", now),
            },
            State::Asking(session, _) => {
                self.tally.requests.note(device.began, now);
                self.tally.answered(response.code);
                let next = now.saturating_add(self.plan.interval);
                self.become_idle(
                    index,
                    session,
                    if next > now {
                        Turn::At(next)
                    } else {
                        Turn::Now
                    },
                );
            }
            State::Away | State::Connecting(_) | State::Idle(_) => {}
        }
    }

    fn handle_failure(&mut self, exchange: ExchangeId, failure: Failure, now: Instant) {
        if let Some(index) = self.waiting_for(exchange) {
            // A cloud that does not answer has forgotten the session, or is gone.
            self.give_session_up(index, exchange.session(), tally::of_request(failure), now);
        }
    }

    fn waiting_for(&self, exchange: ExchangeId) -> Option<usize> {
        let index = self.sessions.get(&exchange.session()).copied()?;
        let device = self.devices.get(index)?;
        device.awaits(exchange).then_some(index)
    }

    /// Has nothing under way any more; `turn` is when it goes on, if it has anything left to do.
    pub(super) fn become_idle(&mut self, index: usize, session: SessionId, turn: Turn) {
        self.set_state(index, State::Idle(session));
        let asked = self.devices.get(index).map(|device| device.asked);
        if asked < Some(self.plan.requests.unwrap_or(u32::MAX)) {
            self.set_settled(index, false);
            self.set_turn(index, turn);
        } else {
            self.settle(index);
        }
    }

    /// Ends a session that is of no use any more.
    pub(super) fn give_session_up(
        &mut self,
        index: usize,
        session: SessionId,
        what: &'static str,
        now: Instant,
    ) {
        self.end_session(index, session, now);
        self.handle_no_session(index, what, now);
    }

    fn end_session(&mut self, index: usize, session: SessionId, now: Instant) {
        self.sessions.remove(&session);
        self.go_away(index);
        self.endpoint.close(session, now);
    }

    /// Tries again after a while, or gives up.
    pub(super) fn handle_no_session(&mut self, index: usize, what: &'static str, now: Instant) {
        self.tally.failed_at(what);
        self.go_away(index);
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        device.failed = device.failed.saturating_add(1);
        let again = device.failed < self.plan.attempts && !device.settled;
        if again {
            let at = now.saturating_add(self.plan.pause);
            self.set_turn(index, Turn::At(at));
        } else {
            self.settle(index);
        }
    }

    /// Notes that a device has no session any more.
    pub(super) fn go_away(&mut self, index: usize) {
        if let Some(device) = self.devices.get(index) {
            // Neither of them has one with its product's secret.
            if let State::Idle(_) | State::Asking(..) = device.state {
                self.tally.online = self.tally.online.saturating_sub(1);
            }
        }
        self.set_state(index, State::Away);
    }
}
