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

/// The connections with one address: one of each kind at most. One that becomes a session takes the place of the session
/// before it, and not earlier. (RFC 6347, 4.2.8)
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct AtAddress {
    pub(super) accepting: Option<u64>,
    pub(super) connecting: Option<u64>,
    pub(super) session: Option<u64>,
}

impl AtAddress {
    const fn slot(&mut self, connection: &Connection) -> &mut Option<u64> {
        match connection {
            Connection::Accepting(_) => &mut self.accepting,
            Connection::Connecting(_) => &mut self.connecting,
            Connection::Established(_) => &mut self.session,
        }
    }
}

#[derive(Default)]
pub(super) struct Table {
    next: u64,
    connections: BTreeMap<u64, Connection>,
    addresses: BTreeMap<SocketAddr, AtAddress>,
    /// Handshakes that others began, oldest first.
    accepting: BTreeSet<u64>,
    connecting: usize,
    deadlines: BTreeSet<(Instant, u64)>,
    /// What `deadlines` has of each handshake.
    scheduled: BTreeMap<u64, Instant>,
}

impl Table {
    pub(super) fn at(&self, peer: SocketAddr) -> AtAddress {
        self.addresses.get(&peer).copied().unwrap_or_default()
    }

    pub(super) fn get_mut(&mut self, id: u64) -> Option<&mut Connection> {
        self.connections.get_mut(&id)
    }

    /// The connection in a slot of an address.
    pub(super) fn find(&mut self, slot: Option<u64>) -> Option<(u64, &mut Connection)> {
        let id = slot?;
        Some((id, self.connections.get_mut(&id)?))
    }

    pub(super) fn sessions(&self) -> usize {
        self.ours().saturating_sub(self.connecting)
    }

    /// The sessions, and the connections of ours that are to become sessions.
    pub(super) fn ours(&self) -> usize {
        self.connections.len().saturating_sub(self.accepting.len())
    }

    /// The oldest handshake that another began, when there are `limit` of them.
    pub(super) fn oldest_accepting(&self, limit: usize) -> Option<u64> {
        let oldest = self.accepting.first().copied();
        oldest.filter(|_| self.accepting.len() >= limit)
    }

    /// Adds a connection. The one of its kind that was at the address, which is returned, must be removed.
    pub(super) fn add(&mut self, connection: Connection) -> (u64, Option<u64>) {
        let id = self.next;
        self.next = self.next.saturating_add(1);
        (id, self.put(id, connection))
    }

    /// Makes a handshake a session. The session that was at the address, which is returned, must be removed.
    pub(super) fn establish(&mut self, id: u64, session: Box<Session>) -> Option<u64> {
        self.remove(id);
        self.put(id, Connection::Established(session))
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Connection> {
        let connection = self.connections.remove(&id)?;
        self.unschedule(id);
        match connection {
            Connection::Accepting(_) => {
                self.accepting.remove(&id);
            }
            Connection::Connecting(_) => self.connecting = self.connecting.saturating_sub(1),
            Connection::Established(_) => {}
        }
        if let Some(at) = self.addresses.get_mut(&connection.peer()) {
            let slot = at.slot(&connection);
            *slot = slot.filter(|known| *known != id);
            if *at == AtAddress::default() {
                self.addresses.remove(&connection.peer());
            }
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

    fn put(&mut self, id: u64, connection: Connection) -> Option<u64> {
        match connection {
            Connection::Accepting(_) => {
                self.accepting.insert(id);
            }
            Connection::Connecting(_) => self.connecting = self.connecting.saturating_add(1),
            Connection::Established(_) => {}
        }
        let at = self.addresses.entry(connection.peer()).or_default();
        let replaced = at.slot(&connection).replace(id);
        self.connections.insert(id, connection);
        self.schedule(id);
        replaced
    }

    fn unschedule(&mut self, id: u64) {
        if let Some(at) = self.scheduled.remove(&id) {
            self.deadlines.remove(&(at, id));
        }
    }
}
