//! Side by side: each goal measures this family and a reference in the same run, interleaved, and compares medians.
//!
//! What counts is the ratio: both sides see the same machine, the same input and the same neighbors. Goals of work are measured
//! in CPU time, goals of waiting in wall time.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a benchmark that cannot run stops, and its figures go to the terminal"
)]

mod authorization;
mod durable_streams;
mod fixtures;
mod goals;
mod net;
mod outside;
mod peer;
mod world;

use std::process::ExitCode;

/// Runs goals, or what one of them starts.
pub fn main(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let arguments: Vec<String> = arguments.into_iter().collect();
    // What the goal of memory starts: a process that holds one layout and nothing else.
    if let [flag, layout, accounts] = arguments.as_slice()
        && flag == "--memory"
        && let Ok(accounts) = accounts.parse()
    {
        goals::memory::measure(layout, accounts);
        return ExitCode::SUCCESS;
    }
    // What the goal of opening starts: a process that is as new as one that begins after a crash.
    if let [flag, file] = arguments.as_slice()
        && flag == "--open"
    {
        goals::journal::open(file.as_ref());
        return ExitCode::SUCCESS;
    }
    bench_harness::main(goals::ALL, arguments)
}
