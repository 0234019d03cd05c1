//! Every connection, where it is, and when it needs attention.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use core::mem;
use core::net::SocketAddr;

use super::arrivals::Arrivals;
use super::by_address::ByAddress;
use super::client::ClientHandshake;
use super::connection_id::ConnectionId;
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

    /// The id in what the peer sends, or none.
    fn connection_id(&self) -> ConnectionId {
        match self {
            Self::Accepting(handshake) => handshake.connection_id(),
            Self::Connecting(handshake) => handshake.connection_id(),
            Self::Established(session) => session.connection_id(),
        }
    }

    /// The deadline, and the place in the order of deadlines. A session lives without time.
    fn timing(&mut self) -> Option<(Instant, &mut Option<Instant>)> {
        match self {
            Self::Accepting(handshake) => Some(handshake.timing()),
            Self::Connecting(handshake) => Some(handshake.timing()),
            Self::Established(_) => None,
        }
    }
}

/// One that becomes a session takes the place of the session before it, and not earlier. (RFC 6347, 4.2.8)
///
/// A session with an id is found by that. Its address has nothing but the last session that came there: one with an id that
/// moved to where another is has no place among the addresses, and needs none.
#[derive(Default)]
pub(super) struct Table {
    next: u64,
    connections: BTreeMap<u64, Connection>,
    accepting: ByAddress,
    connecting: ByAddress,
    sessions: ByAddress,
    /// How many sessions there are, those without a place in `sessions` included.
    session_count: usize,
    by_id: BTreeMap<ConnectionId, u64>,
    arrivals: Arrivals,
    /// Handshakes by their deadline or an earlier moment.
    deadlines: BTreeSet<(Instant, u64)>,
}

impl Table {
    /// An empty one, whose first connection gets this number.
    pub(super) fn beginning_at(next: u64) -> Self {
        Self {
            next,
            ..Self::default()
        }
    }

    pub(super) fn get(&self, id: u64) -> Option<&Connection> {
        self.connections.get(&id)
    }

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
        let kinds = [&self.accepting, &self.connecting, &self.sessions];
        ByAddress::all(kinds, &peer).into_iter().flatten()
    }

    pub(super) fn session_with(&self, peer: SocketAddr) -> Option<u64> {
        self.sessions.get(&peer).copied()
    }

    /// The connection whose peer sends with this id.
    pub(super) fn with_id(&self, connection_id: &[u8]) -> Option<u64> {
        let connection_id = ConnectionId::from_bytes(connection_id)?;
        self.by_id.get(&connection_id).copied()
    }

    /// Notes that a session goes on elsewhere. Whoever is there keeps the place: a session without an id has no other.
    pub(super) fn handle_move(&mut self, id: u64, from: SocketAddr, to: SocketAddr) {
        if self.sessions.get(&from) == Some(&id) {
            self.sessions.remove(&from);
        }
        self.sessions.insert_if_free(to, id);
    }

    pub(super) const fn sessions(&self) -> usize {
        self.session_count
    }

    /// The sessions, and the connections of ours that are to become sessions.
    pub(super) fn sessions_to_be(&self) -> usize {
        self.session_count.saturating_add(self.connecting.len())
    }

    /// The handshake that another began and that gives way, when there are `limit` of them.
    pub(super) fn giving_way(&self, limit: usize) -> Option<u64> {
        self.arrivals.giving_way(limit)
    }

    /// Adds a connection. The one of its kind at its address, if there is one, is for the caller to remove.
    pub(super) fn add(&mut self, connection: Connection) -> u64 {
        let id = self.next;
        self.next = self.next.saturating_add(1);
        self.put(id, connection);
        id
    }

    /// Whether a session of an earlier endpoint could not be told from one that is here.
    pub(super) fn has_rival_of(&self, session: &Session) -> bool {
        let connection_id = session.connection_id();
        if !connection_id.is_empty() {
            return self.by_id.contains_key(&connection_id);
        }
        let holder = self
            .session_with(session.peer())
            .and_then(|id| self.get(id));
        holder.is_some_and(|holder| holder.connection_id().is_empty())
    }

    /// Adds a session of an earlier endpoint. With an id it leaves its address to who is there.
    pub(super) fn restore(&mut self, session: Box<Session>) -> u64 {
        let peer = session.peer();
        let has_id = !session.connection_id().is_empty();
        let holder = self.session_with(peer).filter(|_| has_id);
        let id = self.add(Connection::Established(session));
        if let Some(holder) = holder {
            self.sessions.insert(peer, holder);
        }
        id
    }

    /// Makes a handshake a session. The session at its address, if there is one, is for the caller to remove.
    pub(super) fn establish(&mut self, id: u64, session: Box<Session>) {
        let session = Connection::Established(session);
        let Some(place) = self.connections.get_mut(&id) else {
            return self.put(id, session);
        };
        let before = mem::replace(place, session);
        self.forget(id, before);
        self.note(id);
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Connection> {
        let connection = self.connections.remove(&id)?;
        Some(self.forget(id, connection))
    }

    /// Forgets where a connection can be found that is none of the table any more.
    fn forget(&mut self, id: u64, mut connection: Connection) -> Connection {
        if let Some(place) = connection.timing().and_then(|(_, place)| place.take()) {
            self.deadlines.remove(&(place, id));
        }
        match connection {
            Connection::Accepting(_) => self.arrivals.remove(connection.peer(), id),
            Connection::Connecting(_) => {}
            Connection::Established(_) => {
                self.session_count = self.session_count.saturating_sub(1);
            }
        }
        let connection_id = connection.connection_id();
        if self.by_id.get(&connection_id) == Some(&id) {
            self.by_id.remove(&connection_id);
        }
        let peer = connection.peer();
        let by_address = self.kin_of(&connection);
        if by_address.get(&peer) == Some(&id) {
            by_address.remove(&peer);
        }
        connection
    }

    /// Brings the place of a connection in the order of deadlines forward. It goes back when its time has come: a flight is
    /// answered before, mostly.
    pub(super) fn schedule(&mut self, id: u64) {
        let connection = self.connections.get_mut(&id);
        let Some((deadline, place)) = connection.and_then(Connection::timing) else {
            return;
        };
        if place.is_some_and(|place| place <= deadline) {
            return;
        }
        if let Some(old) = place.replace(deadline) {
            self.deadlines.remove(&(old, id));
        }
        self.deadlines.insert((deadline, id));
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// A connection whose deadline may have come; it must be scheduled again or removed.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<u64> {
        let (_, id) = self
            .deadlines
            .first()
            .filter(|(at, _)| *at <= now)
            .copied()?;
        self.deadlines.pop_first();
        if let Some((_, place)) = self.connections.get_mut(&id).and_then(Connection::timing) {
            *place = None;
        }
        Some(id)
    }

    fn put(&mut self, id: u64, connection: Connection) {
        self.connections.insert(id, connection);
        self.note(id);
        self.schedule(id);
    }

    /// Notes where a connection can be found.
    fn note(&mut self, id: u64) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let (peer, connection_id) = (connection.peer(), connection.connection_id());
        let by_address = match connection {
            Connection::Accepting(_) => {
                self.arrivals.insert(peer, id);
                &mut self.accepting
            }
            Connection::Connecting(_) => &mut self.connecting,
            Connection::Established(_) => {
                self.session_count = self.session_count.saturating_add(1);
                &mut self.sessions
            }
        };
        by_address.insert(peer, id);
        if !connection_id.is_empty() {
            self.by_id.insert(connection_id, id);
        }
    }

    const fn kin_of(&mut self, connection: &Connection) -> &mut ByAddress {
        match connection {
            Connection::Accepting(_) => &mut self.accepting,
            Connection::Connecting(_) => &mut self.connecting,
            Connection::Established(_) => &mut self.sessions,
        }
    }
}
