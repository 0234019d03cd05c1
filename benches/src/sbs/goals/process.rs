//! What is measured in a process of its own.

use std::process::Command;

/// The number that this program prints when it is given these arguments.
pub(super) fn measured(arguments: &[&str]) -> f64 {
    let program = std::env::current_exe().expect("a program");
    let output = Command::new(program).args(arguments).output();
    let output = output.expect("a process");
    assert!(output.status.success(), "{arguments:?} failed");
    let text = String::from_utf8(output.stdout).expect("text");
    text.trim().parse().expect("a number")
}
