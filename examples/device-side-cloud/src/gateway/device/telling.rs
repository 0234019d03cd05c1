//! What a device tells without OCF. Its product's template says which links it offers; the readings that it posts become
//! representations of them, and it is never asked for one.

use std::sync::Arc;

use coap_psk::measurepoint::{self, Description, Limits, Post, Resource, Scalar, Template, Update};
use coap_psk::message::{Code, Method};
use coap_psk::{Request, Response};
use tracing::info;
use uci_model::{
    Content, ContentFormat, DeviceId, DeviceProperties, Href, Interface, LinkPolicy, LocalizedText,
    ResourceLink, ResourceType, Value,
};
use uci_server_core::Occurrence;

use super::Device;
use crate::gateway::JSON;
use crate::gateway::shared::{Known, refusal};
use crate::products::Failure;

impl Device {
    /// Answers what a device sends to `/topic`. All errors go out without a payload.
    pub(super) async fn answer_topic(&mut self, request: &Request) -> Response {
        let Some(named) = measurepoint::device_of(request) else {
            return Response::new(Code::NOT_FOUND);
        };
        let own = named.product_key().as_str() == self.name.product.as_str()
            && named.device_key().as_str() == self.name.device.as_str();
        if !own {
            info!(
                session = self.session.0,
                "a post in another device's name was refused"
            );
            return Response::new(Code::FORBIDDEN);
        }
        if request.method != Method::Post {
            return Response::new(Code::METHOD_NOT_ALLOWED);
        }
        match self.take_post(request).await {
            Ok(answer) => Response::new(Code::CHANGED).with_payload(JSON, answer),
            Err(refusal) => refusal,
        }
    }

    /// Takes all readings of a post, or none.
    async fn take_post(&mut self, request: &Request) -> Result<Vec<u8>, Response> {
        let template = self.shared.products.template(&self.name.product);
        // A product without a template has no measurement points, and a device of nobody's has nobody to tell.
        let (Some(template), Some(_)) = (template, &self.known) else {
            return Err(Response::new(Code::NOT_FOUND));
        };
        let session = self.session.0;
        let malformed = |error: coap_psk::Error| {
            let why = std::error::Error::source(&error).map(ToString::to_string);
            info!(session, why, "a post was refused");
            Response::new(Code::BAD_REQUEST)
        };
        // The EnOS pages name no code for another format, and many devices name no format at all.
        if !matches!(request.content_format, None | Some(JSON)) {
            return Err(Response::new(Code::BAD_REQUEST));
        }
        let post = Post::from_json(&request.payload, &Limits::default()).map_err(malformed)?;
        let changes = template
            .updates(&post)
            .map_err(malformed)?
            .iter()
            .map(occurrence)
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| Response::new(Code::INTERNAL_SERVER_ERROR))?;
        let offered = self.offer(&template).await;
        offered.map_err(|failure| refusal(failure, format_args!("the links of {}", self.name)))?;
        for change in changes {
            self.tell(change).await?;
        }
        post.to_answer()
            .map_err(|_| Response::new(Code::INTERNAL_SERVER_ERROR))
    }

    /// Publishes what the template of the product says, if there is one.
    pub(super) async fn offer_template(&mut self) -> Result<(), Failure> {
        match self.shared.products.template(&self.name.product) {
            Some(template) => self.offer(&template).await,
            None => Ok(()),
        }
    }

    /// Publishes what a template says, once on a session.
    async fn offer(&mut self, template: &Arc<Template>) -> Result<(), Failure> {
        let is_offered = |offered: &Arc<Template>| Arc::ptr_eq(offered, template);
        let Some(known) = self.known.clone() else {
            return Ok(());
        };
        if self.offered.as_ref().is_some_and(is_offered) {
            return Ok(());
        }
        for occurrence in self.offering(template, &known) {
            self.shared.tell(&known, occurrence).await?;
        }
        self.offered = Some(Arc::clone(template));
        Ok(())
    }

    fn offering(&self, template: &Template, known: &Known) -> Vec<Occurrence> {
        let mut all = Vec::new();
        // A device that publishes says itself what it is.
        if self.published.is_none()
            && let Some(properties) = properties(known.device, template.device())
        {
            all.push(Occurrence::Described(Box::new(properties)));
        }
        let withdrawn = hrefs(template.withdrawn());
        // Withdrawing an empty list would withdraw everything.
        if !withdrawn.is_empty() {
            all.push(Occurrence::LinksWithdrawn(withdrawn));
        }
        let links = template.resources().iter().filter_map(link);
        all.push(Occurrence::LinksPublished(links.collect()));
        all
    }
}

fn hrefs(texts: &[String]) -> Vec<Href> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

/// The link of a resource. The template takes no text that is not one of a link.
fn link(resource: &Resource) -> Option<ResourceLink> {
    let types = resource.types.iter().map(|text| text.parse().ok());
    let interfaces = resource.interfaces.iter().map(|text| text.parse().ok());
    let mut link = ResourceLink::new(
        resource.href.parse().ok()?,
        types.collect::<Option<Vec<ResourceType>>>()?,
        interfaces.collect::<Option<Vec<Interface>>>()?,
    );
    link.policy = LinkPolicy::new(LinkPolicy::DISCOVERABLE | LinkPolicy::OBSERVABLE);
    Some(link)
}

/// What the device is; `None` when the template does not say.
fn properties(device: DeviceId, description: &Description) -> Option<DeviceProperties> {
    if *description == Description::default() {
        return None;
    }
    let mut properties = DeviceProperties::new(device);
    properties.name = description.name.clone().unwrap_or_default();
    if let Some(manufacturer) = &description.manufacturer {
        properties.manufacturer_name = vec![LocalizedText::new("en", manufacturer)];
    }
    let own = description
        .types
        .iter()
        .filter_map(|text| text.parse().ok());
    let mut types: Vec<ResourceType> = own.filter(|one| *one != ResourceType::DEVICE).collect();
    types.push(ResourceType::DEVICE);
    properties.resource_types = types;
    Some(properties)
}

fn occurrence(update: &Update<'_>) -> Option<Occurrence> {
    let properties = update
        .properties
        .iter()
        .map(|(name, value)| ((*name).to_owned(), property(value)));
    let value = Value::Map(properties.collect());
    Some(Occurrence::PropertiesChanged {
        href: update.href.parse().ok()?,
        // Most clients want JSON: nothing is to be converted for them.
        content: Content::encode(ContentFormat::Json, &value).ok()?,
    })
}

fn property(value: &Scalar) -> Value {
    match value {
        Scalar::Boolean(value) => Value::Bool(*value),
        Scalar::Integer(value) => Value::Integer((*value).into()),
        Scalar::Number(value) => Value::Float(*value),
        Scalar::Text(value) => Value::Text(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = r#"{
        "device":{"n":"Cellar","rt":["oic.d.thermostat"],"dmn":"Acme"},
        "resources":[{"href":"/climate","rt":["oic.r.temperature"],"if":["oic.if.s","oic.if.baseline"],"properties":{
            "temperature":{"point":"temp","type":"number","scale":0.1},
            "level":{"point":"level","type":"integer"},
            "open":{"point":"open","type":"boolean"},
            "mode":{"point":"mode","type":"string"}}}]}"#;

    #[test]
    fn a_template_makes_links_and_a_description() {
        let template = Template::from_json(TEMPLATE.as_bytes()).expect("a template");
        let links: Vec<_> = template.resources().iter().filter_map(link).collect();
        let written = Content::encode(ContentFormat::Json, &links).expect("links");
        assert_eq!(
            written.body().as_ref(),
            br#"[{"href":"/climate","rt":["oic.r.temperature"],"if":["oic.if.s","oic.if.baseline"],"p":{"bm":3}}]"#
        );
        let device = DeviceId::from_bytes([7; 16]);
        let properties = properties(device, template.device()).expect("a description");
        assert_eq!(properties.name, "Cellar");
        let types: Vec<_> = properties
            .resource_types
            .iter()
            .map(ResourceType::as_str)
            .collect();
        assert_eq!(types, ["oic.d.thermostat", "oic.wk.d"]);
        assert_eq!(
            properties.manufacturer_name,
            [LocalizedText::new("en", "Acme")]
        );
    }

    #[test]
    fn the_sample_is_a_template_and_stands_on_the_front_page() {
        let sample = include_str!("../../../sample-template.json");
        let page = include_str!("../../../README.md");
        assert!(page.contains(sample));
        let template = Template::from_json(sample.as_bytes()).expect("a template");
        let envelope = page
            .lines()
            .find(|line| line.contains("\"thing.measurepoint.post\""));
        let envelope = envelope.expect("a post").as_bytes();
        let post = Post::from_json(envelope, &Limits::default()).expect("a post");
        assert_eq!(template.updates(&post).expect("updates").len(), 2);
        let answer = String::from_utf8(post.to_answer().expect("an answer")).expect("text");
        assert!(page.contains(&answer));
    }

    #[test]
    fn readings_are_told_in_json_with_their_types() {
        let template = Template::from_json(TEMPLATE.as_bytes()).expect("a template");
        let envelope =
            br#"{"version":"1.0","method":"thing.measurepoint.post","params":{"measurepoints":
            {"temp":210,"level":7,"open":false,"mode":"eco"}}}"#;
        let post = Post::from_json(envelope, &Limits::default()).expect("a post");
        let updates = template.updates(&post).expect("updates");
        let told: Vec<_> = updates.iter().filter_map(occurrence).collect();
        let body = br#"{"level":7,"mode":"eco","open":false,"temperature":21.0}"#;
        let expected = Occurrence::PropertiesChanged {
            href: "/climate".parse().expect("an href"),
            content: Content::new(ContentFormat::Json, body.as_slice().into()),
        };
        assert_eq!(told, [expected]);
    }
}
