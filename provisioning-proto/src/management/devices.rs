use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::entry::{self, EntryBody, SecretText};
use super::failure::Failure;
use super::page::Page;
use super::route::{Below, Call};
use super::{Context, Step, Subject, body, expected, found, time};
use crate::directory::Directory;
use crate::model::{
    Attestation, Enrollment, Entry, Expected, Fingerprint, InitialConfig, PskIdentity,
};
use crate::mqtt::DeviceAction;
use crate::roster::{self, Registration, Roster};
use crate::time::unix_millis;
use crate::{
    AccessPointId, ApplicationId, Code, GroupId, RegistrationId, SealedSecret, Secret, TenantId,
    limits,
};

#[derive(Deserialize)]
struct DeviceBody {
    device_id: Option<String>,
    node_id: Option<String>,
    device_name: Option<String>,
    product_id: Option<String>,
    auth_info: Option<AuthInfo>,
    #[serde(flatten)]
    entry: EntryBody,
}

#[derive(Default, Deserialize)]
struct AuthInfo {
    auth_type: Option<String>,
    secret: Option<SecretText>,
    fingerprint: Option<String>,
    /// Of a pre-shared key; the device's id where there is none.
    identity: Option<PskIdentity>,
    /// For how long the first certificate that comes is taken for the device's.
    #[serde(default)]
    first_use_seconds: u32,
}

#[derive(Deserialize)]
struct ActionBody {
    action: String,
    #[serde(default)]
    args: ActionArgs,
}

#[derive(Default, Deserialize)]
struct ActionArgs {
    secret: Option<SecretText>,
}

/// Where a device is to go, as the vendor's functions say it; without an access point, the policies decide again.
#[derive(Deserialize)]
struct AllocationBody {
    access_point_id: Option<AccessPointId>,
    product_id: Option<ApplicationId>,
    app_id: Option<ApplicationId>,
    region_id: Option<String>,
    authorizing_domain_id: Option<TenantId>,
}

pub(super) fn read(
    context: &Context<'_>,
    call: Call,
    request: &Request<Bytes>,
) -> Result<Step, Failure> {
    match call {
        Call::List => list(context, request, None),
        Call::Create => create(context, body(request)?),
        Call::Show(id) => {
            let shown = show(context.directory, context.tenant, &device_id(&id)?);
            found(shown, Code::DEVICE_NOT_FOUND)
        }
        Call::Replace(id) => {
            let id = device_id(&id)?;
            replace(context, &id, body(request)?, expected(request)?)
        }
        Call::Remove(id) => {
            let id = device_id(&id)?;
            enrolled(context, &id)?;
            let expected = expected(request)?;
            let command = context.registration(&id, roster::Command::Unenroll { expected });
            let subject = Subject::Device(id);
            let edit = context.edit(subject, StatusCode::NO_CONTENT, vec![command]);
            Ok(Step::Edit(edit))
        }
        Call::Below(id, Below::Action) => act(context, device_id(&id)?, &body(request)?),
        Call::Below(id, Below::ResetFingerprint) => {
            let id = device_id(&id)?;
            let mut enrollment = enrolled(context, &id)?.clone();
            if !matches!(enrollment.attestation, Attestation::X509Leaf { .. }) {
                return Err(Failure::malformed(
                    "the device has no certificate of its own".to_owned(),
                ));
            }
            let info: AuthInfo = match request.body().is_empty() {
                true => AuthInfo::default(),
                false => body(request)?,
            };
            enrollment.attestation = leaf(context, &info)?;
            Ok(enroll(
                context,
                id,
                enrollment,
                expected(request)?,
                StatusCode::OK,
            ))
        }
        Call::Below(id, Below::Allocation) => {
            let expected = expected(request)?;
            allocate(context, device_id(&id)?, body(request)?, expected)
        }
        Call::Below(..) => Err(Code::NOT_FOUND.into()),
    }
}

fn device_id(text: &str) -> Result<RegistrationId, Failure> {
    text.parse().map_err(|_| Code::DEVICE_NAME.into())
}

/// A page of the tenant's devices, or of those that came through a group.
pub(super) fn list(
    context: &Context<'_>,
    request: &Request<Bytes>,
    group: Option<&GroupId>,
) -> Result<Step, Failure> {
    let page = Page::read(request)?;
    let (directory, tenant) = (context.directory, context.tenant);
    let after = page.after.as_deref().map(device_id).transpose()?;
    let wanted = Wanted::read(&page, group)?;
    let found = directory
        .registrations(tenant, after.as_ref())
        .filter(|(id, registration)| wanted.has(id, registration))
        .take(page.limit.saturating_add(1));
    let shown = found.filter_map(|(id, _)| {
        let (shown, _) = show(directory, tenant, id)?;
        Some((id.as_str().to_owned(), shown))
    });
    Ok(page.answer("devices", shown.collect()))
}

/// Which devices are wanted.
struct Wanted<'p> {
    group: Option<&'p GroupId>,
    name: Option<&'p str>,
    access_point: Option<AccessPointId>,
    allocated: Option<bool>,
}

impl<'p> Wanted<'p> {
    fn read(page: &'p Page, group: Option<&'p GroupId>) -> Result<Self, Failure> {
        let point = page.filter("access_point_id").map(str::parse).transpose()?;
        let allocated = match page.filter("allocation_status") {
            None => None,
            Some("0") => Some(true),
            Some("3") => Some(false),
            Some(_) => {
                let text = "allocation_status is 0 or 3";
                return Err(Failure::malformed(text.to_owned()));
            }
        };
        Ok(Self {
            group,
            name: page.filter("device_name"),
            access_point: point,
            allocated,
        })
    }

    fn has(&self, id: &RegistrationId, registration: &Registration) -> bool {
        let current = registration.current.as_ref();
        let group = current.and_then(|one| one.group.as_ref());
        let point = current.map(|one| &one.target.access_point);
        let enrollment = registration.enrollment.as_ref();
        let name = enrollment.map_or(id.as_str(), |enrollment| enrollment.name(id));
        self.group.is_none_or(|wanted| group == Some(wanted))
            && self.name.is_none_or(|wanted| name == wanted)
            && self
                .access_point
                .as_ref()
                .is_none_or(|wanted| point == Some(wanted))
            && self
                .allocated
                .is_none_or(|wanted| current.is_some() == wanted)
    }
}

fn create(context: &Context<'_>, given: DeviceBody) -> Result<Step, Failure> {
    let id = match (&given.device_id, &given.product_id, &given.node_id) {
        (Some(id), _, _) => device_id(id)?,
        (None, Some(product), Some(node)) => device_id(&format!("{product}_{node}"))?,
        _ => {
            return Err(Failure::malformed(
                "a device_id, or product_id and node_id".to_owned(),
            ));
        }
    };
    let present = context.directory.registration(context.tenant, &id);
    if present.is_some_and(|present| present.enrollment.is_some()) {
        return Err(Code::DEVICE_EXISTS.into());
    }
    let info = given.auth_info.unwrap_or_default();
    let ca = given.entry.provision_info.certificate_id.clone();
    let (attestation, secret) = match (info.auth_type.as_deref(), ca) {
        (None | Some("SECRET"), None) => {
            let secret = match info.secret {
                Some(given) => given.0,
                None => generated(context)?,
            };
            check_local(context, &secret, given.entry.access_point())?;
            let sealed = sealed(context, &id, &secret)?;
            let attestation = Attestation::SymmetricKey {
                primary: sealed,
                secondary: None,
            };
            (attestation, Some(("secret", secret)))
        }
        (None | Some("CERTIFICATES"), Some(ca)) => {
            let attestation = Attestation::X509Ca {
                ca: ca.parse()?,
                accept_expired: false,
            };
            (attestation, None)
        }
        (Some("CERTIFICATES"), None) => (leaf(context, &info)?, None),
        (Some("PSK"), None) => {
            let text = info.secret.ok_or(Code::LWM2M_KEY_MISSING)?;
            let key = Secret::new(from_hex(text.text()).ok_or(Code::LWM2M_KEY_MISSING)?)?;
            let identity = info.identity.map_or_else(|| id.as_str().parse(), Ok)?;
            let key = (context.seal)(
                &Roster::stream(context.tenant, Roster::shard_of(&id)),
                &Roster::enrolled_secret_field(&id),
                &key,
            )?;
            (Attestation::DtlsPsk { identity, key }, None)
        }
        _ => {
            let text = "auth_type is SECRET, CERTIFICATES or PSK";
            return Err(Failure::malformed(text.to_owned()));
        }
    };
    let mut enrollment = Enrollment::new(attestation, Entry::enabled());
    enrollment.name = name(given.device_name)?;
    let mut commands = given.entry.set(context, &mut enrollment.entry)?;
    commands.push(context.registration(
        &id,
        roster::Command::Enroll {
            enrollment,
            expected: Expected::Absent,
        },
    ));
    let mut edit = context.edit(Subject::Device(id), StatusCode::CREATED, commands);
    edit.secret = secret;
    Ok(Step::Edit(edit))
}

fn replace(
    context: &Context<'_>,
    id: &RegistrationId,
    given: DeviceBody,
    expected: Expected,
) -> Result<Step, Failure> {
    let mut enrollment = enrolled(context, id)?.clone();
    if given.auth_info.is_some() || given.entry.provision_info.certificate_id.is_some() {
        return Err(Code::IMMUTABLE.into());
    }
    if given.device_name.is_some() {
        enrollment.name = name(given.device_name)?;
    }
    let mut commands = given.entry.set(context, &mut enrollment.entry)?;
    commands.push(context.registration(
        id,
        roster::Command::Enroll {
            enrollment,
            expected,
        },
    ));
    Ok(Step::Edit(context.edit(
        Subject::Device(id.clone()),
        StatusCode::OK,
        commands,
    )))
}

fn act(context: &Context<'_>, id: RegistrationId, given: &ActionBody) -> Result<Step, Failure> {
    let action: DeviceAction = given
        .action
        .parse()
        .map_err(|_| Failure::malformed("no such action".to_owned()))?;
    match action {
        DeviceAction::TriggerBootstrapDevice => {
            let known = context.directory.registration(context.tenant, &id);
            known.ok_or(Code::DEVICE_NOT_FOUND)?;
            let command = context.registration(&id, roster::Command::Trigger);
            let edit = context.edit(Subject::Device(id), StatusCode::OK, vec![command]);
            Ok(Step::Edit(edit))
        }
        DeviceAction::ResetDeviceSecret => {
            let mut enrollment = enrolled(context, &id)?.clone();
            if !matches!(enrollment.attestation, Attestation::SymmetricKey { .. }) {
                return Err(Failure::malformed(
                    "the device has no secret of its own".to_owned(),
                ));
            }
            let secret = match &given.args.secret {
                Some(given) => given.0.clone(),
                None => generated(context)?,
            };
            check_local(context, &secret, enrollment.entry.access_point.as_ref())?;
            enrollment.attestation = Attestation::SymmetricKey {
                primary: sealed(context, &id, &secret)?,
                secondary: None,
            };
            let step = enroll(context, id, enrollment, Expected::Any, StatusCode::OK);
            Ok(match step {
                Step::Edit(mut edit) => {
                    edit.secret = Some(("secret", secret));
                    Step::Edit(edit)
                }
                answer => answer,
            })
        }
    }
}

/// Sends a device to an access point when it comes next, or leaves it to its entry and the policies.
fn allocate(
    context: &Context<'_>,
    id: RegistrationId,
    given: AllocationBody,
    expected: Expected,
) -> Result<Step, Failure> {
    let known = context.directory.registration(context.tenant, &id);
    let known = known.ok_or(Code::DEVICE_NOT_FOUND)?;
    if !expected.is_met(Some(known.entry_version)) {
        return Err(Code::CHANGED.into());
    }
    if let Some(point) = &given.access_point_id {
        check_target(context, point, &given)?;
    }
    let to = given.access_point_id;
    let direct = context.registration(&id, roster::Command::Direct { to });
    let trigger = context.registration(&id, roster::Command::Trigger);
    let mut edit = context.edit(Subject::Device(id), StatusCode::OK, vec![direct]);
    edit.commands.push(trigger);
    Ok(Step::Edit(edit))
}

/// What else the body says of the access point must be true of it: a device is sent to an access point and no further.
fn check_target(
    context: &Context<'_>,
    id: &AccessPointId,
    given: &AllocationBody,
) -> Result<(), Failure> {
    entry::usable(context, id)?;
    let point = context.directory.access_point(context.tenant, id);
    let point = point.ok_or(Code::NOT_FOUND)?;
    for application in given.product_id.iter().chain(&given.app_id) {
        if point.default_application.as_ref() != Some(application) {
            return Err(Code::APPLICATION.into());
        }
    }
    let region = given.region_id.as_deref();
    if region.is_some_and(|region| point.region.as_deref() != Some(region)) {
        let text = format!("{id} is in another region");
        return Err(Failure::malformed(text));
    }
    let owner = given.authorizing_domain_id.as_ref();
    if owner.is_some_and(|owner| context.directory.owner_of(id) != Some(owner)) {
        return Err(Code::NOT_AUTHORIZED.into());
    }
    Ok(())
}

fn enroll(
    context: &Context<'_>,
    id: RegistrationId,
    enrollment: Enrollment,
    expected: Expected,
    status: StatusCode,
) -> Step {
    let command = roster::Command::Enroll {
        enrollment,
        expected,
    };
    let commands = vec![context.registration(&id, command)];
    Step::Edit(context.edit(Subject::Device(id), status, commands))
}

fn enrolled<'a>(context: &Context<'a>, id: &RegistrationId) -> Result<&'a Enrollment, Failure> {
    let registration = context.directory.registration(context.tenant, id);
    let enrollment = registration.and_then(|one| one.enrollment.as_ref());
    enrollment.ok_or_else(|| Code::DEVICE_NOT_FOUND.into())
}

fn name(given: Option<String>) -> Result<Option<String>, Failure> {
    let sound = given
        .as_deref()
        .is_none_or(|name| limits::DEVICE_NAME.check(name).is_ok());
    if sound {
        Ok(given)
    } else {
        Err(Code::DEVICE_NAME.into())
    }
}

/// 32 hexadecimal digits.
fn generated(context: &Context<'_>) -> Result<Secret, Failure> {
    let bytes = context.entropy.iter().rev().take(16);
    let text: String = bytes.map(|byte| format!("{byte:02x}")).collect();
    Ok(Secret::new(text)?)
}

fn sealed(
    context: &Context<'_>,
    id: &RegistrationId,
    secret: &Secret,
) -> Result<SealedSecret, Failure> {
    let size = limits::DEVICE_SECRET;
    if !(size.least..=size.most).contains(&secret.expose().len()) {
        return Err(Failure::malformed("a secret has 8 to 32 bytes".to_owned()));
    }
    let stream = Roster::stream(context.tenant, Roster::shard_of(id));
    let field = Roster::enrolled_secret_field(id);
    Ok((context.seal)(&stream, &field, secret)?)
}

/// Refuses a secret with which the device could not be at a local access point that it may be assigned to.
fn check_local(
    context: &Context<'_>,
    secret: &Secret,
    tied: Option<&AccessPointId>,
) -> Result<(), Failure> {
    let holding = context.directory.holding(context.tenant);
    let mut points = holding.into_iter().flat_map(|one| {
        let points = one.access_points.all().values();
        points.filter(|point| tied.is_none_or(|tied| point.id == *tied))
    });
    match context.local_secret {
        Some(judge) if points.any(|point| point.local) => judge(secret).map_err(Failure::malformed),
        _ => Ok(()),
    }
}

fn leaf(context: &Context<'_>, info: &AuthInfo) -> Result<Attestation, Failure> {
    let given = info.fingerprint.as_deref().map(str::to_ascii_lowercase);
    let fingerprints: BTreeSet<Fingerprint> = given
        .map(|text| text.parse())
        .transpose()?
        .into_iter()
        .collect();
    let wait = Duration::from_secs(info.first_use_seconds.into());
    let until = context.wall.checked_add(wait).filter(|_| !wait.is_zero());
    Ok(Attestation::X509Leaf {
        fingerprints,
        first_use_until: until.map_or(0, unix_millis),
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let pairs = text.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    bytes.collect::<Option<_>>().filter(|_| digits)
}

pub(super) fn show(
    directory: &Directory,
    tenant: &TenantId,
    id: &RegistrationId,
) -> Option<(Value, u64)> {
    let registration = directory.registration(tenant, id)?;
    let enrollment = registration.enrollment.as_ref();
    let mut shown = json!({
        "device_id": id,
        "device_name": enrollment.map_or(id.as_str(), |enrollment| enrollment.name(id)),
        "create_time": time::stamp(registration.created_at),
        // The vendor's numbers: 0 is allocated, 3 is not.
        "allocation_status": if registration.current.is_some() { 0 } else { 3 },
        "retired": registration.retired,
        "triggered": registration.triggered,
        "records": registration.records,
    });
    let object = shown.as_object_mut()?;
    if let Some(enrollment) = enrollment {
        object.extend(entry::show(directory, tenant, &enrollment.entry));
        object.insert("auth_info".to_owned(), auth_info(&enrollment.attestation));
    }
    if let Some(to) = &registration.directed {
        object.insert(
            "directed_to".to_owned(),
            entry::point(directory, tenant, to),
        );
    }
    if let Some(assignment) = assignment(directory, tenant, registration) {
        object.insert("assignment".to_owned(), assignment);
    }
    Some((shown, registration.entry_version))
}

/// How a device proves itself, without what it proves it with.
fn auth_info(attestation: &Attestation) -> Value {
    match attestation {
        Attestation::SymmetricKey { .. } => json!({"auth_type": "SECRET"}),
        Attestation::X509Leaf { fingerprints, .. } => {
            json!({"auth_type": "CERTIFICATES", "fingerprint": fingerprints.first(), "fingerprints": fingerprints})
        }
        Attestation::X509Ca { ca, .. } => {
            json!({"auth_type": "CERTIFICATES", "certificate_id": ca})
        }
        Attestation::DtlsPsk { identity, .. } => json!({"auth_type": "PSK", "identity": identity}),
    }
}

/// Where a device was sent, and why.
fn assignment(
    directory: &Directory,
    tenant: &TenantId,
    registration: &Registration,
) -> Option<Value> {
    let current = registration.current.as_ref()?;
    let config = current.initial_config.as_ref().map(InitialConfig::as_bytes);
    Some(json!({
        "generation": current.generation,
        "state": current.state,
        "access_point": entry::point(directory, tenant, &current.target.access_point),
        "app_id": current.target.application,
        "strategy_id": current.policy,
        "registration_group_id": current.group,
        "evidence": current.class,
        "decided_time": time::stamp(current.decided_at),
        "init_config": config.map(String::from_utf8_lossy),
    }))
}
