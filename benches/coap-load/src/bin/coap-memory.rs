//! What a session takes, byte for byte: `coap-memory [--smoke]`. A program of its own, because its allocator counts.

use std::process::ExitCode;

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn main() -> ExitCode {
    coap_load::memory::main(|| ALLOCATOR.current_usage(), std::env::args().skip(1))
}
