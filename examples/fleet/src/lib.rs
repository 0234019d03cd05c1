//! Up to 100,000 simulated devices against one server, on one UDP socket.
//!
//! A [`Fleet`] is a machine: all devices over one DTLS engine, their arrivals, requests and ends in virtual time. A [`Wire`] is
//! its socket. Each device sends from an address of its own out of 127.0.0.0/8, which is loopback from end to end, so that a
//! server sees as many peers as there are devices while this process has one file open.
//!
//! ```text
//!  away ─▶ connecting ─▶ (product's secret: activating ─▶ connecting) ─▶ idle ◀─▶ asking
//!   ▲                                                                     │
//!   └───────── a pause after each failure, so many times ◀────────────────┘
//! ```

mod device;
mod fleet;
mod latencies;
mod member;
mod plan;
mod tally;
mod wire;

pub use fleet::Fleet;
pub use latencies::Latencies;
pub use member::{MAX_DEVICES, Member, Secret};
pub use plan::Plan;
pub use tally::Tally;
pub use wire::Wire;
