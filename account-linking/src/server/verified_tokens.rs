//! Table: access tokens whose signature was found good, so that it is not verified with every request.
//!
//! A token is found by the digest of the last 192 bits of its signature, which nobody can guess, and then has to be the same as
//! the one that was verified, to the last byte. What is kept opens nothing: these bits themselves are not. Nothing but the
//! signature is taken for granted: a token's time, its API, its grant and its revocation are judged with each request.
//!
//! Two generations bound the table without an order of use: tokens that are used move to the younger one, and when that is full
//! the older one is forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::server::access_token::Claims;
use crate::server::grants::Grants;

/// What is known of a token with a good signature.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) claims: Claims,
    /// The stream of its user's grants.
    pub(crate) stream: String,
    /// The token without what it is found by.
    rest: Box<[u8]>,
}

/// How many characters of base64url that are; with their padding they are one block of SHA-256.
const FOUND_BY: usize = 32;

type Generation = BTreeMap<[u8; 32], Arc<Verified>>;

/// The tokens that were verified lately.
#[derive(Debug)]
pub(crate) struct VerifiedTokens {
    young: Generation,
    old: Generation,
    /// Of one generation.
    limit: usize,
}

impl VerifiedTokens {
    /// A table of at most so many tokens; of fewer than two: of none.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            young: Generation::new(),
            old: Generation::new(),
            limit: limit / 2,
        }
    }

    /// What is known of exactly this token.
    pub(crate) fn find(&mut self, token: &[u8]) -> Option<Arc<Verified>> {
        let (digest, rest) = apart(token)?;
        let is_same = |known: &&Arc<Verified>| *known.rest == *rest;
        if let Some(known) = self.young.get(&digest) {
            return Some(known).filter(is_same).map(Arc::clone);
        }
        let known = self.old.get(&digest).filter(is_same).map(Arc::clone)?;
        self.old.remove(&digest);
        self.insert(digest, Arc::clone(&known));
        Some(known)
    }

    /// Keeps a token whose signature is good.
    pub(crate) fn keep(&mut self, token: &str, claims: Claims) -> Arc<Verified> {
        let apart = apart(token.as_bytes());
        let verified = Arc::new(Verified {
            stream: Grants::stream(&claims.sub),
            claims,
            rest: apart.map(|(_, rest)| rest.into()).unwrap_or_default(),
        });
        if let Some((digest, _)) = apart {
            self.insert(digest, Arc::clone(&verified));
        }
        verified
    }

    /// Forgets all of them: the keys are others now.
    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    fn insert(&mut self, digest: [u8; 32], verified: Arc<Verified>) {
        if self.limit == 0 {
            return;
        }
        if self.young.len() >= self.limit {
            self.old = core::mem::take(&mut self.young);
        }
        self.young.insert(digest, verified);
    }
}

/// What a token is found by, and the rest of it.
fn apart(token: &[u8]) -> Option<([u8; 32], &[u8])> {
    let (rest, last) = token.split_at_checked(token.len().checked_sub(FOUND_BY)?)?;
    Some((Sha256::digest(last).into(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(id: &str) -> Claims {
        let claims = serde_json::json!({
            "iss": "https://cloud.example", "sub": "user-1", "aud": "api", "client_id": "client-acme",
            "iat": 0, "exp": 1, "jti": id, "grant_id": "AAAAAAAAAAAAAAAAAAAAAA",
        });
        serde_json::from_value(claims).unwrap()
    }

    fn found(table: &mut VerifiedTokens, token: &str) -> Option<String> {
        let found = table.find(token.as_bytes())?;
        Some(found.claims.jti.clone())
    }

    #[test]
    fn only_the_very_token_is_found() {
        let mut table = VerifiedTokens::new(8);
        let signature = "s".repeat(86);
        let token = format!("header.claims.{signature}");
        table.keep(&token, claims("1"));
        assert_eq!(found(&mut table, &token).as_deref(), Some("1"));
        for other in [
            format!("header.other.{signature}"),
            format!("header.claims.t{}", &signature[1..]),
            format!("header.claims.{}t", &signature[1..]),
            format!("{token}s"),
            format!("header.claims.{}", &signature[1..]),
            format!("{token}."),
            format!(".{token}"),
            signature[..32].to_owned(),
            signature[..31].to_owned(),
            String::new(),
        ] {
            assert_eq!(found(&mut table, &other), None, "{other}");
        }
        table.clear();
        assert_eq!(found(&mut table, &token), None);
    }

    #[test]
    fn the_table_is_bounded_and_what_is_used_stays() {
        let mut table = VerifiedTokens::new(8);
        let token = |n: &str| format!("a.b.{n:0>86}");
        table.keep(&token("used"), claims("used"));
        for n in 0..1000 {
            table.keep(&token(&n.to_string()), claims("other"));
            assert!(found(&mut table, &token("used")).is_some(), "{n}");
            assert!(table.young.len() + table.old.len() <= 8);
        }
        assert_eq!(found(&mut table, &token("0")), None);
    }

    #[test]
    fn a_table_without_room_keeps_nothing() {
        for limit in [0, 1] {
            let mut table = VerifiedTokens::new(limit);
            let token = "t".repeat(99);
            assert_eq!(table.keep(&token, claims("1")).claims.jti, "1");
            assert_eq!(found(&mut table, &token), None);
        }
    }
}
