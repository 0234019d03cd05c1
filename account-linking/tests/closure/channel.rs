//! The network: bad until it heals, with every choice drawn from one seed.

use std::time::{Duration, Instant};

use account_linking::client::ExchangeId;
use bytes::Bytes;

/// The longest that a message of a bad channel is on its way; a connection does not outlive it.
const LONGEST: u64 = 20_000;

/// Choices that are the same in every run of a seed (splitmix64).
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }

    pub fn entropy(&mut self) -> [u8; 32] {
        std::array::from_fn(|_| self.roll(256) as u8)
    }
}

/// Something that is on its way.
#[derive(Clone, Debug)]
pub enum Packet {
    Request(http::Request<Bytes>),
    Answer(http::Response<Bytes>),
    /// The connection is gone, which one side notices.
    Reset,
}

/// A packet, the process and the exchange that it belongs to, and when it arrives.
#[derive(Clone, Debug)]
pub struct Carried {
    pub at: Instant,
    pub run: u64,
    pub exchange: ExchangeId,
    pub packet: Packet,
}

/// What carries requests and answers.
#[derive(Debug)]
pub struct Channel {
    pub dice: Dice,
    pub bad: bool,
    /// Whether requests are repeated on the way.
    pub repeats: bool,
    /// How many answers will be lost from now on, whatever the weather.
    pub loses: u32,
    carried: Vec<Carried>,
}

impl Channel {
    pub fn new(seed: u64) -> Self {
        let (dice, carried) = (Dice(seed), Vec::new());
        Self {
            dice,
            bad: false,
            repeats: true,
            loses: 0,
            carried,
        }
    }

    pub fn put(&mut self, now: Instant, run: u64, exchange: ExchangeId, packet: Packet) {
        if self.loses > 0 && matches!(packet, Packet::Answer(_)) {
            self.loses -= 1;
            return;
        }
        let mut carry = |after: u64, packet: Packet| {
            let at = now + Duration::from_millis(after);
            self.carried.push(Carried {
                at,
                run,
                exchange,
                packet,
            });
        };
        if !self.bad {
            return carry(5, packet);
        }
        let dice = &mut self.dice;
        match dice.roll(8) {
            // Nobody hears of it.
            0 | 1 => {}
            2 => carry(dice.roll(LONGEST), Packet::Reset),
            3 => {
                // It arrives, and the connection is gone before or after that.
                carry(dice.roll(LONGEST), Packet::Reset);
                carry(dice.roll(LONGEST), packet);
            }
            4 if self.repeats => {
                carry(dice.roll(LONGEST), packet.clone());
                carry(dice.roll(LONGEST), packet);
            }
            5 => carry(dice.roll(LONGEST), packet),
            _ => carry(dice.roll(2_000), packet),
        }
    }

    pub fn next(&self) -> Option<Instant> {
        self.carried.iter().map(|carried| carried.at).min()
    }

    /// What has arrived by now, in the order in which it did.
    pub fn take(&mut self, now: Instant) -> Option<Carried> {
        let due = self.carried.iter().enumerate();
        let due = due.filter(|(_, carried)| carried.at <= now);
        let (first, _) = due.min_by_key(|(place, carried)| (carried.at, *place))?;
        Some(self.carried.remove(first))
    }
}
