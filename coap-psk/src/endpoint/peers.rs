//! How peers come and go: handshakes, sessions and their replacement, presence.

use alloc::boxed::Box;
use core::net::SocketAddr;

use super::Endpoint;
use super::session::{Role, Session};
use crate::dtls::{CloseReason, DtlsEndpoint, DtlsEvent, HandshakeId, SessionId};
use crate::exchange::Exchanges;
use crate::identity::{PskIdentity, SecureMode};
use crate::output::{Event, OfflineReason, Output};
use crate::presence::Change;
use crate::time::Instant;

impl<D: DtlsEndpoint> Endpoint<D> {
    pub(super) fn handle_dtls_event(
        &mut self,
        event: DtlsEvent,
        source: Option<SocketAddr>,
        now: Instant,
    ) {
        match event {
            DtlsEvent::NeedKey {
                handshake,
                identity,
            } => self.handle_need_key(handshake, &identity, source, now),
            DtlsEvent::Established {
                session,
                peer,
                identity,
            } => self.handle_established(session, peer, &identity, now),
            DtlsEvent::Data { session, data } => {
                self.presence.seen(session, now);
                // Before what the device says, the application learns that it is back.
                while let Some(change) = self.presence.poll_output() {
                    self.handle_presence(change, now);
                }
                if self.admits_message(session, now) {
                    self.with_session(session, now, |exchanges, cx| {
                        exchanges.handle_datagram(&data, cx);
                    });
                }
            }
            DtlsEvent::Moved { session, to, .. } => {
                if let Some(it) = self.sessions.get_mut(&session) {
                    it.peer = to;
                    it.exchanges.forget_probe();
                    self.outputs
                        .push_back(Output::Event(Event::Moved { session, peer: to }));
                }
            }
            DtlsEvent::Closed { session, reason } => self.end_session(session, reason, now),
        }
    }

    fn admits_message(&mut self, id: SessionId, now: Instant) -> bool {
        let session = self.sessions.get_mut(&id);
        session.is_some_and(|session| self.guard.admits_message(&mut session.allowance, now))
    }

    fn handle_need_key(
        &mut self,
        handshake: HandshakeId,
        identity: &[u8],
        source: Option<SocketAddr>,
        now: Instant,
    ) {
        // Until it is verified a handshake counts as one that failed.
        let admitted = source.is_none_or(|source| self.guard.admits_handshake(source, now));
        let parsed = PskIdentity::parse(identity);
        if let (Err(_), Some(peer), true) = (&parsed, source, admitted) {
            let len = identity.len();
            self.outputs
                .push_back(Output::Event(Event::MalformedIdentity { peer, len }));
        }
        let known = parsed
            .ok()
            .filter(|_| admitted && self.handshakes.len() < self.config.max_handshakes);
        let Some(identity) = known else {
            // A malformed identity, and one too many, must look like a wrong key.
            return self.dtls.provide_key(handshake, None, now);
        };
        let deadline = now.saturating_add(self.config.key_timeout);
        self.handshakes.insert(handshake, deadline);
        self.key_deadlines.insert((deadline, handshake));
        self.outputs.push_back(Output::KeyWanted {
            handshake,
            identity,
        });
    }

    fn handle_established(
        &mut self,
        id: SessionId,
        peer: SocketAddr,
        identity: &[u8],
        now: Instant,
    ) {
        let (identity, role) = match self.connecting.remove(&id) {
            Some(identity) => (identity, Role::Initiated),
            None => match PskIdentity::parse(identity) {
                Ok(identity) if identity.mode() == SecureMode::ProductSecret => {
                    (identity, Role::Activation)
                }
                Ok(identity) => (identity, Role::Accepted),
                Err(_) => return self.dtls.close(id, now),
            },
        };
        if role != Role::Initiated {
            self.guard.handle_verified(peer, now);
        }
        let replaced = match role {
            Role::Initiated => None,
            // Only now: until the peer has proved its key it must not harm the session that is there.
            Role::Accepted | Role::Activation => self
                .accepted
                .get(&(identity.mode(), identity.device().clone()))
                .copied(),
        };
        let waiting = replaced.and_then(|old| self.mailboxes.remove(&old));
        if let Some(old) = replaced {
            self.dtls.close(old, now);
            self.forget_session(old, now);
        }
        // `connect` has taken a place for each session of our own.
        if role != Role::Initiated && !self.has_place(now) {
            self.guard.handle_session_refused();
            return self.dtls.close(id, now);
        }
        let mut exchanges = Exchanges::new(&mut self.random, now);
        if self.resuming {
            exchanges.resume(&mut self.random);
        }
        let mut session = Session::new(identity.clone(), role, peer, exchanges);
        self.mailboxes.extend(waiting.map(|command| (id, command)));
        if role != Role::Initiated {
            self.accepted
                .insert((identity.mode(), identity.device().clone()), id);
        }
        match role {
            Role::Activation => {
                session.closes = Some(now.saturating_add(self.config.activation_session));
            }
            Role::Accepted => self.presence.insert(id, identity.lifetime(), now),
            Role::Initiated => {}
        }
        self.sessions.insert(id, Box::new(session));
        self.schedule(id);
        if role != Role::Activation {
            self.outputs.push_back(Output::Event(Event::Online {
                session: id,
                identity,
                peer,
                replaced,
            }));
        }
    }

    pub(super) fn handle_presence(&mut self, change: Change<SessionId>, now: Instant) {
        let (Change::Online(id) | Change::Offline(id)) = change;
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        let (identity, peer) = (session.identity.clone(), session.peer);
        let event = if matches!(change, Change::Online(_)) {
            session.closes = None;
            if let Some(since) = session.silent.take() {
                self.silent.remove(&(since, id));
            }
            Event::Online {
                session: id,
                identity,
                peer,
                replaced: None,
            }
        } else {
            session.closes = Some(now.saturating_add(self.config.offline_session));
            session.silent = Some(now);
            self.silent.insert((now, id));
            Event::Offline {
                session: id,
                identity,
                why: OfflineReason::Silent,
            }
        };
        self.outputs.push_back(Output::Event(event));
        self.schedule(id);
    }

    /// Ends a session or a connection that is none yet, and says so.
    pub(super) fn end_session(&mut self, id: SessionId, reason: CloseReason, now: Instant) {
        if let Some(identity) = self.connecting.remove(&id) {
            let why = match reason {
                CloseReason::HandshakeTimeout => OfflineReason::TimedOut,
                CloseReason::Local => OfflineReason::Closed,
                CloseReason::Peer | CloseReason::HandshakeFailed | CloseReason::Fault => {
                    OfflineReason::Refused
                }
            };
            self.outputs.push_back(Output::Event(Event::Offline {
                session: id,
                identity,
                why,
            }));
            return;
        }
        match self.forget_session(id, now) {
            Some((Role::Initiated | Role::Accepted, identity)) => {
                self.outputs.push_back(Output::Event(Event::Offline {
                    session: id,
                    identity,
                    why: OfflineReason::Closed,
                }));
            }
            // An activation was never online.
            Some((Role::Activation, _)) | None => {}
        }
    }

    /// Forgets a session: its exchanges fail.
    pub(super) fn forget_session(
        &mut self,
        id: SessionId,
        now: Instant,
    ) -> Option<(Role, PskIdentity)> {
        self.with_session(id, now, Exchanges::close);
        let mut session = self.sessions.remove(&id)?;
        self.presence.remove(id);
        self.mailboxes.remove(&id);
        self.transfer_bytes = self
            .transfer_bytes
            .saturating_sub(session.exchanges.transfer_bytes());
        self.remembered_bytes = self
            .remembered_bytes
            .saturating_sub(session.exchanges.remembered().bytes());
        if let Some(place) = session.oldest_answered {
            self.oldest_answered.remove(&(place, id));
        }
        if let Some(since) = session.silent {
            self.silent.remove(&(since, id));
        }
        if let Some(deadline) = session.deadline {
            self.session_deadlines.remove(&(deadline, id));
        }
        let identity = session.identity;
        let key = (identity.mode(), identity.device().clone());
        if session.role != Role::Initiated && self.accepted.get(&key) == Some(&id) {
            self.accepted.remove(&key);
        }
        Some((session.role, identity))
    }
}
