//! The command line of a fleet.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Parser, ValueEnum};
use coap_psk::{Lifetime, ProductKey};

/// What a device posts unless a file says otherwise: a measurement as EnOS devices send it.
pub(super) const MEASUREMENT: &str = r#"{"id":"1","version":"1.0","method":"thing.measurepoint.post","params":{"measurepoints":{"temperature":21.5}}}"#;

/// Plays up to 100,000 devices against one cloud on this machine: they come, connect over DTLS with coap-psk's own engine, send
/// requests, and close their sessions.
///
/// All of them share one socket, and each has an address of its own from 127.1.0.1 on. Progress goes to standard error, a
/// summary to standard output. The exit status is 1 when anything failed; answers with an error code are counted by their code
/// and are no failure.
#[derive(Debug, Parser)]
#[command(name = "fleet", group(ArgGroup::new("devices").required(true).args(["devices_file", "product_key"])))]
pub(crate) struct Args {
    /// Where the cloud listens for DTLS, within 127.0.0.0/8.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) cloud: SocketAddr,
    /// A file with a device on each line: PRODUCT_KEY,DEVICE_KEY,MODE,SECRET, where mode 2 is the device's own secret and mode
    /// 3 its product's.
    #[arg(long, value_name = "FILE")]
    pub(super) devices_file: Option<PathBuf>,
    /// The product of devices that fetch their own secret with its secret first, as mode 3 does.
    #[arg(long, value_name = "KEY", requires = "product_secret_file")]
    pub(super) product_key: Option<ProductKey>,
    /// A file with the product's secret.
    #[arg(long, value_name = "FILE", requires = "product_key")]
    pub(super) product_secret_file: Option<PathBuf>,
    /// What the keys of a product's devices begin with; a number from 000000 on follows.
    #[arg(long, value_name = "TEXT", default_value = "fleet-")]
    pub(super) device_prefix: String,
    /// How many devices; all of a file, and 100 of a product, unless it is said.
    #[arg(long, value_name = "NUMBER")]
    pub(super) count: Option<usize>,
    /// How many devices come in a second; 0 lets all come at once.
    #[arg(long, value_name = "NUMBER", default_value = "1000")]
    pub(super) arrivals: u32,
    /// How many may be in a handshake, or wait for an answer, at one time; the others wait for their turn.
    #[arg(long, value_name = "NUMBER", default_value = "256")]
    pub(super) at_once: NonZeroUsize,
    /// How many requests each device sends.
    #[arg(long, value_name = "NUMBER", default_value = "10")]
    pub(super) requests: u32,
    /// Sends requests until the time is over or the program is told to end.
    #[arg(long, conflicts_with = "requests")]
    pub(super) endless: bool,
    /// The seconds from an answer to the next request of the same device.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(super) interval: Duration,
    /// Ends after so many seconds, whatever is left to do.
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    pub(super) duration: Option<Duration>,
    /// How often a device tries to connect until it gives up; 5 seconds lie between two attempts.
    #[arg(long, value_name = "NUMBER", default_value = "3")]
    pub(super) attempts: NonZeroU32,
    /// How long a device may be silent before the cloud calls it offline, in seconds: 30 to 86400.
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = crate::args::lifetime)]
    pub(super) lifetime: Lifetime,
    /// The method of the requests.
    #[arg(long, value_enum, default_value = "post")]
    pub(super) method: Method,
    /// The path and query of the requests; the segments {product} and {device} become the keys of the device.
    #[arg(
        long,
        value_name = "TARGET",
        default_value = "/topic/sys/{product}/{device}/thing/measurepoint/post"
    )]
    pub(super) target: String,
    /// The payload of the requests; an EnOS measurement unless it is said.
    #[arg(long, value_name = "FILE")]
    pub(super) payload_file: Option<PathBuf>,
    /// The number of the payload's Content-Format.
    #[arg(long, value_name = "NUMBER", default_value = "50")]
    pub(super) content_format: u16,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Method {
    Get,
    Post,
    Put,
}

impl From<Method> for coap_psk::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::Get,
            Method::Post => Self::Post,
            Method::Put => Self::Put,
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "a number of seconds".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(more: &[&str]) -> Result<Args, clap::Error> {
        let cloud = ["fleet", "--cloud=127.0.0.1:5684"];
        Args::try_parse_from(cloud.iter().chain(more))
    }

    #[test]
    fn the_devices_come_from_a_file_or_from_a_product() {
        let file = parse(&["--devices-file=devices.csv", "--interval=0.5"]).unwrap();
        assert_eq!(file.interval, Duration::from_millis(500));
        assert!(parse(&["--product-key=pk", "--product-secret-file=s"]).is_ok());
        for wrong in [
            &[][..],
            &["--product-key=pk"],
            &["--product-secret-file=s"],
            &[
                "--devices-file=f",
                "--product-key=pk",
                "--product-secret-file=s",
            ],
            &["--devices-file=f", "--interval=-1"],
            &["--devices-file=f", "--at-once=0"],
            &["--devices-file=f", "--endless", "--requests=1"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
