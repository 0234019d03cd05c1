//! Who has a place when there are more devices than sessions: a device that is online keeps its own.

use super::Endpoint;
use crate::dtls::{CloseReason, DtlsEndpoint};
use crate::time::Instant;

impl<D> Endpoint<D> {
    /// Whether every place is taken, those of connections of our own that are under way included.
    pub(super) fn is_full(&self) -> bool {
        self.sessions.len().saturating_add(self.connecting.len()) >= self.config.max_sessions
    }
}

impl<D: DtlsEndpoint> Endpoint<D> {
    /// Whether there is a place for one more session. If need be, the one whose device has been silent for longest gives way.
    pub(super) fn has_place(&mut self, now: Instant) -> bool {
        if !self.is_full() {
            return true;
        }
        let Some((_, silent)) = self.silent.first().copied() else {
            return false;
        };
        self.guard.handle_session_evicted();
        self.dtls.close(silent, now);
        self.end_session(silent, CloseReason::Local, now);
        !self.is_full()
    }
}
