//! The token endpoint: a code or a refresh token in, tokens out.

use bytes::Bytes;
use http::Response;

use super::device_steps::allowed;
use super::tasks::{Awaiting, Pause, Task, Work};
use super::{AuthorizationServer, millis};
use crate::secret::{RefreshToken, base64url};
use crate::server::access_token::{Audience, Claims, Confirmation};
use crate::server::credential;
use crate::server::dpop::Proof;
use crate::server::grants::{Command, Grants, Issued, Redemption, Refused, Renewal, Reply};
use crate::server::ids::{ClientId, GrantId, RequestId};
use crate::server::output::{Event, Output};
use crate::server::registration::Registration;
use crate::server::response::TokenError;
use crate::server::target::Target;
use crate::server::token::{TokenRequest, issued};
use crate::user_id::UserId;

/// A request of a known client, as a command to its user's grants.
#[derive(Debug)]
pub(super) struct Asked {
    user: UserId,
    grant: GrantId,
    client: ClientId,
    command: Command,
    token_id: String,
    proof: Option<Proof>,
}

/// What the token endpoint has to know of a client.
struct Rights {
    client: ClientId,
    refreshes: bool,
    uses_devices: bool,
    must_prove: bool,
    is_public: bool,
}

impl Rights {
    fn of(registration: &Registration) -> Self {
        Self {
            client: registration.client_id.clone(),
            refreshes: registration.refresh_tokens,
            uses_devices: registration.device_flow,
            must_prove: registration.dpop_bound_access_tokens,
            is_public: registration.is_public(),
        }
    }
}

/// What is being signed, or was: all that may be another one when the request runs again.
#[derive(Debug)]
pub(super) struct Signed {
    issued: Issued,
    key_id: String,
}

impl AuthorizationServer {
    pub(super) fn step_token(
        &mut self,
        id: RequestId,
        task: &mut Task,
    ) -> Result<Response<Bytes>, Pause> {
        let response = self.token_response(id, task)?;
        Ok(self.with_nonce(response, task))
    }

    fn token_response(&mut self, id: RequestId, task: &mut Task) -> Result<Response<Bytes>, Pause> {
        let known = task.asked.take().filter(|_| task.signed.is_some());
        let asked = match known {
            // Who asks for what was found out before the signature was made. What is granted is decided anew.
            Some(asked) => asked,
            None => match self.asked(id, task)? {
                Ok(asked) => Box::new(asked),
                Err(error) => return Ok(error.response()),
            },
        };
        let answer = self.grant(id, task, &asked);
        if matches!(answer, Err(Pause::Wait)) {
            task.asked = Some(asked);
        }
        answer
    }

    fn grant(
        &mut self,
        id: RequestId,
        task: &mut Task,
        asked: &Asked,
    ) -> Result<Response<Bytes>, Pause> {
        let reply = match task.committed.take() {
            Some(reply) => reply,
            None => {
                let stream = Grants::stream(&asked.user);
                let grants = self.grants.read_to_write(&stream, id, &mut self.desk);
                let grants = grants.ok_or(Pause::Wait)?;
                let decision = grants.decide(&asked.command, millis(task.wall));
                if let Ok(Reply::Issued(issued)) = &decision.reply {
                    // Signing before writing: a key that cannot be used spends no code.
                    self.sign(id, task, asked, issued)?;
                    // Only what is granted spends a proof, so that nobody fills the memory with others.
                    let proof = asked.proof.as_ref();
                    if let Some(Err(error)) = proof.map(|proof| self.spend_proof(task, proof)) {
                        return Ok(error.response());
                    }
                }
                self.make_durable(id, task, &asked.user, &asked.command, decision)?
            }
        };
        match reply {
            Ok(Reply::Issued(issued)) => self.hand_out(task, asked, &issued),
            Ok(Reply::Done) => Err(Pause::Unavailable),
            Err(refused) => Ok(self.refusal(asked, refused).response()),
        }
    }

    /// Who asks for what; checked in the order of RFC 6749 4.1.3, the client first.
    fn asked(
        &mut self,
        id: RequestId,
        task: &mut Task,
    ) -> Result<Result<Asked, TokenError>, Pause> {
        let Work::Token(work) = &task.work else {
            return Err(Pause::Unavailable);
        };
        if work.form.get("grant_type").is_none() {
            return Ok(Err(TokenError::InvalidRequest));
        }
        let rights = match self.identify_for(id, task, Rights::of)? {
            Ok(rights) => rights,
            Err(error) => return Ok(Err(error)),
        };
        let Work::Token(work) = &task.work else {
            return Err(Pause::Unavailable);
        };
        let is_refresh = work.form.get("grant_type") == Some("refresh_token");
        let parsed = match TokenRequest::parse(&work.form) {
            _ if is_refresh && !rights.refreshes => {
                return Ok(Err(TokenError::UnauthorizedClient));
            }
            Ok(TokenRequest::Device { .. }) if self.config.device_flow.is_none() => {
                return Ok(Err(TokenError::UnsupportedGrantType));
            }
            Ok(TokenRequest::Device { .. }) if !rights.uses_devices => {
                return Ok(Err(TokenError::UnauthorizedClient));
            }
            Ok(parsed) => parsed,
            Err(error) => return Ok(Err(error)),
        };
        let Some(target) = Target::read(&work.form, &self.config) else {
            return Ok(Err(TokenError::InvalidTarget));
        };
        let token_id = base64url(&work.entropy.derive("token id"));
        let proof = match self.prove(id, task, "/token")? {
            // RFC 9449, 5.2
            Ok(None) if rights.must_prove && self.config.dpop.is_some() => {
                return Ok(Err(TokenError::InvalidDpopProof));
            }
            Ok(proof) => proof,
            Err(error) => return Ok(Err(error)),
        };
        let proven = proof.as_ref().map(|proof| proof.thumbprint);
        let binds_refresh = rights.is_public;
        let Some(key) = self.config.refresh_keys.first().map(|key| key.id) else {
            return Err(Pause::Unavailable);
        };
        let client = rights.client;
        let (user, grant, command) = match parsed {
            TokenRequest::Code {
                code,
                redirect_uri,
                verifier,
            } => {
                let redemption = Redemption {
                    grant: code.grant,
                    code_hash: code.hash,
                    client: client.clone(),
                    redirect_uri,
                    verifier,
                    target,
                    key,
                    proven,
                    binds_refresh,
                };
                (code.user, code.grant, Command::Redeem(redemption))
            }
            TokenRequest::Device { device } => {
                let polled = self.devices.poll(device, &client, self.desk.now);
                let (user, grant) = match allowed(polled) {
                    Ok(allowed) => allowed,
                    Err(error) => return Ok(Err(error)),
                };
                // The device code is the code of its grant.
                let redemption = Redemption {
                    grant,
                    code_hash: device,
                    client: client.clone(),
                    redirect_uri: None,
                    verifier: None,
                    target,
                    key,
                    proven,
                    binds_refresh,
                };
                (user, grant, Command::Redeem(redemption))
            }
            TokenRequest::Refresh { token, scopes } => {
                let stream = Grants::stream(&token.user);
                let grants = self
                    .grants
                    .read(&stream, id, &mut self.desk)
                    .ok_or(Pause::Wait)?;
                let salt = grants.salt(token.grant);
                if salt.is_none() {
                    self.reread(id, &token.user)?;
                }
                let keys = &self.config.refresh_keys;
                if !salt.is_some_and(|salt| token.is_authentic(&salt, keys)) {
                    return Ok(Err(TokenError::InvalidGrant));
                }
                let renewal = Renewal {
                    grant: token.grant,
                    generation: token.generation,
                    client: client.clone(),
                    scopes,
                    target,
                    key,
                    proven,
                };
                (token.user, token.grant, Command::Refresh(renewal))
            }
        };
        Ok(Ok(Asked {
            user,
            grant,
            client,
            command,
            token_id,
            proof,
        }))
    }

    fn sign(
        &mut self,
        id: RequestId,
        task: &mut Task,
        asked: &Asked,
        issued: &Issued,
    ) -> Result<(), Pause> {
        let key = self.config.signing_keys.first().ok_or(Pause::Unavailable)?;
        let is_signed = |signed: &Signed| signed.issued == *issued && signed.key_id == key.id();
        if task.signed.is_some() && task.signing.as_ref().is_some_and(is_signed) {
            return Ok(());
        }
        let iat = task.wall.as_secs();
        let claims = Claims {
            iss: self.config.issuer.as_str().to_owned(),
            sub: asked.user.clone(),
            aud: Audience::new(&issued.resources, &self.config.audience),
            client_id: asked.client.clone(),
            iat,
            nbf: None,
            exp: iat.saturating_add(self.config.access_token_lifetime.as_secs()),
            jti: asked.token_id.clone(),
            scope: issued.scopes.clone(),
            grant_id: asked.grant,
            cnf: asked.proof.as_ref().map(|proof| Confirmation {
                jkt: proof.thumbprint,
            }),
        };
        let input = claims.signing_input(key).map_err(|_| Pause::Unavailable)?;
        self.desk.outputs.push_back(Output::Sign {
            request: id,
            key_id: key.id().to_owned(),
            algorithm: key.algorithm(),
            signing_input: input.clone().into(),
        });
        task.signing = Some(Signed {
            issued: issued.clone(),
            key_id: key.id().to_owned(),
        });
        task.awaiting = Awaiting::Signature(input);
        Err(Pause::Wait)
    }

    fn hand_out(
        &mut self,
        task: &Task,
        asked: &Asked,
        reply: &Issued,
    ) -> Result<Response<Bytes>, Pause> {
        let (input, signature) = task.signed.as_ref().ok_or(Pause::Unavailable)?;
        let access_token = [input, base64url(signature).as_str()].join(".");
        let keys = &self.config.refresh_keys;
        let refresh = |seed| credential::refresh_token(&asked.user, asked.grant, seed, keys);
        let refresh: Option<RefreshToken> = reply
            .refresh
            .map(refresh)
            .transpose()
            .map_err(|_| Pause::Unavailable)?;
        if reply.window_used {
            self.tell(Event::RetryWindowUsed {
                account: asked.user.clone(),
                grant: asked.grant,
            });
        }
        let lasts = self.config.access_token_lifetime.as_secs();
        let token_type = match asked.proof {
            Some(_) => "DPoP",
            None => "Bearer",
        };
        Ok(issued(
            &access_token,
            token_type,
            lasts,
            &reply.scopes,
            refresh.as_ref(),
        ))
    }

    fn refusal(&mut self, asked: &Asked, refused: Refused) -> TokenError {
        if refused == Refused::Replayed {
            self.tell(Event::RefreshTokenReplayed {
                account: asked.user.clone(),
                grant: asked.grant,
            });
        }
        match refused {
            Refused::InvalidScope => TokenError::InvalidScope,
            Refused::InvalidTarget => TokenError::InvalidTarget,
            Refused::InvalidGrant | Refused::Replayed | Refused::NotFound | Refused::Full => {
                TokenError::InvalidGrant
            }
        }
    }
}
