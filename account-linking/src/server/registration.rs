//! Ledger: one registered client, its rules and the hashes of its secrets.

use core::time::Duration;
use std::collections::BTreeSet;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::redirect_uri::RedirectUri;
use crate::resource::Resource;
use crate::scope::ScopeSet;
use crate::secret::{same, sha256};
use crate::server::client_key::{ClientKey, MAX_KEYS};
use crate::server::ids::ClientId;
use crate::server::ledger::{Ledger, from_cbor, to_cbor};

/// Most secrets a client has at once, so that one can be replaced without a pause.
pub const MAX_SECRETS: usize = 4;
/// Longest retry window of a rotated refresh token.
pub const MAX_ROTATION_WINDOW: Duration = Duration::from_secs(300);

const SNAPSHOT_FORMAT: u32 = 1;

/// How a client proves who it is at the token endpoint (RFC 8414 2).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum AuthenticationMethod {
    /// `client_secret_basic`: HTTP Basic.
    ClientSecretBasic,
    /// `client_secret_post`: in the body.
    ClientSecretPost,
    /// `private_key_jwt`: an assertion that it signed (RFC 7523).
    PrivateKeyJwt,
}

/// What an operator registers of a client.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Registration {
    /// The client's identifier.
    pub client_id: ClientId,
    /// The name that the consent page shows.
    pub name: String,
    /// Who runs the client, as the consent page shows it.
    pub owner: String,
    /// How it authenticates; empty for a public client.
    pub authentication: BTreeSet<AuthenticationMethod>,
    /// Where answers may go.
    pub redirect_uris: Vec<RedirectUri>,
    /// What it may ask for; also what a request without `scope` asks for.
    pub scopes: ScopeSet,
    /// Whether it gets refresh tokens.
    pub refresh_tokens: bool,
    /// Whether its requests must carry a PKCE challenge; always so for a public client.
    pub pkce_required: bool,
    /// Whether its refresh tokens rotate, and how long a superseded one is answered with the same
    /// successor; a public client's always rotate.
    ///
    /// A client that lost an answer is to ask again inside this window, or its link ends: its timeout has to be shorter. This crate's
    /// client asks again after 4 s and after 9 s at the latest
    /// ([`refresh_timeout`](crate::client::Config::refresh_timeout)). A longer window also gives a thief longer who has the
    /// superseded token: up to 10 s for clients without a secret unless their tokens are bound to a key, up to 60 s for others.
    pub rotation_window: Option<Duration>,
    /// Whether a superseded refresh token outside the window ends the grant; always so for a
    /// public client.
    pub replay_ends_grant: bool,
    /// Whether it is a resource server, which may introspect every token of the APIs it serves.
    pub resource_server: bool,
    /// The APIs beside [`Config::audience`](crate::server::Config::audience) that it may name in its requests (RFC 8707);
    /// those of a resource server are the ones it serves, and without any it serves that one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub resources: BTreeSet<Resource>,
    /// Whether it has to push its authorization requests (RFC 9126 6).
    #[serde(default, skip_serializing_if = "is_false")]
    pub require_pushed_requests: bool,
    /// Whether all its access tokens are bound to a key, so that it has to send a DPoP proof (RFC 9449 5.2).
    #[serde(default, skip_serializing_if = "is_false")]
    pub dpop_bound_access_tokens: bool,
    /// Whether it may ask for codes for a device without a browser (RFC 8628); it needs no redirect URI then.
    #[serde(default, skip_serializing_if = "is_false")]
    pub device_flow: bool,
    /// The public keys of its assertions, oldest first; there are some when it authenticates by them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<ClientKey>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Registration {
    /// A confidential client with a secret, refresh tokens that stay, and PKCE.
    #[must_use]
    pub fn confidential(
        client_id: ClientId,
        name: impl Into<String>,
        redirect_uris: Vec<RedirectUri>,
        scopes: ScopeSet,
    ) -> Self {
        Self {
            client_id,
            name: name.into(),
            owner: String::new(),
            authentication: BTreeSet::from([
                AuthenticationMethod::ClientSecretBasic,
                AuthenticationMethod::ClientSecretPost,
            ]),
            redirect_uris,
            scopes,
            refresh_tokens: true,
            pkce_required: true,
            rotation_window: None,
            replay_ends_grant: false,
            resource_server: false,
            resources: BTreeSet::new(),
            require_pushed_requests: false,
            dpop_bound_access_tokens: false,
            device_flow: false,
            keys: Vec::new(),
        }
    }

    /// A client without a secret that proves who it is by assertions signed with one of these keys; else as
    /// [`confidential`](Self::confidential).
    #[must_use]
    pub fn with_keys(
        client_id: ClientId,
        name: impl Into<String>,
        redirect_uris: Vec<RedirectUri>,
        scopes: ScopeSet,
        keys: Vec<ClientKey>,
    ) -> Self {
        Self {
            authentication: BTreeSet::from([AuthenticationMethod::PrivateKeyJwt]),
            keys,
            ..Self::confidential(client_id, name, redirect_uris, scopes)
        }
    }

    /// A public client: no secret, PKCE, and refresh tokens that rotate with a window of 10 s (see
    /// [`rotation_window`](Self::rotation_window) for how soon the client has to ask again).
    #[must_use]
    pub fn public(
        client_id: ClientId,
        name: impl Into<String>,
        redirect_uris: Vec<RedirectUri>,
        scopes: ScopeSet,
    ) -> Self {
        Self {
            authentication: BTreeSet::new(),
            rotation_window: Some(Duration::from_secs(10)),
            replay_ends_grant: true,
            ..Self::confidential(client_id, name, redirect_uris, scopes)
        }
    }

    /// Whether the client can prove nothing: it has neither a secret nor a key.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.authentication.is_empty()
    }

    /// Whether it has a secret.
    pub(crate) fn has_secret(&self) -> bool {
        let mut methods = self.authentication.iter();
        methods.any(|method| *method != AuthenticationMethod::PrivateKeyJwt)
    }

    fn has_keys(&self) -> bool {
        self.authentication
            .contains(&AuthenticationMethod::PrivateKeyJwt)
    }

    /// Checks the rules between the fields.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when there is no redirect URI nor the device flow, or no scope,
    /// though it is not a resource server, the name is empty, a window is longer than [`MAX_ROTATION_WINDOW`], it has keys without authenticating by them or the other
    /// way round or more than [`MAX_KEYS`], or a
    /// public client lacks PKCE, rotation or the end on replay, or is a resource server.
    pub fn check(&self) -> Result<(), Error> {
        let is_answered = !self.redirect_uris.is_empty() || self.device_flow;
        let can_link = is_answered && !self.scopes.is_empty();
        let window_fits = self
            .rotation_window
            .is_none_or(|window| window <= MAX_ROTATION_WINDOW);
        // RFC 9700, 2.1.1 and 2.2.2
        let safe_in_public = self.pkce_required
            && self.rotation_window.is_some()
            && self.replay_ends_grant
            && !self.resource_server;
        if !self.name.is_empty()
            && (can_link || self.resource_server)
            && window_fits
            && self.has_keys() != self.keys.is_empty()
            && self.keys.len() <= MAX_KEYS
            && (!self.is_public() || safe_in_public)
        {
            Ok(())
        } else {
            Err(ErrorKind::InvalidConfig.into())
        }
    }
}

/// One client as the server keeps it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Client {
    registration: Option<Registration>,
    /// SHA-256 of each secret, oldest first; they are 256 random bits, so no slow hash is needed.
    secrets: Vec<[u8; 32]>,
}

/// What happened to a client; this written form is forever (L2).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum ClientChange {
    Registered {
        at: u64,
        registration: Registration,
        secret_hash: Option<[u8; 32]>,
    },
    SecretAdded {
        at: u64,
        secret_hash: [u8; 32],
    },
    /// All secrets but the newest stopped working.
    OldSecretsRetired {
        at: u64,
    },
    KeyAdded {
        at: u64,
        key: ClientKey,
    },
    /// All keys but the newest stopped working.
    OldKeysRetired {
        at: u64,
    },
}

/// What is asked of a client's ledger.
#[derive(Clone, Debug)]
pub(crate) enum ClientCommand {
    Register {
        registration: Box<Registration>,
        secret_hash: Option<[u8; 32]>,
    },
    AddSecret {
        secret_hash: [u8; 32],
    },
    RetireOldSecrets,
    AddKey {
        key: ClientKey,
    },
    RetireOldKeys,
}

impl Client {
    pub(crate) fn stream(client: &ClientId) -> String {
        format!("client/{client}")
    }

    pub(crate) fn registration(&self) -> Option<&Registration> {
        self.registration.as_ref()
    }

    /// Whether `secret` is one of the client's; takes as long whether or not there are any.
    pub(crate) fn has_secret(&self, secret: &str) -> bool {
        let hash = sha256(secret.as_bytes());
        let absent = [[0; 32]; MAX_SECRETS];
        let held = self.secrets.iter().chain(&absent).take(MAX_SECRETS);
        let matches = held.fold(false, |found, held| found | same(held, &hash));
        matches && !self.secrets.is_empty()
    }

    pub(crate) fn decide(
        &self,
        command: &ClientCommand,
        at: u64,
    ) -> Result<ClientChange, ErrorKind> {
        match command {
            ClientCommand::Register {
                registration,
                secret_hash,
            } => match self.registration {
                Some(_) => Err(ErrorKind::Exists),
                None => Ok(ClientChange::Registered {
                    at,
                    registration: (**registration).clone(),
                    secret_hash: *secret_hash,
                }),
            },
            ClientCommand::AddSecret { secret_hash } => match &self.registration {
                None => Err(ErrorKind::NotFound),
                Some(registration) if !registration.has_secret() => Err(ErrorKind::InvalidConfig),
                Some(_) if self.secrets.len() >= MAX_SECRETS => Err(ErrorKind::Full),
                Some(_) => Ok(ClientChange::SecretAdded {
                    at,
                    secret_hash: *secret_hash,
                }),
            },
            ClientCommand::AddKey { key } => match &self.registration {
                None => Err(ErrorKind::NotFound),
                Some(registration) if !registration.has_keys() => Err(ErrorKind::InvalidConfig),
                Some(registration) if registration.keys.len() >= MAX_KEYS => Err(ErrorKind::Full),
                Some(registration) if registration.keys.contains(key) => Err(ErrorKind::Exists),
                Some(_) => Ok(ClientChange::KeyAdded {
                    at,
                    key: key.clone(),
                }),
            },
            ClientCommand::RetireOldSecrets | ClientCommand::RetireOldKeys
                if self.registration.is_none() =>
            {
                Err(ErrorKind::NotFound)
            }
            ClientCommand::RetireOldSecrets => Ok(ClientChange::OldSecretsRetired { at }),
            ClientCommand::RetireOldKeys => Ok(ClientChange::OldKeysRetired { at }),
        }
    }
}

impl Ledger for Client {
    type Change = ClientChange;

    fn encode(change: &ClientChange) -> Result<Bytes, Error> {
        to_cbor(change)
    }

    fn decode(bytes: &[u8]) -> Result<ClientChange, Error> {
        from_cbor(bytes)
    }

    fn apply(&mut self, change: &ClientChange) {
        match change {
            ClientChange::Registered {
                registration,
                secret_hash,
                ..
            } => {
                self.registration = Some(registration.clone());
                self.secrets = secret_hash.iter().copied().collect();
            }
            ClientChange::SecretAdded { secret_hash, .. } => self.secrets.push(*secret_hash),
            ClientChange::OldSecretsRetired { .. } => {
                let newest = self.secrets.pop();
                self.secrets = newest.into_iter().collect();
            }
            ClientChange::KeyAdded { key, .. } => {
                if let Some(registration) = &mut self.registration {
                    registration.keys.push(key.clone());
                }
            }
            ClientChange::OldKeysRetired { .. } => {
                if let Some(registration) = &mut self.registration {
                    let newest = registration.keys.pop();
                    registration.keys = newest.into_iter().collect();
                }
            }
        }
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
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public() -> Registration {
        let uris = vec!["https://c.example/cb".parse().unwrap()];
        Registration::public(
            "client-a".parse().unwrap(),
            "A",
            uris,
            "r:*".parse().unwrap(),
        )
    }

    #[test]
    fn a_public_client_always_has_pkce_and_rotation() {
        assert!(public().check().is_ok());
        let unsafe_ones: [fn(&mut Registration); 4] = [
            |one| one.pkce_required = false,
            |one| one.rotation_window = None,
            |one| one.replay_ends_grant = false,
            |one| one.resource_server = true,
        ];
        for weaken in unsafe_ones {
            let mut registration = public();
            weaken(&mut registration);
            assert_eq!(
                registration.check().unwrap_err().kind(),
                ErrorKind::InvalidConfig
            );
        }
    }

    #[test]
    fn a_client_that_links_needs_a_redirect_uri_a_scope_and_a_name() {
        let incomplete: [fn(&mut Registration); 4] = [
            |one| one.redirect_uris.clear(),
            |one| one.scopes = ScopeSet::default(),
            |one| one.name.clear(),
            |one| one.rotation_window = Some(Duration::from_secs(301)),
        ];
        for spoil in incomplete {
            let mut registration = public();
            spoil(&mut registration);
            assert!(registration.check().is_err());
        }
    }

    #[test]
    fn a_client_has_a_few_secrets_and_no_other_text_is_one() {
        let mut client = Client::default();
        assert!(!client.has_secret(""));
        for secret in ["one", "two"] {
            client.apply(&ClientChange::SecretAdded {
                at: 0,
                secret_hash: sha256(secret.as_bytes()),
            });
        }
        assert!(client.has_secret("one") && client.has_secret("two"));
        assert!(!client.has_secret("three") && !client.has_secret(""));
        client.apply(&ClientChange::OldSecretsRetired { at: 1 });
        assert!(!client.has_secret("one") && client.has_secret("two"));
    }
}
