//! Targets of coap-psk's own DTLS engine.

use std::collections::{BTreeSet, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};

use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::dtls::{DtlsEndpoint as _, DtlsEvent, SessionId, ShardNumber};
use coap_psk::{CipherSuite, Instant, PskKey};

pub use keyed::keyed;

mod keyed;

const KEY: [u8; 16] = [7; 16];
const SHARD: ShardNumber = ShardNumber(9);

/// What comes after so many records does nothing new.
const MAX_STEPS: usize = 128;

/// Datagrams at a server, each after its length in two bytes, from two addresses in turn.
pub fn endpoint(bytes: &[u8]) {
    // The seed is always the same, so that a seed of the corpus can hold a cookie.
    let mut server = PskEndpoint::new(PskConfig::default(), [1; 32]);
    let neighbour = PskEndpoint::new(on_shard(PskConfig::default()), [1; 32]);
    let addresses = [1_u16, 2].map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
    let mut rest = bytes;
    let now = Instant::ZERO;
    for address in addresses.into_iter().cycle() {
        let Some((length, tail)) = rest.split_first_chunk::<2>() else {
            break;
        };
        let length = usize::from(u16::from_be_bytes(*length)).min(tail.len());
        let (datagram, tail) = tail.split_at(length);
        rest = tail;
        assert_eq!(server.shard_of(datagram), None, "it is alone");
        neighbour.shard_of(datagram);
        server.handle_datagram(address, datagram, now);
        let mut answered = 0;
        while let Some(event) = server.poll_event() {
            match event {
                DtlsEvent::NeedKey { handshake, .. } => server.provide_key(handshake, None, now),
                other => panic!("without a key: {other:?}"),
            }
        }
        while let Some(out) = server.poll_transmit() {
            assert_eq!(out.to, address);
            answered += out.datagram.len();
        }
        // Whoever claims an address gets little sent there.
        assert!(
            answered <= length.saturating_mul(3),
            "{answered} for {length}"
        );
    }
}

/// Records of an established session, altered, repeated and sent on from elsewhere in any order: four bytes say which one, from
/// where, and what is altered where.
pub fn record(bytes: &[u8]) {
    for suite in CipherSuite::ALL {
        let mut pair = Pair::new(suite);
        let session = pair.connect();
        pair.pass_on(&[]);
        let at_server = pair.established.expect("a session");
        let sent: Vec<_> = (0..8_u8)
            .map(|number| {
                pair.client
                    .send(session, &[number; 3], Instant::ZERO)
                    .expect("a session");
                pair.client.poll_transmit().expect("a record").datagram
            })
            .collect();
        let elsewhere = SocketAddr::from(([198, 51, 100, 1], 1_024));
        let (mut arrived, mut peer) = (BTreeSet::new(), client_at());
        for step in bytes.chunks_exact(4).take(MAX_STEPS) {
            let which = usize::from(step[0]) % sent.len();
            let mut datagram = sent[which].clone();
            let at = usize::from(u16::from_be_bytes([step[1], step[2]])) % datagram.len();
            datagram[at] ^= step[3];
            let from = if step[0] & 0x80 == 0 {
                client_at()
            } else {
                elsewhere
            };
            let genuine = step[3] == 0;
            let named = pair.server.shard_of(&datagram);
            assert!(!genuine || named == Some(SHARD), "{named:?}");
            pair.server.handle_datagram(from, &datagram, Instant::ZERO);
            let newest = arrived.last().is_none_or(|last| which > *last);
            let expected = genuine && arrived.insert(which);
            let mut event = pair.server.poll_event();
            if expected && newest && from != peer {
                let moved = DtlsEvent::Moved {
                    session: at_server,
                    from: peer,
                    to: from,
                };
                assert_eq!(event, Some(moved), "it must be followed");
                peer = from;
                event = pair.server.poll_event();
            }
            match event {
                Some(DtlsEvent::Data { data, .. }) => {
                    assert!(expected, "a record that was altered or came before");
                    assert_eq!(data, [u8::try_from(which).expect("few"); 3]);
                }
                None => assert!(!expected, "a genuine record is refused"),
                other => panic!("{other:?}"),
            }
        }
    }
}

/// A handshake over a wire that does to its datagrams what the bytes say; then the wire is good again.
pub fn handshake(bytes: &[u8]) {
    let (first, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let suite = CipherSuite::ALL[usize::from(first & 1)];
    let mut pair = Pair::new(suite);
    let session = pair.connect();
    pair.pass_on(rest);
    assert!(pair.client.next_deadline().is_none(), "it does not end");
    assert!(pair.server.next_deadline().is_none(), "it does not end");
    let (client, server) = (pair.client.sessions(), pair.server.sessions());
    assert!(client <= server, "the server ends a handshake first");
    if client == 1 {
        let now = pair.now;
        pair.client.send(session, b"up", now).expect("a session");
        let up = pair.client.poll_transmit().expect("a record").datagram;
        pair.server.handle_datagram(client_at(), &up, now);
        assert!(
            matches!(pair.server.poll_event(), Some(DtlsEvent::Data { data, .. }) if data == b"up")
        );
    }
}

/// What is read as a saved session goes on as it was saved; anything else is refused and changes nothing.
pub fn saved(bytes: &[u8]) {
    let now = Instant::ZERO;
    let import = |bytes, reserved_records| {
        let mut config = PskConfig::default();
        config.reserved_records = reserved_records;
        let mut endpoint = PskEndpoint::new(config, [1; 32]);
        let session = endpoint.import(bytes, now);
        assert_eq!(endpoint.sessions(), usize::from(session.is_ok()));
        session.ok().map(|session| (endpoint, session))
    };
    let Some((mut endpoint, session)) = import(bytes, 0) else {
        return;
    };
    // Nothing was reserved, so it is as it was.
    let saved = endpoint.export(session, now).expect("a session");
    assert_eq!(saved.expose(), bytes);
    let (mut endpoint, session) = import(bytes, 1).expect("what was read once");
    assert!(
        endpoint.send(session, b"", now).is_err(),
        "nothing is reserved"
    );
    let saved = endpoint.export(session, now).expect("a session");
    endpoint.handle_stored(&saved, now);
    endpoint.confirm_path(session, now);
    let left = endpoint.records_left(session).expect("a session");
    assert_eq!(endpoint.send(session, b"", now).is_ok(), left == 1);
    let Some(out) = endpoint.poll_transmit() else {
        return;
    };
    assert!(
        endpoint.send(session, b"", now).is_err(),
        "one was reserved"
    );
    // What it sends to itself has other keys, unless somebody chose the same.
    endpoint.handle_datagram(out.to, &out.datagram, now);
    import(saved.expose(), 1).expect("what was saved is read");
}

fn client_at() -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, 1), 40_000).into()
}

fn server_at() -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, 2), 5_684).into()
}

fn on_shard(mut config: PskConfig) -> PskConfig {
    config.shard = Some(SHARD);
    config
}

struct Pair {
    client: PskEndpoint,
    server: PskEndpoint,
    now: Instant,
    /// The last session of the server.
    established: Option<SessionId>,
    /// Whether it goes to the server, and the bytes.
    wire: VecDeque<(bool, Vec<u8>)>,
}

fn config(suite: CipherSuite) -> PskConfig {
    let mut config = PskConfig::default();
    config.suites = vec![suite];
    // Narrow, so that there are fragments.
    config.mtu = 0;
    config.identity_hint = Some(vec![b'h'; 150]);
    config
}

impl Pair {
    fn new(suite: CipherSuite) -> Self {
        Self::with(config(suite))
    }

    fn with(config: PskConfig) -> Self {
        Self {
            client: PskEndpoint::new(config.clone(), [2; 32]),
            server: PskEndpoint::new(on_shard(config), [1; 32]),
            now: Instant::ZERO,
            established: None,
            wire: VecDeque::new(),
        }
    }

    fn connect(&mut self) -> SessionId {
        self.client
            .connect(server_at(), b"pk,dk,2,60", PskKey::new(KEY), self.now)
            .expect("there is room")
    }

    /// Lets the two talk until nothing is left to happen. Each datagram takes an instruction while there are any.
    fn pass_on(&mut self, mut instructions: &[u8]) {
        loop {
            self.drain();
            if let Some((to_server, datagram)) = self.wire.pop_front() {
                for datagram in alter(datagram, &mut instructions) {
                    if to_server {
                        self.server
                            .handle_datagram(client_at(), &datagram, self.now);
                    } else {
                        self.client
                            .handle_datagram(server_at(), &datagram, self.now);
                    }
                }
                continue;
            }
            let deadlines = [self.client.next_deadline(), self.server.next_deadline()];
            let Some(next) = deadlines.into_iter().flatten().min() else {
                return;
            };
            self.now = next;
            self.client.handle_timeout(next);
            self.server.handle_timeout(next);
        }
    }

    fn drain(&mut self) {
        while let Some(event) = self.server.poll_event() {
            match event {
                DtlsEvent::NeedKey { handshake, .. } => {
                    let key = Some(PskKey::new(KEY));
                    self.server.provide_key(handshake, key, self.now);
                }
                DtlsEvent::Established { session, .. } => self.established = Some(session),
                _ => {}
            }
        }
        while self.client.poll_event().is_some() {}
        while let Some(out) = self.client.poll_transmit() {
            self.wire.push_back((true, out.datagram));
        }
        while let Some(out) = self.server.poll_transmit() {
            self.wire.push_back((false, out.datagram));
        }
    }
}

/// What becomes of a datagram.
fn alter(mut datagram: Vec<u8>, instructions: &mut &[u8]) -> Vec<Vec<u8>> {
    let Some(([action, a, b], rest)) = instructions.split_first_chunk::<3>() else {
        return vec![datagram];
    };
    *instructions = rest;
    match action % 8 {
        4 => Vec::new(),
        5 => vec![datagram.clone(), datagram],
        6 => {
            let at = usize::from(*a) % datagram.len();
            datagram[at] ^= b;
            vec![datagram]
        }
        7 => {
            let len = usize::from(*a).min(rest.len());
            let (inserted, rest) = rest.split_at(len);
            *instructions = rest;
            vec![inserted.to_vec(), datagram]
        }
        _ => vec![datagram],
    }
}
