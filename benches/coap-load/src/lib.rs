//! CoAP over DTLS under load: what a request costs among many peers, what a handshake and an idle session cost, and what is left
//! for good devices while others attack.
//!
//! The server is a process of its own with one thread, so that its CPU time can be told from the load's. Peers are a
//! [`Fleet`](device_fleet::Fleet) or a few lines that misbehave.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a benchmark that cannot run stops, and its figures go to the terminal"
)]

mod echo;
mod engine;
mod goals;
mod hostile;
pub mod memory;
mod peers;
mod process;
mod requests;
mod server;

use std::process::ExitCode;

/// The word that makes this program the server of its own load.
const SERVE: &str = "--serve";

/// Runs the goals that are named, or all of them, as [`bench_harness::main`] says.
pub fn main(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let arguments: Vec<String> = arguments.into_iter().collect();
    if let [flag, what] = arguments.as_slice()
        && flag == SERVE
    {
        server::serve(what);
        return ExitCode::SUCCESS;
    }
    bench_harness::main(goals::ALL, arguments)
}
