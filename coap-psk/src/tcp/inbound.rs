//! Requests of the peer, and the observers it registers.

use alloc::string::String;
use alloc::vec::Vec;

use super::connection::{Connection, due};
use super::output::{Event, ExchangeId, Output};
use crate::block::bodies::{Early, busy};
use crate::block::{BlockSize, Refusal};
use crate::codec::MessageRef;
use crate::error::{Error, ErrorKind};
use crate::message::{Code, Token};
use crate::observe::{DEREGISTER, Observer, REGISTER};
use crate::request::wire::{Control, RequestParts, read_request, write_response};
use crate::request::{Request, Response};
use crate::time::Instant;

/// A request of the peer that is not answered.
pub(super) struct Inbound {
    token: Token,
    /// When the peer gets a 5.03 unless the application answers.
    expires: Instant,
    key: Vec<u8>,
    /// What the peer wants to observe.
    target: Option<String>,
    control: Control,
}

impl Inbound {
    pub(super) const fn deadline(&self) -> Instant {
        self.expires
    }
}

impl Connection {
    /// Answers a request of the peer, in blocks when it needs them. A request that is answered already, or was given up, is
    /// ignored.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when the body is over the limit, [`ErrorKind::Path`] when CoAP cannot carry an option; the
    /// request waits on.
    pub fn respond(
        &mut self,
        exchange: ExchangeId,
        response: Response,
        now: Instant,
    ) -> Result<(), Error> {
        self.check_response(&response)?;
        let now = self.advance(now);
        let ExchangeId(number) = exchange;
        if let Some(mut inbound) = self.inbound.remove(&number) {
            if let Some(target) = inbound.target.take() {
                // The token may have been registered before.
                self.deregister(inbound.token);
                if response.observable && response.code.is_success() {
                    inbound.control.observe = self.register(number, &inbound, target);
                }
            }
            self.finish(inbound, response, now);
            self.settle();
        }
        Ok(())
    }

    /// Sends the new state of a resource of ours to those who observe `target`, its path and query as
    /// [`Request::target`] writes them; tells how many they are. An error is their last notification.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when the body is over the limit; [`ErrorKind::Path`] when CoAP cannot carry an option.
    pub fn notify(
        &mut self,
        target: &str,
        response: &Response,
        now: Instant,
    ) -> Result<usize, Error> {
        self.check_response(response)?;
        let now = self.advance(now);
        let observers = self.observers.of(target);
        for observer in &observers {
            let mut control = Control::default();
            if response.code.is_success() {
                control.observe = Some(self.observers.next_sequence());
            }
            let part = self.first_part(&observer.key, &mut control, response.clone(), now);
            // Without room for the rest of a long one this state is left out; the next one may find room.
            let Ok(part) = part else { continue };
            self.send_response(&part, observer.token, &control);
            if control.observe.is_none() {
                // An error is the last notification. (RFC 7641, 4.2)
                self.deregister(observer.token);
            }
        }
        Ok(observers.len())
    }

    pub(super) fn handle_request(&mut self, message: &MessageRef<'_>, now: Instant) {
        let number = self.new_number();
        let mut inbound = Inbound {
            token: message.token(),
            expires: now.saturating_add(self.config.answer_timeout),
            key: Vec::new(),
            target: None,
            control: Control::default(),
        };
        let parts = read_request(message, &self.config.accepted_options, BlockSize::BERT);
        let admitted = match parts {
            Ok(parts) => self.admit(&mut inbound, parts, now),
            Err(code) => Err(Early::code(code)),
        };
        match admitted {
            Ok(request) => {
                self.inbound.insert(number, inbound);
                self.outputs.push_back(Output::Request {
                    exchange: ExchangeId(number),
                    request,
                });
            }
            Err(Early::Answer(response)) => self.finish(inbound, response, now),
            Err(Early::Block(part, block)) => {
                inbound.control.block2 = Some(block);
                self.send_response(&part, inbound.token, &inbound.control);
            }
        }
    }

    /// The whole request for the application, or the answer that needs none.
    fn admit(
        &mut self,
        inbound: &mut Inbound,
        parts: RequestParts,
        now: Instant,
    ) -> Result<Request, Early> {
        let RequestParts {
            mut request,
            control,
            key,
        } = parts;
        let limits = self.config.limits(self.bodies.bytes());
        inbound.control = control.of_response(BlockSize::BERT);
        inbound.key = key;
        self.bodies
            .admit(&mut request, &control, &inbound.key, &limits, now)?;
        if self.inbound.len() >= self.config.max_inbound {
            return Err(Early::busy());
        }
        if control.observe == Some(REGISTER) && request.method.is_safe() {
            request.observe = true;
            inbound.target = Some(request.target());
        }
        if control.observe == Some(DEREGISTER) {
            self.deregister(inbound.token);
        }
        Ok(request)
    }

    /// Registers the observer that the request asked for; the sequence number of its first notification.
    ///
    /// The peer is not to order notifications by it, but one that does as over UDP must not be led astray.
    fn register(&mut self, number: u64, inbound: &Inbound, target: String) -> Option<u32> {
        let observer = Observer {
            number,
            token: inbound.token,
            target,
            key: inbound.key.clone(),
        };
        self.observers
            .register(observer, self.config.max_observers)
            .then(|| self.observers.next_sequence())
    }

    fn deregister(&mut self, token: Token) {
        if let Some(number) = self.observers.remove_token(token) {
            self.event(Event::Unobserved {
                exchange: ExchangeId(number),
            });
        }
    }

    /// Sends a response, or its first part.
    fn finish(&mut self, inbound: Inbound, response: Response, now: Instant) {
        let Inbound {
            token,
            key,
            mut control,
            ..
        } = inbound;
        match self.first_part(&key, &mut control, response, now) {
            Ok(part) => self.send_response(&part, token, &control),
            Err(Refusal(code)) => self.send_error(code, token, &control),
        }
    }

    /// Cuts a response to the size that the peer takes.
    fn first_part(
        &mut self,
        key: &[u8],
        control: &mut Control,
        response: Response,
        now: Instant,
    ) -> Result<Response, Refusal> {
        let message = write_response(&response, Token::default(), control);
        let cut = self.peer.cut(&message.options);
        let limits = self.config.limits(self.bodies.bytes());
        self.bodies
            .first_part(key, response, control, cut, &limits, now)
    }

    fn send_response(&mut self, response: &Response, token: Token, control: &Control) {
        if control.wants(response.code) && !self.send(&write_response(response, token, control)) {
            self.send_error(Code::INTERNAL_SERVER_ERROR, token, control);
        }
    }

    /// Sends an error in the place of a response that cannot be sent, which is then no beginning of an observation either.
    fn send_error(&mut self, code: Code, token: Token, control: &Control) {
        self.deregister(token);
        if control.wants(code) {
            let error = Response::new(code);
            self.send(&write_response(&error, token, &Control::default()));
        }
    }

    /// Gives up what the application has not answered.
    pub(super) fn handle_inbound_timeout(&mut self, now: Instant) {
        for number in due(&self.inbound, |it| Some(it.deadline()), now) {
            if let Some(inbound) = self.inbound.remove(&number) {
                self.finish(inbound, busy(), now);
            }
        }
    }

    fn check_response(&self, response: &Response) -> Result<(), Error> {
        if response.payload.len() > self.config.max_body {
            return Err(ErrorKind::TooLarge.into());
        }
        response.check()
    }
}
