//! What was asked before: requests by what they are and whose they are.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::managed_integrations::answer::Answer;
use crate::managed_integrations::connector::InvocationId;
use crate::managed_integrations::request::{Operation, Request};
use crate::user_id::UserId;

/// The part of a request that is the same when it is repeated: the operation, and the id that it carries.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Subject {
    Activate,
    Discover(String),
    Command(String),
    Deactivate,
}

impl Subject {
    pub(super) fn of(operation: &Operation) -> Self {
        match operation {
            Operation::ActivateUser => Self::Activate,
            Operation::DiscoverDevices { discovery } => Self::Discover(discovery.to_string()),
            Operation::SendCommand(command) => Self::Command(command.trace.to_string()),
            Operation::DeactivateUser => Self::Deactivate,
        }
    }
}

/// A subject with the credentials that came with it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Key {
    pub(super) credentials: [u8; 32],
    pub(super) subject: Subject,
}

impl Key {
    pub(super) fn of(request: &Request) -> Self {
        Self {
            credentials: request.authorization.fingerprint(),
            subject: Subject::of(&request.operation),
        }
    }
}

#[derive(Debug)]
pub(super) enum Known {
    /// It is being checked or revoked; these wait for the answer.
    Pending(Vec<InvocationId>),
    /// This was the answer.
    Answered(Answer),
}

/// Everything that was asked and is not forgotten yet.
#[derive(Debug, Default)]
pub(super) struct Memory {
    requests: BTreeMap<Key, (Known, Option<Instant>)>,
    /// What was begun for a user, whose token may be another one by now.
    acted: BTreeMap<(UserId, Subject), Instant>,
    /// Everything is remembered for the same time, so that what came first goes first.
    expiries: VecDeque<(Instant, Expiry)>,
}

#[derive(Debug)]
enum Expiry {
    Request(Key),
    Act(UserId, Subject),
}

impl Memory {
    pub(super) fn is_full(&self, max: usize) -> bool {
        self.requests.len() >= max || self.expiries.len() >= max.saturating_mul(2)
    }

    pub(super) fn find(&mut self, key: &Key) -> Option<&mut Known> {
        self.requests.get_mut(key).map(|(known, _)| known)
    }

    pub(super) fn begin(&mut self, key: Key, invocation: InvocationId) {
        let pending = Known::Pending(vec![invocation]);
        self.requests.insert(key, (pending, None));
    }

    /// Who waits; the request is forgotten.
    pub(super) fn forget(&mut self, key: &Key) -> Vec<InvocationId> {
        waiting(self.requests.remove(key))
    }

    /// Who waits; the answer is remembered until then.
    pub(super) fn settle(&mut self, key: Key, answer: Answer, until: Instant) -> Vec<InvocationId> {
        self.expiries
            .push_back((until, Expiry::Request(key.clone())));
        let answered = (Known::Answered(answer), Some(until));
        waiting(self.requests.insert(key, answered))
    }

    /// Whether this is the first time for the user; it is remembered until then.
    pub(super) fn act(&mut self, user: &UserId, subject: &Subject, until: Instant) -> bool {
        let key = (user.clone(), subject.clone());
        if self.acted.contains_key(&key) {
            return false;
        }
        let expiry = Expiry::Act(user.clone(), subject.clone());
        self.expiries.push_back((until, expiry));
        self.acted.insert(key, until);
        true
    }

    pub(super) fn has_acted(&self, user: &UserId, subject: &Subject) -> bool {
        self.acted.contains_key(&(user.clone(), subject.clone()))
    }

    /// Forgets what was asked with credentials that are no good any more, their revocation apart; who waits for it.
    pub(super) fn end(&mut self, credentials: [u8; 32]) -> Vec<InvocationId> {
        let first = Key {
            credentials,
            subject: Subject::Activate,
        };
        let last = Key {
            credentials,
            subject: Subject::Deactivate,
        };
        let ended: Vec<Key> = self
            .requests
            .range(first..last)
            .map(|(key, _)| key.clone())
            .collect();
        ended.iter().flat_map(|key| self.forget(key)).collect()
    }

    /// One invocation does not wait any more.
    pub(super) fn leave(&mut self, key: &Key, invocation: InvocationId) {
        if let Some((Known::Pending(waiting), _)) = self.requests.get_mut(key) {
            waiting.retain(|other| *other != invocation);
        }
    }

    /// Forgets what is too old.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((until, _)) = self.expiries.front() {
            if now < *until {
                return;
            }
            match self.expiries.pop_front() {
                Some((at, Expiry::Request(key))) => {
                    // It may have been forgotten in between, and asked again.
                    if self
                        .requests
                        .get(&key)
                        .is_some_and(|(_, until)| *until == Some(at))
                    {
                        self.requests.remove(&key);
                    }
                }
                Some((_, Expiry::Act(user, subject))) => {
                    self.acted.remove(&(user, subject));
                }
                None => return,
            }
        }
    }

    /// When something will be too old.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiries.front().map(|(until, _)| *until)
    }
}

fn waiting(entry: Option<(Known, Option<Instant>)>) -> Vec<InvocationId> {
    match entry {
        Some((Known::Pending(waiting), _)) => waiting,
        _ => Vec::new(),
    }
}
