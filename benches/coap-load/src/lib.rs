//! CoAP over DTLS under load: what a request costs among many peers, what a handshake and an idle session cost, and what is left
//! for good devices while others attack.
//!
//! The server is a process of its own with one thread, or with `--shards=N` so many, each with a socket and an endpoint of its
//! own; so its CPU time can be told from the load's. Peers are a
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

use std::num::NonZeroU8;
use std::process::ExitCode;
use std::sync::OnceLock;

/// The word that makes this program the server of its own load.
const SERVE: &str = "--serve";

/// What says how many shards the server has.
const SHARDS: &str = "--shards=";
static SHARD_COUNT: OnceLock<NonZeroU8> = OnceLock::new();

/// How many shards the server has.
fn shards() -> NonZeroU8 {
    *SHARD_COUNT.get_or_init(|| NonZeroU8::MIN)
}

/// Runs the goals that are named, or all of them, as [`bench_harness::main`] says.
pub fn main(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let (counts, arguments): (Vec<String>, Vec<String>) = arguments
        .into_iter()
        .partition(|argument| argument.starts_with(SHARDS));
    for count in counts {
        let Ok(count) = count[SHARDS.len()..].parse() else {
            eprintln!("{count} is not a number of shards from 1 to 255");
            return ExitCode::from(2);
        };
        SHARD_COUNT.get_or_init(|| count);
    }
    if let [flag, what] = arguments.as_slice()
        && flag == SERVE
    {
        server::serve(what, shards());
        return ExitCode::SUCCESS;
    }
    bench_harness::main(goals::ALL, arguments)
}
