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
    /// Any of the others, which is said within, under a connection id. (RFC 9146, 4)
    Tls12Cid,
}

impl ContentType {
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::ChangeCipherSpec => 20,
            Self::Alert => 21,
            Self::Handshake => 22,
            Self::ApplicationData => 23,
            Self::Tls12Cid => 25,
        }
    }

    pub(super) const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            20 => Self::ChangeCipherSpec,
            21 => Self::Alert,
            22 => Self::Handshake,
            23 => Self::ApplicationData,
            25 => Self::Tls12Cid,
            _ => return None,
        })
    }
}

/// What a record is and where it stands; its version and length apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Header<'a> {
    pub(super) content: ContentType,
    pub(super) epoch: u16,
    /// 48 bits.
    pub(super) sequence: u64,
    /// The one that the receiver chose; empty but for `Tls12Cid`.
    pub(super) connection_id: &'a [u8],
}

impl Header<'_> {
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
        out.extend(self.connection_id);
        out.extend(length(len));
    }

    /// What is authenticated beside the text. (RFC 5246, 6.2.3.1 and 6.2.3.3)
    pub(super) fn additional_data(self, len: usize) -> AdditionalData {
        let content = self.content.number();
        let mut data = AdditionalData::default();
        if self.connection_id.is_empty() {
            data.extend(&self.number());
            data.extend(&[content]);
            data.extend(&DTLS_1_2);
        } else {
            // In front is what no record without an id can have there. (RFC 9146, 5)
            data.extend(&[0xff; 8]);
            let id_len = u8::try_from(self.connection_id.len()).unwrap_or(u8::MAX);
            data.extend(&[content, id_len, content]);
            data.extend(&DTLS_1_2);
            data.extend(&self.number());
            data.extend(self.connection_id);
        }
        data.extend(&length(len));
        data
    }
}

/// What is authenticated beside the text of a record.
pub(super) struct AdditionalData {
    bytes: [u8; Self::MAX_LEN],
    len: usize,
}

impl AdditionalData {
    /// With the longest connection id that there is.
    const MAX_LEN: usize = 23 + 255;

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn extend(&mut self, bytes: &[u8]) {
        for (to, from) in self.bytes.iter_mut().skip(self.len).zip(bytes) {
            *to = *from;
        }
        self.len = self.len.saturating_add(bytes.len()).min(Self::MAX_LEN);
    }
}

impl Default for AdditionalData {
    fn default() -> Self {
        Self {
            bytes: [0; Self::MAX_LEN],
            len: 0,
        }
    }
}

/// A record as it came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Record<'a> {
    pub(super) header: Header<'a>,
    pub(super) body: &'a [u8],
}

impl Record<'_> {
    /// The bytes of the record, header included.
    pub(super) fn len(&self) -> usize {
        HEADER_LEN
            .saturating_add(self.header.connection_id.len())
            .saturating_add(self.body.len())
    }
}

/// The records of a datagram, where ids of ours have `id_len` bytes. One of unknown type or version is passed over; at one that
/// is cut short they end. (RFC 6347, 4.1.2.7)
///
/// Behind a record with an id only others with an id count: who does not know how long ids are here, such as a limiter of
/// ClientHellos in front, could not tell where a record in clear begins.
pub(super) fn records(datagram: &[u8], id_len: usize) -> impl Iterator<Item = Record<'_>> {
    let mut reader = Reader::new(datagram);
    let mut ids_only = false;
    iter::from_fn(move || {
        loop {
            let content = ContentType::from_number(reader.u8()?);
            let version = reader.array()?;
            let epoch = reader.u16()?;
            let [a, b, c, d, e, f] = reader.array()?;
            let sequence = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
            let has_id = id_len > 0 && content == Some(ContentType::Tls12Cid);
            let connection_id = reader.take(if has_id { id_len } else { 0 })?;
            let body = reader.vector16()?;
            ids_only |= has_id;
            if let Some(content) = content
                && has_id == (content == ContentType::Tls12Cid)
                && has_id == ids_only
                // Before a version is agreed, peers write the old one.
                && (version == DTLS_1_2 || version == DTLS_1_0 && epoch == 0)
            {
                let header = Header {
                    content,
                    epoch,
                    sequence,
                    connection_id,
                };
                return Some(Record { header, body });
            }
        }
    })
}

/// Writes a record that is not protected.
pub(super) fn put_plain(header: Header<'_>, version: [u8; 2], body: &[u8], out: &mut Vec<u8>) {
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

    fn header() -> Header<'static> {
        Header {
            content: ContentType::Handshake,
            epoch: 1,
            sequence: 0x0102_0304_0506,
            connection_id: &[],
        }
    }

    #[test]
    fn a_record_is_written_as_the_standard_says() {
        let mut out = Vec::new();
        put_plain(header(), DTLS_1_2, b"body", &mut out);
        assert_eq!(out, b"\x16\xfe\xfd\0\x01\x01\x02\x03\x04\x05\x06\0\x04body");
        assert_eq!(
            header().additional_data(4).as_bytes(),
            b"\0\x01\x01\x02\x03\x04\x05\x06\x16\xfe\xfd\0\x04"
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
            assert_eq!(records(&datagram, 0).count(), 1);
        }
        for cut in 0..good.len() {
            assert_eq!(records(&good[..cut], 0).count(), 0);
        }
        let lying = [altered(12, 18), good.clone()].concat();
        assert_eq!(records(&lying, 0).count(), 1, "one body, of both");
    }

    fn with_id(connection_id: &[u8]) -> Header<'_> {
        Header {
            content: ContentType::Tls12Cid,
            connection_id,
            ..header()
        }
    }

    #[test]
    fn a_record_with_an_id_is_written_and_authenticated_as_the_standard_says() {
        let header = with_id(b"id!");
        let mut out = Vec::new();
        header.put(DTLS_1_2, 4, &mut out);
        assert_eq!(out, b"\x19\xfe\xfd\0\x01\x01\x02\x03\x04\x05\x06id!\0\x04");
        let expected: [&[u8]; 9] = [
            &[0xff; 8],          // seq_num_placeholder
            &[25],               // tls12_cid
            &[3],                // cid_length
            &[25],               // tls12_cid
            &[0xfe, 0xfd],       // version
            &[0, 1],             // epoch
            &[1, 2, 3, 4, 5, 6], // sequence_number
            b"id!",              // cid
            &[0, 4],             // length
        ];
        assert_eq!(header.additional_data(4).as_bytes(), expected.concat());
        let longest = [7; 255];
        let data = with_id(&longest).additional_data(4);
        assert_eq!(data.as_bytes().len(), 23 + 255);
        assert!(data.as_bytes().ends_with(&[7, 0, 4]));
    }

    #[test]
    fn ids_are_read_where_there_are_some_and_nothing_in_clear_is_behind_them() {
        let mut under_id = Vec::new();
        with_id(b"id!").put(DTLS_1_2, 4, &mut under_id);
        under_id.extend(b"body");
        let mut plain = Vec::new();
        put_plain(header(), DTLS_1_2, b"body", &mut plain);
        let read = |parts: [&[u8]; 3], id_len| {
            let datagram = parts.concat();
            let read = records(&datagram, id_len).map(|record| {
                assert_eq!(
                    (record.body, record.len()),
                    (&b"body"[..], 17 + record.header.connection_id.len())
                );
                record.header.content == ContentType::Tls12Cid
            });
            read.collect::<Vec<_>>()
        };
        assert_eq!(read([&plain, &under_id, &under_id], 3), [false, true, true]);
        assert_eq!(read([&under_id, &plain, &under_id], 3), [true, true]);
        // Without ids of ours it is one more type that is passed over, with what looks like its length.
        let mut unknown = under_id.clone();
        unknown[11..13].copy_from_slice(&[0, 7]);
        assert_eq!(read([&unknown, &plain, &plain], 0), [false; 2]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_anything_can_be_read(
            sequence in 0..=LAST_SEQUENCE,
            epoch: u16,
            body in proptest::collection::vec(any::<u8>(), 0..64),
            tail in proptest::collection::vec(any::<u8>(), 0..64),
            id_len in 0..9_usize,
        ) {
            let header = Header { content: ContentType::ApplicationData, epoch, sequence, connection_id: &[] };
            let mut out = Vec::new();
            put_plain(header, DTLS_1_2, &body, &mut out);
            out.extend(&tail);
            prop_assert_eq!(records(&out, 0).next(), Some(Record { header, body: &body }));
            records(&tail, id_len).for_each(drop);
        }
    }
}
