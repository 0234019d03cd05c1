//! Measurement points: what a device says of itself without OCF, and which OCF resources that feeds. (EnOS, upstream)
//!
//! A device posts readings by the names of its measurement points, in a JSON envelope: [`request`] and [`Post`]. The cloud finds
//! the device with [`device_of`], reads the envelope with [`Post::from_json`], and has the [`Template`] of the device's product say
//! which properties of which resources have new values. The answer is 2.04 with [`Post::to_answer`]; every error has an empty
//! payload.
//!
//! ```
//! use coap_psk::measurepoint::{self, Limits, Post, Scalar, Template};
//! use coap_psk::{Method, Request};
//!
//! let template = Template::from_json(br#"{"resources":[{
//!     "href": "/temperature", "rt": ["oic.r.temperature"], "if": ["oic.if.s", "oic.if.baseline"],
//!     "properties": {"temperature": {"point": "temp", "type": "number", "scale": 0.1}}
//! }]}"#)?;
//!
//! let payload = br#"{"id":"7","version":"1.0","method":"thing.measurepoint.post","params":{"measurepoints":{"temp":215}}}"#;
//! let request = Request::new(Method::Post, "/topic/sys/MuGsF6W4/15bBZlRknc/thing/measurepoint/post")?
//!     .with_payload(50, &payload[..]);
//! let device = measurepoint::device_of(&request).ok_or("another request")?;
//! assert_eq!(device.to_string(), "MuGsF6W4,15bBZlRknc");
//!
//! let post = Post::from_json(&request.payload, &Limits::default())?;
//! let updates = template.updates(&post)?;
//! assert_eq!(updates[0].href, "/temperature");
//! assert_eq!(updates[0].properties, [("temperature", Scalar::Number(21.5))]);
//! assert_eq!(post.to_answer()?, br#"{"id":"7","code":200,"data":{}}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where the EnOS pages are silent
//!
//! A post is taken whole or not at all: one with a point that the template does not name, or with a value of another type than the
//! template says, is refused, as EnOS refuses a batch of which a part is wrong. Members that the pages do not name, names that occur
//! twice, and a post without any point are refused, too. `time` must be a time, and is not used: what is posted last counts. `quality`
//! must be 0 to 9, and is not used. Arrays and structures feed no property.

mod mapping;
mod object;
mod post;
mod template;
mod value;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::Error;
use crate::identity::{DeviceKey, DeviceName, ProductKey};
use crate::message::Method;
use crate::request::Request;

pub use mapping::Update;
pub use post::{Limits, MessageId, Post, Reading};
pub use template::{Description, Kind, MAX_TEMPLATE_LEN, Property, Resource, Template};
pub use value::{MAX_TEXT_LEN, Scalar};

/// CoAP's number of JSON. (RFC 7252, 12.3)
const JSON: u16 = 50;

/// The path to which a device posts its readings.
#[must_use]
pub fn path(device: &DeviceName) -> String {
    format!(
        "/topic/sys/{}/{}/thing/measurepoint/post",
        device.product_key(),
        device.device_key()
    )
}

/// The request by which a device posts its readings.
///
/// # Errors
/// [`ErrorKind::Measurement`](crate::ErrorKind::Measurement) when the post cannot be written.
pub fn request(device: &DeviceName, post: &Post) -> Result<Request, Error> {
    Ok(Request::new(Method::Post, &path(device))?.with_payload(JSON, post.to_json()?))
}

/// The device in whose name a request is about the readings of one, whatever its method; `None` for every other path, and when
/// there is a query.
#[must_use]
pub fn device_of(request: &Request) -> Option<DeviceName> {
    let segments: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let [
        "topic",
        "sys",
        product,
        device,
        "thing",
        "measurepoint",
        "post",
    ] = segments.as_slice()
    else {
        return None;
    };
    if !request.query.is_empty() {
        return None;
    }
    Some(DeviceName::new(
        product.parse::<ProductKey>().ok()?,
        device.parse::<DeviceKey>().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_names_the_device_and_nothing_else_does() {
        let device = DeviceName::new("MuGsF6W4".parse().unwrap(), "15bBZlRknc".parse().unwrap());
        let found = |target: &str| device_of(&Request::new(Method::Post, target).unwrap());
        assert_eq!(found(&path(&device)), Some(device));
        for target in [
            "/topic/sys/MuGsF6W4/15bBZlRknc/thing/measurepoint/post/",
            "/topic/sys/MuGsF6W4/15bBZlRknc/thing/measurepoint/post/batch",
            "/topic/sys/MuGsF6W4/15bBZlRknc/thing/measurepoint/post?x",
            "/topic/sys/MuGsF6W4/15bBZlRknc/thing/measurepoint/resume",
            "/topic/sys/MuGsF6W4/15b/thing/measurepoint/post",
            "/topic/sys//15bBZlRknc/thing/measurepoint/post",
            "/topic/ext/session/MuGsF6W4/15bBZlRknc/thing/measurepoint/post",
            "/sys/MuGsF6W4/15bBZlRknc/thing/measurepoint/post",
            "/",
        ] {
            assert_eq!(found(target), None, "{target}");
        }
    }
}
