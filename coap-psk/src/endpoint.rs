//! Many peers over one DTLS engine: handshakes, sessions, who is online.
//!
//! ```text
//!  NeedKey ─▶ KeyWanted ─▶ provide_key ─▶ Established ─▶ SecureMode 2: Online ◀─▶ Offline(Silent) ─▶ Offline(Closed)
//!                                                     └▶ SecureMode 3: activation and nothing else, for a minute
//!  connect ─────────────────────────────▶ Established ─▶ Online ─▶ Offline
//! ```

mod exchanging;
mod hello;
mod memory;
mod peers;
mod places;
mod session;
mod shard;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use bytes::Bytes;

use crate::config::Config;
use crate::dtls::{Claim, CloseReason, DtlsEndpoint, HandshakeId, SessionId};
use crate::error::{Error, ErrorKind};
use crate::exchange::{Action, Context, Exchanges};
use crate::guard::{Counters, Guard};
use crate::identity::{DeviceName, PskIdentity, SecureMode};
use crate::output::Output;
use crate::presence::Presence;
use crate::random::Random;
use crate::secret::PskKey;
use crate::time::Instant;

use session::{Role, Session};

/// Machine: CoAP with many peers over a DTLS engine, client and server on every session.
///
/// A cloud answers [`Output::KeyWanted`] and [`Output::Request`]; a device calls [`connect`](Self::connect). Both send
/// requests, observe, and notify the observers of resources of their own.
///
/// Moments must not go back; one that does counts as the latest.
pub struct Endpoint<D> {
    dtls: D,
    config: Config,
    random: Random,
    latest: Instant,
    handshakes: BTreeMap<HandshakeId, Instant>,
    key_deadlines: BTreeSet<(Instant, HandshakeId)>,
    connecting: BTreeMap<SessionId, PskIdentity>,
    /// Boxed, because a map has many empty places.
    sessions: BTreeMap<SessionId, Box<Session>>,
    /// The session of each device. Activation has one of its own: a product's secret must not end a device's session.
    accepted: BTreeMap<(SecureMode, DeviceName), SessionId>,
    session_deadlines: BTreeSet<(Instant, SessionId)>,
    /// The sessions of devices that are offline for their silence, by since when.
    silent: BTreeSet<(Instant, SessionId)>,
    presence: Presence<SessionId>,
    transfer_bytes: usize,
    remembered_bytes: usize,
    /// The sessions by when their oldest answered message expires, or earlier: a place is put right when its turn comes.
    oldest_answered: BTreeSet<(Instant, SessionId)>,
    guard: Guard,
    /// Whether a session that appears now is one of an earlier run.
    resuming: bool,
    /// The paths of the commands that wait, by the session of their device.
    mailboxes: BTreeMap<SessionId, Bytes>,
    outputs: VecDeque<Output>,
    /// Empty between steps: what they hold is kept from one to the next.
    actions: VecDeque<Action>,
    messages: VecDeque<Vec<u8>>,
}

impl<D: DtlsEndpoint> Endpoint<D> {
    /// An endpoint without peers. The seed must be random and new in every run.
    #[must_use]
    pub fn new(config: Config, dtls: D, seed: [u8; 32]) -> Self {
        Self {
            guard: Guard::new(&config.limits),
            dtls,
            config,
            random: Random::new(seed),
            latest: Instant::ZERO,
            handshakes: BTreeMap::new(),
            key_deadlines: BTreeSet::new(),
            connecting: BTreeMap::new(),
            sessions: BTreeMap::new(),
            accepted: BTreeMap::new(),
            session_deadlines: BTreeSet::new(),
            silent: BTreeSet::new(),
            presence: Presence::new(),
            transfer_bytes: 0,
            remembered_bytes: 0,
            oldest_answered: BTreeSet::new(),
            resuming: false,
            mailboxes: BTreeMap::new(),
            outputs: VecDeque::new(),
            actions: VecDeque::new(),
            messages: VecDeque::new(),
        }
    }

    /// Begins a session with the cloud at `to`. [`Online`](crate::Event::Online) follows, or
    /// [`Offline`](crate::Event::Offline) alone.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] over the cap of sessions; what the engine's [`connect`](DtlsEndpoint::connect) gives.
    pub fn connect(
        &mut self,
        to: SocketAddr,
        identity: &PskIdentity,
        key: PskKey,
        now: Instant,
    ) -> Result<SessionId, Error> {
        if self.is_full() {
            return Err(ErrorKind::Full.into());
        }
        let now = self.advance(now);
        let session = self
            .dtls
            .connect(to, identity.to_string().as_bytes(), key, now)?;
        self.connecting.insert(session, identity.clone());
        self.pump(None, now);
        Ok(session)
    }

    /// Closes a session; an unknown one is ignored. Its exchanges fail, and [`Offline`](crate::Event::Offline) follows if it
    /// was online.
    pub fn close(&mut self, session: SessionId, now: Instant) {
        let now = self.advance(now);
        self.dtls.close(session, now);
        self.end_session(session, CloseReason::Local, now);
        self.pump(None, now);
    }

    /// Closes all sessions, so that no peer has to find out by itself that this side stops. What [`close`](Self::close) says of
    /// one holds for each.
    pub fn close_all(&mut self, now: Instant) {
        let now = self.advance(now);
        while let Some(session) = self.any_session() {
            self.dtls.close(session, now);
            self.end_session(session, CloseReason::Local, now);
        }
        self.pump(None, now);
    }

    /// A session, or a connection that is none yet.
    fn any_session(&self) -> Option<SessionId> {
        let sessions = self.sessions.keys().chain(self.connecting.keys());
        sessions.copied().next()
    }

    /// Answers [`Output::KeyWanted`]; `None` when the identity is unknown. A late answer is ignored.
    pub fn provide_key(&mut self, handshake: HandshakeId, key: Option<PskKey>, now: Instant) {
        let now = self.advance(now);
        if let Some(deadline) = self.handshakes.remove(&handshake) {
            self.key_deadlines.remove(&(deadline, handshake));
            self.dtls.provide_key(handshake, key, now);
        }
        self.pump(None, now);
    }

    /// Works with the engine itself, for what engines do beyond their port, such as saving sessions and going on with them after a
    /// restart; then lets out what comes of it.
    ///
    /// A session of an earlier run that appears is taken for one that the peer began. Its exchanges are not those of before: a
    /// request that the peer repeats over the restart is new here, and observers must register again.
    pub fn with_engine<T>(&mut self, step: impl FnOnce(&mut D) -> T, now: Instant) -> T {
        let now = self.advance(now);
        let result = step(&mut self.dtls);
        self.resuming = true;
        self.pump(None, now);
        self.resuming = false;
        result
    }

    /// Takes a datagram. One that begins a handshake is dropped while its network asks too much; see [`Limits`](crate::Limits).
    pub fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) {
        let now = self.advance(now);
        if hello::begins_handshake(datagram) && !self.guard.admits_hello(from, now) {
            return;
        }
        self.dtls.handle_datagram(from, datagram, now);
        self.pump(Some(from), now);
    }

    /// Whether a datagram begins a handshake, is of nobody who has a session or a handshake here, or of a session that has sent as
    /// much as it may: a driver that cannot take everything drops such ones first, and tells so with
    /// [`handle_overload`](Self::handle_overload).
    #[must_use]
    pub fn is_expendable(&self, from: SocketAddr, datagram: &[u8], now: Instant) -> bool {
        if hello::begins_handshake(datagram) {
            return true;
        }
        match self.dtls.claim_of(from, datagram) {
            Claim::Stranger => true,
            Claim::Known => false,
            // Only what was authentic has counted against it.
            Claim::Session(id) => self
                .sessions
                .get(&id)
                .is_some_and(|session| !self.guard.would_admit_message(&session.allowance, now)),
        }
    }

    /// Notes that the driver dropped a datagram, because more came than it could take.
    pub fn handle_overload(&mut self) {
        self.guard.handle_overload();
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        self.dtls.handle_timeout(now);
        while let Some((deadline, handshake)) = first_due(&self.key_deadlines, now) {
            self.key_deadlines.remove(&(deadline, handshake));
            self.handshakes.remove(&handshake);
            self.dtls.provide_key(handshake, None, now);
        }
        while let Some((deadline, id)) = first_due(&self.session_deadlines, now) {
            self.session_deadlines.remove(&(deadline, id));
            self.handle_session_timeout(id, now);
        }
        self.presence.handle_timeout(now);
        self.pump(None, now);
    }

    fn handle_session_timeout(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        session.deadline = None;
        if session.closes.is_some_and(|closes| closes <= now) {
            self.dtls.close(id, now);
            self.end_session(id, CloseReason::Local, now);
        } else {
            self.with_session(id, now, Exchanges::handle_timeout);
        }
    }

    /// The next output.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due next. What was due then may be done by the time, and nothing come of it.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let keys = self.key_deadlines.first().map(|(deadline, _)| *deadline);
        let sessions = self
            .session_deadlines
            .first()
            .map(|(deadline, _)| *deadline);
        [
            self.dtls.next_deadline(),
            keys,
            sessions,
            self.presence.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// How many sessions there are.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// What was refused or forgotten until now.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.guard.counters
    }

    fn advance(&mut self, now: Instant) -> Instant {
        self.latest = self.latest.max(now);
        self.latest
    }

    /// Lets the engine's events and datagrams, and the changes of presence, come out; `source` is whose datagram brought
    /// them about.
    fn pump(&mut self, source: Option<SocketAddr>, now: Instant) {
        while let Some(event) = self.dtls.poll_event() {
            self.handle_dtls_event(event, source, now);
        }
        while let Some(change) = self.presence.poll_output() {
            self.handle_presence(change, now);
        }
        while let Some(transmit) = self.dtls.poll_transmit() {
            self.outputs.push_back(Output::Transmit(transmit));
        }
    }

    /// Runs a step of a session's exchanges and carries out what comes of it.
    fn with_session<T>(
        &mut self,
        id: SessionId,
        now: Instant,
        step: impl FnOnce(&mut Exchanges, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let session = self.sessions.get_mut(&id)?;
        let (actions, out) = (&mut self.actions, &mut self.messages);
        let before = session.exchanges.transfer_bytes();
        let remembered_before = session.exchanges.remembered().bytes();
        let mut cx = Context {
            config: &self.config,
            random: &mut self.random,
            actions,
            out,
            room: self
                .config
                .max_transfer_bytes
                .saturating_sub(self.transfer_bytes),
            activation_of: (session.role == Role::Activation).then(|| session.identity.device()),
            mailbox: self.mailboxes.get(&id),
            guard: &mut self.guard,
            peer: session.peer,
            now,
        };
        let result = step(&mut session.exchanges, &mut cx);
        let after = session.exchanges.transfer_bytes();
        self.transfer_bytes = self
            .transfer_bytes
            .saturating_sub(before)
            .saturating_add(after);
        self.remembered_bytes = self
            .remembered_bytes
            .saturating_sub(remembered_before)
            .saturating_add(session.exchanges.remembered().bytes());
        memory::place(&mut self.oldest_answered, id, session);
        let mut refused = false;
        for datagram in self.messages.drain(..) {
            // A record that the engine cannot take is as good as lost on the way.
            let sent = self.dtls.send(id, &datagram, now);
            refused |= sent.is_err_and(|error| error.kind() == ErrorKind::Refused);
        }
        if refused && let Some(probe) = session.exchanges.probe(&mut self.random) {
            // The peer is owed more than may go to an address that it has not answered at.
            let _ = self.dtls.send(id, &probe, now);
        }
        for action in self.actions.drain(..) {
            if matches!(action, Action::Reached) {
                self.dtls.confirm_path(id, now);
            }
            if let Some(output) = session.output_of(id, action, now) {
                self.outputs.push_back(output);
            }
        }
        schedule(&mut self.session_deadlines, id, session, &self.config);
        self.forget_answered();
        Some(result)
    }

    fn schedule(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            schedule(&mut self.session_deadlines, id, session, &self.config);
        }
    }
}

/// Brings the session's place in the order of deadlines forward. It goes back when its time has come only: most deadlines are met,
/// and then there is another one later.
fn schedule(
    deadlines: &mut BTreeSet<(Instant, SessionId)>,
    id: SessionId,
    session: &mut Session,
    config: &Config,
) {
    let Some(deadline) = session.next_deadline(config) else {
        return;
    };
    if session.deadline.is_some_and(|place| place <= deadline) {
        return;
    }
    if let Some(old) = session.deadline.replace(deadline) {
        deadlines.remove(&(old, id));
    }
    deadlines.insert((deadline, id));
}

impl<D> fmt::Debug for Endpoint<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("sessions", &self.sessions.len())
            .field("handshakes", &self.handshakes.len())
            .field("mailboxes", &self.mailboxes.len())
            .field("outputs", &self.outputs.len())
            .finish_non_exhaustive()
    }
}

fn first_due<K: Copy + Ord>(
    deadlines: &BTreeSet<(Instant, K)>,
    now: Instant,
) -> Option<(Instant, K)> {
    deadlines
        .first()
        .copied()
        .filter(|(deadline, _)| *deadline <= now)
}
