use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use example_support::Error;
use provisioning_proto::ScopeId;
use provisioning_proto::mqtt::GroupSecret;

/// What is to power up, and where it asks.
#[derive(Debug, Parser)]
#[command(version, about)]
pub(crate) struct Arguments {
    /// Where the MQTT door listens
    #[arg(long)]
    pub(crate) server: SocketAddr,
    /// The name in the server's certificate
    #[arg(long, default_value = "localhost")]
    pub(crate) name: String,
    /// The CA of the server's certificate, PEM
    #[arg(long)]
    pub(crate) ca: PathBuf,
    /// A group of devices, as SCOPE,GROUP-SECRET-IN-BASE64,COUNT; one for each tenant
    #[arg(long = "group", required = true, value_parser = group)]
    pub(crate) groups: Vec<Group>,
    /// How many devices of the first group have a wrong secret and never give up
    #[arg(long, default_value_t = 0)]
    pub(crate) bad: u32,
    /// How many connections of a group are under way at a time
    #[arg(long, default_value_t = 2_000)]
    pub(crate) connections: usize,
    /// How many seconds all of it may take
    #[arg(long, value_parser = seconds, default_value = "600")]
    pub(crate) limit: Duration,
    /// The server's process, whose memory is told at the end
    #[arg(long)]
    pub(crate) pid: Option<u32>,
}

/// Devices that share a secret.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) scope: ScopeId,
    pub(crate) secret: GroupSecret,
    pub(crate) count: u32,
}

fn group(text: &str) -> Result<Group, Error> {
    let parts: Vec<&str> = text.split(',').collect();
    let &[scope, secret, count] = parts.as_slice() else {
        return Err(Error::plain("it has three parts: SCOPE,SECRET,COUNT"));
    };
    Ok(Group {
        scope: scope
            .parse()
            .map_err(|cause| Error::new("the scope", cause))?,
        secret: GroupSecret::from_base64(secret)
            .map_err(|cause| Error::new("the group's secret", cause))?,
        count: count
            .parse()
            .map_err(|cause| Error::new("the count", cause))?,
    })
}

fn seconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_secs)
}
