//! What all sessions remember of messages, within one bound. (RFC 7252, 4.5)

use alloc::collections::BTreeSet;

use super::Endpoint;
use super::session::Session;
use crate::dtls::SessionId;
use crate::time::Instant;

impl<D> Endpoint<D> {
    /// Forgets the oldest answered messages of all sessions until the rest fits.
    pub(super) fn forget_answered(&mut self) {
        while self.remembered_bytes > self.config.max_remembered_bytes {
            // What is left are requests without an answer, which have a cap of their own.
            let Some((at, id)) = self.oldest_answered.pop_first() else {
                return;
            };
            let Some(session) = self.sessions.get_mut(&id) else {
                continue;
            };
            session.oldest_answered = None;
            let remembered = session.exchanges.remembered();
            let before = remembered.bytes();
            let is_due = remembered
                .oldest_answered()
                .is_some_and(|oldest| oldest <= at);
            if is_due && remembered.forget_oldest_answered() {
                self.guard.handle_forgotten();
            }
            let freed = before.saturating_sub(remembered.bytes());
            self.remembered_bytes = self.remembered_bytes.saturating_sub(freed);
            place(&mut self.oldest_answered, id, session);
        }
    }
}

/// Gives a session that remembers answered messages its place among the others, unless it has one.
pub(super) fn place(
    places: &mut BTreeSet<(Instant, SessionId)>,
    id: SessionId,
    session: &mut Session,
) {
    if session.oldest_answered.is_none() {
        session.oldest_answered = session.exchanges.remembered().oldest_answered();
        places.extend(session.oldest_answered.map(|at| (at, id)));
    }
}
