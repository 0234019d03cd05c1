//! A simulated constrained device: DTLS-PSK, CoAP, dynamic activation, OCF resources. See `README.md`.

mod appliance;
mod args;
mod backoff;
mod control;
mod device;
mod entropy;
mod state;

/// Failures in words.
pub(crate) use example_support as error;

use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use crate::args::Args;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .init();
    match device::run(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", error.chain());
            ExitCode::FAILURE
        }
    }
}
