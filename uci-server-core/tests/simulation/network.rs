//! The ways between the processes: lossy, slow, doubling, and with something on the way that answers for the peer.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use uci_client::ExchangeId;
use uci_server_core::{AskId, DeliveryId, DeliveryOutcome, DeviceAnswer, DeviceRequest};

use super::{Happening, World};

/// A request of a link to the server.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    pub link: usize,
    pub run: u32,
    pub id: ExchangeId,
}

/// A notification of the server to a link.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    pub link: usize,
    pub run: u32,
    pub id: DeliveryId,
}

impl World {
    /// After what times a message arrives: never, once, or twice.
    fn journey(&mut self) -> Vec<Duration> {
        let swift = self.dice.milliseconds(1, 20);
        if !self.dice.one_in(self.faults.network) {
            return vec![swift];
        }
        match self.dice.roll(3) {
            0 => Vec::new(),
            1 => vec![swift, self.dice.milliseconds(1, 3_000)],
            _ => vec![self.dice.milliseconds(20, 60_000)],
        }
    }

    /// A status that something on the way answers with, one of those after which the peer is asked again.
    fn interference(&mut self, statuses: &[u16]) -> Option<Response<Bytes>> {
        if !self.dice.one_in(self.faults.network) || !self.dice.one_in(3) {
            return None;
        }
        let mut response = Response::builder().status(self.dice.pick(statuses));
        if self.dice.one_in(2) {
            response = response.header("retry-after", self.dice.roll(90).to_string());
        }
        if self.dice.one_in(2) {
            response = response.header("content-type", "application/json");
        }
        let body = Bytes::from_static(b"{\"what\": \"is");
        Some(response.body(body).unwrap())
    }

    pub fn send_request(&mut self, exchange: Exchange, request: &Request<Bytes>) {
        self.counts.requests += 1;
        self.trace.bytes(request.body());
        // What would be final is only answered to what the client-side cloud asks for again by itself. 200 has a body that
        // cannot be read.
        let statuses: &[u16] = match *request.method() {
            http::Method::GET => &[200, 401, 429, 500, 502, 503],
            http::Method::DELETE => &[404, 429, 500, 503],
            _ => &[201, 400, 401, 403, 404, 408, 429, 500, 503],
        };
        if let Some(response) = self.interference(statuses) {
            let after = self.dice.milliseconds(1, 20);
            self.plan(after, Happening::ResponseArrives(exchange, Ok(response)));
            if self.dice.one_in(2) {
                return;
            }
        }
        let copies = self.journey();
        if copies.is_empty() {
            return self.break_off(exchange);
        }
        for after in copies {
            self.plan(after, Happening::RequestArrives(exchange, request.clone()));
        }
    }

    /// The connection of an exchange breaks, or is never heard of again.
    pub fn break_off(&mut self, exchange: Exchange) {
        if self.dice.one_in(2) {
            let failure = Err(uci_client::TransportFailure::Interrupted);
            let after = self.dice.milliseconds(1, 10_000);
            self.plan(after, Happening::ResponseArrives(exchange, failure));
        }
    }

    pub fn send_response(&mut self, exchange: Exchange, response: &Response<Bytes>) {
        self.trace.bytes(response.body());
        let copies = self.journey();
        if copies.is_empty() {
            return self.break_off(exchange);
        }
        for after in copies {
            self.plan(
                after,
                Happening::ResponseArrives(exchange, Ok(response.clone())),
            );
        }
    }

    pub fn send_notification(&mut self, attempt: Attempt, request: &Request<Bytes>) {
        self.trace.bytes(request.body());
        let statuses = [302, 400, 404, 429, 500, 503];
        if let Some(response) = self.interference(&statuses) {
            self.answer_notification(attempt, Ok(DeliveryOutcome::from_response(&response)));
            if self.dice.one_in(2) {
                return;
            }
        }
        for after in self.journey() {
            self.plan(
                after,
                Happening::NotificationArrives(attempt, request.clone()),
            );
        }
    }

    pub fn answer_notification(
        &mut self,
        attempt: Attempt,
        result: Result<DeliveryOutcome, uci_server_core::TransportFailure>,
    ) {
        let mut copies = self.journey();
        let result = if copies.is_empty() && self.dice.one_in(2) {
            copies.push(self.dice.milliseconds(1, 10_000));
            Err(uci_server_core::TransportFailure::Connection)
        } else {
            result
        };
        for after in copies {
            self.plan(after, Happening::NotificationAnswered(attempt, result));
        }
    }

    pub fn send_ask(&mut self, run: u32, ask: AskId, request: &DeviceRequest) {
        for after in self.journey() {
            self.plan(after, Happening::AskArrives(run, ask, request.clone()));
        }
    }

    pub fn answer_ask(&mut self, run: u32, ask: AskId, answer: &DeviceAnswer) {
        for after in self.journey() {
            self.plan(after, Happening::AskAnswered(run, ask, answer.clone()));
        }
    }
}
