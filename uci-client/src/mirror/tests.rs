//! The mirror against what notifications and fetches say, in every order that can happen.

use std::collections::BTreeMap;

use proptest::prelude::*;
use uci_model::{
    Content, ContentFormat, Device, DeviceContentAll, DeviceId, DeviceProperties, DeviceStatus,
    Event, Href, Limits, ResourceContent, ResourceLink, Value,
};

use super::{Mirror, MirrorChange, Stamp};
use crate::ledger::Target;
use crate::sync::Scope;

fn mirror(max_size: usize) -> Mirror {
    Mirror::new(
        http::Uri::from_static("https://cloud.example/api/v1"),
        max_size,
    )
}

fn lamp() -> DeviceId {
    DeviceId::from_bytes([1; 16])
}

fn href() -> Href {
    "/light/1".parse().unwrap()
}

fn link() -> ResourceLink {
    ResourceLink::new(href().with_device(lamp()), Vec::new(), Vec::new())
}

fn fetched(links: Vec<ResourceLink>) -> Device {
    Device::new(DeviceProperties::new(lamp()), DeviceStatus::Offline, links)
}

fn note(mirror: &mut Mirror, target: &Target, event: &Event) -> super::Learned {
    mirror.note(target, event, &Limits::default())
}

fn on_device() -> Target {
    Target::Device { device: lamp() }
}

#[test]
fn a_device_that_is_only_named_is_fetched() {
    let mut mirror = mirror(100);
    let learned = note(
        &mut mirror,
        &Target::Devices,
        &Event::DevicesRegistered(vec![lamp()]),
    );
    assert_eq!(
        learned.changes,
        [MirrorChange::DeviceAdded { device: lamp() }]
    );
    assert_eq!(learned.fetch, [Scope::Device(lamp())]);
    let again = note(
        &mut mirror,
        &Target::Devices,
        &Event::DevicesRegistered(vec![lamp()]),
    );
    assert!(again.changes.is_empty() && again.fetch.is_empty());
}

#[test]
fn what_was_told_since_the_fetch_began_outlives_it() {
    let mut mirror = mirror(100);
    let since = mirror.now();
    note(
        &mut mirror,
        &Target::Devices,
        &Event::DevicesOnline(vec![lamp()]),
    );
    note(
        &mut mirror,
        &on_device(),
        &Event::ResourcesPublished(vec![link()]),
    );
    mirror.take_devices(vec![fetched(Vec::new())], since);
    let device = mirror.device(lamp()).unwrap();
    assert_eq!(device.status(), Some(DeviceStatus::Online));
    assert_eq!(device.links().count(), 1);
    // A fetch that begins now is newer than all of it.
    let since = mirror.now();
    mirror.take_devices(vec![fetched(Vec::new())], since);
    let device = mirror.device(lamp()).unwrap();
    assert_eq!(device.status(), Some(DeviceStatus::Offline));
    assert_eq!(device.links().count(), 0);
}

#[test]
fn what_was_withdrawn_since_the_fetch_began_does_not_come_back() {
    let mut mirror = mirror(100);
    mirror.take_device(fetched(vec![link()]), Stamp(0));
    let since = mirror.now();
    note(
        &mut mirror,
        &on_device(),
        &Event::ResourcesUnpublished(vec![link()]),
    );
    mirror.take_devices(vec![fetched(vec![link()])], since);
    assert_eq!(mirror.device(lamp()).unwrap().links().count(), 0);
    note(
        &mut mirror,
        &Target::Devices,
        &Event::DevicesUnregistered(vec![lamp()]),
    );
    mirror.take_devices(vec![fetched(vec![link()])], since);
    assert!(mirror.device(lamp()).is_none());
    mirror.forget_removed();
    assert_eq!(mirror.size, 0);
}

#[test]
fn what_a_fetch_under_way_may_still_bring_is_fetched_again_when_it_is_told_gone() {
    let mut mirror = mirror(100);
    let since = mirror.now();
    let gone = Event::DevicesUnregistered(vec![lamp()]);
    let learned = note(&mut mirror, &Target::Devices, &gone);
    assert_eq!(learned.fetch, [Scope::Device(lamp())]);
    mirror.take_devices(vec![fetched(vec![link()])], since);
    assert!(mirror.device(lamp()).is_some());
    let since = mirror.now();
    mirror.take_absence(lamp(), since);
    assert!(mirror.device(lamp()).is_none());

    let known = Event::DevicesRegistered(vec![lamp()]);
    note(&mut mirror, &Target::Devices, &known);
    let withdrawn = Event::ResourcesUnpublished(vec![link()]);
    let learned = note(&mut mirror, &on_device(), &withdrawn);
    assert_eq!(learned.fetch, [Scope::Device(lamp())]);
}

#[test]
fn a_full_mirror_says_so_and_keeps_what_it_has() {
    let mut mirror = mirror(1);
    mirror.take_device(fetched(Vec::new()), Stamp(0));
    let target = Target::Resource {
        device: lamp(),
        href: href(),
    };
    let content = Content::new(ContentFormat::Json, "{}".into());
    let learned = note(
        &mut mirror,
        &target,
        &Event::ResourceContentChanged(content),
    );
    assert!(learned.full && learned.changes.is_empty());
    assert!(
        mirror
            .take_representation(lamp(), &href(), Value::Null, mirror.now())
            .full
    );
    assert!(mirror.device(lamp()).is_some());
}

fn on_light() -> Target {
    Target::Resource {
        device: lamp(),
        href: href(),
    }
}

fn changed() -> Event {
    Event::ResourceContentChanged(Content::new(ContentFormat::Json, "{}".into()))
}

#[test]
fn a_representation_told_after_its_link_was_withdrawn_is_dropped_by_the_fetch_that_it_causes() {
    let mut mirror = mirror(100);
    mirror.take_device(fetched(vec![link()]), Stamp(0));
    let withdrawn = Event::ResourcesUnpublished(vec![link()]);
    note(&mut mirror, &on_device(), &withdrawn);
    let learned = note(&mut mirror, &on_light(), &changed());
    assert_eq!(learned.fetch, [Scope::Device(lamp())]);
    let since = mirror.now();
    mirror.take_device(fetched(Vec::new()), since);
    assert_eq!(mirror.device(lamp()).unwrap().representations().count(), 0);
}

#[test]
fn a_link_told_after_its_representation_has_it_fetched_again() {
    let mut mirror = mirror(100);
    mirror.take_device(fetched(vec![link()]), Stamp(0));
    note(&mut mirror, &on_light(), &changed());
    // Withdrawn and published again before that was told: only the fetch still knows the representation.
    let withdrawn = Event::ResourcesUnpublished(vec![link()]);
    note(&mut mirror, &on_device(), &withdrawn);
    let published = Event::ResourcesPublished(vec![link()]);
    let learned = note(&mut mirror, &on_device(), &published);
    assert_eq!(learned.fetch, [Scope::Device(lamp())]);
}

#[test]
fn a_device_told_of_since_the_fetch_that_misses_it_is_fetched_again() {
    let mut mirror = mirror(100);
    mirror.take_device(fetched(vec![link()]), Stamp(0));
    let since = mirror.now();
    note(&mut mirror, &on_light(), &changed());
    let learned = mirror.take_absence(lamp(), since);
    assert_eq!(learned.fetch, [Scope::Device(lamp())]);
    assert!(mirror.device(lamp()).is_some());
    let learned = mirror.take_absence(lamp(), mirror.now());
    assert!(learned.fetch.is_empty() && mirror.device(lamp()).is_none());
}

/// What is true at the peer: of each device whether it is online, and its linked resources with their representations.
type Truth = BTreeMap<u8, (bool, BTreeMap<u8, bool>)>;

/// Something that happens, to the devices or to the mirror.
#[derive(Clone, Debug)]
enum Step {
    Device(u8, bool),
    Status(u8, bool),
    Link(u8, u8, bool),
    Change(u8, u8, bool),
    /// A fetch of everything begins, its answer is made, and the mirror takes it.
    Begin,
    Answer,
    Take,
}

fn step() -> impl Strategy<Value = Step> {
    let (device, href) = (|| 0..2_u8, || 0..2_u8);
    prop_oneof![
        (device(), any::<bool>()).prop_map(|(device, there)| Step::Device(device, there)),
        (device(), any::<bool>()).prop_map(|(device, online)| Step::Status(device, online)),
        (device(), href(), any::<bool>())
            .prop_map(|(device, href, there)| Step::Link(device, href, there)),
        (device(), href(), any::<bool>())
            .prop_map(|(device, href, value)| Step::Change(device, href, value)),
        Just(Step::Begin),
        Just(Step::Answer),
        Just(Step::Take),
    ]
}

fn device_of(number: u8) -> DeviceId {
    DeviceId::from_bytes([number; 16])
}

fn href_of(number: u8) -> Href {
    format!("/light/{number}").parse().unwrap()
}

fn link_of(device: u8, href: u8) -> ResourceLink {
    let href = href_of(href).with_device(device_of(device));
    ResourceLink::new(href, Vec::new(), Vec::new())
}

/// Changes the truth; what a notification says of it, and what it is about.
fn happen(truth: &mut Truth, step: &Step) -> Option<(Target, Event)> {
    let told = match *step {
        Step::Device(device, true) => {
            truth.entry(device).or_default();
            (
                Target::Devices,
                Event::DevicesRegistered(vec![device_of(device)]),
            )
        }
        Step::Device(device, false) => {
            truth.remove(&device)?;
            (
                Target::Devices,
                Event::DevicesUnregistered(vec![device_of(device)]),
            )
        }
        Step::Status(device, online) => {
            truth.get_mut(&device)?.0 = online;
            let devices = vec![device_of(device)];
            let event = if online {
                Event::DevicesOnline(devices)
            } else {
                Event::DevicesOffline(devices)
            };
            (Target::Devices, event)
        }
        Step::Link(device, href, there) => {
            let links = &mut truth.get_mut(&device)?.1;
            let link = vec![link_of(device, href)];
            let event = if there {
                links.entry(href).or_default();
                Event::ResourcesPublished(link)
            } else {
                links.remove(&href)?;
                Event::ResourcesUnpublished(link)
            };
            let device = device_of(device);
            (Target::Device { device }, event)
        }
        Step::Change(device, href, value) => {
            *truth.get_mut(&device)?.1.get_mut(&href)? = value;
            let (device, href) = (device_of(device), href_of(href));
            let content = Content::new(ContentFormat::Json, value.to_string().into());
            (
                Target::Resource { device, href },
                Event::ResourceContentChanged(content),
            )
        }
        Step::Begin | Step::Answer | Step::Take => return None,
    };
    Some(told)
}

/// Lets the mirror take the answer to a fetch that began at `since`.
fn take(mirror: &mut Mirror, truth: &Truth, since: Stamp) {
    let status = |online| match online {
        true => DeviceStatus::Online,
        false => DeviceStatus::Offline,
    };
    let of = |number: u8| DeviceProperties::new(device_of(number));
    let base = truth.iter().map(|(device, (online, links))| {
        let links = links.keys().map(|href| link_of(*device, *href));
        Device::new(of(*device), status(*online), links.collect())
    });
    let all = truth.iter().map(|(device, (online, links))| {
        let links = links.iter().map(|(href, value)| {
            let href = href_of(*href).with_device(device_of(*device));
            ResourceContent::new(href, Value::Bool(*value))
        });
        DeviceContentAll::new(of(*device), status(*online), links.collect())
    });
    mirror.take_devices(base.collect(), since);
    mirror.take_contents(all.collect(), since);
}

/// The mirror as the truth is written; a device of which nothing is known counts as offline.
fn mirrored(mirror: &Mirror) -> Truth {
    let number = |text: &str| text.rsplit('/').next().unwrap().parse().unwrap();
    let devices = mirror.devices().map(|(id, device)| {
        let links = device.links().map(|(href, _)| {
            let value = device.representation(href).and_then(Value::as_bool);
            (number(href.as_str()), value.unwrap())
        });
        let online = device.status() == Some(DeviceStatus::Online);
        (id.to_bytes()[0], (online, links.collect()))
    });
    devices.collect()
}

proptest! {
    #[test]
    fn whatever_was_lost_and_however_fetches_were_overtaken_the_next_fetch_brings_the_truth(
        steps in prop::collection::vec((step(), any::<bool>()), 0..40),
    ) {
        let (mut mirror, mut truth) = (mirror(100), Truth::new());
        let (mut begun, mut answer) = (None, None);
        for (step, told) in steps {
            match step {
                Step::Begin => (begun, answer) = (Some(mirror.now()), None),
                Step::Answer => answer = begun.map(|since| (truth.clone(), since)),
                Step::Take => {
                    if let Some((truth, since)) = answer.take() {
                        take(&mut mirror, &truth, since);
                        (begun, answer) = (None, None);
                        mirror.forget_removed();
                    }
                }
                step => {
                    if let Some((target, event)) = happen(&mut truth, &step).filter(|_| told) {
                        note(&mut mirror, &target, &event);
                    }
                }
            }
            let size: usize = mirror.devices.values().map(super::MirroredDevice::size).sum();
            prop_assert_eq!(mirror.size, size);
        }
        let since = mirror.now();
        take(&mut mirror, &truth, since);
        prop_assert_eq!(mirrored(&mirror), truth);
    }
}
