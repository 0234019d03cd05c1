//! What a client-side cloud wants of a linked account: to be told of everything, and now and then to do something.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use uci_client::{Call, Client, SubscribeId, Target};
use uci_model::api::{
    BatchFormat, retrieve_device, retrieve_devices, retrieve_resource, update_resource,
};
use uci_model::{Content, ContentFormat, DeviceId, EventTypes, Href};

use super::{Happening, World};

impl World {
    /// Looks what there is and what is subscribed to, and makes up the difference.
    pub fn tend(&mut self, index: usize) {
        self.plan(Duration::from_secs(60), Happening::Tend(index));
        let now = self.now();
        let link = &mut self.links[index];
        let Some(client) = &mut link.machine else {
            return;
        };
        if !link.loaded {
            return;
        }
        let mut targets = BTreeSet::from([Target::Devices]);
        for (device, mirrored) in client.mirror().devices() {
            targets.insert(Target::Device { device });
            let hrefs = mirrored.links().map(|(href, _)| href.clone());
            targets.extend(hrefs.map(|href| Target::Resource { device, href }));
        }
        for (target, id) in &link.wanted {
            if !targets.contains(target) {
                expect_loading(client.unsubscribe(*id, now));
            }
        }
        targets.retain(|target| !link.wanted.contains_key(target));
        for target in targets {
            let types = EventTypes::all(target.level());
            if let Some(id) = expect_loading(client.subscribe(target.clone(), &types, now)) {
                link.wanted.insert(target, id);
            }
        }
        self.drain_link(index);
    }

    /// A client-side cloud does something for its user.
    pub fn stir_link(&mut self, index: usize) {
        let (choice, other) = (self.dice.roll(12), self.dice.index(16));
        let power = self.dice.roll(1_000_000);
        let stranger = self.devices[other % self.devices.len()].id;
        let now = self.now();
        let link = &mut self.links[index];
        let Some(client) = link.machine.as_mut().filter(|_| link.loaded) else {
            return;
        };
        let known = some_resource(client, other);
        let call: Call = match (choice, known) {
            (0, _) => retrieve_devices::Request::new(BatchFormat::All).into(),
            (1, _) => retrieve_device::Request::new(stranger, BatchFormat::Base).into(),
            (2, _) => {
                let href = "/light/1".parse().unwrap();
                retrieve_resource::Request::new(stranger, href).into()
            }
            (3 | 4, Some((device, href))) => retrieve_resource::Request::new(device, href).into(),
            (5..=7, Some((device, href))) => {
                let text = format!("{{\"power\":{power}}}");
                let content = Content::new(ContentFormat::Json, Bytes::from(text));
                update_resource::Request::new(device, href, content).into()
            }
            (8, _) => {
                let ids: Vec<SubscribeId> = link.wanted.values().copied().collect();
                if let Some(id) = ids.get(other % ids.len().max(1)) {
                    expect_loading(client.unsubscribe(*id, now));
                }
                return self.drain_link(index);
            }
            (9, _) if other == 0 => {
                expect_loading(client.unsubscribe_all(now));
                return self.drain_link(index);
            }
            _ => return,
        };
        let id = client.call(call, now).unwrap();
        link.calls.insert(id);
        self.drain_link(index);
    }
}

/// A command is refused only while the journal is read again; it is given again later.
fn expect_loading<T>(result: Result<T, uci_client::Error>) -> Option<T> {
    match result {
        Ok(done) => Some(done),
        Err(error) => {
            assert_eq!(error.kind(), uci_client::ErrorKind::Loading);
            None
        }
    }
}

fn some_resource(client: &Client, number: usize) -> Option<(DeviceId, Href)> {
    let all: Vec<_> = client
        .mirror()
        .devices()
        .flat_map(|(id, device)| device.links().map(move |(href, _)| (id, href.clone())))
        .collect();
    all.get(number % all.len().max(1)).cloned()
}
