//! Who is online: silence longer than a device's lifetime takes it offline.
//!
//! ```text
//!            insert                 silent for its lifetime
//!  (unknown) ──────▶ online ─────────────────────────────▶ offline
//!                      ▲                                      │
//!                      └──────────────── seen ────────────────┘        insert and remove: without a change
//! ```

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::identity::Lifetime;
use crate::time::Instant;

/// Machine: watches the lifetimes of many devices, each under a key of the caller's choice.
///
/// The cost of [`seen`](Self::seen) does not grow with the number of devices beyond a search in a tree: a device's place
/// in the order of deadlines is corrected only when that deadline comes.
#[derive(Clone, Debug)]
pub struct Presence<K> {
    entries: BTreeMap<K, Entry>,
    deadlines: BTreeSet<(Instant, K)>,
    changes: VecDeque<Change<K>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    lifetime: Lifetime,
    last_seen: Instant,
    /// The entry's place in `deadlines`, at or before the moment it really expires; `None` while offline.
    deadline: Option<Instant>,
}

impl Entry {
    fn expires(&self) -> Instant {
        self.last_seen.saturating_add(self.lifetime.as_duration())
    }
}

/// A change of a device's presence.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Change<K> {
    /// It was heard again.
    Online(K),
    /// It was silent for its lifetime.
    Offline(K),
}

impl<K: Copy + Ord> Presence<K> {
    /// Nobody is known yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            changes: VecDeque::new(),
        }
    }

    /// Begins to watch a device, which is online as of `now`, without a change; one that was watched starts anew.
    pub fn insert(&mut self, key: K, lifetime: Lifetime, now: Instant) {
        self.remove(key);
        let mut entry = Entry {
            lifetime,
            last_seen: now,
            deadline: None,
        };
        entry.deadline = Some(entry.expires());
        self.deadlines.insert((entry.expires(), key));
        self.entries.insert(key, entry);
    }

    /// Stops watching a device, without a change; tells whether it was online.
    pub fn remove(&mut self, key: K) -> bool {
        let deadline = self.entries.remove(&key).and_then(|entry| entry.deadline);
        if let Some(deadline) = deadline {
            self.deadlines.remove(&(deadline, key));
        }
        deadline.is_some()
    }

    /// Notes that an authenticated message of the device arrived.
    pub fn seen(&mut self, key: K, now: Instant) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        entry.last_seen = entry.last_seen.max(now);
        if entry.deadline.is_none() {
            let deadline = entry.expires();
            entry.deadline = Some(deadline);
            self.deadlines.insert((deadline, key));
            self.changes.push_back(Change::Online(key));
        }
    }

    /// Whether the device is watched and online.
    #[must_use]
    pub fn is_online(&self, key: K) -> bool {
        self.entries
            .get(&key)
            .is_some_and(|entry| entry.deadline.is_some())
    }

    /// Takes those offline whose lifetime is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((deadline, key)) = self
            .deadlines
            .first()
            .copied()
            .filter(|(deadline, _)| *deadline <= now)
        {
            self.deadlines.remove(&(deadline, key));
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            let expires = entry.expires();
            if expires > now {
                entry.deadline = Some(expires);
                self.deadlines.insert((expires, key));
            } else {
                entry.deadline = None;
                self.changes.push_back(Change::Offline(key));
            }
        }
    }

    /// The next change.
    pub fn poll_output(&mut self) -> Option<Change<K>> {
        self.changes.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }
}

impl<K: Copy + Ord> Default for Presence<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn at(secs: u64) -> Instant {
        Instant::ZERO.saturating_add(core::time::Duration::from_secs(secs))
    }

    fn changes(presence: &mut Presence<u32>) -> Vec<Change<u32>> {
        core::iter::from_fn(|| presence.poll_output()).collect()
    }

    #[test]
    fn silence_for_a_lifetime_is_offline_and_a_message_is_online_again() {
        let mut presence = Presence::new();
        presence.insert(1, Lifetime::MIN, at(0));
        presence.seen(1, at(20));
        presence.handle_timeout(at(30));
        assert_eq!(changes(&mut presence), []);
        assert_eq!(presence.next_deadline(), Some(at(50)));
        presence.handle_timeout(at(49));
        assert!(presence.is_online(1));
        presence.handle_timeout(at(50));
        assert!(!presence.is_online(1));
        assert_eq!(changes(&mut presence), [Change::Offline(1)]);
        assert_eq!(presence.next_deadline(), None);
        presence.seen(1, at(300));
        assert_eq!(changes(&mut presence), [Change::Online(1)]);
        assert_eq!(presence.next_deadline(), Some(at(330)));
    }

    #[test]
    fn a_removed_device_reports_nothing_more() {
        let mut presence = Presence::new();
        presence.insert(1, Lifetime::MIN, at(0));
        presence.insert(2, Lifetime::MAX, at(0));
        assert!(presence.remove(1));
        assert!(!presence.remove(1));
        presence.seen(1, at(1));
        presence.handle_timeout(at(86_400));
        assert_eq!(changes(&mut presence), [Change::Offline(2)]);
        assert!(!presence.remove(2));
    }
}
