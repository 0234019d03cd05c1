//! Requests of the peer, and the observers it registers.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{Action, Context, Exchanges, Purpose, means};
use crate::activation;
use crate::block::receive::Progress;
use crate::block::{Block, Refusal};
use crate::codec::{self, MessageRef};
use crate::error::{Error, ErrorKind};
use crate::mailbox;
use crate::message::{Code, Kind, Message, Token};
use crate::observe::{DEREGISTER, Observer, REGISTER};
use crate::option::{self, CoapOption};
use crate::request::wire::{Control, RequestParts, read_request, write_response};
use crate::request::{Request, Response};
use crate::time::Instant;

/// How many seconds a peer is asked to wait when there is no room for its request.
const RETRY_AFTER_SECS: u32 = 5;

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
        let parts = match read_request(message, &cx.config.accepted_options) {
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
        inbound.control = Control {
            observe: None,
            size1: None,
            ..control
        };
        inbound.key = key;
        inbound.is_topic = mailbox::is_topic(&request);
        if cx
            .activation_of
            .is_some_and(|device| !activation::permits(device, &request))
        {
            return Err(Early::code(Code::FORBIDDEN));
        }
        let max_body = u32::try_from(cx.config.max_body).unwrap_or(u32::MAX);
        let too_large = || Early::Answer(too_large(max_body));
        if control.size1.is_some_and(|size| size > max_body)
            || request.payload.len() > cx.config.max_body
        {
            return Err(too_large());
        }
        if let Some(block) = control.block1 {
            inbound.control.block1 = Some(block.with_size_at_most(cx.config.block_size));
            match self.uploads.receive(
                &inbound.key,
                block,
                &request.payload,
                cx.room,
                cx.config,
                cx.now,
            ) {
                Ok(Progress::Continue) => return Err(Early::code(Code::CONTINUE)),
                Ok(Progress::Whole(body)) => request.payload = body.into(),
                Err(Refusal(Code::REQUEST_ENTITY_TOO_LARGE)) => return Err(too_large()),
                Err(Refusal(Code::SERVICE_UNAVAILABLE)) => return Err(Early::busy()),
                Err(Refusal(code)) => return Err(Early::code(code)),
            }
        }
        if let Some(wanted) = control.block2.filter(|block| block.offset() > 0) {
            match self
                .snapshots
                .later_part(&inbound.key, wanted, cx.config, cx.now)
            {
                Some(Ok((part, block))) => return Err(Early::Block(part, block)),
                Some(Err(Refusal(code))) => return Err(Early::code(code)),
                // Asking again changes nothing, so any block can be cut from a fresh answer; otherwise it is lost.
                None if request.method.is_safe() => {}
                None => return Err(Early::code(Code::REQUEST_ENTITY_INCOMPLETE)),
            }
        }
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
        // An error is no representation, so the block that was asked for is not looked for in it.
        let is_representation = response.code.is_success() && response.code != Code::CONTINUE;
        let wanted = inbound.control.block2.take().filter(|_| is_representation);
        let first =
            self.snapshots
                .first_part(&inbound.key, response, wanted, cx.room, cx.config, cx.now);
        let part = match first {
            Ok((part, block)) => {
                inbound.control.block2 = block;
                part
            }
            Err(Refusal(code)) => Response::new(code),
        };
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
        let wanted = is_wanted(inbound.control.no_response, response.code);
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
            let first = self.snapshots.first_part(
                &observer.key,
                response.clone(),
                None,
                cx.room,
                cx.config,
                cx.now,
            );
            // Without room for the rest of a long one this state is left out; the next one may find room.
            let Ok((part, block)) = first else { continue };
            control.block2 = block;
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

/// An answer that does not need the application.
enum Early {
    Answer(Response),
    /// A part that is cut to size already.
    Block(Response, Block),
}

impl Early {
    const fn code(code: Code) -> Self {
        Self::Answer(Response::new(code))
    }

    const fn busy() -> Self {
        Self::Answer(busy())
    }
}

const fn busy() -> Response {
    Response::new(Code::SERVICE_UNAVAILABLE).with_max_age(RETRY_AFTER_SECS)
}

fn too_large(max_body: u32) -> Response {
    Response::new(Code::REQUEST_ENTITY_TOO_LARGE)
        .with_option(CoapOption::from_uint(option::SIZE1, max_body))
}

/// Whether the peer wants a response of this class. (RFC 7967, 2.1)
fn is_wanted(no_response: u8, code: Code) -> bool {
    let class_bit = 1_u8
        .checked_shl(u32::from(code.class()).saturating_sub(1))
        .unwrap_or(0);
    code == Code::CONTINUE || no_response & class_bit == 0
}
