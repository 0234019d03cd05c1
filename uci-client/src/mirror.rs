//! The mirror: devices, links and representations as this side now knows them.
//!
//! It is kept in memory alone and is fetched anew at every start: what was kept over a restart would have to be compared
//! with the truth in any case, and then the fetch is as long.
//!
//! Notifications change it at once; what is fetched later replaces it, except for what a notification has told since the
//! fetch began. So the mirror converges to the truth: what a notification told out of date is corrected by the next one, and a
//! missing one is seen by its number and answered by a fetch. Only the notifications of one subscription are in order: what
//! one tells of a thing that another has said is gone, or not yet there, is settled by a fetch too.

mod fetched;

use std::collections::BTreeMap;

use uci_model::{
    DeviceId, DeviceProperties, DeviceStatus, Event, Href, Limits, ResourceLink, Value,
};

use crate::ledger::Target;
use crate::sync::Scope;

/// A point in the sequence of what the mirror learned.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Stamp(u64);

/// A value, or that there is none, since a point.
#[derive(Clone, Debug)]
struct Known<T> {
    value: Option<T>,
    since: Stamp,
}

/// What is known of the devices of one linked account.
///
/// It is empty after a restart, and is fetched anew when there is a subscription.
#[derive(Debug)]
pub struct Mirror {
    origin: http::Uri,
    devices: BTreeMap<DeviceId, MirroredDevice>,
    clock: Stamp,
    /// Devices, links and representations together, tombstones included.
    size: usize,
    max_size: usize,
}

/// What is known of one device.
#[derive(Debug)]
pub struct MirroredDevice {
    present: bool,
    since: Stamp,
    properties: Option<DeviceProperties>,
    status: Known<DeviceStatus>,
    links: BTreeMap<Href, Known<ResourceLink>>,
    representations: BTreeMap<Href, Known<Value>>,
}

/// One thing that changed in the mirror.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum MirrorChange {
    /// A device is there that was not.
    DeviceAdded {
        /// The device.
        device: DeviceId,
    },
    /// A device is gone, with its links and representations.
    DeviceRemoved {
        /// The device.
        device: DeviceId,
    },
    /// The properties of a device changed.
    DeviceDescribed {
        /// The device.
        device: DeviceId,
    },
    /// A device went online or offline.
    DeviceStatus {
        /// The device.
        device: DeviceId,
        /// What it is now.
        status: DeviceStatus,
    },
    /// A link is there that was not, or reads differently.
    LinkPublished {
        /// The device.
        device: DeviceId,
        /// The resource, without the device's prefix.
        href: Href,
    },
    /// A link is gone, with its representation.
    LinkWithdrawn {
        /// The device.
        device: DeviceId,
        /// The resource, without the device's prefix.
        href: Href,
    },
    /// A representation is there that was not, or is another.
    RepresentationChanged {
        /// The device.
        device: DeviceId,
        /// The resource, without the device's prefix.
        href: Href,
    },
}

/// What came of a piece of news.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    pub(crate) changes: Vec<MirrorChange>,
    /// What must be fetched, because the news only names it.
    pub(crate) fetch: Vec<Scope>,
    /// Whether something did not fit.
    pub(crate) full: bool,
}

impl Mirror {
    pub(crate) const fn new(origin: http::Uri, max_size: usize) -> Self {
        Self {
            origin,
            devices: BTreeMap::new(),
            clock: Stamp(0),
            size: 0,
            max_size,
        }
    }

    /// The interface that all these devices came from: that of the cloud that owns them.
    ///
    /// They belong to it, so a cloud that serves devices itself must not serve these on.
    #[must_use]
    pub const fn origin(&self) -> &http::Uri {
        &self.origin
    }

    /// The devices, by their ids.
    pub fn devices(&self) -> impl Iterator<Item = (DeviceId, &MirroredDevice)> {
        self.devices
            .iter()
            .filter(|(_, device)| device.present)
            .map(|(id, device)| (*id, device))
    }

    /// One device.
    #[must_use]
    pub fn device(&self, device: DeviceId) -> Option<&MirroredDevice> {
        self.devices.get(&device).filter(|device| device.present)
    }

    /// The point up to which the mirror has learned.
    pub(crate) const fn now(&self) -> Stamp {
        self.clock
    }

    /// Takes what a notification says.
    pub(crate) fn note(&mut self, target: &Target, event: &Event, limits: &Limits) -> Learned {
        self.clock = Stamp(self.clock.0.saturating_add(1));
        let mut learned = Learned::default();
        match (target, event) {
            (_, Event::DevicesRegistered(devices)) => {
                for device in devices {
                    self.told_of(*device, &mut learned);
                }
            }
            (_, Event::DevicesUnregistered(devices)) => {
                for device in devices {
                    self.remove(*device, &mut learned);
                }
            }
            (_, Event::DevicesOnline(devices)) => {
                self.told_status(devices, DeviceStatus::Online, &mut learned);
            }
            (_, Event::DevicesOffline(devices)) => {
                self.told_status(devices, DeviceStatus::Offline, &mut learned);
            }
            (Target::Device { device }, Event::ResourcesPublished(links)) if !links.is_empty() => {
                self.told_of(*device, &mut learned);
                for link in links {
                    self.set_link(*device, link.clone(), &mut learned);
                    // It may have been told, on its own subscription, before the link was: then it was not taken.
                    let href = link.href.without_device(*device);
                    if !learned.full && self.representation(*device, &href).is_none() {
                        learned.fetch.push(Scope::Device(*device));
                    }
                }
            }
            (Target::Device { device }, Event::ResourcesUnpublished(links)) => {
                for link in links {
                    self.withdraw(*device, &link.href.without_device(*device), &mut learned);
                }
            }
            (Target::Resource { device, href }, Event::ResourceContentChanged(content)) => {
                self.told_of(*device, &mut learned);
                if let Ok(value) = content.decode(limits) {
                    self.set_representation(*device, href, value, &mut learned);
                }
                // Told late, after its link was withdrawn, or early, before that was published: the links say which.
                if !learned.full && !self.has_link(*device, href) {
                    learned.fetch.push(Scope::Device(*device));
                }
            }
            // The receiver lets no other type through to a target.
            _ => {}
        }
        learned
    }

    /// Forgets what is remembered only against fetches that began earlier; to be called when none is open.
    pub(crate) fn forget_removed(&mut self) {
        self.devices.retain(|_, device| device.present);
        for device in self.devices.values_mut() {
            device.links.retain(|_, link| link.value.is_some());
            device
                .representations
                .retain(|_, representation| representation.value.is_some());
        }
        self.size = self
            .devices
            .values()
            .fold(0, |size, device| size.saturating_add(device.size()));
    }

    /// Notes that a notification speaks of a device, which is therefore there.
    fn told_of(&mut self, id: DeviceId, learned: &mut Learned) -> Option<&mut MirroredDevice> {
        if self.device(id).is_none() {
            learned.fetch.push(Scope::Device(id));
        }
        let clock = self.clock;
        let device = self.meet(id, learned)?;
        device.since = clock;
        Some(device)
    }

    /// Makes sure that a device is there; `None` when it does not fit.
    fn meet(&mut self, id: DeviceId, learned: &mut Learned) -> Option<&mut MirroredDevice> {
        if !self.devices.contains_key(&id) {
            if self.size >= self.max_size {
                learned.full = true;
                return None;
            }
            self.size = self.size.saturating_add(1);
        }
        let device = self
            .devices
            .entry(id)
            .or_insert_with(|| MirroredDevice::absent(self.clock));
        if !device.present {
            device.present = true;
            learned
                .changes
                .push(MirrorChange::DeviceAdded { device: id });
        }
        Some(device)
    }

    fn remove(&mut self, id: DeviceId, learned: &mut Learned) {
        if let Some(device) = self.devices.get_mut(&id) {
            if device.present {
                learned
                    .changes
                    .push(MirrorChange::DeviceRemoved { device: id });
            }
            self.size = self.size.saturating_sub(device.size().saturating_sub(1));
            *device = MirroredDevice::absent(self.clock);
        } else {
            // A fetch that began earlier may still bring it.
            learned.fetch.push(Scope::Device(id));
        }
    }

    fn told_status(&mut self, devices: &[DeviceId], status: DeviceStatus, learned: &mut Learned) {
        for id in devices {
            let clock = self.clock;
            if let Some(device) = self.told_of(*id, learned) {
                device.set_status(*id, status, clock, learned);
            }
        }
    }

    fn set_link(&mut self, id: DeviceId, mut link: ResourceLink, learned: &mut Learned) {
        link.href = link.href.without_device(id);
        let (room, clock) = (self.size < self.max_size, self.clock);
        let Some(device) = self.devices.get_mut(&id) else {
            return;
        };
        let href = link.href.clone();
        let set = set(&mut device.links, &href, Some(link), clock, room);
        self.account(
            &set,
            MirrorChange::LinkPublished { device: id, href },
            learned,
        );
    }

    fn withdraw(&mut self, id: DeviceId, href: &Href, learned: &mut Learned) {
        let clock = self.clock;
        let Some(device) = self.devices.get_mut(&id) else {
            learned.fetch.push(Scope::Device(id));
            return;
        };
        // A fetch that began earlier may still bring the link: a tombstone stays of what is there, and for what is not yet
        // there another fetch says how it is.
        if device.links.contains_key(href) {
            let withdrawn = set(&mut device.links, href, None, clock, true);
            if device.representations.contains_key(href) {
                set(&mut device.representations, href, None, clock, true);
            }
            self.account(
                &withdrawn,
                MirrorChange::LinkWithdrawn {
                    device: id,
                    href: href.clone(),
                },
                learned,
            );
        } else if device.present {
            learned.fetch.push(Scope::Device(id));
        }
    }

    fn set_representation(
        &mut self,
        id: DeviceId,
        href: &Href,
        value: Value,
        learned: &mut Learned,
    ) {
        let (room, clock) = (self.size < self.max_size, self.clock);
        let Some(device) = self.devices.get_mut(&id) else {
            return;
        };
        let set = set(&mut device.representations, href, Some(value), clock, room);
        self.account(
            &set,
            MirrorChange::RepresentationChanged {
                device: id,
                href: href.clone(),
            },
            learned,
        );
    }

    fn representation(&self, id: DeviceId, href: &Href) -> Option<&Value> {
        self.device(id)?.representation(href)
    }

    fn has_link(&self, id: DeviceId, href: &Href) -> bool {
        let known = self.device(id).and_then(|device| device.links.get(href));
        known.is_some_and(|link| link.value.is_some())
    }

    fn account(&mut self, set: &Set, change: MirrorChange, learned: &mut Learned) {
        match set {
            Set::Same => {}
            Set::Changed => learned.changes.push(change),
            Set::Added => {
                self.size = self.size.saturating_add(1);
                learned.changes.push(change);
            }
            Set::NoRoom => learned.full = true,
        }
    }
}

impl MirroredDevice {
    /// The properties (`oic.wk.d`), once they were fetched.
    #[must_use]
    pub const fn properties(&self) -> Option<&DeviceProperties> {
        self.properties.as_ref()
    }

    /// Whether the device is online, once that is known.
    #[must_use]
    pub const fn status(&self) -> Option<DeviceStatus> {
        self.status.value
    }

    /// The links, by their hrefs without the device's prefix.
    pub fn links(&self) -> impl Iterator<Item = (&Href, &ResourceLink)> {
        self.links
            .iter()
            .filter_map(|(href, link)| Some((href, link.value.as_ref()?)))
    }

    /// The last known representations, by hrefs without the device's prefix.
    pub fn representations(&self) -> impl Iterator<Item = (&Href, &Value)> {
        self.representations
            .iter()
            .filter_map(|(href, value)| Some((href, value.value.as_ref()?)))
    }

    /// The last known representation of one resource.
    #[must_use]
    pub fn representation(&self, href: &Href) -> Option<&Value> {
        self.representations.get(href)?.value.as_ref()
    }

    const fn absent(since: Stamp) -> Self {
        Self {
            present: false,
            since,
            properties: None,
            status: Known {
                value: None,
                since: Stamp(0),
            },
            links: BTreeMap::new(),
            representations: BTreeMap::new(),
        }
    }

    fn size(&self) -> usize {
        self.links
            .len()
            .saturating_add(self.representations.len())
            .saturating_add(1)
    }

    fn set_status(
        &mut self,
        id: DeviceId,
        status: DeviceStatus,
        clock: Stamp,
        learned: &mut Learned,
    ) {
        if self.status.value != Some(status) {
            learned
                .changes
                .push(MirrorChange::DeviceStatus { device: id, status });
        }
        self.status = Known {
            value: Some(status),
            since: clock,
        };
    }
}

/// What setting an entry came to.
enum Set {
    Same,
    Changed,
    Added,
    NoRoom,
}

fn set<T: PartialEq>(
    map: &mut BTreeMap<Href, Known<T>>,
    href: &Href,
    value: Option<T>,
    clock: Stamp,
    room: bool,
) -> Set {
    match map.get_mut(href) {
        Some(known) => {
            let changed = known.value != value;
            *known = Known {
                value,
                since: clock,
            };
            if changed { Set::Changed } else { Set::Same }
        }
        None if room => {
            map.insert(
                href.clone(),
                Known {
                    value,
                    since: clock,
                },
            );
            Set::Added
        }
        None => Set::NoRoom,
    }
}

#[cfg(test)]
mod tests;
