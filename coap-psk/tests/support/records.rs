//! A DTLS engine that looks like one on the outside and believes everybody: for tests of who may ask how much.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use coap_psk::dtls::{DtlsEndpoint, DtlsEvent, HandshakeId, SessionId, Transmit};
use coap_psk::{Config, Endpoint, Error, ErrorKind, Event, Instant, Output, PskKey};

const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;
const CLIENT_HELLO: u8 = 1;
const CLIENT_KEY_EXCHANGE: u8 = 16;

/// What the engine was given.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Taken {
    /// ClientHellos.
    pub(crate) hellos: usize,
    /// Handshakes that named an identity.
    pub(crate) handshakes: usize,
    /// Handshakes that were given no key.
    pub(crate) refused: usize,
}

#[derive(Default)]
pub(crate) struct Records {
    next: u64,
    waiting: BTreeMap<HandshakeId, (SocketAddr, Vec<u8>)>,
    sessions: BTreeMap<SocketAddr, SessionId>,
    events: VecDeque<DtlsEvent>,
    transmits: VecDeque<Transmit>,
    taken: std::rc::Rc<std::cell::RefCell<Taken>>,
}

impl DtlsEndpoint for Records {
    fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], _now: Instant) {
        match (datagram[0], datagram[13]) {
            (HANDSHAKE, CLIENT_HELLO) => self.taken.borrow_mut().hellos += 1,
            (HANDSHAKE, CLIENT_KEY_EXCHANGE) => {
                self.taken.borrow_mut().handshakes += 1;
                self.next += 1;
                let (handshake, identity) = (HandshakeId(self.next), datagram[25..].to_vec());
                self.waiting.insert(handshake, (from, identity.clone()));
                self.events.push_back(DtlsEvent::NeedKey {
                    handshake,
                    identity,
                });
            }
            (DATA, _) => {
                if let Some(session) = self.sessions.get(&from) {
                    self.events.push_back(DtlsEvent::Data {
                        session: *session,
                        data: datagram[13..].to_vec(),
                    });
                }
            }
            _ => {}
        }
    }

    fn provide_key(&mut self, handshake: HandshakeId, key: Option<PskKey>, _now: Instant) {
        let Some((peer, identity)) = self.waiting.remove(&handshake) else {
            return;
        };
        if key.is_none() {
            self.taken.borrow_mut().refused += 1;
            return;
        }
        let session = SessionId(handshake.0);
        self.sessions.insert(peer, session);
        self.events.push_back(DtlsEvent::Established {
            session,
            peer,
            identity,
        });
    }

    fn send(&mut self, session: SessionId, data: &[u8], _now: Instant) -> Result<(), Error> {
        let to = self
            .sessions
            .iter()
            .find(|(_, id)| **id == session)
            .map(|(peer, _)| *peer)
            .ok_or(ErrorKind::UnknownSession)?;
        self.transmits.push_back(Transmit {
            to,
            datagram: data.to_vec(),
        });
        Ok(())
    }

    fn close(&mut self, session: SessionId, _now: Instant) {
        self.sessions.retain(|_, id| *id != session);
    }

    fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.events.pop_front()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    fn connect(
        &mut self,
        _to: SocketAddr,
        _identity: &[u8],
        _key: PskKey,
        _now: Instant,
    ) -> Result<SessionId, Error> {
        Err(ErrorKind::Full.into())
    }
}

fn handshake_message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u8::try_from(body.len()).unwrap();
    let header = [kind, 0, 0, length, 0, 0, 0, 0, 0, 0, 0, length];
    record(HANDSHAKE, 0, &[&header[..], body].concat())
}

fn record(kind: u8, epoch: u8, fragment: &[u8]) -> Vec<u8> {
    let length = u16::try_from(fragment.len()).unwrap().to_be_bytes();
    let header = [kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 0];
    [&header[..], &length, fragment].concat()
}

/// A cloud among peers of any address.
pub(crate) struct Cloud {
    pub(crate) endpoint: Endpoint<Records>,
    pub(crate) now: Instant,
    taken: std::rc::Rc<std::cell::RefCell<Taken>>,
    /// Messages that the cloud sent, with the address they went to.
    pub(crate) sent: Vec<(SocketAddr, Vec<u8>)>,
    pub(crate) outputs: Vec<Output>,
}

impl Cloud {
    pub(crate) fn new(config: Config) -> Self {
        let engine = Records::default();
        Self {
            taken: std::rc::Rc::clone(&engine.taken),
            endpoint: Endpoint::new(config, engine, [3; 32]),
            now: Instant::from_micros(1),
            sent: Vec::new(),
            outputs: Vec::new(),
        }
    }

    /// What the engine was given since the last time.
    pub(crate) fn taken(&self) -> Taken {
        std::mem::take(&mut self.taken.borrow_mut())
    }

    pub(crate) fn hello(&mut self, from: SocketAddr) {
        self.datagram(from, &handshake_message(CLIENT_HELLO, b"hello"));
    }

    pub(crate) fn name(&mut self, from: SocketAddr, identity: &str) {
        self.datagram(
            from,
            &handshake_message(CLIENT_KEY_EXCHANGE, identity.as_bytes()),
        );
    }

    /// A device handshakes; its session.
    pub(crate) fn connect(&mut self, from: SocketAddr, identity: &str) -> SessionId {
        self.hello(from);
        self.name(from, identity);
        self.answer_keys(true);
        let online = self.outputs.drain(..).find_map(|output| match output {
            Output::Event(Event::Online { session, .. }) => Some(session),
            _ => None,
        });
        online.expect("a session")
    }

    /// Answers every key that was asked for; how many they were.
    pub(crate) fn answer_keys(&mut self, known: bool) -> usize {
        let mut wanted = 0;
        for output in std::mem::take(&mut self.outputs) {
            match output {
                Output::KeyWanted { handshake, .. } => {
                    wanted += 1;
                    let key = known.then(|| PskKey::new([1; 16]));
                    self.endpoint.provide_key(handshake, key, self.now);
                }
                other => self.outputs.push(other),
            }
        }
        self.drain();
        wanted
    }

    /// A CoAP message of the device at `from` on its session.
    pub(crate) fn message(&mut self, from: SocketAddr, message: &[u8]) {
        self.datagram(from, &record(DATA, 1, message));
    }

    pub(crate) fn datagram(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.endpoint.handle_datagram(from, datagram, self.now);
        self.drain();
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit(transmit) => self.sent.push((transmit.to, transmit.datagram)),
                other => self.outputs.push(other),
            }
        }
    }
}
