//! The record layer: the thirteen bytes in front of everything. (RFC 6347, 4.1)

use alloc::vec::Vec;
use core::iter;

use super::wire::Reader;

pub(super) const HEADER_LEN: usize = 13;

/// The most bytes of a plaintext. (RFC 5246, 6.2.1)
pub(super) const MAX_PLAINTEXT: usize = 1 << 14;

/// The last sequence number of an epoch. (RFC 6347, 4.1)
pub(super) const LAST_SEQUENCE: u64 = (1 << 48) - 1;

pub(super) const DTLS_1_0: [u8; 2] = [0xfe, 0xff];
pub(super) const DTLS_1_2: [u8; 2] = [0xfe, 0xfd];

/// What a record carries. (RFC 5246, 6.2.1)
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ContentType {
    ChangeCipherSpec,
    Alert,
    Handshake,
    ApplicationData,
}

impl ContentType {
    const fn number(self) -> u8 {
        match self {
            Self::ChangeCipherSpec => 20,
            Self::Alert => 21,
            Self::Handshake => 22,
            Self::ApplicationData => 23,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            20 => Self::ChangeCipherSpec,
            21 => Self::Alert,
            22 => Self::Handshake,
            23 => Self::ApplicationData,
            _ => return None,
        })
    }
}

/// What a record is and where it stands; its version and length apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Header {
    pub(super) content: ContentType,
    pub(super) epoch: u16,
    /// 48 bits.
    pub(super) sequence: u64,
}

impl Header {
    /// Epoch and sequence number as one number of 64 bits, the `seq_num` of TLS. (RFC 6347, 4.1.2.1)
    pub(super) fn number(self) -> [u8; 8] {
        let epoch = u64::from(self.epoch) << 48;
        (epoch | (self.sequence & LAST_SEQUENCE)).to_be_bytes()
    }

    /// Writes the header of a record with `len` bytes behind it.
    pub(super) fn put(self, version: [u8; 2], len: usize, out: &mut Vec<u8>) {
        out.push(self.content.number());
        out.extend(version);
        out.extend(self.number());
        out.extend(length(len));
    }

    /// What is authenticated beside the text. (RFC 5246, 6.2.3.1 and 6.2.3.3)
    pub(super) fn additional_data(self, len: usize) -> [u8; HEADER_LEN] {
        let [a, b, c, d, e, f, g, h] = self.number();
        let [major, minor] = DTLS_1_2;
        let [high, low] = length(len);
        let content = self.content.number();
        [a, b, c, d, e, f, g, h, content, major, minor, high, low]
    }
}

/// A record as it came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Record<'a> {
    pub(super) header: Header,
    pub(super) body: &'a [u8],
}

/// The records of a datagram. One of unknown type or version is passed over; at one that is cut short they end.
/// (RFC 6347, 4.1.2.7)
pub(super) fn records(datagram: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut reader = Reader::new(datagram);
    iter::from_fn(move || {
        loop {
            let content = reader.u8()?;
            let version = reader.array()?;
            let epoch = reader.u16()?;
            let [a, b, c, d, e, f] = reader.array()?;
            let sequence = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
            let body = reader.vector16()?;
            if let Some(content) = ContentType::from_number(content)
                // Before a version is agreed, peers write the old one.
                && (version == DTLS_1_2 || version == DTLS_1_0 && epoch == 0)
            {
                let header = Header {
                    content,
                    epoch,
                    sequence,
                };
                return Some(Record { header, body });
            }
        }
    })
}

/// Writes a record that is not protected.
pub(super) fn put_plain(header: Header, version: [u8; 2], body: &[u8], out: &mut Vec<u8>) {
    header.put(version, body.len(), out);
    out.extend(body);
}

fn length(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> Header {
        Header {
            content: ContentType::Handshake,
            epoch: 1,
            sequence: 0x0102_0304_0506,
        }
    }

    #[test]
    fn a_record_is_written_as_the_standard_says() {
        let mut out = Vec::new();
        put_plain(header(), DTLS_1_2, b"body", &mut out);
        assert_eq!(out, b"\x16\xfe\xfd\0\x01\x01\x02\x03\x04\x05\x06\0\x04body");
        assert_eq!(
            header().additional_data(4),
            *b"\0\x01\x01\x02\x03\x04\x05\x06\x16\xfe\xfd\0\x04"
        );
    }

    #[test]
    fn unknown_types_and_versions_are_passed_over_and_a_cut_record_ends_the_datagram() {
        let mut good = Vec::new();
        put_plain(header(), DTLS_1_2, b"body", &mut good);
        let altered = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        for strange in [altered(0, 24), altered(1, 3), altered(2, 0xfc)] {
            let datagram = [strange, good.clone()].concat();
            assert_eq!(records(&datagram).count(), 1);
        }
        for cut in 0..good.len() {
            assert_eq!(records(&good[..cut]).count(), 0);
        }
        let lying = [altered(12, 18), good.clone()].concat();
        assert_eq!(records(&lying).count(), 1, "one body, of both");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_anything_can_be_read(
            sequence in 0..=LAST_SEQUENCE,
            epoch: u16,
            body in proptest::collection::vec(any::<u8>(), 0..64),
            tail in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let header = Header { content: ContentType::ApplicationData, epoch, sequence };
            let mut out = Vec::new();
            put_plain(header, DTLS_1_2, &body, &mut out);
            out.extend(&tail);
            prop_assert_eq!(records(&out).next(), Some(Record { header, body: &body }));
            records(&tail).for_each(drop);
        }
    }
}
