//! An endpoint as one of several behind one address, each with a socket of its own.

#[cfg(feature = "tokio")]
use bytes::Bytes;

use super::Endpoint;
#[cfg(feature = "tokio")]
use super::session::Role;
#[cfg(feature = "tokio")]
use crate::dtls::SessionId;
use crate::dtls::{DtlsEndpoint, ShardNumber};
#[cfg(feature = "tokio")]
use crate::time::Instant;

impl<D: DtlsEndpoint> Endpoint<D> {
    /// Which one this is of those that share its address; see [`DtlsEndpoint::shard`].
    #[must_use]
    pub fn shard(&self) -> ShardNumber {
        self.dtls.shard()
    }

    /// The one that a datagram is for, when it says so; see [`DtlsEndpoint::shard_of`].
    #[must_use]
    pub fn shard_of(&self, datagram: &[u8]) -> Option<ShardNumber> {
        self.dtls.shard_of(datagram)
    }

    /// Ends the session of a device that has a newer one elsewhere, without an event of its own, as if that had replaced it
    /// here; the command that waited for the device.
    #[cfg(feature = "tokio")]
    pub(crate) fn displace(&mut self, session: SessionId, now: Instant) -> Option<Bytes> {
        let role = self.sessions.get(&session)?.role;
        if role != Role::Accepted {
            return None;
        }
        let now = self.advance(now);
        let command = self.mailboxes.remove(&session);
        self.dtls.close(session, now);
        self.forget_session(session, now);
        self.pump(None, now);
        command
    }

    /// Takes over the command that waited for a device at its session before, unless one waits already.
    #[cfg(feature = "tokio")]
    pub(crate) fn inherit(&mut self, session: SessionId, command: Bytes) {
        if self.sessions.contains_key(&session) {
            self.mailboxes.entry(session).or_insert(command);
        }
    }
}
