//! What a client asks a bootstrap server for: `POST /bs` and `GET /bspack`. (LwM2M 1.1 Core, 6.1.7.1; LwM2M 1.2 Core, 6.1.7.7)

use super::ContentFormat;
use super::message::{Code, Method, Request};
use crate::RegistrationId;

/// What a client asks for, and who it says it is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct BootstrapRequest {
    /// What it asks for.
    pub operation: Operation,
    /// The endpoint name; from LwM2M 1.1 on it may be left out where the security identity says it.
    pub endpoint: Option<RegistrationId>,
    /// What the writes, or the pack, are to be written in.
    pub format: ContentFormat,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "LwM2M has these two")]
pub enum Operation {
    /// Bootstrap-Request: to be written to.
    Request,
    /// Bootstrap-Pack-Request: to be given everything at once.
    Pack,
}

impl BootstrapRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// The code to answer with: 4.04 for another path, 4.05 for another method there, 4.00 for a malformed or repeated argument and
    /// for a `pct` that carries no instances, 4.06 for such an Accept.
    pub fn parse(request: &Request) -> Result<Self, Code> {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let operation = match (path.as_slice(), request.method) {
            (["bs"], Method::Post) => Operation::Request,
            (["bspack"], Method::Get) => Operation::Pack,
            (["bs" | "bspack"], _) => return Err(Code::METHOD_NOT_ALLOWED),
            _ => return Err(Code::NOT_FOUND),
        };
        let (mut endpoint, mut preferred) = (None, None);
        for argument in &request.query {
            // An argument that nobody knows is of a later version.
            let twice = match argument.split_once('=') {
                Some(("ep", name)) => {
                    let name = name.parse().map_err(|_| Code::BAD_REQUEST)?;
                    endpoint.replace(name).is_some()
                }
                Some(("pct", number)) => preferred.replace(number).is_some(),
                _ => false,
            };
            if twice {
                return Err(Code::BAD_REQUEST);
            }
        }
        let format = match (operation, preferred, request.accept) {
            (Operation::Request, Some(number), _) => {
                let number = number.parse().ok();
                let format = number.and_then(ContentFormat::from_number);
                format.ok_or(Code::BAD_REQUEST)?
            }
            // What a client of 1.0 has, which says nothing.
            (Operation::Request, None, _) => ContentFormat::Tlv,
            (Operation::Pack, _, None) => ContentFormat::SenmlCbor,
            (Operation::Pack, _, Some(number)) => match ContentFormat::from_number(number) {
                Some(format @ (ContentFormat::SenmlCbor | ContentFormat::SenmlJson)) => format,
                Some(ContentFormat::Tlv | ContentFormat::TlvUnregistered) | None => {
                    return Err(Code::NOT_ACCEPTABLE);
                }
            },
        };
        Ok(Self {
            operation,
            endpoint,
            format,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(
        method: Method,
        path: &str,
        query: &[&str],
        accept: Option<u16>,
    ) -> Result<BootstrapRequest, Code> {
        let mut request = Request::new(method, &path.split('/').collect::<Vec<_>>());
        request.query = query
            .iter()
            .map(|argument| (*argument).to_owned())
            .collect();
        request.accept = accept;
        BootstrapRequest::parse(&request)
    }

    #[test]
    fn the_format_of_writes_is_what_the_client_prefers_and_tlv_when_it_is_silent() {
        for (query, format) in [
            (&["ep=urn:imei:1"][..], ContentFormat::Tlv),
            (&["ep=a", "pct=11542"], ContentFormat::Tlv),
            (&["ep=a", "pct=1542"], ContentFormat::TlvUnregistered),
            (&["pct=110", "ep=a", "later"], ContentFormat::SenmlJson),
            (&["pct=112"], ContentFormat::SenmlCbor),
        ] {
            assert_eq!(
                parse(Method::Post, "bs", query, None).unwrap().format,
                format,
                "{query:?}"
            );
        }
    }

    #[test]
    fn formats_of_single_values_malformed_and_repeated_arguments_are_bad_requests() {
        for query in [
            &["ep=a", "pct=60"][..],
            &["ep=a", "pct=0"],
            &["ep=a", "pct=42"],
            &["pct=x"],
            &["pct="],
            &["ep="],
            &["ep=a b"],
            &["ep=a", "ep=a"],
            &["pct=110", "pct=110"],
            &["ep=a&pct=110"],
        ] {
            assert_eq!(
                parse(Method::Post, "bs", query, None),
                Err(Code::BAD_REQUEST),
                "{query:?}"
            );
        }
    }

    #[test]
    fn a_pack_is_asked_for_in_senml() {
        let pack = parse(Method::Get, "bspack", &["ep=a"], Some(110)).unwrap();
        assert_eq!(
            (pack.operation, pack.format),
            (Operation::Pack, ContentFormat::SenmlJson)
        );
        assert_eq!(
            parse(Method::Get, "bspack", &["ep=a"], None)
                .unwrap()
                .format,
            ContentFormat::SenmlCbor
        );
        assert_eq!(
            parse(Method::Get, "bspack", &["ep=a"], Some(11_542)),
            Err(Code::NOT_ACCEPTABLE)
        );
    }

    #[test]
    fn there_is_nothing_else_here() {
        assert_eq!(
            parse(Method::Get, "bs", &["ep=a"], None),
            Err(Code::METHOD_NOT_ALLOWED)
        );
        assert_eq!(
            parse(Method::Post, "bspack", &["ep=a"], None),
            Err(Code::METHOD_NOT_ALLOWED)
        );
        for path in ["rd", "", "bs/1", "1/0/9"] {
            assert_eq!(
                parse(Method::Post, path, &["ep=a"], None),
                Err(Code::NOT_FOUND)
            );
        }
    }
}
