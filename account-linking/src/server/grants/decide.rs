//! What may happen to a user's grants: a function of the state, the command and the moment alone.

use std::collections::BTreeSet;

use super::change::{Change, EndReason, What};
use super::{Grant, Grants, Policy, RefreshSeed};
use crate::pkce::{PkceChallenge, PkceVerifier};
use crate::resource::Resource;
use crate::scope::ScopeSet;
use crate::secret::same;
use crate::server::dpop::Thumbprint;
use crate::server::ids::{ClientId, GrantId};
use crate::server::target::Target;

/// What is asked of a user's grants.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// The user consents.
    Approve(Approval),
    /// A client exchanges a code.
    Redeem(Redemption),
    /// A client uses a refresh token, whose authenticity has been checked.
    Refresh(Renewal),
    /// A client revokes one of its access tokens.
    RevokeAccess {
        grant: GrantId,
        client: ClientId,
        token_id: String,
        until: u64,
    },
    /// The grant is to end.
    End { grant: GrantId, reason: EndReason },
    /// Everything made under the ended grant has ended.
    Settle { grant: GrantId },
    /// Time has passed.
    Expire,
}

impl Command {
    /// The grant that it is about.
    pub(crate) fn grant(&self) -> Option<GrantId> {
        match self {
            Self::Approve(approval) => Some(approval.grant),
            Self::Redeem(redemption) => Some(redemption.grant),
            Self::Refresh(renewal) => Some(renewal.grant),
            Self::RevokeAccess { grant, .. } | Self::End { grant, .. } | Self::Settle { grant } => {
                Some(*grant)
            }
            Self::Expire => None,
        }
    }
}

/// A consent, and the code that answers it.
#[derive(Clone, Debug)]
pub(crate) struct Approval {
    pub(crate) grant: GrantId,
    pub(crate) client: ClientId,
    pub(crate) scopes: ScopeSet,
    pub(crate) policy: Policy,
    pub(crate) salt: [u8; 16],
    pub(crate) code_hash: [u8; 32],
    pub(crate) code_lifetime: u64,
    pub(crate) redirect_uri: String,
    pub(crate) redirect_uri_sent: bool,
    pub(crate) challenge: Option<PkceChallenge>,
    pub(crate) resources: BTreeSet<Resource>,
    pub(crate) code_key: Option<Thumbprint>,
    pub(crate) max_grants: usize,
}

/// A code and what a client presents with it.
#[derive(Clone, Debug)]
pub(crate) struct Redemption {
    pub(crate) grant: GrantId,
    pub(crate) code_hash: [u8; 32],
    pub(crate) client: ClientId,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) verifier: Option<PkceVerifier>,
    pub(crate) target: Target,
    /// The key of a refresh token, should one be issued.
    pub(crate) key: u8,
    /// The key that the client has proven.
    pub(crate) proven: Option<Thumbprint>,
    /// Whether the refresh token is bound to that key, too.
    pub(crate) binds_refresh: bool,
}

/// A refresh token, and what a client presents with it.
#[derive(Clone, Debug)]
pub(crate) struct Renewal {
    pub(crate) grant: GrantId,
    pub(crate) generation: u64,
    pub(crate) client: ClientId,
    pub(crate) scopes: Option<ScopeSet>,
    pub(crate) target: Target,
    /// The key of a refresh token, should one be issued.
    pub(crate) key: u8,
    /// The key that the client has proven.
    pub(crate) proven: Option<Thumbprint>,
}

/// The changes a command makes, and its answer once they are durable.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub(crate) changes: Vec<Change>,
    pub(crate) reply: Result<Reply, Refused>,
}

/// The answer to a command.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Reply {
    Done,
    Issued(Issued),
}

/// What may be issued now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Issued {
    /// The scopes of the access token.
    pub(crate) scopes: ScopeSet,
    /// Its resources; empty stands for the default.
    pub(crate) resources: BTreeSet<Resource>,
    /// The refresh token to hand out; `None` when there is none or the client keeps the one it has.
    pub(crate) refresh: Option<RefreshSeed>,
    /// Whether a superseded refresh token was taken inside its window.
    pub(crate) window_used: bool,
}

/// Why a command is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// The code or token is not good, whatever the reason.
    InvalidGrant,
    /// A superseded refresh token outside its window.
    Replayed,
    /// More scope than was granted.
    InvalidScope,
    /// An API that was not granted.
    InvalidTarget,
    /// The user has too many grants.
    Full,
    /// There is no such grant.
    NotFound,
}

type Outcome = (Vec<(GrantId, What)>, Result<Reply, Refused>);

impl Grants {
    /// Decides `command` at `wall`, in Unix milliseconds, and touches nothing.
    pub(crate) fn decide(&self, command: &Command, wall: u64) -> Decision {
        let at = self.at(wall);
        let (changes, reply) = match command {
            Command::Approve(approval) => self.approve(approval, at),
            Command::Redeem(redemption) => self.redeem(redemption, at),
            Command::Refresh(renewal) => match self.of_client(renewal.grant, &renewal.client) {
                Some(held) if held.is_alive(at) => refresh(held, renewal, at),
                _ => (Vec::new(), Err(Refused::InvalidGrant)),
            },
            Command::RevokeAccess {
                grant,
                client,
                token_id,
                until,
            } => {
                let change = What::AccessRevoked {
                    token_id: token_id.clone(),
                    until: *until,
                };
                let opens = self.of_client(*grant, client).is_some_and(|held| {
                    held.is_alive(at) && at < *until && !held.revoked_access.contains_key(token_id)
                });
                (change_if(opens, *grant, change), Ok(Reply::Done))
            }
            Command::End { grant, reason } => match self.grants.get(grant) {
                Some(held) => {
                    let change = What::Ended { reason: *reason };
                    (
                        change_if(held.ended.is_none(), *grant, change),
                        Ok(Reply::Done),
                    )
                }
                None => (Vec::new(), Err(Refused::NotFound)),
            },
            Command::Settle { grant } => {
                let ended = self
                    .grants
                    .get(grant)
                    .is_some_and(|held| held.ended.is_some());
                (change_if(ended, *grant, What::Forgotten), Ok(Reply::Done))
            }
            Command::Expire => (self.run_out(at), Ok(Reply::Done)),
        };
        let dated = changes
            .into_iter()
            .map(|(grant, what)| Change { at, grant, what });
        Decision {
            changes: dated.collect(),
            reply,
        }
    }

    fn of_client(&self, grant: GrantId, client: &ClientId) -> Option<&Grant> {
        self.grants
            .get(&grant)
            .map(AsRef::as_ref)
            .filter(|held: &&Grant| held.client == *client)
    }

    fn approve(&self, approval: &Approval, at: u64) -> Outcome {
        let mut changes = self.run_out(at);
        let forgotten = changes
            .iter()
            .filter(|(_, what)| *what == What::Forgotten)
            .count();
        if self.grants.len().saturating_sub(forgotten) >= approval.max_grants {
            return (changes, Err(Refused::Full));
        }
        changes.push((
            approval.grant,
            What::Granted {
                client: approval.client.clone(),
                scopes: approval.scopes.clone(),
                policy: approval.policy,
                salt: approval.salt,
                code_hash: approval.code_hash,
                code_expires: at.saturating_add(approval.code_lifetime),
                redirect_uri: approval.redirect_uri.clone(),
                redirect_uri_sent: approval.redirect_uri_sent,
                challenge: approval.challenge.clone(),
                resources: approval.resources.clone(),
                code_key: approval.code_key,
            },
        ));
        (changes, Ok(Reply::Done))
    }

    /// The ends that time has brought; a code that ran out unused leaves nothing to end.
    fn run_out(&self, at: u64) -> Vec<(GrantId, What)> {
        let over = |grant: &Grant| grant.ended.is_none() && at >= grant.expires();
        let ended = self.grants.iter().filter(|(_, grant)| over(grant));
        ended
            .map(|(id, grant)| {
                let reason = EndReason::Expired;
                let what = if grant.code.spent {
                    What::Ended { reason }
                } else {
                    What::Forgotten
                };
                (*id, what)
            })
            .collect()
    }

    fn redeem(&self, asked: &Redemption, at: u64) -> Outcome {
        let refuse = |what: Option<What>| {
            let changes = what.map(|what| (asked.grant, what)).into_iter().collect();
            (changes, Err(Refused::InvalidGrant))
        };
        let Some(grant) = self
            .grants
            .get(&asked.grant)
            .filter(|grant| same(&grant.code.hash, &asked.code_hash))
        else {
            return refuse(None);
        };
        let code = &grant.code;
        if code.spent {
            // RFC 6749, 4.1.2: what the first use gave is revoked.
            let reason = EndReason::CodeReplayed;
            return refuse(grant.ended.is_none().then_some(What::Ended { reason }));
        }
        if grant.ended.is_some() || at >= code.expires {
            return refuse(None);
        }
        let uri_matches = match &asked.redirect_uri {
            Some(uri) => *uri == code.redirect_uri,
            None => !code.redirect_uri_sent,
        };
        let proof_matches = match (&code.challenge, &asked.verifier) {
            (Some(challenge), Some(verifier)) => challenge.is_met_by(verifier),
            (None, None) => true,
            // RFC 9700, 2.1.1 and 4.8.2: neither may be left out of the pair.
            _ => false,
        };
        // RFC 9449, 10
        let key_matches = code.key.is_none_or(|key| asked.proven == Some(key));
        if grant.client != asked.client || !uri_matches || !proof_matches || !key_matches {
            return refuse(Some(What::CodeMismatched));
        }
        let Some(resources) = asked.target.within(&grant.resources) else {
            return (Vec::new(), Err(Refused::InvalidTarget));
        };
        let key = grant.policy.refresh_tokens.then_some(asked.key);
        let issued = Issued {
            scopes: grant.scopes.clone(),
            resources,
            refresh: key.map(|key| RefreshSeed {
                generation: 0,
                key,
                salt: grant.salt,
            }),
            window_used: false,
        };
        let bound_to = asked.proven.filter(|_| asked.binds_refresh);
        let change = What::CodeRedeemed { key, bound_to };
        (vec![(asked.grant, change)], Ok(Reply::Issued(issued)))
    }
}

fn change_if(condition: bool, grant: GrantId, what: What) -> Vec<(GrantId, What)> {
    condition.then_some((grant, what)).into_iter().collect()
}

fn refresh(grant: &Grant, asked: &Renewal, at: u64) -> Outcome {
    let (id, generation, key) = (asked.grant, asked.generation, asked.key);
    // RFC 9449, 5: a refresh token of a client without a secret is bound to its key.
    let key_matches = grant.bound_to.is_none_or(|key| asked.proven == Some(key));
    let Some(current) = grant.refresh.filter(|_| key_matches) else {
        return (Vec::new(), Err(Refused::InvalidGrant));
    };
    // RFC 6749, 6: never more than was granted; less concerns the new access token only.
    let scopes = asked.scopes.as_ref().unwrap_or(&grant.scopes);
    let in_scope = scopes.is_subset(&grant.scopes);
    let resources = asked.target.within(&grant.resources);
    let issued = |refresh, window_used| {
        Ok(Reply::Issued(Issued {
            scopes: scopes.clone(),
            resources: resources.clone().unwrap_or_default(),
            refresh,
            window_used,
        }))
    };
    let superseded = generation.checked_add(1) == Some(current.generation);
    let in_window = |window: u64| superseded && at <= current.rotated_at.saturating_add(window);
    let successor = || {
        let seed = RefreshSeed {
            generation: generation.saturating_add(1),
            key,
            salt: grant.salt,
        };
        (vec![(id, What::Rotated { key })], issued(Some(seed), false))
    };
    // One that stays is replaced when its key is no longer the first, and stays good beside its successor for as long as the
    // key is accepted: whether the client takes new ones is not known.
    let good = generation == current.generation
        || match grant.policy.rotation_window {
            Some(window) => in_window(window),
            None => superseded,
        };
    match grant.policy.rotation_window {
        _ if good && !in_scope => (Vec::new(), Err(Refused::InvalidScope)),
        _ if good && resources.is_none() => (Vec::new(), Err(Refused::InvalidTarget)),
        None if generation == current.generation && current.key == key => {
            (vec![(id, What::Refreshed)], issued(None, false))
        }
        None if superseded => (
            vec![(id, What::Refreshed)],
            issued(Some(grant.seed(current)), false),
        ),
        _ if generation == current.generation => successor(),
        Some(window) if in_window(window) => (Vec::new(), issued(Some(grant.seed(current)), true)),
        Some(_) if generation < current.generation => {
            // RFC 9700, 4.14.2: either holder may be the thief.
            let reason = EndReason::RefreshTokenReplayed;
            let changes = change_if(grant.policy.replay_ends_grant, id, What::Ended { reason });
            (changes, Err(Refused::Replayed))
        }
        _ => (Vec::new(), Err(Refused::InvalidGrant)),
    }
}
