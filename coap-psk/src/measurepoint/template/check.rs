//! What a template may hold. What passes makes links and representations that every cloud of the family takes.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;

use super::{Description, MAX_WITHDRAWN, Property, Resource};

/// The most resources.
const MAX_RESOURCES: usize = 64;
/// The most properties of a resource.
const MAX_PROPERTIES: usize = 64;
/// The most resource types of one resource, or of the device.
const MAX_TYPES: usize = 8;
/// The most bytes of an href. (OCF's link schema has 256, of which a cloud needs 37.)
const MAX_HREF_LEN: usize = 128;
/// The most bytes of all other texts.
const MAX_TEXT_LEN: usize = 64;
/// The interfaces that only read.
const INTERFACES: [&str; 3] = ["oic.if.baseline", "oic.if.r", "oic.if.s"];
/// What a link says of its resource is no property that a point feeds.
const OF_THE_LINK: [&str; 2] = ["rt", "if"];
/// Where devices have what the cloud itself asks for, and where they reach the cloud.
const TAKEN: [&str; 3] = ["oic", "topic", "auth"];

pub(super) fn parts(
    device: &Description,
    resources: &[Resource],
    withdrawn: &[String],
) -> Result<(), String> {
    check_device(device)?;
    if resources.is_empty() || resources.len() > MAX_RESOURCES {
        return Err(format!("it has no resource, or more than {MAX_RESOURCES}"));
    }
    if withdrawn.len() > MAX_WITHDRAWN {
        return Err(format!("it withdraws more than {MAX_WITHDRAWN} links"));
    }
    let mut hrefs = BTreeSet::new();
    let offered = resources.iter().map(|resource| &resource.href);
    for href in offered.chain(withdrawn) {
        if !is_href(href) {
            return Err(format!("{href:?} is not an href that a device can have"));
        }
        if !hrefs.insert(href) {
            return Err(format!("{href} occurs twice"));
        }
    }
    resources.iter().try_for_each(check_resource)
}

fn check_device(device: &Description) -> Result<(), String> {
    let names = [&device.name, &device.manufacturer];
    let is_name = |text: &&String| {
        !text.is_empty() && text.len() <= MAX_TEXT_LEN && !text.chars().any(char::is_control)
    };
    if !names.into_iter().flatten().all(|name| is_name(&name)) {
        return Err(format!(
            "the names in device have 1 to {MAX_TEXT_LEN} bytes without control characters"
        ));
    }
    if device.types.len() > MAX_TYPES || !device.types.iter().all(|text| is_plain(text)) {
        return Err(format!(
            "device has more than {MAX_TYPES} types, or one that is none"
        ));
    }
    Ok(())
}

fn check_resource(resource: &Resource) -> Result<(), String> {
    let Resource {
        href,
        types,
        interfaces,
        properties,
    } = resource;
    if !(1..=MAX_TYPES).contains(&types.len()) || !types.iter().all(|text| is_plain(text)) {
        return Err(format!(
            "{href} has no type, more than {MAX_TYPES}, or one that is none"
        ));
    }
    let known = |interface: &String| INTERFACES.contains(&interface.as_str());
    let distinct: BTreeSet<_> = interfaces.iter().collect();
    if interfaces.is_empty() || distinct.len() != interfaces.len() || !interfaces.iter().all(known)
    {
        return Err(format!(
            "{href} has other interfaces than {}",
            INTERFACES.join(", ")
        ));
    }
    if properties.is_empty() || properties.len() > MAX_PROPERTIES {
        return Err(format!(
            "{href} has no property, or more than {MAX_PROPERTIES}"
        ));
    }
    for Property { name, point, .. } in properties {
        if !is_plain(name) || OF_THE_LINK.contains(&name.as_str()) {
            return Err(format!("{href}: {name:?} is not the name of a property"));
        }
        if !is_plain(point) {
            return Err(format!("{href}: {point:?} is not the name of a point"));
        }
    }
    Ok(())
}

/// Whether a text is visible ASCII that stands in JSON as it is.
fn is_plain(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    (1..=MAX_TEXT_LEN).contains(&text.len()) && text.bytes().all(fits)
}

fn is_href(href: &str) -> bool {
    let Some(path) = href.strip_prefix('/') else {
        return false;
    };
    let is_segment = |segment: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        !matches!(segment, "" | "." | "..") && segment.bytes().all(fits)
    };
    let first = path.split('/').next().unwrap_or_default();
    href.len() <= MAX_HREF_LEN && path.split('/').all(is_segment) && !TAKEN.contains(&first)
}
