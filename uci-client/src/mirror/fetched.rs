//! Taking what was fetched: it replaces what is known, except for what a notification told since the fetch began.

use std::collections::BTreeMap;

use uci_model::{Device, DeviceContentAll, DeviceId, Href, Value};

use super::{Learned, Mirror, MirrorChange, Stamp};
use crate::sync::Scope;

impl Mirror {
    /// Takes all devices with their links, as they were at some time after `since`.
    pub(crate) fn take_devices(&mut self, devices: Vec<Device>, since: Stamp) -> Learned {
        let mut learned = Learned::default();
        let known: Vec<DeviceId> = self.devices().map(|(id, _)| id).collect();
        let listed: BTreeMap<DeviceId, Device> = devices
            .into_iter()
            .map(|device| (device.device.device_id, device))
            .collect();
        for id in known.into_iter().filter(|id| !listed.contains_key(id)) {
            self.vanish(id, since, &mut learned);
        }
        for device in listed.into_values() {
            self.take(device, since, &mut learned);
        }
        learned
    }

    /// Takes one device with its links.
    pub(crate) fn take_device(&mut self, device: Device, since: Stamp) -> Learned {
        let mut learned = Learned::default();
        self.take(device, since, &mut learned);
        learned
    }

    /// Takes the representations of devices.
    pub(crate) fn take_contents(
        &mut self,
        devices: Vec<DeviceContentAll>,
        since: Stamp,
    ) -> Learned {
        let mut learned = Learned::default();
        for device in devices {
            let id = device.device.device_id;
            for resource in device.links {
                // A peer that knows nothing of a resource yet says null.
                if resource.representation != Value::Null {
                    let href = resource.href.without_device(id);
                    self.take_value(id, &href, resource.representation, since, &mut learned);
                }
            }
        }
        learned
    }

    /// Takes the representation of one resource.
    pub(crate) fn take_representation(
        &mut self,
        id: DeviceId,
        href: &Href,
        value: Value,
        since: Stamp,
    ) -> Learned {
        let mut learned = Learned::default();
        self.take_value(id, href, value, since, &mut learned);
        learned
    }

    /// Takes that a device is not there.
    pub(crate) fn take_absence(&mut self, id: DeviceId, since: Stamp) -> Learned {
        let mut learned = Learned::default();
        self.vanish(id, since, &mut learned);
        learned
    }

    fn take(&mut self, fetched: Device, since: Stamp, learned: &mut Learned) {
        let id = fetched.device.device_id;
        if self
            .devices
            .get(&id)
            .is_some_and(|known| !known.present && known.since > since)
        {
            return;
        }
        let clock = self.clock;
        let Some(device) = self.meet(id, learned) else {
            return;
        };
        if device.properties.as_ref() != Some(&fetched.device) {
            device.properties = Some(fetched.device);
            learned
                .changes
                .push(MirrorChange::DeviceDescribed { device: id });
        }
        if device.status.since <= since {
            device.set_status(id, fetched.status, clock, learned);
        }
        let mut links: BTreeMap<Href, _> = fetched
            .links
            .into_iter()
            .map(|link| (link.href.without_device(id), link))
            .collect();
        let mut gone = Vec::new();
        for (href, known) in &device.links {
            if known.since > since {
                links.remove(href);
            } else if !links.contains_key(href) {
                gone.push(href.clone());
            }
        }
        for link in links.into_values() {
            self.set_link(id, link, learned);
        }
        for href in gone {
            self.withdraw(id, &href, learned);
        }
        self.drop_without_link(id, since, learned);
    }

    /// Drops representations whose links are gone: they were told after the withdrawal, on subscriptions of their own.
    fn drop_without_link(&mut self, id: DeviceId, since: Stamp, learned: &mut Learned) {
        let clock = self.clock;
        let Some(device) = self.devices.get_mut(&id) else {
            return;
        };
        let links = &device.links;
        let linked = |href: &Href| links.get(href).is_some_and(|link| link.value.is_some());
        for (href, known) in &mut device.representations {
            if known.value.is_some() && known.since <= since && !linked(href) {
                known.value = None;
                known.since = clock;
                let href = href.clone();
                learned
                    .changes
                    .push(MirrorChange::LinkWithdrawn { device: id, href });
            }
        }
    }

    fn take_value(
        &mut self,
        id: DeviceId,
        href: &Href,
        value: Value,
        since: Stamp,
        learned: &mut Learned,
    ) {
        // Only a device that is known to be there has representations.
        let Some(device) = self.device(id) else {
            return;
        };
        let told = device
            .representations
            .get(href)
            .is_some_and(|known| known.since > since);
        let withdrawn = device
            .links
            .get(href)
            .is_some_and(|link| link.value.is_none() && link.since > since);
        if !told && !withdrawn {
            self.set_representation(id, href, value, learned);
        }
    }

    fn vanish(&mut self, id: DeviceId, since: Stamp, learned: &mut Learned) {
        match self.device(id) {
            Some(device) if device.since <= since => self.remove(id, learned),
            // A notification told of it meanwhile, perhaps late: only another fetch can say.
            Some(_) => learned.fetch.push(Scope::Device(id)),
            None => {}
        }
    }
}
