//! One scenario a rule, in virtual time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

mod accounts;
mod deliveries;
mod devices;
mod grants;
mod listing;
mod ownership;
mod requests;
#[path = "../rig/rig.rs"]
mod rig;
mod storage;
mod subscriptions;
mod telling;

use std::time::Duration;

use http::{Method, StatusCode};
use rig::{
    LIGHT, World, account, cbor, device, granted, json, link, post, principal, request, seen,
    subscribe_request,
};
use serde_json::json as value;
use uci_server_core::account::{Change, EndCause, Fact};
use uci_server_core::{Authentication, Config, ErrorKind, Occurrence};

const PUBLISHED: &[&str] = &["resources_published", "resources_unpublished"];
const CHANGED: &[&str] = &["resource_contentchanged"];
const DEVICES: &[&str] = &[
    "devices_registered",
    "devices_unregistered",
    "devices_online",
    "devices_offline",
];

fn path(number: u8, href: &str) -> String {
    format!("/{}{href}", device(number))
}
