//! Requests of ours, and our observations.

use bytes::Bytes;

use super::connection::{Connection, due};
use super::output::{Event, ExchangeId};
use crate::block::transfer::{Step, Transfer};
use crate::block::{Block, BlockSize};
use crate::codec::MessageRef;
use crate::error::{Error, ErrorKind};
use crate::failure::Failure;
use crate::message::Token;
use crate::observe::{DEREGISTER, REGISTER};
use crate::request::wire::{Control, ResponseParts, read_response, write_request};
use crate::request::{Request, Response};
use crate::time::Instant;

/// A request of ours that is not done with.
pub(super) struct Outbound {
    transfer: Transfer,
    /// The token of the message that waits for a response.
    token: Token,
    /// When that is given up; `None` while an observation waits for news.
    deadline: Option<Instant>,
    observation: Option<Observation>,
}

#[derive(Clone, Copy)]
struct Observation {
    token: Token,
    /// Whether the peer has registered us.
    registered: bool,
}

impl Outbound {
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether it is an observation that waits for news.
    pub(super) const fn is_resting(&self) -> bool {
        self.deadline.is_none()
    }

    fn is_observing(&self) -> bool {
        self.observation.is_some_and(|it| it.registered)
    }

    fn is_observed_by(&self, token: Token) -> bool {
        self.observation.is_some_and(|it| it.token == token)
    }
}

/// What a response leads to.
enum Next {
    /// Another message, which asks for this block when there is one.
    Send(Option<Block>),
    Notify(Response),
    Finish(Response),
    Fail(Failure),
}

impl Connection {
    /// Sends a request, in blocks when it needs them. [`Response`](Event::Response) or [`Failed`](Event::Failed) follows,
    /// once.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownSession`] when the connection is over; [`ErrorKind::Refused`] when it is released;
    /// [`ErrorKind::Full`] when too many requests are under way; [`ErrorKind::TooLarge`] when the body is over the limit;
    /// [`ErrorKind::Path`] when CoAP cannot carry the path, the query or an option.
    pub fn request(&mut self, request: Request, now: Instant) -> Result<ExchangeId, Error> {
        self.begin(request, false, now)
    }

    /// Observes a resource: [`Notification`](Event::Notification) with its state now and whenever it changes, until
    /// [`Response`](Event::Response) or [`Failed`](Event::Failed) says that this is over. (RFC 7641; RFC 8323, 7)
    ///
    /// # Errors
    /// As [`request`](Self::request).
    pub fn observe(&mut self, request: Request, now: Instant) -> Result<ExchangeId, Error> {
        self.begin(request, true, now)
    }

    /// Gives a request or an observation of ours up; [`Failed`](Event::Failed) follows. An unknown one is ignored.
    pub fn cancel(&mut self, exchange: ExchangeId, now: Instant) {
        self.advance(now);
        let ExchangeId(number) = exchange;
        let Some(outbound) = self.forget(number) else {
            return;
        };
        if let Some(observation) = outbound.observation {
            // Without a Reset this is the only way to end it. (RFC 8323, 7.4)
            let control = Control {
                observe: Some(DEREGISTER),
                ..Control::default()
            };
            let request = outbound.transfer.request();
            self.send(&write_request(
                request,
                observation.token,
                &control,
                Bytes::new(),
            ));
        }
        self.event(Event::Failed {
            exchange,
            failure: Failure::Cancelled,
        });
        self.settle();
    }

    fn begin(
        &mut self,
        request: Request,
        observe: bool,
        now: Instant,
    ) -> Result<ExchangeId, Error> {
        self.check_open()?;
        if request.payload.len() > self.config.max_body {
            return Err(ErrorKind::TooLarge.into());
        }
        request.check()?;
        if self.outbound.len() >= self.config.max_outbound {
            return Err(ErrorKind::Full.into());
        }
        let now = self.advance(now);
        let number = self.new_number();
        let message = write_request(
            &request,
            Token::default(),
            &Control::default(),
            Bytes::new(),
        );
        let cut = self.peer.cut(&message.options);
        let outbound = Outbound {
            transfer: Transfer::new(request, cut, number),
            token: Token::default(),
            deadline: None,
            observation: observe.then(|| Observation {
                token: Token::default(),
                registered: false,
            }),
        };
        self.outbound.insert(number, outbound);
        self.send_step(number, None, now);
        Ok(ExchangeId(number))
    }

    /// Sends the next message of a request: a block of its body, or the wish for a block of the response.
    fn send_step(&mut self, number: u64, wanted: Option<Block>, now: Instant) {
        let token = self.new_token();
        let Some(outbound) = self.outbound.get_mut(&number) else {
            return;
        };
        let registering = outbound
            .observation
            .as_mut()
            .filter(|it| !it.registered && wanted.is_none());
        let observe = registering.is_some().then_some(REGISTER);
        let message = outbound.transfer.message(token, wanted, observe);
        if let Some(observation) = registering {
            observation.token = token;
        }
        // A token that an observation goes on with stays.
        if !outbound.is_observed_by(outbound.token) {
            self.tokens.remove(&outbound.token);
        }
        outbound.token = token;
        outbound.deadline = Some(now.saturating_add(self.config.request_timeout));
        self.tokens.insert(token, number);
        if !message.is_some_and(|message| self.send(&message)) {
            self.lose_request(number, Failure::TooLarge);
        }
    }

    /// A response without a request is ignored: there is no Reset to refuse it with.
    pub(super) fn handle_response(&mut self, message: &MessageRef<'_>, now: Instant) {
        let token = message.token();
        let Some(number) = self.tokens.get(&token).copied() else {
            return;
        };
        let parts = read_response(message, &self.config.accepted_options, BlockSize::BERT);
        let next = match parts {
            Some(parts) => self.judge_response(number, token, parts),
            None => Next::Fail(Failure::BadResponse),
        };
        let exchange = ExchangeId(number);
        match next {
            Next::Send(wanted) => self.send_step(number, wanted, now),
            Next::Notify(response) => {
                self.rest(number);
                self.event(Event::Notification { exchange, response });
            }
            Next::Finish(response) => {
                self.forget(number);
                self.event(Event::Response { exchange, response });
            }
            Next::Fail(failure) => self.lose_request(number, failure),
        }
    }

    fn judge_response(&mut self, number: u64, token: Token, parts: ResponseParts) -> Next {
        let ResponseParts {
            mut response,
            control,
        } = parts;
        let Some(outbound) = self.outbound.get_mut(&number) else {
            return Next::Fail(Failure::BadResponse);
        };
        if !outbound.is_observing()
            && let Some(wanted) = outbound.transfer.take_challenge(&response)
        {
            return Next::Send(wanted);
        }
        if let Some(observation) = outbound.observation.filter(|it| it.token == token) {
            // What arrives later is newer: the value of the option is not looked at. (RFC 8323, 7.1)
            let registered = control.observe.is_some() && response.code.is_success();
            if registered || observation.registered {
                // What was being fetched is old now.
                outbound.transfer.discard_download();
                if outbound.token != token {
                    self.tokens.remove(&outbound.token);
                    outbound.token = token;
                }
            }
            if registered {
                outbound.observation = Some(Observation { token, registered });
            } else if observation.registered {
                // Over: from here on this is the answer to an ordinary request. (RFC 7641, 3.2)
                outbound.observation = None;
            }
        }
        let is_part = control.block2.is_some();
        match outbound
            .transfer
            .receive(&mut response, &control, self.config.max_body)
        {
            Ok(Step::Send(wanted)) => Next::Send(wanted),
            Err(failure) => Next::Fail(failure),
            Ok(Step::Whole) if !outbound.is_observing() => Next::Finish(response),
            Ok(Step::Whole) if is_part || response.observable => Next::Notify(response),
            // The rest of a notification could not be had; the next notification brings newer news.
            Ok(Step::Whole) => Next::Fail(Failure::BadResponse),
        }
    }

    /// Stops fetching, and waits for the next notification.
    fn rest(&mut self, number: u64) {
        let Some(outbound) = self.outbound.get_mut(&number) else {
            return;
        };
        outbound.deadline = None;
        outbound.transfer.rest();
        if let Some(observation) = outbound.observation.filter(|it| it.token != outbound.token) {
            self.tokens.remove(&outbound.token);
            outbound.token = observation.token;
        }
    }

    /// Ends a request that got no usable response. An observation outlives the loss of one notification.
    fn lose_request(&mut self, number: u64, failure: Failure) {
        if self
            .outbound
            .get(&number)
            .is_some_and(Outbound::is_observing)
        {
            self.rest(number);
        } else if self.forget(number).is_some() {
            self.event(Event::Failed {
                exchange: ExchangeId(number),
                failure,
            });
        }
    }

    fn forget(&mut self, number: u64) -> Option<Outbound> {
        let outbound = self.outbound.remove(&number)?;
        self.tokens.remove(&outbound.token);
        if let Some(observation) = &outbound.observation {
            self.tokens.remove(&observation.token);
        }
        Some(outbound)
    }

    pub(super) fn handle_outbound_timeout(&mut self, now: Instant) {
        for number in due(&self.outbound, Outbound::deadline, now) {
            self.lose_request(number, Failure::TimedOut);
        }
    }
}
