//! Certificates that a tenant gives its own devices: who signs them, by which profiles, and what was issued.

mod change;
mod shown;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde::Deserialize;
use std::collections::BTreeSet;

use super::failure::Failure;
use super::page::Page;
use super::{Context, Step, body, expected, found};
use crate::certificates::issuance::{
    Activation, Command, IssuedCertificates, Misnamed, Profile, Purpose, Reason,
};
use crate::certificates::{CertificationRequest, KeyAlgorithm, Serial};
use crate::model::Expected;
use crate::{CaId, Code, ProfileId, RegistrationId, Secret, limits};
use change::Shows;
pub use change::{IssuanceDeed, IssuanceEdit, Made};

/// The longest time that an issuer is valid, in days: a hundred years.
const MAX_ISSUER_DAYS: u32 = 36_525;

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Wanted {
    Issuers,
    NewIssuer,
    Issuer(String),
    Profiles,
    Profile(String),
    SetProfile(String),
    RemoveProfile(String),
    OfDevice(String),
    Issue(String),
    Certificate(String),
    Act(String),
}

#[derive(Deserialize)]
struct IssuerBody {
    issuer_id: Option<CaId>,
    validity_days: u32,
}

#[derive(Deserialize)]
struct ProfileBody {
    validity_days: u32,
    key_types: Option<BTreeSet<KeyAlgorithm>>,
    purposes: Option<BTreeSet<Purpose>>,
    misnamed: Option<Misnamed>,
    activation: Option<Activation>,
}

#[derive(Deserialize)]
struct IssueBody {
    profile_id: ProfileId,
    csr: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "camelCase")]
enum Action {
    Activate { token: String },
    Revoke { reason: Option<Reason> },
}

/// What is wanted, where a path is about issuing.
pub(super) fn route(method: &Method, segments: &[&str]) -> Option<Result<Wanted, Failure>> {
    let own = |id: &&str| (*id).to_owned();
    let (wanted, allow) = match (segments, method.as_str()) {
        (["issuers"], "GET") => (Some(Wanted::Issuers), ""),
        (["issuers"], "POST") => (Some(Wanted::NewIssuer), ""),
        (["issuers"], _) => (None, "GET, POST"),
        (["issuers", id], "GET") => (Some(Wanted::Issuer(own(id))), ""),
        (["issuers", _], _) => (None, "GET"),
        (["certificate-profiles"], "GET") => (Some(Wanted::Profiles), ""),
        (["certificate-profiles"], _) => (None, "GET"),
        (["certificate-profiles", id], "GET") => (Some(Wanted::Profile(own(id))), ""),
        (["certificate-profiles", id], "PUT") => (Some(Wanted::SetProfile(own(id))), ""),
        (["certificate-profiles", id], "DELETE") => (Some(Wanted::RemoveProfile(own(id))), ""),
        (["certificate-profiles", _], _) => (None, "GET, PUT, DELETE"),
        (["devices", id, "certificates"], "GET") => (Some(Wanted::OfDevice(own(id))), ""),
        (["devices", id, "certificates"], "POST") => (Some(Wanted::Issue(own(id))), ""),
        (["devices", _, "certificates"], _) => (None, "GET, POST"),
        (["issued-certificates", id], "GET") => (Some(Wanted::Certificate(own(id))), ""),
        (["issued-certificates", _], _) => (None, "GET"),
        (["issued-certificates", id, "action"], "POST") => (Some(Wanted::Act(own(id))), ""),
        (["issued-certificates", _, "action"], _) => (None, "POST"),
        _ => return None,
    };
    Some(wanted.ok_or_else(|| Failure::method(allow)))
}

/// Whether a request is about issuing, with the issued certificates of the tenant to be read.
#[must_use]
pub fn is_about_issuing(path: &str) -> bool {
    let below = path.strip_prefix("/v5/iotps/");
    let below = below.and_then(|path| path.split_once('/'));
    let (_, below) = below.unwrap_or_default();
    let segments: Vec<&str> = below.split('/').collect();
    // Encoded in another way it is none, as with authorities.
    matches!(
        segments.as_slice(),
        [
            "issuers" | "certificate-profiles" | "issued-certificates",
            ..
        ] | ["devices", _, "certificates"]
    )
}

pub(super) fn read(
    context: &Context<'_>,
    wanted: Wanted,
    request: &Request<Bytes>,
) -> Result<Step, Failure> {
    let issued = context.issued.ok_or(Code::UNAVAILABLE)?;
    match wanted {
        Wanted::Issuers => {
            let page = Page::read(request)?;
            let all = issued.issuers().iter().map(|(id, one)| (id.as_str(), one));
            let list = page.take(all, |id, one| Some(shown::issuer(issued, id, one)));
            Ok(page.answer("issuers", list))
        }
        Wanted::Issuer(id) => {
            let shown = issued.issuers().get_key_value(&id.parse::<CaId>()?);
            let shown = shown.map(|(id, one)| shown::issuer(issued, id.as_str(), one));
            found(shown.map(shown::versioned), Code::NOT_FOUND)
        }
        Wanted::NewIssuer => new_issuer(context, issued, body(request)?),
        Wanted::Profiles => {
            let page = Page::read(request)?;
            let all = issued.profiles().iter().map(|(id, one)| (id.as_str(), one));
            let list = page.take(all, |id, one| Some(shown::profile(id, one)));
            Ok(page.answer("profiles", list))
        }
        Wanted::Profile(id) => found(shown::profile_of(issued, &id.parse()?), Code::NOT_FOUND),
        Wanted::SetProfile(id) => set_profile(issued, id.parse()?, request),
        Wanted::RemoveProfile(id) => {
            let id: ProfileId = id.parse()?;
            let (_, version) = shown::profile_of(issued, &id).ok_or(Code::NOT_FOUND)?;
            heed(request, Some(version))?;
            let deed = IssuanceDeed::Change(Box::new(Command::RemoveProfile(id)));
            Ok(edit(deed, Shows::Nothing, StatusCode::NO_CONTENT))
        }
        Wanted::OfDevice(id) => {
            let (page, id) = (Page::read(request)?, device(context, &id)?);
            let mut all: Vec<_> = issued
                .certificates_of(&id)
                .map(|(serial, one)| (serial.to_string(), one))
                .collect();
            all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            let all = all.iter().map(|(serial, one)| (serial.as_str(), *one));
            let list = page.take(all, |serial, one| Some(shown::certificate(serial, one)));
            Ok(page.answer("certificates", list))
        }
        Wanted::Issue(id) => issue(device(context, &id)?, issued, body(request)?),
        Wanted::Certificate(serial) => {
            let serial: Serial = serial.parse()?;
            found(shown::certificate_of(issued, &serial), Code::NOT_FOUND)
        }
        Wanted::Act(serial) => act(issued, serial.parse()?, request),
    }
}

fn new_issuer(
    context: &Context<'_>,
    issued: &IssuedCertificates,
    given: IssuerBody,
) -> Result<Step, Failure> {
    let days = given.validity_days;
    if !(1..=MAX_ISSUER_DAYS).contains(&days) {
        let text = format!("validity_days is 1 to {MAX_ISSUER_DAYS}");
        return Err(Failure::malformed(text));
    }
    let issuer = match given.issuer_id {
        Some(id) => id,
        None => context.new_id().parse()?,
    };
    // A group names an authority or an issuer by its id, which is therefore one of the two.
    let authorities = context.authorities.ok_or(Code::UNAVAILABLE)?;
    if issued.issuers().contains_key(&issuer) || authorities.authority(&issuer).is_some() {
        return Err(Code::EXISTS.into());
    }
    let shows = Shows::Issuer(issuer.clone());
    let deed = IssuanceDeed::AddIssuer { issuer, days };
    Ok(edit(deed, shows, StatusCode::CREATED))
}

fn set_profile(
    issued: &IssuedCertificates,
    profile: ProfileId,
    request: &Request<Bytes>,
) -> Result<Step, Failure> {
    let version = shown::profile_of(issued, &profile).map(|(_, version)| version);
    heed(request, version)?;
    let given: ProfileBody = body(request)?;
    let mut settings = Profile::new(given.validity_days)?;
    settings.keys = given.key_types.unwrap_or(settings.keys);
    settings.purposes = given.purposes.unwrap_or(settings.purposes);
    settings.misnamed = given.misnamed.unwrap_or(settings.misnamed);
    settings.activation = given.activation.unwrap_or(settings.activation);
    let shows = Shows::Profile(profile.clone());
    let command = Command::SetProfile { profile, settings };
    let deed = IssuanceDeed::Change(Box::new(command));
    Ok(edit(deed, shows, StatusCode::OK))
}

fn issue(
    id: RegistrationId,
    issued: &IssuedCertificates,
    given: IssueBody,
) -> Result<Step, Failure> {
    let profile = given.profile_id;
    if !issued.profiles().contains_key(&profile) {
        return Err(Failure::malformed(format!("there is no profile {profile}")));
    }
    let request = match given.csr {
        Some(pem) => {
            limits::CERTIFICATE
                .check(&pem)
                .map_err(|_| Code::SIZE_LIMIT)?;
            let request = CertificationRequest::from_pem(&pem)
                .map_err(|cause| Failure::told(Code::CERTIFICATE_MALFORMED, cause.to_string()))?;
            Some(Box::new(request))
        }
        None => None,
    };
    let deed = IssuanceDeed::Issue {
        id,
        profile,
        request,
    };
    Ok(edit(deed, Shows::New, StatusCode::CREATED))
}

fn act(
    issued: &IssuedCertificates,
    serial: Serial,
    request: &Request<Bytes>,
) -> Result<Step, Failure> {
    let one = issued.certificate(&serial).ok_or(Code::NOT_FOUND)?;
    let (_, version) = shown::certificate_of(issued, &serial).ok_or(Code::NOT_FOUND)?;
    heed(request, Some(version))?;
    let command = match body(request)? {
        Action::Activate { token } => Command::Activate {
            id: one.id.clone(),
            token: Secret::new(token)?,
        },
        Action::Revoke { reason } => Command::Revoke {
            serial: serial.clone(),
            reason: reason.unwrap_or(Reason::Unspecified),
        },
    };
    let deed = IssuanceDeed::Change(Box::new(command));
    Ok(edit(deed, Shows::Certificate(serial), StatusCode::OK))
}

fn device(context: &Context<'_>, id: &str) -> Result<RegistrationId, Failure> {
    let id: RegistrationId = id.parse().map_err(|_| Code::DEVICE_NAME)?;
    let known = context.directory.registration(context.tenant, &id);
    known.ok_or(Code::DEVICE_NOT_FOUND)?;
    Ok(id)
}

/// Lets a request pass that believes what is there.
fn heed(request: &Request<Bytes>, version: Option<u64>) -> Result<(), Failure> {
    let expected: Expected = expected(request)?;
    if expected.is_met(version) {
        Ok(())
    } else {
        Err(Code::CHANGED.into())
    }
}

fn edit(deed: IssuanceDeed, shows: Shows, status: StatusCode) -> Step {
    Step::Issuance(IssuanceEdit::new(deed, shows, status))
}
