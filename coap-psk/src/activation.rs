//! Dynamic activation: a device that knows only its product's secret asks for its own. (EnOS, SecureMode 3)
//!
//! The device opens a session with an identity of [`SecureMode::ProductSecret`](crate::SecureMode::ProductSecret), sends
//! [`request`] and reads the answer with [`ActivateInfo::from_json`]. It keeps the secret and comes back with
//! [`SecureMode::DeviceSecret`](crate::SecureMode::DeviceSecret). The cloud finds the device with [`device_of`] and answers
//! with [`ActivateInfo::to_json`].
//!
//! The endpoint lets such a session do nothing else: every other request on it gets 4.03, and it lives for a minute.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::identity::{DeviceKey, DeviceName, ProductKey};
use crate::message::Method;
use crate::request::Request;
use crate::secret::DeviceSecret;

/// The method of the activation message.
const METHOD: &str = "thing.activate.info";
/// The version of the activation message.
const VERSION: &str = "1.0";

/// The path that a device asks for its secret.
#[must_use]
pub fn path(device: &DeviceName) -> String {
    format!(
        "/topic/ext/session/{}/{}/thing/activate/info",
        device.product_key(),
        device.device_key()
    )
}

/// The request by which a device asks for its secret.
///
/// # Errors
/// None in practice: every device name makes a path.
pub fn request(device: &DeviceName) -> Result<Request, Error> {
    Request::new(Method::Get, &path(device))
}

/// The device whose secret a request asks for; `None` when it is another kind of request.
#[must_use]
pub fn device_of(request: &Request) -> Option<DeviceName> {
    let segments: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let [
        "topic",
        "ext",
        "session",
        product,
        device,
        "thing",
        "activate",
        "info",
    ] = segments.as_slice()
    else {
        return None;
    };
    if request.method != Method::Get || !request.query.is_empty() {
        return None;
    }
    Some(DeviceName::new(
        product.parse::<ProductKey>().ok()?,
        device.parse::<DeviceKey>().ok()?,
    ))
}

/// Whether a session that is there to activate `device` may send this request.
#[must_use]
pub fn permits(device: &DeviceName, request: &Request) -> bool {
    device_of(request).as_ref() == Some(device)
}

/// The answer: what the device is to keep.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ActivateInfo {
    /// The id of the message.
    pub id: String,
    /// The id of the device's asset.
    pub asset_id: String,
    /// The device.
    pub device: DeviceName,
    /// Its secret.
    pub device_secret: DeviceSecret,
}

impl ActivateInfo {
    /// An answer.
    #[must_use]
    pub const fn new(
        id: String,
        asset_id: String,
        device: DeviceName,
        device_secret: DeviceSecret,
    ) -> Self {
        Self {
            id,
            asset_id,
            device,
            device_secret,
        }
    }

    /// As JSON, for the payload of the answer.
    ///
    /// # Errors
    /// [`ErrorKind::Activation`] when it cannot be written.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        let body = Body {
            id: self.id.clone(),
            version: VERSION.to_owned(),
            method: METHOD.to_owned(),
            params: Params {
                asset_id: self.asset_id.clone(),
                product_key: self.device.product_key().to_string(),
                device_key: self.device.device_key().to_string(),
                device_secret: Zeroizing::new(self.device_secret.expose().to_owned()),
            },
        };
        serde_json::to_vec(&body).map_err(|error| Error::with_source(ErrorKind::Activation, error))
    }

    /// Reads the payload of an answer.
    ///
    /// # Errors
    /// [`ErrorKind::Activation`] when it is not JSON of the expected form, or names a device or a secret that cannot be one.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        // The source of such an error would quote the input, which holds a secret.
        let body: Body = serde_json::from_slice(json).map_err(|_| ErrorKind::Activation)?;
        if body.method != METHOD {
            return Err(ErrorKind::Activation.into());
        }
        let mut params = body.params;
        let refuse = |error| Error::with_source(ErrorKind::Activation, error);
        let product_key = ProductKey::try_from(params.product_key).map_err(refuse)?;
        let device_key = DeviceKey::try_from(params.device_key).map_err(refuse)?;
        let device_secret =
            DeviceSecret::new(core::mem::take(&mut *params.device_secret)).map_err(refuse)?;
        Ok(Self::new(
            body.id,
            params.asset_id,
            DeviceName::new(product_key, device_key),
            device_secret,
        ))
    }
}

#[derive(Deserialize, Serialize)]
struct Body {
    id: String,
    version: String,
    method: String,
    params: Params,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Params {
    asset_id: String,
    product_key: String,
    device_key: String,
    #[serde(with = "secret_text")]
    device_secret: Zeroizing<String>,
}

/// Serde for a text that is wiped; `zeroize` leaves that to its users.
mod secret_text {
    use super::{String, Zeroizing};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        text: &Zeroizing<String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Zeroizing<String>, D::Error> {
        String::deserialize(deserializer).map(Zeroizing::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn device() -> DeviceName {
        DeviceName::new("MuGsF6W4".parse().unwrap(), "15bBZlRknc".parse().unwrap())
    }

    fn info() -> ActivateInfo {
        let secret = DeviceSecret::new("M3yy874uGY8INjEGddTR").unwrap();
        ActivateInfo::new("1".into(), "tzeZLNxY".into(), device(), secret)
    }

    #[test]
    fn a_session_may_ask_for_its_own_device_and_nothing_else() {
        let own = request(&device()).unwrap();
        assert!(permits(&device(), &own));
        for target in [
            "/topic/ext/session/MuGsF6W4/15bBZlRknd/thing/activate/info",
            "/topic/ext/session/MuGsF6W5/15bBZlRknc/thing/activate/info",
            "/topic/ext/session/MuGsF6W4/15bBZlRknc/thing/activate/info/",
            "/topic/ext/session/MuGsF6W4/15bBZlRknc/thing/activate",
            "/topic/ext/session/MuGsF6W4/15bBZlRknc/thing/activate/info?x",
            "/topic/sys/MuGsF6W4/15bBZlRknc/thing/activate/info",
            "/",
        ] {
            assert!(
                !permits(&device(), &Request::new(Method::Get, target).unwrap()),
                "{target}"
            );
        }
        assert!(!permits(
            &device(),
            &Request {
                method: Method::Post,
                ..own
            }
        ));
    }

    #[test]
    fn the_answer_is_read_as_it_was_written() {
        let json = info().to_json().unwrap();
        assert_eq!(ActivateInfo::from_json(&json).unwrap(), info());
    }

    #[test]
    fn an_answer_of_another_form_is_refused_without_quoting_it() {
        for json in [
            &br#"{"id":"1","version":"1.0","method":"thing.other","params":{"assetId":"a","productKey":"p","deviceKey":"four","deviceSecret":"M3yy874uGY8INjEGddTR"}}"#[..],
            br#"{"id":"1","version":"1.0","method":"thing.activate.info","params":{"assetId":"a","productKey":"p","deviceKey":"dev","deviceSecret":"M3yy874uGY8INjEGddTR"}}"#,
            br#"{"id":"1","version":"1.0","method":"thing.activate.info","params":{"assetId":"a","productKey":"p","deviceKey":"four","deviceSecret":"short"}}"#,
            br#"{"id":"1"}"#,
            b"",
        ] {
            let error = ActivateInfo::from_json(json).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Activation);
            assert!(!format!("{error:?}").contains("M3yy"), "{error:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ActivateInfo::from_json(&bytes);
        }
    }
}
