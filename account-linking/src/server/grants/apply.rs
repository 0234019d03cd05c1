//! How changes become state: total, and a function of the state and the change alone.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::change::{Change, What};
use super::{Code, Grant, Grants, MAX_CODE_ATTEMPTS, MAX_REVOKED_TOKENS, Refresh, SNAPSHOT_FORMAT};
use crate::error::{Error, ErrorKind};
use crate::server::ledger::{Ledger, from_cbor, to_cbor};

impl Grants {
    /// Takes one change into the state.
    pub(crate) fn apply(&mut self, change: &Change) {
        let Change {
            at,
            grant: id,
            what,
        } = change;
        self.at = self.at.max(*at);
        match what {
            What::Granted { .. } => {
                if let Some(grant) = granted(*at, what) {
                    self.grants.insert(*id, Box::new(grant));
                }
            }
            What::Forgotten => {
                self.grants.remove(id);
            }
            other => {
                if let Some(grant) = self.grants.get_mut(id) {
                    grant.apply(*at, other);
                }
            }
        }
    }
}

fn granted(at: u64, what: &What) -> Option<Grant> {
    let What::Granted {
        client,
        scopes,
        policy,
        salt,
        code_hash,
        code_expires,
        redirect_uri,
        redirect_uri_sent,
        challenge,
        resources,
        code_key,
    } = what
    else {
        return None;
    };
    Some(Grant {
        client: client.clone(),
        scopes: scopes.clone(),
        resources: resources.clone(),
        created: at,
        last_used: at,
        policy: *policy,
        salt: *salt,
        code: Code {
            hash: *code_hash,
            redirect_uri: redirect_uri.clone(),
            redirect_uri_sent: *redirect_uri_sent,
            challenge: challenge.clone(),
            key: *code_key,
            expires: *code_expires,
            failed_attempts: 0,
            spent: false,
        },
        refresh: None,
        bound_to: None,
        access_not_before: 0,
        revoked_access: BTreeMap::new(),
        ended: None,
    })
}

impl Grant {
    fn apply(&mut self, at: u64, what: &What) {
        match what {
            What::Granted { .. } | What::Forgotten => {}
            What::CodeMismatched => {
                self.code.failed_attempts = self.code.failed_attempts.saturating_add(1);
                if self.code.failed_attempts >= MAX_CODE_ATTEMPTS {
                    // Nothing was issued, so the grant just runs out at this moment.
                    self.code.expires = self.code.expires.min(at);
                }
            }
            What::CodeRedeemed { key, bound_to } => {
                self.code.spent = true;
                self.last_used = at;
                self.bound_to = *bound_to;
                self.refresh = key.map(|key| Refresh {
                    generation: 0,
                    key,
                    rotated_at: at,
                });
            }
            What::Refreshed => self.last_used = at,
            What::Rotated { key } => {
                self.last_used = at;
                if let Some(refresh) = &mut self.refresh {
                    refresh.generation = refresh.generation.saturating_add(1);
                    refresh.key = *key;
                    refresh.rotated_at = at;
                }
            }
            What::AccessRevoked { token_id, until } => {
                self.revoked_access.retain(|_, until| *until > at);
                if self.revoked_access.len() < MAX_REVOKED_TOKENS {
                    self.revoked_access.insert(token_id.clone(), *until);
                } else {
                    self.access_not_before = at;
                    self.revoked_access.clear();
                }
            }
            What::Ended { reason } => {
                self.ended.get_or_insert((*reason, at));
            }
        }
    }
}

impl Ledger for Grants {
    type Change = Change;

    fn encode(change: &Change) -> Result<Bytes, Error> {
        to_cbor(change)
    }

    fn decode(bytes: &[u8]) -> Result<Change, Error> {
        from_cbor(bytes)
    }

    fn apply(&mut self, change: &Change) {
        Self::apply(self, change);
    }

    fn restore(format: u32, bytes: &[u8]) -> Result<Self, Error> {
        match format {
            SNAPSHOT_FORMAT => from_cbor(bytes),
            _ => Err(ErrorKind::Corrupt.into()),
        }
    }

    fn snapshot(&self) -> Result<(u32, Bytes), Error> {
        Ok((SNAPSHOT_FORMAT, to_cbor(self)?))
    }

    fn due(&self) -> Option<u64> {
        let owed = |grant: &Grant| match grant.ended {
            Some((_, at)) => at,
            None => grant.expires(),
        };
        self.grants.values().map(|grant| owed(grant)).min()
    }
}
