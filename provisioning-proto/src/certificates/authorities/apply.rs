use std::collections::BTreeSet;

use super::{Authority, CertificateAuthorities, Challenge, Change, Fact};
use crate::CaId;

impl CertificateAuthorities {
    /// Takes in a change. Cannot fail: what does not fit has no effect.
    pub fn apply(&mut self, change: &Change) {
        self.latest = self.latest.max(change.at);
        match &change.fact {
            Fact::Uploaded { name, certificate } => {
                let uploaded = Authority {
                    name: name.clone(),
                    certificate: certificate.clone(),
                    verified: false,
                    challenge: None,
                    revoked: false,
                    accept_expired: false,
                    references: BTreeSet::new(),
                    denials: BTreeSet::new(),
                    uploaded_at: change.at,
                };
                self.authorities
                    .entry(change.ca.clone())
                    .or_insert(uploaded);
            }
            Fact::Deleted => {
                self.authorities.remove(&change.ca);
            }
            fact => self.edit(&change.ca, fact),
        }
    }

    fn edit(&mut self, ca: &CaId, fact: &Fact) {
        if let Some(authority) = self.authorities.get_mut(ca) {
            authority.take(fact);
        }
    }
}

impl Authority {
    fn take(&mut self, fact: &Fact) {
        match fact {
            Fact::CertificateReplaced { certificate } => {
                self.certificate = certificate.clone();
                self.verified = false;
                self.challenge = None;
                self.revoked = false;
            }
            Fact::CodeGenerated {
                code,
                expires_at,
                tries,
            } => {
                self.challenge = Some(Challenge {
                    code: code.clone(),
                    expires_at: *expires_at,
                    tries: *tries,
                });
            }
            Fact::VerificationFailed => self.fail(),
            Fact::Verified => {
                self.verified = true;
                self.challenge = None;
            }
            Fact::AcceptExpiredSet { accept } => self.accept_expired = *accept,
            Fact::Revoked => {
                self.revoked = true;
                self.challenge = None;
            }
            Fact::Referred { reference } => {
                self.references.insert(reference.clone());
            }
            Fact::Unreferred { reference } => {
                self.references.remove(reference);
            }
            Fact::Denied { denial } => {
                self.denials.insert(denial.clone());
            }
            Fact::Allowed { denial } => {
                self.denials.remove(denial);
            }
            Fact::Uploaded { .. } | Fact::Deleted => {}
        }
    }

    /// The code bears one try less, and is gone with the last one.
    fn fail(&mut self) {
        if let Some(challenge) = &mut self.challenge {
            challenge.tries = challenge.tries.saturating_sub(1);
            if challenge.tries == 0 {
                self.challenge = None;
            }
        }
    }
}
