//! SenML: records with names and values, whatever they are written in. (RFC 8428; LwM2M 1.1 Core, 7.4.4)

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::value::{Instance, ObjectLink, Opaque, Resource, Value};
use super::{DecodeError, Path};

/// The most records in a payload.
pub(crate) const MAX_RECORDS: usize = 1024;

/// One record as it is read, borrowed from the payload where it can be.
#[derive(Default)]
pub(crate) struct Record<'a> {
    pub(crate) base_name: Option<Cow<'a, str>>,
    pub(crate) name: Option<Cow<'a, str>>,
    pub(crate) value: Option<Value>,
}

impl<'a> Record<'a> {
    pub(crate) fn set_base_name(&mut self, name: Cow<'a, str>) -> Result<(), DecodeError> {
        put(&mut self.base_name, name)
    }

    pub(crate) fn set_name(&mut self, name: Cow<'a, str>) -> Result<(), DecodeError> {
        put(&mut self.name, name)
    }

    pub(crate) fn set_value(&mut self, value: Value) -> Result<(), DecodeError> {
        put(&mut self.value, value)
    }
}

fn put<T>(place: &mut Option<T>, value: T) -> Result<(), DecodeError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(DecodeError::Duplicate),
    }
}

/// Puts records together to instances; base names hold until the next one. (RFC 8428, 4.1)
#[derive(Default)]
pub(crate) struct Pack {
    base: String,
    name: String,
    count: usize,
    instances: BTreeMap<(u16, u16), Instance>,
}

impl Pack {
    pub(crate) fn add(&mut self, record: Record<'_>) -> Result<(), DecodeError> {
        self.count = self.count.saturating_add(1);
        if self.count > MAX_RECORDS {
            return Err(DecodeError::TooLarge);
        }
        if let Some(base) = record.base_name {
            self.base.clear();
            self.base.push_str(&base);
        }
        // A record may be there for its base name alone.
        let Some(value) = record.value else {
            return match record.name {
                None => Ok(()),
                Some(_) => Err(DecodeError::Syntax),
            };
        };
        self.name.clear();
        self.name.push_str(&self.base);
        self.name
            .push_str(record.name.as_deref().unwrap_or_default());
        let (object, instance, resource, at) = match self.name.parse()? {
            Path::Resource(object, instance, resource) => (object, instance, resource, None),
            Path::ResourceInstance(object, instance, resource, at) => {
                (object, instance, resource, Some(at))
            }
            Path::Root | Path::Object(_) | Path::Instance(..) => return Err(DecodeError::Path),
        };
        let entry = self.instances.entry((object, instance));
        let resources = &mut entry.or_insert_with(|| Instance::new(instance)).resources;
        let Some(at) = at else {
            return match resources.insert(resource, Resource::Single(value)) {
                None => Ok(()),
                Some(_) => Err(DecodeError::Duplicate),
            };
        };
        let multiple = resources
            .entry(resource)
            .or_insert_with(|| Resource::Multiple(BTreeMap::new()));
        match multiple {
            Resource::Multiple(values) if !values.contains_key(&at) => {
                values.insert(at, value);
                Ok(())
            }
            Resource::Multiple(_) | Resource::Single(_) => Err(DecodeError::Duplicate),
        }
    }

    pub(crate) fn finish(self) -> Vec<(u16, Instance)> {
        let instances = self.instances.into_iter();
        instances.map(|((object, _), it)| (object, it)).collect()
    }
}

/// One record as it is written: the base name stands in the first of each instance.
pub(crate) struct Line<'a> {
    pub(crate) base_name: Option<String>,
    pub(crate) name: String,
    pub(crate) value: &'a Value,
}

/// The records of instances, in order.
pub(crate) fn lines(instances: &[(u16, Instance)]) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    for (object, instance) in instances {
        let mut base_name = Some(format!("/{object}/{}/", instance.id));
        for (id, resource) in &instance.resources {
            match resource {
                Resource::Single(value) => lines.push(Line {
                    base_name: base_name.take(),
                    name: id.to_string(),
                    value,
                }),
                Resource::Multiple(values) => {
                    for (at, value) in values {
                        lines.push(Line {
                            base_name: base_name.take(),
                            name: format!("{id}/{at}"),
                            value,
                        });
                    }
                }
            }
        }
    }
    lines
}

/// A label that nobody knows is skipped, unless it says that it must not be. (RFC 8428, 4.4)
pub(crate) fn may_skip(label: &str) -> bool {
    // A base value or sum would be added to what the record holds.
    !label.ends_with('_') && label != "bv" && label != "bs" && label != "s"
}

/// `vlo`: two ids with a colon between. (LwM2M 1.1 Core, 7.4.4)
pub(crate) fn object_link(text: &str) -> Result<ObjectLink, DecodeError> {
    let (object, instance) = text.split_once(':').ok_or(DecodeError::Type)?;
    let id = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten()
    };
    Ok(ObjectLink {
        object: id(object).ok_or(DecodeError::Type)?,
        instance: id(instance).ok_or(DecodeError::Type)?,
    })
}

pub(crate) fn object_link_text(link: ObjectLink) -> String {
    format!("{}:{}", link.object, link.instance)
}

/// A finished payload, wiped when it is dropped.
pub(crate) const fn payload(bytes: Vec<u8>) -> Opaque {
    Opaque::new(bytes)
}
