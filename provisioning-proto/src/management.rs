//! The operator's HTTPS interface, in the paths and member names of Huawei's IoT Device Provisioning: a request in, an answer or
//! commands out.
//!
//! [`begin`] reads a request against what is known in a [`Directory`]. What only asks is answered at once; what changes something
//! becomes an [`Edit`]: its commands go to the [registration machine](crate::registration) one after another, and what came of
//! the last one makes the answer. Certificate authorities, the certificates that a tenant issues and migrations have ledgers of their
//! own, which an [`AuthorityEdit`], an [`IssuanceEdit`] and a [`MigrationEdit`] change. Who may ask is the caller's to decide before:
//! the tenant stands in the path ([`tenant_of`]), the operator's token in `X-Auth-Token`.
//!
//! Beside what the vendor documents, entries have an `ETag` and heed `If-Match` and `If-None-Match: *`, access points can be made,
//! changed, granted to other tenants and removed, a certificate authority can be revoked and refuse certificates below it,
//! certificates are issued, renewed, activated and revoked, devices can be migrated, and a device shows what it was assigned, why,
//! and what happened to it. [`OPENAPI`] describes all of it.

mod access_points;
mod certificates;
mod devices;
mod entry;
mod failure;
mod grants;
mod groups;
mod issuance;
mod migrations;
mod page;
mod policies;
mod products;
mod route;
#[cfg(test)]
mod tests;
mod time;

use std::time::SystemTime;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::allocation::Rule;
use crate::certificates::authorities::CertificateAuthorities;
use crate::certificates::issuance::IssuedCertificates;
use crate::directory::Directory;
use crate::migration::Plans;
use crate::model::{Attestation, Expected, GroupAttestation};
use crate::registration::{Command, Reply};
use crate::{
    AccessPointId, CaId, Code, ErrorKind, GroupId, PolicyId, RegistrationId, SealedSecret, Secret,
    TenantId, roster, tenant,
};

pub use certificates::AuthorityEdit;
pub use entry::SealFailed;
use failure::{Failure, of_kind};
pub use issuance::{IssuanceDeed, IssuanceEdit, Made, is_about_issuing};
pub use migrations::{MigrationEdit, MigrationWish};
use route::Route;
pub use route::{is_about_authorities, tenant_of};

/// The interface as an OpenAPI 3.1 document.
pub const OPENAPI: &str = include_str!("management/openapi.json");

/// The longest body of a request, in bytes.
pub const MAX_BODY: usize = 262_144;

/// What a request is read with.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Context<'a> {
    /// What is known.
    pub directory: &'a Directory,
    /// Whose it is.
    pub tenant: &'a TenantId,
    /// The tenant's certificate authorities; a request about them is not answered without.
    pub authorities: Option<&'a CertificateAuthorities>,
    /// The tenant's migrations; without them there are none.
    pub migrations: Option<&'a Plans>,
    /// The other instances to which registrations can be transferred.
    pub instances: &'a [String],
    /// The certificates that the tenant issued; a request about them is not answered without, nor without the authorities.
    pub issued: Option<&'a IssuedCertificates>,
    /// Judges the secret of a device that may be assigned to the local access point.
    pub local_secret: Option<JudgeSecret<'a>>,
    /// Seals a secret for a stream and a field.
    pub seal: Seal<'a>,
    /// Of which ids and secrets are made; different for every request.
    pub entropy: [u8; 32],
    /// The time.
    pub wall: SystemTime,
}

/// Seals a secret for a stream and a field.
pub type Seal<'a> = &'a dyn Fn(&str, &str, &Secret) -> Result<SealedSecret, SealFailed>;

/// Says what is wrong with a secret, if something is.
pub type JudgeSecret<'a> = &'a dyn Fn(&Secret) -> Result<(), String>;

/// What follows from a request.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "each of them must be acted on")]
pub enum Step {
    /// This answer.
    Answer(Response<Bytes>),
    /// Something is to be changed first.
    Edit(Edit),
    /// A certificate authority is to be changed first.
    Authority(AuthorityEdit),
    /// A migration is to be planned or aborted first.
    Migration(MigrationEdit),
    /// What the tenant issues is to be changed first.
    Issuance(IssuanceEdit),
}

/// Something that is to be changed, and how that is answered.
#[derive(Debug)]
#[must_use = "nothing is changed before its commands are carried out"]
pub struct Edit {
    tenant: TenantId,
    preparations: Vec<Command>,
    commands: Vec<Command>,
    subject: Subject,
    status: StatusCode,
    /// A secret that is shown this once, and the member that holds it.
    secret: Option<(&'static str, Secret)>,
}

/// What an edit is about.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    AccessPoint(AccessPointId),
    Policy(PolicyId),
    Group(GroupId),
    Device(RegistrationId),
}

impl<'a> Context<'a> {
    /// What a request of an operator of this tenant is read with.
    #[must_use]
    pub fn new(
        directory: &'a Directory,
        tenant: &'a TenantId,
        seal: Seal<'a>,
        entropy: [u8; 32],
        wall: SystemTime,
    ) -> Self {
        Self {
            directory,
            tenant,
            authorities: None,
            migrations: None,
            instances: &[],
            issued: None,
            local_secret: None,
            seal,
            entropy,
            wall,
        }
    }

    /// The same, for a request about the tenant's certificate authorities.
    #[must_use]
    pub fn with_authorities(mut self, authorities: &'a CertificateAuthorities) -> Self {
        self.authorities = Some(authorities);
        self
    }

    /// The same, with the tenant's migrations, and the other instances to which its devices can be transferred.
    #[must_use]
    pub fn with_migrations(mut self, migrations: &'a Plans, instances: &'a [String]) -> Self {
        self.migrations = Some(migrations);
        self.instances = instances;
        self
    }

    /// The same, for a request about the certificates that the tenant issues.
    #[must_use]
    pub fn with_issued(mut self, issued: &'a IssuedCertificates) -> Self {
        self.issued = Some(issued);
        self
    }

    /// The same, where a local access point takes only some of the secrets that a device can have: others are refused when they
    /// are set, and not when the device comes.
    #[must_use]
    pub fn with_local_secrets(mut self, judge: JudgeSecret<'a>) -> Self {
        self.local_secret = Some(judge);
        self
    }

    fn settings(&self) -> Result<&'a tenant::Tenant, Failure> {
        let settings = self.directory.tenant(self.tenant);
        settings
            .filter(|settings| settings.name().is_some())
            .ok_or_else(|| Code::USER_NOT_FOUND.into())
    }

    /// 24 hexadecimal digits that nobody else has.
    fn new_id(&self) -> String {
        self.entropy
            .iter()
            .take(12)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    fn setting(&self, command: tenant::Command) -> Command {
        Command::Settings {
            tenant: self.tenant.clone(),
            command,
        }
    }

    fn registration(&self, id: &RegistrationId, command: roster::Command) -> Command {
        Command::Registration {
            tenant: self.tenant.clone(),
            id: id.clone(),
            command,
        }
    }

    /// The last of the commands is what is wanted; those before make what it needs.
    fn edit(&self, subject: Subject, status: StatusCode, mut commands: Vec<Command>) -> Edit {
        let wanted = commands.pop();
        Edit {
            tenant: self.tenant.clone(),
            preparations: commands,
            commands: wanted.into_iter().collect(),
            subject,
            status,
            secret: None,
        }
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("tenant", self.tenant)
            .finish_non_exhaustive()
    }
}

impl Edit {
    /// Commands to be carried out first. How they end does not count: they make what the others need, and fail when that is
    /// there already.
    #[must_use]
    pub fn preparations(&self) -> &[Command] {
        &self.preparations
    }

    /// The commands, to be carried out in this order until one is refused.
    #[must_use]
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// The certificate authority that something names from now on. It must be there, and must stay while the commands are
    /// carried out.
    #[must_use]
    pub fn authority(&self) -> Option<&CaId> {
        self.commands.iter().find_map(named)
    }

    /// The answer, from what the last command that was carried out came to and the directory as it is now.
    #[must_use]
    pub fn answer(
        self,
        directory: &Directory,
        result: Result<Reply, ErrorKind>,
    ) -> Response<Bytes> {
        if let Err(kind) = result {
            return of_kind(kind, &self.subject).into();
        }
        if self.status == StatusCode::NO_CONTENT {
            return plain(StatusCode::NO_CONTENT);
        }
        let shown = match &self.subject {
            Subject::AccessPoint(id) => access_points::show(directory, &self.tenant, id),
            Subject::Policy(id) => policies::show(directory, &self.tenant, id),
            Subject::Group(id) => groups::show(directory, &self.tenant, id),
            Subject::Device(id) => devices::show(directory, &self.tenant, id),
        };
        let Some((mut body, version)) = shown else {
            return Failure::from(Code::NOT_FOUND).into();
        };
        if let (Some((member, secret)), Some(object)) = (&self.secret, body.as_object_mut()) {
            let text = String::from_utf8_lossy(secret.expose()).into_owned();
            object.insert((*member).to_owned(), text.into());
        }
        json(self.status, &body, Some(version))
    }
}

/// Reads a request, of which the path begins with `/v5/iotps/{project_id}`.
#[must_use]
pub fn begin(context: &Context<'_>, request: &Request<Bytes>) -> Step {
    let step = read(context, request);
    step.unwrap_or_else(|failure| Step::Answer(failure.into()))
}

fn read(context: &Context<'_>, request: &Request<Bytes>) -> Result<Step, Failure> {
    context.settings()?;
    if request.body().len() > MAX_BODY {
        return Err(Code::SIZE_LIMIT.into());
    }
    match route::route(request)? {
        Route::AccessPoints(call) => access_points::read(context, call, request),
        Route::Policies(kind, call) => policies::read(context, kind, call, request),
        Route::Groups(call) => groups::read(context, call, request),
        Route::NamedGroup => groups::remove_named(context, request),
        Route::Devices(call) => devices::read(context, call, request),
        Route::Certificates(call) => certificates::read(context, call, request),
        Route::Issuance(wanted) => issuance::read(context, wanted, request),
        Route::Products(call) => products::read(context, call, request),
        Route::Migrations(call) => migrations::read(context, call, request),
        Route::Grants(point, to) => grants::read(context, &point, to.as_deref(), request),
    }
}

/// The certificate authority that a command names.
fn named(command: &Command) -> Option<&CaId> {
    match command {
        Command::Settings { command, .. } => match command {
            tenant::Command::SetGroup { value, .. } => match &value.attestation {
                GroupAttestation::X509Ca { ca, .. } => Some(ca),
                GroupAttestation::GroupKey { .. } => None,
            },
            tenant::Command::SetPolicy { policy, .. } => match &policy.rule {
                Rule::Certificate { authority, .. } => Some(authority),
                _ => None,
            },
            _ => None,
        },
        Command::Registration { command, .. } => match command {
            roster::Command::Enroll { enrollment, .. } => match &enrollment.attestation {
                Attestation::X509Ca { ca, .. } => Some(ca),
                _ => None,
            },
            _ => None,
        },
    }
}

/// Reads a JSON body.
fn body<T: DeserializeOwned>(request: &Request<Bytes>) -> Result<T, Failure> {
    serde_json::from_slice(request.body())
        .map_err(|cause| Failure::malformed(format!("the body cannot be read: {cause}")))
}

/// What a request believes to be changing (RFC 9110, 13.1).
fn expected(request: &Request<Bytes>) -> Result<Expected, Failure> {
    let condition = |name| request.headers().get(name).map(|value| value.to_str());
    let malformed = || Failure::malformed("a condition cannot be read".to_owned());
    match (
        condition(header::IF_MATCH),
        condition(header::IF_NONE_MATCH),
    ) {
        (None, None) => Ok(Expected::Any),
        (None, Some(Ok("*"))) => Ok(Expected::Absent),
        // Any version is as good as no condition to a command that changes only what is there.
        (Some(Ok("*")), None) => Ok(Expected::Any),
        (Some(Ok(tag)), None) => {
            let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let version = version.and_then(|version| version.parse().ok());
            version.map(Expected::Version).ok_or_else(malformed)
        }
        _ => Err(malformed()),
    }
}

fn json(status: StatusCode, body: &Value, version: Option<u64>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let kind = header::HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    if let Some(tag) = version.and_then(|version| format!("\"{version}\"").parse().ok()) {
        headers.insert(header::ETAG, tag);
    }
    response
}

fn plain(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// Sets a member of an object.
fn put(object: &mut Value, member: &str, value: impl Into<Value>) {
    if let Some(object) = object.as_object_mut() {
        object.insert(member.to_owned(), value.into());
    }
}

/// The version of what counts none: it follows from the text.
fn digest_version(shown: &Value) -> u64 {
    let digest = Sha256::digest(shown.to_string());
    let version = digest.iter().take(8);
    version.fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte))
}

/// One entry, or that there is none.
fn found(shown: Option<(Value, u64)>, missing: Code) -> Result<Step, Failure> {
    let (body, version) = shown.ok_or(missing)?;
    Ok(Step::Answer(json(StatusCode::OK, &body, Some(version))))
}
