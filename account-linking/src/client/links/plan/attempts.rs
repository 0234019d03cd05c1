//! What becomes of linking attempts.

use std::collections::BTreeSet;

use super::{Plan, after, not_linked, of_user};
use crate::client::callback::Answer;
use crate::client::claim;
use crate::client::links::Links;
use crate::client::links::output::{Failure, Refusal};
use crate::client::links::stored::LedgerChange;
use crate::client::links::work::{Begin, Return, Subject, Task, Then, Work};
use crate::client::user_links::{Arrival, Change, Outcome, UserLinks, Verdict};
use crate::secret::{AuthorizationCode, base64url};
use crate::user_id::UserId;

impl Links {
    pub(super) fn plan_begin(
        &self,
        user: &UserId,
        links: &UserLinks,
        begin: &Begin,
        at: u64,
    ) -> Plan {
        let operation = begin.operation;
        let Some(mut changes) = links.make_room(self.config.max_attempts, at) else {
            let then = vec![Then::Fail {
                operation,
                failure: Failure::Full,
            }];
            return Plan::Do {
                changes: Vec::new(),
                then,
            };
        };
        changes.push(Change::Started {
            attempt: begin.attempt.clone(),
            cloud: begin.cloud.clone(),
            issuer: begin.issuer.clone(),
            redirect_uri: begin.redirect_uri.clone(),
            browser: begin.browser,
            scopes: begin.scopes.clone(),
            verifier: begin.verifier.clone(),
            return_page: begin.return_page.clone(),
            replace: begin.replace,
            at,
            ends: after(at, self.config.attempt_lifetime),
        });
        let then = vec![Then::Redirect {
            operation,
            location: begin.location.clone(),
        }];
        Plan::Do {
            changes: of_user(user, changes),
            then,
        }
    }

    pub(super) fn plan_return(
        &self,
        user: &UserId,
        links: &UserLinks,
        back: &Return,
        at: u64,
    ) -> Plan {
        let begun = links.attempts.get(&back.attempt);
        let cloud = begun.and_then(|begun| self.clouds.get(&begun.cloud));
        let arrival = Arrival {
            browser: back.browser.as_ref(),
            received_at: &back.received_at,
            issuer: back.callback.issuer.as_deref(),
            answer: &back.callback.answer,
        };
        // The exchange ends by its own timeout; this is for the case that the machine does not live that long.
        let ends = after(
            after(at, self.config.exchange_timeout),
            self.config.store_timeout,
        );
        let verdict = links.callback(&back.attempt, arrival, cloud, at, ends);
        let return_page = begun.map(|begun| begun.return_page.clone());
        let then = match &verdict.refusal {
            None => Then::Exchange {
                attempt: back.attempt.clone(),
                verifier: begun.and_then(|begun| begun.verifier.clone()),
            },
            // Of someone else's callback there is nothing to tell, unless it spent an attempt.
            Some(_) if back.operation.is_none() && verdict.changes.is_empty() => {
                return Plan::Do {
                    changes: Vec::new(),
                    then: Vec::new(),
                };
            }
            Some(refusal) => Then::NotLinked {
                attempt: back.attempt.clone(),
                refusal: refusal.clone(),
                return_page,
            },
        };
        Plan::Do {
            changes: of_user(user, verdict.changes),
            then: vec![then],
        }
    }

    pub(super) fn plan_receive(&self, task: &Task, links: &UserLinks, at: u64) -> Plan {
        let Work::Receive {
            attempt,
            cloud,
            received,
            subject,
            usable,
        } = &task.work
        else {
            return Plan::Do {
                changes: Vec::new(),
                then: Vec::new(),
            };
        };
        let Some(cloud) = self.clouds.get(cloud) else {
            return Plan::Do {
                changes: Vec::new(),
                then: Vec::new(),
            };
        };
        let ends = after(at, self.config.identify_timeout);
        let mut verdict = links.receive(
            attempt,
            cloud,
            received.as_ref().clone(),
            self.config.needs_refresh_token,
            at,
            ends,
        );
        let mut next = links.clone();
        verdict.changes.iter().for_each(|change| next.apply(change));
        let unfit = match subject {
            _ if verdict.refusal.is_some() => None,
            _ if !usable => Some(Refusal::NotBearer),
            Subject::Unreadable => Some(Refusal::NoIdentity),
            Subject::Known(remote_user) => {
                return self.bind(task, &next, attempt, remote_user, verdict.changes, at);
            }
            Subject::ToAsk => None,
        };
        if let Some(refusal) = unfit {
            verdict.changes.extend(
                next.close(attempt, Outcome::Unusable, refusal.clone(), at)
                    .changes,
            );
            verdict.refusal = Some(refusal);
        }
        match verdict.refusal {
            Some(_) => not_linked(&task.user, links, attempt, verdict),
            None => Plan::Do {
                changes: of_user(&task.user, verdict.changes),
                then: Vec::new(),
            },
        }
    }

    /// Binds the remote user of an attempt, after `changes` that lead to `links`.
    pub(super) fn bind(
        &self,
        task: &Task,
        links: &UserLinks,
        attempt: &str,
        remote_user: &str,
        mut changes: Vec<Change>,
        at: u64,
    ) -> Plan {
        let user = &task.user;
        let Some(begun) = links.attempts.get(attempt) else {
            let verdict = Verdict {
                changes,
                refusal: Some(Refusal::Expired),
            };
            return not_linked(user, links, attempt, verdict);
        };
        let name = claim::stream(&begun.cloud, remote_user);
        let before = links
            .links
            .get(&begun.cloud)
            .filter(|present| present.remote_user != remote_user);
        let old = before.map(|present| claim::stream(&begun.cloud, &present.remote_user));
        let needed: BTreeSet<String> = [Some(name.clone()), old.clone()]
            .into_iter()
            .flatten()
            .collect();
        let (Some(claim), true) = (self.store.claim(&name), needed.is_subset(&task.streams)) else {
            return Plan::Need(needed);
        };
        let id = self.seed.mac(&[b"link", attempt.as_bytes()]);
        let link = base64url(id.get(..16).unwrap_or(&id));
        let verdict = links.identify(attempt, remote_user, claim.owner.as_ref(), user, &link, at);
        changes.extend(verdict.changes);
        if verdict.refusal.is_some() {
            return not_linked(
                user,
                links,
                attempt,
                Verdict {
                    changes,
                    refusal: verdict.refusal,
                },
            );
        }
        let mut all = of_user(user, changes);
        all.extend(
            claim
                .decide(Some(user))
                .map(|change| (name, LedgerChange::Claim(change))),
        );
        all.extend(old.and_then(|old| self.release_claim(old, user)));
        let then = Then::Linked {
            attempt: attempt.to_owned(),
            cloud: begun.cloud.clone(),
            return_page: begun.return_page.clone(),
        };
        Plan::Do {
            changes: all,
            then: vec![then],
        }
    }
}

impl Return {
    /// The code that the callback brought.
    pub(in crate::client::links) fn code(&self) -> Option<&AuthorizationCode> {
        match &self.callback.answer {
            Answer::Code(code) => Some(code),
            Answer::Refused(_) | Answer::Malformed => None,
        }
    }
}
