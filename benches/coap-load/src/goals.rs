//! What is measured.

use bench_harness::Goal;

use crate::{engine, hostile, requests};

pub(crate) const ALL: &[Goal] = &[
    Goal {
        name: "requests",
        what: "a request among 16, 2,000 and 8,000 peers beside a UDP echo, and beside libcoap with OpenSSL where that is installed",
        measure: requests::among_peers,
    },
    Goal {
        name: "many",
        what: "a request among 100,000 peers beside 8,000",
        measure: requests::among_many,
    },
    Goal {
        name: "handshakes",
        what: "handshakes of the engine, in memory",
        measure: engine::handshakes,
    },
    Goal {
        name: "hostile",
        what: "good devices while others attack",
        measure: hostile::attacks,
    },
];
