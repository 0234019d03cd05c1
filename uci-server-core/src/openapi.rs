//! The description of the interface for people and programs: OpenAPI 3.1, served without credentials at
//! `GET {prefix}/api/v1/openapi.json`.
//!
//! The document stands beside this file as it is served, but for the places that an operator chooses ([`DescribedAt`]).

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use uci_model::{Content, ContentFormat};

/// The description of a cloud without a prefix whose authorization server has its default places.
pub const DOCUMENT: &str = include_str!("openapi.json");

/// Where what [`DOCUMENT`] describes is found.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DescribedAt {
    /// Where a client sends its user to ask for access: a URL, absolute or relative to the description.
    pub authorization_url: String,
    /// Where a client gets its access tokens: a URL, absolute or relative to the description.
    pub token_url: String,
}

impl Default for DescribedAt {
    fn default() -> Self {
        Self {
            authorization_url: "/authorize".to_owned(),
            token_url: "/token".to_owned(),
        }
    }
}

/// The document for a cloud below `prefix`, which is that of [`Config`](crate::Config).
#[must_use]
pub fn describe(prefix: &str, at: &DescribedAt) -> String {
    let root = format!("{}/api/v1", encoded(prefix));
    let mut document = DOCUMENT.to_owned();
    for (member, default, value) in [
        ("url", "/api/v1", &root),
        ("authorizationUrl", "/authorize", &at.authorization_url),
        ("tokenUrl", "/token", &at.token_url),
    ] {
        let placed = format!("\"{member}\": {}", quoted(value));
        document = document.replacen(&format!("\"{member}\": \"{default}\""), &placed, 1);
    }
    document
}

/// The answer that carries the document.
pub(crate) fn response(document: Bytes) -> Response<Bytes> {
    let mut response = Response::new(document);
    let json = HeaderValue::from_static(ContentFormat::Json.as_str());
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// A prefix as the path of a URL has it.
fn encoded(prefix: &str) -> String {
    let segments = prefix.split('/').filter(|segment| !segment.is_empty());
    let path: String = segments.flat_map(|segment| ["/", segment]).collect();
    // A path alone is no URL; any will do.
    url::Url::parse("https://localhost").map_or_else(
        |_| path.clone(),
        |mut url| {
            url.set_path(&path);
            url.path().trim_end_matches('/').to_owned()
        },
    )
}

/// A text as JSON has it.
fn quoted(text: &str) -> String {
    Content::encode(ContentFormat::Json, text)
        .ok()
        .and_then(|content| String::from_utf8(content.into_body().to_vec()).ok())
        .unwrap_or_else(|| "\"\"".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member<'a>(document: &'a serde_json::Value, pointer: &str) -> &'a str {
        document.pointer(pointer).unwrap().as_str().unwrap()
    }

    #[test]
    fn the_places_are_those_of_the_operator() {
        let at = DescribedAt {
            authorization_url: "https://login.example/a?x=\"1\"".to_owned(),
            token_url: "https://login.example/t".to_owned(),
        };
        let document: serde_json::Value =
            serde_json::from_str(&describe("/c2c//gw \"x\"/", &at)).unwrap();
        let flow = "/components/securitySchemes/oauth2/flows/authorizationCode";
        assert_eq!(
            member(&document, "/servers/0/url"),
            "/c2c/gw%20%22x%22/api/v1"
        );
        assert_eq!(
            member(&document, &format!("{flow}/authorizationUrl")),
            at.authorization_url
        );
        assert_eq!(member(&document, &format!("{flow}/tokenUrl")), at.token_url);
    }

    #[test]
    fn by_default_it_is_the_document() {
        assert_eq!(describe("", &DescribedAt::default()), DOCUMENT);
    }
}
