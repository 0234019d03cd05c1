//! The OpenAPI description as its readers understand it, and whether an answer keeps to it.

use std::sync::OnceLock;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::Value;
use uci_server_core::openapi::DOCUMENT;

/// The methods that a path of the description may have.
pub(crate) const METHODS: [Method; 9] = [
    Method::GET,
    Method::POST,
    Method::DELETE,
    Method::PUT,
    Method::PATCH,
    Method::HEAD,
    Method::OPTIONS,
    Method::TRACE,
    Method::CONNECT,
];

pub(crate) fn document() -> &'static Value {
    static DOCUMENT_VALUE: OnceLock<Value> = OnceLock::new();
    DOCUMENT_VALUE.get_or_init(|| serde_json::from_str(DOCUMENT).unwrap())
}

/// What a `$ref` leads to, or the value itself.
pub(crate) fn resolved(value: &'static Value) -> &'static Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(place) => document()
            .pointer(place.strip_prefix('#').unwrap())
            .unwrap_or_else(|| panic!("{place} leads nowhere")),
        None => value,
    }
}

/// The path template that a path below `/api/v1` is an instance of: the one with the most literal segments.
pub(crate) fn template(path: &str) -> Option<(&'static str, &'static Value)> {
    let segments: Vec<&str> = path.split('/').filter(|text| !text.is_empty()).collect();
    let paths = document()["paths"].as_object().unwrap();
    let literals = |template: &str| template.split('/').filter(|s| !s.starts_with('{')).count();
    paths
        .iter()
        .filter(|(template, _)| {
            let parts: Vec<&str> = template
                .split('/')
                .filter(|text| !text.is_empty())
                .collect();
            matches(&parts, &segments)
        })
        .max_by_key(|(template, _)| literals(template))
        .map(|(template, item)| (template.as_str(), item))
}

/// Whether the segments fill the template; only an href takes more than one of them.
fn matches(template: &[&str], segments: &[&str]) -> bool {
    let is_uuid = |text: &str| text.parse::<uci_model::DeviceId>().is_ok();
    match (template.split_first(), segments.split_first()) {
        (None, None) => true,
        (Some((&"{resourceLinkHref}", rest)), Some((_, tail))) => {
            matches(rest, tail) || matches(template, tail)
        }
        (Some((&("{deviceId}" | "{subscriptionId}"), rest)), Some((id, tail))) => {
            is_uuid(id) && matches(rest, tail)
        }
        (Some((literal, rest)), Some((segment, tail))) => literal == segment && matches(rest, tail),
        _ => false,
    }
}

/// The operation that a request is, if it is described.
pub(crate) fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    template(path)?.1.get(method.as_str().to_lowercase())
}

/// Fails unless the description lists the answer's status, media type and headers for this request.
pub(crate) fn check(request: &Request<Bytes>, response: &Response<Bytes>) {
    let path = request.uri().path();
    let below = path.split_once("/api/v1").map_or(path, |(_, below)| below);
    let status = response.status().as_u16();
    let Some(operation) = operation(request.method(), below) else {
        assert!(
            [400, 401, 404, 405, 429, 503].contains(&status),
            "{} {path}: {status} of what is not described",
            request.method()
        );
        return;
    };
    let name = &operation["operationId"];
    let described = operation["responses"]
        .get(status.to_string())
        .unwrap_or_else(|| panic!("{name} does not describe {status}"));
    let described = resolved(described);
    let described_headers = described["headers"].as_object();
    let header_of = |name: &str| {
        let mut headers = described_headers.into_iter().flatten();
        headers.find(|(known, _)| known.eq_ignore_ascii_case(name))
    };
    for present in response.headers().keys() {
        let known = present == "content-type" || header_of(present.as_str()).is_some();
        assert!(
            known,
            "{name}: {status} has an undescribed header {present}"
        );
    }
    for (header, details) in described_headers.into_iter().flatten() {
        let required = resolved(details).get("required") == Some(&Value::Bool(true));
        let present = response.headers().contains_key(header.as_str());
        assert!(present || !required, "{name}: {status} lacks {header}");
    }
    let media_type = response.headers().get("content-type");
    match media_type.map(|value| value.to_str().unwrap()) {
        Some(media_type) => assert!(
            described["content"].get(media_type).is_some(),
            "{name}: {status} is not described as {media_type}"
        ),
        None => assert!(
            response.body().is_empty(),
            "{name}: {status} has no media type"
        ),
    }
}
