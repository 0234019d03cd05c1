//! Requests to the peer: one at a time out of the queue, with a token, a deadline and one retry after 401.

use std::time::Instant;

use bytes::Bytes;
use http::StatusCode;
use uci_model::api::{AccessToken, retry_after};

use super::{Client, Timer};
use crate::exchange::{Exchange, Purpose};
use crate::output::{ExchangeId, Failure, FailureKind, Output, TransportFailure};

/// How the peer answered, or why it did not.
pub(super) type Answer<'a> = Result<&'a http::Response<Bytes>, Failure>;

impl Client {
    /// Takes the answer to [`Output::Send`]. An answer to an exchange that is not open is ignored.
    pub fn handle_response(
        &mut self,
        exchange: ExchangeId,
        response: &http::Response<Bytes>,
        now: Instant,
    ) {
        let now = self.advance(now);
        let Some(open) = self.exchanges.answered(exchange) else {
            return;
        };
        self.timers.cancel(Timer::Exchange(exchange));
        if response.status() == StatusCode::UNAUTHORIZED {
            self.credentials.refuse(open.sent_with.unwrap_or_default());
            if !open.retried {
                self.exchanges.retry(open);
                return self.settle(now);
            }
        }
        let answer = if response.status().is_success() {
            Ok(response)
        } else {
            let kind = FailureKind::Status(response.status().as_u16());
            Err(Failure {
                kind,
                retry_after: retry_after(response.headers()),
            })
        };
        self.finish(open, answer, now);
        self.settle(now);
    }

    /// Takes the news that [`Output::Send`] could not be carried out.
    pub fn handle_failure(
        &mut self,
        exchange: ExchangeId,
        failure: TransportFailure,
        now: Instant,
    ) {
        let now = self.advance(now);
        self.fail_exchange(exchange, FailureKind::Transport(failure), now);
        self.settle(now);
    }

    /// Takes the answer to [`Output::NeedToken`], or a token that the caller renewed by itself.
    pub fn handle_token(&mut self, token: AccessToken, expires: Option<Instant>, now: Instant) {
        let now = self.advance(now);
        self.timers.cancel(Timer::Token);
        self.credentials
            .replace(token, expires, self.config.token_leeway, now);
        if self.credentials.current(now).is_none() {
            self.fail_waiting(now);
        }
        self.settle(now);
    }

    /// Takes the news that there is no token; everything that waits for one fails.
    pub fn handle_token_failed(&mut self, now: Instant) {
        let now = self.advance(now);
        self.timers.cancel(Timer::Token);
        self.fail_waiting(now);
        self.settle(now);
    }

    /// Ends an exchange that was sent, for want of an answer.
    pub(super) fn fail_exchange(&mut self, exchange: ExchangeId, kind: FailureKind, now: Instant) {
        let Some(open) = self.exchanges.answered(exchange) else {
            return;
        };
        self.timers.cancel(Timer::Exchange(exchange));
        self.finish(open, Err(kind.into()), now);
    }

    /// Ends every exchange that waits for a token.
    pub(super) fn fail_waiting(&mut self, now: Instant) {
        self.credentials.give_up();
        for exchange in self.exchanges.give_up_waiting() {
            self.finish(exchange, Err(FailureKind::NoToken.into()), now);
        }
    }

    /// Sends what can be sent.
    pub(super) fn pump(&mut self, now: Instant) {
        while let Some((id, order)) = self.exchanges.ready(self.config.max_in_flight) {
            let Some((token, generation)) = self.credentials.current(now) else {
                if let Some(refused) = self.credentials.ask() {
                    self.timers
                        .set(Timer::Token, now, self.config.token_timeout);
                    self.outputs.push_back(Output::NeedToken { refused });
                }
                return;
            };
            match order.to_http(&self.config, token) {
                Ok(request) => {
                    self.exchanges.first_sent(generation);
                    self.timers
                        .set(Timer::Exchange(id), now, self.config.request_timeout);
                    self.outputs.push_back(Output::Send {
                        exchange: id,
                        request,
                    });
                }
                Err(_) => {
                    if let Some(exchange) = self.exchanges.give_up_first() {
                        self.finish(exchange, Err(FailureKind::Inexpressible.into()), now);
                    }
                }
            }
        }
    }

    fn finish(&mut self, exchange: Exchange, answer: Answer<'_>, now: Instant) {
        match exchange.purpose {
            Purpose::Call(call) => self.call_ended(call, &exchange.order, answer),
            Purpose::Subscribe { id, correlation } => {
                self.subscribe_ended(id, correlation, answer, now);
            }
            Purpose::Unsubscribe { id } => self.unsubscribe_ended(id, answer, now),
            Purpose::Abandon => {}
            Purpose::Sync { scope, part, since } => {
                self.sync_ended(scope, part, since, &exchange.order, answer, now);
            }
        }
    }
}
