//! The devices of a tenant.

mod credentials;
mod listing;
mod shown;

use bytes::Bytes;
use http::{Request, StatusCode};
use serde::Deserialize;

use super::entry::{self, EntryBody, SecretText};
use super::failure::Failure;
use super::route::{Below, Call};
use super::{Context, Step, Subject, body, expected, found};
use crate::model::{Attestation, Enrollment, Entry, Expected};
use crate::mqtt::DeviceAction;
use crate::roster::{self, Roster};
use crate::{AccessPointId, ApplicationId, Code, RegistrationId, Secret, TenantId, limits};

use credentials::{AuthInfo, check_local, generated, leaf, sealed};
pub(super) use listing::list;
pub(super) use shown::show;

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
            let key = base16ct::mixed::decode_vec(text.text());
            let key = Secret::new(key.map_err(|_| Code::LWM2M_KEY_MISSING)?)?;
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
