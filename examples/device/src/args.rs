//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{ArgMatches, Command, CommandFactory as _, FromArgMatches as _, Parser};
use coap_psk::{DeviceKey, Lifetime, ProductKey};
use uci_model::DeviceId;

use crate::fleet;
use crate::fresh::Fresh;

/// What the program plays.
#[derive(Debug)]
pub(crate) enum Role {
    Device(Box<Args>),
    Fleet(Box<fleet::Args>),
}

impl Role {
    /// Reads the command line; ends the program when it is wrong, or asks for help.
    pub(crate) fn parse() -> Self {
        Self::read(&Self::command().get_matches()).unwrap_or_else(|error| error.exit())
    }

    fn command() -> Command {
        // One device needs no word for itself: it was here first.
        Args::command()
            .subcommand(fleet::Args::command())
            .subcommand_negates_reqs(true)
            .args_conflicts_with_subcommands(true)
    }

    fn read(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand() {
            Some((_, matches)) => {
                let args = fleet::Args::from_arg_matches(matches)?;
                Ok(Self::Fleet(Box::new(args)))
            }
            None => Ok(Self::Device(Box::new(Args::from_arg_matches(matches)?))),
        }
    }
}

/// A simulated thermostat with a light, which connects to a device-side cloud over DTLS and CoAP.
///
/// It prints one JSON object a line for what happens, and takes commands on its standard input: `set HREF JSON`, `get HREF`,
/// `silence` and `quit`.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    /// Where the cloud listens for DTLS.
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        required_unless_present = "bootstrap"
    )]
    pub(crate) cloud: Option<SocketAddr>,
    /// The key of the product.
    #[arg(long, value_name = "KEY", required_unless_present = "bootstrap")]
    pub(crate) product_key: Option<ProductKey>,
    /// The key of the device within the product.
    #[arg(long, value_name = "KEY")]
    pub(crate) device_key: DeviceKey,
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
    /// What a factory-fresh device has instead of a cloud.
    #[command(flatten)]
    pub(crate) fresh: Fresh,
}

pub(crate) fn lifetime(text: &str) -> Result<Lifetime, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Lifetime::from_secs(seconds).ok())
        .ok_or_else(|| "30 to 86400 seconds".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(arguments: &[&str]) -> Result<Role, clap::Error> {
        Role::command()
            .try_get_matches_from(arguments)
            .and_then(|matches| Role::read(&matches))
    }

    fn parse(lifetime: &str) -> Result<Role, clap::Error> {
        role(&[
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

    #[test]
    fn a_factory_fresh_device_needs_no_cloud_and_one_of_the_two_there_must_be() {
        let fresh = [
            "device",
            "--bootstrap=mqtts://localhost:8883",
            "--bootstrap-secret-file=secret",
            "--device-key=dev1",
            "--state=/tmp",
            "--di=5f3c2d6e-8a41-4a43-9d8e-0c1f6a7b2e10",
        ];
        assert!(role(&fresh).is_ok());
        let with = |more: &'static str| role(&[&fresh[..], &[more]].concat());
        assert!(with("--cloud=127.0.0.1:5684").is_err());
        assert!(with("--product-key=pk").is_err());
        let without = |one: usize| role(&[&fresh[..one], &fresh[one + 1..]].concat());
        assert!(without(1).is_err() && without(2).is_err());
    }

    #[test]
    fn a_fleet_is_a_word_of_its_own_and_needs_nothing_of_a_device() {
        let fleet = role(&[
            "device",
            "fleet",
            "--cloud=127.0.0.1:5684",
            "--devices-file=f",
        ]);
        assert!(matches!(fleet, Ok(Role::Fleet(_))), "{fleet:?}");
        assert!(matches!(parse("--lifetime=60"), Ok(Role::Device(_))));
        assert!(role(&["device"]).is_err());
        assert!(role(&["device", "fleet"]).is_err());
    }
}
