use bytes::Bytes;
use http::{Method, Request};

use super::failure::Failure;
use super::issuance::{self, Wanted};
use crate::allocation::PolicyKind;
use crate::{Code, TenantId};

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Route {
    AccessPoints(Call),
    Policies(PolicyKind, Call),
    Groups(Call),
    /// The group of a name, to be removed: the vendor's older form.
    NamedGroup,
    Devices(Call),
    Certificates(Call),
    /// Certificates that the tenant issues, and who signs them.
    Issuance(Wanted),
    Products(Call),
    Migrations(Call),
    /// The grants of an access point, or that to one tenant.
    Grants(String, Option<String>),
}

/// What is wanted of the things that a path leads to.
#[derive(Debug)]
pub(super) enum Call {
    List,
    Create,
    Show(String),
    Replace(String),
    Remove(String),
    /// `POST` of, or the list of, what stands below one of them.
    Below(String, Below),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Below {
    Applications,
    Devices,
    Action,
    ResetFingerprint,
    Allocation,
    Denials,
    Seen,
    End,
    LetGo,
}

/// The tenant that a path names, `/v5/iotps/{project_id}/...`.
#[must_use]
pub fn tenant_of(path: &str) -> Option<TenantId> {
    let (project, _) = path.strip_prefix("/v5/iotps/")?.split_once('/')?;
    project.parse().ok()
}

/// Whether a request is about certificate authorities, with which it is then to be read.
#[must_use]
pub fn is_about_authorities(path: &str) -> bool {
    let below = path.strip_prefix("/v5/iotps/");
    let below = below.and_then(|path| path.split_once('/'));
    let (_, below) = below.unwrap_or_default();
    // Encoded in another way it is none (RFC 3986, 6.2.2.2, asks for this only of what compares paths).
    below.split('/').next() == Some("certificates")
}

pub(super) fn route(request: &Request<Bytes>) -> Result<Route, Failure> {
    let path = request.uri().path();
    let below = path
        .strip_prefix("/v5/iotps/")
        .and_then(|path| path.split_once('/'));
    let (_, below) = below.ok_or(Code::NOT_FOUND)?;
    let segments: Vec<String> = below
        .split('/')
        .map(decoded)
        .collect::<Option<_>>()
        .ok_or(Code::NOT_FOUND)?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let method = request.method();
    if let Some(wanted) = issuance::route(method, &segments) {
        return wanted.map(Route::Issuance);
    }
    match segments.as_slice() {
        ["access-points", id, "grants"] => match *method {
            Method::GET | Method::POST => Ok(Route::Grants((*id).to_owned(), None)),
            _ => Err(Failure::method("GET, POST")),
        },
        ["access-points", id, "grants", to] => match *method {
            Method::DELETE => Ok(Route::Grants((*id).to_owned(), Some((*to).to_owned()))),
            _ => Err(Failure::method("DELETE")),
        },
        ["access-points", rest @ ..] => {
            let below = [("applications", Below::Applications)];
            call(method, rest, &below, true).map(Route::AccessPoints)
        }
        ["allocation-strategies", kind, rest @ ..] => {
            let kind = kind_of(kind).ok_or(Code::STRATEGY_TYPE)?;
            // A policy is removed and made anew, never changed: what it assigned stays explained by it.
            call(method, rest, &[], false).map(|call| Route::Policies(kind, call))
        }
        ["registration-groups"] if *method == Method::DELETE => Ok(Route::NamedGroup),
        ["registration-groups"] if *method != Method::GET && *method != Method::POST => {
            Err(Failure::method("GET, POST, DELETE"))
        }
        ["registration-groups", rest @ ..] => {
            call(method, rest, &[("devices", Below::Devices)], true).map(Route::Groups)
        }
        ["devices", rest @ ..] => {
            let below = [
                ("action", Below::Action),
                ("reset-fingerprint", Below::ResetFingerprint),
                ("allocation", Below::Allocation),
            ];
            call(method, rest, &below, true).map(Route::Devices)
        }
        ["certificates", rest @ ..] => {
            let below = [("action", Below::Action), ("denials", Below::Denials)];
            call(method, rest, &below, true).map(Route::Certificates)
        }
        ["migrations", rest @ ..] => {
            let below = [
                ("seen", Below::Seen),
                ("end", Below::End),
                ("let-go", Below::LetGo),
            ];
            call(method, rest, &below, false).map(Route::Migrations)
        }
        ["products"] | ["products", _] if *method != Method::GET => Err(Failure::method("GET")),
        ["products", rest @ ..] => call(method, rest, &[], false).map(Route::Products),
        _ => Err(Code::NOT_FOUND.into()),
    }
}

/// The kind of policies that the vendor calls so.
pub(super) fn kind_of(word: &str) -> Option<PolicyKind> {
    KINDS
        .iter()
        .find(|(known, _)| *known == word)
        .map(|(_, kind)| *kind)
}

/// What the vendor calls a kind of policies.
pub(super) fn word_of(kind: PolicyKind) -> Option<&'static str> {
    KINDS
        .iter()
        .find(|(_, known)| *known == kind)
        .map(|(word, _)| *word)
}

const KINDS: [(&str, PolicyKind); 5] = [
    ("base", PolicyKind::Static),
    ("certificates", PolicyKind::Certificate),
    ("functions", PolicyKind::Custom),
    ("nearby", PolicyKind::Nearest),
    ("weighted", PolicyKind::Hashed),
];

fn call(
    method: &Method,
    rest: &[&str],
    below: &[(&str, Below)],
    replaceable: bool,
) -> Result<Call, Failure> {
    match (rest, method) {
        ([], &Method::GET) => Ok(Call::List),
        ([], &Method::POST) => Ok(Call::Create),
        ([], _) => Err(Failure::method("GET, POST")),
        ([id], &Method::GET) => Ok(Call::Show((*id).to_owned())),
        ([id], &Method::PUT) if replaceable => Ok(Call::Replace((*id).to_owned())),
        ([id], &Method::DELETE) => Ok(Call::Remove((*id).to_owned())),
        ([_], _) if replaceable => Err(Failure::method("GET, PUT, DELETE")),
        ([_], _) => Err(Failure::method("GET, DELETE")),
        ([id, what], method) => {
            let known = below.iter().find(|(word, _)| word == what);
            let (_, what) = known.ok_or(Code::NOT_FOUND)?;
            let wanted = match what {
                Below::Applications | Below::Devices | Below::Denials => Method::GET,
                Below::Action
                | Below::ResetFingerprint
                | Below::Allocation
                | Below::Seen
                | Below::End
                | Below::LetGo => Method::POST,
            };
            if *method != wanted {
                return Err(Failure::method(if wanted == Method::GET {
                    "GET"
                } else {
                    "POST"
                }));
            }
            Ok(Call::Below((*id).to_owned(), *what))
        }
        _ => Err(Code::NOT_FOUND.into()),
    }
}

/// A segment without its percent-encoding (RFC 3986, 2.1).
fn decoded(segment: &str) -> Option<String> {
    let mut bytes = segment.bytes();
    let mut text = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            if digits.starts_with('+') {
                return None;
            }
            text.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            text.push(byte);
        }
    }
    String::from_utf8(text).ok()
}
