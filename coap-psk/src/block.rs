//! Bodies that need several messages. (RFC 7959)

pub(crate) mod receive;
pub(crate) mod send;

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
        16 << self.exponent
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

    /// Reads the value of an option of at most three bytes; `None` for size exponent 7, which is for TCP alone.
    pub(crate) fn decode(value: &[u8]) -> Option<Self> {
        let bits = decode_uint(value)?;
        let exponent = u8::try_from(bits & 7)
            .ok()
            .filter(|exponent| *exponent <= BlockSize::MAX.exponent)?;
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

    /// Whether a payload of this length can be this block: all but the last are full. (RFC 7959, 2.2)
    pub(crate) fn fits(self, len: usize) -> bool {
        if self.more {
            len == self.size.bytes()
        } else {
            len <= self.size.bytes()
        }
    }
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
        assert_eq!(Block::decode(&[0x22]), Some(block));
        assert_eq!(Block::decode(&[]), Block::at(0, false, BlockSize::MIN));
        assert_eq!(Block::decode(&[0x07]), None);
    }

    #[test]
    fn every_block_but_the_last_is_full() {
        let block = |more| Block::at(0, more, BlockSize::MIN).unwrap();
        assert!(block(true).fits(16) && !block(true).fits(15) && !block(true).fits(17));
        assert!(block(false).fits(0) && block(false).fits(16) && !block(false).fits(17));
    }

    proptest! {
        #[test]
        fn reading_undoes_writing(number in 0..=Block::MAX_NUMBER, more: bool, exponent in 0_u8..=6) {
            let block = Block { number, more, size: BlockSize { exponent } };
            prop_assert!(block.encode().len() <= 3);
            prop_assert_eq!(Block::decode(&block.encode()), Some(block));
            prop_assert_eq!(Block::at(block.offset(), more, block.size), Some(block));
        }
    }
}
