//! An endpoint with one session, whose peer, application and clock do anything.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use coap_psk::dtls::{DtlsEndpoint, DtlsEvent, HandshakeId, SessionId, Transmit};
use coap_psk::limit::Rate;
use coap_psk::{
    Code, Config, Endpoint, Error, Event, ExchangeId, Instant, Method, Output, PskKey, Request,
    Response, codec,
};

const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;
/// The only session.
const SESSION: SessionId = SessionId(1);
/// Where a body begins behind the headers of a record and of a handshake message.
const BODY: usize = 25;

/// What the application answers.
const CODES: [Code; 4] = [
    Code::CONTENT,
    Code::CHANGED,
    Code::NOT_FOUND,
    Code::SERVICE_UNAVAILABLE,
];

/// Steps, each a byte that says what happens and a byte that says how much, and the bytes it takes.
pub fn endpoint(bytes: &[u8]) {
    let mut run = Run::new();
    let mut rest = bytes;
    while let Some((&[step, much], tail)) = rest.split_first_chunk::<2>() {
        let (own, tail) = tail.split_at(usize::from(much).min(tail.len()));
        // Only steps that bring bytes take any.
        rest = if step % 8 < 2 { tail } else { &rest[2..] };
        run.take(step % 8, step / 8, much, own);
        run.drain();
        run.endpoint.handle_timeout(run.now);
        run.drain();
        if let Some(deadline) = run.endpoint.next_deadline() {
            assert!(deadline > run.now, "a timeout that makes no progress");
        }
    }
    run.endpoint.close(SESSION, run.now);
    run.drain();
    for (exchange, ends) in run.ends {
        assert_eq!(ends, 1, "{exchange:?}");
    }
}

struct Run {
    endpoint: Endpoint<Clear>,
    now: Instant,
    asked: Vec<ExchangeId>,
    begun: Vec<ExchangeId>,
    /// How often each exchange of ours has ended.
    ends: BTreeMap<ExchangeId, usize>,
}

impl Run {
    fn new() -> Self {
        let mut config = Config::default();
        config.max_body = 8 * 1024;
        config.max_transfer_bytes = 16 * 1024;
        config.max_remembered_bytes = 4 * 1024;
        let few = Rate::new(4, Duration::from_secs(4));
        config.limits.hellos = few;
        config.limits.handshakes = few;
        config.limits.format_errors = few;
        config.limits.max_networks = 4;
        let mut run = Self {
            endpoint: Endpoint::new(config, Clear::default(), [1; 32]),
            now: Instant::from_micros(1),
            asked: Vec::new(),
            begun: Vec::new(),
            ends: BTreeMap::new(),
        };
        let named = [&[0; BODY][..], b"product,device,2,300"].concat();
        run.datagram(0, HANDSHAKE, &named);
        run.drain();
        run
    }

    fn datagram(&mut self, network: u8, kind: u8, bytes: &[u8]) {
        let mut datagram = bytes.to_vec();
        if let Some(first) = datagram.first_mut() {
            *first = kind;
        }
        let from = SocketAddr::from(([10, 0, 0, network], 5684));
        self.endpoint.handle_datagram(from, &datagram, self.now);
    }

    fn take(&mut self, step: u8, variety: u8, much: u8, own: &[u8]) {
        let (body, index) = (vec![much; usize::from(much) * 32], usize::from(much));
        let now = self.now;
        match step {
            0 => self.datagram(0, DATA, &[&[0], own].concat()),
            1 => self.datagram(variety, HANDSHAKE, own),
            2 | 3 => {
                let Ok(request) = Request::new(Method::Put, "/a/b?c") else {
                    return;
                };
                let request = request.with_payload(50, body);
                let begun = if step == 2 {
                    self.endpoint.request(SESSION, request, now)
                } else {
                    self.endpoint.observe(SESSION, request, now)
                };
                if let Ok(exchange) = begun {
                    self.begun.push(exchange);
                    self.ends.insert(exchange, 0);
                }
            }
            4 => {
                let Some(exchange) = self.asked.pop() else {
                    return;
                };
                let mut response = Response::new(CODES[usize::from(variety / 2) % CODES.len()]);
                response.observable = variety % 2 == 1;
                response.payload = body.into();
                let answered = self.endpoint.respond(exchange, response, now);
                assert!(answered.is_ok(), "a response within the limits");
            }
            5 => {
                let response = Response::new(Code::CONTENT).with_payload(50, body);
                let told = self.endpoint.notify(SESSION, "/a", &response, now);
                assert!(told.is_ok(), "a notification within the limits");
            }
            6 => {
                if let Some(exchange) = self.begun.get(index) {
                    self.endpoint.cancel(*exchange, now);
                }
            }
            _ => {
                let millis = u64::from(variety) * u64::from(much) * 16;
                self.now = now.saturating_add(Duration::from_millis(millis));
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    assert!(
                        codec::parse(&transmit.datagram).is_ok(),
                        "what is sent is in order"
                    );
                }
                Output::KeyWanted { handshake, .. } => {
                    let key = (handshake.0 == SESSION.0).then(|| PskKey::new([1; 16]));
                    self.endpoint.provide_key(handshake, key, self.now);
                }
                Output::Request { exchange, .. } => self.asked.push(exchange),
                Output::Event(
                    Event::Response { exchange, .. } | Event::Failed { exchange, .. },
                ) => *self.ends.entry(exchange).or_default() += 1,
                Output::Event(_) => {}
            }
        }
    }
}

/// An engine without a cipher, with one session.
#[derive(Default)]
struct Clear {
    handshakes: u64,
    events: VecDeque<DtlsEvent>,
    transmits: VecDeque<Transmit>,
}

impl DtlsEndpoint for Clear {
    fn handle_datagram(&mut self, _from: SocketAddr, datagram: &[u8], _now: Instant) {
        match (datagram.first(), datagram.get(BODY..)) {
            (Some(&DATA), _) => self.events.push_back(DtlsEvent::Data {
                session: SESSION,
                data: datagram[1..].to_vec(),
            }),
            (Some(&HANDSHAKE), Some(identity)) => {
                self.handshakes += 1;
                self.events.push_back(DtlsEvent::NeedKey {
                    handshake: HandshakeId(self.handshakes),
                    identity: identity.to_vec(),
                });
            }
            _ => {}
        }
    }

    fn provide_key(&mut self, _: HandshakeId, key: Option<PskKey>, _now: Instant) {
        if key.is_some() {
            self.events.push_back(DtlsEvent::Established {
                session: SESSION,
                peer: SocketAddr::from(([10, 0, 0, 0], 5684)),
                identity: b"product,device,2,300".to_vec(),
            });
        }
    }

    fn send(&mut self, _: SessionId, data: &[u8], _now: Instant) -> Result<(), Error> {
        self.transmits.push_back(Transmit {
            to: SocketAddr::from(([10, 0, 0, 0], 5684)),
            datagram: data.to_vec(),
        });
        Ok(())
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
        Err(coap_psk::ErrorKind::Full.into())
    }

    fn close(&mut self, _: SessionId, _now: Instant) {}
}
