//! What is to happen: a function of the ledger and the command, which touches nothing.

use uci_model::{ContentFormat, CorrelationId, EventType, SubscriptionId};

use super::{Attempt, Change, Ledger, Sealed, SubscribeId, Target};

/// Something that is to become durable.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// Want a subscription.
    Want {
        id: SubscribeId,
        target: Target,
        event_types: Vec<EventType>,
        format: ContentFormat,
    },
    /// Begin a try.
    Attempt {
        id: SubscribeId,
        correlation: CorrelationId,
        secret: Sealed,
        /// What it asks for, when that is not all that is wanted.
        event_types: Option<Vec<EventType>>,
    },
    /// Note the id that the peer's answer to the try `correlation` gave.
    Bind {
        id: SubscribeId,
        correlation: CorrelationId,
        subscription: SubscriptionId,
    },
    /// Take a notification that verified under the secret of the try `correlation`.
    Notify {
        id: SubscribeId,
        correlation: CorrelationId,
        subscription: SubscriptionId,
        sequence: u64,
        event_type: EventType,
    },
    /// Give it up.
    Release { id: SubscribeId },
    /// Forget it.
    Close { id: SubscribeId },
}

/// What a command comes to once its changes are durable.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// It took place.
    Done,
    /// A notification is new; `gap` says that others before it are missing.
    Fresh { gap: bool },
    /// A notification was taken before, or is older than one that was.
    Repeated,
    /// The subscription or the try is gone.
    Stale,
}

/// The changes of a command and what it comes to.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) changes: Vec<Change>,
    pub(crate) outcome: Outcome,
}

impl Decision {
    const fn done(changes: Vec<Change>) -> Self {
        Self {
            changes,
            outcome: Outcome::Done,
        }
    }

    const fn nothing(outcome: Outcome) -> Self {
        Self {
            changes: Vec::new(),
            outcome,
        }
    }
}

impl Ledger {
    /// Decides what `command` changes.
    pub(crate) fn decide(&self, command: &Command) -> Decision {
        match command {
            Command::Want {
                id,
                target,
                event_types,
                format,
            } if self.get(*id).is_none() => {
                let (target, event_types) = (target.clone(), event_types.clone());
                Decision::done(vec![Change::Wanted {
                    id: *id,
                    target,
                    event_types,
                    format: *format,
                }])
            }
            Command::Attempt {
                id,
                correlation,
                secret,
                event_types,
            } => match self.get(*id) {
                Some(wanted) if wanted.released => Decision::nothing(Outcome::Stale),
                // Decided again after a conflict, it may turn out to have taken place.
                Some(_) if self.attempt(*id, correlation).is_some() => {
                    Decision::nothing(Outcome::Done)
                }
                Some(_) => {
                    let (correlation, secret) = (correlation.clone(), secret.clone());
                    Decision::done(vec![Change::Attempted {
                        id: *id,
                        correlation,
                        secret,
                        event_types: event_types.clone(),
                    }])
                }
                None => Decision::nothing(Outcome::Stale),
            },
            Command::Bind {
                id,
                correlation,
                subscription,
            } => match self.attempt(*id, correlation) {
                Some(Attempt {
                    subscription: None, ..
                }) => Decision::done(vec![Change::Bound {
                    id: *id,
                    subscription: *subscription,
                }]),
                // A notification came first and has said it already, under a signature.
                Some(_) => Decision::nothing(Outcome::Done),
                None => Decision::nothing(Outcome::Stale),
            },
            Command::Notify {
                id,
                correlation,
                subscription,
                sequence,
                event_type,
            } => match self.attempt(*id, correlation) {
                Some(attempt) => notify(*id, attempt, subscription, *sequence, event_type),
                None => Decision::nothing(Outcome::Stale),
            },
            Command::Release { id } => match self.get(*id) {
                Some(wanted) if wanted.released => Decision::nothing(Outcome::Done),
                Some(_) => Decision::done(vec![Change::Released { id: *id }]),
                None => Decision::nothing(Outcome::Stale),
            },
            Command::Close { id } if self.get(*id).is_some() => {
                Decision::done(vec![Change::Closed { id: *id }])
            }
            Command::Want { .. } | Command::Close { .. } => Decision::nothing(Outcome::Stale),
        }
    }

    fn attempt(&self, id: SubscribeId, correlation: &CorrelationId) -> Option<&Attempt> {
        self.get(id)?
            .attempt
            .as_ref()
            .filter(|attempt| attempt.correlation == *correlation)
    }
}

fn notify(
    id: SubscribeId,
    attempt: &Attempt,
    subscription: &SubscriptionId,
    sequence: u64,
    event_type: &EventType,
) -> Decision {
    match &attempt.subscription {
        Some(bound) if bound != subscription => return Decision::nothing(Outcome::Stale),
        _ => {}
    }
    // UCI numbers the notifications of a subscription from 0, one up each.
    let expected = attempt.last.map_or(Some(0), |last| last.checked_add(1));
    let Some(expected) = expected.filter(|expected| *expected <= sequence) else {
        return Decision::nothing(Outcome::Repeated);
    };
    let mut changes = Vec::new();
    if attempt.subscription.is_none() {
        changes.push(Change::Bound {
            id,
            subscription: *subscription,
        });
    }
    let cancelled = *event_type == EventType::SubscriptionCancelled;
    let is_first = !cancelled && !attempt.told.contains(event_type);
    changes.push(Change::Notified {
        id,
        sequence,
        first: is_first.then(|| event_type.clone()),
    });
    if cancelled {
        changes.push(Change::Cancelled { id });
    }
    Decision {
        changes,
        outcome: Outcome::Fresh {
            gap: expected < sequence,
        },
    }
}
