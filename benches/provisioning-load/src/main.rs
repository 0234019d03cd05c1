//! Devices that power up at once and ask a provisioning service over MQTT where they belong.
//!
//! Each has an address of its own in 127.0.0.0/8, a secret derived from its group's, and a life of its own: it connects over TLS,
//! subscribes, asks, and when that fails comes again after 1 to 30 seconds, as the vendor's programs do. A second group can be
//! somebody else's few devices, whose times show whether the many starve them; a bad fleet has wrong secrets and never gives up.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "figures go to the terminal"
)]

mod arguments;
mod device;
mod fleet;
mod packet;
mod summary;

use std::process::ExitCode;

use clap::Parser as _;
use example_support::Error;

use arguments::Arguments;

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {}", error.chain());
            ExitCode::from(2)
        }
    }
}

/// True when every good device was assigned.
fn run(arguments: Arguments) -> Result<bool, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::new("there is no runtime", cause))?;
    let summaries = runtime.block_on(fleet::power_up(&arguments))?;
    for summary in &summaries {
        println!("{summary}");
    }
    if let Some(pid) = arguments.pid {
        println!("most memory of the server: {}", summary::peak_memory(pid)?);
    }
    Ok(summaries.iter().all(summary::Summary::is_whole))
}
