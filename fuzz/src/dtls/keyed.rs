//! What a peer that has the keys can do: authentic records of any type, with any text, under any number, from anywhere.
//!
//! No mutation of a sealed record gets this far. The handshake is the same each time, to the byte, so a first run of it tells
//! the keys that the client of a second one will have.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use aes::Aes128Enc;
use ccm::aead::AeadInOut;
use ccm::consts::{U8, U12};
use ccm::{Ccm, KeyInit};
use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::dtls::{DtlsEndpoint as _, DtlsEvent, SessionId};
use coap_psk::{CipherSuite, Instant, PskKey};

use super::{KEY, MAX_STEPS, Pair, client_at};

const ALERT: u8 = 21;
const DATA: u8 = 23;
const WITH_ID: u8 = 25;
const LAST_SEQUENCE: u64 = (1 << 48) - 1;
const WINDOW: u64 = 64;

/// Records of a client with the right keys, at a server that waits for its Finished or has a session with it.
pub fn keyed(bytes: &[u8]) {
    let Some((how, mut steps)) = bytes.split_first() else {
        return;
    };
    let mut run = Run::new(how & 1 == 0, how & 2 == 0);
    for _ in 0..MAX_STEPS {
        let Some(([action, a, b, len], rest)) = steps.split_first_chunk::<4>() else {
            break;
        };
        let (text, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        steps = rest;
        match action % 8 {
            0..4 => run.record(*a, *b, text),
            4 => run.datagram(text),
            5 => run.finished(),
            6 => run.act(*a, *b),
            _ => run.from = [client_at(), elsewhere(7), elsewhere(8)][usize::from(a % 3)],
        }
    }
}

fn elsewhere(host: u8) -> SocketAddr {
    ([198, 51, 100, host], 1_024).into()
}

struct Run {
    config: PskConfig,
    server: PskEndpoint,
    now: Instant,
    keys: Keys,
    /// The record of the client's Finished, until it was sent.
    finished: Option<Vec<u8>>,
    session: Option<SessionId>,
    from: SocketAddr,
    /// The numbers that were sent under keys from where the server takes them.
    arrived: BTreeSet<u64>,
    /// Bytes from and to elsewhere; nothing more is compared once the server was told that its peer is there.
    received: usize,
    sent: usize,
    confirmed: bool,
}

impl Run {
    fn new(established: bool, ids: bool) -> Self {
        let mut config = super::config(CipherSuite::PskAes128Ccm8);
        if !ids {
            config.connection_id_len = None;
        }
        let mut first = Pair::with(config.clone());
        let session = first.connect();
        first.pass_on(&[]);
        let saved = first.client.export(session, first.now).expect("a session");
        let keys = Keys::of(saved.expose());
        let (pair, finished) = if established {
            (first, None)
        } else {
            let mut second = Pair::with(config.clone());
            second.connect();
            let finished = pass_on_to_finished(&mut second);
            (second, Some(finished))
        };
        let mut run = Self {
            config,
            server: pair.server,
            now: pair.now,
            keys,
            finished,
            session: pair.established,
            from: client_at(),
            arrived: BTreeSet::new(),
            received: 0,
            sent: 0,
            confirmed: false,
        };
        if established {
            run.arrived.insert(0);
        }
        run
    }

    /// One record with this text. For types above those of the standard its number is one of the last that there are.
    fn record(&mut self, kind: u8, step: u8, text: &[u8]) {
        let next = self.arrived.last().map_or(0, |last| last + 1);
        let sequence = match kind {
            0x80.. => LAST_SEQUENCE - u64::from(step),
            _ => next
                .saturating_add_signed(i64::from(step.cast_signed()))
                .min(LAST_SEQUENCE),
        };
        let kind = kind & 0x7f;
        // What the server will read. Under an id the type is the last byte that is not zero, whoever wrote it.
        let (real, inner) = if self.keys.id.is_empty() {
            (Some((kind, text.to_vec())), text.to_vec())
        } else {
            let inner = [text, &[kind], &vec![0; usize::from(step >> 5)]].concat();
            let at = inner.iter().rposition(|byte| *byte != 0);
            (at.map(|at| (inner[at], inner[..at].to_vec())), inner)
        };
        let Some(record) = self.keys.seal(kind, sequence, &inner) else {
            return;
        };
        let had_session = self.session.is_some();
        let from_peer = self.from == client_at() || had_session && !self.keys.id.is_empty();
        let mut real = real.filter(|_| from_peer && self.admits(sequence));
        if from_peer && self.admits(sequence) {
            self.arrived.insert(sequence);
        }
        let heard = self.deliver(&record);
        // A handshake tells nothing, and ends unseen.
        real = real.filter(|_| had_session);
        let ends = matches!(&real, Some((ALERT, text)) if matches!(text[..], [2, _] | [_, 0]));
        assert_eq!(had_session && !ends, self.session.is_some(), "{real:?}");
        let data = real.filter(|(kind, _)| *kind == DATA);
        assert_eq!(heard, Vec::from_iter(data.map(|(_, text)| text)));
    }

    /// Whether a record of this number would be a new one.
    fn admits(&self, sequence: u64) -> bool {
        let highest = self.arrived.last().copied();
        highest.is_none_or(|highest| sequence.saturating_add(WINDOW) > highest)
            && !self.arrived.contains(&sequence)
    }

    fn datagram(&mut self, bytes: &[u8]) {
        // One that is authentic nobody can write without the keys, but it may be a ClientHello.
        assert_eq!(self.deliver(bytes), Vec::<Vec<u8>>::new());
    }

    fn finished(&mut self) {
        if self.from != client_at() || !self.admits(0) {
            return;
        }
        if let Some(finished) = self.finished.take() {
            self.arrived.insert(0);
            self.deliver(&finished);
        }
    }

    /// What the application does.
    fn act(&mut self, what: u8, amount: u8) {
        let Some(session) = self.session else {
            return self.wait(amount);
        };
        match what % 6 {
            0 => {
                let data = vec![1; usize::from(amount)];
                let _ = self.server.send(session, &data, self.now);
            }
            1 => self.server.close(session, self.now),
            2 => {
                self.server.confirm_path(session, self.now);
                self.confirmed = true;
            }
            3 => self.restart(session),
            _ => self.wait(amount),
        }
        self.drain();
    }

    fn wait(&mut self, seconds: u8) {
        self.now = self.now.saturating_add(Duration::from_secs(seconds.into()));
        self.server.handle_timeout(self.now);
        self.drain();
    }

    /// The program ends, and another goes on.
    fn restart(&mut self, session: SessionId) {
        let saved = self.server.export(session, self.now).expect("a session");
        self.server = PskEndpoint::new(self.config.clone(), [3; 32]);
        let session = self.server.import(saved.expose(), self.now);
        let session = session.expect("what was saved");
        let saved = self.server.export(session, self.now).expect("a session");
        self.server.handle_stored(&saved, self.now);
    }

    /// What the application hears of what comes from where the peer is now.
    fn deliver(&mut self, datagram: &[u8]) -> Vec<Vec<u8>> {
        if self.from != client_at() {
            self.received += datagram.len();
        }
        self.server.handle_datagram(self.from, datagram, self.now);
        self.drain()
    }

    fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut heard = Vec::new();
        while let Some(event) = self.server.poll_event() {
            match event {
                DtlsEvent::NeedKey { handshake, .. } => {
                    let key = Some(PskKey::new(KEY));
                    self.server.provide_key(handshake, key, self.now);
                }
                DtlsEvent::Established { session, .. } => self.session = Some(session),
                DtlsEvent::Data { session, data } => {
                    assert_eq!(Some(session), self.session, "of a session that lives");
                    heard.push(data);
                }
                DtlsEvent::Moved { session, to, .. } => {
                    assert_eq!((Some(session), to), (self.session, self.from));
                }
                DtlsEvent::Closed { session, .. } => {
                    assert_eq!(self.session.take(), Some(session), "it ends once");
                }
            }
        }
        assert_eq!(self.server.sessions(), usize::from(self.session.is_some()));
        while let Some(out) = self.server.poll_transmit() {
            if out.to != client_at() {
                self.sent += out.datagram.len();
            }
        }
        // A cookie is shorter than what asks for it.
        assert!(self.confirmed || self.sent <= self.received.saturating_mul(3));
        heard
    }
}

/// Passes all on but the client's Finished, which comes back.
fn pass_on_to_finished(pair: &mut Pair) -> Vec<u8> {
    loop {
        pair.drain();
        let (to_server, datagram) = pair.wire.pop_front().expect("it goes on");
        if !to_server {
            pair.client
                .handle_datagram(super::server_at(), &datagram, pair.now);
            continue;
        }
        let (clear, protected) = datagram.split_at(protected_at(&datagram));
        pair.server.handle_datagram(client_at(), clear, pair.now);
        if !protected.is_empty() {
            pair.drain();
            return protected.to_vec();
        }
    }
}

/// Where the first record under keys begins.
fn protected_at(datagram: &[u8]) -> usize {
    let mut at = 0;
    while let Some([_, _, _, 0, 0, .., high, low]) = datagram.get(at..at + 13) {
        at += 13 + usize::from(u16::from_be_bytes([*high, *low]));
    }
    at
}

/// What the client protects with.
struct Keys {
    /// The id that the server chose, or none.
    id: Vec<u8>,
    key: [u8; 16],
    salt: [u8; 4],
}

impl Keys {
    /// Those that a saved session sends with.
    fn of(saved: &[u8]) -> Self {
        // Version, suite, identity.
        let identity = usize::from(u16::from_be_bytes([saved[3], saved[4]]));
        // An IPv4 address and whether it is confirmed.
        let outbound = &saved[5 + identity + 8..];
        let (id, rest) = outbound[1..].split_at(outbound[0].into());
        let keys = &rest[8..];
        Self {
            id: id.to_vec(),
            key: keys[..16].try_into().expect("a key"),
            salt: keys[16..20].try_into().expect("a salt"),
        }
    }

    /// A record of epoch 1; `None` when it is none that the server looks into.
    fn seal(&self, kind: u8, sequence: u64, inner: &[u8]) -> Option<Vec<u8>> {
        let number = (1 << 48 | sequence).to_be_bytes();
        let len = u16::try_from(inner.len()).ok()?;
        let mut data = Vec::new();
        let kind = if self.id.is_empty() {
            if !(20..24).contains(&kind) {
                return None;
            }
            data.extend(number);
            data.extend([kind, 0xfe, 0xfd]);
            kind
        } else {
            data.extend([0xff; 8]);
            data.extend([WITH_ID, u8::try_from(self.id.len()).ok()?, WITH_ID]);
            data.extend([0xfe, 0xfd]);
            data.extend(number);
            data.extend(&self.id);
            WITH_ID
        };
        data.extend(len.to_be_bytes());
        let nonce: [u8; 12] = [&self.salt[..], &number].concat().try_into().ok()?;
        let mut text = inner.to_vec();
        let tag = Ccm::<Aes128Enc, U8, U12>::new((&self.key).into())
            .encrypt_inout_detached(&nonce.into(), &data, text.as_mut_slice().into())
            .ok()?;
        let mut record = vec![kind, 0xfe, 0xfd];
        record.extend(number);
        record.extend(&self.id);
        record.extend((len + 16).to_be_bytes());
        record.extend(number);
        record.extend(text);
        record.extend(tag);
        Some(record)
    }
}
