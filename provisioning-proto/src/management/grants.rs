//! Which other tenants may use an access point.

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::failure::Failure;
use super::page::Page;
use super::{Context, Step, Subject, body};
use crate::{AccessPointId, Code, TenantId, tenant};

#[derive(Deserialize)]
struct GrantBody {
    authorized_domain_id: TenantId,
}

/// Reads what is wanted of all grants of an access point, or of one.
pub(super) fn read(
    context: &Context<'_>,
    access_point: &str,
    to: Option<&str>,
    request: &Request<Bytes>,
) -> Result<Step, Failure> {
    let access_point: AccessPointId = access_point.parse()?;
    let points = context.settings()?.access_points();
    // An access point that was only granted is somebody else's to grant.
    let own = points.get(&access_point).ok_or(Code::NOT_FOUND)?;
    match (to, request.method()) {
        (None, &Method::GET) => {
            let page = Page::read(request)?;
            let grants = own.value.grants.iter().map(|to| (to.as_str(), to));
            let list = page.take(grants, |_, to| Some(json!({"authorized_domain_id": to})));
            Ok(page.answer("grants", list))
        }
        (None, &Method::POST) => {
            let GrantBody {
                authorized_domain_id: to,
            } = body(request)?;
            if to == *context.tenant || context.directory.tenant(&to).is_none() {
                return Err(Code::USER_NOT_FOUND.into());
            }
            let point = access_point.clone();
            let command = tenant::Command::Grant { access_point, to };
            let commands = vec![context.setting(command)];
            let subject = Subject::AccessPoint(point);
            Ok(Step::Edit(context.edit(
                subject,
                StatusCode::CREATED,
                commands,
            )))
        }
        (Some(to), &Method::DELETE) => {
            let to: TenantId = to.parse()?;
            if !own.value.grants.contains(&to) {
                return Err(Code::NOT_FOUND.into());
            }
            let subject = Subject::AccessPoint(access_point.clone());
            let command = tenant::Command::EndGrant { access_point, to };
            let commands = vec![context.setting(command)];
            Ok(Step::Edit(context.edit(
                subject,
                StatusCode::NO_CONTENT,
                commands,
            )))
        }
        _ => Err(Code::NOT_FOUND.into()),
    }
}
