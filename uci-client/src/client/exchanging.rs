//! Requests to the peer: one at a time out of the queue, with a token, a deadline and one retry after 401.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use uci_model::api::AccessToken;

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

/// The delay that the peer asks for (RFC 9110, 10.2.3).
///
/// A date is compared with the `Date` of the same answer: the peer means its own clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    let asked = text(header::RETRY_AFTER)?;
    if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(asked.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let until = httpdate::parse_http_date(asked).ok()?;
    let sent = httpdate::parse_http_date(text(header::DATE)?).ok()?;
    // A date that has passed asks for no delay.
    Some(until.duration_since(sent).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::{HeaderMap, HeaderValue, header};

    use super::retry_after;

    fn asked(retry_after_value: &str, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        let value = |text: &str| HeaderValue::from_str(text).unwrap();
        headers.insert(header::RETRY_AFTER, value(retry_after_value));
        headers.extend(date.map(|date| (header::DATE, value(date))));
        retry_after(&headers).as_ref().map(Duration::as_secs)
    }

    #[test]
    fn retry_after_is_read_in_every_form() {
        let date = Some("Sun, 22 Nov 2026 04:15:00 GMT");
        for (text, date, expected) in [
            ("120", None, Some(120)),
            ("0", date, Some(0)),
            ("99999999999999999999999", None, Some(u64::MAX)),
            ("Sun, 22 Nov 2026 04:17:00 GMT", date, Some(120)),
            ("Sunday, 22-Nov-26 04:17:00 GMT", date, Some(120)),
            ("Sun Nov 22 04:17:00 2026", date, Some(120)),
            ("Sun, 22 Nov 2026 04:14:00 GMT", date, Some(0)),
            ("Sun, 22 Nov 2026 04:17:00 GMT", None, None),
            ("Sun, 22 Nov 2026 04:17:00 GMT", Some("now"), None),
            ("-1", date, None),
            ("+5", date, None),
            ("1.5", date, None),
            ("", date, None),
            ("soon", date, None),
        ] {
            assert_eq!(asked(text, date), expected, "{text:?} at {date:?}");
        }
    }
}
