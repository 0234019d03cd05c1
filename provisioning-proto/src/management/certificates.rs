//! Certificate authorities: upload, proof that the key is the tenant's, and what is refused below them.

use std::time::SystemTime;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::failure::Failure;
use super::page::Page;
use super::route::{Below, Call};
use super::{Context, Step, body, digest_version, expected, found, plain, put, time};
use crate::certificates::authorities::{
    Authority, CertificateAuthorities, Command, Denial, Reply, State,
};
use crate::certificates::{Certificate, CertificateError};
use crate::model::Expected;
use crate::time::unix_millis;
use crate::{CaId, Code, Error, ErrorKind, limits};

/// A certificate authority that is to be changed, and how that is answered.
#[derive(Debug)]
#[must_use = "nothing is changed before its command is carried out"]
pub struct AuthorityEdit {
    ca: CaId,
    command: Box<Command>,
    status: StatusCode,
}

#[derive(Deserialize)]
struct Upload {
    cert_name: Option<String>,
    content: String,
}

#[derive(Deserialize)]
struct Replacement {
    content: Option<String>,
    accept_expired: Option<bool>,
}

#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "camelCase")]
enum Action {
    GenerateCode,
    Verify { verify_content: String },
    Revoke,
    Deny { denial: String },
    Allow { denial: String },
}

impl AuthorityEdit {
    /// Which authority.
    #[must_use]
    pub fn ca(&self) -> &CaId {
        &self.ca
    }

    /// What is to become of it.
    #[must_use]
    pub fn command(&self) -> &Command {
        &self.command
    }

    /// The answer, from what the command came to and the authorities as they are then.
    #[must_use]
    pub fn answer(
        self,
        authorities: &CertificateAuthorities,
        result: Result<Reply, Error>,
        wall: SystemTime,
    ) -> Response<Bytes> {
        match result {
            Err(error) => refused(&error).into(),
            Ok(Reply::NotVerified(cause)) => not_proved(cause).into(),
            Ok(_) if self.status == StatusCode::NO_CONTENT => plain(StatusCode::NO_CONTENT),
            Ok(_) => match show(authorities, &self.ca, wall) {
                Some((shown, version)) => super::json(self.status, &shown, Some(version)),
                None => Failure::from(Code::NOT_FOUND).into(),
            },
        }
    }
}

pub(super) fn read(
    context: &Context<'_>,
    call: Call,
    request: &Request<Bytes>,
) -> Result<Step, Failure> {
    let authorities = context.authorities.ok_or(Code::UNAVAILABLE)?;
    let (edit, is) = match call {
        Call::List => return list(context, authorities, request),
        Call::Show(id) => {
            let shown = show(authorities, &id.parse()?, context.wall);
            return found(shown, Code::NOT_FOUND);
        }
        Call::Below(id, Below::Denials) => return denials(authorities, &id.parse()?, request),
        Call::Create => return upload(context, authorities, body(request)?),
        Call::Replace(id) => {
            let given: Replacement = body(request)?;
            let command = match (given.content, given.accept_expired) {
                (Some(pem), None) => Command::ReplaceCertificate(certificate(&pem)?),
                (None, Some(accept)) => Command::SetAcceptExpired(accept),
                _ => return Err(malformed("either content or accept_expired")),
            };
            edit(id.parse()?, command, StatusCode::OK)
        }
        Call::Remove(id) => edit(id.parse()?, Command::Delete, StatusCode::NO_CONTENT),
        Call::Below(id, Below::Action) => {
            let command = match body(request)? {
                Action::GenerateCode => Command::GenerateCode {
                    entropy: code(context),
                },
                Action::Verify { verify_content } => Command::Verify(certificate(&verify_content)?),
                Action::Revoke => Command::Revoke,
                Action::Deny { denial } => Command::Deny(self::denial(&denial)?),
                Action::Allow { denial } => Command::Allow(self::denial(&denial)?),
            };
            edit(id.parse()?, command, StatusCode::OK)
        }
        Call::Below(..) => return Err(Code::NOT_FOUND.into()),
    };
    let shown = show(authorities, &is, context.wall);
    let (_, version) = shown.ok_or(Code::NOT_FOUND)?;
    if expected(request)? == Expected::Absent || !expected(request)?.is_met(Some(version)) {
        return Err(Code::CHANGED.into());
    }
    Ok(Step::Authority(edit))
}

fn edit(ca: CaId, command: Command, status: StatusCode) -> (AuthorityEdit, CaId) {
    let edit = AuthorityEdit {
        ca: ca.clone(),
        command: Box::new(command),
        status,
    };
    (edit, ca)
}

fn list(
    context: &Context<'_>,
    authorities: &CertificateAuthorities,
    request: &Request<Bytes>,
) -> Result<Step, Failure> {
    let page = Page::read(request)?;
    let name = page.filter("cert_name");
    let all = authorities.authorities().iter();
    let named = all.filter(|(_, authority)| name.is_none_or(|name| authority.name == name));
    let list = page.take(named.map(|(id, _)| (id.as_str(), id)), |_, id| {
        show(authorities, id, context.wall).map(|(shown, _)| shown)
    });
    Ok(page.answer("certificates", list))
}

fn denials(
    authorities: &CertificateAuthorities,
    ca: &CaId,
    request: &Request<Bytes>,
) -> Result<Step, Failure> {
    let page = Page::read(request)?;
    let authority = authorities.authority(ca).ok_or(Code::NOT_FOUND)?;
    let mut texts: Vec<String> = authority.denials.iter().map(written).collect();
    texts.sort_unstable();
    let list = page.take(texts.iter().map(|text| (text.as_str(), ())), |text, ()| {
        Some(json!({"denial": text}))
    });
    Ok(page.answer("denials", list))
}

fn upload(
    context: &Context<'_>,
    authorities: &CertificateAuthorities,
    given: Upload,
) -> Result<Step, Failure> {
    let certificate = certificate(&given.content)?;
    let ca: CaId = context.new_id().parse()?;
    let name = given.cert_name.unwrap_or_else(|| ca.as_str().to_owned());
    let mut all = authorities.authorities().values();
    if all.any(|authority| authority.name == name) {
        return Err(Code::CERTIFICATE_NAME_EXISTS.into());
    }
    let command = Command::Upload { name, certificate };
    let (edit, _) = edit(ca, command, StatusCode::CREATED);
    Ok(Step::Authority(edit))
}

fn certificate(pem: &str) -> Result<Certificate, Failure> {
    limits::CERTIFICATE
        .check(pem)
        .map_err(|_| Code::SIZE_LIMIT)?;
    Certificate::from_pem(pem)
        .map_err(|cause| Failure::told(Code::CERTIFICATE_MALFORMED, cause.to_string()))
}

/// The code must be no part of what an id was made of.
fn code(context: &Context<'_>) -> [u8; 20] {
    let mut code = [0; 20];
    for (place, byte) in code.iter_mut().zip(context.entropy.iter().rev()) {
        *place = *byte;
    }
    code
}

/// A fingerprint, or else a serial number.
fn denial(text: &str) -> Result<Denial, Failure> {
    let serial = || text.parse().map(Denial::Serial);
    let parsed = text.parse().map(Denial::Certificate).or_else(|_| serial());
    parsed.map_err(|_| malformed("a denial is a fingerprint or a serial number"))
}

fn written(denial: &Denial) -> String {
    match denial {
        Denial::Serial(serial) => serial.to_string(),
        Denial::Certificate(fingerprint) => fingerprint.to_string(),
    }
}

fn malformed(text: &str) -> Failure {
    Failure::malformed(text.to_owned())
}

fn not_proved(cause: CertificateError) -> Failure {
    Failure::malformed(format!("the key is not proved: {cause}"))
}

fn refused(error: &Error) -> Failure {
    let source = std::error::Error::source(error);
    match error.kind() {
        ErrorKind::Certificate => {
            let text = source.map_or_else(|| error.to_string(), ToString::to_string);
            Failure::told(Code::CERTIFICATE_MALFORMED, text)
        }
        ErrorKind::Exists => Code::CERTIFICATE_EXISTS.into(),
        ErrorKind::UnknownAuthority => Code::NOT_FOUND.into(),
        ErrorKind::InUse | ErrorKind::CaTaken => Code::IN_USE.into(),
        ErrorKind::NoCode => Code::NO_CODE.into(),
        ErrorKind::Full => Code::LIMIT.into(),
        ErrorKind::Unavailable => Code::UNAVAILABLE.into(),
        kind => kind.into(),
    }
}

/// An authority and the version of what is shown: an authority counts none, so it follows from the text.
fn show(authorities: &CertificateAuthorities, ca: &CaId, wall: SystemTime) -> Option<(Value, u64)> {
    let authority = authorities.authority(ca)?;
    let shown = shown(ca, authority, wall);
    let version = digest_version(&shown);
    Some((shown, version))
}

fn shown(ca: &CaId, authority: &Authority, wall: SystemTime) -> Value {
    let (certificate, state) = (&authority.certificate, authority.state(wall));
    let stamp = |at| time::stamp(unix_millis(at));
    let mut shown = json!({
        "certificate_id": ca,
        "cert_name": authority.name,
        "cn_name": certificate.common_name(),
        // In the vendor's words whether the key is proved.
        "status": authority.verified && !authority.revoked,
        "state": word(state),
        "expired": state.expired_value(),
        "accept_expired": authority.accept_expired,
        "cert_hash": certificate.fingerprint(),
        "denied": authority.denials.len(),
        "create_date": time::stamp(authority.uploaded_at),
        "effective_date": stamp(certificate.not_before()),
        "expiry_date": stamp(certificate.not_after()),
    });
    if let (State::Challenged, Some(challenge)) = (state, &authority.challenge) {
        put(&mut shown, "verify_code", challenge.code.as_str());
        put(
            &mut shown,
            "verify_until",
            time::stamp(challenge.expires_at),
        );
    }
    shown
}

fn word(state: State) -> &'static str {
    match state {
        State::Unverified => "unverified",
        State::Challenged => "challenged",
        State::Verified => "verified",
        State::Expiring => "expiring",
        State::Expired => "expired",
        State::Revoked => "revoked",
    }
}
