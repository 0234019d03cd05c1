//! Who sees everything that becomes durable, and compares it with everything that leaves.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::Request;
use uci_model::{EventType, SubscriptionId};
use uci_server_core::account::{Account, Change, Fact, Target};
use uci_server_core::{AccountId, GrantId};

use super::ACCOUNTS;
use super::device::Device;
use super::journal::Append;

#[derive(Default)]
pub struct Witness {
    /// The accounts as the journal has them.
    pub accounts: BTreeMap<AccountId, Account>,
    /// Whose every subscription is that was ever made.
    subscriptions: BTreeMap<SubscriptionId, (AccountId, GrantId)>,
    /// The sealed secret of each.
    secrets: BTreeMap<SubscriptionId, Bytes>,
    /// What was once at the head of a queue: it may have been sent, and must stay what it is.
    frozen: BTreeMap<(SubscriptionId, u64), (EventType, Bytes)>,
    /// What a receiver took: it answered 200.
    taken: BTreeSet<(SubscriptionId, u64)>,
    ended_grants: BTreeSet<GrantId>,
}

impl Witness {
    /// Notes what has just become durable.
    pub fn commit(&mut self, append: &Append) {
        for part in &append.parts {
            let Some(account) = part.stream.strip_prefix("account/") else {
                continue;
            };
            let id: AccountId = account.parse().unwrap();
            for bytes in &part.changes {
                self.apply(&id, &Change::decode(bytes).unwrap());
            }
        }
    }

    fn apply(&mut self, id: &AccountId, change: &Change) {
        match &change.fact {
            Fact::Subscribed {
                id: subscription,
                made,
            } => {
                let of = (id.clone(), made.grant.clone());
                let before = self.subscriptions.insert(*subscription, of);
                assert!(before.is_none(), "a subscription id came twice");
                self.secrets
                    .insert(*subscription, made.sealed_secret.clone());
            }
            Fact::Delivered { id, sequence } => assert!(
                self.taken.contains(&(*id, *sequence)),
                "{id}: {sequence} counts as delivered and was not taken"
            ),
            Fact::GrantEnded { grant, .. } => {
                self.ended_grants.insert(grant.clone());
            }
            _ => {}
        }
        let account = self.accounts.entry(id.clone()).or_default();
        let touched = account.apply(change);
        for subscription in touched.queues {
            let Some(head) = account
                .subscription(subscription)
                .and_then(|found| found.head())
            else {
                continue;
            };
            let content = (head.event_type().clone(), head.body().clone());
            let place = (subscription, head.sequence());
            match self.frozen.get(&place) {
                Some(before) => assert_eq!(before, &content, "{place:?} was changed at the head"),
                None => drop(self.frozen.insert(place, content)),
            }
        }
    }

    /// A notification leaves: it must be the head of its queue, durably. Returns whose it is, under which consent, and what it
    /// says.
    pub fn check_sent(&self, request: &Request<Bytes>) -> (usize, GrantId, String) {
        let header = |name| request.headers()[name].to_str().unwrap();
        let id: SubscriptionId = header("subscription-id").parse().unwrap();
        let sequence: u64 = header("sequence-number").parse().unwrap();
        let (account, grant) = self.subscriptions.get(&id).expect("a durable subscription");
        let subscription = self.accounts[account]
            .subscription(id)
            .expect("one that is still there");
        let head = subscription.head().expect("something to deliver");
        let event = header("event-type");
        assert_eq!(
            (head.sequence(), head.event_type().as_str(), head.body()),
            (sequence, event, request.body()),
            "{id}: what is sent is not the head of the queue"
        );
        if self.ended_grants.contains(grant) {
            assert_eq!(
                event, "subscription_cancelled",
                "{id} was told after the consent had ended"
            );
        }
        let url: http::Uri = subscription.made().events_url.parse().unwrap();
        assert_eq!(&url, request.uri(), "{id}");
        let link = url
            .path()
            .rsplit('/')
            .next()
            .and_then(|last| last.parse().ok());
        let told = format!("{id} {sequence} {event}");
        (link.unwrap(), grant.clone(), told)
    }

    /// A subscription is told to its client: it must be durable.
    pub fn check_created(&self, body: &Bytes) {
        let limits = uci_model::Limits::default();
        let value = uci_model::Value::from_json(body, &limits)
            .or_else(|_| uci_model::Value::from_cbor(body, &limits))
            .unwrap();
        let id = value
            .get("subscriptionId")
            .and_then(uci_model::Value::as_str)
            .unwrap();
        assert!(
            self.subscriptions.contains_key(&id.parse().unwrap()),
            "{id} is not durable"
        );
    }

    /// A receiver has answered 200.
    pub fn note_taken(&mut self, subscription: SubscriptionId, sequence: u64) {
        self.taken.insert((subscription, sequence));
    }

    /// What must not be kept: the sealed secrets of subscriptions whose consent has ended.
    pub fn forgotten(&self) -> impl Iterator<Item = (&SubscriptionId, &Bytes)> {
        let ended = |id: &SubscriptionId| self.ended_grants.contains(&self.subscriptions[id].1);
        self.secrets.iter().filter(move |(id, _)| ended(id))
    }

    /// The subscriptions of a consent that have not ended. One to a resource that is not offered any more is left out: nothing
    /// is told there whose answer could say that nobody wants it.
    pub fn open_subscriptions(&self, grant: &GrantId) -> usize {
        let of_grant = self.subscriptions.iter().filter(|(_, (_, of))| of == grant);
        let open = of_grant.filter(|(id, (account, _))| {
            let account = &self.accounts[account];
            let found = account.subscription(**id);
            found.is_some_and(|found| match &found.made().target {
                _ if found.ended().is_some() => false,
                Target::Resource(device, href) => {
                    let device = account.device(*device);
                    device.is_some_and(|device| device.resource(href).is_some())
                }
                _ => true,
            })
        });
        open.count()
    }
}

/// Whether a body names another account than `account`, or a device that was never its own.
pub fn reads_foreign_data(body: &Bytes, account: &str, devices: &[Device]) -> bool {
    let names = |text: &str| contains(body, text.as_bytes());
    let foreign = |other: &&str| *other != account && names(&format!("owner-{other}"));
    ACCOUNTS.iter().any(foreign)
        || devices
            .iter()
            .filter(|device| !device.owners.iter().any(|(_, owner)| *owner == account))
            .any(|device| names(&device.id.to_string()))
}

pub fn contains(text: &[u8], part: &[u8]) -> bool {
    let Some(first) = part.first() else {
        return true;
    };
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        rest = &rest[at..];
        if rest.starts_with(part) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}
