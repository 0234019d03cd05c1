//! Where the cloud listens, and for whom.

use std::net::SocketAddr;
use std::num::{NonZeroU8, NonZeroU32};
use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use crate::gateway::DtlsEngine;

/// The HTTPS listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Https {
    /// Address and port.
    pub(crate) listen: SocketAddr,
    /// The name under which others reach it; also the issuer of tokens.
    pub(crate) public_url: Url,
    /// PEM certificate chain; absent: the development CA makes one.
    pub(crate) certificate: Option<PathBuf>,
    /// PEM private key of `certificate`.
    pub(crate) private_key: Option<PathBuf>,
    /// The largest request body in bytes.
    #[serde(default = "default_body")]
    pub(crate) max_body_bytes: usize,
    /// How many connections may be open at once.
    #[serde(default = "default_connections")]
    pub(crate) max_connections: usize,
}

/// The CoAP listener.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Coaps {
    /// Address and port of the DTLS listener.
    pub(crate) listen: SocketAddr,
    /// The DTLS engine; that of this program by default.
    #[serde(default)]
    pub(crate) dtls: DtlsEngine,
    /// How many sessions may be open at once.
    #[serde(default = "default_sessions")]
    pub(crate) max_sessions: usize,
    /// How many sockets and endpoints share the address.
    #[serde(default = "default_shards")]
    pub(crate) shards: NonZeroU8,
    /// How long a device may take to answer a request, in seconds.
    #[serde(default = "default_answer")]
    pub(crate) answer_seconds: u64,
    /// How long a device that comes in may take to publish a device id of its own, in seconds.
    #[serde(default = "default_registration_grace")]
    pub(crate) registration_grace_seconds: u64,
}

impl Coaps {
    pub(crate) fn has_several_shards(&self) -> bool {
        self.shards > NonZeroU8::MIN
    }

    /// How many of the sessions each shard may have.
    pub(crate) fn sessions_of_a_shard(&self) -> usize {
        self.max_sessions.div_ceil(self.shards.get().into())
    }
}

/// The listener for devices that bootstrap over MQTT.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Mqtt {
    /// Address and port; absent: nobody listens.
    pub(crate) listen: Option<SocketAddr>,
    /// How many connections may be open at once.
    pub(crate) max_connections: usize,
    /// The largest packet in bytes.
    pub(crate) max_packet_bytes: usize,
    /// How many failures of an address are forgiven at once.
    pub(crate) failures_per_source: NonZeroU32,
}

impl Default for Mqtt {
    fn default() -> Self {
        Self {
            listen: None,
            max_connections: 10_000,
            max_packet_bytes: 8192,
            failures_per_source: NonZeroU32::new(20).unwrap_or(NonZeroU32::MIN),
        }
    }
}

/// The bootstrap server for LwM2M devices.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Lwm2m {
    /// Address and port of the DTLS listener; absent: nobody listens.
    pub(crate) listen: Option<SocketAddr>,
    /// How many devices may be there at once.
    pub(crate) max_sessions: usize,
    /// The short server id of the account that a device is given.
    pub(crate) short_server_id: u16,
    /// How long a device may be silent at its target, in seconds.
    pub(crate) lifetime_seconds: u32,
    /// Whether devices of LwM2M 1.2 are given packs.
    pub(crate) packs: bool,
}

impl Default for Lwm2m {
    fn default() -> Self {
        Self {
            listen: None,
            max_sessions: default_sessions(),
            short_server_id: 101,
            lifetime_seconds: 3600,
            packs: false,
        }
    }
}

/// The listener of the operator's tools.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Monitoring {
    /// Address and port of plain HTTP.
    pub(crate) listen: SocketAddr,
}

fn default_body() -> usize {
    256 * 1024
}

fn default_connections() -> usize {
    1024
}

fn default_sessions() -> usize {
    10_000
}

fn default_shards() -> NonZeroU8 {
    NonZeroU8::MIN
}

fn default_answer() -> u64 {
    10
}

fn default_registration_grace() -> u64 {
    30
}
