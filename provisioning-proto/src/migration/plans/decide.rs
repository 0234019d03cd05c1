use std::time::SystemTime;

use super::{AbortCause, Alone, Change, Fact, Migration, Plan, Plans, Stage, Way};
use crate::time::{millis, unix_millis};
use crate::{ErrorKind, RegistrationId};

/// The longest name of an instance, in bytes.
const MAX_INSTANCE: usize = 256;

/// What an operator or the machine wants of one device's migration. What does not follow on where it stands changes nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Plans one.
    Plan {
        /// The migration.
        plan: Plan,
        /// How many migrations the tenant may have, open or not.
        most: usize,
    },
    /// Notes that the device is directed, or that its registration is about to be offered.
    Begin,
    /// Notes that the new place knows the device.
    Prepare,
    /// Notes that the device was seen there.
    Confirm,
    /// Notes that the old place has forgotten it.
    Finish,
    /// Aborts it.
    Abort {
        /// Why.
        cause: AbortCause,
    },
    /// Notes that everything is as it was.
    EndAbort,
    /// Ends the abort of a transfer without the word of the other instance.
    EndAlone {
        /// That instance, which so is named twice.
        without: String,
    },
    /// Ends the migration after all, where the other instance has seen the device although the abort was ended without its word.
    LetGo,
}

/// What follows from a command: changes to append.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// The changes, in order; none when everything is as wanted already.
    pub changes: Vec<Change>,
}

impl Plans {
    /// Decides what a command changes at the time `wall`, and changes nothing itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`] for a device that is being moved, [`ErrorKind::Full`], [`ErrorKind::InvalidValue`];
    /// [`ErrorKind::UnknownEntry`] and [`ErrorKind::InUse`] for an operator's abort where none is open or the device was seen at
    /// the new place; for [`Command::EndAlone`] likewise, with [`ErrorKind::Conflict`] where it is not aborting, and
    /// [`ErrorKind::InvalidValue`] where it does not go to that instance; [`ErrorKind::UnknownEntry`] for [`Command::LetGo`] where
    /// not both have the device.
    pub fn decide(
        &self,
        id: &RegistrationId,
        command: Command,
        wall: SystemTime,
    ) -> Result<Decision, ErrorKind> {
        let at = self.latest.max(unix_millis(wall));
        let changed = |id: &RegistrationId, fact| Change {
            at,
            id: id.clone(),
            fact,
        };
        let present = self.migrations.get(id);
        let mut changes = Vec::new();
        if let Command::Plan { plan, most } = command {
            if let Some(forgotten) = self.room(id, &plan, most)? {
                changes.push(changed(forgotten, Fact::Forgotten));
            }
            let fact = Fact::Planned {
                from: plan.from,
                way: plan.way,
                ends_at: at.saturating_add(millis(plan.patience)),
            };
            changes.push(changed(id, fact));
        } else {
            let fact = match present {
                Some(migration) => migration.fact(&command)?,
                None if by_operator(&command) => return Err(ErrorKind::UnknownEntry),
                None => None,
            };
            changes.extend(fact.map(|fact| changed(id, fact)));
        }
        Ok(Decision { changes })
    }

    /// Whether there is room for another; the one that is forgotten for it.
    fn room(
        &self,
        id: &RegistrationId,
        plan: &Plan,
        most: usize,
    ) -> Result<Option<&RegistrationId>, ErrorKind> {
        let fits = match &plan.way {
            Way::Direct { to } => *to != plan.from,
            Way::Transfer { instance, .. } => (1..=MAX_INSTANCE).contains(&instance.len()),
        };
        if !fits {
            return Err(ErrorKind::InvalidValue);
        }
        if let Some(present) = self.migrations.get(id) {
            return match present.stage.is_open() {
                true => Err(ErrorKind::Exists),
                false => Ok(None),
            };
        }
        if self.migrations.len() < most {
            return Ok(None);
        }
        let ended = self.migrations.iter();
        let ended = ended.filter(|(_, migration)| !migration.stage.is_open());
        let oldest = ended.min_by_key(|(_, migration)| migration.number);
        oldest.map(|(id, _)| Some(id)).ok_or(ErrorKind::Full)
    }
}

impl Migration {
    fn fact(&self, command: &Command) -> Result<Option<Fact>, ErrorKind> {
        let transfer = matches!(self.way, Way::Transfer { .. });
        Ok(match (command, self.stage) {
            (Command::Begin, Stage::Planned) => Some(Fact::Begun),
            (Command::Prepare, Stage::Planned | Stage::Begun) => Some(Fact::Prepared),
            (Command::Confirm, Stage::Begun | Stage::Prepared) => Some(Fact::Confirmed),
            // The other instance has decided: it was too late.
            (Command::Confirm, Stage::Aborting) if transfer => Some(Fact::Confirmed),
            (Command::Finish, Stage::Confirmed) => Some(Fact::Finished),
            (Command::EndAbort, Stage::Aborting) => Some(Fact::Aborted),
            (Command::EndAlone { without }, _) => return self.end_alone(without),
            // What the other instance says stays true: the first word counts.
            (_, Stage::Aborted) if self.alone == Some(Alone::Unheard) => match command {
                Command::Confirm => Some(Fact::SeenLate),
                Command::EndAbort => Some(Fact::GivenBackLate),
                command if by_operator(command) => return Err(ErrorKind::UnknownEntry),
                _ => None,
            },
            (Command::LetGo, Stage::Aborted) if self.alone == Some(Alone::Seen) => {
                Some(Fact::Confirmed)
            }
            (Command::LetGo, _) => return Err(ErrorKind::UnknownEntry),
            (Command::Abort { cause }, stage) => match (cause, stage) {
                // A refusal that comes after the acceptance is of an offer that was repeated.
                (AbortCause::Refused, Stage::Begun) => Some(Fact::AbortBegun { cause: *cause }),
                (AbortCause::Refused, _) => None,
                _ if stage.can_abort() => Some(Fact::AbortBegun { cause: *cause }),
                (AbortCause::Operator, Stage::Confirmed) => return Err(ErrorKind::InUse),
                (AbortCause::Operator, Stage::Finished | Stage::Aborted) => {
                    return Err(ErrorKind::UnknownEntry);
                }
                _ => None,
            },
            _ => None,
        })
    }

    /// Only once the abort has begun: the other instance was told then, if it could be, and what it said before counts.
    fn end_alone(&self, without: &str) -> Result<Option<Fact>, ErrorKind> {
        match &self.way {
            Way::Transfer { instance, .. } if instance == without => {}
            _ => return Err(ErrorKind::InvalidValue),
        }
        match self.stage {
            Stage::Aborting => Ok(Some(Fact::AbortedAlone)),
            Stage::Aborted if self.alone.is_some() => Ok(None),
            Stage::Planned | Stage::Begun | Stage::Prepared => Err(ErrorKind::Conflict),
            Stage::Confirmed => Err(ErrorKind::InUse),
            Stage::Finished | Stage::Aborted => Err(ErrorKind::UnknownEntry),
        }
    }
}

fn by_operator(command: &Command) -> bool {
    matches!(
        command,
        Command::EndAlone { .. }
            | Command::LetGo
            | Command::Abort {
                cause: AbortCause::Operator
            }
    )
}
