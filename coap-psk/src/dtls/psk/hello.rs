//! ClientHello, HelloVerifyRequest and ServerHello. (RFC 5246, 7.4.1; RFC 6347, 4.2.1)

use alloc::vec::Vec;

use super::extension::Extensions;
use super::record::{DTLS_1_0, DTLS_1_2};
use super::wire::{Reader, put_vector8, put_vector16};

/// Says that this is a first handshake, in the place of a suite. (RFC 5746, 3.3)
const RENEGOTIATION_SCSV: u16 = 0x00ff;
const MAX_SESSION_ID: usize = 32;
const NO_COMPRESSION: u8 = 0;
/// About as many bytes as a ServerHello has.
const SERVER_HELLO_LEN: usize = 80;

/// A ClientHello of a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientHello<'a> {
    version: [u8; 2],
    pub(super) random: [u8; 32],
    pub(super) cookie: &'a [u8],
    suites: &'a [u8],
    compressions: &'a [u8],
    pub(super) extensions: Extensions<'a>,
    /// Everything but the cookie, which is what the cookie vouches for.
    pub(super) parameters: [&'a [u8]; 2],
}

impl<'a> ClientHello<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let version = reader.array()?;
        let random = reader.array()?;
        let session_id = reader.vector8()?;
        let before_cookie = body.len().checked_sub(reader.rest().len())?;
        let cookie = reader.vector8()?;
        let parameters = [body.get(..before_cookie)?, reader.rest()];
        let suites = reader.vector16()?;
        let compressions = reader.vector8()?;
        let extensions = Extensions::read(reader)?;
        let well_formed = session_id.len() <= MAX_SESSION_ID
            && !suites.is_empty()
            && suites.len().is_multiple_of(2)
            && !compressions.is_empty();
        well_formed.then_some(Self {
            version,
            random,
            cookie,
            suites,
            compressions,
            extensions,
            parameters,
        })
    }

    /// Whether the client speaks DTLS 1.2; newer versions say so too, and older ones have higher numbers.
    pub(super) const fn speaks_dtls_1_2(&self) -> bool {
        matches!(self.version, [0xfe, minor] if minor <= DTLS_1_2[1])
    }

    pub(super) fn offers_suite(&self, number: u16) -> bool {
        self.suites
            .chunks_exact(2)
            .any(|suite| suite == number.to_be_bytes())
    }

    pub(super) fn offers_no_compression(&self) -> bool {
        self.compressions.contains(&NO_COMPRESSION)
    }

    /// Whether the client expects to be told that this is a first handshake. (RFC 5746, 3.6)
    pub(super) fn knows_renegotiation_info(&self) -> bool {
        self.extensions.renegotiation_info || self.offers_suite(RENEGOTIATION_SCSV)
    }
}

/// The body of a ClientHello.
pub(super) fn client_hello(
    random: &[u8; 32],
    cookie: &[u8],
    suites: impl Iterator<Item = u16>,
    extensions: Extensions<'_>,
) -> Vec<u8> {
    let mut body = Vec::from(DTLS_1_2);
    body.extend(random);
    put_vector8(&mut body, &[]);
    put_vector8(&mut body, cookie);
    let suites: Vec<u8> = suites
        .chain([RENEGOTIATION_SCSV])
        .flat_map(u16::to_be_bytes)
        .collect();
    put_vector16(&mut body, &suites);
    put_vector8(&mut body, &[NO_COMPRESSION]);
    extensions.put(&mut body);
    body
}

/// The body of a HelloVerifyRequest.
pub(super) fn hello_verify_request(cookie: &[u8]) -> Vec<u8> {
    // Always the old version, whatever is agreed later. (RFC 6347, 4.2.1)
    let mut body = Vec::from(DTLS_1_0);
    put_vector8(&mut body, cookie);
    body
}

/// The cookie of a HelloVerifyRequest. Its version says nothing. (RFC 6347, 4.2.1)
pub(super) fn parse_hello_verify_request(body: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(body);
    reader.take(2)?;
    let cookie = reader.vector8()?;
    reader.end()?;
    Some(cookie)
}

/// A ServerHello of a peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct ServerHello<'a> {
    pub(super) version: [u8; 2],
    pub(super) random: [u8; 32],
    pub(super) suite: u16,
    compression: u8,
    pub(super) extensions: Extensions<'a>,
}

impl<'a> ServerHello<'a> {
    /// What this engine answers: no session id, because nothing is resumed, and no compression.
    pub(super) const fn new(random: [u8; 32], suite: u16, extensions: Extensions<'a>) -> Self {
        Self {
            version: DTLS_1_2,
            random,
            suite,
            compression: NO_COMPRESSION,
            extensions,
        }
    }

    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let version = reader.array()?;
        let random = reader.array()?;
        let session_id = reader.vector8()?;
        let suite = reader.u16()?;
        let compression = reader.u8()?;
        let extensions = Extensions::read(reader)?;
        (session_id.len() <= MAX_SESSION_ID).then_some(Self {
            version,
            random,
            suite,
            compression,
            extensions,
        })
    }

    pub(super) const fn chose_no_compression(&self) -> bool {
        self.compression == NO_COMPRESSION
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(SERVER_HELLO_LEN);
        body.extend(self.version);
        body.extend(self.random);
        put_vector8(&mut body, &[]);
        body.extend(self.suite.to_be_bytes());
        body.push(self.compression);
        self.extensions.put(&mut body);
        body
    }
}

#[cfg(test)]
mod tests;
