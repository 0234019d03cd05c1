//! Requests of ours, and our observations.

use alloc::vec::Vec;

use bytes::Bytes;

use super::{Action, Context, Exchanges, Purpose, means};
use crate::block::transfer::{Step, Transfer};
use crate::block::{Block, BlockSize};
use crate::codec::MessageRef;
use crate::error::{Error, ErrorKind};
use crate::failure::Failure;
use crate::message::{Kind, Token};
use crate::observe::{DEREGISTER, Newest, REGISTER};
use crate::request::wire::{Control, ResponseParts, read_response, write_request};
use crate::request::{Request, Response};
use crate::time::Instant;

/// A request of ours that is not done with.
pub(crate) struct Outbound {
    transfer: Transfer,
    /// The token of the message that waits for a response.
    token: Token,
    /// When that is given up; `None` while an observation waits for news.
    deadline: Option<Instant>,
    observation: Option<Observation>,
}

#[derive(Debug)]
struct Observation {
    token: Token,
    /// `None` until the peer agreed.
    newest: Option<Newest>,
}

impl Outbound {
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn is_observing(&self) -> bool {
        self.observation
            .as_ref()
            .is_some_and(|observation| observation.newest.is_some())
    }
}

/// What a response leads to.
enum Next {
    /// Another message, which asks for this block when there is one.
    Send(Option<Block>),
    /// Nothing; more will come, or it was old.
    Wait,
    Notify(Response),
    Finish(Response),
    Fail(Failure),
}

impl Exchanges {
    /// Begins a request, or an observation.
    pub(crate) fn begin(
        &mut self,
        mut request: Request,
        observe: bool,
        cx: &mut Context<'_>,
    ) -> Result<u64, Error> {
        if request.payload.len() > cx.config.max_body {
            return Err(ErrorKind::TooLarge.into());
        }
        request.check()?;
        if self.outbound.len() >= cx.config.max_outbound {
            return Err(ErrorKind::Full.into());
        }
        let number = self.new_number();
        let cut = cx.config.cut();
        request.confirmable |= observe || !cut.is_whole(request.payload.len());
        request.observe = false;
        let observation = observe.then(|| Observation {
            token: Token::default(),
            newest: None,
        });
        let token = Token::default();
        self.outbound.insert(
            number,
            Outbound {
                transfer: Transfer::new(request, cut, number),
                token,
                deadline: None,
                observation,
            },
        );
        self.send_step(number, None, cx);
        Ok(number)
    }

    /// Sends the next message of a request: a block of its body, or the wish for a block of the response.
    fn send_step(&mut self, number: u64, wanted: Option<Block>, cx: &mut Context<'_>) {
        let token = self.new_token();
        let Some(outbound) = self.outbound.get_mut(&number) else {
            return;
        };
        let registering = outbound
            .observation
            .as_mut()
            .filter(|it| it.newest.is_none() && wanted.is_none());
        let observe = registering.is_some().then_some(REGISTER);
        let Some(mut message) = outbound.transfer.message(token, wanted, observe) else {
            return self.fail(number, Failure::TooLarge, cx);
        };
        if let Some(observation) = registering {
            self.tokens.remove(&observation.token);
            observation.token = token;
        }
        // A token that an observation goes on with stays.
        if outbound
            .observation
            .as_ref()
            .is_none_or(|observation| observation.token != outbound.token)
        {
            self.tokens.remove(&outbound.token);
        }
        outbound.token = token;
        self.tokens.insert(token, number);
        outbound.deadline = Some(cx.now.saturating_add(cx.config.request_timeout));
        let confirmable = wanted.is_some() || outbound.transfer.request().confirmable;
        message.kind = if confirmable {
            Kind::Confirmable
        } else {
            Kind::NonConfirmable
        };
        self.sender.enqueue(
            Purpose::Request(number),
            message,
            &mut means(&mut self.ids, cx),
        );
    }

    /// A response in an acknowledgement counts only for the message it names. (RFC 7252, 5.2.1 and 5.3.2)
    pub(super) fn handle_piggybacked_response(
        &mut self,
        message: &MessageRef<'_>,
        cx: &mut Context<'_>,
    ) {
        match self.sender.purpose_of(message.message_id()) {
            Some(Purpose::Request(number))
                if self.tokens.get(&message.token()) == Some(&number) =>
            {
                self.sender
                    .acknowledged(message.message_id(), &mut means(&mut self.ids, cx));
                self.handle_response(number, message, cx);
            }
            Some(Purpose::Deregistration(_)) => {
                self.sender
                    .acknowledged(message.message_id(), &mut means(&mut self.ids, cx));
            }
            _ => {}
        }
    }

    pub(super) fn handle_separate_response(
        &mut self,
        message: &MessageRef<'_>,
        cx: &mut Context<'_>,
    ) {
        if self.is_duplicate(message, cx) {
            return;
        }
        self.remember(message, false, cx);
        let number = self.tokens.get(&message.token()).copied();
        let usable = number.is_some()
            && read_response(message, &cx.config.accepted_options, BlockSize::MAX).is_some();
        if message.kind() == Kind::Confirmable {
            let reply = if usable {
                Kind::Acknowledgement
            } else {
                Kind::Reset
            };
            self.reply_empty(reply, message.message_id(), cx);
        }
        if let Some(number) = number {
            self.handle_response(number, message, cx);
        }
    }

    fn handle_response(&mut self, number: u64, message: &MessageRef<'_>, cx: &mut Context<'_>) {
        let next = match read_response(message, &cx.config.accepted_options, BlockSize::MAX) {
            Some(parts) => self.judge_response(number, message.token(), parts, cx),
            None => Next::Fail(Failure::BadResponse),
        };
        match next {
            Next::Send(wanted) => self.send_step(number, wanted, cx),
            Next::Wait => {}
            Next::Notify(response) => {
                self.rest(number);
                cx.actions
                    .push_back(Action::Notification { number, response });
            }
            Next::Finish(response) => {
                self.forget(number, cx);
                cx.actions.push_back(Action::Response { number, response });
            }
            Next::Fail(failure) => self.lose_request(number, failure, cx),
        }
    }

    fn judge_response(
        &mut self,
        number: u64,
        token: Token,
        parts: ResponseParts,
        cx: &mut Context<'_>,
    ) -> Next {
        let ResponseParts {
            mut response,
            control,
        } = parts;
        let Some(outbound) = self.outbound.get_mut(&number) else {
            return Next::Wait;
        };
        // Whatever ends an observation is final.
        let was_observing = outbound.is_observing();
        let observed = outbound
            .observation
            .as_mut()
            .filter(|observation| observation.token == token);
        if let Some(observation) = observed {
            match (control.observe, observation.newest) {
                (Some(sequence), Some(newest)) if !newest.is_before(sequence, cx.now) => {
                    return Next::Wait;
                }
                (Some(sequence), _) if response.code.is_success() => {
                    observation.newest = Some(Newest::new(sequence, cx.now));
                    // What was being fetched is old now.
                    outbound.transfer.discard_download();
                }
                (_, Some(_)) => {
                    // Over: from here on this is the answer to an ordinary request. (RFC 7641, 3.2)
                    outbound.observation = None;
                    outbound.transfer.discard_download();
                    if outbound.token != token {
                        self.tokens.remove(&outbound.token);
                        outbound.token = token;
                    }
                }
                (_, None) => {}
            }
        }
        self.sender
            .answered(Purpose::Request(number), &mut means(&mut self.ids, cx));
        if !was_observing && let Some(wanted) = outbound.transfer.take_challenge(&response) {
            return Next::Send(wanted);
        }
        let fetched = control.block2.is_some();
        let step = outbound
            .transfer
            .receive(&mut response, &control, cx.config.max_body);
        match step {
            Ok(Step::Send(wanted)) => return Next::Send(wanted),
            Ok(Step::Whole) => {}
            Err(failure) => return Next::Fail(failure),
        }
        if outbound.is_observing() && !fetched && !response.observable {
            // The rest of a notification could not be had; the next notification brings newer news.
            return Next::Fail(Failure::BadResponse);
        }
        if outbound.is_observing() {
            Next::Notify(response)
        } else {
            Next::Finish(response)
        }
    }

    /// Stops fetching, and waits for the next notification.
    fn rest(&mut self, number: u64) {
        let Some(outbound) = self.outbound.get_mut(&number) else {
            return;
        };
        outbound.deadline = None;
        outbound.transfer.rest();
        if let Some(observation) = outbound
            .observation
            .as_ref()
            .filter(|it| it.token != outbound.token)
        {
            self.tokens.remove(&outbound.token);
            outbound.token = observation.token;
        }
    }

    /// Ends a request that got no usable response. An observation outlives the loss of one notification.
    pub(super) fn lose_request(&mut self, number: u64, failure: Failure, cx: &mut Context<'_>) {
        if self
            .outbound
            .get(&number)
            .is_some_and(Outbound::is_observing)
        {
            self.sender
                .cancel(Purpose::Request(number), &mut means(&mut self.ids, cx));
            self.rest(number);
        } else {
            self.fail(number, failure, cx);
        }
    }

    fn fail(&mut self, number: u64, failure: Failure, cx: &mut Context<'_>) {
        if self.forget(number, cx).is_some() {
            cx.actions.push_back(Action::Failed { number, failure });
        }
    }

    fn forget(&mut self, number: u64, cx: &mut Context<'_>) -> Option<Outbound> {
        let outbound = self.outbound.remove(&number)?;
        self.tokens.remove(&outbound.token);
        if let Some(observation) = &outbound.observation {
            self.tokens.remove(&observation.token);
        }
        self.sender
            .cancel(Purpose::Request(number), &mut means(&mut self.ids, cx));
        Some(outbound)
    }

    /// Ends a request or an observation that nobody wants any more; an unknown one is ignored.
    pub(crate) fn cancel(&mut self, number: u64, cx: &mut Context<'_>) {
        let Some(outbound) = self.forget(number, cx) else {
            return;
        };
        // A peer that is not told learns it by the Reset that its next notification gets.
        let has_room = self.sender.waiting() < cx.config.max_outbound;
        if let Some(observation) = outbound.observation.as_ref().filter(|_| has_room) {
            // The token of the registration names what is to end. (RFC 7641, 3.6)
            let control = Control {
                observe: Some(DEREGISTER),
                ..Control::default()
            };
            let message = write_request(
                outbound.transfer.request(),
                observation.token,
                &control,
                Bytes::new(),
            );
            self.sender.enqueue(
                Purpose::Deregistration(number),
                message,
                &mut means(&mut self.ids, cx),
            );
        }
        cx.actions.push_back(Action::Failed {
            number,
            failure: Failure::Cancelled,
        });
    }

    pub(super) fn handle_outbound_timeout(&mut self, cx: &mut Context<'_>) {
        let due: Vec<u64> = self
            .outbound
            .iter()
            .filter(|(_, outbound)| outbound.deadline.is_some_and(|deadline| deadline <= cx.now))
            .map(|(number, _)| *number)
            .collect();
        for number in due {
            self.lose_request(number, Failure::TimedOut, cx);
        }
    }
}
