//! What a configuration must be before anything of it is sent: a client takes what locks it out.

use std::collections::BTreeSet;

use pkcs8::der::Decode as _;
use x509_cert::Certificate;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::objects::{AccessControl, Oscore, Security, SecurityMode, Server};
use super::path::MAX_ID;

/// The most server accounts of a client.
pub const MAX_ACCOUNTS: usize = 16;
/// The longest PSK identity and the longest key, which every implementation must take. (RFC 4279, 5.3)
const MAX_PSK_IDENTITY: usize = 128;
const MAX_PSK: usize = 64;
/// The longest URI. (OMA LwM2M registry, object 0, resource 0)
const MAX_URI: usize = 255;

/// An account of a server: its Security instance, the Server instance with the same short server id, and its OSCORE context.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Account {
    /// Where the server is and how both prove who they are.
    pub security: Security,
    /// How the client registers.
    pub server: Server,
    /// The context of OSCORE, which [`Security::oscore`] is made to point to.
    pub oscore: Option<Oscore>,
}

impl Account {
    /// An account without OSCORE.
    #[must_use]
    pub const fn new(security: Security, server: Server) -> Self {
        Self {
            security,
            server,
            oscore: None,
        }
    }
}

/// What of a client's earlier accounts is deleted before the new ones are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Clean {
    /// Nothing: accounts with the same short server id are written over, others stay.
    Nothing,
    /// The accounts of servers, one by one, and what belongs to them.
    #[default]
    Accounts,
    /// Everything that a client may delete: `DELETE /`.
    Everything,
}

/// What a client is to have after its bootstrap.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Configuration {
    /// The accounts of servers.
    pub accounts: Vec<Account>,
    /// The rights of servers on object instances.
    pub access_controls: Vec<AccessControl>,
    /// What goes before.
    pub clean: Clean,
}

impl Configuration {
    /// Accounts without more.
    #[must_use]
    pub const fn new(accounts: Vec<Account>) -> Self {
        Self {
            accounts,
            access_controls: Vec::new(),
            clean: Clean::Accounts,
        }
    }

    /// Checks all that can be known before a client is asked.
    ///
    /// `confidential` says whether nobody but the client can read what is sent to it.
    ///
    /// # Errors
    /// What is wrong first.
    pub fn check(&self, confidential: bool) -> Result<(), Unfit> {
        if self.accounts.is_empty() {
            return Err(Unfit::NoAccount);
        }
        if self.accounts.len() > MAX_ACCOUNTS || self.access_controls.len() > MAX_ACCOUNTS {
            return Err(Unfit::TooMany);
        }
        let mut known = BTreeSet::new();
        for account in &self.accounts {
            check_account(account)?;
            if !known.insert(account.server.short_server_id) {
                return Err(Unfit::ShortServerId);
            }
            let has_key = account.security.holds_key() || account.oscore.is_some();
            if has_key && !confidential {
                return Err(Unfit::KeyInTheClear);
            }
        }
        let controls = self.access_controls.iter();
        if controls
            .into_iter()
            .any(|control| !is_short_server_id(control.owner))
        {
            return Err(Unfit::ShortServerId);
        }
        Ok(())
    }
}

/// Why a configuration is not sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unfit {
    /// No server would be left to register with.
    #[error("no server account")]
    NoAccount,
    /// More than 16 accounts or access controls.
    #[error("too many accounts or access controls")]
    TooMany,
    /// It would write another account of a bootstrap server.
    #[error("an account of a bootstrap server")]
    BootstrapServer,
    /// A short server id that is reserved, taken twice, or not that of the matching Server instance.
    #[error("a short server id is reserved, doubled or without a match")]
    ShortServerId,
    /// A URI without one of the schemes of LwM2M or without a host, or too long.
    #[error("the server's URI is malformed")]
    Uri,
    /// A scheme that does not go with the security mode.
    #[error("the server's URI does not go with the security mode")]
    Mode,
    /// Security mode 4 needs a server that this is not.
    #[error("enrollment over EST is not supported")]
    Est,
    /// The mode's keys are missing, too long, or not in their form.
    #[error("a key or certificate is missing or malformed")]
    Key,
    /// A number or text out of its range.
    #[error("a value is out of its range")]
    Value,
    /// Parameters of OSCORE that nobody can use.
    #[error("the OSCORE parameters are not usable")]
    Oscore,
    /// A key, on a transport that others can read.
    #[error("a key would be sent in the clear")]
    KeyInTheClear,
}

const fn is_short_server_id(id: u16) -> bool {
    id != 0 && id <= MAX_ID
}

fn check_account(account: &Account) -> Result<(), Unfit> {
    let Account {
        security,
        server,
        oscore,
    } = account;
    if security.bootstrap_server {
        return Err(Unfit::BootstrapServer);
    }
    let id = security.short_server_id;
    if !is_short_server_id(server.short_server_id) || id != Some(server.short_server_id) {
        return Err(Unfit::ShortServerId);
    }
    let is_secured = secured_scheme(&security.server_uri).ok_or(Unfit::Uri)?;
    match security.security_mode {
        SecurityMode::Est => return Err(Unfit::Est),
        SecurityMode::NoSec if is_secured => return Err(Unfit::Mode),
        SecurityMode::NoSec => {}
        _ if !is_secured => return Err(Unfit::Mode),
        _ => {}
    }
    check_keys(security)?;
    let in_range = |number: Option<u8>| number.is_none_or(|number| number <= 3);
    let binding = server.binding.bytes().collect::<BTreeSet<_>>();
    let fits = in_range(security.matching_type)
        && in_range(security.certificate_usage)
        && server.lifetime > 0
        && !binding.is_empty()
        && binding.len() == server.binding.len()
        && binding.iter().all(|letter| b"UMHTSNQ".contains(letter));
    if !fits {
        return Err(Unfit::Value);
    }
    match (oscore, security.oscore) {
        (Some(oscore), _) => check_oscore(oscore),
        // It would point to whatever the client has there.
        (None, Some(_)) => Err(Unfit::Oscore),
        (None, None) => Ok(()),
    }
}

/// Whether the URI's scheme is a secured one; `None` when it is not a server's URI.
fn secured_scheme(uri: &str) -> Option<bool> {
    let (scheme, rest) = uri.split_once("://")?;
    let host = rest.split('/').next().unwrap_or_default();
    let plain = uri.bytes().all(|byte| byte.is_ascii_graphic());
    if uri.len() > MAX_URI
        || !plain
        || host.is_empty()
        || host.starts_with(':')
        || host.contains('@')
    {
        return None;
    }
    match scheme {
        "coap" | "coap+tcp" => Some(false),
        "coaps" | "coaps+tcp" => Some(true),
        _ => None,
    }
}

fn check_keys(security: &Security) -> Result<(), Unfit> {
    let own = security.public_key_or_identity.expose();
    let servers = security.server_public_key.expose();
    let secret = security.secret_key.expose();
    let fits = match security.security_mode {
        SecurityMode::Psk => {
            (1..=MAX_PSK_IDENTITY).contains(&own.len()) && (1..=MAX_PSK).contains(&secret.len())
        }
        SecurityMode::RawPublicKey => {
            is_public_key(own) && is_public_key(servers) && is_private_key(secret)
        }
        SecurityMode::Certificate => {
            is_certificate(own) && is_certificate(servers) && is_private_key(secret)
        }
        // A key that no mode uses is one that should not be there.
        SecurityMode::NoSec => secret.is_empty(),
        SecurityMode::Est => false,
    };
    if fits { Ok(()) } else { Err(Unfit::Key) }
}

fn is_public_key(der: &[u8]) -> bool {
    SubjectPublicKeyInfoRef::from_der(der).is_ok()
}

fn is_private_key(der: &[u8]) -> bool {
    pkcs8::PrivateKeyInfoRef::from_der(der).is_ok()
}

fn is_certificate(der: &[u8]) -> bool {
    Certificate::from_der(der).is_ok()
}

/// RFC 8613, 3.2 and 3.3, with the algorithms of COSE whose nonces leave room for an id. (RFC 9053, 4)
fn check_oscore(oscore: &Oscore) -> Result<(), Unfit> {
    let nonce = match oscore.aead_algorithm.unwrap_or(10) {
        // AES-GCM and ChaCha20/Poly1305.
        1..=3 | 24 => 12_usize,
        // AES-CCM with 13 bytes, and with 7.
        10 | 11 | 30 | 31 => 13,
        12 | 13 | 32 | 33 => 7,
        _ => return Err(Unfit::Oscore),
    };
    let longest = nonce.saturating_sub(6);
    // HKDF with SHA-256 and SHA-512.
    let hash_known = matches!(oscore.hmac_algorithm.unwrap_or(-10), -10 | -11 | 5 | 7);
    let ids_fit = oscore.sender_id.len() <= longest
        && oscore.recipient_id.len() <= longest
        && oscore.sender_id != oscore.recipient_id;
    if hash_known && ids_fit && oscore.master_secret.len() >= 16 {
        Ok(())
    } else {
        Err(Unfit::Oscore)
    }
}

#[cfg(test)]
mod tests;
