//! What a device offers, in a form that devices of one model can share.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uci_model::{DeviceId, Href, ResourceLink};

use super::pool::Pool;

/// The links of one device, in the order of their hrefs.
///
/// What differs from device to device is not in them, so that they are the same for all devices of a model: the `di`, and an
/// anchor that is the device itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Links(Option<Arc<[Listed]>>);

/// One link without its device.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Listed {
    link: ResourceLink,
    /// Whether its anchor is the device.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    anchored: bool,
}

impl Listed {
    pub(super) fn new(device: DeviceId, link: &ResourceLink) -> Self {
        let mut link = link.clone();
        link.href = link.href.without_device(device);
        link.device_id = None;
        let anchored = link.anchor.as_deref() == Some(anchor(device).as_str());
        if anchored {
            link.anchor = None;
        }
        Self { link, anchored }
    }

    pub(super) fn href(&self) -> &Href {
        &self.link.href
    }

    /// The link as the interface lists it.
    pub(super) fn of_device(&self, device: DeviceId) -> ResourceLink {
        let mut link = self.link.clone().for_cloud(device);
        if self.anchored {
            link.anchor = Some(anchor(device));
        }
        link
    }
}

impl Links {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Listed> {
        self.0.iter().flat_map(|links| links.iter())
    }

    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |links| links.len())
    }

    pub(super) fn get(&self, href: &Href) -> Option<&Listed> {
        let links = self.0.as_ref()?;
        let at = links.binary_search_by(|listed| listed.href().cmp(href));
        links.get(at.ok()?)
    }

    /// Takes links in; one with an href that is there replaces it.
    pub(super) fn publish(&mut self, device: DeviceId, links: &[ResourceLink]) {
        let mut all: Vec<Listed> = self.iter().cloned().collect();
        for link in links {
            let listed = Listed::new(device, link);
            match all.binary_search_by(|known| known.href().cmp(listed.href())) {
                Ok(at) => {
                    if let Some(known) = all.get_mut(at) {
                        *known = listed;
                    }
                }
                Err(at) => all.insert(at, listed),
            }
        }
        *self = all.into();
    }

    /// Takes links out and returns those that were there.
    pub(super) fn withdraw(&mut self, hrefs: &[Href]) -> Vec<Listed> {
        let (withdrawn, left) = self
            .iter()
            .cloned()
            .partition::<Vec<Listed>, _>(|listed| hrefs.contains(listed.href()));
        *self = left.into();
        withdrawn
    }

    pub(super) fn share(&mut self, pool: &mut Pool<[Listed]>) {
        if let Some(links) = &mut self.0 {
            pool.share(links);
        }
    }
}

impl From<Vec<Listed>> for Links {
    fn from(links: Vec<Listed>) -> Self {
        Self((!links.is_empty()).then(|| links.into()))
    }
}

impl Serialize for Links {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_deref().unwrap_or_default().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Links {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

fn anchor(device: DeviceId) -> String {
    format!("ocf://{device}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(href: &str, device: DeviceId) -> ResourceLink {
        let mut link = ResourceLink::new(href.parse().unwrap(), Vec::new(), Vec::new());
        link.device_id = Some(device);
        link.anchor = Some(anchor(device));
        link
    }

    #[test]
    fn devices_of_one_model_have_equal_links_and_get_their_own_back() {
        let devices = [1, 2].map(|number| DeviceId::from_bytes([number; 16]));
        let [one, two] = devices.map(|device| {
            let mut links = Links::default();
            links.publish(device, &[link("/b", device), link("/a", device)]);
            links
        });
        assert_eq!(one, two);
        let listed: Vec<_> = two
            .iter()
            .map(|listed| listed.of_device(devices[1]))
            .collect();
        let own = |href| link(href, devices[1]).for_cloud(devices[1]);
        assert_eq!(listed, [own("/a"), own("/b")]);
    }

    #[test]
    fn an_anchor_elsewhere_is_kept() {
        let device = DeviceId::from_bytes([1; 16]);
        let mut foreign = link("/a", device);
        foreign.anchor = Some(anchor(DeviceId::from_bytes([2; 16])));
        let listed = Listed::new(device, &foreign);
        assert_eq!(listed.of_device(device), foreign.for_cloud(device));
    }

    #[test]
    fn publishing_replaces_and_withdrawing_removes() {
        let device = DeviceId::from_bytes([1; 16]);
        let mut links = Links::default();
        links.publish(device, &[link("/a", device), link("/c", device)]);
        let mut titled = link("/c", device);
        titled.anchor = None;
        links.publish(device, &[titled.clone(), link("/b", device)]);
        let hrefs: Vec<_> = links.iter().map(|listed| listed.href().as_str()).collect();
        assert_eq!(hrefs, ["/a", "/b", "/c"]);
        let known = links.get(&titled.href).unwrap();
        assert_eq!(*known, Listed::new(device, &titled));
        let gone = links.withdraw(&["/b".parse().unwrap(), "/x".parse().unwrap()]);
        assert_eq!(gone, [Listed::new(device, &link("/b", device))]);
        assert_eq!(links.len(), 2);
    }
}
