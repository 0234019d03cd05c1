//! Records of TLS_PSK_WITH_AES_128_CBC_SHA256, encrypt-then-MAC only. (RFC 5487, RFC 7366)
//!
//! With the MAC over what is encrypted, nothing is decrypted that is not authentic, and so padding tells an attacker nothing.

use alloc::vec::Vec;

use aes::{Aes128Dec, Aes128Enc, Block};
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use hmac::Mac;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::super::prf::hmac;
use super::super::record::{DTLS_1_2, HEADER_LEN, Header, Record};
use super::len_of;
use crate::random::Random;

const BLOCK_LEN: usize = 16;
const MAC_LEN: usize = 32;

/// The two keys alone, as for CCM.
pub(crate) struct CbcSha256 {
    mac_key: [u8; 32],
    key: [u8; 16],
}

impl CbcSha256 {
    /// The bytes that a record has more than its text, at most: header, initialization vector, padding and MAC.
    pub(super) const OVERHEAD: usize = HEADER_LEN + BLOCK_LEN + BLOCK_LEN + MAC_LEN;

    pub(super) const fn new(mac_key: [u8; 32], key: [u8; 16]) -> Self {
        Self { mac_key, key }
    }

    /// The keys, which are wiped here.
    pub(super) fn take(&mut self) -> Self {
        let taken = Self::new(self.mac_key, self.key);
        self.zeroize();
        taken
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        out.extend(self.mac_key);
        out.extend(self.key);
    }

    pub(super) fn seal(
        &self,
        header: Header<'_>,
        text: [&[u8]; 2],
        random: &mut Random,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let mut iv = [0; BLOCK_LEN];
        random.fill(&mut iv);
        // Every byte of padding, of which there is at least one, says how many follow it. (RFC 5246, 6.2.3.2)
        let text_len = len_of(text)?;
        let padding = BLOCK_LEN.checked_sub(text_len % BLOCK_LEN)?;
        let value = u8::try_from(padding.checked_sub(1)?).ok()?;
        let encrypted = text_len.checked_add(padding)?;
        let fragment = encrypted.checked_add(BLOCK_LEN)?;
        header.put(DTLS_1_2, fragment.checked_add(MAC_LEN)?, out);
        let start = out.len();
        out.extend(iv);
        for part in text {
            out.extend(part);
        }
        out.extend(core::iter::repeat_n(value, padding));
        let fragment = out.get_mut(start..)?;
        let (blocks, _) = Block::slice_as_chunks_mut(fragment.get_mut(BLOCK_LEN..)?);
        cbc::Encryptor::<Aes128Enc>::new((&self.key).into(), (&iv).into()).encrypt_blocks(blocks);
        let mac = self.mac(header, fragment);
        out.extend(mac);
        Some(())
    }

    pub(super) fn open(&self, record: &Record<'_>) -> Option<Vec<u8>> {
        let (fragment, mac) = record.body.split_last_chunk::<MAC_LEN>()?;
        if !bool::from(self.mac(record.header, fragment).ct_eq(mac)) {
            return None;
        }
        let (iv, encrypted) = fragment.split_first_chunk::<BLOCK_LEN>()?;
        let mut text = encrypted.to_vec();
        let (blocks, rest) = Block::slice_as_chunks_mut(&mut text);
        if !rest.is_empty() {
            return None;
        }
        cbc::Decryptor::<Aes128Dec>::new((&self.key).into(), iv.into()).decrypt_blocks(blocks);
        let value = *text.last()?;
        let len = text.len().checked_sub(usize::from(value))?.checked_sub(1)?;
        let padded = text.get(len..)?.iter().all(|byte| *byte == value);
        text.truncate(len);
        padded.then_some(text)
    }

    /// RFC 7366, 3; RFC 9146, 5.2
    fn mac(&self, header: Header<'_>, fragment: &[u8]) -> [u8; MAC_LEN] {
        let mut mac = hmac(&self.mac_key);
        mac.update(header.additional_data(fragment.len()).as_bytes());
        mac.update(fragment);
        mac.finalize().into_bytes().into()
    }
}

impl Zeroize for CbcSha256 {
    fn zeroize(&mut self) {
        self.mac_key.zeroize();
        self.key.zeroize();
    }
}

impl Drop for CbcSha256 {
    fn drop(&mut self) {
        self.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::record::{ContentType, records};
    use super::*;

    #[test]
    fn authentic_records_with_wrong_padding_are_refused() {
        let keys = CbcSha256::new([1; 32], [2; 16]);
        let header = Header {
            content: ContentType::ApplicationData,
            epoch: 1,
            sequence: 9,
            connection_id: &[],
        };
        // What a broken peer would encrypt, and what is left of it.
        let cases: [([u8; 16], Option<usize>); 5] = [
            ([15; 16], Some(0)),
            ([0; 16], Some(15)),
            (
                core::array::from_fn(|at| if at == 0 { 14 } else { 15 }),
                None,
            ),
            ([16; 16], None),
            ([255; 16], None),
        ];
        for (text, left) in cases {
            let iv = [3; BLOCK_LEN];
            let mut fragment = [iv, text].concat();
            let (blocks, _) = Block::slice_as_chunks_mut(&mut fragment[BLOCK_LEN..]);
            cbc::Encryptor::<Aes128Enc>::new((&keys.key).into(), (&iv).into())
                .encrypt_blocks(blocks);
            let mac = keys.mac(header, &fragment);
            let mut record = Vec::new();
            header.put(
                DTLS_1_2,
                fragment.len().saturating_add(MAC_LEN),
                &mut record,
            );
            record.extend(fragment);
            record.extend(mac);
            let opened = keys.open(&records(&record, 0).next().unwrap());
            assert_eq!(opened.map(|text| text.len()), left, "{text:?}");
        }
    }
}
