//! The mirror against what notifications and fetches say, in every order that can happen.

use uci_model::{
    Content, ContentFormat, Device, DeviceId, DeviceProperties, DeviceStatus, Event, Href, Limits,
    ResourceLink, Value,
};

use super::{Mirror, MirrorChange, Stamp};
use crate::ledger::Target;
use crate::sync::Scope;

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
    let mut mirror = Mirror::new(100);
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
    let mut mirror = Mirror::new(100);
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
    let mut mirror = Mirror::new(100);
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
fn a_full_mirror_says_so_and_keeps_what_it_has() {
    let mut mirror = Mirror::new(1);
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
    let mut mirror = Mirror::new(100);
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
    let mut mirror = Mirror::new(100);
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
    let mut mirror = Mirror::new(100);
    mirror.take_device(fetched(vec![link()]), Stamp(0));
    let since = mirror.now();
    note(&mut mirror, &on_light(), &changed());
    let learned = mirror.take_absence(lamp(), since);
    assert_eq!(learned.fetch, [Scope::Device(lamp())]);
    assert!(mirror.device(lamp()).is_some());
    let learned = mirror.take_absence(lamp(), mirror.now());
    assert!(learned.fetch.is_empty() && mirror.device(lamp()).is_none());
}
