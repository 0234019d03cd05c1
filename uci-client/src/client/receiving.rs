//! The receiver of notifications: judged at once, answered when what they change is durable.

use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use uci_model::EventType;

use super::{Client, Timer};
use crate::ledger::{Command, Outcome, SubscribeId};
use crate::notifications::{Notification, Received, Refusal};
use crate::output::{EndReason, Event, Output, RequestId, RetryReason};
use crate::subscriptions::Stage;

impl Client {
    /// Takes a request to the events URL; exactly one [`Output::Respond`] with the id follows.
    ///
    /// `wall` is compared with the timestamp of the notification. A notification that was taken is answered 200 only when
    /// the journal has it.
    pub fn handle_request(
        &mut self,
        request: &Request<Bytes>,
        wall: SystemTime,
        now: Instant,
    ) -> RequestId {
        let now = self.advance(now);
        self.last_request = self.last_request.wrapping_add(1);
        let id = RequestId(self.last_request);
        match self.judge(request, wall) {
            Ok((command, notification)) => {
                self.requests.insert(id);
                self.timers
                    .set(Timer::Request(id), now, self.config.answer_timeout);
                self.submit(command, Some((id, Box::new(notification))));
            }
            Err(refusal) => self.refuse(id, refusal),
        }
        self.settle(now);
        id
    }

    fn judge(
        &self,
        request: &Request<Bytes>,
        wall: SystemTime,
    ) -> Result<(Command, Notification), Refusal> {
        let limits = &self.config.limits;
        let received = Received::read(request, limits)?;
        if self.store.ready().is_err() || self.requests.len() >= self.config.max_requests {
            return Err(Refusal::Unavailable);
        }
        let headers = &received.headers;
        let addressee = self
            .store
            .ledger
            .addressee(&headers.subscription_id, headers.correlation_id.as_ref());
        let (id, wanted, attempt) = addressee.ok_or_else(|| self.unknown())?;
        let key = self
            .activities
            .get(&id)
            .and_then(|activity| activity.key_of(&attempt.correlation));
        // Nothing is believed of a notification, its Correlation-ID above all, before its signature is verified.
        received.verify(key.ok_or_else(|| self.unknown())?)?;
        received.check_time(wall, self.config.timestamp_window)?;
        let cancelled = headers.event_type == EventType::SubscriptionCancelled;
        if !cancelled && !wanted.event_types.contains(&headers.event_type) {
            return Err(Refusal::EventType);
        }
        let command = Command::Notify {
            id,
            correlation: attempt.correlation.clone(),
            subscription: headers.subscription_id,
            sequence: headers.sequence_number,
            event_type: headers.event_type.clone(),
        };
        let (subscription, sequence, timestamp) = (
            headers.subscription_id,
            headers.sequence_number,
            headers.timestamp,
        );
        let (event, content) = received.decode(limits)?;
        let notification = Notification {
            id,
            subscription,
            sequence,
            timestamp,
            event,
            content,
            gap: false,
        };
        Ok((command, notification))
    }

    /// How a notification is refused that is about no subscription.
    fn unknown(&self) -> Refusal {
        // 410 is for good. Of what is not durable yet nothing may be left after a crash: then the subscription would count on
        // a peer that has forgotten it.
        if self.store.is_durable() {
            Refusal::UnknownSubscription
        } else {
            Refusal::Unavailable
        }
    }

    /// Answers a notification and lets it take effect, now that it is durable.
    pub(super) fn received(
        &mut self,
        request: RequestId,
        mut notification: Notification,
        outcome: Outcome,
        now: Instant,
    ) {
        let gap = match outcome {
            Outcome::Fresh { gap } => gap,
            // A repeated notification was taken: the peer only missed the answer.
            Outcome::Repeated | Outcome::Done => return self.respond(request, StatusCode::OK),
            Outcome::Stale => return self.refuse_waiting(request, Refusal::UnknownSubscription),
        };
        // Exactly 200: the reference peer takes any other 2xx for a failure.
        self.respond(request, StatusCode::OK);
        notification.gap = gap;
        let id = notification.id;
        let cancelled = notification.event == uci_model::Event::SubscriptionCancelled;
        let beyond_initial = self.store.ledger.get(id).is_some_and(|wanted| {
            usize::try_from(notification.sequence)
                .map_or(true, |sequence| sequence >= wanted.asked().len())
        });
        let stage = self.activities.get_mut(&id).map(|activity| {
            if beyond_initial && !cancelled {
                activity.failures = 0;
            }
            (activity.stage, activity.abandoned)
        });
        match stage {
            _ if cancelled => {}
            Some((Stage::Confirming, _)) => self.confirmed(id, now),
            Some((Stage::Settling | Stage::Live, _)) => {
                self.told(id, &notification.event.event_type(), now);
            }
            // Only the answer was lost: the peer has made the subscription.
            Some((Stage::Waiting | Stage::Polled, false)) => self.accepted(id, None, now),
            _ => {}
        }
        self.reflect(&notification);
        self.outputs
            .push_back(Output::Event(Event::Notified(Box::new(notification))));
        if cancelled {
            self.cancelled(id, now);
        }
    }

    fn cancelled(&mut self, id: SubscribeId, now: Instant) {
        let Some(wanted) = self.store.ledger.get(id) else {
            return;
        };
        let stage = self.activities.get(&id).map(|activity| activity.stage);
        match stage {
            _ if wanted.released => self.close(id, EndReason::Unsubscribed),
            Some(Stage::Requesting | Stage::Confirming | Stage::Settling | Stage::Live) => {
                self.retry(id, RetryReason::Cancelled, now);
            }
            // Another try is already due.
            _ => {}
        }
    }

    /// Answers a request that has waited too long, or whose subscription is no longer kept.
    pub(super) fn refuse_waiting(&mut self, request: RequestId, refusal: Refusal) {
        if self.requests.remove(&request) {
            self.timers.cancel(Timer::Request(request));
            self.refuse(request, refusal);
        }
    }

    fn respond(&mut self, request: RequestId, status: StatusCode) {
        if self.requests.remove(&request) {
            self.timers.cancel(Timer::Request(request));
            self.outputs.push_back(Output::Respond {
                request,
                response: empty(status),
            });
        }
    }

    fn refuse(&mut self, request: RequestId, refusal: Refusal) {
        let mut response = empty(refusal.status());
        match refusal {
            Refusal::Method => {
                response
                    .headers_mut()
                    .insert(header::ALLOW, HeaderValue::from_static("POST"));
            }
            Refusal::Unavailable => {
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        self.outputs
            .push_back(Output::Respond { request, response });
        self.outputs
            .push_back(Output::Event(Event::Refused { request, refusal }));
    }
}

fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}
