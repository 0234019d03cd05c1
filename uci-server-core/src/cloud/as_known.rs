//! Answers in the place of a device that cannot be asked: from what it told last.

use bytes::Bytes;
use http::{Response, StatusCode};
use uci_model::{Content, Interface, ResourceLink, Value};

use super::{Asked, DeviceCloud};
use crate::account::Resource;
use crate::device_port::Operation;
use crate::response::Problem;

impl DeviceCloud {
    /// What the client gets; `resource` is gone when the device withdrew its link meanwhile.
    pub(super) fn answer_as_known(
        &self,
        asked: &Asked,
        resource: Option<Resource<'_>>,
    ) -> Response<Bytes> {
        if let Operation::Update(_) = asked.question.operation {
            return Problem::method_not_allowed("GET").into_response();
        }
        let Some(resource) = resource else {
            return Problem::new(StatusCode::NOT_FOUND, "not found").into_response();
        };
        let Some(known) = resource.representation() else {
            let detail = "the device has not told it yet";
            let status = StatusCode::GATEWAY_TIMEOUT;
            return Problem::try_again(status, detail, self.config.retry_after).into_response();
        };
        let link = resource.link(asked.question.device);
        match &asked.question.interface {
            Some(interface) if !link.interfaces.contains(interface) => {
                Problem::bad_request("the resource has no such interface").into_response()
            }
            Some(interface) if *interface == Interface::BASELINE => {
                let whole = self.baseline(known, &link);
                self.content_response(asked, Some(whole.as_ref().unwrap_or(known)))
            }
            _ => self.content_response(asked, Some(known)),
        }
    }

    /// The properties with those that every resource has, as `oic.if.baseline` shows them; `None` of what has no properties.
    fn baseline(&self, known: &Content, link: &ResourceLink) -> Option<Content> {
        let Value::Map(mut whole) = known.decode(&self.config.content).ok()? else {
            return None;
        };
        let texts = |texts: Vec<&str>| {
            Value::Array(
                texts
                    .into_iter()
                    .map(|text| Value::Text(text.into()))
                    .collect(),
            )
        };
        let types = link.resource_types.iter().map(|one| one.as_str()).collect();
        let interfaces = link.interfaces.iter().map(|one| one.as_str()).collect();
        whole.insert("rt".into(), texts(types));
        whole.insert("if".into(), texts(interfaces));
        Content::encode(known.format(), &Value::Map(whole)).ok()
    }
}
