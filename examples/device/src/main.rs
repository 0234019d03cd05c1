//! A simulated constrained device: DTLS-PSK, CoAP, dynamic activation, OCF resources. See `README.md`.

mod appliance;
mod args;
mod backoff;
mod control;
mod device;
mod entropy;
mod fleet;
mod fresh;
mod place;
mod state;

/// Failures in words.
pub(crate) use example_support as error;

use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use crate::args::Role;
use crate::error::Error;

fn main() -> ExitCode {
    let role = Role::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .init();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = runtime
        .map_err(|cause| Error::new("the async runtime cannot start", cause))
        .and_then(|runtime| {
            let result = runtime.block_on(play(role));
            // Somebody may still hold standard input open: its reader is not waited for.
            runtime.shutdown_background();
            result
        });
    result.unwrap_or_else(|error| {
        tracing::error!("{}", error.chain());
        ExitCode::FAILURE
    })
}

async fn play(role: Role) -> Result<ExitCode, Error> {
    match role {
        Role::Device(args) => device::run(&args).await.map(|()| ExitCode::SUCCESS),
        Role::Fleet(args) => fleet::run(&args).await,
    }
}
