//! What an operator asks for: devices that change hands, accounts that are exported and erased.

use std::time::{Instant, SystemTime};

use uci_model::DeviceId;

use super::DeviceCloud;
use super::line::Work;
use super::stream::StreamName;
use crate::error::{Error, ErrorKind};
use crate::ids::{AccountId, ErasureId, ExportId, OwnerChangeId};
use crate::output::{Event, Output};

impl DeviceCloud {
    /// Gives a device to another account. Exactly one [`Event::OwnerChanged`] follows, after it is durable.
    ///
    /// The former owner's clients are told that the device is gone, and the new owner's that it is there. The generation is
    /// counted up, so that late reports of the former ownership are refused; links and representations do not come along:
    /// the device publishes them anew. Repeating it is harmless. A device that nobody has is
    /// [`ErrorKind::NotFound`]: it is registered by whoever carries it.
    pub fn transfer_device(
        &mut self,
        device: DeviceId,
        to: AccountId,
        wall: SystemTime,
        now: Instant,
    ) -> OwnerChangeId {
        self.change_owner(device, Some(to), wall, now)
    }

    /// Takes a device from its account. Exactly one [`Event::OwnerChanged`] follows, after it is durable.
    ///
    /// The owner's clients are told that the device is gone. It comes back only when it is registered in a later
    /// generation. A device that nobody has is [`ErrorKind::NotFound`].
    pub fn remove_device(
        &mut self,
        device: DeviceId,
        wall: SystemTime,
        now: Instant,
    ) -> OwnerChangeId {
        self.change_owner(device, None, wall, now)
    }

    fn change_owner(
        &mut self,
        device: DeviceId,
        to: Option<AccountId>,
        wall: SystemTime,
        now: Instant,
    ) -> OwnerChangeId {
        let now = self.tick(wall, now);
        let change = OwnerChangeId::new(self.number());
        let account = to.clone().map(StreamName::Account);
        let needs = account.into_iter().chain([StreamName::Device(device)]);
        match self.open_command() {
            Ok(()) => self.enqueue(needs, Work::ChangeOwner { change, device, to }, now),
            Err(error) => self.note(Event::OwnerChanged {
                change,
                result: Err(error),
            }),
        }
        self.advance(now);
        change
    }

    /// Says what an account holds. Exactly one [`Event::AccountExported`] follows.
    pub fn export_account(
        &mut self,
        account: AccountId,
        wall: SystemTime,
        now: Instant,
    ) -> ExportId {
        let now = self.tick(wall, now);
        let export = ExportId::new(self.number());
        let needs = [StreamName::Account(account.clone())];
        match self.open_command() {
            Ok(()) => self.enqueue(needs, Work::Export { export, account }, now),
            Err(error) => self.note(Event::AccountExported {
                export,
                result: Err(error),
            }),
        }
        self.advance(now);
        export
    }

    /// Erases an account: its devices belong to nobody, and an [`Output::Erase`] removes its stream. Exactly one
    /// [`Event::AccountErased`] follows, when that is done.
    ///
    /// Subscriptions vanish without a word: to have clients told, end the grants before and give the cancellations their
    /// time. An erasure that was decided and then interrupted is carried on when the account is needed or woken. Whoever
    /// asks afterwards sees an empty account. Repeating it is harmless.
    pub fn erase_account(
        &mut self,
        account: AccountId,
        wall: SystemTime,
        now: Instant,
    ) -> ErasureId {
        let now = self.tick(wall, now);
        let erasure = ErasureId::new(self.number());
        let needs = [StreamName::Account(account.clone())];
        match self.open_command() {
            Ok(()) => self.enqueue(needs, Work::Erase { erasure, account }, now),
            Err(error) => self.note(Event::AccountErased {
                erasure,
                result: Err(error),
            }),
        }
        self.advance(now);
        erasure
    }

    /// Takes that a stream is erased, or could not be, after an [`Output::Erase`].
    pub fn handle_erased(&mut self, stream: &str, erased: bool, wall: SystemTime, now: Instant) {
        let now = self.tick(wall, now);
        if let Some(name) = StreamName::parse(stream) {
            self.finish_erasing(&name, erased, now);
        }
        self.advance(now);
    }

    /// Counts a command in that will end with an event, unless too many wait already.
    pub(super) fn open_command(&mut self) -> Result<(), Error> {
        if self.open_commands >= self.config.max_pending {
            return Err(ErrorKind::Full.into());
        }
        self.open_commands = self.open_commands.saturating_add(1);
        Ok(())
    }

    /// Ends a command that was counted in.
    pub(super) fn close_command(&mut self, event: Event) {
        self.open_commands = self.open_commands.saturating_sub(1);
        self.note(event);
    }

    pub(super) fn note(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}
