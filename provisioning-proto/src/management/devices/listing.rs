//! Pages of devices.

use bytes::Bytes;
use http::Request;

use super::{device_id, show};
use crate::management::failure::Failure;
use crate::management::page::Page;
use crate::management::{Context, Step};
use crate::roster::Registration;
use crate::{AccessPointId, GroupId, RegistrationId};

/// A page of the tenant's devices, or of those that came through a group.
pub(in crate::management) fn list(
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
