//! What every part of the engine works with.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::config::PskConfig;
use crate::dtls::Transmit;
use crate::random::Random;
use crate::time::Instant;

pub(super) struct Context {
    pub(super) config: PskConfig,
    pub(super) random: Random,
    pub(super) now: Instant,
    pub(super) transmits: VecDeque<Transmit>,
}

impl Context {
    pub(super) fn new(config: PskConfig, seed: [u8; 32]) -> Self {
        Self {
            config,
            random: Random::new(seed),
            now: Instant::ZERO,
            transmits: VecDeque::new(),
        }
    }

    /// Goes on to `now`; time that goes back counts as no time.
    pub(super) fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    pub(super) fn transmit(&mut self, to: SocketAddr, datagram: Vec<u8>) {
        self.transmits.push_back(Transmit { to, datagram });
    }

    pub(super) fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }
}
