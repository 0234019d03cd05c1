//! What is measured.

mod codec;
mod history;
mod http;
pub(super) mod journal;
mod linking;
pub(super) mod memory;
mod notify;
mod process;
mod registrations;
mod scale;
mod signature;
mod simulation;

use bench_harness::Goal;

pub(super) const ALL: &[Goal] = &[
    Goal {
        name: "1",
        what: "`GET /devices`, a page of 20 KB",
        measure: http::page,
    },
    Goal {
        name: "2",
        what: "`GET /devices`, 1,000 devices of 10 links",
        measure: http::whole_list,
    },
    Goal {
        name: "3",
        what: "`GET /devices/{id}`",
        measure: http::device,
    },
    Goal {
        name: "4",
        what: "the check of an access token",
        measure: linking::check,
    },
    Goal {
        name: "5",
        what: "an access token for a refresh token",
        measure: linking::issue,
    },
    Goal {
        name: "6",
        what: "CBOR device list to typed values",
        measure: codec::read_typed,
    },
    Goal {
        name: "7",
        what: "CBOR to JSON",
        measure: codec::cbor_to_json,
    },
    Goal {
        name: "8",
        what: "JSON to CBOR",
        measure: codec::json_to_cbor,
    },
    Goal {
        name: "9",
        what: "from an event to a delivered notification",
        measure: notify::notify,
    },
    Goal {
        name: "10",
        what: "signature of a notification of 1 KB",
        measure: signature::sign,
    },
    Goal {
        name: "11",
        what: "durable appends, one and 64 at a time",
        measure: journal::append,
    },
    Goal {
        name: "12",
        what: "appends of many at once",
        measure: journal::group_commit,
    },
    Goal {
        name: "13",
        what: "opening after a crash, and appending, at up to 10,000,000 stored events",
        measure: journal::restart,
    },
    Goal {
        name: "list",
        what: "the operator's list of streams",
        measure: journal::list,
    },
    Goal {
        name: "15",
        what: "memory for each device",
        measure: memory::memory,
    },
    Goal {
        name: "17",
        what: "the simulation of a whole cloud",
        measure: simulation::speed,
    },
    Goal {
        name: "devices",
        what: "cost at 1,000,000 devices beside 1,000",
        measure: scale::devices,
    },
    Goal {
        name: "big-account",
        what: "cost in an account of 10,000 devices beside 10",
        measure: scale::big_account,
    },
    Goal {
        name: "snapshots",
        what: "changes with their share of a snapshot",
        measure: scale::snapshots,
    },
    Goal {
        name: "subscriptions",
        what: "cost of an event beside many subscriptions",
        measure: scale::subscriptions,
    },
    Goal {
        name: "dead",
        what: "one dead receiver and the others",
        measure: scale::dead_subscriber,
    },
    Goal {
        name: "registrations",
        what: "registrations of devices with a durable journal",
        measure: registrations::durable,
    },
    Goal {
        name: "replay",
        what: "reading changes back",
        measure: history::replay,
    },
    Goal {
        name: "restart",
        what: "loading an account after few changes and after many",
        measure: history::restart,
    },
];
