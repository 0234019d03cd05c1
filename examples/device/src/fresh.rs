//! A factory-fresh device: it knows one address, asks there where it belongs, and keeps what it is told.
//!
//! ```text
//! mqtts://HOST:PORT     password by HMAC  ──▶ address, its own secret, and its product in the initial configuration
//! coaps://ADDRESS:PORT  pre-shared key    ──▶ an account of LwM2M: address, identity and key
//! ```

mod lwm2m;
mod mqtt;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use coap_psk::{DeviceName, DeviceSecret, Lifetime, PskIdentity, PskKey};
use provisioning_proto::ScopeId;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use zeroize::Zeroizing;

use crate::args::Args;
use crate::control::report;
use crate::error::Error;
use crate::place::Place;
use crate::state::State;

/// How long the device waits for what it is told. The vendor's clients wait 5 to 10 seconds for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a device leaves its factory with.
#[derive(Debug, clap::Args)]
pub(crate) struct Fresh {
    /// Where the device asks where it belongs, unless it was told before: mqtts://HOST:PORT, or coaps://ADDRESS:PORT for LwM2M.
    #[arg(long, value_name = "URL", conflicts_with_all = ["cloud", "product_key"], requires = "bootstrap_secret_file")]
    pub(crate) bootstrap: Option<Server>,
    /// A file with what it asks with: its secret for MQTT, 32 hexadecimal digits for LwM2M.
    #[arg(long, value_name = "FILE", requires = "bootstrap")]
    bootstrap_secret_file: Option<PathBuf>,
    /// The scope of its group, for MQTT.
    #[arg(long, value_name = "ID", requires = "bootstrap")]
    bootstrap_scope: Option<ScopeId>,
    /// A PEM file with the authority that the server's certificate is of, for MQTT.
    #[arg(long, value_name = "FILE", requires = "bootstrap")]
    bootstrap_ca: Option<PathBuf>,
    /// Its identity there, for LwM2M: PRODUCT,DEVICE,2,LIFETIME.
    #[arg(long, value_name = "IDENTITY", requires = "bootstrap", value_parser = identity)]
    bootstrap_identity: Option<PskIdentity>,
}

/// The one address that a device knows.
#[derive(Clone, Debug)]
pub(crate) enum Server {
    Mqtt { host: String, port: u16 },
    Lwm2m(SocketAddr),
}

impl std::str::FromStr for Server {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "mqtts://HOST:PORT or coaps://ADDRESS:PORT".to_owned();
        if let Some(address) = text.strip_prefix("coaps://") {
            return address.parse().map(Self::Lwm2m).map_err(|_| wrong());
        }
        let place = text.strip_prefix("mqtts://").ok_or_else(wrong)?;
        let (host, port) = place.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let host = host.to_owned();
        Ok(Self::Mqtt { host, port })
    }
}

fn identity(text: &str) -> Result<PskIdentity, String> {
    PskIdentity::parse(text.as_bytes()).map_err(|error| error.to_string())
}

/// What a device was told.
#[derive(Deserialize, Serialize)]
pub(crate) struct Told {
    cloud: SocketAddr,
    product_key: String,
    device_key: String,
    lifetime: Option<u32>,
    #[serde(default)]
    device_secret: Option<Zeroizing<String>>,
    /// In hexadecimal digits.
    #[serde(default)]
    key: Option<Zeroizing<String>>,
    /// What it was given beside its address.
    initial_config: Option<String>,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Told({}, ..)", self.cloud)
    }
}

/// The place of a device that was told one, or is told one now.
///
/// # Errors
/// The device is refused or not answered, or its state cannot be read or written.
pub(crate) async fn place(args: &Args, state: &State) -> Result<Place, Error> {
    let known = state.load_told()?;
    let event = if known.is_some() {
        "known"
    } else {
        "bootstrapped"
    };
    let told = match known {
        Some(told) => told,
        None => {
            let told = tokio::time::timeout(PATIENCE, ask(args)).await;
            let told = told.map_err(|_| Error::plain("nobody told where the device belongs"))??;
            state.save_told(&told)?;
            told
        }
    };
    let place = told.place(args)?;
    let initial_config = told.initial_config.clone().map_or(Json::Null, Json::from);
    report(
        event,
        &[
            ("cloud", Json::from(told.cloud.to_string())),
            ("product_key", Json::from(told.product_key.clone())),
            ("initial_config", initial_config),
        ],
    );
    Ok(place)
}

async fn ask(args: &Args) -> Result<Told, Error> {
    let fresh = &args.fresh;
    let secret = fresh.bootstrap_secret_file.as_deref();
    let path = secret.ok_or_else(|| Error::plain("the device has nothing to ask with"))?;
    let failed = |cause| Error::new(format!("cannot read {}", path.display()), cause);
    let secret = Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?);
    let secret = secret.trim_end();
    match &fresh.bootstrap {
        Some(Server::Mqtt { host, port }) => {
            let ca = fresh.bootstrap_ca.as_deref();
            let ca = ca.ok_or_else(|| Error::plain("MQTT needs --bootstrap-ca"))?;
            let session = mqtt::open(host, *port, ca).await?;
            mqtt::ask(
                session,
                &args.device_key,
                fresh.bootstrap_scope.clone(),
                secret,
            )
            .await
        }
        Some(Server::Lwm2m(server)) => {
            let identity = fresh.bootstrap_identity.clone();
            let identity =
                identity.ok_or_else(|| Error::plain("LwM2M needs --bootstrap-identity"))?;
            let key = key(secret).ok_or_else(|| {
                Error::plain(format!("{} has no 32 hexadecimal digits", path.display()))
            })?;
            lwm2m::ask(*server, identity, key, &args.device_key).await
        }
        None => Err(Error::plain("the device knows no address")),
    }
}

/// A key of hexadecimal digits.
fn key(text: &str) -> Option<PskKey> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = digits
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()?;
    Some(PskKey::new(number.to_be_bytes()))
}

impl Told {
    fn place(&self, args: &Args) -> Result<Place, Error> {
        let unusable = |cause| Error::new("what the device was told is of no use", cause);
        if self.device_key != args.device_key.as_str() {
            let owner = &self.device_key;
            return Err(Error::plain(format!(
                "{owner} was told, and not this device"
            )));
        }
        let secret = self.device_secret.as_ref();
        let secret = secret.map(|secret| DeviceSecret::new(secret.as_str()));
        let lifetime = self.lifetime.map(Lifetime::from_secs).transpose();
        let product_key = self.product_key.parse().map_err(unusable)?;
        let told_key = self.key.as_ref().map(|digits| {
            key(digits.as_str())
                .ok_or_else(|| Error::plain("the key that the device was told is damaged"))
        });
        Ok(Place {
            cloud: self.cloud,
            device: DeviceName::new(product_key, args.device_key.clone()),
            lifetime: lifetime.map_err(unusable)?.unwrap_or(args.lifetime),
            secret: secret.transpose().map_err(unusable)?,
            key: told_key.transpose()?,
            product_secret: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_scheme_a_host_and_a_port() {
        assert!(matches!(
            "mqtts://localhost:8883".parse(),
            Ok(Server::Mqtt { port: 8883, .. })
        ));
        assert!(matches!(
            "coaps://127.0.0.1:5784".parse(),
            Ok(Server::Lwm2m(_))
        ));
        for bad in [
            "mqtt://localhost:1883",
            "mqtts://localhost",
            "coaps://localhost:1",
            "localhost:1",
        ] {
            assert!(bad.parse::<Server>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_key_is_32_hexadecimal_digits() {
        let digits = "000102030405060708090a0b0c0d0e0f";
        assert_eq!(key(digits).expect("key").expose()[..3], [0, 1, 2]);
        for bad in ["", &digits[1..], "+00102030405060708090a0b0c0d0e0f"] {
            assert!(key(bad).is_none(), "{bad}");
        }
    }
}
