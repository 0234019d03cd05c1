//! `dimpl` and coap-psk's own engine, each as client and as server of the other.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    unreachable_pub
)]

#[path = "../../dtls-per-peer/tests/support/wire.rs"]
mod wire;

use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use dtls_dimpl::{DimplEndpoint, Limits};

use wire::{
    Engine, Wire, find_each_other_through_loss, refuse_the_wrong_key, understand_each_other,
};

#[derive(Clone, Copy, Debug)]
enum Kind {
    Own,
    Dimpl,
}

impl Kind {
    #[allow(clippy::disallowed_methods)]
    fn endpoint(self, seed: u8) -> Engine {
        match self {
            Self::Own => Box::new(PskEndpoint::new(PskConfig::default(), [seed; 32])),
            Self::Dimpl => {
                let origin = std::time::Instant::now();
                Box::new(DimplEndpoint::new(Limits::default(), origin))
            }
        }
    }
}

const PAIRS: [(Kind, Kind); 2] = [(Kind::Own, Kind::Dimpl), (Kind::Dimpl, Kind::Own)];

fn wire((client, server): (Kind, Kind), seed: u8) -> Wire {
    Wire::new(client.endpoint(seed), server.endpoint(!seed), seed, |_| ())
}

#[test]
fn the_two_engines_understand_each_other() {
    let lengths = [0, 1, 15, 16, 17, 1_152, 1 << 14];
    for pair in PAIRS {
        understand_each_other(wire(pair, 1), &lengths, &format!("{pair:?}"));
    }
}

#[test]
fn neither_takes_a_wrong_key_of_the_other() {
    for pair in PAIRS {
        refuse_the_wrong_key(|| wire(pair, 1), &format!("{pair:?}"));
    }
}

#[test]
fn they_find_each_other_through_loss() {
    for pair in PAIRS {
        find_each_other_through_loss(|seed| wire(pair, seed), &format!("{pair:?}"));
    }
}
