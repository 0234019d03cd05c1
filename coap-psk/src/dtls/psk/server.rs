//! The server's side of a handshake, from the returned cookie on.
//!
//! ```text
//!  ClientHello with cookie ─▶ ServerHello, (hint), ServerHelloDone   KeyExchange    sent again until the identity comes
//!  ClientKeyExchange ─▶ NeedKey                                      Key            records under new keys wait
//!  provide_key                                                       Finished       the client repeats its flight
//!  Finished ─▶ ChangeCipherSpec, Finished                            a Session
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;
use core::net::SocketAddr;

use sha2::{Digest, Sha256};

use super::agreement::Agreement;
use super::alert::Alert;
use super::connection_id::ConnectionId;
use super::context::Context;
use super::extension::Extensions;
use super::finishing::{Finishing, LastWord, Progress};
use super::flight::{Flight, Part};
use super::hello::{ClientHello, ServerHello};
use super::key_exchange;
use super::keys::{MasterSecret, Randoms, Side};
use super::message::{Fragment, Message, MessageType};
use super::reassembly::Reassembly;
use super::record::{ContentType, Header, Record};
use super::session::Session;
use super::timer::Due;
use super::traffic::Inbound;
use crate::secret::PskKey;
use crate::suite::CipherSuite;
use crate::time::Instant;

/// How many records may wait for a key: more than a Finished and its copies need.
const MAX_HELD: usize = 8;

enum State {
    KeyExchange,
    Key,
    Finished(Finishing),
    Over,
}

/// A record that came before the key.
pub(super) struct Held {
    content: ContentType,
    epoch: u16,
    sequence: u64,
    connection_id: ConnectionId,
    body: Vec<u8>,
}

impl Held {
    pub(super) fn record(&self) -> Record<'_> {
        Record {
            header: Header {
                content: self.content,
                epoch: self.epoch,
                sequence: self.sequence,
                connection_id: self.connection_id.as_bytes(),
            },
            body: &self.body,
        }
    }
}

pub(super) struct ServerHandshake {
    /// The number of the ClientHello.
    hello_number: u16,
    suite: CipherSuite,
    extended_master_secret: bool,
    /// The id in what the client sends, or none.
    connection_id: ConnectionId,
    /// The id in what the client wants to be sent, or none.
    peers_id: Box<[u8]>,
    randoms: Randoms,
    identity: Vec<u8>,
    transcript: Sha256,
    messages: Reassembly,
    flight: Flight,
    /// The number of our Finished, which follows the first flight.
    finished_number: u16,
    held: Vec<Held>,
    state: State,
}

impl ServerHandshake {
    /// Answers a ClientHello whose cookie is right, which came in the record of this sequence number. With `connection_id`
    /// there are ids in both directions, which may be empty.
    pub(super) fn begin(
        peer: SocketAddr,
        sequence: u64,
        fragment: &Fragment<'_>,
        hello: &ClientHello<'_>,
        agreement: &Agreement<'_>,
        connection_id: Option<ConnectionId>,
        cx: &mut Context,
    ) -> Self {
        let randoms = Randoms {
            client: hello.random,
            server: cx.random(),
        };
        let suite = agreement.suite;
        let peers_id = agreement.connection_id.filter(|_| connection_id.is_some());
        let extensions = Extensions {
            connection_id: connection_id.as_ref().map(ConnectionId::as_bytes),
            ..agreement.extensions
        };
        let answer = ServerHello::new(randoms.server, suite.number(), extensions).encode();
        let hint = cx.config.identity_hint.as_deref().map(key_exchange::encode);
        let bodies = [
            Some((MessageType::ServerHello, answer)),
            hint.map(|hint| (MessageType::ServerKeyExchange, hint)),
            Some((MessageType::ServerHelloDone, Vec::new())),
        ];
        let hello = Message::new(fragment.kind, fragment.number, fragment.body);
        let mut transcript = Sha256::new_with_prefix(hello.bytes());
        let mut parts = Vec::new();
        // Numbers go on where the client is: the server that sent the HelloVerifyRequest remembers nothing of it. The same
        // holds for the records. (RFC 6347, 4.2.1 and 4.2.2)
        let mut number = fragment.number;
        for (kind, body) in bodies.into_iter().flatten() {
            let message = Message::new(kind, number, &body);
            transcript.update(message.bytes());
            parts.push(Part::Plain(message));
            number = number.wrapping_add(1);
        }
        let mut flight = Flight::new(peer, sequence, cx);
        flight.send(parts, cx);
        Self {
            hello_number: fragment.number,
            suite,
            extended_master_secret: extensions.extended_master_secret,
            connection_id: connection_id.unwrap_or_default(),
            peers_id: peers_id.unwrap_or_default().into(),
            randoms,
            identity: Vec::new(),
            transcript,
            messages: Reassembly::new(fragment.number.wrapping_add(1)),
            flight,
            finished_number: number,
            held: Vec::new(),
            state: State::KeyExchange,
        }
    }

    pub(super) const fn peer(&self) -> SocketAddr {
        self.flight.peer()
    }

    pub(super) fn identity(&self) -> &[u8] {
        &self.identity
    }

    pub(super) const fn connection_id(&self) -> ConnectionId {
        self.connection_id
    }

    /// As [`Flight::timing`] says.
    pub(super) fn timing(&mut self) -> (Instant, &mut Option<Instant>) {
        self.flight.timing()
    }

    /// Whether this hello is the one that began the handshake.
    pub(super) fn began_with(&self, hello: &ClientHello<'_>, number: u16) -> bool {
        self.randoms.client == hello.random && self.hello_number == number
    }

    /// Takes the ClientHello once more: the answer to it was lost.
    pub(super) fn handle_repeated_hello(&mut self, cx: &mut Context) {
        if matches!(self.state, State::KeyExchange) {
            self.flight.handle_repetition(cx);
        }
    }

    /// Takes a part of the ClientKeyExchange.
    pub(super) fn handle_fragment(
        &mut self,
        fragment: &Fragment<'_>,
        cx: &mut Context,
    ) -> Progress {
        // What comes in clear must not take the place of a later message.
        if !matches!(self.state, State::KeyExchange) || fragment.number != self.messages.next() {
            return Progress::Waiting;
        }
        self.messages.insert(fragment, cx.config.max_message);
        let Some(message) = self.messages.pop() else {
            return Progress::Waiting;
        };
        let Some(identity) = key_exchange::parse(message.body()) else {
            return self.refuse(Alert::DecodeError, cx);
        };
        self.identity = identity.to_vec();
        self.transcript.update(message.bytes());
        self.state = State::Key;
        self.flight.stop();
        Progress::NeedKey
    }

    /// Takes the key, and gives back the records that waited for it; `None` when no key was wanted.
    pub(super) fn provide_key(
        &mut self,
        key: Option<PskKey>,
        cx: &mut Context,
    ) -> Option<Vec<Held>> {
        if !matches!(self.state, State::Key) {
            return None;
        }
        // Drawn for known identities as well, so that both take the same time.
        let nobodys = PskKey::new(cx.random());
        let key = key.unwrap_or(nobodys);
        let extended = self.extended_master_secret;
        let master = MasterSecret::derive(&key, extended, &self.randoms, &self.transcript);
        let keys = master.key_pair(self.suite, &self.randoms);
        self.flight
            .protect(keys.server, mem::take(&mut self.peers_id));
        let inbound = Inbound::new(keys.client, self.connection_id);
        self.state = State::Finished(Finishing { master, inbound });
        Some(mem::take(&mut self.held))
    }

    /// Takes a record under new keys; `None` when it is not one of this handshake, as far as can be known.
    pub(super) fn handle_record(
        &mut self,
        record: &Record<'_>,
        cx: &mut Context,
    ) -> Option<Progress> {
        let State::Finished(finishing) = &mut self.state else {
            self.hold(record, cx);
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

    fn hold(&mut self, record: &Record<'_>, cx: &Context) {
        let held: usize = self.held.iter().map(|held| held.body.len()).sum();
        if self.held.len() < MAX_HELD
            && held.saturating_add(record.body.len()) <= cx.config.max_message
            && record.header.connection_id == self.connection_id.as_bytes()
        {
            let Header {
                content,
                epoch,
                sequence,
                ..
            } = record.header;
            self.held.push(Held {
                content,
                epoch,
                sequence,
                connection_id: self.connection_id,
                body: record.body.to_vec(),
            });
        }
    }

    fn finish(&mut self, finished: &Message, cx: &mut Context) -> Progress {
        let State::Finished(finishing) = &mut self.state else {
            return Progress::Waiting;
        };
        if !finishing.verifies(Side::Client, &self.transcript, finished) {
            return self.refuse(Alert::DecryptError, cx);
        }
        self.transcript.update(finished.bytes());
        let data = finishing.master.verify_data(Side::Server, &self.transcript);
        let answer = Message::new(MessageType::Finished, self.finished_number, &data);
        let (peer, outbound) = (self.flight.peer(), self.flight.take_outbound());
        let inbound = finishing.inbound.take();
        // Dropped where they are, the secrets are wiped there.
        self.state = State::Over;
        let identity = mem::take(&mut self.identity).into();
        let session = Session::server(peer, identity, outbound, inbound, answer, cx);
        Progress::Established(Box::new(session))
    }

    fn refuse(&mut self, alert: Alert, cx: &mut Context) -> Progress {
        self.flight.refuse(alert, cx);
        Progress::Failed
    }
}
