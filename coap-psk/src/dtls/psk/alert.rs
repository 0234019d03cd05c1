//! Alerts. (RFC 5246, 7.2)

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::context::Context;
use super::record::ContentType;
use super::traffic::Outbound;

/// What this engine has to say in alerts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Alert {
    CloseNotify,
    UnexpectedMessage,
    BadRecordMac,
    HandshakeFailure,
    IllegalParameter,
    DecodeError,
    DecryptError,
    ProtocolVersion,
    UnsupportedExtension,
}

impl Alert {
    /// Level and description. All but the end of a session are fatal.
    pub(super) const fn bytes(self) -> [u8; 2] {
        match self {
            Self::CloseNotify => [1, 0],
            Self::UnexpectedMessage => [2, 10],
            Self::BadRecordMac => [2, 20],
            Self::HandshakeFailure => [2, 40],
            Self::IllegalParameter => [2, 47],
            Self::DecodeError => [2, 50],
            Self::DecryptError => [2, 51],
            Self::ProtocolVersion => [2, 70],
            Self::UnsupportedExtension => [2, 110],
        }
    }

    /// Says it in clear, once: nobody can rely on it.
    pub(super) fn send(self, peer: SocketAddr, outbound: &mut Outbound, cx: &mut Context) {
        let mut datagram = Vec::new();
        let put = outbound.put_plain(ContentType::Alert, &self.bytes(), &mut datagram);
        if put.is_some() {
            cx.transmit(peer, datagram);
        }
    }
}

/// Whether an alert of the peer ends the session: a fatal one, or its close_notify.
pub(super) fn ends_session(body: &[u8]) -> bool {
    matches!(body, [2, _] | [_, 0])
}

pub(super) fn is_close_notify(body: &[u8]) -> bool {
    matches!(body, [_, 0])
}
