//! Numbers and vectors as TLS writes them. (RFC 5246, 4)

use alloc::vec::Vec;

/// Reads from the front of a slice; `None` where the bytes do not last.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A number of three bytes.
    pub(super) fn u24(&mut self) -> Option<usize> {
        let [high, middle, low] = self.array()?;
        usize::try_from(u32::from_be_bytes([0, high, middle, low])).ok()
    }

    /// A vector with a length of one byte.
    pub(super) fn vector8(&mut self) -> Option<&'a [u8]> {
        let len = self.u8()?;
        self.take(len.into())
    }

    /// A vector with a length of two bytes.
    pub(super) fn vector16(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.take(len.into())
    }

    pub(super) const fn rest(self) -> &'a [u8] {
        self.0
    }

    /// Succeeds when nothing is left.
    pub(super) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// Writes a vector with a length of one byte; what does not fit it is left out.
pub(super) fn put_vector8(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u8::try_from(bytes.len()).unwrap_or(u8::MAX);
    out.push(len);
    out.extend(bytes.get(..len.into()).unwrap_or(bytes));
}

/// Writes a vector with a length of two bytes; what does not fit it is left out.
pub(super) fn put_vector16(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend(len.to_be_bytes());
    out.extend(bytes.get(..len.into()).unwrap_or(bytes));
}

/// A number of three bytes; one that does not fit becomes the largest.
pub(super) fn u24(number: usize) -> [u8; 3] {
    let [_, high, middle, low] = u32::try_from(number)
        .unwrap_or(u32::MAX)
        .min(0x00ff_ffff)
        .to_be_bytes();
    [high, middle, low]
}
