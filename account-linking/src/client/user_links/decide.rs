//! What may happen: each function looks at the ledger and touches nothing.

use super::change::{Change, Outcome};
use super::{RelinkReason, Stage, Tokens, UserLinks};
use crate::client::callback::Answer;
use crate::client::cloud::{Cloud, CloudId};
use crate::client::links::Refusal;
use crate::client::seal::Sealed;
use crate::scope::ScopeSet;
use crate::secret::same;
use crate::user_id::UserId;

/// A callback, and where and from whom it came.
#[derive(Clone, Copy)]
pub(in crate::client) struct Arrival<'a> {
    /// SHA-256 of what the browser showed, `None` when it was another local user's browser.
    pub(in crate::client) browser: Option<&'a [u8; 32]>,
    pub(in crate::client) received_at: &'a str,
    pub(in crate::client) issuer: Option<&'a str>,
    pub(in crate::client) answer: &'a Answer,
}

/// What a decision came to: changes, and why the answer is no, if it is.
#[derive(Debug, Default)]
pub(in crate::client) struct Verdict {
    pub(in crate::client) changes: Vec<Change>,
    pub(in crate::client) refusal: Option<Refusal>,
}

impl Verdict {
    fn yes(change: Change) -> Self {
        Self {
            changes: vec![change],
            refusal: None,
        }
    }

    fn no(changes: Vec<Change>, refusal: Refusal) -> Self {
        Self {
            changes,
            refusal: Some(refusal),
        }
    }
}

/// Tokens as they were received and sealed, before it is known what they replace.
#[derive(Clone, Debug)]
pub(in crate::client) struct Received {
    pub(in crate::client) access: Sealed,
    pub(in crate::client) refresh: Option<Sealed>,
    pub(in crate::client) expires: Option<u64>,
    pub(in crate::client) refresh_at: Option<u64>,
    pub(in crate::client) scopes: Option<ScopeSet>,
}

impl Received {
    /// The tokens, with the scopes that were asked for where the server named none (RFC 6749, 5.1).
    fn with_scopes(self, asked: &ScopeSet) -> Tokens {
        let scopes = self.scopes.unwrap_or_else(|| asked.clone());
        Tokens {
            access: self.access,
            refresh: self.refresh,
            expires: self.expires,
            refresh_at: self.refresh_at,
            scopes,
        }
    }
}

impl UserLinks {
    /// Room for one more attempt: the oldest ones that still wait for the user make way.
    pub(in crate::client) fn make_room(&self, most: usize, at: u64) -> Option<Vec<Change>> {
        let excess = self.attempts.len().saturating_add(1).saturating_sub(most);
        let mut waiting: Vec<_> = self
            .attempts
            .iter()
            .filter(|(_, attempt)| attempt.stage == Stage::AwaitingUser)
            .collect();
        waiting.sort_by_key(|(_, attempt)| attempt.ends);
        let closed = waiting
            .into_iter()
            .take(excess)
            .map(|(id, _)| closed(id, Outcome::Abandoned, at));
        let changes: Vec<_> = closed.collect();
        (changes.len() == excess).then_some(changes)
    }

    /// Judges a callback; an attempt that is found is spent, whatever the callback says.
    pub(in crate::client) fn callback(
        &self,
        attempt: &str,
        arrival: Arrival<'_>,
        cloud: Option<&Cloud>,
        at: u64,
        ends: u64,
    ) -> Verdict {
        let Some(begun) = self
            .attempts
            .get(attempt)
            .filter(|begun| begun.stage == Stage::AwaitingUser)
        else {
            return Verdict::no(Vec::new(), Refusal::UnknownState);
        };
        let no = |outcome, refusal| Verdict::no(vec![closed(attempt, outcome, at)], refusal);
        if at >= begun.ends {
            return no(Outcome::Abandoned, Refusal::Expired);
        }
        // RFC 9700, 4.7: the state must come back through the browser, and to the user, that it was given to.
        if !arrival
            .browser
            .is_some_and(|browser| same(browser, &begun.browser))
        {
            return no(Outcome::Mismatched, Refusal::OtherBrowser);
        }
        let Some(cloud) = cloud else {
            return no(Outcome::Failed, Refusal::UnknownCloud);
        };
        // RFC 9700, 4.4.2.2, and RFC 9207, 2.4: both before anything in the response is believed.
        let right_issuer = match arrival.issuer {
            Some(issuer) => issuer == begun.issuer,
            None => !cloud.issuer_announced,
        };
        if arrival.received_at != begun.redirect_uri.as_str() || !right_issuer {
            return no(Outcome::Mismatched, Refusal::OtherIssuer);
        }
        match arrival.answer {
            Answer::Refused(code) if code.as_str() == "access_denied" => {
                no(Outcome::Denied, Refusal::Denied)
            }
            Answer::Refused(code) => no(Outcome::Failed, Refusal::Error(code.clone())),
            Answer::Malformed => no(Outcome::Failed, Refusal::Malformed),
            Answer::Code(_) => Verdict::yes(Change::Spent {
                attempt: attempt.to_owned(),
                at,
                ends,
            }),
        }
    }

    /// Takes the tokens of an attempt in; without the attempt they are orphans and are revoked.
    pub(in crate::client) fn receive(
        &self,
        attempt: &str,
        cloud: &Cloud,
        received: Received,
        needs_refresh_token: bool,
        at: u64,
        ends: u64,
    ) -> Verdict {
        let Some(begun) = self
            .attempts
            .get(attempt)
            .filter(|begun| begun.stage == Stage::Exchanging)
        else {
            let tokens = received.with_scopes(&ScopeSet::default());
            let orphaned = Change::Orphaned {
                cloud: cloud.id.clone(),
                tokens,
                at,
            };
            return Verdict::no(vec![orphaned], Refusal::Expired);
        };
        let tokens = received.with_scopes(&begun.scopes);
        let refusal = if needs_refresh_token && tokens.refresh.is_none() {
            Some(Refusal::NoRefreshToken)
        } else if !cloud.required_scopes.is_subset(&tokens.scopes) {
            Some(Refusal::TooLittleScope)
        } else {
            None
        };
        let mut changes = vec![Change::Received {
            attempt: attempt.to_owned(),
            tokens,
            at,
            ends,
        }];
        if refusal.is_some() {
            changes.push(closed(attempt, Outcome::Unusable, at));
        }
        Verdict { changes, refusal }
    }

    /// Binds the remote user to this local one, if nothing stands against it; `owner` is who has claimed the remote user.
    pub(in crate::client) fn identify(
        &self,
        attempt: &str,
        remote_user: &str,
        owner: Option<&UserId>,
        user: &UserId,
        link: &str,
        at: u64,
    ) -> Verdict {
        let Some(begun) = self
            .attempts
            .get(attempt)
            .filter(|begun| matches!(begun.stage, Stage::Identifying(_)))
        else {
            return Verdict::no(Vec::new(), Refusal::Expired);
        };
        if owner.is_some_and(|owner| owner != user) {
            return Verdict::no(vec![closed(attempt, Outcome::Taken, at)], Refusal::Taken);
        }
        let present = self.links.get(&begun.cloud);
        if present.is_some_and(|present| present.remote_user != remote_user) && !begun.replace {
            return Verdict::no(
                vec![closed(attempt, Outcome::OtherRemoteUser, at)],
                Refusal::OtherRemoteUser,
            );
        }
        // A link that is made anew for the same remote user keeps its name.
        let link = present
            .filter(|present| present.remote_user == remote_user)
            .map_or(link, |present| &present.id);
        Verdict::yes(Change::Linked {
            attempt: attempt.to_owned(),
            link: link.to_owned(),
            remote_user: remote_user.to_owned(),
            at,
        })
    }

    /// Ends an attempt without a link, if it has not ended already.
    pub(in crate::client) fn close(
        &self,
        attempt: &str,
        outcome: Outcome,
        refusal: Refusal,
        at: u64,
    ) -> Verdict {
        let changes = self
            .attempts
            .contains_key(attempt)
            .then(|| closed(attempt, outcome, at));
        Verdict::no(changes.into_iter().collect(), refusal)
    }

    /// Ends the attempts whose time is over.
    pub(in crate::client) fn expire(&self, at: u64) -> Vec<Change> {
        let over = self
            .attempts
            .iter()
            .filter(|(_, attempt)| attempt.ends <= at);
        over.map(|(id, attempt)| {
            let outcome = match attempt.stage {
                Stage::AwaitingUser => Outcome::Abandoned,
                Stage::Exchanging => Outcome::Lost,
                Stage::Identifying(_) => Outcome::Unusable,
            };
            closed(id, outcome, at)
        })
        .collect()
    }

    /// Puts new tokens into the link that they were made for; if that is gone or has moved on, they are not used.
    pub(in crate::client) fn refreshed(
        &self,
        cloud: &CloudId,
        generation: u64,
        received: Received,
        at: u64,
    ) -> Option<Change> {
        match self.tokens(cloud) {
            Some((link, old)) if link.generation == generation => {
                let tokens = received.with_scopes(&old.scopes);
                Some(Change::Refreshed {
                    cloud: cloud.clone(),
                    tokens,
                    at,
                })
            }
            // Another node was faster. Its refresh token may be the same one, so revoking this answer could end the link.
            Some(_) => None,
            None => {
                let tokens = received.with_scopes(&ScopeSet::default());
                Some(Change::Orphaned {
                    cloud: cloud.clone(),
                    tokens,
                    at,
                })
            }
        }
    }

    /// Marks the link as of no use, if its tokens are still those that were refused.
    pub(in crate::client) fn relink(
        &self,
        cloud: &CloudId,
        generation: u64,
        reason: RelinkReason,
        at: u64,
    ) -> Option<Change> {
        let (link, _) = self.tokens(cloud)?;
        (link.generation == generation).then(|| Change::RelinkNeeded {
            cloud: cloud.clone(),
            reason,
            at,
        })
    }
}

fn closed(attempt: &str, outcome: Outcome, at: u64) -> Change {
    Change::Closed {
        attempt: attempt.to_owned(),
        outcome,
        at,
    }
}
