use std::time::Instant;

use crate::mqtt::{ClientId, DownPayload, TimedMac};

/// What a [`Session`](super::Session) wants carried out, in this order.
#[derive(Debug)]
#[must_use = "an output left undone leaves the device waiting"]
#[expect(
    clippy::exhaustive_enums,
    reason = "an output that is ignored stalls its connection"
)]
pub enum Output {
    /// Judge the credentials and say so to [`handle_authentication`](super::Session::handle_authentication).
    Authenticate(Credentials),
    /// Send CONNACK without a session.
    ConnAck(ConnectCode),
    /// Send SUBACK: QoS 0 for what is granted, 0x80 for the rest.
    SubAck {
        /// Of the SUBSCRIBE.
        packet_id: u16,
        /// For each filter in turn.
        granted: Vec<bool>,
    },
    /// Send UNSUBACK.
    UnsubAck {
        /// Of the UNSUBSCRIBE.
        packet_id: u16,
    },
    /// Send PUBACK.
    PubAck {
        /// Of the PUBLISH.
        packet_id: u16,
    },
    /// Send PINGRESP.
    PingResp,
    /// Find out where the device belongs and say so to [`handle_answer`](super::Session::handle_answer).
    Register {
        /// Names the request in the answer.
        request: RequestId,
        /// What the device published; [`Up`](crate::mqtt::Up) reads it.
        payload: Vec<u8>,
        /// From then on the answer is not wanted any more.
        answer_by: Option<Instant>,
    },
    /// Send PUBLISH with QoS 0.
    Publish {
        /// The topic name.
        topic: String,
        /// The payload.
        payload: DownPayload,
    },
    /// Close the connection; nothing follows.
    Close(Cause),
}

/// Who a device says it is, and what it shows for it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Credentials {
    /// Its id, and the scope it names.
    pub client_id: ClientId,
    /// What it shows.
    pub presented: Presented,
}

/// What a device shows for who it says it is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Presented {
    /// A password.
    Password(TimedMac),
    /// The client certificate of the TLS connection.
    Certificate,
}

/// The return code of a CONNACK (MQTT 3.1.1, 3.2.2.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "MQTT 3.1.1 has these six")]
pub enum ConnectCode {
    /// 0.
    Accepted,
    /// 1.
    UnacceptableProtocolVersion,
    /// 2.
    IdentifierRejected,
    /// 3.
    ServerUnavailable,
    /// 4.
    BadUserNameOrPassword,
    /// 5.
    NotAuthorized,
}

impl ConnectCode {
    /// The byte on the wire.
    #[must_use]
    pub fn value(self) -> u8 {
        match self {
            Self::Accepted => 0,
            Self::UnacceptableProtocolVersion => 1,
            Self::IdentifierRejected => 2,
            Self::ServerUnavailable => 3,
            Self::BadUserNameOrPassword => 4,
            Self::NotAuthorized => 5,
        }
    }
}

/// Names one request of a connection.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub(super) u32);

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// The CONNECT was refused with this code.
    Refused(ConnectCode),
    /// The device ended it.
    Device,
    /// The server ended it.
    Server,
    /// The device did what it may not do here, or sent bytes that are no packet.
    NotAllowed,
    /// The device sent too many packets or requests.
    TooMuch,
    /// The device was silent for longer than it may be.
    Silent,
    /// The connection lasted for as long as it may.
    TooLong,
}

impl Cause {
    /// A word for logs and figures.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Device => "device",
            Self::Server => "server",
            Self::NotAllowed => "not_allowed",
            Self::TooMuch => "too_much",
            Self::Silent => "silent",
            Self::TooLong => "too_long",
        }
    }
}
