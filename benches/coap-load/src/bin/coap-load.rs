//! CoAP over DTLS under load: `coap-load [--smoke] [GOAL...]`.

use std::process::ExitCode;

fn main() -> ExitCode {
    coap_load::main(std::env::args().skip(1))
}
