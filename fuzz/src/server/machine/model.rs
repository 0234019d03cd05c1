//! What subscribers may be told, as it follows from what is durable.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use http::Request;
use uci_model::SubscriptionId;
use uci_server_core::account::{Change, Fact};
use uci_server_core::{Append, DeliveryId, DeliveryRules};

/// The subscriptions that live, and all that is on its way to them.
#[derive(Default)]
pub(super) struct Model {
    live: BTreeMap<SubscriptionId, Subscription>,
    /// Attempts that are not over, and since when.
    sending: BTreeMap<DeliveryId, (SubscriptionId, Instant)>,
    lives: BTreeMap<String, usize>,
}

struct Subscription {
    account: String,
    grant: String,
    /// How often the account had been erased before.
    life: usize,
    consent_ended: bool,
    last: Option<Sent>,
}

/// What was sent last.
struct Sent {
    sequence: u64,
    event: String,
    body: Bytes,
    /// Its receiver has it, durably.
    delivered: bool,
}

const CANCELLED: &str = "subscription_cancelled";

impl Model {
    /// Notes what has just become durable.
    pub(super) fn commit(&mut self, append: &Append) {
        for part in &append.streams {
            let Some(account) = part.stream.strip_prefix("account/") else {
                continue;
            };
            for bytes in &part.changes {
                let change = Change::decode(bytes).expect("what is written can be read");
                self.apply(account, change.fact);
            }
        }
    }

    fn apply(&mut self, account: &str, fact: Fact) {
        match fact {
            Fact::Subscribed { id, made } => {
                let subscription = Subscription {
                    account: account.to_owned(),
                    grant: made.grant.to_string(),
                    life: self.life(account),
                    consent_ended: false,
                    last: None,
                };
                let before = self.live.insert(id, subscription);
                assert!(before.is_none(), "a subscription id came twice");
            }
            Fact::Delivered { id, sequence } => {
                let subscription = self.live.get_mut(&id).expect("a live subscription");
                let last = subscription.last.as_mut().expect("it was sent");
                assert_eq!(last.sequence, sequence, "another one was sent last");
                last.delivered = true;
                if last.event == CANCELLED {
                    self.live.remove(&id);
                }
            }
            Fact::SubscriptionRemoved { id } => {
                self.live.remove(&id).expect("a live subscription");
            }
            Fact::GrantEnded { grant, .. } => {
                for subscription in self.live.values_mut() {
                    if subscription.is_under(account, grant.as_str()) {
                        subscription.consent_ended = true;
                    }
                }
            }
            Fact::Erased => {
                *self.lives.entry(account.to_owned()).or_default() += 1;
                self.live.retain(|_, of| of.account != account);
            }
            _ => {}
        }
    }

    /// Something leaves: it must be what comes next for a live subscription, or what was sent last once more.
    pub(super) fn send(&mut self, delivery: DeliveryId, request: &Request<Bytes>, now: Instant) {
        let header = |name| request.headers()[name].to_str().expect("a text");
        let id: SubscriptionId = header("subscription-id").parse().expect("an id");
        let sequence: u64 = header("sequence-number").parse().expect("a number");
        let event = header("event-type");
        let cancels = event == CANCELLED;
        let open = self.sending.values().any(|(other, _)| *other == id);
        assert!(!open, "two attempts at once");
        let subscription = self.live.get_mut(&id).expect("a live subscription");
        assert!(
            cancels || !subscription.consent_ended,
            "told without consent"
        );
        match &subscription.last {
            Some(last) if last.sequence == sequence => {
                assert_eq!((&*last.event, &last.body), (event, request.body()));
            }
            // Right before the cancellation a number may be missing.
            Some(last) if cancels => assert!((1..=2).contains(&(sequence - last.sequence))),
            Some(last) => {
                assert!(last.delivered, "the one before is not delivered");
                assert_eq!(sequence, last.sequence + 1, "a gap");
            }
            None => assert!(sequence == 0 || cancels && sequence == 1, "a gap"),
        }
        let renewed = subscription.last.as_ref();
        if renewed.is_none_or(|last| last.sequence != sequence) {
            subscription.last = Some(Sent {
                sequence,
                event: event.to_owned(),
                body: request.body().clone(),
                delivered: false,
            });
        }
        self.sending.insert(delivery, (id, now));
    }

    /// An attempt is over: it was answered, or its sender has stopped.
    pub(super) fn end(&mut self, delivery: DeliveryId) {
        self.sending.remove(&delivery);
    }

    /// What has had its time is over.
    pub(super) fn pass(&mut self, now: Instant) {
        let time = DeliveryRules::default().attempt_timeout;
        self.sending.retain(|_, (_, since)| *since + time > now);
    }

    /// The process is gone, with all that it was sending.
    pub(super) fn restart(&mut self) {
        self.sending.clear();
    }

    /// How often an account was erased. Since it remembers no ends, it may begin anew under a consent that has ended.
    pub(super) fn life(&self, account: &str) -> usize {
        self.lives.get(account).copied().unwrap_or_default()
    }

    /// The end of a consent is acknowledged: nothing is being told under it that was subscribed in the same life.
    pub(super) fn check_ended(&self, account: &str, grant: &str, life: usize) {
        for (id, _) in self.sending.values() {
            let subscription = self.live.get(id);
            let told = subscription.filter(|subscription| {
                let last = subscription.last.as_ref();
                subscription.is_under(account, grant)
                    && subscription.life == life
                    && last.is_some_and(|last| last.event != CANCELLED)
            });
            assert!(told.is_none(), "something is still being told");
        }
    }

    /// Nothing is owed to anybody any more.
    pub(super) fn check_rest(&self) {
        assert!(self.sending.is_empty(), "something is still being sent");
        for subscription in self.live.values() {
            let last = subscription.last.as_ref();
            assert!(
                last.is_none_or(|last| last.delivered),
                "something was not delivered"
            );
            assert!(!subscription.consent_ended, "an end was not told");
        }
    }
}

impl Subscription {
    fn is_under(&self, account: &str, grant: &str) -> bool {
        self.account == account && self.grant == grant
    }
}
