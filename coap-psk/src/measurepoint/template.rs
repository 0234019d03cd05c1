//! What the devices of a product have in terms of OCF, and which measurement point feeds which property.

mod check;
mod wire;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::object::Object;
use crate::error::{Error, ErrorKind};
use wire::Written;

/// The most bytes of a template in JSON.
pub const MAX_TEMPLATE_LEN: usize = 16 << 10;
/// The most links that a template withdraws: those that went last.
const MAX_WITHDRAWN: usize = 32;

/// The template of a product.
///
/// ```json
/// {
///   "device": {"n": "Cellar", "rt": ["oic.d.thermostat"], "dmn": "Acme"},
///   "resources": [{
///     "href": "/temperature",
///     "rt": ["oic.r.temperature"],
///     "if": ["oic.if.s", "oic.if.baseline"],
///     "properties": {"temperature": {"point": "temp", "type": "number", "scale": 0.1}}
///   }],
///   "withdrawn": ["/humidity"]
/// }
/// ```
///
/// `device` and `withdrawn` may be left out, and so may each member of `device`. A point feeds one property. `type` is `boolean`,
/// `string`, `integer` or `number`; what is read is multiplied by `scale`, for an `integer` a whole number. Because nobody can set
/// a measurement point by this template, the interfaces are those that read: `oic.if.baseline`, `oic.if.r` and `oic.if.s`.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    device: Description,
    resources: Vec<Resource>,
    withdrawn: Vec<String>,
    /// Where each point leads: a resource and one of its properties, by their places.
    points: BTreeMap<String, (usize, usize)>,
}

/// What the devices of a product are. (`oic.wk.d`)
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Description {
    /// `n`: what people call such a device.
    pub name: Option<String>,
    /// `rt`: the device types, besides `oic.wk.d`.
    pub types: Vec<String>,
    /// `dmn`: who makes it.
    pub manufacturer: Option<String>,
}

/// A resource that measurement points feed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Resource {
    /// Where it is on the device: segments of letters, digits and `-._~`.
    pub href: String,
    /// `rt`: its resource types.
    pub types: Vec<String>,
    /// `if`: its interfaces.
    pub interfaces: Vec<String>,
    /// Its properties, by name.
    pub properties: Vec<Property>,
}

/// A property that a measurement point feeds.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Property {
    /// Its name.
    pub name: String,
    /// The point's name.
    pub point: String,
    /// What it holds.
    pub kind: Kind,
}

/// What a property holds, and what becomes of a reading on the way.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// True or false.
    Boolean,
    /// A text.
    Text,
    /// A whole number, which is multiplied.
    Integer {
        /// By what.
        scale: i64,
    },
    /// A number, which is multiplied.
    Number {
        /// By what.
        scale: f64,
    },
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`ErrorKind::Template`] when it is longer than [`MAX_TEMPLATE_LEN`] or not of the form above; the source says what is wrong.
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        if json.len() > MAX_TEMPLATE_LEN {
            return refuse(format!("it has more than {MAX_TEMPLATE_LEN} bytes"));
        }
        let Object(written) = serde_json::from_slice::<Object<Written>>(json)
            .map_err(|error| Error::with_source(ErrorKind::Template, error))?;
        let (device, resources, withdrawn) = written.into_parts().or_else(refuse)?;
        check::parts(&device, &resources, &withdrawn).or_else(refuse)?;
        let mut points = BTreeMap::new();
        for (at, resource) in resources.iter().enumerate() {
            for (place, property) in resource.properties.iter().enumerate() {
                if points.insert(property.point.clone(), (at, place)).is_some() {
                    return refuse(format!("the point {} feeds two properties", property.point));
                }
            }
        }
        Ok(Self {
            device,
            resources,
            withdrawn,
            points,
        })
    }

    /// Writes the template; what is written reads as the same.
    ///
    /// # Errors
    /// [`ErrorKind::Template`] when it comes to more than [`MAX_TEMPLATE_LEN`] bytes.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        let json = serde_json::to_vec(&Written::of(self))
            .map_err(|error| Error::with_source(ErrorKind::Template, error))?;
        if json.len() > MAX_TEMPLATE_LEN {
            return refuse(format!(
                "it has more than {MAX_TEMPLATE_LEN} bytes with the links that it withdraws"
            ));
        }
        Ok(json)
    }

    /// What the devices are.
    #[must_use]
    pub const fn device(&self) -> &Description {
        &self.device
    }

    /// The resources, in the order in which the template has them.
    #[must_use]
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// The resource at `href`.
    #[must_use]
    pub fn resource(&self, href: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.href == href)
    }

    /// The hrefs of resources that earlier templates of the product had and this one does not.
    #[must_use]
    pub fn withdrawn(&self) -> &[String] {
        &self.withdrawn
    }

    /// This template in the place of an earlier one: it withdraws what that one had besides, and what that one withdrew. Of
    /// many the last ones count.
    #[must_use]
    pub fn replacing(mut self, earlier: &Self) -> Self {
        let gone = earlier.resources.iter().map(|resource| &resource.href);
        let mut withdrawn = self.withdrawn.clone();
        for href in earlier.withdrawn.iter().chain(gone) {
            if self.resource(href).is_none() && !withdrawn.contains(href) {
                withdrawn.push(href.clone());
            }
        }
        let surplus = withdrawn.len().saturating_sub(MAX_WITHDRAWN);
        self.withdrawn = withdrawn.split_off(surplus);
        self
    }

    /// The property that a point feeds, and its resource.
    pub(super) fn fed_by(&self, point: &str) -> Option<(usize, &Property)> {
        let (at, place) = *self.points.get(point)?;
        Some((at, self.resources.get(at)?.properties.get(place)?))
    }
}

fn refuse<T>(reason: impl ToString) -> Result<T, Error> {
    Err(Error::with_source(ErrorKind::Template, reason.to_string()))
}

#[cfg(test)]
mod tests;
