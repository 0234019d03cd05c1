use bytes::Bytes;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use super::failure::Failure;
use super::page::Page;
use super::route::{Below, Call};
use super::{Context, Step, Subject, body, expected, found};
use crate::allocation::{AccessPoint, Owner};
use crate::directory::Directory;
use crate::model::Expected;
use crate::{AccessPointId, Code, TenantId, tenant};

pub(super) fn read(
    context: &Context<'_>,
    call: Call,
    request: &Request<Bytes>,
) -> Result<Step, Failure> {
    let (directory, tenant) = (context.directory, context.tenant);
    match call {
        Call::List => {
            let page = Page::read(request)?;
            let (region, owner) = (
                page.filter("region_id"),
                page.filter("authorizing_domain_id"),
            );
            let holding = directory.holding(tenant).ok_or(Code::USER_NOT_FOUND)?;
            let points = holding.access_points.all().values().filter(|point| {
                let theirs = match &point.owner {
                    Owner::Own => None,
                    Owner::Other { tenant, .. } => Some(tenant.as_str()),
                };
                region.is_none_or(|region| point.region.as_deref() == Some(region))
                    && owner.is_none_or(|owner| theirs == Some(owner))
            });
            let points = points.map(|point| (point.id.as_str(), point));
            let list = page.take(points, |_, point| {
                show(directory, tenant, &point.id).map(|(shown, _)| shown)
            });
            Ok(page.answer("access_points", list))
        }
        Call::Show(id) => found(show(directory, tenant, &id.parse()?), Code::NOT_FOUND),
        Call::Below(id, Below::Applications) => {
            let id = id.parse()?;
            let point = directory.access_point(tenant, &id);
            let point = point.ok_or(Code::NOT_FOUND)?;
            let page = Page::read(request)?;
            let applications = point.applications.iter().map(|app| (app.as_str(), app));
            let list = page.take(applications, |_, app| {
                let default = point.default_application.as_ref() == Some(app);
                Some(json!({"app_id": app, "default_app": default}))
            });
            Ok(page.answer("applications", list))
        }
        Call::Create => {
            let given: Value = body(request)?;
            let id = match given.get("id").and_then(Value::as_str) {
                Some(id) => id.parse()?,
                None => context.new_id().parse()?,
            };
            set(context, id, given, Expected::Absent, StatusCode::CREATED)
        }
        Call::Replace(id) => {
            let expected = expected(request)?;
            set(
                context,
                id.parse()?,
                body(request)?,
                expected,
                StatusCode::OK,
            )
        }
        Call::Remove(id) => {
            let access_point: AccessPointId = id.parse()?;
            let subject = Subject::AccessPoint(access_point.clone());
            let command = tenant::Command::RemoveAccessPoint {
                access_point,
                expected: expected(request)?,
            };
            let commands = vec![context.setting(command)];
            Ok(Step::Edit(context.edit(
                subject,
                StatusCode::NO_CONTENT,
                commands,
            )))
        }
        Call::Below(..) => Err(Code::NOT_FOUND.into()),
    }
}

/// The access point of the body; what it does not say is as in one that is new.
fn set(
    context: &Context<'_>,
    id: AccessPointId,
    given: Value,
    expected: Expected,
    status: StatusCode,
) -> Result<Step, Failure> {
    let Value::Object(given) = given else {
        return Err(Failure::malformed("the body is no object".to_owned()));
    };
    let blank = AccessPoint::new(id.clone(), id.as_str());
    let malformed = |cause| Failure::malformed(format!("the body cannot be read: {cause}"));
    let mut whole = serde_json::to_value(blank).map_err(malformed)?;
    if let Some(whole) = whole.as_object_mut() {
        let ours = |name: &str| name == "id" || name == "owner";
        whole.extend(given.into_iter().filter(|(name, _)| !ours(name)));
    }
    let point: AccessPoint = serde_json::from_value(whole).map_err(malformed)?;
    point.check()?;
    match context.directory.owner_of(&id) {
        Some(owner) if owner != context.tenant => return Err(Code::EXISTS.into()),
        Some(_) if expected == Expected::Absent => return Err(Code::EXISTS.into()),
        _ => {}
    }
    let command = context.setting(tenant::Command::SetAccessPoint { point, expected });
    Ok(Step::Edit(context.edit(
        Subject::AccessPoint(id),
        status,
        vec![command],
    )))
}

pub(super) fn show(
    directory: &Directory,
    tenant: &TenantId,
    id: &AccessPointId,
) -> Option<(Value, u64)> {
    let point = directory.access_point(tenant, id)?;
    let mut shown = serde_json::to_value(point).ok()?;
    let own = directory.tenant(tenant)?.access_points().get(id);
    let object = shown.as_object_mut()?;
    object.remove("owner");
    match &point.owner {
        Owner::Own => object.insert("devices".to_owned(), directory.devices_at(id).into()),
        Owner::Other { tenant, .. } => {
            object.insert("authorizing_domain_id".to_owned(), tenant.as_str().into())
        }
    };
    Some((shown, own.map_or(0, |own| own.version)))
}
