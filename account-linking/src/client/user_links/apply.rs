//! What a change does to the ledger: total, and a function of the ledger and the change alone.

use std::collections::VecDeque;

use super::change::Change;
use super::{Attempt, Link, Revocable, Revocation, Stage, State, Tokens, UserLinks};
use crate::client::cloud::CloudId;

impl UserLinks {
    /// Takes in what has happened.
    pub(in crate::client) fn apply(&mut self, change: &Change) {
        match change.clone() {
            Change::Started {
                attempt,
                cloud,
                issuer,
                redirect_uri,
                browser,
                scopes,
                verifier,
                return_page,
                replace,
                at,
                ends,
            } => {
                self.pass(at);
                let stage = Stage::AwaitingUser;
                let begun = Attempt {
                    cloud,
                    issuer,
                    redirect_uri,
                    browser,
                    scopes,
                    verifier,
                    return_page,
                    replace,
                    ends,
                    stage,
                };
                self.attempts.insert(attempt, begun);
            }
            Change::Spent { attempt, at, ends } => {
                self.pass(at);
                if let Some(attempt) = self.attempts.get_mut(&attempt) {
                    attempt.stage = Stage::Exchanging;
                    attempt.verifier = None;
                    attempt.ends = ends;
                }
            }
            Change::Received {
                attempt,
                tokens,
                at,
                ends,
            } => {
                self.pass(at);
                if let Some(attempt) = self.attempts.get_mut(&attempt) {
                    attempt.stage = Stage::Identifying(tokens);
                    attempt.ends = ends;
                }
            }
            Change::Closed {
                attempt,
                outcome: _,
                at,
            } => {
                self.pass(at);
                if let Some(Attempt {
                    cloud,
                    stage: Stage::Identifying(tokens),
                    ..
                }) = self.attempts.remove(&attempt)
                {
                    self.revoke(cloud, tokens, at);
                }
            }
            Change::Linked {
                attempt,
                link,
                remote_user,
                at,
            } => self.link(&attempt, link, remote_user, at),
            Change::Refreshed { cloud, tokens, at } => self.refresh(&cloud, tokens, at),
            Change::RelinkNeeded { cloud, reason, at } => {
                self.pass(at);
                if let Some(link) = self.links.get_mut(&cloud) {
                    link.state = State::NeedsRelink { reason, since: at };
                }
            }
            Change::Unlinked { cloud, at } => {
                self.pass(at);
                if let Some(link) = self.links.remove(&cloud) {
                    self.end(cloud, link, at);
                }
            }
            Change::Orphaned { cloud, tokens, at } => {
                self.pass(at);
                self.revoke(cloud, tokens, at);
            }
            Change::Revoked { revocation, at } => {
                self.pass(at);
                if let Some(entry) = self.revocations.get_mut(&revocation) {
                    entry.tokens.pop_front();
                    entry.tries = 0;
                    entry.next_try = at;
                    if entry.tokens.is_empty() {
                        self.revocations.remove(&revocation);
                    }
                }
            }
            Change::RevocationDeferred {
                revocation,
                next_try,
                at,
            } => {
                self.pass(at);
                if let Some(entry) = self.revocations.get_mut(&revocation) {
                    entry.tries = entry.tries.saturating_add(1);
                    entry.next_try = next_try;
                }
            }
            Change::RevocationAbandoned { revocation, at } => {
                self.pass(at);
                self.revocations.remove(&revocation);
            }
        }
    }

    fn link(&mut self, attempt: &str, id: String, remote_user: String, at: u64) {
        self.pass(at);
        let Some(Attempt {
            cloud,
            stage: Stage::Identifying(tokens),
            ..
        }) = self.attempts.remove(attempt)
        else {
            return;
        };
        let generation = self.next_generation();
        let new = Link {
            id,
            remote_user,
            since: at,
            generation,
            state: State::Linked(tokens),
        };
        if let Some(old) = self.links.insert(cloud.clone(), new) {
            self.end(cloud, old, at);
        }
    }

    fn refresh(&mut self, cloud: &CloudId, mut tokens: Tokens, at: u64) {
        self.pass(at);
        let generation = self.next_generation();
        let Some(link) = self.links.get_mut(cloud) else {
            return;
        };
        if let State::Linked(old) = &mut link.state {
            // RFC 6749, 6: without a new refresh token the old one stays.
            tokens.refresh = tokens.refresh.or_else(|| old.refresh.take());
            *old = tokens;
            link.generation = generation;
        }
    }

    fn end(&mut self, cloud: CloudId, link: Link, at: u64) {
        if let State::Linked(tokens) = link.state {
            self.revoke(cloud, tokens, at);
        }
    }

    fn revoke(&mut self, cloud: CloudId, tokens: Tokens, at: u64) {
        let ended = tokens.expires.is_some_and(|expires| expires <= at);
        let refresh = tokens.refresh.map(Revocable::Refresh);
        let access = (!ended).then_some(Revocable::Access(tokens.access));
        let tokens: VecDeque<Revocable> = refresh.into_iter().chain(access).collect();
        if !tokens.is_empty() {
            let id = self.next_revocation;
            self.next_revocation = id.saturating_add(1);
            self.revocations.insert(
                id,
                Revocation {
                    cloud,
                    tokens,
                    since: at,
                    tries: 0,
                    next_try: at,
                },
            );
        }
    }

    fn pass(&mut self, at: u64) {
        self.last = self.last.max(at);
    }

    fn next_generation(&mut self) -> u64 {
        self.generation = self.generation.saturating_add(1);
        self.generation
    }
}
