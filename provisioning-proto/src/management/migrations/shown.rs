//! Migrations as they are shown, and why one is refused.

use serde_json::{Map, Value, json};

use super::super::failure::Failure;
use super::super::time::stamp;
use super::MigrationWish;
use crate::migration::{Migration, Way};
use crate::{Code, ErrorKind, RegistrationId};

/// Why what was wanted is not done.
pub(super) fn refusal(wish: &MigrationWish, kind: ErrorKind) -> Failure {
    let told = |code, text: &str| Failure::told(code, text.to_owned());
    match (wish, kind) {
        (MigrationWish::EndAlone(_), ErrorKind::Conflict) => {
            let text = "the other instance may have the device: abort the migration first, then end the abort";
            told(Code::IN_USE, text)
        }
        (MigrationWish::EndAlone(_), ErrorKind::InvalidValue) => {
            told(Code::MALFORMED, "the device does not go to that instance")
        }
        (MigrationWish::EndAlone(_), ErrorKind::UnknownEntry) => {
            told(Code::NOT_FOUND, "no abort of the device is open")
        }
        (MigrationWish::LetGo, ErrorKind::UnknownEntry) => {
            let text =
                "no other instance said after the end of an abort that it has seen the device";
            told(Code::NOT_FOUND, text)
        }
        (_, kind) => of_kind(kind),
    }
}

fn of_kind(kind: ErrorKind) -> Failure {
    match kind {
        ErrorKind::Exists => {
            let text = "the device is being moved already";
            Failure::told(Code::EXISTS, text.to_owned())
        }
        ErrorKind::UnknownEntry => {
            let text = "the device is not being moved";
            Failure::told(Code::NOT_FOUND, text.to_owned())
        }
        ErrorKind::InUse => {
            let text = "the device was seen at the new place";
            Failure::told(Code::IN_USE, text.to_owned())
        }
        ErrorKind::InvalidValue => {
            let text = "the device is at that access point";
            Failure::malformed(text.to_owned())
        }
        ErrorKind::Full => Code::LIMIT.into(),
        ErrorKind::Unavailable => Code::UNAVAILABLE.into(),
        other => other.into(),
    }
}

pub(super) fn show(id: &RegistrationId, migration: &Migration) -> Value {
    let mut shown = Map::new();
    let mut put = |member: &str, value: Value| drop(shown.insert(member.to_owned(), value));
    put("device_id", json!(id));
    put("stage", json!(migration.stage));
    put("from", json!(migration.from));
    match &migration.way {
        Way::Direct { to } => put("access_point_id", json!(to)),
        Way::Transfer { transfer, instance } => {
            put("instance", json!(instance));
            put("transfer_id", json!(transfer));
        }
    }
    if let Some(cause) = migration.cause {
        put("cause", json!(cause));
    }
    if let Some(alone) = migration.alone {
        put("ended_alone", json!(alone));
    }
    put("create_time", stamp(migration.planned_at).into());
    put("update_time", stamp(migration.moved_at).into());
    if migration.stage.can_abort() {
        put("abort_time", stamp(migration.ends_at).into());
    }
    Value::Object(shown)
}
