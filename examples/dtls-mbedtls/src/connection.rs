//! One connection of Mbed TLS, and what comes out of it.

use std::mem;
use std::time::Duration;

use coap_psk::{Error, ErrorKind, Instant, PskKey};
use dtls_per_peer::{Connection, Failed, Step};

use crate::ffi::{Outcome, Peer};

/// How long a handshake may take, the lookup of its key included.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(90);
const MICROS: u64 = 1_000;

/// A connection of Mbed TLS.
#[derive(Debug)]
pub struct MbedtlsConnection {
    peer: Peer,
    began: Instant,
    established: bool,
    steps: Vec<Step>,
}

impl MbedtlsConnection {
    pub(crate) const fn new(peer: Peer, began: Instant) -> Self {
        Self {
            peer,
            began,
            established: false,
            steps: Vec::new(),
        }
    }

    /// Reads until nothing is left.
    pub(crate) fn go_on(&mut self, now: Instant) -> Result<(), Failed> {
        self.peer.set_now(millis(now));
        if !self.established {
            match self.peer.handshake() {
                Outcome::Done => self.established = true,
                Outcome::Waits => return Ok(()),
                _ => return Err(self.failed()),
            }
            self.steps.push(Step::Established);
        }
        loop {
            match self.peer.read() {
                Ok(data) => self.steps.push(Step::Data(data)),
                Err(Outcome::Waits) => return Ok(()),
                Err(Outcome::ClosedByPeer) => {
                    self.steps.push(Step::ClosedByPeer);
                    return Ok(());
                }
                Err(_) => return Err(self.failed()),
            }
        }
    }

    fn failed(&mut self) -> Failed {
        let last_words = self.peer.take();
        Failed { last_words }
    }

    fn gives_up_at(&self) -> Option<Instant> {
        (!self.established).then(|| self.began.saturating_add(HANDSHAKE_TIMEOUT))
    }
}

/// What the clock of Mbed TLS shows.
fn millis(now: Instant) -> u64 {
    now.as_micros() / MICROS
}

impl Connection for MbedtlsConnection {
    fn handle_datagram(&mut self, datagram: &[u8], now: Instant) -> Result<(), Failed> {
        self.peer.put(datagram);
        self.go_on(now)
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Failed> {
        if self.gives_up_at().is_some_and(|at| at <= now) {
            return Err(Failed::default());
        }
        self.go_on(now)
    }

    fn provide_key(&mut self, _identity: &[u8], key: PskKey) {
        self.peer.provide_key(&key);
    }

    fn send(&mut self, data: &[u8], now: Instant) -> Result<(), Error> {
        self.peer.set_now(millis(now));
        match self.peer.write(data) {
            Outcome::Done => Ok(()),
            _ => Err(Error::new(ErrorKind::Transport)),
        }
    }

    fn close(&mut self) {
        self.peer.close();
    }

    fn drain(&mut self, _now: Instant) -> (Vec<Step>, Option<Instant>) {
        let mut steps = mem::take(&mut self.steps);
        steps.extend(self.peer.take().into_iter().map(Step::Transmit));
        let again = self
            .peer
            .deadline()
            .map(|at| Instant::from_micros(at.saturating_mul(MICROS)));
        (steps, again.into_iter().chain(self.gives_up_at()).min())
    }
}
