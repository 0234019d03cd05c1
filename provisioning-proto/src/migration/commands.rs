//! What an operator wants of a migration, and how that ends.

use std::time::{Instant, SystemTime};

use super::writing::Intent;
use super::{AbortCause, Command, Migrations, Output, Plan, Timer};
use crate::registration::CommandId;
use crate::{ErrorKind, RegistrationId, TenantId};

impl Migrations {
    /// Plans a migration, which begins when that is durable; ends with one [`Output::Done`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`] when too many commands wait. In [`Output::Done`]: [`ErrorKind::Exists`] for a device that is being
    /// moved, [`ErrorKind::Full`] when the tenant has too many migrations open, [`ErrorKind::InvalidValue`].
    pub fn plan(
        &mut self,
        tenant: &TenantId,
        id: &RegistrationId,
        plan: Plan,
        wall: SystemTime,
        now: Instant,
    ) -> Result<CommandId, ErrorKind> {
        let most = self.config.max_migrations;
        self.command(tenant, id, Command::Plan { plan, most }, wall, now)
    }

    /// Aborts a migration; ends with one [`Output::Done`] when the abort is durable. The migration is then
    /// [`Stage::Aborting`](super::Stage::Aborting) until everything is as it was.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`] when too many commands wait. In [`Output::Done`]: [`ErrorKind::UnknownEntry`] where none is open,
    /// [`ErrorKind::InUse`] when the device was seen at the new place.
    pub fn abort(
        &mut self,
        tenant: &TenantId,
        id: &RegistrationId,
        wall: SystemTime,
        now: Instant,
    ) -> Result<CommandId, ErrorKind> {
        let cause = AbortCause::Operator;
        self.command(tenant, id, Command::Abort { cause }, wall, now)
    }

    /// Ends the abort of a transfer without the word of the other instance, which is not asked any more; ends with one
    /// [`Output::Done`]. Whoever commands it affirms that the instance `without` is gone or has not the device, which stays here. What
    /// that instance says later is noted in [`Migration::alone`](super::Migration::alone) and moves nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`] when too many commands wait. In [`Output::Done`]: [`ErrorKind::Conflict`] before an abort,
    /// [`ErrorKind::InUse`] when the device was seen there, [`ErrorKind::InvalidValue`] for another instance or a device that is
    /// directed, [`ErrorKind::UnknownEntry`] where none is open.
    pub fn end_alone(
        &mut self,
        tenant: &TenantId,
        id: &RegistrationId,
        without: String,
        wall: SystemTime,
        now: Instant,
    ) -> Result<CommandId, ErrorKind> {
        self.command(tenant, id, Command::EndAlone { without }, wall, now)
    }

    /// Lets a device go that both instances have, because the other one [has seen it](super::Alone::Seen) although the abort was ended
    /// without its word: the migration ends as if it had said so in time. Ends with one [`Output::Done`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`] when too many commands wait. In [`Output::Done`]: [`ErrorKind::UnknownEntry`] where not both have it.
    pub fn let_go(
        &mut self,
        tenant: &TenantId,
        id: &RegistrationId,
        wall: SystemTime,
        now: Instant,
    ) -> Result<CommandId, ErrorKind> {
        self.command(tenant, id, Command::LetGo, wall, now)
    }

    pub(super) fn command(
        &mut self,
        tenant: &TenantId,
        id: &RegistrationId,
        command: Command,
        wall: SystemTime,
        now: Instant,
    ) -> Result<CommandId, ErrorKind> {
        let now = self.advance(now);
        if self.commands.len() >= self.config.max_commands {
            return Err(ErrorKind::Full);
        }
        let number = CommandId(self.numbers.next());
        self.commands.insert(number);
        let patience = self.config.command_patience;
        self.timers.set(Timer::Command(number), now, patience);
        let intent = Intent {
            asked_by: Some(number),
            id: id.clone(),
            command,
        };
        self.write(tenant, intent, wall);
        Ok(number)
    }

    pub(super) fn done(&mut self, command: CommandId, result: Result<(), ErrorKind>) {
        if self.commands.remove(&command) {
            self.timers.cancel(&Timer::Command(command));
            self.outputs.push_back(Output::Done { command, result });
        }
    }
}
