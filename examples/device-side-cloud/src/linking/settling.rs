//! Whether every end of a link that the last run of this program left half done is done.

use std::collections::{BTreeMap, BTreeSet};

use account_linking::server::RequestId;
use tokio::sync::oneshot;

use super::GRANTS;

/// Whose ended links could not be ended everywhere.
pub(crate) type Unsettled = BTreeSet<String>;

/// Counts what is under way for whoever waits for the end of it.
#[derive(Debug, Default)]
pub(super) struct Settling {
    /// Who waits, and what went wrong meanwhile.
    waiting: Option<(oneshot::Sender<Option<Unsettled>>, Unsettled)>,
    /// What is owed has been listed.
    listed: bool,
    /// The streams being looked after.
    looking: BTreeMap<RequestId, String>,
    /// How many ends the cloud core has been told of and has not answered.
    telling: usize,
}

impl Settling {
    /// Somebody waits until all that is owed now is settled.
    pub(super) fn ask(&mut self, to: oneshot::Sender<Option<Unsettled>>) {
        self.waiting = Some((to, Unsettled::new()));
        self.listed = false;
    }

    /// A stream is being looked after; `None`: it could not be.
    pub(super) fn looking(&mut self, stream: &str, begun: Option<RequestId>) {
        match begun {
            Some(request) => drop(self.looking.insert(request, stream.to_owned())),
            None => self.miss(stream),
        }
    }

    /// All that is owed is being looked after; `false`: what is owed cannot be read.
    pub(super) fn listed(&mut self, readable: bool) {
        self.listed = true;
        if readable {
            self.check();
        } else if let Some((to, _)) = self.waiting.take() {
            // Who waited may have gone.
            drop(to.send(None));
        }
    }

    /// A command ended; the ends in its stream have been told.
    pub(super) fn looked(&mut self, command: RequestId, done: bool) {
        if let Some(stream) = self.looking.remove(&command) {
            if !done {
                self.miss(&stream);
            }
            self.check();
        }
    }

    /// The cloud core is told of an end.
    pub(super) fn telling(&mut self) {
        self.telling = self.telling.saturating_add(1);
    }

    /// The cloud core has answered; for whom it could not make the end durable.
    pub(super) fn told(&mut self, failed: Option<account_linking::UserId>) {
        self.telling = self.telling.saturating_sub(1);
        if let (Some(user), Some((_, unsettled))) = (failed, &mut self.waiting) {
            unsettled.insert(user.to_string());
        }
        self.check();
    }

    fn miss(&mut self, stream: &str) {
        if let (Some(user), Some((_, unsettled))) = (stream.strip_prefix(GRANTS), &mut self.waiting)
        {
            unsettled.insert(user.to_owned());
        }
    }

    fn check(&mut self) {
        let done = self.listed && self.looking.is_empty() && self.telling == 0;
        if let Some((to, unsettled)) = self.waiting.take_if(|_| done) {
            drop(to.send(Some(unsettled)));
        }
    }
}
