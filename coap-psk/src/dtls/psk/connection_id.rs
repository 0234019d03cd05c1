//! Connection ids: what a record says of the connection it belongs to, wherever it comes from. (RFC 9146)

use crate::dtls::ShardNumber;
use crate::random::Random;

/// The most that counts as [`PskConfig::connection_id_len`](super::PskConfig::connection_id_len).
pub const MAX_CONNECTION_ID_LEN: usize = 8;

/// An id that this side chose for what the peer sends. An empty one is none: those records are written as ever.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct ConnectionId {
    bytes: [u8; MAX_CONNECTION_ID_LEN],
    len: u8,
}

impl ConnectionId {
    /// One that nobody can foresee, so that it ties nothing together for those who watch.
    pub(super) fn random(len: usize, random: &mut Random) -> Self {
        let mut bytes = [0; MAX_CONNECTION_ID_LEN];
        random.fill(&mut bytes);
        let len = len.min(MAX_CONNECTION_ID_LEN);
        Self::copy(bytes.get(..len).unwrap_or_default())
    }

    /// The same with a shard named in its first byte, when there is one.
    pub(super) fn of_shard(mut self, shard: Option<ShardNumber>) -> Self {
        if let (Some(ShardNumber(shard)), 1..) = (shard, self.len) {
            let [first, ..] = &mut self.bytes;
            *first = shard;
        }
        self
    }

    /// What its first byte names, should it name a shard.
    pub(super) fn shard(&self) -> Option<ShardNumber> {
        self.as_bytes().first().copied().map(ShardNumber)
    }

    /// These bytes; `None` when no id of ours is so long.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() <= MAX_CONNECTION_ID_LEN).then(|| Self::copy(bytes))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or_default()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// As many of the bytes as there is room for; the rest stays zero, so that equal ids are equal.
    fn copy(bytes: &[u8]) -> Self {
        let mut id = Self::default();
        for (to, from) in id.bytes.iter_mut().zip(bytes) {
            *to = *from;
            id.len = id.len.saturating_add(1);
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_as_long_as_it_is_to_be_and_what_is_longer_is_none_of_ours() {
        let mut random = Random::new([1; 32]);
        for len in 0..=MAX_CONNECTION_ID_LEN {
            let id = ConnectionId::random(len, &mut random);
            assert_eq!((id.as_bytes().len(), id.is_empty()), (len, len == 0));
            assert_eq!(ConnectionId::from_bytes(id.as_bytes()), Some(id));
        }
        let shard = Some(ShardNumber(9));
        let of_shard = ConnectionId::random(6, &mut random).of_shard(shard);
        assert_eq!((of_shard.as_bytes().len(), of_shard.shard()), (6, shard));
        let none = ConnectionId::default().of_shard(shard);
        assert_eq!((none.is_empty(), none.shard()), (true, None));
        let long = ConnectionId::random(usize::MAX, &mut random);
        assert_eq!(long.as_bytes().len(), MAX_CONNECTION_ID_LEN);
        assert_eq!(
            ConnectionId::from_bytes(&[0; MAX_CONNECTION_ID_LEN + 1]),
            None
        );
        assert_ne!(
            ConnectionId::from_bytes(&[0; 3]),
            ConnectionId::from_bytes(&[0; 4])
        );
    }
}
