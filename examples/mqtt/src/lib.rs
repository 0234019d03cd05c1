//! The door for devices that bootstrap over MQTT 3.1.1: a TLS listener around `provisioning_proto::mqtt::session`, with bounds on all
//! that a stranger may take.
//!
//! A [`Door`] judges nothing itself: it asks a [`Port`] who a device is and where it belongs. The program `mqtt-bootstrap` of this
//! crate is one with a fixed table behind it.

mod clock;
mod connection;
mod door;
mod guard;
pub mod packet;
mod port;
mod sessions;
mod tls;

pub use door::{Door, Settings};
pub use port::{Figures, Outcome, Port, Refused};
pub use sessions::Sessions;
