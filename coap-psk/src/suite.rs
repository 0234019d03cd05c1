//! The cipher suites of constrained devices.

use core::fmt;

use crate::error::{Error, ErrorKind};

/// A cipher suite of DTLS 1.2 that EnOS devices use. Both are plain PSK: without forward secrecy.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum CipherSuite {
    /// `TLS_PSK_WITH_AES_128_CCM_8`, mandatory for CoAP with pre-shared keys. (RFC 7252, 9.1.3.1)
    PskAes128Ccm8,
    /// `TLS_PSK_WITH_AES_128_CBC_SHA256`, the only one of some NB-IoT modems. (RFC 5487)
    PskAes128CbcSha256,
}

impl CipherSuite {
    /// All of them, the one a server should prefer first.
    pub const ALL: [Self; 2] = [Self::PskAes128Ccm8, Self::PskAes128CbcSha256];

    /// Its number in the IANA registry.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::PskAes128Ccm8 => 0xc0a8,
            Self::PskAes128CbcSha256 => 0x00ae,
        }
    }

    /// Its name in the IANA registry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PskAes128Ccm8 => "TLS_PSK_WITH_AES_128_CCM_8",
            Self::PskAes128CbcSha256 => "TLS_PSK_WITH_AES_128_CBC_SHA256",
        }
    }
}

impl TryFrom<u16> for CipherSuite {
    type Error = Error;

    fn try_from(number: u16) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|suite| suite.number() == number)
            .ok_or_else(|| ErrorKind::Suite.into())
    }
}

impl fmt::Display for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_name_suites_and_no_others() {
        for suite in CipherSuite::ALL {
            assert_eq!(CipherSuite::try_from(suite.number()).unwrap(), suite);
        }
        let known = (0..=u16::MAX)
            .filter(|number| CipherSuite::try_from(*number).is_ok())
            .count();
        assert_eq!(known, CipherSuite::ALL.len());
    }
}
