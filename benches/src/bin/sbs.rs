//! The family beside its limits, in one run: `sbs [--smoke] [GOAL...]`.

use std::process::ExitCode;

fn main() -> ExitCode {
    benches::sbs::main(std::env::args().skip(1))
}
