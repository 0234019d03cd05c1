//! The Security object, `/0`.

use super::{Instance, Members, ObjectLink, Opaque, Put as _, Value};
use crate::lwm2m::DecodeError;

/// How a client and a server secure what they say: resource 2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a later mode is one that clients of today refuse"
)]
pub enum SecurityMode {
    /// 0: a pre-shared key.
    Psk,
    /// 1: raw public keys.
    RawPublicKey,
    /// 2: certificates.
    Certificate,
    /// 3: none.
    NoSec,
    /// 4: certificates, which the client fetches over EST.
    Est,
}

impl SecurityMode {
    /// The number of the mode.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::Psk => 0,
            Self::RawPublicKey => 1,
            Self::Certificate => 2,
            Self::NoSec => 3,
            Self::Est => 4,
        }
    }

    const fn of(number: i64) -> Option<Self> {
        Some(match number {
            0 => Self::Psk,
            1 => Self::RawPublicKey,
            2 => Self::Certificate,
            3 => Self::NoSec,
            4 => Self::Est,
            _ => return None,
        })
    }
}

/// An instance of the Security object: where a server is, and how it and the client prove who they are.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Security {
    /// Resource 0.
    pub server_uri: String,
    /// Resource 1: whether it is the account of the bootstrap server.
    pub bootstrap_server: bool,
    /// Resource 2.
    pub security_mode: SecurityMode,
    /// Resource 3: a PSK identity, a public key (SPKI) or a certificate.
    pub public_key_or_identity: Opaque,
    /// Resource 4: the server's public key or certificate, or a trust anchor.
    pub server_public_key: Opaque,
    /// Resource 5: the pre-shared key, or the private key.
    pub secret_key: Opaque,
    /// Resource 10.
    pub short_server_id: Option<u16>,
    /// Resource 11, in seconds.
    pub client_hold_off_time: Option<u32>,
    /// Resource 12, in seconds.
    pub bootstrap_server_account_timeout: Option<u32>,
    /// Resource 13, from LwM2M 1.1 on: 0 to 3.
    pub matching_type: Option<u8>,
    /// Resource 14, from LwM2M 1.1 on.
    pub sni: Option<String>,
    /// Resource 15, from LwM2M 1.1 on: 0 to 3.
    pub certificate_usage: Option<u8>,
    /// Resource 16, from LwM2M 1.1 on: two bytes as TLS numbers them.
    pub ciphersuites: Vec<u16>,
    /// Resource 17, from LwM2M 1.1 on: the instance of the OSCORE object.
    pub oscore: Option<ObjectLink>,
}

impl Security {
    /// A server's account without security.
    #[must_use]
    pub fn no_sec(server_uri: &str, short_server_id: u16) -> Self {
        Self {
            server_uri: server_uri.to_owned(),
            bootstrap_server: false,
            security_mode: SecurityMode::NoSec,
            public_key_or_identity: Opaque::default(),
            server_public_key: Opaque::default(),
            secret_key: Opaque::default(),
            short_server_id: Some(short_server_id),
            client_hold_off_time: None,
            bootstrap_server_account_timeout: None,
            matching_type: None,
            sni: None,
            certificate_usage: None,
            ciphersuites: Vec::new(),
            oscore: None,
        }
    }

    /// A server's account with a pre-shared key.
    #[must_use]
    pub fn psk(server_uri: &str, short_server_id: u16, identity: &[u8], key: Opaque) -> Self {
        Self {
            security_mode: SecurityMode::Psk,
            public_key_or_identity: identity.into(),
            secret_key: key,
            ..Self::no_sec(server_uri, short_server_id)
        }
    }

    /// Whether there is a key in it that nobody else may learn.
    #[must_use]
    pub const fn holds_key(&self) -> bool {
        !self.secret_key.is_empty()
    }

    /// Whether it has resources that LwM2M 1.0 does not know.
    pub(crate) const fn needs_1_1(&self) -> bool {
        self.matching_type.is_some()
            || self.sni.is_some()
            || self.certificate_usage.is_some()
            || !self.ciphersuites.is_empty()
            || self.oscore.is_some()
    }

    /// The instance as resources. The keys are there even when empty, as clients expect.
    #[must_use]
    pub fn to_instance(&self, id: u16) -> Instance {
        let mut instance = Instance::new(id)
            .with(0, Value::Text(self.server_uri.clone()))
            .with(1, Value::Boolean(self.bootstrap_server))
            .with(2, Value::Integer(self.security_mode.number()))
            .with(3, Value::Opaque(self.public_key_or_identity.clone()))
            .with(4, Value::Opaque(self.server_public_key.clone()))
            .with(5, Value::Opaque(self.secret_key.clone()));
        instance.put_number(10, self.short_server_id);
        instance.put_number(11, self.client_hold_off_time);
        instance.put_number(12, self.bootstrap_server_account_timeout);
        instance.put_number(13, self.matching_type);
        instance.put(14, self.sni.clone().map(Value::Text));
        instance.put_number(15, self.certificate_usage);
        if !self.ciphersuites.is_empty() {
            instance.put_numbers(16, (0..).zip(self.ciphersuites.iter().copied()));
        }
        instance.put(17, self.oscore.map(Value::ObjectLink));
        instance
    }

    /// The account that resources tell of; the ones of SMS and of 1.2 are left out.
    ///
    /// # Errors
    /// [`DecodeError::Type`] when one has not its type or range, or a mandatory one is missing.
    pub fn from_instance(instance: &Instance) -> Result<Self, DecodeError> {
        let members = Members(instance);
        let mode = members.number(2)?.and_then(SecurityMode::of);
        Ok(Self {
            server_uri: members.text(0)?.ok_or(DecodeError::Type)?,
            bootstrap_server: members.boolean(1)?.ok_or(DecodeError::Type)?,
            security_mode: mode.ok_or(DecodeError::Type)?,
            public_key_or_identity: members.opaque(3)?.unwrap_or_default(),
            server_public_key: members.opaque(4)?.unwrap_or_default(),
            secret_key: members.opaque(5)?.unwrap_or_default(),
            short_server_id: members.number(10)?,
            client_hold_off_time: members.number(11)?,
            bootstrap_server_account_timeout: members.number(12)?,
            matching_type: members.number(13)?,
            sni: members.text(14)?,
            certificate_usage: members.number(15)?,
            ciphersuites: members
                .numbers(16)?
                .into_iter()
                .map(|(_, suite)| suite)
                .collect(),
            oscore: members.object_link(17)?,
        })
    }
}
