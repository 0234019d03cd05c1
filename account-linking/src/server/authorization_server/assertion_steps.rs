//! Client assertions (RFC 7523): which key one has to be signed with, and that none counts twice.

use core::time::Duration;

use super::AuthorizationServer;
use super::tasks::{Awaiting, Pause, Task};
use crate::secret::sha256;
use crate::server::client_assertion::Assertion;
use crate::server::dpop::{Noted, Thumbprint};
use crate::server::ids::RequestId;
use crate::server::output::Output;
use crate::server::registration::{AuthenticationMethod, Registration};
use crate::server::response::TokenError;

impl AuthorizationServer {
    /// Whether an assertion proves that a client of this registration sends the request; an error when that cannot be told now.
    pub(super) fn is_asserted(
        &mut self,
        id: RequestId,
        task: &mut Task,
        registration: &Registration,
        assertion: &Assertion,
    ) -> Result<Result<bool, TokenError>, Pause> {
        let Some(settings) = &self.config.client_assertions else {
            return Ok(Ok(false));
        };
        let is_registered = registration
            .authentication
            .contains(&AuthenticationMethod::PrivateKeyJwt);
        if task.assertion_noted {
            return Ok(Ok(true));
        }
        if !is_registered || !assertion.holds(&self.config, settings, task.wall) {
            return Ok(Ok(false));
        }
        let leeway = settings.leeway;
        if !task.asserted {
            // RFC 8725, 3.1: the algorithm is that of the key, and a name only chooses among the client's own keys.
            let mut fitting = registration.keys.iter().filter(|key| {
                let is_named = assertion.key_id.as_deref();
                assertion.is_of(key.algorithm())
                    && settings.algorithms.contains(&key.algorithm())
                    && is_named.is_none_or(|named| key.id().is_none_or(|id| id == named))
            });
            let Some(key) = fitting.nth(task.refuted) else {
                return Ok(Ok(false));
            };
            task.awaiting = Awaiting::Assertion;
            self.desk.outputs.push_back(Output::VerifyProof {
                request: id,
                key: key.key().clone(),
                algorithm: key.algorithm(),
                signing_input: assertion.signing_input.clone().into(),
                signature: assertion.signature.clone().into(),
            });
            return Err(Pause::Wait);
        }
        // Until it is refused by its time; fractions of a second are not judged alike on both clocks.
        let left = assertion
            .expires
            .saturating_add(leeway)
            .saturating_sub(task.wall);
        let until = self.desk.after(left.saturating_add(Duration::from_secs(1)));
        let client = Thumbprint::from_bytes(sha256(registration.client_id.as_str().as_bytes()));
        Ok(match self.assertions.note(client, &assertion.jti, until) {
            Noted::New => {
                task.assertion_noted = true;
                Ok(true)
            }
            Noted::Seen => Ok(false),
            Noted::Full => Err(TokenError::TemporarilyUnavailable),
        })
    }
}
