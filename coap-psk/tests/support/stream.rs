//! What a connection puts out, taken apart; and two connections over a stream that cuts and delays.

use std::collections::VecDeque;
use std::time::Duration;

use coap_psk::message::{Kind, Message, Token};
use coap_psk::tcp::frame::{self, Frames};
use coap_psk::tcp::{Config, Connection, Event, ExchangeId, Output};
use coap_psk::{CoapOption, Code, Instant, Request};

/// What a connection put out since the last look.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) sent: Vec<Message>,
    pub(crate) requests: Vec<(ExchangeId, Request)>,
    /// The events and the wish to close the stream, in words.
    pub(crate) words: Vec<String>,
}

pub(crate) fn drain(connection: &mut Connection) -> Seen {
    let mut seen = Seen::default();
    while let Some(output) = connection.poll_output() {
        match output {
            Output::Send(bytes) => seen.sent.extend(read_all(&bytes)),
            Output::Request { exchange, request } => seen.requests.push((exchange, request)),
            Output::Close => seen.words.push("close".into()),
            Output::Event(event) => seen.words.push(word(&event)),
        }
    }
    seen
}

fn word(event: &Event) -> String {
    match event {
        Event::Response { response, .. } => {
            format!("{} {}", response.code, response.payload.len())
        }
        Event::Notification { response, .. } => format!("notified {}", response.payload.len()),
        Event::Failed { failure, .. } => format!("failed {failure:?}"),
        Event::Unobserved { .. } => "unobserved".into(),
        Event::Released(release) => format!("released {release:?}"),
        Event::Closed { why } => format!("closed {why:?}"),
        other => panic!("{other:?}"),
    }
}

/// The messages of whole frames.
pub(crate) fn read_all(bytes: &[u8]) -> Vec<Message> {
    let (mut frames, mut rest, mut messages) = (Frames::default(), bytes, Vec::new());
    while let Some(message) = frames.next(&mut rest, usize::MAX).unwrap() {
        messages.push(message.to_message());
    }
    assert!(!frames.is_midway());
    messages
}

/// A frame with these options, in the order of their numbers.
pub(crate) fn write(code: Code, token: &[u8], options: &[(u16, &[u8])], payload: &[u8]) -> Vec<u8> {
    let mut message = Message::new(Kind::Confirmable, code, 0, Token::new(token).unwrap());
    message.options = options
        .iter()
        .map(|(number, value)| CoapOption::new(*number, value.to_vec()))
        .collect();
    message.payload = payload.to_vec().into();
    frame::encode(&message).unwrap()
}

/// The value of the first option with this number.
pub(crate) fn option(message: &Message, number: u16) -> Option<&[u8]> {
    let option = message.options.iter().find(|it| it.number == number)?;
    Some(&option.value)
}

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
        for _ in 0..100_000 {
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
