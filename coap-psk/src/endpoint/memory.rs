//! What all sessions remember of messages, within one bound. (RFC 7252, 4.5)

use super::Endpoint;
use crate::dtls::SessionId;

impl<D> Endpoint<D> {
    /// Forgets the oldest answered messages of all sessions until the rest fits, after a step of session `id`.
    pub(super) fn forget_answered(&mut self, id: SessionId) {
        self.place(id);
        while self.remembered_bytes > self.config.max_remembered_bytes {
            // What is left are requests without an answer, which have a cap of their own.
            let Some((place, id)) = self.oldest_answered.pop_first() else {
                return;
            };
            let Some(session) = self.sessions.get_mut(&id) else {
                continue;
            };
            session.oldest_answered = None;
            let remembered = session.exchanges.remembered();
            let before = remembered.bytes();
            if remembered.oldest_answered().is_some_and(|at| at <= place)
                && remembered.forget_oldest_answered()
            {
                self.guard.handle_forgotten();
            }
            let freed = before.saturating_sub(remembered.bytes());
            self.remembered_bytes = self.remembered_bytes.saturating_sub(freed);
            self.place(id);
        }
    }

    /// Gives a session that has answered messages its place among the others, unless it has one.
    fn place(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else {
            return;
        };
        if session.oldest_answered.is_none() {
            session.oldest_answered = session.exchanges.remembered().oldest_answered();
            self.oldest_answered
                .extend(session.oldest_answered.map(|at| (at, id)));
        }
    }
}
