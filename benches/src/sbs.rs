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

mod clock;
mod fixtures;
mod goals;
mod harness;
mod net;
mod outside;
mod world;

use std::process::ExitCode;

use harness::Run;

/// Runs the goals that are named, or all of them, and prints the table.
///
/// With `--smoke` every goal runs for a moment only: it is seen to work, no figure is taken and nothing can fail.
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
    let (flags, names): (Vec<String>, Vec<String>) = arguments
        .into_iter()
        .partition(|argument| argument.starts_with("--"));
    let smoke = flags.iter().any(|flag| flag == "--smoke");
    if let Some(unknown) = flags.iter().find(|flag| *flag != "--smoke") {
        eprintln!("unknown option {unknown}");
        return ExitCode::from(2);
    }
    if let Some(unknown) = names
        .iter()
        .find(|name| !goals::ALL.iter().any(|goal| goal.name == name.as_str()))
    {
        eprintln!("unknown goal {unknown}; there are:");
        for goal in goals::ALL {
            eprintln!("  {:<14} {}", goal.name, goal.what);
        }
        return ExitCode::from(2);
    }
    let mut run = Run::new(smoke);
    for goal in goals::ALL {
        if names.is_empty() || names.iter().any(|name| name == goal.name) {
            run.begin(goal.name);
            (goal.measure)(&mut run);
        }
    }
    run.print_table();
    // A figure is taken to be read; only a run that did not work fails.
    ExitCode::SUCCESS
}
