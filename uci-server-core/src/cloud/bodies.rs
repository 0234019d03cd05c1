//! Bodies that were encoded before: what was asked for once is mostly asked for again, unchanged.
//!
//! They are no part of a ledger and are forgotten whenever it is loaded. A list is put together from the bodies of its devices,
//! so that one device's change costs one device's encoding. What is too much is forgotten account by account, the oldest first.

use std::collections::BTreeMap;

use uci_model::api::BatchFormat;
use uci_model::{Content, ContentFormat, DeviceId};

use crate::account::{Change, Fact};
use crate::ids::AccountId;

/// What a body shows.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Shown {
    /// One device, or with `None` the list of all.
    pub(super) device: Option<DeviceId>,
    /// Representations, not links.
    pub(super) all: bool,
    pub(super) format: ContentFormat,
}

impl Shown {
    pub(super) fn new(device: Option<DeviceId>, batch: BatchFormat, format: ContentFormat) -> Self {
        Self {
            device,
            all: batch == BatchFormat::All,
            format,
        }
    }
}

/// The bodies of all accounts.
#[derive(Debug)]
pub(super) struct Bodies {
    limit: usize,
    bytes: usize,
    accounts: BTreeMap<AccountId, OfAccount>,
    /// Accounts by the number under which they came.
    ages: BTreeMap<u64, AccountId>,
    next_age: u64,
}

#[derive(Debug)]
struct OfAccount {
    age: u64,
    bytes: usize,
    encoded: BTreeMap<Shown, Content>,
}

impl Bodies {
    /// Nothing, and room for so many bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes: 0,
            accounts: BTreeMap::new(),
            ages: BTreeMap::new(),
            next_age: 0,
        }
    }

    pub(super) fn get(&self, account: &AccountId, shown: Shown) -> Option<&Content> {
        self.accounts.get(account)?.encoded.get(&shown)
    }

    /// Keeps a body, if it is not too long for that.
    pub(super) fn keep(&mut self, account: &AccountId, shown: Shown, content: &Content) {
        let length = content.body().len();
        if length > self.limit {
            return;
        }
        let of_account = self.accounts.entry(account.clone()).or_insert_with(|| {
            let age = self.next_age;
            self.next_age = age.wrapping_add(1);
            self.ages.insert(age, account.clone());
            OfAccount {
                age,
                bytes: 0,
                encoded: BTreeMap::new(),
            }
        });
        let former = of_account.encoded.insert(shown, content.clone());
        let former = former.map_or(0, |content| content.body().len());
        of_account.bytes = of_account
            .bytes
            .saturating_add(length)
            .saturating_sub(former);
        self.bytes = self.bytes.saturating_add(length).saturating_sub(former);
        while self.bytes > self.limit
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.forget_account(&oldest);
        }
    }

    /// Forgets what a change makes untrue.
    pub(super) fn forget(&mut self, account: &AccountId, change: &Change) {
        let (device, links_too) = match &change.fact {
            Fact::DeviceRegistered { device, .. }
            | Fact::DeviceUnregistered { device }
            | Fact::DeviceOnline { device }
            | Fact::DeviceOffline { device }
            | Fact::DeviceDescribed { device, .. }
            | Fact::LinksPublished { device, .. }
            | Fact::LinksWithdrawn { device, .. } => (*device, true),
            Fact::RepresentationChanged { device, .. } => (*device, false),
            Fact::Subscribed { .. }
            | Fact::Delivered { .. }
            | Fact::SubscriptionEnded { .. }
            | Fact::SubscriptionRemoved { .. }
            | Fact::GrantEnded { .. } => return,
            Fact::Erased => return self.forget_account(account),
        };
        let Some(of_account) = self.accounts.get_mut(account) else {
            return;
        };
        let views: &[bool] = if links_too { &[false, true] } else { &[true] };
        for device in [Some(device), None] {
            for all in views.iter().copied() {
                for format in [ContentFormat::Json, ContentFormat::OcfCbor] {
                    let shown = Shown {
                        device,
                        all,
                        format,
                    };
                    if let Some(former) = of_account.encoded.remove(&shown) {
                        let length = former.body().len();
                        of_account.bytes = of_account.bytes.saturating_sub(length);
                        self.bytes = self.bytes.saturating_sub(length);
                    }
                }
            }
        }
    }

    /// Forgets all of an account.
    pub(super) fn forget_account(&mut self, account: &AccountId) {
        if let Some(of_account) = self.accounts.remove(account) {
            self.ages.remove(&of_account.age);
            self.bytes = self.bytes.saturating_sub(of_account.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::time::UnixMillis;

    const LIST: Shown = Shown {
        device: None,
        all: false,
        format: ContentFormat::Json,
    };

    fn account(name: &str) -> AccountId {
        name.parse().unwrap()
    }

    fn body(length: usize) -> Content {
        Content::new(ContentFormat::Json, Bytes::from(vec![b'1'; length]))
    }

    fn of_device(device: DeviceId, all: bool) -> Shown {
        Shown {
            device: Some(device),
            all,
            ..LIST
        }
    }

    #[test]
    fn the_oldest_account_makes_room() {
        let mut bodies = Bodies::new(10);
        for name in ["a", "b", "c"] {
            bodies.keep(&account(name), LIST, &body(4));
        }
        assert!(bodies.get(&account("a"), LIST).is_none());
        assert!(bodies.get(&account("b"), LIST).is_some());
        assert_eq!(bodies.bytes, 8);
        bodies.keep(&account("d"), LIST, &body(11));
        assert!(bodies.get(&account("d"), LIST).is_none());
        bodies.forget_account(&account("b"));
        bodies.keep(&account("c"), LIST, &body(6));
        assert_eq!((bodies.bytes, bodies.ages.len()), (6, 1));
    }

    #[test]
    fn a_change_is_seen_where_it_shows_and_nowhere_else() {
        let (alice, mut bodies) = (account("alice"), Bodies::new(100));
        let [one, other] = [1, 2].map(|number| DeviceId::from_bytes([number; 16]));
        let keep_all = |bodies: &mut Bodies| {
            for shown in [
                of_device(one, true),
                of_device(one, false),
                of_device(other, false),
                LIST,
            ] {
                bodies.keep(&alice, shown, &body(1));
            }
        };
        let at = UnixMillis(0);
        keep_all(&mut bodies);
        let content = body(2);
        let href = "/light".parse().unwrap();
        let fact = Fact::RepresentationChanged {
            device: one,
            href,
            content,
        };
        bodies.forget(&alice, &Change { at, fact });
        assert!(bodies.get(&alice, of_device(one, true)).is_none());
        assert!(bodies.get(&alice, of_device(one, false)).is_some());
        assert!(bodies.get(&alice, LIST).is_some());
        let fact = Fact::DeviceOnline { device: one };
        bodies.forget(&alice, &Change { at, fact });
        assert!(bodies.get(&alice, of_device(one, false)).is_none());
        assert!(bodies.get(&alice, LIST).is_none());
        assert!(bodies.get(&alice, of_device(other, false)).is_some());
        assert_eq!(bodies.bytes, 1);
    }
}
