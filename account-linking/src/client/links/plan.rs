//! What a task comes to, given its streams: changes, and what follows them. Nothing is touched here.

mod attempts;

use std::collections::BTreeSet;

use super::output::{Failure, Refusal};
use super::stored::LedgerChange;
use super::work::{Task, Then, Work};
use super::{Links, user_stream};
use crate::client::claim;
use crate::client::cloud::{Cloud, CloudId};
use crate::client::user_links::{Change, RelinkReason, Stage, UserLinks, Verdict};
use crate::secret::{AccessToken, same};
use crate::user_id::UserId;

/// What a task comes to.
pub(super) enum Plan {
    /// It can only be decided with these streams too.
    Need(BTreeSet<String>),
    /// The changes, by stream, and what follows when they are durable.
    Do {
        changes: Vec<(String, LedgerChange)>,
        then: Vec<Then>,
    },
}

impl Links {
    pub(super) fn plan(&self, task: &Task) -> Plan {
        let user = &task.user;
        let Some(links) = self.store.user(user) else {
            return Plan::Do {
                changes: Vec::new(),
                then: Vec::new(),
            };
        };
        let at = links.moment(self.clock.wall);
        let mine = |changes: Vec<Change>, then: Vec<Then>| Plan::Do {
            changes: of_user(user, changes),
            then,
        };
        match &task.work {
            Work::Begin(begin) => self.plan_begin(user, links, begin, at),
            Work::Return(back) => self.plan_return(user, links, back, at),
            Work::Receive { .. } => self.plan_receive(task, links, at),
            Work::Identify {
                attempt,
                remote_user,
            } => self.bind(task, links, attempt, remote_user, Vec::new(), at),
            Work::Fail {
                attempt,
                outcome,
                refusal,
            } => {
                let verdict = links.close(attempt, *outcome, refusal.clone(), at);
                not_linked(user, links, attempt, verdict)
            }
            Work::Refreshed {
                cloud,
                generation,
                received,
            } => {
                let change = links.refreshed(cloud, *generation, received.as_ref().clone(), at);
                mine(
                    change.into_iter().collect(),
                    vec![Then::Refreshed {
                        cloud: cloud.clone(),
                    }],
                )
            }
            Work::Relink {
                cloud,
                generation,
                reason,
            } => match links.relink(cloud, *generation, *reason, at) {
                Some(change) => mine(
                    vec![change],
                    vec![Then::RelinkNeeded {
                        cloud: cloud.clone(),
                        reason: *reason,
                    }],
                ),
                // The store has newer tokens than those that were refused: they are used.
                None => mine(
                    Vec::new(),
                    vec![Then::Refreshed {
                        cloud: cloud.clone(),
                    }],
                ),
            },
            Work::Unlink { operation, cloud } => {
                self.plan_unlink(task, links, *operation, cloud, at)
            }
            Work::Token {
                operation,
                cloud,
                rejected,
            } => self.plan_token(user, links, *operation, cloud, rejected.as_ref(), at),
            Work::List { operation } => mine(
                Vec::new(),
                vec![Then::GiveLinks {
                    operation: *operation,
                }],
            ),
            Work::Expire => plan_expire(user, links, at),
            Work::Revoked { revocation } => {
                let change = Change::Revoked {
                    revocation: *revocation,
                    at,
                };
                let known = links.revocations.contains_key(revocation);
                let then = Then::RevocationOver {
                    revocation: *revocation,
                    abandoned: None,
                };
                mine(known.then_some(change).into_iter().collect(), vec![then])
            }
            Work::RevocationFailed {
                revocation,
                next_try,
            } => self.plan_deferral(user, links, *revocation, *next_try, at),
            Work::Wake => mine(Vec::new(), Vec::new()),
        }
    }

    fn plan_unlink(
        &self,
        task: &Task,
        links: &UserLinks,
        operation: super::OperationId,
        cloud: &CloudId,
        at: u64,
    ) -> Plan {
        let Some(link) = links.links.get(cloud) else {
            let then = vec![Then::Fail {
                operation,
                failure: Failure::NotLinked,
            }];
            return Plan::Do {
                changes: Vec::new(),
                then,
            };
        };
        let name = claim::stream(cloud, &link.remote_user);
        if self.store.claim(&name).is_none() || !task.streams.contains(&name) {
            return Plan::Need(BTreeSet::from([name]));
        }
        let mut changes = of_user(
            &task.user,
            vec![Change::Unlinked {
                cloud: cloud.clone(),
                at,
            }],
        );
        changes.extend(self.release_claim(name, &task.user));
        Plan::Do {
            changes,
            then: vec![Then::Unlinked {
                operation,
                cloud: cloud.clone(),
            }],
        }
    }

    /// The change that gives up the claim, if it is this user's.
    fn release_claim(&self, name: String, user: &UserId) -> Option<(String, LedgerChange)> {
        let claim = self
            .store
            .claim(&name)
            .filter(|claim| claim.owner.as_ref() == Some(user))?;
        claim
            .decide(None)
            .map(|change| (name, LedgerChange::Claim(change)))
    }

    fn plan_token(
        &self,
        user: &UserId,
        links: &UserLinks,
        operation: super::OperationId,
        cloud: &CloudId,
        rejected: Option<&AccessToken>,
        at: u64,
    ) -> Plan {
        let then = |then| Plan::Do {
            changes: Vec::new(),
            then: vec![then],
        };
        let Some((link, tokens)) = links.tokens(cloud) else {
            let linked = links.links.contains_key(cloud);
            let failure = if linked {
                Failure::NeedsRelink
            } else {
                Failure::NotLinked
            };
            return then(Then::Fail { operation, failure });
        };
        let over = tokens.expires.is_some_and(|expires| expires <= at);
        let current = tokens
            .access
            .open(self.sealer.as_ref(), &user_stream(user))
            .ok();
        let refused = rejected.zip(current).is_some_and(|(rejected, current)| {
            same(rejected.expose().as_bytes(), current.as_bytes())
        });
        if refused && (tokens.refresh.is_none() || self.was_forced(user, cloud, link.generation)) {
            // One forced refresh and one repeat: a token that is refused when it is new cannot be helped.
            let reason = RelinkReason::TokenRejected;
            let change = links.relink(cloud, link.generation, reason, at);
            let relink = Then::RelinkNeeded {
                cloud: cloud.clone(),
                reason,
            };
            let fail = Then::Fail {
                operation,
                failure: Failure::NeedsRelink,
            };
            return Plan::Do {
                changes: of_user(user, change.into_iter().collect()),
                then: vec![relink, fail],
            };
        }
        if refused || over {
            return then(Then::Refresh {
                operation,
                cloud: cloud.clone(),
                forced: refused,
            });
        }
        then(Then::GiveToken {
            operation,
            cloud: cloud.clone(),
        })
    }

    fn plan_deferral(
        &self,
        user: &UserId,
        links: &UserLinks,
        revocation: u64,
        next_try: u64,
        at: u64,
    ) -> Plan {
        let Some(entry) = links.revocations.get(&revocation) else {
            let then = vec![Then::RevocationOver {
                revocation,
                abandoned: None,
            }];
            return Plan::Do {
                changes: Vec::new(),
                then,
            };
        };
        let possible = self
            .clouds
            .get(&entry.cloud)
            .is_some_and(|cloud: &Cloud| cloud.revocation_endpoint.is_some());
        let (change, abandoned) =
            if possible && at < after(entry.since, self.config.revocation_patience) {
                (
                    Change::RevocationDeferred {
                        revocation,
                        next_try,
                        at,
                    },
                    None,
                )
            } else {
                (
                    Change::RevocationAbandoned { revocation, at },
                    Some(entry.cloud.clone()),
                )
            };
        let then = vec![Then::RevocationOver {
            revocation,
            abandoned,
        }];
        Plan::Do {
            changes: of_user(user, vec![change]),
            then,
        }
    }
}

fn plan_expire(user: &UserId, links: &UserLinks, at: u64) -> Plan {
    let mut changes = links.expire(at);
    let mut then: Vec<Then> = Vec::new();
    for change in &changes {
        let Change::Closed { attempt, .. } = change else {
            continue;
        };
        let begun = links.attempts.get(attempt);
        let refusal = match begun.map(|begun| &begun.stage) {
            Some(Stage::Exchanging) => Refusal::Lost,
            Some(Stage::Identifying(_)) => Refusal::NoIdentity,
            Some(Stage::AwaitingUser) | None => Refusal::Expired,
        };
        let return_page = begun.map(|begun| begun.return_page.clone());
        then.push(Then::NotLinked {
            attempt: attempt.clone(),
            refusal,
            return_page,
        });
    }
    for (cloud, link) in &links.links {
        let ended = links.tokens(cloud).is_some_and(|(_, tokens)| {
            tokens.refresh.is_none() && tokens.expires.is_some_and(|expires| expires <= at)
        });
        if ended {
            let reason = RelinkReason::Expired;
            changes.extend(links.relink(cloud, link.generation, reason, at));
            then.push(Then::RelinkNeeded {
                cloud: cloud.clone(),
                reason,
            });
        }
    }
    then.push(Then::Expired);
    Plan::Do {
        changes: of_user(user, changes),
        then,
    }
}

/// The plan that follows a refusal.
fn not_linked(user: &UserId, links: &UserLinks, attempt: &str, verdict: Verdict) -> Plan {
    let refusal = verdict.refusal.unwrap_or(Refusal::Expired);
    let return_page = links
        .attempts
        .get(attempt)
        .map(|begun| begun.return_page.clone());
    let then = vec![Then::NotLinked {
        attempt: attempt.to_owned(),
        refusal,
        return_page,
    }];
    Plan::Do {
        changes: of_user(user, verdict.changes),
        then,
    }
}

fn of_user(user: &UserId, changes: Vec<Change>) -> Vec<(String, LedgerChange)> {
    let stream = user_stream(user);
    changes
        .into_iter()
        .map(|change| (stream.clone(), LedgerChange::User(change)))
        .collect()
}

fn after(at: u64, wait: core::time::Duration) -> u64 {
    at.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}
