//! A bootstrap server of LwM2M: the machine of `provisioning-proto` on sockets, over the CoAP and DTLS of `coap-psk`.
//!
//! [`serve`] is the listener. Which keys there are, and what a client is to have, it asks a [`Provisioner`]: the table of the program
//! `lwm2m-bootstrap` here, the provisioning service of `device-side-cloud` there.
//!
//! ```text
//! socket ── coap-psk driver ──▶ outputs ──▶ this task with the machine ──▶ Provisioner: keys, configurations, what became of it
//!                    ▲                            │
//!                    └── calls, in order ─────────┘
//! ```

mod carry;
mod identity;
mod open;
mod server;
mod shared;

pub use identity::AnyIdentity;
pub use open::Open;
pub use server::{Known, Provisioner, Settings, serve};
