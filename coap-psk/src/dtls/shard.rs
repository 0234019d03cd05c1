//! Several endpoints behind one address: which of them a session belongs to.

use core::fmt;

use super::{HandshakeId, SessionId};

/// The number of one endpoint among those that share an address; 0 for one that is alone.
///
/// All ids of its sessions and handshakes name it, so that an id alone tells whom to ask:
///
/// ```
/// use coap_psk::dtls::{SessionId, ShardNumber};
///
/// let session = SessionId(ShardNumber(3).first_id() + 17);
/// assert_eq!(ShardNumber::from(session), ShardNumber(3));
/// assert_eq!(ShardNumber::from(SessionId(17)), ShardNumber(0));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it is a number and nothing else, as the ids are"
)]
pub struct ShardNumber(pub u8);

impl ShardNumber {
    /// The first id of a session or a handshake of this shard. The next shard begins 2^56 ids later.
    #[must_use]
    pub const fn first_id(self) -> u64 {
        u64::from_be_bytes([self.0, 0, 0, 0, 0, 0, 0, 0])
    }

    const fn of_id(id: u64) -> Self {
        let [shard, ..] = id.to_be_bytes();
        Self(shard)
    }
}

impl From<SessionId> for ShardNumber {
    fn from(session: SessionId) -> Self {
        Self::of_id(session.0)
    }
}

impl From<HandshakeId> for ShardNumber {
    fn from(handshake: HandshakeId) -> Self {
        Self::of_id(handshake.0)
    }
}

impl fmt::Display for ShardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
