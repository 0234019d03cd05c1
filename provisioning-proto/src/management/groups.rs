use bytes::Bytes;
use http::{Request, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::entry::{self, EntryBody};
use super::failure::Failure;
use super::page::Page;
use super::route::{Below, Call};
use super::{Context, Step, Subject, body, devices, expected, found, put, time};
use crate::directory::Directory;
use crate::model::{EnrollmentGroup, Entry, Expected, GroupAttestation, IdRule, Rebind};
use crate::mqtt::{Derivation, GroupSecret};
use crate::registration::Command;
use crate::tenant::Tenant;
use crate::{Code, GroupId, ScopeId, Secret, TenantId, limits, tenant};

#[derive(Deserialize)]
struct GroupBody {
    registration_group_name: Option<String>,
    scope_id: Option<ScopeId>,
    id_rule: Option<IdRule>,
    rebind: Option<Rebind>,
    derivation: Option<Derivation>,
    #[serde(flatten)]
    entry: EntryBody,
}

pub(super) fn read(
    context: &Context<'_>,
    call: Call,
    request: &Request<Bytes>,
) -> Result<Step, Failure> {
    let (directory, tenant) = (context.directory, context.tenant);
    match call {
        Call::List => {
            let page = Page::read(request)?;
            let name = page.filter("registration_group_name");
            let groups = context.settings()?.groups().iter();
            let named =
                groups.filter(|(_, group)| name.is_none_or(|name| group.value.name == name));
            let list = page.take(named.map(|(id, _)| (id.as_str(), id)), |_, id| {
                show(directory, tenant, id).map(|(shown, _)| shown)
            });
            Ok(page.answer("registration_groups", list))
        }
        Call::Create => create(context, body(request)?),
        Call::Show(id) => found(show(directory, tenant, &id.parse()?), Code::GROUP_NOT_FOUND),
        Call::Replace(id) => replace(context, &id.parse()?, body(request)?, expected(request)?),
        Call::Remove(id) => remove(context, id.parse()?, request),
        Call::Below(id, Below::Devices) => {
            let id: GroupId = id.parse()?;
            if !context.settings()?.groups().contains_key(&id) {
                return Err(Code::GROUP_NOT_FOUND.into());
            }
            devices::list(context, request, Some(&id))
        }
        Call::Below(..) => Err(Code::NOT_FOUND.into()),
    }
}

/// Removes the group that the query names.
pub(super) fn remove_named(
    context: &Context<'_>,
    request: &Request<Bytes>,
) -> Result<Step, Failure> {
    let page = Page::read(request)?;
    let name = page.filter("registration_group_name");
    let name = name.ok_or_else(|| Failure::malformed("registration_group_name".to_owned()))?;
    let mut groups = context.settings()?.groups().iter();
    let (id, _) = groups
        .find(|(_, group)| group.value.name == name)
        .ok_or(Code::GROUP_NOT_FOUND)?;
    remove(context, id.clone(), request)
}

fn remove(
    context: &Context<'_>,
    group: GroupId,
    request: &Request<Bytes>,
) -> Result<Step, Failure> {
    let subject = Subject::Group(group.clone());
    let expected = expected(request)?;
    let command = context.setting(tenant::Command::RemoveGroup { group, expected });
    let edit = context.edit(subject, StatusCode::NO_CONTENT, vec![command]);
    Ok(Step::Edit(edit))
}

fn create(context: &Context<'_>, given: GroupBody) -> Result<Step, Failure> {
    let settings = context.settings()?;
    let name = given.registration_group_name.unwrap_or_default();
    limits::GROUP_NAME.check(&name)?;
    if settings
        .groups()
        .values()
        .any(|group| group.value.name == name)
    {
        return Err(Code::GROUP_EXISTS.into());
    }
    let id: GroupId = context.new_id().parse()?;
    let (scope, mut commands) = scope(context, given.scope_id)?;
    let info = &given.entry.provision_info;
    let mut secret = None;
    let attestation = match (info.auth_type.as_deref(), &info.certificate_id) {
        (None | Some("CERTIFICATES"), Some(ca)) => GroupAttestation::X509Ca {
            ca: ca.parse()?,
            accept_expired: false,
        },
        (None | Some("SECRET"), None) => {
            let group_secret = match &info.register_group_secret {
                Some(text) => GroupSecret::from_base64(text.text())?,
                None => GroupSecret::generate(context.entropy),
            };
            let shown = Secret::new(group_secret.to_base64().as_bytes())?;
            secret = Some(("register_group_secret", shown));
            let (stream, field) = (
                Tenant::stream(context.tenant),
                Tenant::group_secret_field(&id),
            );
            let clear = Secret::new(group_secret.expose())?;
            GroupAttestation::GroupKey {
                primary: (context.seal)(&stream, &field, &clear)?,
                secondary: None,
                derivation: given.derivation.unwrap_or_default(),
            }
        }
        _ => {
            let text = "auth_type is SECRET, or CERTIFICATES with a certificate_id";
            return Err(Failure::malformed(text.to_owned()));
        }
    };
    let mut value = EnrollmentGroup::new(name, scope, attestation, Entry::enabled());
    if let Some(rule) = given.id_rule {
        value.ids = rule;
    }
    if let Some(rebind) = given.rebind {
        value.rebind = rebind;
    }
    commands.extend(given.entry.set(context, &mut value.entry)?);
    let (group, expected) = (id.clone(), Expected::Absent);
    commands.push(context.setting(tenant::Command::SetGroup {
        group,
        value,
        expected,
    }));
    let mut edit = context.edit(Subject::Group(id), StatusCode::CREATED, commands);
    edit.secret = secret;
    Ok(Step::Edit(edit))
}

/// The scope that is named, or the tenant's first, or a new one.
fn scope(
    context: &Context<'_>,
    named: Option<ScopeId>,
) -> Result<(ScopeId, Vec<Command>), Failure> {
    let known = context.settings()?.scopes();
    let scope = match named.or_else(|| known.first().cloned()) {
        Some(scope) => scope,
        None => context
            .new_id()
            .chars()
            .take(12)
            .collect::<String>()
            .parse()?,
    };
    let mut commands = Vec::new();
    if !known.contains(&scope) {
        commands.push(context.setting(tenant::Command::AddScope(scope.clone())));
    }
    Ok((scope, commands))
}

fn replace(
    context: &Context<'_>,
    id: &GroupId,
    given: GroupBody,
    expected: Expected,
) -> Result<Step, Failure> {
    let present = context.settings()?.groups().get(id);
    let mut value = present.ok_or(Code::GROUP_NOT_FOUND)?.value.clone();
    let info = &given.entry.provision_info;
    let fixed = info.auth_type.is_some()
        || info.register_group_secret.is_some()
        || info.certificate_id.is_some()
        || given.scope_id.is_some_and(|scope| scope != value.scope);
    if fixed {
        return Err(Code::IMMUTABLE.into());
    }
    if let Some(name) = given.registration_group_name {
        limits::GROUP_NAME.check(&name)?;
        value.name = name;
    }
    if let Some(rule) = given.id_rule {
        value.ids = rule;
    }
    if let Some(rebind) = given.rebind {
        value.rebind = rebind;
    }
    let mut commands = given.entry.set(context, &mut value.entry)?;
    let group = id.clone();
    commands.push(context.setting(tenant::Command::SetGroup {
        group,
        value,
        expected,
    }));
    Ok(Step::Edit(context.edit(
        Subject::Group(id.clone()),
        StatusCode::OK,
        commands,
    )))
}

pub(super) fn show(directory: &Directory, tenant: &TenantId, id: &GroupId) -> Option<(Value, u64)> {
    let kept = directory.tenant(tenant)?.groups().get(id)?;
    let group = &kept.value;
    let mut shown = json!({
        "registration_group_id": id,
        "registration_group_name": group.name,
        "scope_id": group.scope,
        "id_rule": group.ids,
        "rebind": group.rebind,
        "create_time": time::stamp(kept.created_at),
    });
    let object = shown.as_object_mut()?;
    object.extend(entry::show(directory, tenant, &group.entry));
    let info = object.get_mut("provision_info")?;
    match &group.attestation {
        GroupAttestation::GroupKey { derivation, .. } => {
            put(info, "auth_type", "SECRET");
            put(info, "derivation", json!(derivation));
        }
        GroupAttestation::X509Ca { ca, .. } => {
            put(info, "auth_type", "CERTIFICATES");
            put(info, "certificate_id", json!(ca));
        }
    }
    Some((shown, kept.version))
}
