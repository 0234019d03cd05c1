//! Records of TLS_PSK_WITH_AES_128_CCM_8. (RFC 6655)

use alloc::vec::Vec;

use aes::Aes128Enc;
use ccm::aead::AeadInOut;
use ccm::consts::{U8, U12};
use ccm::{Ccm, KeyInit};
use zeroize::Zeroize;

use super::super::record::{DTLS_1_2, HEADER_LEN, Header, Record};
use super::len_of;

/// `AEAD_AES_128_CCM_8`. (RFC 6655, 6.1)
type Aes128Ccm8 = Ccm<Aes128Enc, U8, U12>;

const NONCE_LEN: usize = 8;
const TAG_LEN: usize = 8;

/// Only the key itself is kept: its schedule is eleven times as long and quick to compute.
pub(crate) struct Ccm8 {
    key: [u8; 16],
    /// The part of the nonce that is not sent.
    salt: [u8; 4],
}

impl Ccm8 {
    /// The bytes that a record has more than its text, the header included.
    pub(super) const OVERHEAD: usize = HEADER_LEN + NONCE_LEN + TAG_LEN;

    pub(super) const fn new(key: [u8; 16], salt: [u8; 4]) -> Self {
        Self { key, salt }
    }

    /// The keys, which are wiped here.
    pub(super) fn take(&mut self) -> Self {
        let taken = Self::new(self.key, self.salt);
        self.zeroize();
        taken
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        out.extend(self.key);
        out.extend(self.salt);
    }

    pub(super) fn seal(
        &self,
        header: Header<'_>,
        text: [&[u8]; 2],
        out: &mut Vec<u8>,
    ) -> Option<()> {
        // The explicit nonce is the record's number, which never comes back under one key. (RFC 6655, 3)
        let explicit = header.number();
        let text_len = len_of(text)?;
        header.put(DTLS_1_2, text_len.checked_add(NONCE_LEN + TAG_LEN)?, out);
        out.extend(explicit);
        let start = out.len();
        for part in text {
            out.extend(part);
        }
        let tag = self
            .cipher()
            .encrypt_inout_detached(
                &self.nonce(explicit).into(),
                header.additional_data(text_len).as_bytes(),
                out.get_mut(start..)?.into(),
            )
            .ok()?;
        out.extend(tag);
        Some(())
    }

    pub(super) fn open(&self, record: &Record<'_>) -> Option<Vec<u8>> {
        let (explicit, rest) = record.body.split_first_chunk::<NONCE_LEN>()?;
        let (text, tag) = rest.split_last_chunk::<TAG_LEN>()?;
        let mut text = text.to_vec();
        self.cipher()
            .decrypt_inout_detached(
                &self.nonce(*explicit).into(),
                record.header.additional_data(text.len()).as_bytes(),
                text.as_mut_slice().into(),
                tag.into(),
            )
            .ok()?;
        Some(text)
    }

    fn cipher(&self) -> Aes128Ccm8 {
        Aes128Ccm8::new((&self.key).into())
    }

    const fn nonce(&self, explicit: [u8; NONCE_LEN]) -> [u8; 12] {
        let [a, b, c, d] = self.salt;
        let [e, f, g, h, i, j, k, l] = explicit;
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }
}

impl Zeroize for Ccm8 {
    fn zeroize(&mut self) {
        self.key.zeroize();
        self.salt.zeroize();
    }
}

impl Drop for Ccm8 {
    fn drop(&mut self) {
        self.zeroize();
    }
}
