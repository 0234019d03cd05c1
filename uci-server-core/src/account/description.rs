//! A device's `oic.wk.d`, in a form that devices of one model can share.

use std::mem;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uci_model::{DeviceId, DeviceProperties, Value};

use super::pool::Pool;

/// The platform's id, which differs from device to device.
const PLATFORM_ID: &str = "piid";

/// Properties of a device: its own ones, and those that are the same for its whole model.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(from = "Written", into = "Written")]
pub(super) struct Description {
    name: Box<str>,
    platform: Option<Box<str>>,
    /// Without `di`, `n` and `piid`.
    model: Arc<DeviceProperties>,
}

#[derive(Deserialize, Serialize)]
struct Written {
    name: Box<str>,
    #[serde(default)]
    platform: Option<Box<str>>,
    model: DeviceProperties,
}

impl Description {
    pub(super) fn new(properties: &DeviceProperties) -> Self {
        let mut model = properties.clone();
        model.device_id = DeviceId::from_bytes([0; 16]);
        let name = mem::take(&mut model.name).into();
        let platform = match model.extra.remove(PLATFORM_ID) {
            Some(Value::Text(id)) => Some(id.into()),
            Some(odd) => {
                model.extra.insert(PLATFORM_ID.to_owned(), odd);
                None
            }
            None => None,
        };
        Self {
            name,
            platform,
            model: Arc::new(model),
        }
    }

    pub(super) fn of_device(&self, device: DeviceId) -> DeviceProperties {
        let mut properties = self.model.as_ref().clone();
        properties.device_id = device;
        properties.name = self.name.clone().into();
        if let Some(id) = &self.platform {
            let id = Value::Text(id.clone().into());
            properties.extra.insert(PLATFORM_ID.to_owned(), id);
        }
        properties
    }

    pub(super) fn share(&mut self, pool: &mut Pool<DeviceProperties>) {
        pool.share(&mut self.model);
    }
}

impl From<Written> for Description {
    fn from(written: Written) -> Self {
        Self {
            name: written.name,
            platform: written.platform,
            model: Arc::new(written.model),
        }
    }
}

impl From<Description> for Written {
    fn from(description: Description) -> Self {
        Self {
            name: description.name,
            platform: description.platform,
            model: Arc::unwrap_or_clone(description.model),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_of_one_model_share_all_but_their_own() {
        let devices = [1, 2].map(|number| DeviceId::from_bytes([number; 16]));
        let all = devices.map(|device| {
            let mut properties = DeviceProperties::new(device);
            properties.name = format!("Lamp of {device}");
            let own = Value::Text(device.to_string());
            properties.extra.insert(PLATFORM_ID.to_owned(), own);
            properties
        });
        let mut pool = Pool::default();
        let [one, two] = [&all[0], &all[1]].map(|properties| {
            let mut description = Description::new(properties);
            description.share(&mut pool);
            description
        });
        assert!(Arc::ptr_eq(&one.model, &two.model));
        assert_eq!(two.of_device(devices[1]), all[1]);
    }

    #[test]
    fn a_platform_id_that_is_no_text_is_kept_as_it_is() {
        let device = DeviceId::from_bytes([1; 16]);
        let mut properties = DeviceProperties::new(device);
        properties.extra.insert(PLATFORM_ID.to_owned(), Value::Null);
        let description = Description::new(&properties);
        assert_eq!(description.of_device(device), properties);
    }
}
