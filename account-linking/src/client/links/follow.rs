//! What follows a change that has become durable.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::exchanges::Kind;
use super::output::{Event, Failure, LinkSummary, OperationId, Refusal};
use super::schedule::Pending;
use super::work::{Task, Then, Work};
use super::{Links, user_stream};
use crate::client::authorization::Location;
use crate::client::cloud::CloudId;
use crate::client::oauth::Question;
use crate::client::seal::Sealed;
use crate::client::user_links::{Link, Outcome, State};
use crate::pkce::PkceVerifier;
use crate::secret::AccessToken;
use crate::user_id::UserId;

impl Links {
    pub(super) fn follow(&mut self, task: &Task, then: Vec<Then>, now: Instant) {
        for step in then {
            self.follow_one(task, step, now);
        }
        self.arm(&task.user, now);
    }

    fn follow_one(&mut self, task: &Task, step: Then, now: Instant) {
        let user = &task.user;
        match step {
            Then::Redirect {
                operation,
                location,
            } => {
                if self.end_operation(operation) {
                    self.tell(Event::Redirect {
                        operation,
                        location: Location::new(location),
                    });
                }
            }
            Then::Exchange { attempt, verifier } => {
                if let Some(operation) = task.work.operation() {
                    self.memory(user)
                        .operations
                        .insert(attempt.clone(), operation);
                }
                if self
                    .exchange_code(task, &attempt, verifier.as_ref(), now)
                    .is_none()
                {
                    let fail = Work::Fail {
                        attempt,
                        outcome: Outcome::Failed,
                        refusal: Refusal::Unavailable,
                    };
                    self.enqueue(user, fail, now);
                }
            }
            Then::Linked {
                attempt,
                cloud,
                return_page,
            } => {
                let operation = self.take_operation(user, &attempt);
                self.memory(user).refreshes.remove(&cloud);
                let link = self
                    .store
                    .user(user)
                    .and_then(|links| links.links.get(&cloud))
                    .map(summary);
                if let Some(link) = link {
                    self.tell(Event::Linked {
                        operation,
                        user: user.clone(),
                        cloud,
                        link,
                        return_page,
                    });
                }
            }
            Then::NotLinked {
                attempt,
                refusal,
                return_page,
            } => {
                let own = task
                    .work
                    .operation()
                    .filter(|operation| self.end_operation(*operation));
                let operation = own.or_else(|| self.take_operation(user, &attempt));
                self.tell(Event::NotLinked {
                    operation,
                    user: user.clone(),
                    refusal,
                    return_page,
                });
            }
            Then::Refresh {
                operation,
                cloud,
                forced,
            } => self.join_refresh(user, &cloud, operation, forced, now),
            Then::Refreshed { cloud } => {
                for operation in self.end_refresh(user, &cloud, now) {
                    self.give_token(user, &cloud, operation);
                }
            }
            Then::RelinkNeeded { cloud, reason } => {
                for operation in self.end_refresh(user, &cloud, now) {
                    self.fail(operation, Failure::NeedsRelink);
                }
                self.tell(Event::RelinkNeeded {
                    user: user.clone(),
                    cloud,
                    reason,
                });
            }
            Then::GiveToken { operation, cloud } => self.give_token(user, &cloud, operation),
            Then::Unlinked { operation, cloud } => {
                for waiting in self.end_refresh(user, &cloud, now) {
                    self.fail(waiting, Failure::NotLinked);
                }
                if self.end_operation(operation) {
                    self.tell(Event::Unlinked {
                        operation,
                        user: user.clone(),
                        cloud,
                    });
                }
            }
            Then::GiveLinks { operation } => {
                let links = self.store.user(user).map(|links| &links.links);
                let links = links
                    .into_iter()
                    .flatten()
                    .map(|(cloud, link)| (cloud.clone(), summary(link)))
                    .collect();
                if self.end_operation(operation) {
                    self.tell(Event::Links { operation, links });
                }
            }
            Then::Fail { operation, failure } => self.fail(operation, failure),
            Then::RevocationOver {
                revocation,
                abandoned,
            } => {
                self.memory(user).revoking.remove(&revocation);
                if let Some(cloud) = abandoned {
                    self.tell(Event::RevocationAbandoned {
                        user: user.clone(),
                        cloud,
                    });
                }
            }
            Then::Expired => self.memory(user).expiring = false,
        }
    }

    /// The command that waits for the end of an attempt, if it still does.
    fn take_operation(&mut self, user: &UserId, attempt: &str) -> Option<OperationId> {
        self.memory(user).identifying.remove(attempt);
        let operation = self.memory(user).operations.remove(attempt)?;
        self.end_operation(operation).then_some(operation)
    }

    /// Sends the code off; `None` when that cannot be done.
    fn exchange_code(
        &mut self,
        task: &Task,
        attempt: &str,
        verifier: Option<&Sealed>,
        now: Instant,
    ) -> Option<()> {
        let Work::Return(back) = &task.work else {
            return None;
        };
        let begun = self.store.user(&task.user)?.attempts.get(attempt)?;
        let (cloud, redirect_uri) = (begun.cloud.clone(), begun.redirect_uri.clone());
        let verifier = match verifier {
            Some(sealed) => {
                let text = sealed
                    .open(self.sealer.as_ref(), &user_stream(&task.user))
                    .ok()?;
                Some(PkceVerifier::new(text.as_str()).ok()?)
            }
            None => None,
        };
        let question = Question::Code {
            code: back.code()?,
            verifier: verifier.as_ref(),
            redirect_uri: &redirect_uri,
        };
        self.ask(
            &task.user,
            &cloud,
            Kind::Code {
                attempt: attempt.to_owned(),
            },
            &question,
            now,
        )
    }

    /// Answers a command with the token as it is now.
    pub(super) fn give_token(&mut self, user: &UserId, cloud: &CloudId, operation: OperationId) {
        let found = self
            .store
            .user(user)
            .and_then(|links| links.tokens(cloud))
            .map(|(_, tokens)| tokens);
        let Some(tokens) = found else {
            return self.fail(operation, Failure::NotLinked);
        };
        let expires = tokens.expires.map(system_time);
        let opened = tokens
            .access
            .open(self.sealer.as_ref(), &user_stream(user))
            .ok();
        match opened.and_then(|text| AccessToken::new(text.as_str()).ok()) {
            Some(token) => {
                if self.end_operation(operation) {
                    self.tell(Event::Token {
                        operation,
                        token,
                        expires,
                    });
                }
            }
            None => self.fail(operation, Failure::Unavailable),
        }
    }

    /// Waits for the refresh that is under way, or begins one.
    fn join_refresh(
        &mut self,
        user: &UserId,
        cloud: &CloudId,
        operation: OperationId,
        forced: bool,
        now: Instant,
    ) {
        let waits = matches!(self.memory(user).refreshes.get(cloud).map(|refresh| &refresh.pending), Some(Pending::Until(until)) if *until > now);
        if waits {
            return self.fail(operation, Failure::Unavailable);
        }
        let refresh = self
            .memory(user)
            .refreshes
            .entry(cloud.clone())
            .or_default();
        refresh.waiters.push(operation);
        refresh.forced |= forced;
        if !matches!(refresh.pending, Pending::InFlight) {
            self.refresh(user, cloud, now);
        }
    }
}

/// What may be shown of a link.
fn summary(link: &Link) -> LinkSummary {
    let (scopes, relink) = match &link.state {
        State::Linked(tokens) => (tokens.scopes.clone(), None),
        State::NeedsRelink { reason, .. } => (crate::scope::ScopeSet::default(), Some(*reason)),
    };
    let (id, remote_user, since) = (
        link.id.clone(),
        link.remote_user.clone(),
        system_time(link.since),
    );
    LinkSummary {
        id,
        remote_user,
        scopes,
        since,
        relink,
    }
}

/// Milliseconds as a time; what no clock can show is the epoch.
fn system_time(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH
        .checked_add(Duration::from_millis(milliseconds))
        .unwrap_or(UNIX_EPOCH)
}
