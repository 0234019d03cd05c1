//! The client's side of a handshake.
//!
//! ```text
//!  connect ─▶ ClientHello                                            Hello
//!  HelloVerifyRequest ─▶ ClientHello with cookie                     Hello
//!  ServerHello, (hint), ServerHelloDone                              HelloDone
//!     ─▶ ClientKeyExchange, ChangeCipherSpec, Finished               Finished
//!  ChangeCipherSpec, Finished                                        a Session
//! ```
//!
//! Alerts in clear are ignored: anybody can write them. A server that refuses that way is given up when the time is over.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;
use core::net::SocketAddr;

use sha2::{Digest, Sha256};

use super::agreement::needs_encrypt_then_mac;
use super::alert::Alert;
use super::connection_id::ConnectionId;
use super::context::Context;
use super::extension::Extensions;
use super::finishing::{Finishing, LastWord, Progress};
use super::flight::{Flight, Part};
use super::hello::{ServerHello, client_hello, parse_hello_verify_request};
use super::key_exchange;
use super::keys::{MasterSecret, Randoms, Side};
use super::message::{Fragment, Message, MessageType};
use super::reassembly::Reassembly;
use super::record::{DTLS_1_2, Record};
use super::session::Session;
use super::timer::Due;
use super::traffic::Inbound;
use crate::secret::PskKey;
use crate::suite::CipherSuite;
use crate::time::Instant;

/// How many cookies a server may ask for: one, and others when its key changes on the way.
const MAX_COOKIES: u8 = 4;

enum State {
    Hello,
    HelloDone {
        /// Whether the server has said what identity it wants, which it does once at most.
        has_hint: bool,
        suite: CipherSuite,
        extended_master_secret: bool,
        randoms: Randoms,
        /// The id that the server wants, when there are ids at all.
        servers_id: Option<Box<[u8]>>,
    },
    Finished(Finishing),
    Over,
}

pub(super) struct ClientHandshake {
    identity: Vec<u8>,
    key: PskKey,
    /// The id that we want in what the server sends, when ids are offered.
    connection_id: Option<ConnectionId>,
    random: [u8; 32],
    cookie: Vec<u8>,
    cookies: u8,
    /// The number of our next message.
    next_number: u16,
    transcript: Sha256,
    messages: Reassembly,
    flight: Flight,
    state: State,
}

impl ClientHandshake {
    pub(super) fn begin(
        peer: SocketAddr,
        identity: &[u8],
        key: PskKey,
        connection_id: Option<ConnectionId>,
        cx: &mut Context,
    ) -> Self {
        let mut handshake = Self {
            identity: identity.to_vec(),
            key,
            connection_id,
            random: cx.random(),
            cookie: Vec::new(),
            cookies: 0,
            next_number: 0,
            transcript: Sha256::new(),
            messages: Reassembly::new(0),
            flight: Flight::new(peer, 0, cx),
            state: State::Hello,
        };
        handshake.say_hello(cx);
        handshake
    }

    pub(super) const fn peer(&self) -> SocketAddr {
        self.flight.peer()
    }

    /// The id that was offered.
    pub(super) fn connection_id(&self) -> ConnectionId {
        self.connection_id.unwrap_or_default()
    }

    /// As [`Flight::timing`] says.
    pub(super) fn timing(&mut self) -> (Instant, &mut Option<Instant>) {
        self.flight.timing()
    }

    /// Takes a part of one of the server's messages.
    pub(super) fn handle_fragment(
        &mut self,
        fragment: &Fragment<'_>,
        cx: &mut Context,
    ) -> Progress {
        match (&self.state, fragment.kind) {
            (State::Hello, MessageType::HelloVerifyRequest) => {
                self.handle_hello_verify_request(fragment, cx);
                Progress::Waiting
            }
            // Too late.
            (_, MessageType::HelloVerifyRequest) => Progress::Waiting,
            (State::Hello | State::HelloDone { .. }, _) => {
                self.messages.insert(fragment, cx.config.max_message);
                while let Some(message) = self.messages.pop() {
                    if let Err(alert) = self.handle_message(&message, cx) {
                        self.flight.refuse(alert, cx);
                        return Progress::Failed;
                    }
                }
                Progress::Waiting
            }
            // The server repeats its flight because ours was lost.
            (State::Finished(_), MessageType::ServerHelloDone) => {
                self.flight.handle_repetition(cx);
                Progress::Waiting
            }
            _ => Progress::Waiting,
        }
    }

    /// Takes a record under new keys; `None` when it is not one of this handshake.
    pub(super) fn handle_record(
        &mut self,
        record: &Record<'_>,
        cx: &mut Context,
    ) -> Option<Progress> {
        let State::Finished(finishing) = &mut self.state else {
            return None;
        };
        Some(match finishing.read(record, &mut self.messages, cx)? {
            LastWord::Nothing => Progress::Waiting,
            LastWord::Finished(message) => self.finish(&message, cx),
            LastWord::Refusal => Progress::Failed,
        })
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Context) -> Due {
        self.flight.handle_timeout(cx)
    }

    fn say_hello(&mut self, cx: &mut Context) {
        let extensions = Extensions {
            encrypt_then_mac: cx.config.suites.iter().copied().any(needs_encrypt_then_mac),
            extended_master_secret: true,
            connection_id: self.connection_id.as_ref().map(ConnectionId::as_bytes),
            ..Extensions::default()
        };
        let suites = cx.config.suites.iter().map(|suite| suite.number());
        let body = client_hello(&self.random, &self.cookie, suites, extensions);
        // Only the last ClientHello counts. (RFC 6347, 4.2.1)
        self.transcript = Sha256::new();
        let hello = self.message(MessageType::ClientHello, &body);
        self.flight.send(Vec::from([Part::Plain(hello)]), cx);
    }

    /// Our next message, which enters the transcript.
    fn message(&mut self, kind: MessageType, body: &[u8]) -> Message {
        let message = Message::new(kind, self.next_number, body);
        self.next_number = self.next_number.wrapping_add(1);
        self.transcript.update(message.bytes());
        message
    }

    fn handle_hello_verify_request(&mut self, fragment: &Fragment<'_>, cx: &mut Context) {
        // It has the number of what it answers, as far as the server can know. One that answers an earlier hello, or that of
        // a stranger at the same address, would lead nowhere.
        let answers_ours = fragment.number.wrapping_add(1) == self.next_number;
        let cookie = fragment.whole().and_then(parse_hello_verify_request);
        let Some(cookie) = cookie.filter(|_| answers_ours) else {
            return;
        };
        if self.cookies < MAX_COOKIES {
            self.cookies = self.cookies.saturating_add(1);
            self.cookie = cookie.to_vec();
            self.messages = Reassembly::new(self.next_number);
            self.say_hello(cx);
        }
    }

    fn handle_message(&mut self, message: &Message, cx: &mut Context) -> Result<(), Alert> {
        match (&mut self.state, message.kind()) {
            (State::Hello, MessageType::ServerHello) => {
                self.transcript.update(message.bytes());
                self.handle_server_hello(message.body(), cx)
            }
            (State::HelloDone { has_hint, .. }, MessageType::ServerKeyExchange) if !*has_hint => {
                *has_hint = true;
                self.transcript.update(message.bytes());
                // The hint is for clients with several identities.
                key_exchange::parse(message.body())
                    .map(drop)
                    .ok_or(Alert::DecodeError)
            }
            (
                State::HelloDone {
                    suite,
                    extended_master_secret,
                    randoms,
                    servers_id,
                    ..
                },
                MessageType::ServerHelloDone,
            ) if message.body().is_empty() => {
                let (suite, extended, randoms) = (*suite, *extended_master_secret, *randoms);
                let servers_id = servers_id.take();
                self.transcript.update(message.bytes());
                self.send_last_flight(suite, extended, &randoms, servers_id, cx);
                Ok(())
            }
            _ => Err(Alert::UnexpectedMessage),
        }
    }

    fn handle_server_hello(&mut self, body: &[u8], cx: &Context) -> Result<(), Alert> {
        let hello = ServerHello::parse(body).ok_or(Alert::DecodeError)?;
        if hello.version != DTLS_1_2 {
            return Err(Alert::ProtocolVersion);
        }
        let suite = CipherSuite::try_from(hello.suite)
            .ok()
            .filter(|suite| cx.config.suites.contains(suite));
        let Some(suite) = suite.filter(|_| hello.chose_no_compression()) else {
            return Err(Alert::IllegalParameter);
        };
        // Nothing may be answered that was not asked. (RFC 5246, 7.4.1.4)
        let servers_id = hello.extensions.connection_id;
        let unasked = servers_id.is_some() && self.connection_id.is_none();
        if hello.extensions.others || unasked {
            return Err(Alert::UnsupportedExtension);
        }
        if hello.extensions.encrypt_then_mac != needs_encrypt_then_mac(suite) {
            return Err(Alert::HandshakeFailure);
        }
        let extended_master_secret = hello.extensions.extended_master_secret;
        if cx.config.require_extended_master_secret && !extended_master_secret {
            return Err(Alert::HandshakeFailure);
        }
        self.state = State::HelloDone {
            has_hint: false,
            suite,
            extended_master_secret,
            randoms: Randoms {
                client: self.random,
                server: hello.random,
            },
            servers_id: servers_id.map(Box::from),
        };
        Ok(())
    }

    fn send_last_flight(
        &mut self,
        suite: CipherSuite,
        extended: bool,
        randoms: &Randoms,
        servers_id: Option<Box<[u8]>>,
        cx: &mut Context,
    ) {
        let body = key_exchange::encode(&self.identity);
        let key_exchange = self.message(MessageType::ClientKeyExchange, &body);
        let master = MasterSecret::derive(&self.key, extended, randoms, &self.transcript);
        let keys = master.key_pair(suite, randoms);
        // Ids are in use when both sides speak of them.
        let own_id = self.connection_id.filter(|_| servers_id.is_some());
        self.flight
            .protect(keys.client, servers_id.unwrap_or_default());
        let data = master.verify_data(Side::Client, &self.transcript);
        let finished = self.message(MessageType::Finished, &data);
        let parts = Vec::from([
            Part::Plain(key_exchange),
            Part::ChangeCipherSpec,
            Part::Protected(finished),
        ]);
        self.flight.send(parts, cx);
        let inbound = Inbound::new(keys.server, own_id.unwrap_or_default());
        self.state = State::Finished(Finishing { master, inbound });
    }

    fn finish(&mut self, finished: &Message, cx: &mut Context) -> Progress {
        let State::Finished(finishing) = &mut self.state else {
            return Progress::Waiting;
        };
        let genuine = finishing.verifies(Side::Server, &self.transcript, finished);
        let (peer, outbound) = (self.flight.peer(), self.flight.take_outbound());
        let inbound = finishing.inbound.take();
        // Dropped where they are, the secrets are wiped there.
        self.state = State::Over;
        let identity = mem::take(&mut self.identity).into();
        let mut session = Session::client(peer, identity, outbound, inbound);
        if !genuine {
            // The server has a session by now.
            session.close(Alert::DecryptError, cx);
            return Progress::Failed;
        }
        Progress::Established(Box::new(session))
    }
}
