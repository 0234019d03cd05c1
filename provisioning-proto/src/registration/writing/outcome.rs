//! What follows from a decision: when it is durable, and when it came to nothing.

use std::time::{Instant, SystemTime};

use super::judging::Refused;
use super::{Changes, Intent, Item};
use crate::model::Cause;
use crate::registration::{Output, Registrations, StreamId};
use crate::{ErrorKind, roster};

impl Registrations {
    pub(super) fn take_in(&mut self, stream: &StreamId, changes: &Changes) {
        match (stream, changes) {
            (StreamId::Settings(tenant), Changes::Settings(changes)) => {
                for change in changes {
                    self.directory.apply_settings(tenant, change);
                }
            }
            (StreamId::Roster(tenant, _), Changes::Roster(changes)) => {
                for change in changes {
                    self.directory.apply_registration(tenant, change);
                    let known = self.directory.registration(tenant, &change.id);
                    if let Some(record) = known.and_then(|known| known.records.back()) {
                        self.outputs.push_back(Output::Audit {
                            tenant: tenant.clone(),
                            id: change.id.clone(),
                            record: record.clone(),
                        });
                    }
                }
            }
            _ => {}
        }
    }

    /// What was decided is durable.
    pub(super) fn completed(
        &mut self,
        stream: &StreamId,
        item: Item,
        wall: SystemTime,
        now: Instant,
    ) {
        let StreamId::Roster(tenant, _) = stream else {
            if let Intent::Settings(command, _) = item.intent {
                self.done(command, Ok(item.reply));
            }
            return;
        };
        match item.intent {
            Intent::Settings(..) => {}
            Intent::Command(command, id, given) => {
                let key = (tenant.clone(), id);
                if matches!(given, roster::Command::Import { .. }) {
                    self.tell_of_import(command, &key);
                } else {
                    self.done(command, Ok(item.reply));
                }
                self.plan_retirement(&key, wall, now);
            }
            Intent::Note(id, command) => {
                let key = (tenant.clone(), id);
                if matches!(command, roster::Command::RetireTarget { .. }) {
                    self.retiring.remove(&key);
                }
                if matches!(command, roster::Command::Abandon { .. }) {
                    self.restore_target(&key);
                }
                self.plan_retirement(&key, wall, now);
            }
            Intent::Propose(operation, _) => {
                if let Some(generation) = item.generation {
                    self.prepare(operation, generation, false, wall, now);
                }
            }
            Intent::Commit(operation, id, generation) => {
                self.finish(operation, generation, wall, now);
                self.plan_retirement(&(tenant.clone(), id), wall, now);
            }
            Intent::Return(operation, _, generation) => {
                self.finish(operation, generation, wall, now);
            }
        }
    }

    pub(super) fn refused(
        &mut self,
        stream: &StreamId,
        intent: Intent,
        why: &Refused,
        wall: SystemTime,
        now: Instant,
    ) {
        let kind = match why {
            Refused::Kind(kind) => *kind,
            Refused::Cause(_) | Refused::Dropped => ErrorKind::Conflict,
        };
        match intent {
            Intent::Settings(command, _) | Intent::Command(command, ..) => {
                self.done(command, Err(kind));
            }
            Intent::Note(id, roster::Command::RetireTarget { .. }) => {
                if let StreamId::Roster(tenant, _) = stream {
                    self.retiring.remove(&(tenant.clone(), id));
                }
            }
            Intent::Note(..) => {}
            Intent::Propose(operation, _) | Intent::Return(operation, ..)
                if matches!(why, Refused::Kind(ErrorKind::Conflict)) =>
            {
                self.decide_again(operation, wall, now);
            }
            Intent::Propose(operation, _)
            | Intent::Commit(operation, ..)
            | Intent::Return(operation, ..) => {
                let cause = match why {
                    Refused::Cause(cause) => *cause,
                    Refused::Kind(ErrorKind::Disabled) => Cause::Disabled,
                    Refused::Kind(ErrorKind::Full) => Cause::Busy,
                    Refused::Kind(_) | Refused::Dropped => Cause::Conflict,
                };
                self.fail(operation, cause, wall, now);
            }
        }
    }
}
