//! Requests of the peer, and the observers it registers.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{Action, Context, Exchanges, Purpose, means};
use crate::activation;
use crate::block::bodies::{Early, busy};
use crate::block::{BlockSize, Refusal};
use crate::codec::{self, MessageRef};
use crate::error::{Error, ErrorKind};
use crate::mailbox;
use crate::message::{Code, Kind, Message, Token};
use crate::observe::{DEREGISTER, Observer, REGISTER};
use crate::request::wire::{Control, RequestParts, read_request, write_response};
use crate::request::{Request, Response};
use crate::time::Instant;

/// A request of the peer that is not done with.
#[derive(Debug)]
pub(crate) struct Inbound {
    message_id: u16,
    token: Token,
    reply: Reply,
    /// When the peer gets a 5.03 unless the application answers.
    expires: Instant,
    key: Vec<u8>,
    /// What the peer wants to observe.
    target: Option<String>,
    /// Whether it is a request of EnOS access.
    is_topic: bool,
    control: Control,
}

/// How the response will travel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reply {
    /// In the acknowledgement, unless that becomes due before.
    Piggybacked { until: Instant },
    /// As a Confirmable message: the acknowledgement is sent already.
    Separate,
    /// As a Non-confirmable message.
    NonConfirmable,
    /// It is under way as a Confirmable message.
    Sent,
}

impl Inbound {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.reply {
            Reply::Piggybacked { until } => Some(until.min(self.expires)),
            Reply::Separate | Reply::NonConfirmable => Some(self.expires),
            Reply::Sent => None,
        }
    }
}

impl Exchanges {
    pub(super) fn handle_request(&mut self, message: &MessageRef<'_>, cx: &mut Context<'_>) {
        if self.is_duplicate(message, cx) {
            return;
        }
        self.remember(message, true, cx);
        let number = self.new_number();
        let reply = match message.kind() {
            Kind::Confirmable => Reply::Piggybacked {
                until: cx.now.saturating_add(cx.config.ack_delay),
            },
            _ => Reply::NonConfirmable,
        };
        let mut inbound = Inbound {
            message_id: message.message_id(),
            token: message.token(),
            reply,
            expires: cx.now.saturating_add(cx.config.answer_timeout),
            key: Vec::new(),
            target: None,
            is_topic: false,
            control: Control::default(),
        };
        let parts = match read_request(message, &cx.config.accepted_options, BlockSize::MAX) {
            Ok(parts) => parts,
            // Bad options in a Non-confirmable request are not worth an answer. (RFC 7252, 5.4.1)
            Err(Code::BAD_OPTION) if reply == Reply::NonConfirmable => {
                return self.remembered.close(inbound.message_id);
            }
            Err(code) => return self.finish(number, inbound, Response::new(code), cx),
        };
        match self.admit(&mut inbound, parts, cx) {
            Ok(request) => {
                self.inbound.insert(number, inbound);
                cx.actions.push_back(Action::Request { number, request });
            }
            Err(Early::Answer(response)) => self.finish(number, inbound, response, cx),
            Err(Early::Block(response, block)) => {
                inbound.control.block2 = Some(block);
                self.send_response(number, inbound, &response, cx);
            }
        }
    }

    /// The whole request for the application, or the answer that needs none.
    fn admit(
        &mut self,
        inbound: &mut Inbound,
        parts: RequestParts,
        cx: &mut Context<'_>,
    ) -> Result<Request, Early> {
        let RequestParts {
            mut request,
            control,
            key,
        } = parts;
        inbound.control = control.of_response(cx.config.block_size);
        inbound.key = key;
        inbound.is_topic = mailbox::is_topic(&request);
        if cx
            .activation_of
            .is_some_and(|device| !activation::permits(device, &request))
        {
            return Err(Early::code(Code::FORBIDDEN));
        }
        self.bodies
            .admit(&mut request, &control, &inbound.key, &cx.limits(), cx.now)?;
        if self.inbound.len() >= cx.config.max_inbound {
            return Err(Early::busy());
        }
        if control.observe == Some(REGISTER) && request.method.is_safe() {
            request.observe = true;
            inbound.target = Some(request.target());
        }
        if control.observe == Some(DEREGISTER) {
            self.deregister(inbound.token, cx);
        }
        Ok(request)
    }

    /// Answers a request; one that is not known, or no longer, is ignored.
    pub(crate) fn respond(
        &mut self,
        number: u64,
        response: Response,
        cx: &mut Context<'_>,
    ) -> Result<(), Error> {
        if response.payload.len() > cx.config.max_body {
            return Err(ErrorKind::TooLarge.into());
        }
        response.check()?;
        if self
            .inbound
            .get(&number)
            .is_none_or(|inbound| inbound.reply == Reply::Sent)
        {
            return Ok(());
        }
        let Some(mut inbound) = self.inbound.remove(&number) else {
            return Ok(());
        };
        if let Some(target) = inbound.target.take() {
            if response.observable && response.code.is_success() {
                inbound.control.observe = self.register(number, &inbound, target, cx);
            } else {
                // The token may have been registered before.
                self.deregister(inbound.token, cx);
            }
        }
        self.finish(number, inbound, response, cx);
        Ok(())
    }

    /// Registers the observer that the request asked for; the sequence number of its first notification.
    fn register(
        &mut self,
        number: u64,
        inbound: &Inbound,
        target: String,
        cx: &mut Context<'_>,
    ) -> Option<u32> {
        self.deregister(inbound.token, cx);
        let observer = Observer {
            number,
            token: inbound.token,
            target,
            key: inbound.key.clone(),
        };
        self.observers
            .register(observer, cx.config.max_observers)
            .then(|| self.observers.next_sequence())
    }

    fn deregister(&mut self, token: Token, cx: &mut Context<'_>) {
        if let Some(number) = self.observers.remove_token(token) {
            self.sender
                .cancel(Purpose::Notification(number), &mut means(&mut self.ids, cx));
            cx.actions.push_back(Action::Unobserved { number });
        }
    }

    /// Cuts the response to size and sends it.
    fn finish(
        &mut self,
        number: u64,
        mut inbound: Inbound,
        mut response: Response,
        cx: &mut Context<'_>,
    ) {
        // The errors of EnOS access are codes alone.
        if inbound.is_topic && !response.code.is_success() {
            response.content_format = None;
            response.payload = Bytes::new();
        }
        let part = self.bodies.first_part(
            &inbound.key,
            response,
            &mut inbound.control,
            cx.config.cut(),
            &cx.limits(),
            cx.now,
        );
        let part = part.unwrap_or_else(|Refusal(code)| {
            // An error is no beginning of an observation.
            self.deregister(inbound.token, cx);
            inbound.control.observe = None;
            Response::new(code)
        });
        self.send_response(number, inbound, &part, cx);
    }

    fn send_response(
        &mut self,
        number: u64,
        mut inbound: Inbound,
        response: &Response,
        cx: &mut Context<'_>,
    ) {
        self.remembered.close(inbound.message_id);
        let mut message = write_response(response, inbound.token, &inbound.control);
        if let Some(command) = cx.mailbox.filter(|_| response.code != Code::CONTINUE) {
            mailbox::announce(&mut message.options, command);
        }
        let wanted = inbound.control.wants(response.code);
        match inbound.reply {
            Reply::Piggybacked { .. } if wanted => {
                message.kind = Kind::Acknowledgement;
                message.message_id = inbound.message_id;
                self.reply_with(&message, cx);
            }
            // Not wanting a response does not mean not wanting the acknowledgement. (RFC 7967, 2)
            Reply::Piggybacked { .. } => {
                self.reply_empty(Kind::Acknowledgement, inbound.message_id, cx);
            }
            Reply::Separate if wanted => {
                inbound.reply = Reply::Sent;
                self.inbound.insert(number, inbound);
                self.sender.enqueue(
                    Purpose::Response(number),
                    message,
                    &mut means(&mut self.ids, cx),
                );
            }
            Reply::NonConfirmable if wanted => self.send_non(message, cx),
            Reply::Separate | Reply::NonConfirmable | Reply::Sent => {}
        }
    }

    fn reply_with(&mut self, message: &Message, cx: &mut Context<'_>) {
        if let Ok(datagram) = codec::encode(message) {
            self.remembered.set_reply(message.message_id, &datagram);
            cx.out.push_back(datagram);
        }
    }

    /// Sends a new state of a resource to those that observe it; how many they are.
    pub(crate) fn notify(
        &mut self,
        target: &str,
        response: &Response,
        cx: &mut Context<'_>,
    ) -> Result<usize, Error> {
        if response.payload.len() > cx.config.max_body {
            return Err(ErrorKind::TooLarge.into());
        }
        response.check()?;
        let observers = self.observers.of(target);
        for observer in &observers {
            let mut control = Control::default();
            if response.code.is_success() {
                control.observe = Some(self.observers.next_sequence());
            }
            let first = self.bodies.first_part(
                &observer.key,
                response.clone(),
                &mut control,
                cx.config.cut(),
                &cx.limits(),
                cx.now,
            );
            // Without room for the rest of a long one this state is left out; the next one may find room.
            let Ok(part) = first else { continue };
            let message = write_response(&part, observer.token, &control);
            let purpose = Purpose::Notification(observer.number);
            self.sender
                .supersede(purpose, message, &mut means(&mut self.ids, cx));
            if !response.code.is_success() {
                // An error is the last notification. (RFC 7641, 4.2)
                self.observers.remove(observer.number);
                cx.actions.push_back(Action::Unobserved {
                    number: observer.number,
                });
            }
        }
        Ok(observers.len())
    }

    /// Forgets an observer whose notification was refused or lost.
    pub(super) fn end_observer(&mut self, number: u64, cx: &mut Context<'_>) {
        if self.observers.remove(number) {
            cx.actions.push_back(Action::Unobserved { number });
        }
    }

    pub(super) fn handle_inbound_timeout(&mut self, cx: &mut Context<'_>) {
        let due: Vec<u64> = self
            .inbound
            .iter()
            .filter(|(_, inbound)| {
                inbound
                    .deadline()
                    .is_some_and(|deadline| deadline <= cx.now)
            })
            .map(|(number, _)| *number)
            .collect();
        for number in due {
            let Some(mut inbound) = self.inbound.remove(&number) else {
                continue;
            };
            if inbound.expires <= cx.now {
                self.finish(number, inbound, busy(), cx);
                continue;
            }
            self.reply_empty(Kind::Acknowledgement, inbound.message_id, cx);
            inbound.reply = Reply::Separate;
            self.inbound.insert(number, inbound);
        }
    }
}
