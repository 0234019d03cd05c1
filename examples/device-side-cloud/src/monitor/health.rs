//! Whether the cloud can do its work, and in words why not.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Where the program is between its start and its end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Phase {
    /// It opens what it needs.
    #[default]
    Starting,
    /// Its listeners are up.
    Running,
    /// It was told to stop, and finishes what is open.
    Stopping,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    journal: Option<String>,
    superseded: bool,
}

/// What the parts of the program have said about themselves.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<State>);

impl Health {
    /// The program has got this far.
    pub(crate) fn enter(&self, phase: Phase) {
        self.lock().phase = phase;
    }

    /// The journal takes changes.
    pub(crate) fn journal_works(&self) {
        self.lock().journal = None;
    }

    /// The journal does not take changes.
    pub(crate) fn journal_fails(&self, why: String) {
        self.lock().journal = Some(why);
    }

    /// Another process acts on this journal now; this one will never again.
    pub(crate) fn superseded(&self) {
        self.lock().superseded = true;
    }

    /// Why the cloud is not ready; nothing when it is.
    pub(crate) fn reasons(&self) -> Vec<String> {
        let state = self.lock();
        let phase = match state.phase {
            Phase::Starting => {
                Some("the cloud is starting: its listeners are not up yet".to_owned())
            }
            Phase::Running => None,
            Phase::Stopping => Some("the cloud is stopping".to_owned()),
        };
        let journal = state
            .journal
            .as_ref()
            .map(|why| format!("the journal does not take changes: {why}"));
        let lease = state
            .superseded
            .then(|| "another process has taken over this journal".to_owned());
        [phase, journal, lease].into_iter().flatten().collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_named_until_it_is_gone() {
        let health = Health::default();
        assert_eq!(
            health.reasons().len(),
            1,
            "a cloud that starts is not ready"
        );
        health.enter(Phase::Running);
        assert!(health.reasons().is_empty());
        health.journal_fails("no space left for the journal".to_owned());
        assert_eq!(
            health.reasons(),
            ["the journal does not take changes: no space left for the journal"]
        );
        health.superseded();
        health.journal_works();
        assert_eq!(
            health.reasons(),
            ["another process has taken over this journal"]
        );
        health.enter(Phase::Stopping);
        assert_eq!(health.reasons().len(), 2);
    }
}
