//! From a method and a path to an endpoint of the OCF Cloud API for Cloud Services.
//!
//! A link href holds slashes and may itself end in `/subscriptions`, so no path template decides: this is a table over the
//! segments after `/api/v1/devices`, one column a method.
//!
//! ```text
//! segments                     GET              POST                DELETE
//! (none)                       devices          405                 405
//! subscriptions                405              subscribe           405
//! subscriptions S              405              405                 unsubscribe
//! D                            device           405                 405
//! D subscriptions              resource         subscribe           405
//! D subscriptions S            resource         update              unsubscribe
//! D h.. subscriptions          resource         subscribe           405
//! D h.. subscriptions S        resource         update              unsubscribe (404 unless S is a UUID)
//! D h..                        resource         update              405
//! ```
//!
//! Beside them `/api/v1/openapi.json` describes all this.

use http::Method;
use uci_model::{DeviceId, Href, SubscriptionId};

mod path;

use path::Segment;

pub use path::PathError;

/// The segments before all others, after any public prefix.
const BASE: &[&str] = &["api", "v1"];
/// Where all devices are.
const DEVICES: &str = "devices";
/// The description.
const DESCRIPTION: &str = "openapi.json";
/// The reserved segment.
const SUBSCRIPTIONS: &str = "subscriptions";

/// An endpoint with what its path says.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Route {
    /// `GET /openapi.json`, the description, for which no credentials are needed.
    RetrieveDescription,
    /// `GET /devices`
    RetrieveDevices,
    /// `GET /devices/{deviceId}`
    RetrieveDevice {
        /// The device.
        device: DeviceId,
    },
    /// `GET /devices/{deviceId}/{resourceLinkHref}`
    RetrieveResource {
        /// The device.
        device: DeviceId,
        /// The resource on it.
        href: Href,
    },
    /// `POST /devices/{deviceId}/{resourceLinkHref}`
    UpdateResource {
        /// The device.
        device: DeviceId,
        /// The resource on it.
        href: Href,
    },
    /// `POST .../subscriptions` at one of the three levels.
    Subscribe {
        /// What is subscribed to.
        target: Target,
    },
    /// `DELETE .../subscriptions/{subscriptionId}` at one of the three levels.
    Unsubscribe {
        /// What the path says it was subscribed to.
        target: Target,
        /// The subscription.
        subscription: SubscriptionId,
    },
}

pub use crate::account::Target;

/// A path or a method leads nowhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// 400: the path itself is wrong.
    #[error("the path is malformed")]
    Malformed(#[source] PathError),
    /// 404: nothing of that name can exist.
    #[error("no such path")]
    NotFound,
    /// 405: the path exists, the method does not.
    #[error("the method is not allowed here")]
    MethodNotAllowed {
        /// What is allowed, as the `Allow` header has it.
        allow: &'static str,
    },
}

/// Finds the endpoint of a request target's path (no query) below `prefix`.
///
/// Repeated and trailing slashes mean nothing, `%2F` is a slash, and a device id that is doubled (`/devices/D/D/light`, what a
/// client makes that appends a link's href to the device's address) counts once.
///
/// # Errors
/// [`RouteError`] says which status answers.
pub fn route(prefix: &str, method: &Method, path: &str) -> Result<Route, RouteError> {
    if path.len() > path::MAX_PATH {
        return Err(RouteError::Malformed(PathError::TooLong));
    }
    let path = path::with_plain_slashes(path);
    let segments = path::segments(&path).map_err(RouteError::Malformed)?;
    let prefix = prefix.split('/').filter(|segment| !segment.is_empty());
    let mut rest = segments.as_slice();
    for expected in prefix.chain(BASE.iter().copied()) {
        match rest.split_first() {
            Some((first, tail)) if first.text == expected => rest = tail,
            _ => return Err(RouteError::NotFound),
        }
    }
    match rest.split_first() {
        Some((first, [])) if first.text == DESCRIPTION => {
            by_method(method, Some(Route::RetrieveDescription), None, None)
        }
        Some((first, rest)) if first.text == DEVICES => below_devices(method, rest),
        _ => Err(RouteError::NotFound),
    }
}

/// `/devices...`
fn below_devices(method: &Method, rest: &[Segment<'_>]) -> Result<Route, RouteError> {
    let Some((first, rest)) = rest.split_first() else {
        return by_method(method, Some(Route::RetrieveDevices), None, None);
    };
    if first.text == SUBSCRIPTIONS {
        return devices_level(method, rest);
    }
    let Ok(device) = first.text.parse::<DeviceId>() else {
        return Err(RouteError::NotFound);
    };
    below_device(method, device, rest)
}

/// `/devices/subscriptions...`
fn devices_level(method: &Method, rest: &[Segment<'_>]) -> Result<Route, RouteError> {
    match rest {
        [] => by_method(
            method,
            None,
            Some(Route::Subscribe {
                target: Target::Devices,
            }),
            None,
        ),
        [id] => {
            let unsubscribe = |subscription| Route::Unsubscribe {
                target: Target::Devices,
                subscription,
            };
            // An id that is no UUID names no subscription; other methods are refused whatever it is.
            match id.text.parse() {
                Ok(subscription) => by_method(method, None, None, Some(unsubscribe(subscription))),
                Err(_) if method == Method::DELETE => Err(RouteError::NotFound),
                Err(_) => Err(RouteError::MethodNotAllowed { allow: "DELETE" }),
            }
        }
        _ => Err(RouteError::NotFound),
    }
}

/// `/devices/{deviceId}...`
fn below_device(
    method: &Method,
    device: DeviceId,
    rest: &[Segment<'_>],
) -> Result<Route, RouteError> {
    let rest = match rest.split_first() {
        Some((first, tail)) if first.text.parse() == Ok(device) => tail,
        _ => rest,
    };
    let get = match href_of(rest)? {
        None => return by_method(method, Some(Route::RetrieveDevice { device }), None, None),
        Some(href) => Route::RetrieveResource { device, href },
    };
    let (post, delete) = match rest {
        [href @ .., last] if last.text == SUBSCRIPTIONS => (
            Route::Subscribe {
                target: target(device, href)?,
            },
            None,
        ),
        [href @ .., middle, id] if middle.text == SUBSCRIPTIONS => {
            let unsubscribe = match id.text.parse() {
                Ok(subscription) => Some(Route::Unsubscribe {
                    target: target(device, href)?,
                    subscription,
                }),
                // As at the level of all devices: an id that is no UUID names no subscription.
                Err(_) if method == Method::DELETE => return Err(RouteError::NotFound),
                Err(_) => None,
            };
            (update(device, rest)?, unsubscribe)
        }
        _ => (update(device, rest)?, None),
    };
    by_method(method, Some(get), Some(post), delete)
}

fn update(device: DeviceId, segments: &[Segment<'_>]) -> Result<Route, RouteError> {
    let href = href_of(segments)?.ok_or(RouteError::NotFound)?;
    Ok(Route::UpdateResource { device, href })
}

fn target(device: DeviceId, href: &[Segment<'_>]) -> Result<Target, RouteError> {
    Ok(match href_of(href)? {
        None => Target::Device(device),
        Some(href) => Target::Resource(device, href),
    })
}

/// The href that the segments make; `None` when there are none.
fn href_of(segments: &[Segment<'_>]) -> Result<Option<Href>, RouteError> {
    if segments.is_empty() {
        return Ok(None);
    }
    let path: String = segments
        .iter()
        .flat_map(|segment| ["/", segment.raw])
        .collect();
    // What is not an href at all (too long, say) names no resource.
    path.parse().map(Some).map_err(|_| RouteError::NotFound)
}

/// Picks the method's route, or says which methods there are.
fn by_method(
    method: &Method,
    get: Option<Route>,
    post: Option<Route>,
    delete: Option<Route>,
) -> Result<Route, RouteError> {
    let allow = match (get.is_some(), post.is_some(), delete.is_some()) {
        (true, true, true) => "GET, POST, DELETE",
        (true, true, false) => "GET, POST",
        (true, false, _) => "GET",
        (false, true, _) => "POST",
        (false, false, _) => "DELETE",
    };
    let chosen = match *method {
        Method::GET => get,
        Method::POST => post,
        Method::DELETE => delete,
        _ => None,
    };
    chosen.ok_or(RouteError::MethodNotAllowed { allow })
}
