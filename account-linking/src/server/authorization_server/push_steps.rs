//! The endpoint to which clients push their authorization requests (RFC 9126).

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;

use super::AuthorizationServer;
use super::tasks::{Pause, Task, Work};
use crate::server::authorize::{AuthorizeError, AuthorizeRequest, Way};
use crate::server::ids::RequestId;
use crate::server::response::{TokenError, json as json_response};

impl AuthorizationServer {
    pub(super) fn step_push(
        &mut self,
        id: RequestId,
        task: &mut Task,
    ) -> Result<Response<Bytes>, Pause> {
        Ok(match self.push(id, task)? {
            Ok(reference) => {
                let body = json!({
                    "request_uri": reference,
                    "expires_in": self.config.pushed_request_lifetime.as_secs(),
                });
                self.with_nonce(json_response(StatusCode::CREATED, &body), task)
            }
            Err(error) => self.with_nonce(error.response(), task),
        })
    }

    /// Checks a request as if a browser had brought it, and keeps it.
    fn push(
        &mut self,
        id: RequestId,
        task: &mut Task,
    ) -> Result<Result<String, TokenError>, Pause> {
        let registration = match self.identify(id, task)? {
            Ok(registration) => registration,
            Err(error) => return Ok(Err(error)),
        };
        let Work::Push(work) = &task.work else {
            return Err(Pause::Unavailable);
        };
        // RFC 9126, 2.1
        if work.form.get("request_uri").is_some() {
            return Ok(Err(TokenError::InvalidRequest));
        }
        let checked = AuthorizeRequest::check(&work.form, &registration, &self.config, Way::Pushed);
        let Ok(mut request) = checked else {
            return Ok(Err(TokenError::InvalidRequest));
        };
        let entropy = work.entropy.clone();
        // One that was seen before names a key no less: it is proven again when the code is redeemed.
        let proven = match self.prove(id, task, "/par")? {
            Ok(proof) => proof.map(|proof| proof.thumbprint),
            Err(error) => return Ok(Err(error)),
        };
        match &mut request.wanted {
            Err(error) => return Ok(Err(TokenError::Refused(*error))),
            // RFC 9449, 10.1: both ways to name the key have to name the same.
            Ok(wanted) if wanted.key.is_some() && proven.is_some() && wanted.key != proven => {
                return Ok(Err(TokenError::Refused(AuthorizeError::InvalidRequest)));
            }
            Ok(wanted) => wanted.key = wanted.key.or(proven),
        }
        let expires = self.desk.after(self.config.pushed_request_lifetime);
        let is_public = registration.is_public();
        let reference = self.pushed.keep(request, is_public, &entropy, expires);
        Ok(reference.ok_or(TokenError::TemporarilyUnavailable))
    }
}
