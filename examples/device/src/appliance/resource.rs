//! One resource: its properties, and which of them may change.

use coap_psk::Code;
use uci_model::value::Map;
use uci_model::{Href, Interface, LinkPolicy, ResourceLink, ResourceType, Value};

use crate::error::Error;

/// A resource with its state.
#[derive(Debug)]
pub(crate) struct Resource {
    types: &'static [&'static str],
    interfaces: &'static [&'static str],
    changing: &'static [Property],
    properties: Map,
}

/// A property that changes.
#[derive(Debug)]
pub(crate) struct Property {
    name: &'static str,
    kind: Kind,
    settable: bool,
}

/// The values that a property takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// True or false.
    Bool,
    /// A number; a whole one becomes a float.
    Float,
    /// A whole number from 0 to 100.
    Percent,
}

/// Why a request is not carried out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// There is no such resource.
    NotFound,
    /// It can be neither changed nor removed in this way.
    Method,
    /// The body is no CBOR map, or a value does not fit its property.
    Malformed,
    /// The body is in another format.
    UnsupportedFormat,
    /// The answer was asked for in another format.
    NotAcceptable,
    /// The request names a condition that is not met.
    Condition,
}

impl Refusal {
    /// The reason in words.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::NotFound => "there is no such resource",
            Self::Method => "the resource does not support this",
            Self::Malformed => "the value does not fit the resource",
            Self::UnsupportedFormat => "the format is not CBOR",
            Self::NotAcceptable => "the answer would be CBOR",
            Self::Condition => "the condition is not met",
        }
    }

    /// The answer's code. (RFC 7252, 5.9.2)
    pub(crate) fn code(self) -> Code {
        match self {
            Self::NotFound => Code::NOT_FOUND,
            Self::Method => Code::METHOD_NOT_ALLOWED,
            Self::Malformed => Code::BAD_REQUEST,
            Self::UnsupportedFormat => Code::UNSUPPORTED_CONTENT_FORMAT,
            Self::NotAcceptable => Code::NOT_ACCEPTABLE,
            Self::Condition => Code::PRECONDITION_FAILED,
        }
    }
}

impl Property {
    /// A property that the device changes.
    pub(crate) const fn measured(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            settable: false,
        }
    }

    /// A property that a client may change too.
    pub(crate) const fn settable(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            settable: true,
        }
    }

    pub(crate) const fn is_settable(&self) -> bool {
        self.settable
    }

    /// The value in the property's own form; `None` when it does not fit.
    fn take(&self, value: &Value) -> Option<Value> {
        match self.kind {
            Kind::Bool => value.as_bool().map(Value::from),
            Kind::Float => value
                .as_f64()
                .filter(|number| number.is_finite())
                .map(Value::from),
            Kind::Percent => value
                .as_integer()?
                .as_u64()
                .filter(|number| *number <= 100)
                .map(Value::from),
        }
    }
}

impl Resource {
    /// A resource that stays as it is.
    pub(crate) fn new<const N: usize>(
        types: &'static [&'static str],
        interfaces: &'static [&'static str],
        properties: [(&str, Value); N],
    ) -> Self {
        Self {
            types,
            interfaces,
            changing: &[],
            properties: properties
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
        }
    }

    /// This resource, of which these properties change.
    pub(crate) fn changing(self, changing: &'static [Property]) -> Self {
        Self { changing, ..self }
    }

    /// What changes can be observed.
    pub(crate) fn is_observable(&self) -> bool {
        !self.changing.is_empty()
    }

    /// The state, with the common properties when the baseline view is wanted.
    pub(crate) fn value(&self, baseline: bool) -> Value {
        let mut properties = self.properties.clone();
        if baseline {
            let names = |names: &[&str]| {
                Value::from(
                    names
                        .iter()
                        .map(|name| Value::from(*name))
                        .collect::<Vec<_>>(),
                )
            };
            properties.insert("rt".to_owned(), names(self.types));
            let interfaces = [self.interfaces, &[Interface::BASELINE.as_str()]].concat();
            properties.insert("if".to_owned(), names(&interfaces));
        }
        properties.into()
    }

    /// Takes over those properties of `wanted`, all of which must fit and be allowed, or none.
    pub(crate) fn change(
        &mut self,
        wanted: &Value,
        allowed: impl Fn(&Property) -> bool,
    ) -> Result<(), Refusal> {
        if self.changing.is_empty() {
            return Err(Refusal::Method);
        }
        let wanted = wanted.as_map().ok_or(Refusal::Malformed)?;
        let mut taken = Map::new();
        for (name, value) in wanted {
            let property = self.changing.iter().find(|property| property.name == name);
            let value = property
                .filter(|property| allowed(property))
                .and_then(|property| property.take(value))
                .ok_or(Refusal::Malformed)?;
            taken.insert(name.clone(), value);
        }
        self.properties.extend(taken);
        Ok(())
    }

    /// The link by which the resource is published.
    ///
    /// # Errors
    /// A type or an interface has an unusable name.
    pub(crate) fn link(&self, href: Href) -> Result<ResourceLink, Error> {
        let failed = |cause| Error::new(format!("{href} has an unusable type or interface"), cause);
        let types = self.types.iter().map(|name| name.parse());
        let types = types
            .collect::<Result<Vec<ResourceType>, _>>()
            .map_err(failed)?;
        let interfaces = self.interfaces.iter().map(|name| name.parse());
        let mut interfaces = interfaces
            .collect::<Result<Vec<Interface>, _>>()
            .map_err(failed)?;
        interfaces.push(Interface::BASELINE);
        let mut link = ResourceLink::new(href.clone(), types, interfaces);
        let observable = if self.is_observable() {
            LinkPolicy::OBSERVABLE
        } else {
            0
        };
        link.policy = LinkPolicy::new(LinkPolicy::DISCOVERABLE | observable);
        Ok(link)
    }
}
