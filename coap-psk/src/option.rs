//! CoAP options: their numbers and values.

#[cfg(any(feature = "dtls", feature = "tcp"))]
pub(crate) mod rules;

use alloc::vec::Vec;

use bytes::Bytes;

/// If-Match.
pub const IF_MATCH: u16 = 1;
/// Uri-Host.
pub const URI_HOST: u16 = 3;
/// ETag.
pub const ETAG: u16 = 4;
/// If-None-Match.
pub const IF_NONE_MATCH: u16 = 5;
/// Observe. (RFC 7641)
pub const OBSERVE: u16 = 6;
/// Uri-Port.
pub const URI_PORT: u16 = 7;
/// Location-Path.
pub const LOCATION_PATH: u16 = 8;
/// Uri-Path.
pub const URI_PATH: u16 = 11;
/// Content-Format.
pub const CONTENT_FORMAT: u16 = 12;
/// Max-Age.
pub const MAX_AGE: u16 = 14;
/// Uri-Query.
pub const URI_QUERY: u16 = 15;
/// Accept.
pub const ACCEPT: u16 = 17;
/// Location-Query.
pub const LOCATION_QUERY: u16 = 20;
/// Block2. (RFC 7959)
pub const BLOCK2: u16 = 23;
/// Block1. (RFC 7959)
pub const BLOCK1: u16 = 27;
/// Size2. (RFC 7959)
pub const SIZE2: u16 = 28;
/// Proxy-Uri.
pub const PROXY_URI: u16 = 35;
/// Proxy-Scheme.
pub const PROXY_SCHEME: u16 = 39;
/// Size1.
pub const SIZE1: u16 = 60;
/// Echo. (RFC 9175)
pub const ECHO: u16 = 252;
/// No-Response. (RFC 7967)
pub const NO_RESPONSE: u16 = 258;
/// Request-Tag. (RFC 9175)
pub const REQUEST_TAG: u16 = 292;
/// OCF-Accept-Content-Format-Version. (OCF Core, 12.2.6)
pub const OCF_ACCEPT_CONTENT_FORMAT_VERSION: u16 = 2049;
/// OCF-Content-Format-Version. (OCF Core, 12.2.6)
pub const OCF_CONTENT_FORMAT_VERSION: u16 = 2053;
/// The path of the next waiting command, in the responses of an EnOS cloud.
pub const ENOS_MAILBOX: u16 = 2100;

/// An option that the message layer carries without a meaning of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CoapOption {
    /// Its number.
    pub number: u16,
    /// Its value.
    pub value: Bytes,
}

impl CoapOption {
    /// An option.
    #[must_use]
    pub fn new(number: u16, value: impl Into<Bytes>) -> Self {
        Self {
            number,
            value: value.into(),
        }
    }

    /// An option whose value is a number, written without leading zeros. (RFC 7252, 3.2)
    #[must_use]
    pub fn from_uint(number: u16, value: u32) -> Self {
        Self::new(number, encode_uint(value))
    }

    /// The value as a number; `None` when it is over 32 bits.
    #[must_use]
    pub fn as_uint(&self) -> Option<u32> {
        decode_uint(&self.value)
    }
}

/// Whether a peer that does not know the option must refuse the message. (RFC 7252, 5.4.6)
#[must_use]
pub const fn is_critical(number: u16) -> bool {
    number & 1 == 1
}

/// Reads a number; leading zeros are fine. (RFC 7252, 3.2)
pub(crate) fn decode_uint(value: &[u8]) -> Option<u32> {
    value.iter().try_fold(0_u32, |number, byte| {
        let shifted = number.checked_mul(256)?;
        shifted.checked_add(u32::from(*byte))
    })
}

/// Writes a number without leading zeros; zero is no bytes.
pub(crate) fn encode_uint(number: u32) -> Vec<u8> {
    number
        .to_be_bytes()
        .into_iter()
        .skip_while(|byte| *byte == 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back_and_leading_zeros_do_not_matter(number: u32, zeros in 0_usize..4) {
            let written = encode_uint(number);
            prop_assert!(written.first() != Some(&0));
            let mut padded = alloc::vec![0; zeros];
            padded.extend(&written);
            prop_assert_eq!(decode_uint(&padded), Some(number));
        }
    }
}
