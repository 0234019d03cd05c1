//! Proofs of possession (RFC 9449): what a request has to prove, and that no proof counts twice.

use bytes::Bytes;
use http::{Method, Response};
use url::Url;

use super::AuthorizationServer;
use super::tasks::{Awaiting, Pause, Task, Work};
use crate::server::access_token::{Claims, Refusal};
use crate::server::dpop::{Noted, Proof, Unproven};
use crate::server::ids::RequestId;
use crate::server::output::Output;
use crate::server::presented_token::{Access, Scheme};
use crate::server::response::{TokenError, say_nonce};

impl AuthorizationServer {
    /// The proof of a request to one of the server's endpoints for clients, verified; `None` when
    /// it has none.
    pub(super) fn prove(
        &mut self,
        id: RequestId,
        task: &mut Task,
        endpoint: &str,
    ) -> Result<Result<Option<Proof>, TokenError>, Pause> {
        let (Some(settings), Work::Token(work) | Work::Push(work)) =
            (&self.config.dpop, &task.work)
        else {
            return Ok(Ok(None));
        };
        let proof = match Proof::presented(&work.headers, settings) {
            Ok(Some(proof)) => proof,
            Ok(None) => return Ok(Ok(None)),
            Err(unproven) => return Ok(Err(refusal(unproven))),
        };
        let target = Url::parse(&self.config.issuer.endpoint(endpoint));
        let target = target.map_err(|_| Pause::Unavailable)?;
        if !proof.is_for(&Method::POST, &target, task.wall, settings) {
            return Ok(Err(TokenError::InvalidDpopProof));
        }
        if let Some(nonces) = &self.nonces {
            let nonce = proof.nonce.as_deref().unwrap_or_default();
            if !nonces.admits(nonce, task.wall) {
                return Ok(Err(refusal(Unproven::NonceNeeded)));
            }
        }
        Ok(if self.is_signed(id, task, &proof)? {
            Ok(Some(proof))
        } else {
            Err(TokenError::InvalidDpopProof)
        })
    }

    /// Judges the proof that a request to the protected API has to have with its token.
    pub(super) fn prove_access(
        &mut self,
        id: RequestId,
        task: &mut Task,
        claims: &Claims,
    ) -> Result<Result<(), Refusal>, Pause> {
        let Some(access) = access(task) else {
            return Err(Pause::Unavailable);
        };
        let (confirmation, settings) = match (claims.cnf, access.scheme, &self.config.dpop) {
            (None, Scheme::Bearer, _) => return Ok(Ok(())),
            (Some(confirmation), Scheme::Dpop, Some(settings)) => (confirmation, settings),
            (_, Scheme::Dpop, _) => return Ok(Err(Refusal::InvalidBound)),
            // RFC 9449, 7.2: a token that is bound to a key opens nothing without it.
            (_, Scheme::Bearer, _) => return Ok(Err(Refusal::Invalid)),
        };
        let proof = Proof::presented(&access.headers, settings).ok().flatten();
        let fits = |proof: &Proof| {
            let target = access.target.as_ref();
            target.is_some_and(|url| proof.is_for(&access.method, url, task.wall, settings))
                && proof.is_with(&access.token)
                && proof.thumbprint == confirmation.jkt
        };
        let Some(proof) = proof.filter(fits) else {
            return Ok(Err(Refusal::InvalidProof));
        };
        if let (Some(nonces), true) = (&self.nonces, settings.nonces_at_apis) {
            let nonce = proof.nonce.as_deref().unwrap_or_default();
            if !nonces.admits(nonce, task.wall) {
                return Ok(Err(Refusal::NonceNeeded(nonces.current(task.wall))));
            }
        }
        if !self.is_signed(id, task, &proof)? {
            return Ok(Err(Refusal::InvalidProof));
        }
        Ok(match self.note(task, &proof) {
            Noted::New => Ok(()),
            Noted::Seen => Err(Refusal::InvalidProof),
            Noted::Full => Err(Refusal::Unavailable),
        })
    }

    /// Notes the proof of a token request that is about to be granted.
    pub(super) fn spend_proof(&mut self, task: &mut Task, proof: &Proof) -> Result<(), TokenError> {
        match self.note(task, proof) {
            Noted::New => Ok(()),
            Noted::Seen => Err(TokenError::InvalidDpopProof),
            Noted::Full => Err(TokenError::TemporarilyUnavailable),
        }
    }

    /// Adds the nonce of the next proof, where one is demanded (RFC 9449 8.2).
    pub(super) fn with_nonce(&self, mut response: Response<Bytes>, task: &Task) -> Response<Bytes> {
        if let Some(nonces) = &self.nonces {
            say_nonce(&mut response, nonces.current(task.wall));
        }
        response
    }

    /// Whether a proof is signed with its own key.
    fn is_signed(&mut self, id: RequestId, task: &mut Task, proof: &Proof) -> Result<bool, Pause> {
        if let Some(good) = task.proven {
            return Ok(good);
        }
        task.awaiting = Awaiting::Proof;
        self.desk.outputs.push_back(Output::VerifyProof {
            request: id,
            key: proof.key.clone(),
            algorithm: proof.algorithm,
            signing_input: proof.signing_input.clone().into(),
            signature: proof.signature.clone().into(),
        });
        Err(Pause::Wait)
    }

    /// Notes a proof, once for a request that runs several times.
    fn note(&mut self, task: &mut Task, proof: &Proof) -> Noted {
        let window = self.config.dpop.as_ref().map(|dpop| dpop.window);
        let (false, Some(window)) = (task.proof_noted, window) else {
            return Noted::New;
        };
        // Until its time is over: at most a window behind now, or ahead.
        let over = proof.made.saturating_add(window);
        let until = self.desk.after(over.saturating_sub(task.wall));
        // Fractions of a second are not judged alike on both clocks.
        let until = until
            .checked_add(core::time::Duration::from_secs(1))
            .unwrap_or(until);
        let noted = self.proofs.note(proof.thumbprint, &proof.jti, until);
        task.proof_noted = noted == Noted::New;
        noted
    }
}

fn access(task: &Task) -> Option<&Access> {
    match &task.work {
        Work::Check { access } | Work::Userinfo { access } => Some(access),
        _ => None,
    }
}

fn refusal(unproven: Unproven) -> TokenError {
    match unproven {
        Unproven::Invalid => TokenError::InvalidDpopProof,
        Unproven::NonceNeeded => TokenError::UseDpopNonce,
    }
}
