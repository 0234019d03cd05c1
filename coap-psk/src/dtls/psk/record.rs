//! The record layer: the thirteen bytes in front of everything. (RFC 6347, 4.1)

use alloc::vec::Vec;
use core::iter;

use super::wire::Reader;

pub(super) const HEADER_LEN: usize = 13;

/// The most bytes of a plaintext. (RFC 5246, 6.2.1)
pub(super) const MAX_PLAINTEXT: usize = 1 << 14;
/// The most bytes of a plaintext with the type and the padding that it has under a connection id: as many as may be encrypted.
/// (RFC 9146, 4; RFC 5246, 6.2.2)
pub(super) const MAX_INNER: usize = MAX_PLAINTEXT + 1_024;

/// The most bytes of a protected body. (RFC 5246, 6.2.3)
const MAX_PROTECTED: usize = MAX_PLAINTEXT + 2_048;

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

/// The records of a datagram, where ids of ours have `id_len` bytes. One of unknown type or version, or over the limit, is passed
/// over; at one that is cut short they end. (RFC 6347, 4.1.2.7)
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
            let limit = if epoch == 0 {
                MAX_PLAINTEXT
            } else {
                MAX_PROTECTED
            };
            ids_only |= has_id;
            if let Some(content) = content
                && has_id == (content == ContentType::Tls12Cid)
                && has_id == ids_only
                && body.len() <= limit
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
mod tests;
