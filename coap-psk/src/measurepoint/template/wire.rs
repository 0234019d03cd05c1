//! A template as JSON has it.

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::{Description, Kind, Property, Resource, Template};
use crate::measurepoint::object::{Named, Object};

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<Object<WrittenDevice>>,
    resources: Vec<Object<WrittenResource>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    withdrawn: Vec<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WrittenDevice {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rt: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dmn: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WrittenResource {
    href: String,
    rt: Vec<String>,
    #[serde(rename = "if")]
    interfaces: Vec<String>,
    properties: Named<Object<WrittenProperty>>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WrittenProperty {
    point: String,
    r#type: Type,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scale: Option<Number>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Type {
    Boolean,
    String,
    Integer,
    Number,
}

impl Written {
    pub(super) fn of(template: &Template) -> Self {
        let Description {
            name,
            types,
            manufacturer,
        } = template.device.clone();
        let device = WrittenDevice {
            n: name,
            rt: types,
            dmn: manufacturer,
        };
        let described = template.device != Description::default();
        Self {
            device: described.then_some(Object(device)),
            resources: template.resources.iter().map(written).collect(),
            withdrawn: template.withdrawn.clone(),
        }
    }

    /// What is written, as it is used; an error says what is wrong.
    pub(super) fn into_parts(self) -> Result<(Description, Vec<Resource>, Vec<String>), String> {
        let device = self.device.map_or_else(Description::default, |written| {
            let WrittenDevice { n, rt, dmn } = written.0;
            Description {
                name: n,
                types: rt,
                manufacturer: dmn,
            }
        });
        let resources = self
            .resources
            .into_iter()
            .map(|written| resource(written.0));
        Ok((device, resources.collect::<Result<_, _>>()?, self.withdrawn))
    }
}

fn resource(written: WrittenResource) -> Result<Resource, String> {
    let href = written.href;
    let properties = written.properties.0.into_iter().map(|(name, written)| {
        let WrittenProperty {
            point,
            r#type,
            scale,
        } = written.0;
        match kind(r#type, scale.as_ref()) {
            Some(kind) => Ok(Property { name, point, kind }),
            None => Err(format!("{href}: {name} cannot have this scale")),
        }
    });
    Ok(Resource {
        properties: properties.collect::<Result<_, _>>()?,
        types: written.rt,
        interfaces: written.interfaces,
        href,
    })
}

fn kind(r#type: Type, scale: Option<&Number>) -> Option<Kind> {
    match (r#type, scale) {
        (Type::Boolean, None) => Some(Kind::Boolean),
        (Type::String, None) => Some(Kind::Text),
        (Type::Boolean | Type::String, Some(_)) => None,
        (Type::Integer, scale) => {
            let scale = scale.map_or(Some(1), Number::as_i64)?;
            (scale != 0).then_some(Kind::Integer { scale })
        }
        (Type::Number, scale) => {
            let scale = scale.map_or(Some(1.0), Number::as_f64)?;
            (scale.is_finite() && scale != 0.0).then_some(Kind::Number { scale })
        }
    }
}

fn written(resource: &Resource) -> Object<WrittenResource> {
    let properties = resource.properties.iter().map(|property| {
        let (r#type, scale) = match property.kind {
            Kind::Boolean => (Type::Boolean, None),
            Kind::Text => (Type::String, None),
            Kind::Integer { scale } => (Type::Integer, (scale != 1).then(|| scale.into())),
            Kind::Number { scale } => {
                let other = scale != 1.0;
                (
                    Type::Number,
                    other.then(|| Number::from_f64(scale)).flatten(),
                )
            }
        };
        let written = WrittenProperty {
            point: property.point.to_owned(),
            r#type,
            scale,
        };
        (property.name.clone(), Object(written))
    });
    Object(WrittenResource {
        href: resource.href.clone(),
        rt: resource.types.clone(),
        interfaces: resource.interfaces.clone(),
        properties: Named(properties.collect::<BTreeMap<_, _>>()),
    })
}
