//! Bodies that need several messages. (RFC 7959)

pub(crate) mod bodies;
pub(crate) mod receive;
pub(crate) mod send;
pub(crate) mod transfer;

use core::fmt;

use crate::message::Code;
use crate::option::{decode_uint, encode_uint};

/// The size of a block: a power of two from 16 to 1,024 bytes.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub struct BlockSize {
    exponent: u8,
}

impl BlockSize {
    /// 16 bytes.
    pub const MIN: Self = Self { exponent: 0 };
    /// 1,024 bytes.
    pub const MAX: Self = Self { exponent: 6 };
    /// Any number of blocks of 1,024 bytes in one message, on reliable transports. (RFC 8323, 6)
    pub(crate) const BERT: Self = Self { exponent: 7 };

    /// The largest size that is not over `bytes`, but at least [`MIN`](Self::MIN).
    #[must_use]
    pub fn at_most(bytes: usize) -> Self {
        let fitting = (0..=Self::MAX.exponent)
            .rev()
            .map(|exponent| Self { exponent })
            .find(|size| size.bytes() <= bytes);
        fitting.unwrap_or(Self::MIN)
    }

    /// In bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        if self.exponent > Self::MAX.exponent {
            Self::MAX.bytes()
        } else {
            16 << self.exponent
        }
    }
}

impl fmt::Debug for BlockSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlockSize({})", self.bytes())
    }
}

/// The value of a Block1 or Block2 option. (RFC 7959, 2.2)
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Block {
    number: u32,
    pub(crate) more: bool,
    pub(crate) size: BlockSize,
}

impl Block {
    const MAX_NUMBER: u32 = (1 << 20) - 1;

    /// The block of `size` that begins at `offset`; `None` when there is none, or its number has more than 20 bits.
    pub(crate) fn at(offset: usize, more: bool, size: BlockSize) -> Option<Self> {
        if offset.checked_rem(size.bytes())? != 0 {
            return None;
        }
        let number = u32::try_from(offset.checked_div(size.bytes())?).ok()?;
        (number <= Self::MAX_NUMBER).then_some(Self { number, more, size })
    }

    /// Reads the value of an option of at most three bytes; `None` for a size over the largest that the transport has.
    pub(crate) fn decode(value: &[u8], largest: BlockSize) -> Option<Self> {
        let bits = decode_uint(value)?;
        let exponent = u8::try_from(bits & 7)
            .ok()
            .filter(|exponent| *exponent <= largest.exponent)?;
        Some(Self {
            number: bits >> 4,
            more: bits & 8 != 0,
            size: BlockSize { exponent },
        })
    }

    pub(crate) fn encode(self) -> alloc::vec::Vec<u8> {
        let more = if self.more { 8 } else { 0 };
        encode_uint((self.number << 4) | more | u32::from(self.size.exponent))
    }

    /// This block's number with another size: a receiver's wish for smaller blocks. (RFC 7959, 2.3)
    pub(crate) fn with_size_at_most(self, size: BlockSize) -> Self {
        Self {
            size: self.size.min(size),
            ..self
        }
    }

    /// Where in the body the block begins.
    pub(crate) fn offset(self) -> usize {
        usize::try_from(self.number)
            .unwrap_or(usize::MAX)
            .saturating_mul(self.size.bytes())
    }

    /// Whether a payload of this length can be this block: all but the last are full. (RFC 7959, 2.2; RFC 8323, 6)
    pub(crate) fn fits(self, len: usize) -> bool {
        let unit = self.size.bytes();
        match (self.size == BlockSize::BERT, self.more) {
            (false, true) => len == unit,
            (false, false) => len <= unit,
            (true, true) => len > 0 && len.checked_rem(unit) == Some(0),
            (true, false) => true,
        }
    }
}

/// How a body is cut into messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Cut {
    size: BlockSize,
    /// The most bytes of a body that one message carries; a body within it is not cut.
    whole: usize,
}

impl Cut {
    /// Blocks of `size`, of a body that is longer.
    #[cfg(any(feature = "dtls", test))]
    pub(crate) const fn plain(size: BlockSize) -> Self {
        Self {
            size,
            whole: size.bytes(),
        }
    }

    /// For messages with room for `room` bytes of a body: the largest blocks that fit, several in a message if the peer
    /// takes that.
    #[cfg(feature = "tcp")]
    pub(crate) fn reliable(room: usize, bert: bool) -> Self {
        let size = if bert && room >= BlockSize::MAX.bytes() {
            BlockSize::BERT
        } else {
            BlockSize::at_most(room)
        };
        Self { size, whole: room }
    }

    /// Whether a body of this length travels whole.
    pub(crate) const fn is_whole(self, len: usize) -> bool {
        len <= self.whole
    }

    /// This cut, with blocks no larger than `size`: what the peer asks for.
    fn at_most(self, size: BlockSize) -> Self {
        Self {
            size: self.size.min(size),
            ..self
        }
    }

    /// The bytes of a body in each message but the last.
    fn part_len(self) -> usize {
        let unit = self.size.bytes();
        if self.size == BlockSize::BERT {
            let rest = self.whole.checked_rem(unit).unwrap_or(0);
            self.whole.saturating_sub(rest).max(unit)
        } else {
            unit
        }
    }
}

/// What bounds the bodies in transfer with one peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The bytes of one body.
    pub(crate) max_body: usize,
    /// The bodies that are half received, and likewise half sent.
    pub(crate) max_transfers: usize,
    /// How many bytes all bodies together may still grow by.
    pub(crate) room: usize,
}

/// Why a block is not taken, as the code that says so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Refusal(pub(crate) Code);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_the_seven_powers_of_two() {
        assert_eq!(BlockSize::at_most(0), BlockSize::MIN);
        assert_eq!(BlockSize::at_most(16).bytes(), 16);
        assert_eq!(BlockSize::at_most(1023).bytes(), 512);
        assert_eq!(BlockSize::at_most(usize::MAX).bytes(), 1024);
    }

    #[test]
    fn the_examples_of_the_standard() {
        // RFC 7959, 3.1: 2:0/0/64 is 0x22 on the wire.
        let block = Block::at(128, false, BlockSize::at_most(64)).unwrap();
        assert_eq!(block.encode(), [0x22]);
        let decode = |value: &[u8]| Block::decode(value, BlockSize::MAX);
        assert_eq!(decode(&[0x22]), Some(block));
        assert_eq!(decode(&[]), Block::at(0, false, BlockSize::MIN));
        assert_eq!(decode(&[0x07]), None);
    }

    #[test]
    fn every_block_but_the_last_is_full() {
        let block = |more| Block::at(0, more, BlockSize::MIN).unwrap();
        assert!(block(true).fits(16) && !block(true).fits(15) && !block(true).fits(17));
        assert!(block(false).fits(0) && block(false).fits(16) && !block(false).fits(17));
    }

    #[test]
    fn a_message_may_bring_several_blocks_of_the_largest_size_on_a_reliable_transport() {
        let block = |more| Block::at(3_072, more, BlockSize::BERT).unwrap();
        // RFC 8323, 6.1: 2:3/1/BERT.
        assert_eq!(block(true).encode(), [0x3f]);
        assert_eq!(Block::decode(&[0x3f], BlockSize::BERT), Some(block(true)));
        assert!(block(true).fits(1_024) && block(true).fits(5_120));
        assert!(!block(true).fits(0) && !block(true).fits(1_025));
        assert!(block(false).fits(0) && block(false).fits(4_711));
    }

    #[test]
    fn a_cut_fits_its_messages() {
        let plain = Cut::plain(BlockSize::at_most(64));
        assert_eq!((plain.part_len(), plain.whole), (64, 64));
        assert_eq!(plain.at_most(BlockSize::MIN).part_len(), 16);
        assert_eq!(plain.at_most(BlockSize::BERT), plain);
    }

    #[cfg(feature = "tcp")]
    #[test]
    fn a_cut_for_a_reliable_transport_takes_the_room_there_is() {
        for (room, bert, size, part_len) in [
            (8_300, true, BlockSize::BERT, 8_192),
            (8_300, false, BlockSize::MAX, 1_024),
            (1_023, true, BlockSize::at_most(512), 512),
            (3, true, BlockSize::MIN, 16),
        ] {
            let cut = Cut::reliable(room, bert);
            assert_eq!((cut.size, cut.part_len()), (size, part_len), "{room}");
        }
        let smaller = Cut::reliable(8_300, true).at_most(BlockSize::MAX);
        assert_eq!((smaller.part_len(), smaller.whole), (1_024, 8_300));
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(number in 0..=Block::MAX_NUMBER, more: bool, exponent in 0_u8..=7) {
            let block = Block { number, more, size: BlockSize { exponent } };
            prop_assert!(block.encode().len() <= 3);
            prop_assert_eq!(Block::decode(&block.encode(), BlockSize::BERT), Some(block));
            prop_assert_eq!(Block::at(block.offset(), more, block.size), Some(block));
        }
    }
}
