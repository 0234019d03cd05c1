//! Two endpoints of the adapter, one as server and one as client, over a wire that the test holds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs
)]

use std::net::SocketAddr;

use coap_psk::dtls::{CloseReason, DtlsEndpoint, DtlsEvent, Handshakes, SessionId, ShardNumber};
use coap_psk::secret::PskKey;
use coap_psk::{Config, Endpoint, ErrorKind, Event, Instant, Output};
use dtls_dimpl::{DimplEndpoint, Limits};

struct Pair {
    server: DimplEndpoint,
    client: DimplEndpoint,
    server_at: SocketAddr,
    client_at: SocketAddr,
    now: Instant,
    key: Option<[u8; 16]>,
    server_events: Vec<DtlsEvent>,
    client_events: Vec<DtlsEvent>,
    /// What went from the server to the client.
    to_client: Vec<Vec<u8>>,
}

impl Pair {
    #[allow(clippy::disallowed_methods)]
    fn new(key: Option<[u8; 16]>) -> Self {
        let origin = std::time::Instant::now();
        Self {
            server: DimplEndpoint::new(Limits::default(), origin),
            client: DimplEndpoint::new(Limits::default(), origin),
            server_at: "127.0.0.1:5684".parse().unwrap(),
            client_at: "127.0.0.1:40000".parse().unwrap(),
            now: Instant::ZERO,
            key,
            server_events: Vec::new(),
            client_events: Vec::new(),
            to_client: Vec::new(),
        }
    }

    fn connect(&mut self, key: [u8; 16]) -> SessionId {
        self.client
            .connect(self.server_at, b"pk,dk,2,30", PskKey::new(key), self.now)
            .unwrap()
    }

    fn settle(&mut self) {
        loop {
            let mut moved = false;
            while let Some(out) = self.client.poll_transmit() {
                moved = true;
                self.server
                    .handle_datagram(self.client_at, &out.datagram, self.now);
            }
            while let Some(event) = self.server.poll_event() {
                moved = true;
                if let DtlsEvent::NeedKey { handshake, .. } = &event {
                    self.server
                        .provide_key(*handshake, self.key.map(PskKey::new), self.now);
                }
                self.server_events.push(event);
            }
            while let Some(out) = self.server.poll_transmit() {
                moved = true;
                self.client
                    .handle_datagram(self.server_at, &out.datagram, self.now);
                self.to_client.push(out.datagram);
            }
            while let Some(event) = self.client.poll_event() {
                moved = true;
                self.client_events.push(event);
            }
            if !moved {
                return;
            }
        }
    }

    /// Lets time pass until nobody has a deadline before `until` seconds.
    fn run_until(&mut self, until: u64) {
        loop {
            self.settle();
            let next = [self.server.next_deadline(), self.client.next_deadline()]
                .into_iter()
                .flatten()
                .min();
            match next {
                Some(at) if at <= Instant::from_micros(until * 1_000_000) => {
                    self.now = self.now.max(at);
                    self.server.handle_timeout(self.now);
                    self.client.handle_timeout(self.now);
                }
                _ => return,
            }
        }
    }

    fn established(&self) -> Vec<SessionId> {
        self.server_events
            .iter()
            .filter_map(|event| match event {
                DtlsEvent::Established { session, .. } => Some(*session),
                _ => None,
            })
            .collect()
    }
}

#[test]
fn a_session_is_established_and_carries_data_both_ways() {
    let mut pair = Pair::new(Some([7; 16]));
    let at_client = pair.connect([7; 16]);
    pair.settle();
    let at_server = *pair.established().first().expect("established");
    pair.client.send(at_client, b"up", pair.now).unwrap();
    pair.server.send(at_server, b"down", pair.now).unwrap();
    pair.settle();
    assert!(pair.server_events.contains(&DtlsEvent::Data {
        session: at_server,
        data: b"up".to_vec()
    }));
    assert!(pair.client_events.contains(&DtlsEvent::Data {
        session: at_client,
        data: b"down".to_vec()
    }));
    pair.client.close(at_client, pair.now);
    pair.settle();
    assert!(pair.server_events.contains(&DtlsEvent::Closed {
        session: at_server,
        reason: CloseReason::Peer
    }));
}

#[test]
fn the_ids_of_one_of_several_endpoints_name_it() {
    let mut pair = Pair::new(Some([7; 16]));
    let Pair { server, .. } = Pair::new(None);
    pair.server = server.on_shard(ShardNumber(3));
    pair.connect([7; 16]);
    pair.settle();
    assert_eq!(pair.server.shard(), ShardNumber(3));
    let established = pair.established();
    assert_eq!(established, [SessionId(ShardNumber(3).first_id())]);
    let asked = pair.server_events.iter().find_map(|event| match event {
        DtlsEvent::NeedKey { handshake, .. } => Some(ShardNumber::from(*handshake)),
        _ => None,
    });
    assert_eq!(asked, Some(ShardNumber(3)));
}

#[test]
fn a_wrong_key_and_an_unknown_identity_look_the_same_and_end_in_nothing() {
    let shape = |key: Option<[u8; 16]>| {
        let mut pair = Pair::new(key);
        pair.connect([1; 16]);
        pair.run_until(120);
        assert_eq!(pair.established(), []);
        assert!(
            pair.client_events
                .iter()
                .any(|event| matches!(event, DtlsEvent::Closed { .. }))
        );
        // Record types and lengths are all that an eavesdropper can compare.
        let mut shape: Vec<_> = pair
            .to_client
            .iter()
            .map(|datagram| (datagram.first().copied(), datagram.len()))
            .collect();
        shape.dedup();
        shape
    };
    assert_eq!(shape(Some([2; 16])), shape(None));
}

#[test]
fn ended_handshakes_are_counted_and_unverified_ones_are_not() {
    let mut pair = Pair::new(Some([2; 16]));
    pair.connect([2; 16]);
    pair.settle();
    assert_eq!(pair.server.handshakes().established, 1);
    pair.connect([1; 16]);
    pair.run_until(120);
    let counts = pair.server.handshakes();
    assert_eq!(counts.established, 1);
    assert_eq!(counts.failed + counts.timed_out, 1);

    let mut pair = Pair::new(Some([2; 16]));
    pair.connect([2; 16]);
    let hello = pair.client.poll_transmit().unwrap();
    pair.server
        .handle_datagram(pair.client_at, &hello.datagram, pair.now);
    for second in 1..120 {
        pair.now = Instant::from_micros(second * 1_000_000);
        pair.server.handle_timeout(pair.now);
    }
    assert_eq!(pair.server.handshakes(), Handshakes::default());
}

#[test]
fn a_second_handshake_from_the_same_address_replaces_the_session_only_when_verified() {
    let mut pair = Pair::new(Some([7; 16]));
    pair.connect([7; 16]);
    pair.settle();
    let first = pair.established();
    // A wrong key first: the session must live through it.
    pair.connect([8; 16]);
    pair.run_until(60);
    assert_eq!(pair.established(), first);
    let closed = |pair: &Pair, session| {
        pair.server_events.iter().any(
            |event| matches!(event, DtlsEvent::Closed { session: gone, .. } if *gone == session),
        )
    };
    assert!(!closed(&pair, first[0]));
    pair.connect([7; 16]);
    pair.settle();
    assert_eq!(pair.established().len(), 2);
    assert!(closed(&pair, first[0]));
}

#[test]
fn junk_and_half_handshakes_change_nothing() {
    let mut pair = Pair::new(Some([7; 16]));
    for junk in [
        &b""[..],
        b"\0",
        &[22; 13],
        &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255],
        &[255; 1500],
    ] {
        pair.server.handle_datagram(pair.client_at, junk, pair.now);
    }
    assert!(pair.server.poll_event().is_none());
    assert!(pair.server.poll_transmit().is_none());
    pair.connect([7; 16]);
    pair.settle();
    assert_eq!(pair.established().len(), 1);
}

#[test]
#[allow(clippy::disallowed_methods)]
fn a_peer_that_lost_its_handshake_begins_anew_from_the_same_port() {
    for heard in 1..=3 {
        let mut pair = Pair::new(Some([7; 16]));
        pair.connect([7; 16]);
        for _ in 0..heard {
            let said = pair.client.poll_transmit().expect("a flight").datagram;
            pair.server.handle_datagram(pair.client_at, &said, pair.now);
            while let Some(answer) = pair.server.poll_transmit() {
                pair.client
                    .handle_datagram(pair.server_at, &answer.datagram, pair.now);
            }
        }
        // Its power fails.
        pair.client = DimplEndpoint::new(Limits::default(), std::time::Instant::now());
        pair.now = Instant::from_micros(2_000_000);
        pair.connect([7; 16]);
        pair.run_until(12);
        assert_eq!(pair.established().len(), 1, "after {heard} datagrams");
    }
}

#[test]
#[allow(clippy::disallowed_methods)]
fn a_hello_in_a_peers_name_does_not_disturb_a_verified_handshake() {
    let mut pair = Pair::new(Some([7; 16]));
    let mut stranger = DimplEndpoint::new(Limits::default(), std::time::Instant::now());
    pair.connect([7; 16]);
    // The address is verified by the second flight, which brings the cookie back.
    for flight in 1.. {
        let Some(said) = pair.client.poll_transmit() else {
            break;
        };
        pair.server
            .handle_datagram(pair.client_at, &said.datagram, pair.now);
        while let Some(event) = pair.server.poll_event() {
            if let DtlsEvent::NeedKey { handshake, .. } = &event {
                let key = pair.key.map(PskKey::new);
                pair.server.provide_key(*handshake, key, pair.now);
            }
            pair.server_events.push(event);
        }
        while let Some(answer) = pair.server.poll_transmit() {
            pair.client
                .handle_datagram(pair.server_at, &answer.datagram, pair.now);
        }
        if flight == 1 {
            continue;
        }
        stranger
            .connect(
                pair.server_at,
                b"pk,dk,2,30",
                PskKey::new([1; 16]),
                pair.now,
            )
            .unwrap();
        let hello = stranger.poll_transmit().expect("a hello").datagram;
        pair.server
            .handle_datagram(pair.client_at, &hello, pair.now);
        // The answer to it is of no use to the peer, who drops it.
        while pair.server.poll_transmit().is_some() {}
    }
    assert_eq!(pair.established().len(), 1);
}

#[test]
fn what_fits_no_record_is_refused_and_the_session_goes_on() {
    let mut pair = Pair::new(Some([7; 16]));
    let session = pair.connect([7; 16]);
    pair.settle();
    let refused = pair.client.send(session, &[0; (1 << 14) + 1], pair.now);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::TooLarge);
    pair.client.send(session, &[0; 1 << 14], pair.now).unwrap();
    pair.client.send(session, b"up", pair.now).unwrap();
    pair.settle();
    let arrived = pair.server_events.iter().filter_map(|event| match event {
        DtlsEvent::Data { data, .. } => Some(data.len()),
        _ => None,
    });
    assert_eq!(arrived.collect::<Vec<_>>(), [1 << 14, 2]);
}

/// What came of one handshake with a whole CoAP endpoint on top of the adapter.
#[derive(Debug, Default, PartialEq)]
struct Attempt {
    malformed: Option<usize>,
    asked: bool,
    online: bool,
    given_up: bool,
}

#[allow(clippy::disallowed_methods)]
fn attempt(identity: &[u8], key: [u8; 16]) -> Attempt {
    let origin = std::time::Instant::now();
    let server = DimplEndpoint::new(Limits::default(), origin);
    let mut server = Endpoint::new(Config::default(), server, [7; 32]);
    let mut client = DimplEndpoint::new(Limits::default(), origin);
    let [server_at, client_at] =
        ["127.0.0.1:5684", "127.0.0.1:40000"].map(|at| at.parse().unwrap());
    let mut now = Instant::ZERO;
    client
        .connect(server_at, identity, PskKey::new(key), now)
        .unwrap();
    let mut seen = Attempt::default();
    while !(seen.online || seen.given_up) {
        while let Some(out) = client.poll_transmit() {
            server.handle_datagram(client_at, &out.datagram, now);
        }
        while let Some(output) = server.poll_output() {
            match output {
                Output::Transmit(out) => client.handle_datagram(server_at, &out.datagram, now),
                Output::KeyWanted { handshake, .. } => {
                    seen.asked = true;
                    server.provide_key(handshake, Some(PskKey::new([7; 16])), now);
                }
                Output::Event(Event::Online { .. }) => seen.online = true,
                Output::Event(Event::MalformedIdentity { len, .. }) => seen.malformed = Some(len),
                other => panic!("{other:?}"),
            }
        }
        while let Some(event) = client.poll_event() {
            seen.given_up |= matches!(event, DtlsEvent::Closed { .. });
        }
        if let Some(at) = [server.next_deadline(), client.next_deadline()]
            .into_iter()
            .flatten()
            .min()
        {
            now = now.max(at);
            server.handle_timeout(now);
            client.handle_timeout(now);
        }
    }
    seen
}

#[test]
fn malformed_identities_end_as_a_wrong_key_does() {
    let long = [b'a'; 1000];
    for (identity, malformed) in [
        (&b"pk,dkey,2,30"[..], false),
        (b"pk,dkey,2,86400", false),
        (b"", true),
        (b"pk", true),
        (b"pk,dkey", true),
        (b"pk,dkey,2", true),
        (b",dkey,2,30", true),
        (b"pk,,2,30", true),
        (b"pk,dkey,,30", true),
        (b"pk,dkey,2,", true),
        (b"pk,dkey,2,30,", true),
        (b"pk,dkey,4,30", true),
        (b"pk,dkey,2,29", true),
        (b"pk,dkey,2,86401", true),
        (b"pk,dkey,2,030", true),
        (b"\xff", true),
        (b"pk,dk\xffy,2,30", true),
        (&long, true),
    ] {
        let text = identity.escape_ascii();
        let good = attempt(identity, [7; 16]);
        let expected = Attempt {
            malformed: malformed.then_some(identity.len()),
            asked: !malformed,
            online: !malformed,
            given_up: malformed,
        };
        assert_eq!(good, expected, "{text}");
    }
    let wrong = attempt(b"pk,dkey,2,30", [8; 16]);
    assert!(wrong.asked && wrong.given_up && !wrong.online, "{wrong:?}");
}
