//! What a server takes of what a client offers.

use super::alert::Alert;
use super::config::PskConfig;
use super::extension::Extensions;
use super::hello::ClientHello;
use crate::suite::CipherSuite;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Agreement<'a> {
    pub(super) suite: CipherSuite,
    /// What the ServerHello says, but for the id that is still to be chosen.
    pub(super) extensions: Extensions<'static>,
    /// The id that the client wants in records to it, when ids are spoken of.
    pub(super) connection_id: Option<&'a [u8]>,
}

impl<'a> Agreement<'a> {
    /// The first suite of ours that the client offers, whatever the client prefers, and the extensions that fit.
    pub(super) fn reach(hello: &ClientHello<'a>, config: &PskConfig) -> Result<Self, Alert> {
        if !hello.speaks_dtls_1_2() {
            return Err(Alert::ProtocolVersion);
        }
        let suite = config
            .suites
            .iter()
            .copied()
            .filter(|suite| !needs_encrypt_then_mac(*suite) || hello.extensions.encrypt_then_mac)
            .find(|suite| hello.offers_suite(suite.number()));
        let extended_master_secret = hello.extensions.extended_master_secret;
        match suite {
            Some(suite)
                if hello.offers_no_compression()
                    && (extended_master_secret || !config.require_extended_master_secret) =>
            {
                Ok(Self {
                    suite,
                    extensions: Extensions {
                        // Not with an authenticated cipher, even if it is offered. (RFC 7366, 3)
                        encrypt_then_mac: needs_encrypt_then_mac(suite),
                        extended_master_secret,
                        renegotiation_info: hello.knows_renegotiation_info(),
                        ..Extensions::default()
                    },
                    connection_id: hello
                        .extensions
                        .connection_id
                        .filter(|_| config.connection_id_len.is_some()),
                })
            }
            _ => Err(Alert::HandshakeFailure),
        }
    }
}

/// Whether a suite is spoken with encrypt-then-MAC only. The older order of the two leaks through timing.
pub(super) const fn needs_encrypt_then_mac(suite: CipherSuite) -> bool {
    matches!(suite, CipherSuite::PskAes128CbcSha256)
}
