//! Connections by where their peer is.

use alloc::collections::BTreeMap;
use core::cmp::Ordering;
use core::net::SocketAddr;

/// The numbers of connections of one kind. There is a place here for each of a hundred thousand peers: it is short.
#[derive(Default)]
pub(super) struct ByAddress(BTreeMap<Place, u64>);

/// An IPv6 address, or an IPv4 address as one, the port and the scope; the flow says nothing of where a peer is.
///
/// Shorter than the standard library's address by a third. In front is what differs most: the end of the address and the port.
#[derive(Clone, Copy, Eq, PartialEq)]
struct Place {
    front: [u8; 8],
    rest: [u16; 7],
}

impl Place {
    /// As a number, which is compared more quickly than bytes.
    const fn front(&self) -> u64 {
        u64::from_be_bytes(self.front)
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        let fronts = self.front().cmp(&other.front());
        fronts.then_with(|| self.rest.cmp(&other.rest))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<SocketAddr> for Place {
    fn from(address: SocketAddr) -> Self {
        let (ip, scope) = match address {
            SocketAddr::V4(address) => (address.ip().to_ipv6_mapped(), 0),
            SocketAddr::V6(address) => (*address.ip(), address.scope_id()),
        };
        let [a, b, c, d, e, f, g, h] = ip.segments();
        let front = [f, g, h, address.port()];
        let [i, j, k, l] = scope.to_be_bytes();
        Self {
            front: bytes(front),
            rest: [
                a,
                b,
                c,
                d,
                e,
                u16::from_be_bytes([i, j]),
                u16::from_be_bytes([k, l]),
            ],
        }
    }
}

fn bytes(numbers: [u16; 4]) -> [u8; 8] {
    let [[a, b], [c, d], [e, f], [g, h]] = numbers.map(u16::to_be_bytes);
    [a, b, c, d, e, f, g, h]
}

/// Whether two addresses are the same as far as connections are found by them.
pub(super) fn are_one_place(one: SocketAddr, other: SocketAddr) -> bool {
    Place::from(one) == Place::from(other)
}

impl ByAddress {
    /// What each of these kinds has at a place.
    pub(super) fn all<const N: usize>(kinds: [&Self; N], peer: &SocketAddr) -> [Option<u64>; N] {
        let place = Place::from(*peer);
        kinds.map(|kind| kind.0.get(&place).copied())
    }

    pub(super) fn get(&self, peer: &SocketAddr) -> Option<&u64> {
        self.0.get(&Place::from(*peer))
    }

    pub(super) fn insert(&mut self, peer: SocketAddr, id: u64) {
        self.0.insert(peer.into(), id);
    }

    /// Gives a place to a connection unless another has it.
    pub(super) fn insert_if_free(&mut self, peer: SocketAddr, id: u64) {
        self.0.entry(peer.into()).or_insert(id);
    }

    pub(super) fn remove(&mut self, peer: &SocketAddr) {
        self.0.remove(&Place::from(*peer));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use core::net::SocketAddrV6;

    use super::*;

    #[test]
    fn peers_are_told_apart_by_address_port_and_scope() {
        let v6 = |text: &str, port, flow, scope| -> SocketAddr {
            SocketAddrV6::new(text.parse().unwrap(), port, flow, scope).into()
        };
        let peers = [
            "192.0.2.1:5684".parse().unwrap(),
            "192.0.2.1:5683".parse().unwrap(),
            "192.0.2.2:5684".parse().unwrap(),
            v6("fe80::1", 5684, 0, 1),
            v6("fe80::1", 5684, 0, 2),
            v6("2001:db8::1", 5684, 0, 0),
            v6("::", 0, 0, 0),
        ];
        let mut connections = ByAddress::default();
        for (id, peer) in (0..).zip(peers) {
            connections.insert(peer, id);
            connections.insert_if_free(peer, 99);
        }
        assert_eq!(connections.len(), peers.len());
        for (id, peer) in (0..).zip(peers) {
            assert_eq!(connections.get(&peer), Some(&id), "{peer}");
        }
        let other_flow = v6("2001:db8::1", 5684, 7, 0);
        assert_eq!(connections.get(&other_flow), Some(&5));
        connections.remove(&other_flow);
        assert_eq!(connections.len(), peers.len() - 1);
    }
}
