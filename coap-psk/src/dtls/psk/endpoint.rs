//! Many connections as one [`DtlsEndpoint`].

mod saving;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::fmt;
use core::mem;
use core::net::SocketAddr;

use super::agreement::Agreement;
use super::alert::Alert;
use super::by_address::are_one_place;
use super::client::ClientHandshake;
use super::config::PskConfig;
use super::connection_id::ConnectionId;
use super::context::Context;
use super::cookie::Cookies;
use super::finishing::Progress;
use super::flight::{self, Part};
use super::hello::{ClientHello, hello_verify_request};
use super::message::{Fragment, Message, MessageType, fragments};
use super::record::{ContentType, Record, records};
use super::server::ServerHandshake;
use super::session::{Received, Session};
use super::table::{Connection, Table};
use super::timer::Due;
use super::traffic::Outbound;
use crate::dtls::{
    Claim, CloseReason, DtlsEndpoint, DtlsEvent, HandshakeId, Handshakes, SessionId, ShardNumber,
    Transmit,
};
use crate::error::{Error, ErrorKind};
use crate::secret::PskKey;
use crate::time::Instant;

/// How often a new id is drawn when others have it already.
const DRAWS: usize = 4;

/// Machine: DTLS 1.2 with pre-shared keys and nothing else, server and client role, for many peers.
///
/// Moments must not go back; one that does counts as the latest.
pub struct PskEndpoint {
    cx: Context,
    cookies: Cookies,
    table: Table,
    handshakes: Handshakes,
    events: VecDeque<DtlsEvent>,
}

impl PskEndpoint {
    /// An endpoint without peers. The seed must be secret, random and new in every run: nonces and cookies come from it.
    #[must_use]
    pub fn new(config: PskConfig, seed: [u8; 32]) -> Self {
        let first_id = config.shard.unwrap_or_default().first_id();
        let mut cx = Context::new(config, seed);
        Self {
            cookies: Cookies::new(&mut cx.random),
            cx,
            table: Table::beginning_at(first_id),
            handshakes: Handshakes::default(),
            events: VecDeque::new(),
        }
    }

    /// How many sessions there are.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.table.sessions()
    }

    /// How the handshakes of both roles ended so far.
    #[must_use]
    pub const fn handshakes(&self) -> Handshakes {
        self.handshakes
    }

    fn handle_plain(&mut self, from: SocketAddr, sequence: u64, fragment: &Fragment<'_>) {
        match fragment.kind {
            MessageType::ClientHello => self.handle_client_hello(from, sequence, fragment),
            MessageType::ClientKeyExchange => {
                if let Some((id, handshake)) = self.table.accepting(from) {
                    let progress = handshake.handle_fragment(fragment, &mut self.cx);
                    self.handle_progress(id, progress);
                }
            }
            MessageType::HelloVerifyRequest
            | MessageType::ServerHello
            | MessageType::ServerKeyExchange
            | MessageType::ServerHelloDone => {
                if let Some((id, handshake)) = self.table.connecting(from) {
                    let progress = handshake.handle_fragment(fragment, &mut self.cx);
                    self.handle_progress(id, progress);
                }
            }
            // Never in clear.
            MessageType::Finished => {}
        }
    }

    /// Answers a ClientHello: with a cookie, or with a handshake when it brings that back. Without the cookie nothing is kept,
    /// so one that comes in fragments cannot be answered.
    fn handle_client_hello(&mut self, from: SocketAddr, sequence: u64, fragment: &Fragment<'_>) {
        let hello = fragment.whole().and_then(ClientHello::parse);
        let Some(hello) = hello.filter(|_| self.cx.config.accept) else {
            return;
        };
        // What is answered without state goes under the number of what it answers. (RFC 6347, 4.2.1)
        let mut outbound = Outbound::new(sequence);
        let agreement = match Agreement::reach(&hello, &self.cx.config) {
            Ok(agreement) => agreement,
            Err(alert) => return alert.send(from, &mut outbound, &mut self.cx),
        };
        let lifetime = self.cx.config.cookie_lifetime;
        self.cookies
            .rotate(lifetime, &mut self.cx.random, self.cx.now);
        if !self.cookies.verify(from, &hello) {
            let body = hello_verify_request(&self.cookies.issue(from, &hello));
            let request = Message::new(MessageType::HelloVerifyRequest, fragment.number, &body);
            return flight::send(&[Part::Plain(request)], from, &mut outbound, &mut self.cx);
        }
        if let Some((_, handshake)) = self.table.accepting(from)
            && handshake.began_with(&hello, fragment.number)
        {
            return handshake.handle_repeated_hello(&mut self.cx);
        }
        // Whether it takes the place of the session there, its identity will tell.
        if self.is_full() && self.table.session_with(from).is_none() {
            return;
        }
        // The client began anew, or another one must give way.
        let replaced = self.table.accepting(from).map(|(id, _)| id);
        let giving_way = self.table.giving_way(self.cx.config.max_handshakes);
        if let Some(id) = replaced.or(giving_way) {
            self.remove(id, CloseReason::HandshakeFailed);
        }
        let own_id = agreement.connection_id.and_then(|_| self.new_id());
        let handshake = ServerHandshake::begin(
            from,
            sequence,
            fragment,
            &hello,
            &agreement,
            own_id,
            &mut self.cx,
        );
        self.table.add(Connection::Accepting(Box::new(handshake)));
    }

    /// An id for what a peer sends, which is empty when this side needs none; `None` when ids are not spoken of, or those that
    /// were drawn are taken.
    fn new_id(&mut self) -> Option<ConnectionId> {
        self.cx.config.connection_id_len?;
        let (len, shard) = (self.cx.config.own_id_len(), self.cx.config.shard);
        (0..DRAWS)
            .map(|_| ConnectionId::random(len, &mut self.cx.random).of_shard(shard))
            .find(|id| self.table.with_id(id.as_bytes()).is_none())
    }

    /// Takes a protected record. Whose it is, its id says, or only keys can tell: those of a handshake under way, or of the
    /// session.
    fn handle_protected(&mut self, from: SocketAddr, record: &Record<'_>) {
        let connection_id = record.header.connection_id;
        if !connection_id.is_empty() {
            if let Some(id) = self.table.with_id(connection_id) {
                self.handle_record_of(id, from, record);
            }
            return;
        }
        for id in self.table.all_with(from) {
            if self.handle_record_of(id, from, record) {
                return;
            }
        }
    }

    /// Whether the record was one of this connection.
    fn handle_record_of(&mut self, id: u64, from: SocketAddr, record: &Record<'_>) -> bool {
        let progress = match self.table.get_mut(id) {
            // Only a session moves.
            Some(Connection::Accepting(handshake)) if are_one_place(handshake.peer(), from) => {
                handshake.handle_record(record, &mut self.cx)
            }
            Some(Connection::Connecting(handshake)) if are_one_place(handshake.peer(), from) => {
                handshake.handle_record(record, &mut self.cx)
            }
            Some(Connection::Established(session)) => {
                let before = session.peer();
                let received = session.handle_record(from, record, &mut self.cx);
                let after = session.peer();
                if before != after {
                    self.table.handle_move(id, before, after);
                    self.events.push_back(DtlsEvent::Moved {
                        session: SessionId(id),
                        from: before,
                        to: after,
                    });
                }
                let taken = received.is_some();
                match received {
                    Some(Received::Data(data)) => {
                        let session = SessionId(id);
                        self.events.push_back(DtlsEvent::Data { session, data });
                    }
                    Some(Received::Closed(reason)) => self.remove(id, reason),
                    Some(Received::Nothing) | None => {}
                }
                return taken;
            }
            _ => None,
        };
        let taken = progress.is_some();
        if let Some(progress) = progress {
            self.handle_progress(id, progress);
        }
        taken
    }

    fn handle_progress(&mut self, id: u64, progress: Progress) {
        match progress {
            Progress::Waiting => self.table.schedule(id),
            Progress::NeedKey => {
                self.table.schedule(id);
                if let Some(Connection::Accepting(handshake)) = self.table.get_mut(id) {
                    self.events.push_back(DtlsEvent::NeedKey {
                        handshake: HandshakeId(id),
                        identity: handshake.identity().to_vec(),
                    });
                }
            }
            Progress::Established(session) => self.establish(id, session),
            Progress::Failed => self.remove(id, CloseReason::HandshakeFailed),
        }
    }

    fn establish(&mut self, id: u64, mut session: Box<Session>) {
        let accepted = match self.table.get(id) {
            Some(Connection::Accepting(_)) => true,
            Some(Connection::Connecting(_)) => false,
            Some(Connection::Established(_)) | None => return,
        };
        let (peer, identity) = (session.peer(), session.identity().to_vec());
        let replaced = self.table.session_with(peer).filter(|old| {
            let Some(Connection::Established(old)) = self.table.get(*old) else {
                return false;
            };
            !accepted || old.gives_way_to(&identity)
        });
        if accepted && replaced.is_none() && self.is_full() {
            session.close(Alert::CloseNotify, &mut self.cx);
            return self.remove(id, CloseReason::HandshakeFailed);
        }
        self.table.establish(id, session);
        self.handshakes.succeed();
        self.events.push_back(DtlsEvent::Established {
            session: SessionId(id),
            peer,
            identity,
        });
        if let Some(replaced) = replaced {
            let reason = if accepted {
                CloseReason::Peer
            } else {
                CloseReason::Local
            };
            self.remove(replaced, reason);
        }
    }

    /// Whether there is no room for a session that does not take the place of another.
    fn is_full(&self) -> bool {
        self.table.sessions_to_be() >= self.cx.config.max_sessions
    }

    /// Takes a connection out, and says so if anybody outside knows of it.
    fn remove(&mut self, id: u64, reason: CloseReason) {
        let Some(connection) = self.table.remove(id) else {
            return;
        };
        if !matches!(connection, Connection::Established(_)) {
            self.handshakes.end(reason);
        }
        if !matches!(connection, Connection::Accepting(_)) {
            let session = SessionId(id);
            self.events.push_back(DtlsEvent::Closed { session, reason });
        }
    }
}

impl DtlsEndpoint for PskEndpoint {
    fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) {
        self.cx.advance(now);
        let mut greeted = false;
        for record in records(datagram, self.cx.config.own_id_len()) {
            match (record.header.epoch, record.header.content) {
                (0, ContentType::Handshake) => {
                    for fragment in fragments(record.body) {
                        let greets = fragment.kind == MessageType::ClientHello;
                        // No client greets twice in one datagram. Somebody else would do it to get many datagrams for one, and
                        // past those who count datagrams that begin a handshake.
                        if !(greets && mem::replace(&mut greeted, true)) {
                            self.handle_plain(from, record.header.sequence, &fragment);
                        }
                    }
                }
                // A ChangeCipherSpec says nothing that the epoch of what follows does not, and alerts in clear are anybody's.
                (0, _) => {}
                (1, _) => self.handle_protected(from, &record),
                _ => {}
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.cx.advance(now);
        while let Some(id) = self.table.take_due(self.cx.now) {
            let due = match self.table.get_mut(id) {
                Some(Connection::Accepting(handshake)) => handshake.handle_timeout(&mut self.cx),
                Some(Connection::Connecting(handshake)) => handshake.handle_timeout(&mut self.cx),
                Some(Connection::Established(_)) | None => continue,
            };
            match due {
                Due::Nothing | Due::Repetition => self.table.schedule(id),
                Due::End => self.remove(id, CloseReason::HandshakeTimeout),
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.table.next_deadline()
    }

    fn claim_of(&self, from: SocketAddr, datagram: &[u8]) -> Claim {
        let Some(first) = records(datagram, self.cx.config.own_id_len()).next() else {
            return Claim::Stranger;
        };
        let connection_id = first.header.connection_id;
        let id = if let Some(shard) = connection_id.first() {
            if self.cx.config.shard.is_some_and(|own| own.0 != *shard) {
                // Another shard must judge what is for it.
                return Claim::Known;
            }
            self.table.with_id(connection_id)
        } else {
            self.table.all_with(from).next()
        };
        let Some(id) = id else {
            return Claim::Stranger;
        };
        match self.table.get(id) {
            Some(Connection::Established(_)) => Claim::Session(SessionId(id)),
            _ => Claim::Known,
        }
    }

    fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.events.pop_front()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.cx.transmits.pop_front()
    }

    fn provide_key(&mut self, handshake: HandshakeId, key: Option<PskKey>, now: Instant) {
        self.cx.advance(now);
        let HandshakeId(id) = handshake;
        let Some(Connection::Accepting(handshake)) = self.table.get_mut(id) else {
            return;
        };
        let peer = handshake.peer();
        let held = handshake.provide_key(key, &mut self.cx);
        for held in held.into_iter().flatten() {
            self.handle_record_of(id, peer, &held.record());
        }
    }

    fn connect(
        &mut self,
        to: SocketAddr,
        identity: &[u8],
        key: PskKey,
        now: Instant,
    ) -> Result<SessionId, Error> {
        self.cx.advance(now);
        if self.is_full() {
            return Err(ErrorKind::Full.into());
        }
        if u16::try_from(identity.len()).is_err() {
            return Err(Error::with_source(
                ErrorKind::Transport,
                "no message has room for the identity",
            ));
        }
        if let Some((id, _)) = self.table.connecting(to) {
            self.remove(id, CloseReason::HandshakeFailed);
        }
        let connection_id = self.new_id();
        let handshake = ClientHandshake::begin(to, identity, key, connection_id, &mut self.cx);
        let id = self.table.add(Connection::Connecting(Box::new(handshake)));
        Ok(SessionId(id))
    }

    fn send(&mut self, session: SessionId, data: &[u8], now: Instant) -> Result<(), Error> {
        self.cx.advance(now);
        match self.table.get_mut(session.0) {
            Some(Connection::Established(session)) => session.send(data, &mut self.cx),
            _ => Err(ErrorKind::UnknownSession.into()),
        }
    }

    fn confirm_path(&mut self, session: SessionId, now: Instant) {
        self.cx.advance(now);
        if let Some(Connection::Established(session)) = self.table.get_mut(session.0) {
            session.confirm_path();
        }
    }

    fn close(&mut self, session: SessionId, now: Instant) {
        self.cx.advance(now);
        match self.table.get_mut(session.0) {
            Some(Connection::Established(session)) => {
                session.close(Alert::CloseNotify, &mut self.cx);
            }
            Some(Connection::Connecting(_)) => {}
            // A handshake that another began is not a session yet.
            Some(Connection::Accepting(_)) | None => return,
        }
        self.remove(session.0, CloseReason::Local);
    }

    fn shard(&self) -> ShardNumber {
        self.cx.config.shard.unwrap_or_default()
    }

    fn shard_of(&self, datagram: &[u8]) -> Option<ShardNumber> {
        self.cx.config.shard?;
        // A datagram has records of one session only.
        let first = records(datagram, self.cx.config.own_id_len()).next()?;
        first.header.connection_id.first().copied().map(ShardNumber)
    }
}

impl fmt::Debug for PskEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PskEndpoint")
            .field("sessions", &self.table.sessions())
            .field("events", &self.events.len())
            .field("transmits", &self.cx.transmits.len())
            .finish_non_exhaustive()
    }
}
