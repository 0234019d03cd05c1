//! What the goals work on: devices as a cloud lists them.

use uci_model::{
    Content, ContentFormat, Device, DeviceId, DeviceProperties, DeviceStatus, Href, Interface,
    Limits, ResourceLink,
};

/// How many kinds of devices there are; devices of a kind have the same links.
const MODELS: usize = 300;

/// Bounds that a list of a thousand devices fits.
pub(super) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_items = 1 << 20;
    limits.max_length = 16 << 20;
    limits
}

pub(super) fn device_id(number: usize) -> DeviceId {
    DeviceId::from_bytes((0xd000_0000_0000_4000_8000 << 48 | number as u128).to_be_bytes())
}

pub(super) fn properties(number: usize) -> DeviceProperties {
    let mut properties = DeviceProperties::new(device_id(number));
    properties.name = format!("Device number {number:08}");
    properties
}

pub(super) fn href(device: usize, index: usize) -> Href {
    let model = device % MODELS;
    let text = format!("/model{model}/resource{index}");
    text.parse().expect("an href")
}

/// The links of one device, as it publishes them.
pub(super) fn links(device: usize, count: usize) -> Vec<ResourceLink> {
    let link = |index: usize| {
        let types = vec!["oic.r.switch.binary".parse().expect("a type")];
        let interfaces = vec![Interface::ACTUATOR, Interface::BASELINE];
        let mut link = ResourceLink::new(href(device, index), types, interfaces);
        link.policy.bits = 3;
        link
    };
    (0..count).map(link).collect()
}

/// The answer to `GET /devices` for so many devices of so many links each.
pub(super) fn list(devices: usize, links_each: usize, format: ContentFormat) -> Content {
    let device = |number: usize| {
        let id = device_id(number);
        let links = links(number, links_each).into_iter();
        let links = links.map(|link| link.for_cloud(id)).collect();
        Device::new(properties(number), DeviceStatus::Online, links)
    };
    let devices: Vec<Device> = (0..devices).map(device).collect();
    Content::encode(format, &devices).expect("writable")
}
