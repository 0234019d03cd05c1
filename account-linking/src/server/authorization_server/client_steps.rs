//! What revocation, introspection and the protected API have in common: who asks, and whose token.

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::json;

use super::tasks::{Awaiting, Pause, Task, Work};
use super::{AuthorizationServer, millis};
use crate::resource::Resource;
use crate::server::access_token::{Claims, Principal, Refusal, Unverified};
use crate::server::client_authentication::{Presented, Unreadable, present};
use crate::server::config::Config;
use crate::server::credential::parse_refresh;
use crate::server::grants::{Command, EndReason, Grants};
use crate::server::ids::RequestId;
use crate::server::output::{Event, Output};
use crate::server::presented_token::{Scheme, presented};
use crate::server::registration::{AuthenticationMethod, Client, Registration};
use crate::server::response::{TokenError, json as json_response, token_refusal};
use crate::server::verified_tokens::Verified;

type Step = Result<Response<Bytes>, Pause>;

impl AuthorizationServer {
    /// Who sends a request, checked.
    pub(super) fn identify(
        &mut self,
        id: RequestId,
        task: &mut Task,
    ) -> Result<Result<Registration, TokenError>, Pause> {
        self.identify_for(id, task, Registration::clone)
    }

    /// The same for whoever needs a part of the registration.
    pub(super) fn identify_for<T>(
        &mut self,
        id: RequestId,
        task: &mut Task,
        part: impl Fn(&Registration) -> T,
    ) -> Result<Result<T, TokenError>, Pause> {
        let work = task.work.of_client().ok_or(Pause::Unavailable)?;
        let presented = match present(&work.headers, &work.form) {
            Ok(presented) => presented,
            Err(Unreadable::Contradiction) => return Ok(Err(TokenError::InvalidRequest)),
            Err(Unreadable::BrokenHeader) => {
                return Ok(Err(TokenError::InvalidClient { by_header: true }));
            }
            Err(Unreadable::Nobody) => {
                return Ok(Err(TokenError::InvalidClient { by_header: false }));
            }
        };
        let absent = Client::default();
        let client = match &presented.client {
            Some(client) => {
                let stream = Client::stream(client);
                self.clients
                    .read(&stream, id, &mut self.desk)
                    .ok_or(Pause::Wait)?
            }
            None => &absent,
        };
        let by_header = presented.by_header();
        let mut registration = admit(client, &presented).map(&part);
        if let Some(assertion) = &presented.assertion {
            // What it says is judged by the client's registration.
            registration = match client.registration().cloned() {
                Some(registered) => match self.is_asserted(id, task, &registered, assertion)? {
                    Ok(true) => Some(part(&registered)),
                    Ok(false) => None,
                    Err(error) => return Ok(Err(error)),
                },
                None => None,
            };
        }
        if registration.is_none() {
            if let Some(client) = &presented.client {
                self.reread_client(id, client)?;
            }
            self.tell(Event::ClientAuthenticationFailed { request: id });
        }
        Ok(registration.ok_or(TokenError::InvalidClient { by_header }))
    }

    /// The claims of an access token whose signature is good; its time and grant are not judged.
    pub(super) fn verify(
        &mut self,
        id: RequestId,
        task: &mut Task,
        text: &str,
    ) -> Result<Option<Arc<Verified>>, Pause> {
        if let Some(verified) = self.verified.find(text.as_bytes()) {
            return Ok(Some(verified));
        }
        let Some(token) = Unverified::parse(text, &self.config.signing_keys) else {
            return Ok(None);
        };
        let Some(good) = task.verified else {
            task.awaiting = Awaiting::Verification;
            self.desk.outputs.push_back(Output::Verify {
                request: id,
                key_id: token.key_id,
                algorithm: token.algorithm,
                signing_input: token.signing_input.into(),
                signature: token.signature.into(),
            });
            return Err(Pause::Wait);
        };
        let claims = if good { token.claims() } else { None };
        Ok(claims.map(|claims| self.verified.keep(text, claims)))
    }

    /// Lets a bearer token through that was verified before, at once; `None` when it takes more to judge it, or a refusal.
    pub(super) fn check_verified(
        &mut self,
        request: &Request<Bytes>,
        resource: Option<&Resource>,
    ) -> Option<Principal> {
        let (Scheme::Bearer, token) = presented(request).ok()? else {
            return None;
        };
        let verified = self.verified.find(token)?;
        let claims = &verified.claims;
        if claims.cnf.is_some() {
            return None;
        }
        let asked = resource.map_or(self.config.audience.as_str(), Resource::as_str);
        let grants = self.grants.read_if_held(&verified.stream)?;
        let is_good = claims.aud.any(|one| one == asked)
            && claims.hold(&self.config, self.wall, |one| self.config.knows(one))
            && grants.admit(claims, millis(self.wall));
        is_good.then(|| claims.principal())
    }

    /// Whether an access token opens anything now: its time, its grant, its revocation.
    fn is_live(
        &mut self,
        id: RequestId,
        verified: &Verified,
        wall: Duration,
    ) -> Result<bool, Pause> {
        let claims = &verified.claims;
        if !claims.hold(&self.config, wall, |audience| self.config.knows(audience)) {
            return Ok(false);
        }
        let grants = self
            .grants
            .read(&verified.stream, id, &mut self.desk)
            .ok_or(Pause::Wait)?;
        let admits = grants.admit(claims, millis(wall));
        let is_known = grants.is_revoked(claims.grant_id, &claims.jti)
            || !grants.may_be_behind(claims.grant_id);
        if !admits && !is_known {
            self.reread(id, &claims.sub)?;
        }
        Ok(admits)
    }

    pub(super) fn step_check(
        &mut self,
        id: RequestId,
        task: &mut Task,
    ) -> Result<Result<Principal, Refusal>, Pause> {
        let (Work::Check { access } | Work::Userinfo { access }) = &task.work else {
            return Err(Pause::Unavailable);
        };
        let invalid = match access.scheme {
            Scheme::Bearer => Refusal::Invalid,
            Scheme::Dpop => Refusal::InvalidBound,
        };
        let (token, audience) = (access.token.clone(), access.audience.clone());
        let wall = task.wall;
        let Some(verified) = self.verify(id, task, &token)? else {
            return Ok(Err(invalid));
        };
        let claims = &verified.claims;
        let is_asked = |one: &str| audience.as_ref().is_none_or(|audience| audience == one);
        // Asking again after a wait needs no second verification.
        if !claims.aud.any(is_asked) || !self.is_live(id, &verified, wall)? {
            return Ok(Err(invalid));
        }
        let proven = self.prove_access(id, task, claims)?;
        Ok(proven.map(|()| claims.principal()))
    }

    pub(super) fn step_userinfo(&mut self, id: RequestId, task: &mut Task) -> Step {
        Ok(match self.step_check(id, task)? {
            Ok(principal) => {
                let body = json!({ "sub": principal.account.as_str() });
                json_response(StatusCode::OK, &body)
            }
            Err(refusal) => token_refusal(refusal, self.config.dpop_algorithms()),
        })
    }

    /// Revocation (RFC 7009): a refresh token ends its grant, an access token ends alone.
    pub(super) fn step_revoke(&mut self, id: RequestId, task: &mut Task) -> Step {
        let registration = match self.identify(id, task)? {
            Ok(registration) => registration,
            Err(error) => return Ok(error.response()),
        };
        let Work::Revoke(work) = &task.work else {
            return Err(Pause::Unavailable);
        };
        let Some(text) = work.form.get("token").map(str::to_owned) else {
            return Ok(TokenError::InvalidRequest.response());
        };
        let done = Ok(json_response(StatusCode::OK, &json!({})));
        let found = match parse_refresh(&text) {
            Some(token) => {
                let stream = Grants::stream(&token.user);
                let grants = self
                    .grants
                    .read(&stream, id, &mut self.desk)
                    .ok_or(Pause::Wait)?;
                let salt = grants.salt(token.grant);
                let holder = grants.holder(token.grant).map(|(client, _)| client.clone());
                if salt.is_none() {
                    self.reread(id, &token.user)?;
                }
                let keys = &self.config.refresh_keys;
                let authentic = salt.is_some_and(|salt| token.is_authentic(&salt, keys));
                let reason = EndReason::Revoked;
                let grant = token.grant;
                holder
                    .filter(|_| authentic)
                    .map(|client| (client, token.user, Command::End { grant, reason }))
            }
            None => self.verify(id, task, &text)?.map(|verified| {
                let claims = &verified.claims;
                let command = Command::RevokeAccess {
                    grant: claims.grant_id,
                    client: claims.client_id.clone(),
                    token_id: claims.jti.clone(),
                    until: claims.exp.saturating_mul(1000),
                };
                (claims.client_id.clone(), claims.sub.clone(), command)
            }),
        };
        // RFC 7009, 2.2: what is not there is as good as revoked.
        let Some((holder, user, command)) = found else {
            return done;
        };
        if holder != registration.client_id {
            return Ok(TokenError::InvalidGrant.response());
        }
        let _ = self.change_grants(id, task, &user, &command)?;
        done
    }

    /// Introspection (RFC 7662): whatever is not active is answered alike.
    pub(super) fn step_introspect(&mut self, id: RequestId, task: &mut Task) -> Step {
        let registration = match self.identify(id, task)? {
            Ok(registration) if !registration.is_public() => registration,
            Ok(_) => return Ok(TokenError::InvalidClient { by_header: false }.response()),
            Err(error) => return Ok(error.response()),
        };
        let Work::Introspect(work) = &task.work else {
            return Err(Pause::Unavailable);
        };
        let Some(text) = work.form.get("token").map(str::to_owned) else {
            return Ok(TokenError::InvalidRequest.response());
        };
        let inactive = json!({ "active": false });
        let body = match parse_refresh(&text) {
            Some(token) => {
                let wall = millis(task.wall);
                let stream = Grants::stream(&token.user);
                let grants = self
                    .grants
                    .read(&stream, id, &mut self.desk)
                    .ok_or(Pause::Wait)?;
                let keys = &self.config.refresh_keys;
                let salt = grants.salt(token.grant);
                let authentic = salt.is_some_and(|salt| token.is_authentic(&salt, keys));
                let expires = grants.refresh_expiry(token.grant, token.generation, wall);
                let holder = grants.holder(token.grant);
                let holder = holder.map(|(client, scopes)| (client.clone(), scopes.to_string()));
                let may_be_made = salt.is_none() || authentic;
                if expires.is_none() && may_be_made && grants.may_be_behind(token.grant) {
                    self.reread(id, &token.user)?;
                }
                match (holder, expires) {
                    (Some((client, scopes)), Some(expires))
                        if authentic && client == registration.client_id =>
                    {
                        json!({
                            "active": true,
                            "client_id": client.as_str(),
                            "sub": token.user.as_str(),
                            "scope": scopes,
                            "iss": self.config.issuer.as_str(),
                            "exp": expires.checked_div(1000),
                        })
                    }
                    _ => inactive,
                }
            }
            None => {
                let wall = task.wall;
                match self.verify(id, task, &text)? {
                    Some(verified)
                        if (verified.claims.client_id == registration.client_id
                            || serves(&registration, &verified.claims, &self.config))
                            && self.is_live(id, &verified, wall)? =>
                    {
                        let claims = &verified.claims;
                        let mut told = json!({
                            "active": true,
                            "client_id": claims.client_id.as_str(),
                            "sub": claims.sub.as_str(),
                            "scope": claims.scope.to_string(),
                            "iss": claims.iss,
                            "aud": claims.aud,
                            "iat": claims.iat,
                            "exp": claims.exp,
                            "jti": claims.jti,
                            "token_type": "Bearer",
                        });
                        if let (Some(confirmation), Some(told)) = (claims.cnf, told.as_object_mut())
                        {
                            // RFC 9449, 6.2
                            told.insert("token_type".to_owned(), "DPoP".into());
                            told.insert("cnf".to_owned(), json!(confirmation));
                        }
                        told
                    }
                    _ => inactive,
                }
            }
        };
        Ok(json_response(StatusCode::OK, &body))
    }
}

/// Whether a client is a resource server that the token is for (RFC 7662 4).
fn serves(registration: &Registration, claims: &Claims, config: &Config) -> bool {
    let own = &registration.resources;
    registration.resource_server
        && claims.aud.any(|audience| {
            own.iter().any(|one| one.as_str() == audience)
                || (own.is_empty() && audience == config.audience)
        })
}

/// The registration of a client that has shown what it must; with equal work in every case.
fn admit<'a>(client: &'a Client, presented: &Presented) -> Option<&'a Registration> {
    let (method, secret) = match &presented.credential {
        Some((method, secret)) => (Some(*method), secret.as_ref()),
        None => (None, None),
    };
    // An assertion is judged apart: of it nothing is a secret.
    let secret_fits = client.has_secret(secret.map_or("", |secret| secret.expose()));
    let registration = client.registration()?;
    let admitted = match method {
        Some(AuthenticationMethod::PrivateKeyJwt) => false,
        Some(method) => secret_fits && registration.authentication.contains(&method),
        // RFC 6749, 3.2.1: only a client that has no secret may come without one.
        None => registration.is_public(),
    };
    admitted.then_some(registration)
}
