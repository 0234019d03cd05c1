//! What the device is: a thermostat with a light, as OCF resources, and how it answers requests for them.

mod resource;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytes::Bytes;
use coap_psk::{Code, Method, Request, Response};
use serde::Serialize;
use uci_model::{Content, ContentFormat, DeviceId, Href, Interface, Limits, ResourceLink, Value};

pub(crate) use resource::Refusal;
use resource::{Kind, Property, Resource};

use crate::error::Error;

/// CBOR without a vendor's name, which many devices and clouds use for the same thing.
const PLAIN_CBOR: u16 = 60;
/// If-Match and If-None-Match: the resources have no entity tags, so neither can be met. (RFC 7252, 5.10.8)
const CONDITIONS: [u16; 2] = [1, 5];

/// What changes of the thermostat.
static THERMOSTAT: [Property; 2] = [
    Property::measured("temperature", Kind::Float),
    Property::settable("targetTemperature", Kind::Float),
];
/// What changes of the light.
static LIGHT: [Property; 2] = [
    Property::settable("state", Kind::Bool),
    Property::settable("power", Kind::Percent),
];

/// The device's resources.
#[derive(Debug)]
pub(crate) struct Appliance {
    device_id: DeviceId,
    name: String,
    resources: BTreeMap<&'static str, Resource>,
}

/// What a request did, for the log.
#[derive(Debug, PartialEq)]
pub(crate) enum Effect {
    /// It read a resource.
    Retrieved { href: &'static str, observe: bool },
    /// It changed a resource to this.
    Updated { href: &'static str, value: Value },
    /// It was refused.
    Refused,
}

/// The body of a publication. (`oic.wk.rd`)
#[derive(Serialize)]
struct Publication<'a> {
    di: DeviceId,
    n: &'a str,
    ttl: u64,
    links: Vec<ResourceLink>,
}

impl Appliance {
    /// A device of this id and name, in its initial state.
    pub(crate) fn new(device_id: DeviceId, name: &str) -> Self {
        let id = device_id.to_string();
        let device = Resource::new(
            &["oic.wk.d", "oic.d.thermostat"],
            &["oic.if.r"],
            [
                ("di", Value::from(id.as_str())),
                ("n", Value::from(name)),
                ("piid", Value::from(id.as_str())),
                ("icv", Value::from("ocf.2.2.5")),
                ("dmv", Value::from("ocf.res.1.3.0")),
                (
                    "rt",
                    Value::from(vec![
                        Value::from("oic.wk.d"),
                        Value::from("oic.d.thermostat"),
                    ]),
                ),
                (
                    "dmn",
                    Value::from(vec![Value::from([
                        ("language", Value::from("en")),
                        ("value", Value::from("Example devices")),
                    ])]),
                ),
            ],
        );
        let platform = Resource::new(
            &["oic.wk.p"],
            &["oic.if.r"],
            [
                ("pi", Value::from(id.as_str())),
                ("mnmn", Value::from("Example devices")),
            ],
        );
        let thermostat = Resource::new(
            &["oic.r.temperature"],
            &["oic.if.a"],
            [
                ("temperature", Value::from(21.5)),
                ("targetTemperature", Value::from(21.0)),
                ("units", Value::from("C")),
            ],
        )
        .changing(&THERMOSTAT);
        let light = Resource::new(
            &["core.light"],
            &["oic.if.rw"],
            [
                ("state", Value::from(false)),
                ("power", Value::from(0_u64)),
                ("name", Value::from("Hall light")),
            ],
        )
        .changing(&LIGHT);
        Self {
            device_id,
            name: name.to_owned(),
            resources: BTreeMap::from([
                ("/oic/d", device),
                ("/oic/p", platform),
                ("/thermostat/temperature", thermostat),
                ("/light/1", light),
            ]),
        }
    }

    /// The state of a resource; `None` when there is none of this href.
    pub(crate) fn get(&self, href: &str) -> Option<Value> {
        self.resources
            .get(href)
            .map(|resource| resource.value(false))
    }

    /// Changes what is measured or set, as the room or a person at the device does.
    ///
    /// # Errors
    /// There is no such resource, or the value does not fit it.
    pub(crate) fn set(&mut self, href: &str, value: &Value) -> Result<Value, Refusal> {
        let resource = self.resources.get_mut(href).ok_or(Refusal::NotFound)?;
        resource.change(value, |_| true)?;
        Ok(resource.value(false))
    }

    /// The body with which the device publishes its links, in CBOR.
    ///
    /// # Errors
    /// It cannot be encoded.
    pub(crate) fn publication(&self) -> Result<Bytes, Error> {
        let mut links = Vec::new();
        for (href, resource) in &self.resources {
            let href: Href = href
                .parse()
                .map_err(|cause| Error::new(format!("{href} is no href"), cause))?;
            links.push(resource.link(href)?);
        }
        let publication = Publication {
            di: self.device_id,
            n: &self.name,
            ttl: 0,
            links,
        };
        let content = Content::encode(ContentFormat::OcfCbor, &publication)
            .map_err(|cause| Error::new("the publication cannot be written", cause))?;
        Ok(content.into_body())
    }

    /// Answers a request of the cloud.
    pub(crate) fn answer(&mut self, request: &Request) -> (Response, Effect) {
        match self.carry_out(request) {
            Ok((response, effect)) => (response, effect),
            Err(refusal) => (Response::new(refusal.code()), Effect::Refused),
        }
    }

    /// The state of a resource as a notification or an answer carries it, in the view that was asked for.
    pub(crate) fn representation(&self, href: &str, query: &[String]) -> Option<Response> {
        let resource = self.resources.get(href)?;
        let response = Response::new(Code::CONTENT);
        Some(with_value(response, &resource.value(is_baseline(query))))
    }

    fn carry_out(&mut self, request: &Request) -> Result<(Response, Effect), Refusal> {
        let path = format!("/{}", request.path.join("/"));
        let (&href, resource) = self
            .resources
            .iter_mut()
            .find(|(href, _)| **href == path)
            .ok_or(Refusal::NotFound)?;
        let conditional = |option: &coap_psk::CoapOption| CONDITIONS.contains(&option.number);
        if request.options.iter().any(conditional) {
            return Err(Refusal::Condition);
        }
        if request.accept.is_some_and(|accept| !is_cbor(accept)) {
            return Err(Refusal::NotAcceptable);
        }
        let baseline = is_baseline(&request.query);
        match request.method {
            Method::Get => {
                let response = with_value(Response::new(Code::CONTENT), &resource.value(baseline));
                let observe = request.observe && resource.is_observable();
                let response = if observe {
                    response.observable()
                } else {
                    response
                };
                Ok((response, Effect::Retrieved { href, observe }))
            }
            Method::Post => {
                if !request.content_format.is_some_and(is_cbor) {
                    return Err(Refusal::UnsupportedFormat);
                }
                let wanted = Value::from_cbor(&request.payload, &Limits::default())
                    .map_err(|_| Refusal::Malformed)?;
                resource.change(&wanted, Property::is_settable)?;
                let value = resource.value(false);
                let response = with_value(Response::new(Code::CHANGED), &resource.value(baseline));
                Ok((response, Effect::Updated { href, value }))
            }
            _ => Err(Refusal::Method),
        }
    }
}

fn with_value(response: Response, value: &Value) -> Response {
    let content = Content::encode_for_device(value);
    response.with_payload(content.format().coap_number(), content.into_body())
}

fn is_cbor(format: u16) -> bool {
    [ContentFormat::OcfCbor.coap_number(), PLAIN_CBOR].contains(&format)
}

fn is_baseline(query: &[String]) -> bool {
    query
        .iter()
        .any(|argument| argument.strip_prefix("if=") == Some(Interface::BASELINE.as_str()))
}
