//! Every connection, where it is, and when it needs attention.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use core::net::SocketAddr;

use super::client::ClientHandshake;
use super::server::ServerHandshake;
use super::session::Session;
use crate::time::Instant;

/// A connection. It keeps its number from its first message to its end.
pub(super) enum Connection {
    Accepting(Box<ServerHandshake>),
    Connecting(Box<ClientHandshake>),
    Established(Box<Session>),
}

impl Connection {
    const fn peer(&self) -> SocketAddr {
        match self {
            Self::Accepting(handshake) => handshake.peer(),
            Self::Connecting(handshake) => handshake.peer(),
            Self::Established(session) => session.peer(),
        }
    }

    /// A session lives without time.
    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Accepting(handshake) => Some(handshake.deadline()),
            Self::Connecting(handshake) => Some(handshake.deadline()),
            Self::Established(_) => None,
        }
    }
}

/// The connections of one kind, by their peer's address: one with each at most.
type ByAddress = BTreeMap<SocketAddr, u64>;

/// One that becomes a session takes the place of the session before it, and not earlier. (RFC 6347, 4.2.8)
#[derive(Default)]
pub(super) struct Table {
    next: u64,
    connections: BTreeMap<u64, Connection>,
    accepting: ByAddress,
    connecting: ByAddress,
    sessions: ByAddress,
    /// Handshakes that others began, oldest first.
    accepting_by_age: BTreeSet<u64>,
    deadlines: BTreeSet<(Instant, u64)>,
    /// What `deadlines` has of each handshake.
    scheduled: BTreeMap<u64, Instant>,
}

impl Table {
    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Connection> {
        self.connections.get_mut(&id)
    }

    /// The handshake that a peer began.
    pub(super) fn accepting(&mut self, peer: SocketAddr) -> Option<(u64, &mut ServerHandshake)> {
        let id = *self.accepting.get(&peer)?;
        match self.connections.get_mut(&id)? {
            Connection::Accepting(handshake) => Some((id, handshake)),
            _ => None,
        }
    }

    /// The handshake that we began with a peer.
    pub(super) fn connecting(&mut self, peer: SocketAddr) -> Option<(u64, &mut ClientHandshake)> {
        let id = *self.connecting.get(&peer)?;
        match self.connections.get_mut(&id)? {
            Connection::Connecting(handshake) => Some((id, handshake)),
            _ => None,
        }
    }

    /// Those with a peer whose records may be protected: handshakes first.
    pub(super) fn all_with(&self, peer: SocketAddr) -> impl Iterator<Item = u64> + use<> {
        let ids = [&self.accepting, &self.connecting, &self.sessions]
            .map(|by_address| by_address.get(&peer).copied());
        ids.into_iter().flatten()
    }

    pub(super) fn session_with(&self, peer: SocketAddr) -> Option<u64> {
        self.sessions.get(&peer).copied()
    }

    pub(super) fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// The sessions, and the connections of ours that are to become sessions.
    pub(super) fn sessions_to_be(&self) -> usize {
        self.sessions.len().saturating_add(self.connecting.len())
    }

    /// The oldest handshake that another began, when there are `limit` of them.
    pub(super) fn oldest_accepting(&self, limit: usize) -> Option<u64> {
        let oldest = self.accepting_by_age.first().copied();
        oldest.filter(|_| self.accepting_by_age.len() >= limit)
    }

    /// Adds a connection. The one of its kind at its address, if there is one, is for the caller to remove.
    pub(super) fn add(&mut self, connection: Connection) -> u64 {
        let id = self.next;
        self.next = self.next.saturating_add(1);
        self.put(id, connection);
        id
    }

    /// Makes a handshake a session. The session at its address, if there is one, is for the caller to remove.
    pub(super) fn establish(&mut self, id: u64, session: Box<Session>) {
        self.remove(id);
        self.put(id, Connection::Established(session));
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Connection> {
        let connection = self.connections.remove(&id)?;
        self.unschedule(id);
        self.accepting_by_age.remove(&id);
        let peer = connection.peer();
        let by_address = self.kin_of(&connection);
        if by_address.get(&peer) == Some(&id) {
            by_address.remove(&peer);
        }
        Some(connection)
    }

    /// Brings the place of a connection in the order of deadlines up to date.
    pub(super) fn schedule(&mut self, id: u64) {
        self.unschedule(id);
        if let Some(at) = self.connections.get(&id).and_then(Connection::deadline) {
            self.deadlines.insert((at, id));
            self.scheduled.insert(id, at);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// A connection whose deadline has come; it must be scheduled again or removed.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<u64> {
        let (_, id) = self
            .deadlines
            .first()
            .filter(|(at, _)| *at <= now)
            .copied()?;
        self.unschedule(id);
        Some(id)
    }

    fn put(&mut self, id: u64, connection: Connection) {
        if let Connection::Accepting(_) = connection {
            self.accepting_by_age.insert(id);
        }
        let peer = connection.peer();
        self.kin_of(&connection).insert(peer, id);
        self.connections.insert(id, connection);
        self.schedule(id);
    }

    const fn kin_of(&mut self, connection: &Connection) -> &mut ByAddress {
        match connection {
            Connection::Accepting(_) => &mut self.accepting,
            Connection::Connecting(_) => &mut self.connecting,
            Connection::Established(_) => &mut self.sessions,
        }
    }

    fn unschedule(&mut self, id: u64) {
        if let Some(at) = self.scheduled.remove(&id) {
            self.deadlines.remove(&(at, id));
        }
    }
}
