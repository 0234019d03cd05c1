//! Two connections over a stream that loses nothing, but cuts and delays as it likes.

use std::collections::VecDeque;
use std::time::Duration;

use coap_psk::Instant;
use coap_psk::tcp::{Config, Connection, Output};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Device,
    Cloud,
}

/// Bytes on their way in one direction.
#[derive(Default)]
struct Pipe {
    /// Pieces and when they arrive, in order.
    pieces: VecDeque<(Instant, Vec<u8>)>,
    /// The lengths of all frames that were put in.
    frames: Vec<usize>,
    closed: bool,
}

/// Two connections over a stream that loses nothing, but cuts and delays as it likes.
pub(crate) struct Pair {
    pub(crate) device: Connection,
    pub(crate) cloud: Connection,
    pub(crate) now: Instant,
    to_device: Pipe,
    to_cloud: Pipe,
    dice: u64,
    /// The longest piece.
    longest: u64,
}

impl Pair {
    pub(crate) fn new(device: Config, cloud: Config, seed: u64, longest: u64) -> Self {
        Self {
            device: Connection::new(device, Instant::ZERO),
            cloud: Connection::new(cloud, Instant::ZERO),
            now: Instant::ZERO,
            to_device: Pipe::default(),
            to_cloud: Pipe::default(),
            dice: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            longest,
        }
    }

    pub(crate) fn end(&mut self, side: Side) -> &mut Connection {
        match side {
            Side::Device => &mut self.device,
            Side::Cloud => &mut self.cloud,
        }
    }

    /// The longest frame that `side` has sent.
    pub(crate) fn longest_frame(&self, side: Side) -> usize {
        let pipe = match side {
            Side::Device => &self.to_cloud,
            Side::Cloud => &self.to_device,
        };
        pipe.frames.iter().copied().max().unwrap_or(0)
    }

    /// Runs until nothing is on its way and both wait for the application; gives each request and event to `handle`.
    pub(crate) fn run(&mut self, mut handle: impl FnMut(&mut Self, Side, Output)) {
        for _ in 0..1_000_000 {
            let progress = [Side::Device, Side::Cloud].map(|side| self.drain(side, &mut handle));
            if progress.contains(&true) {
                continue;
            }
            let arrivals = [
                (&self.to_device, Side::Device),
                (&self.to_cloud, Side::Cloud),
            ];
            let next = arrivals
                .into_iter()
                .filter_map(|(pipe, side)| Some((pipe.pieces.front()?.0, side)))
                .min_by_key(|(at, _)| *at);
            let Some((at, side)) = next else { return };
            self.now = self.now.max(at);
            let pipe = match side {
                Side::Device => &mut self.to_device,
                Side::Cloud => &mut self.to_cloud,
            };
            let (_, piece) = pipe.pieces.pop_front().unwrap();
            let ended = pipe.closed && pipe.pieces.is_empty();
            let now = self.now;
            self.end(side).handle_bytes(&piece, now);
            if ended {
                self.end(side).handle_closed(now);
            }
        }
        panic!("no end");
    }

    fn drain(&mut self, side: Side, handle: &mut impl FnMut(&mut Self, Side, Output)) -> bool {
        let mut any = false;
        while let Some(output) = self.end(side).poll_output() {
            any = true;
            match output {
                Output::Send(bytes) => self.carry(side, &bytes),
                Output::Close => {
                    let (pipe, peer) = match side {
                        Side::Device => (&mut self.to_cloud, Side::Cloud),
                        Side::Cloud => (&mut self.to_device, Side::Device),
                    };
                    pipe.closed = true;
                    if pipe.pieces.is_empty() {
                        let now = self.now;
                        self.end(peer).handle_closed(now);
                    }
                }
                other => handle(self, side, other),
            }
        }
        any
    }

    fn carry(&mut self, from: Side, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let len = usize::try_from(self.roll(self.longest) + 1).unwrap();
            let (piece, tail) = rest.split_at(len.min(rest.len()));
            rest = tail;
            let delay = Duration::from_millis(self.roll(50));
            let now = self.now;
            let pipe = match from {
                Side::Device => &mut self.to_cloud,
                Side::Cloud => &mut self.to_device,
            };
            // In order: no piece overtakes another.
            let last = pipe.pieces.back().map_or(now, |(at, _)| *at);
            pipe.pieces
                .push_back((last.max(now).saturating_add(delay), piece.to_vec()));
        }
        let pipe = match from {
            Side::Device => &mut self.to_cloud,
            Side::Cloud => &mut self.to_device,
        };
        pipe.frames.push(bytes.len());
    }

    fn roll(&mut self, sides: u64) -> u64 {
        // xorshift64*
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        (self.dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides.max(1)
    }
}
