//! Two engines against each other: sessions with random roles, suites, identities and keys, and exchanges on them whose records
//! are also doubled, replayed and falsified on the way. What one sends, the other takes, and nothing else.
//!
//! `LONG=1` plays a million exchanges; `EXCHANGES=n` that many.

use std::net::SocketAddr;
use std::time::Duration;

use coap_psk::dtls::{DtlsEndpoint, DtlsEvent, SessionId};
use coap_psk::{CipherSuite, Instant, PskKey};

/// One of the two.
#[derive(Clone, Copy)]
pub struct Party {
    pub name: &'static str,
    /// An endpoint that offers and takes these suites.
    pub endpoint: fn(&[CipherSuite], u8) -> Box<dyn DtlsEndpoint>,
    /// Whether it ends a session in this suite on the first record that is not authentic.
    pub gives_up: fn(CipherSuite) -> bool,
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below
    }

    fn bytes(&mut self, len: u64) -> Vec<u8> {
        (0..len).map(|_| self.roll(256) as u8).collect()
    }

    fn key(&mut self) -> [u8; 16] {
        std::array::from_fn(|_| self.roll(256) as u8)
    }

    /// Mostly what CoAP sends, at times what fills a record, but for the byte that a connection id takes.
    fn payload(&mut self) -> Vec<u8> {
        let longest = match self.roll(64) {
            0 => 16_383,
            1..=16 => 1_152,
            _ => 200,
        };
        let len = 1 + self.roll(longest);
        self.bytes(len)
    }
}

struct End {
    engine: Box<dyn DtlsEndpoint>,
    at: SocketAddr,
    key: [u8; 16],
    named: Option<Vec<u8>>,
    session: Option<SessionId>,
    data: Vec<Vec<u8>>,
    closed: bool,
    gives_up: bool,
}

impl End {
    fn new(party: Party, suites: &[CipherSuite], seed: u8, port: u16, key: [u8; 16]) -> Self {
        Self {
            engine: (party.endpoint)(suites, seed),
            at: ([192, 0, 2, 1], port).into(),
            key,
            named: None,
            session: None,
            data: Vec::new(),
            closed: false,
            gives_up: false,
        }
    }

    /// Takes over what happened; what is to be sent.
    fn drain(&mut self, now: Instant) -> Vec<Vec<u8>> {
        while let Some(event) = self.engine.poll_event() {
            match event {
                DtlsEvent::NeedKey {
                    handshake,
                    identity,
                } => {
                    self.named = Some(identity);
                    let key = PskKey::new(self.key);
                    self.engine.provide_key(handshake, Some(key), now);
                }
                DtlsEvent::Established { session, .. } => self.session = Some(session),
                DtlsEvent::Data { data, .. } => self.data.push(data),
                DtlsEvent::Closed { .. } => self.closed = true,
                DtlsEvent::Moved { .. } => panic!("nobody moved"),
            }
        }
        std::iter::from_fn(|| self.engine.poll_transmit())
            .map(|out| out.datagram)
            .collect()
    }

    /// One record with `data`, as it goes out.
    fn seal(&mut self, data: &[u8], now: Instant) -> Vec<u8> {
        let session = self.session.unwrap();
        self.engine.send(session, data, now).unwrap();
        let mut out = self.drain(now);
        assert_eq!(out.len(), 1, "one record");
        out.remove(0)
    }

    /// Takes a datagram; the plaintexts that came of it.
    fn open(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) -> Vec<Vec<u8>> {
        self.engine.handle_datagram(from, datagram, now);
        assert!(self.drain(now).is_empty(), "an answer to data");
        std::mem::take(&mut self.data)
    }
}

/// Passes datagrams on until nobody says anything.
fn settle(ends: &mut [End; 2], now: Instant) {
    loop {
        let mut moved = false;
        for from in [0, 1] {
            let sent_by = ends[from].at;
            for datagram in ends[from].drain(now) {
                moved = true;
                ends[1 - from]
                    .engine
                    .handle_datagram(sent_by, &datagram, now);
            }
        }
        if !moved {
            return;
        }
    }
}

/// One record from one end to the other, with what an attacker may add.
fn exchange(from: &mut End, to: &mut End, dice: &mut Dice, now: Instant) {
    let data = dice.payload();
    let record = from.seal(&data, now);
    if !to.gives_up && dice.roll(4) == 0 {
        let mut false_record = record.clone();
        let at = dice.roll(record.len() as u64) as usize;
        false_record[at] ^= 1 << dice.roll(8);
        let taken = to.open(from.at, &false_record, now);
        assert!(taken.is_empty(), "byte {at} of {} was false", record.len());
    }
    assert_eq!(to.open(from.at, &record, now), [data]);
    if dice.roll(4) == 0 {
        assert!(to.open(from.at, &record, now).is_empty(), "a replay");
    }
    assert!(!from.closed && !to.closed);
}

/// One handshake and the exchanges on its session; how many there were.
fn play(parties: [Party; 2], seed: u64, now: Instant) -> u64 {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let suite = CipherSuite::ALL[dice.roll(2) as usize];
    let [one, other] = parties;
    let roles = [[one, other], [other, one]][dice.roll(2) as usize];
    let names = roles.map(|party| party.name);
    let (key, another) = (dice.key(), dice.key());
    let known = dice.roll(8) > 0;
    let identity: Vec<_> = (0..=dice.roll(128))
        .map(|_| 1 + dice.roll(255) as u8)
        .take(128)
        .collect();
    let context = format!("seed {seed}, {names:?}, {suite}");

    let client = End::new(roles[0], &[suite], seed as u8, 40_000, key);
    let held = if known { key } else { another };
    let server = End::new(roles[1], &CipherSuite::ALL, !(seed as u8), 5_684, held);
    let mut ends = [client, server];
    for (end, party) in ends.iter_mut().zip(roles) {
        end.gives_up = (party.gives_up)(suite);
    }
    let to = ends[1].at;
    let psk = PskKey::new(key);
    let connected = ends[0].engine.connect(to, &identity, psk, now);
    connected.unwrap();
    settle(&mut ends, now);
    assert_eq!(ends[1].named.as_ref(), Some(&identity), "{context}");
    let sessions = [ends[0].session.is_some(), ends[1].session.is_some()];
    assert_eq!(sessions, [known; 2], "{context}");
    if !known {
        return 0;
    }

    let [client, server] = &mut ends;
    let exchanges = 1 + dice.roll(64);
    for _ in 0..exchanges {
        exchange(client, server, &mut dice, now);
        exchange(server, client, &mut dice, now);
    }
    let (closing, staying) = if dice.roll(2) == 0 { (0, 1) } else { (1, 0) };
    let session = ends[closing].session.unwrap();
    ends[closing].engine.close(session, now);
    settle(&mut ends, now);
    assert!(ends[closing].closed && ends[staying].closed, "{context}");
    exchanges
}

/// Plays as many exchanges as are wanted; `clock` is told what time it is before the engines are.
#[allow(clippy::disallowed_methods)]
pub fn agree(parties: [Party; 2], clock: fn(Instant)) {
    let wanted = match std::env::var("EXCHANGES") {
        Ok(count) => count.parse().unwrap(),
        Err(_) if std::env::var_os("LONG").is_some() => 1_000_000,
        Err(_) => 2_000,
    };
    let began = std::time::Instant::now();
    let (mut sessions, mut exchanges) = (0, 0);
    while exchanges < wanted {
        let now = Instant::ZERO.saturating_add(Duration::from_secs(sessions));
        clock(now);
        sessions += 1;
        exchanges += play(parties, sessions, now);
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{exchanges} exchanges on {sessions} sessions agreed, in {seconds:.1} s");
}
