//! Which handshakes that others began are under way, and which gives way when there are too many.
//!
//! Places are scarce and slow peers need theirs for many seconds, so whoever fills them all must take them from itself: the
//! network that has the most gives one up. An address is no network, because an attacker has as many as it likes.

use alloc::collections::{BTreeMap, BTreeSet};
use core::cmp::Reverse;
use core::net::{IpAddr, SocketAddr};

use crate::limit::Prefixes;

#[derive(Default)]
pub(super) struct Arrivals {
    by_network: BTreeMap<IpAddr, BTreeSet<u64>>,
    /// The network that gives way comes last: it has the most, or of those that have as many the oldest.
    ranks: BTreeSet<Rank>,
    count: usize,
}

/// How many a network has, and the oldest of them.
type Rank = (usize, Reverse<u64>, IpAddr);

impl Arrivals {
    pub(super) fn insert(&mut self, peer: SocketAddr, id: u64) {
        self.change(peer, |ids| ids.insert(id));
    }

    pub(super) fn remove(&mut self, peer: SocketAddr, id: u64) {
        self.change(peer, |ids| ids.remove(&id));
    }

    /// The one that gives way, when there are `limit` of them.
    pub(super) fn giving_way(&self, limit: usize) -> Option<u64> {
        let (_, Reverse(oldest), _) = self.ranks.last().filter(|_| self.count >= limit)?;
        Some(*oldest)
    }

    fn change(&mut self, peer: SocketAddr, change: impl FnOnce(&mut BTreeSet<u64>) -> bool) {
        let network = Prefixes::default().network_of(peer.ip());
        let ids = self.by_network.entry(network).or_default();
        if let Some(rank) = rank(network, ids) {
            self.ranks.remove(&rank);
        }
        let before = ids.len();
        change(ids);
        self.count = self.count.saturating_sub(before).saturating_add(ids.len());
        match rank(network, ids) {
            Some(rank) => {
                self.ranks.insert(rank);
            }
            None => {
                self.by_network.remove(&network);
            }
        }
    }
}

fn rank(network: IpAddr, ids: &BTreeSet<u64>) -> Option<Rank> {
    Some((ids.len(), Reverse(*ids.first()?), network))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn at(network: u8, port: u16) -> SocketAddr {
        ([10, 0, 0, network], port).into()
    }

    #[test]
    fn the_network_with_the_most_gives_its_oldest_and_among_equals_the_oldest_of_all() {
        let mut arrivals = Arrivals::default();
        for (network, id) in [(7, 1), (9, 2), (8, 3), (8, 4)] {
            arrivals.insert(at(network, 1), id);
        }
        assert_eq!(arrivals.giving_way(5), None);
        assert_eq!(arrivals.giving_way(4), Some(3));
        arrivals.remove(at(8, 1), 3);
        assert_eq!(arrivals.giving_way(3), Some(1));
        arrivals.remove(at(7, 1), 1);
        assert_eq!(arrivals.giving_way(2), Some(2));
        // One that is not there changes nothing.
        arrivals.remove(at(7, 1), 1);
        arrivals.remove(at(8, 1), 1);
        assert_eq!(arrivals.giving_way(2), Some(2));
        for (network, id) in [(9, 2), (8, 4)] {
            arrivals.remove(at(network, 2), id);
        }
        assert!(arrivals.by_network.is_empty() && arrivals.ranks.is_empty());
        assert_eq!(arrivals.giving_way(0), None);
    }

    #[test]
    fn addresses_of_one_site_are_one_network() {
        let mut arrivals = Arrivals::default();
        arrivals.insert("[2001:db8:9::1]:1".parse().unwrap(), 1);
        for id in 2..5 {
            let site = format!("[2001:db8:0:{id}::1]:1");
            arrivals.insert(site.parse().unwrap(), id);
        }
        assert_eq!(arrivals.giving_way(4), Some(2));
    }
}
