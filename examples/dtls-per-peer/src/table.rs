//! Every connection, where it is, and when it needs attention.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use coap_psk::Instant;

use crate::peer::{Peer, Phase};

/// The connections at one address: at most one of each. One that gets further takes the place of the one before it, and
/// not earlier: whoever can only send in the peer's name, and not receive, harms nothing that is verified.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AtAddress {
    /// It works.
    pub(crate) established: Option<u64>,
    /// A handshake with an address that returned its cookie, or one that we began.
    pub(crate) pending: Option<u64>,
    /// A handshake of which nothing is verified.
    pub(crate) hello: Option<u64>,
}

/// A connection keeps its number from its first message to its end. What gives way to another one is for the caller to
/// remove.
#[derive(Debug)]
pub(crate) struct Table<C> {
    next: u64,
    peers: BTreeMap<u64, Peer<C>>,
    addresses: BTreeMap<SocketAddr, AtAddress>,
    deadlines: BTreeSet<(Instant, u64)>,
    /// What `deadlines` has of each connection.
    deadline_of: BTreeMap<u64, Instant>,
    /// Handshakes under way, oldest first.
    handshakes: BTreeSet<u64>,
    /// Those among them whose address is not verified.
    hellos: BTreeSet<u64>,
}

impl<C> Table<C> {
    pub(crate) const fn new() -> Self {
        Self {
            next: 0,
            peers: BTreeMap::new(),
            addresses: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            deadline_of: BTreeMap::new(),
            handshakes: BTreeSet::new(),
            hellos: BTreeSet::new(),
        }
    }

    /// The number that the next one gets.
    pub(crate) const fn begin_at(&mut self, next: u64) {
        self.next = next;
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Peer<C>> {
        self.peers.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Peer<C>> {
        self.peers.get_mut(&id)
    }

    pub(crate) fn at(&self, address: SocketAddr) -> AtAddress {
        self.addresses.get(&address).copied().unwrap_or_default()
    }

    pub(crate) fn established(&self) -> usize {
        self.peers.len().saturating_sub(self.handshakes.len())
    }

    pub(crate) fn handshakes(&self) -> usize {
        self.handshakes.len()
    }

    /// The handshake that gives way first: the oldest one, of an unverified address if there is one.
    pub(crate) fn oldest_handshake(&self) -> Option<u64> {
        self.hellos.iter().chain(&self.handshakes).next().copied()
    }

    /// Adds a handshake: its number, and that of the one whose place it takes.
    pub(crate) fn insert(&mut self, peer: Peer<C>) -> (u64, Option<u64>) {
        let id = self.next;
        self.next = self.next.saturating_add(1);
        let at = self.addresses.entry(peer.at).or_default();
        let replaced = if peer.is_hello() {
            self.hellos.insert(id);
            at.hello.replace(id)
        } else {
            at.pending.replace(id)
        };
        self.handshakes.insert(id);
        self.peers.insert(id, peer);
        (id, replaced)
    }

    /// Notes that the peer of a handshake returned its cookie; the handshake that gives way to it.
    pub(crate) fn verify(&mut self, id: u64) -> Option<u64> {
        let peer = self.peers.get_mut(&id)?;
        peer.phase = Phase::Negotiating;
        self.hellos.remove(&id);
        let at = self.addresses.entry(peer.at).or_default();
        at.hello = at.hello.filter(|known| *known != id);
        at.pending.replace(id)
    }

    /// Makes a handshake a session; the session that gives way to it.
    pub(crate) fn establish(&mut self, id: u64) -> Option<u64> {
        let peer = self.peers.get_mut(&id)?;
        peer.phase = Phase::Established;
        self.handshakes.remove(&id);
        let at = self.addresses.entry(peer.at).or_default();
        at.pending = at.pending.filter(|known| *known != id);
        at.established.replace(id)
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<Peer<C>> {
        let peer = self.peers.remove(&id)?;
        self.hellos.remove(&id);
        self.handshakes.remove(&id);
        self.schedule(id, None);
        if let Some(at) = self.addresses.get_mut(&peer.at) {
            at.established = at.established.filter(|known| *known != id);
            at.pending = at.pending.filter(|known| *known != id);
            at.hello = at.hello.filter(|known| *known != id);
            if let (None, None, None) = (at.established, at.pending, at.hello) {
                self.addresses.remove(&peer.at);
            }
        }
        Some(peer)
    }

    /// Sets when a connection needs attention.
    pub(crate) fn schedule(&mut self, id: u64, at: Option<Instant>) {
        if let Some(old) = self.deadline_of.remove(&id) {
            self.deadlines.remove(&(old, id));
        }
        if let Some(at) = at {
            self.deadline_of.insert(id, at);
            self.deadlines.insert((at, id));
        }
    }

    pub(crate) fn deadline_of(&self, id: u64) -> Option<Instant> {
        self.deadline_of.get(&id).copied()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// A connection whose deadline has come; it must be scheduled again or removed.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<u64> {
        let due = self.deadlines.first().filter(|(at, _)| *at <= now);
        let id = due.map(|(_, id)| *id)?;
        self.schedule(id, None);
        Some(id)
    }
}
