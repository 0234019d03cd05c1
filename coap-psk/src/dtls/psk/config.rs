//! Settings and limits of the engine.

use alloc::vec::Vec;
use core::time::Duration;

use super::connection_id::MAX_CONNECTION_ID_LEN;
use crate::dtls::ShardNumber;
use crate::suite::CipherSuite;

/// Settings of a [`PskEndpoint`](super::PskEndpoint).
///
/// ```
/// # use core::time::Duration;
/// let mut config = coap_psk::dtls::psk::PskConfig::default();
/// config.initial_timeout = Duration::from_secs(9); // NB-IoT (RFC 7925, 11)
/// config.accept = false; // a device, which only connects
/// config.connection_id_len = Some(0); // and knows where the cloud is
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct PskConfig {
    /// Whether handshakes of others are taken up, which is the server role; default yes.
    pub accept: bool,
    /// The cipher suites that are offered and taken, the preferred one first; default all that the engine knows.
    pub suites: Vec<CipherSuite>,
    /// The identity hint that a server sends; default none. Devices that know who they are ignore it.
    pub identity_hint: Option<Vec<u8>>,
    /// Whether a peer without the extended master secret is refused; default no, since older devices do not know it.
    /// (RFC 7627)
    pub require_extended_master_secret: bool,
    /// The bytes of the connection ids that this side chooses for what its peers send; default 6, and at most
    /// [`MAX_CONNECTION_ID_LEN`]. A peer that knows of them is found by its id when its address changes. With 0 this side
    /// sends with the peer's id, which costs a device behind a NAT nothing but a few bytes, and wants none itself. `None`:
    /// ids are neither offered nor taken. (RFC 9146)
    pub connection_id_len: Option<usize>,
    /// Which one this is of several engines at one address; default none: it is alone. The number is in all ids of its
    /// sessions, and is the first byte of the connection ids that it chooses, so that the record of a peer that moved can be
    /// brought to it wherever it arrives; that leaves a byte less to chance. All engines of an address need the same
    /// `connection_id_len`.
    pub shard: Option<ShardNumber>,
    /// When a flight is sent again for the first time; default 1 s, and at least 1 ms. The time doubles each time.
    /// (RFC 6347, 4.2.4.1)
    pub initial_timeout: Duration,
    /// The longest time between two transmissions of a flight; default 60 s.
    pub max_timeout: Duration,
    /// How long a handshake may take, the lookup of its key included; default 90 s.
    pub handshake_timeout: Duration,
    /// After how long the key of cookies changes; default 60 s, and at least 1 s. A cookie is good for one to two times as
    /// long.
    pub cookie_lifetime: Duration,
    /// The bytes of a handshake datagram at most; default 1,200, and at least [`MIN_MTU`]. Only a ClientHello is never
    /// divided, because a server that keeps no state could not put it together, and neither is a Finished, for which the
    /// connection id of a peer may leave no room.
    pub mtu: usize,
    /// Sessions at most; default 101,024, which is what an [`Endpoint`](crate::Endpoint) takes by default and as many
    /// handshakes: the endpoint knows who is online, and chooses who gives way. A handshake beyond is not begun, or is closed
    /// when it completes, unless it replaces a session.
    pub max_sessions: usize,
    /// Handshakes that others began and that are under way; default 1,024, and at least 1. Beyond, the oldest gives way of the
    /// network that has the most, so that nobody who fills all places takes them from others. A network is as in the default
    /// [`Prefixes`](crate::limit::Prefixes).
    pub max_handshakes: usize,
    /// How many sequence numbers an [`export`](super::PskEndpoint::export) of a session reserves; default 65,536, of the 2^48
    /// that there are.
    pub reserved_records: u32,
    /// The bytes of a handshake message of a peer, and those of its early records that wait for the key; default 1,024.
    pub max_message: usize,
    /// Records that fail authentication until a session is closed; default 2^20, far below what guessing a tag of CCM_8
    /// takes. (RFC 6347, 4.1.2.7)
    pub max_rejected: u32,
}

/// The least that counts as [`PskConfig::mtu`].
pub const MIN_MTU: usize = 128;

impl Default for PskConfig {
    fn default() -> Self {
        Self {
            accept: true,
            suites: CipherSuite::ALL.to_vec(),
            identity_hint: None,
            require_extended_master_secret: false,
            connection_id_len: Some(6),
            shard: None,
            initial_timeout: Duration::from_secs(1),
            max_timeout: Duration::from_secs(60),
            handshake_timeout: Duration::from_secs(90),
            cookie_lifetime: Duration::from_secs(60),
            mtu: 1_200,
            max_sessions: 101_024,
            max_handshakes: 1_024,
            reserved_records: 1 << 16,
            max_message: 1_024,
            max_rejected: 1 << 20,
        }
    }
}

impl PskConfig {
    /// The bytes that the ids in records to this side have.
    pub(super) fn own_id_len(&self) -> usize {
        self.connection_id_len
            .map_or(0, |len| len.min(MAX_CONNECTION_ID_LEN))
    }
}
