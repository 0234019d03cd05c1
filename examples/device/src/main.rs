//! A simulated constrained device: DTLS-PSK, CoAP, dynamic activation, OCF resources. See `README.md`.

mod appliance;
mod args;
mod backoff;
mod control;
mod device;
mod entropy;
mod fleet;
mod state;

/// Failures in words.
pub(crate) use example_support as error;

use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use crate::args::Role;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let role = Role::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .init();
    let result = match role {
        Role::Device(args) => device::run(&args).await.map(|()| ExitCode::SUCCESS),
        Role::Fleet(args) => fleet::run(&args).await,
    };
    result.unwrap_or_else(|error| {
        tracing::error!("{}", error.chain());
        ExitCode::FAILURE
    })
}
