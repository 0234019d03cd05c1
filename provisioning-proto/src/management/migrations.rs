//! Migrations: devices that are moved to another access point, or whose registration goes to another instance.

mod shown;

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde::Deserialize;

use super::failure::Failure;
use super::page::Page;
use super::route::{Below, Call};
use super::{Context, Step, body, entry, json as answer};
use crate::migration::{Plan, Plans, Stage, Way};
use crate::{AccessPointId, Code, ErrorKind, RegistrationId};
use shown::{refusal, show};

/// How long a migration may take at most, in hours: ten years.
const MAX_HOURS: u32 = 87_600;
/// By default, in hours: a week.
const HOURS: u32 = 168;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    device_id: String,
    access_point_id: Option<AccessPointId>,
    instance: Option<String>,
    hours: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndBody {
    /// The instance, which so is named a second time by whoever affirms something of it.
    without: String,
}

/// A migration that is to be planned or aborted, and how that is answered.
#[derive(Debug)]
#[must_use = "nothing is changed before its wish is carried out"]
pub struct MigrationEdit {
    id: RegistrationId,
    wish: MigrationWish,
}

/// What an operator wants of a device's migration.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "each of them must be acted on")]
pub enum MigrationWish {
    /// [`Migrations::plan`](crate::migration::Migrations::plan).
    Plan(Plan),
    /// [`Migrations::abort`](crate::migration::Migrations::abort).
    Abort,
    /// [`Registrations::handle_target_seen`](crate::registration::Registrations::handle_target_seen), with this generation: the access
    /// point to which the device goes, or goes back, is another cloud, which saw it there.
    Seen(u64),
    /// [`Migrations::end_alone`](crate::migration::Migrations::end_alone), without this instance.
    EndAlone(String),
    /// [`Migrations::let_go`](crate::migration::Migrations::let_go).
    LetGo,
}

impl MigrationEdit {
    /// The device.
    #[must_use]
    pub fn device(&self) -> &RegistrationId {
        &self.id
    }

    /// What is wanted.
    #[must_use]
    pub fn wish(&self) -> &MigrationWish {
        &self.wish
    }

    /// The answer, from what that came to and the migrations as they are now.
    #[must_use]
    pub fn answer(self, plans: &Plans, result: Result<(), ErrorKind>) -> Response<Bytes> {
        if let Err(kind) = result {
            return refusal(&self.wish, kind).into();
        }
        let status = match self.wish {
            MigrationWish::Plan(_) => StatusCode::CREATED,
            _ => StatusCode::OK,
        };
        match plans.migration(&self.id) {
            Some(migration) => answer(status, &show(&self.id, migration), None),
            None => Failure::from(Code::NOT_FOUND).into(),
        }
    }
}

pub(super) fn read(
    context: &Context<'_>,
    call: Call,
    request: &Request<Bytes>,
) -> Result<Step, Failure> {
    match call {
        Call::List => {
            let page = Page::read(request)?;
            let open = page.filter("open") == Some("true");
            let plans = context.migrations.map(Plans::migrations);
            let all = plans.into_iter().flatten();
            let wanted = all.filter(|(_, migration)| !open || migration.stage.is_open());
            let list = page.take(
                wanted.map(|(id, migration)| (id.as_str(), (id, migration))),
                |_, (id, migration)| Some(show(id, migration)),
            );
            Ok(page.answer("migrations", list))
        }
        Call::Create => plan(context, body(request)?),
        Call::Show(id) => {
            let id = device(&id)?;
            let migration = context.migrations.and_then(|plans| plans.migration(&id));
            let migration = migration.ok_or(Code::NOT_FOUND)?;
            let shown = show(&id, migration);
            Ok(Step::Answer(answer(StatusCode::OK, &shown, None)))
        }
        Call::Remove(id) => Ok(Step::Migration(MigrationEdit {
            id: device(&id)?,
            wish: MigrationWish::Abort,
        })),
        Call::Below(id, Below::Seen) => seen(context, device(&id)?),
        Call::Below(id, Below::End) => {
            let EndBody { without } = body(request)?;
            let wish = MigrationWish::EndAlone(without);
            let id = device(&id)?;
            Ok(Step::Migration(MigrationEdit { id, wish }))
        }
        Call::Below(id, Below::LetGo) => {
            let (id, wish) = (device(&id)?, MigrationWish::LetGo);
            Ok(Step::Migration(MigrationEdit { id, wish }))
        }
        Call::Replace(_) | Call::Below(..) => Err(Code::NOT_FOUND.into()),
    }
}

fn plan(context: &Context<'_>, given: Body) -> Result<Step, Failure> {
    let id = device(&given.device_id)?;
    let known = context.directory.registration(context.tenant, &id);
    let known = known.ok_or(Code::DEVICE_NOT_FOUND)?;
    let current = known.current.as_ref().filter(|_| !known.retired);
    let current = current.ok_or_else(|| {
        let text = "the device is at no access point from which it could be moved";
        Failure::told(Code::DEVICE_NOT_FOUND, text.to_owned())
    })?;
    let way = match (given.access_point_id, given.instance) {
        (Some(to), None) => {
            entry::usable(context, &to)?;
            Way::Direct { to }
        }
        (None, Some(instance)) => {
            if !context.instances.contains(&instance) {
                let text = "no such instance in the configuration of this one";
                return Err(Failure::told(Code::NOT_FOUND, text.to_owned()));
            }
            let id = context.entropy.iter().take(16);
            let id: String = id.map(|byte| format!("{byte:02x}")).collect();
            Way::Transfer {
                transfer: id.parse()?,
                instance,
            }
        }
        _ => {
            let text = "either access_point_id or instance";
            return Err(Failure::malformed(text.to_owned()));
        }
    };
    let hours = given.hours.unwrap_or(HOURS);
    if !(1..=MAX_HOURS).contains(&hours) {
        let text = format!("hours is 1 to {MAX_HOURS}");
        return Err(Failure::malformed(text));
    }
    let mut plan = Plan::new(current.target.access_point.clone(), way);
    plan.patience = Duration::from_secs(u64::from(hours).saturating_mul(3600));
    let wish = MigrationWish::Plan(plan);
    Ok(Step::Migration(MigrationEdit { id, wish }))
}

/// Only of a device that was told of the new place, or again of the old one.
fn seen(context: &Context<'_>, id: RegistrationId) -> Result<Step, Failure> {
    let plans = context.migrations.ok_or(Code::NOT_FOUND)?;
    let migration = plans.migration(&id).ok_or(Code::NOT_FOUND)?;
    let known = context.directory.registration(context.tenant, &id);
    let current = known.and_then(|known| known.current.as_ref());
    let there = match &migration.way {
        Way::Direct { to } => current.filter(|current| {
            let at = &current.target.access_point;
            at == to || (migration.stage == Stage::Aborting && *at == migration.from)
        }),
        Way::Transfer { .. } => None,
    };
    let there = there.ok_or_else(|| {
        let text = "the device has not asked where it belongs since it is being moved";
        Failure::told(Code::IN_USE, text.to_owned())
    })?;
    let wish = MigrationWish::Seen(there.generation);
    Ok(Step::Migration(MigrationEdit { id, wish }))
}

fn device(id: &str) -> Result<RegistrationId, Failure> {
    id.parse().map_err(|_| Code::DEVICE_NAME.into())
}
