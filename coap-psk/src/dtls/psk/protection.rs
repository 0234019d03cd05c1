//! Keys of one direction, and how they protect records.

mod cbc;
mod ccm;

use alloc::boxed::Box;
use alloc::vec::Vec;

use cbc::CbcSha256;
use ccm::Ccm8;

use super::record::{Header, MAX_INNER, MAX_PLAINTEXT, Record};
use super::wire::Reader;
use crate::random::Random;
use crate::suite::CipherSuite;

pub(super) enum Protection {
    Ccm8(Ccm8),
    /// Rarer and larger.
    CbcSha256(Box<CbcSha256>),
}

impl Protection {
    /// The bytes that a record has more than its text, at most, the header included.
    pub(super) const fn overhead(&self) -> usize {
        match self {
            Self::Ccm8(_) => Ccm8::OVERHEAD,
            Self::CbcSha256(_) => CbcSha256::OVERHEAD,
        }
    }

    pub(super) const fn suite(&self) -> CipherSuite {
        match self {
            Self::Ccm8(_) => CipherSuite::PskAes128Ccm8,
            Self::CbcSha256(_) => CipherSuite::PskAes128CbcSha256,
        }
    }

    /// The keys, which are wiped here. Just moved, they would stay behind in the memory that they leave.
    pub(super) fn take(&mut self) -> Self {
        match self {
            Self::Ccm8(keys) => Self::Ccm8(keys.take()),
            Self::CbcSha256(keys) => Self::CbcSha256(Box::new(keys.take())),
        }
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ccm8(keys) => keys.save(out),
            Self::CbcSha256(keys) => keys.save(out),
        }
    }

    pub(super) fn restore(suite: CipherSuite, reader: &mut Reader<'_>) -> Option<Self> {
        Some(match suite {
            CipherSuite::PskAes128Ccm8 => Self::Ccm8(Ccm8::new(reader.array()?, reader.array()?)),
            CipherSuite::PskAes128CbcSha256 => {
                Self::CbcSha256(Box::new(CbcSha256::new(reader.array()?, reader.array()?)))
            }
        })
    }

    /// Writes a record with a text in two parts in it; `None` when the text is too long for one.
    pub(super) fn seal(
        &self,
        header: Header<'_>,
        text: [&[u8]; 2],
        random: &mut Random,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        if len_of(text)? > MAX_PLAINTEXT {
            return None;
        }
        match self {
            Self::Ccm8(keys) => keys.seal(header, text, out),
            Self::CbcSha256(keys) => keys.seal(header, text, random, out),
        }
    }

    /// The text of a record, if it is authentic; under a connection id, with its type and padding.
    pub(super) fn open(&self, record: &Record<'_>) -> Option<Vec<u8>> {
        let limit = if record.header.connection_id.is_empty() {
            MAX_PLAINTEXT
        } else {
            MAX_INNER
        };
        let text = match self {
            Self::Ccm8(keys) => keys.open(record),
            Self::CbcSha256(keys) => keys.open(record),
        }?;
        (text.len() <= limit).then_some(text)
    }
}

fn len_of([front, tail]: [&[u8]; 2]) -> Option<usize> {
    front.len().checked_add(tail.len())
}

/// The keys of both directions.
pub(super) struct KeyPair {
    /// For what the client writes.
    pub(super) client: Protection,
    /// For what the server writes.
    pub(super) server: Protection,
}

impl KeyPair {
    /// The most key material that a suite takes.
    pub(super) const MAX_MATERIAL: usize = 96;

    /// The bytes of key material that a suite takes.
    pub(super) const fn material_len(suite: CipherSuite) -> usize {
        match suite {
            CipherSuite::PskAes128Ccm8 => 2 * 16 + 2 * 4,
            CipherSuite::PskAes128CbcSha256 => 2 * 32 + 2 * 16,
        }
    }

    /// Cuts key material into keys: those for the MAC, those for the cipher, the fixed parts of nonces. (RFC 5246, 6.3)
    pub(super) fn cut(suite: CipherSuite, material: &[u8]) -> Self {
        let mut rest = material;
        match suite {
            CipherSuite::PskAes128Ccm8 => {
                let (client, server) = (take(&mut rest), take(&mut rest));
                Self {
                    client: Protection::Ccm8(Ccm8::new(client, take(&mut rest))),
                    server: Protection::Ccm8(Ccm8::new(server, take(&mut rest))),
                }
            }
            CipherSuite::PskAes128CbcSha256 => {
                let (client, server) = (take(&mut rest), take(&mut rest));
                let mut keys = |mac_key| Box::new(CbcSha256::new(mac_key, take(&mut rest)));
                Self {
                    client: Protection::CbcSha256(keys(client)),
                    server: Protection::CbcSha256(keys(server)),
                }
            }
        }
    }
}

/// The next bytes of key material, of which there are as many as are taken.
fn take<const N: usize>(material: &mut &[u8]) -> [u8; N] {
    let mut taken = [0; N];
    if let Some((front, rest)) = material.split_first_chunk() {
        taken = *front;
        *material = rest;
    }
    taken
}

#[cfg(test)]
mod tests;
