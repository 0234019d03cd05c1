//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use coap_psk::{DeviceKey, DeviceName, Lifetime, ProductKey};
use uci_model::DeviceId;

/// A simulated thermostat with a light, which connects to a device-side cloud over DTLS and CoAP.
///
/// It prints one JSON object a line for what happens, and takes commands on its standard input: `set HREF JSON`, `get HREF`,
/// `silence` and `quit`.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// Where the cloud listens for DTLS.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) cloud: SocketAddr,
    /// The key of the product.
    #[arg(long, value_name = "KEY")]
    product_key: ProductKey,
    /// The key of the device within the product.
    #[arg(long, value_name = "KEY")]
    device_key: DeviceKey,
    /// A file with the product's secret: good for fetching the device's own secret on the first start.
    #[arg(long, value_name = "FILE")]
    pub(crate) product_secret_file: Option<PathBuf>,
    /// Where the device keeps its own secret; made when it does not exist.
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) state: PathBuf,
    /// How long the device may be silent before the cloud calls it offline, in seconds: 30 to 86400.
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = lifetime)]
    pub(crate) lifetime: Lifetime,
    /// The device's id, a UUID.
    #[arg(long, value_name = "UUID")]
    pub(crate) di: DeviceId,
    /// The device's name for people.
    #[arg(long, value_name = "TEXT", default_value = "Simulated thermostat")]
    pub(crate) name: String,
}

impl Args {
    /// The two keys that name the device.
    pub(crate) fn device(&self) -> DeviceName {
        DeviceName::new(self.product_key.clone(), self.device_key.clone())
    }
}

fn lifetime(text: &str) -> Result<Lifetime, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Lifetime::from_secs(seconds).ok())
        .ok_or_else(|| "30 to 86400 seconds".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lifetime: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from([
            "device",
            "--cloud=127.0.0.1:5684",
            "--product-key=pk",
            "--device-key=dev1",
            "--state=/tmp",
            "--di=5f3c2d6e-8a41-4a43-9d8e-0c1f6a7b2e10",
            lifetime,
        ])
    }

    #[test]
    fn a_lifetime_is_30_to_86400_seconds() {
        for good in ["--lifetime=30", "--lifetime=86400"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "--lifetime=29",
            "--lifetime=86401",
            "--lifetime=x",
            "--lifetime=-1",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
