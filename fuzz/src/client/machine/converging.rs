//! The mirror against the truth: whatever happened before, it comes to be what the peer has.

use std::collections::BTreeMap;

use uci_client::MirroredDevice;
use uci_model::{DeviceId, DeviceStatus, Value};

use super::{ROUNDS, World};

impl World {
    /// From now on the world works: the mirror comes to be what the peer has.
    pub(super) fn converge(&mut self) {
        // What is being fetched as this begins may have been answered before in part.
        for _ in 0..2 {
            let before = self.run.in_step;
            let in_step = (0..ROUNDS).any(|_| {
                self.run.drain(&mut self.journal);
                if !self.run.open.is_empty() {
                    self.answer(0);
                } else if let Some(deadline) = self.run.machine.next_deadline() {
                    self.run.machine.resync(self.run.now);
                    self.run.drain(&mut self.journal);
                    if self.run.open.is_empty() {
                        self.run.pass(deadline);
                    }
                } else {
                    self.run.machine.resync(self.run.now);
                }
                self.run.in_step > before
            });
            assert!(in_step, "it never gets into step");
        }
        let truth: BTreeMap<String, Seen> = devices(self.truth).iter().map(told).collect();
        let size: usize = truth.values().map(|seen| 1 + 2 * seen.1.len()).sum();
        let mirror = self.run.machine.mirror();
        let mirrored: BTreeMap<String, Seen> = mirror.devices().map(mirrored).collect();
        if size <= self.run.machine.config().max_mirrored {
            assert_eq!(mirrored, truth, "the mirror is not what the peer has");
        } else {
            assert!(mirrored.keys().all(|device| truth.contains_key(device)));
        }
    }
}

/// What a peer that has `truth` answers to a fetch: all devices, one, or the representation of one resource.
pub(super) fn fetched(truth: &str, path: &str) -> (u16, String) {
    let path = path.strip_prefix("/api/v1/devices").expect("a path");
    if path.is_empty() {
        return (200, truth.to_owned());
    }
    let devices = devices(truth);
    let device = devices.iter().find_map(|device| {
        let id = device["device"]["di"].as_str().expect("text");
        Some((device, path.strip_prefix('/')?.strip_prefix(id)?))
    });
    let found = match device {
        Some((device, "")) => Some(device),
        Some((device, href)) => {
            let links = device["links"].as_array().expect("a list");
            let link = links.iter().find(|link| link["href"] == href);
            link.map(|link| &link["rep"])
        }
        None => None,
    };
    found.map_or((404, String::new()), |found| (200, found.to_string()))
}

fn devices(truth: &str) -> Vec<serde_json::Value> {
    serde_json::from_str(truth).expect("a list")
}

/// The status of a device, and its resources with their representations.
type Seen = (Option<String>, BTreeMap<String, Option<u64>>);

/// A device as the peer has it.
fn told(device: &serde_json::Value) -> (String, Seen) {
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let links = device["links"].as_array().expect("a list").iter();
    let links = links.map(|link| (text(&link["href"]), link["rep"].as_u64()));
    let seen = (Some(text(&device["status"])), links.collect());
    (text(&device["device"]["di"]), seen)
}

/// A device as the mirror has it.
fn mirrored((id, device): (DeviceId, &MirroredDevice)) -> (String, Seen) {
    let status = device.status().map(|status| match status {
        DeviceStatus::Online => "online".to_owned(),
        _ => "offline".to_owned(),
    });
    let number = |value: &Value| value.as_integer().and_then(|number| number.as_u64());
    let links = device.links().map(|(href, _)| {
        let state = device.representation(href).and_then(number);
        (href.to_string(), state)
    });
    (id.to_string(), (status, links.collect()))
}
