//! Devices that get an owner, change hands or lose their owner: always in one append over all streams concerned.

use uci_model::DeviceId;

use super::DeviceCloud;
use super::line::{Batch, Task};
use super::stream::{Ledger, StreamName};
use crate::account::{Command, stored};
use crate::device_port::Occurrence;
use crate::error::{Error, ErrorKind};
use crate::ids::AccountId;
use crate::ownership::{Ownership, OwnershipChange};

impl DeviceCloud {
    /// Sees that a task has the stream of the device's present owner, who turns out only when the device's own stream is
    /// there; otherwise says which one is missing.
    pub(super) fn with_owner(&self, task: &Task, device: DeviceId) -> Result<(), Vec<StreamName>> {
        let owner = self.ownership(device).ok().and_then(Ownership::owner);
        let missing = owner
            .map(|owner| StreamName::Account(owner.clone()))
            .filter(|name| !task.needs.contains(name));
        missing.map_or(Ok(()), |name| Err(vec![name]))
    }

    /// The device moves: from its former account, if it had one, to this one.
    pub(super) fn assign(
        &mut self,
        device: DeviceId,
        account: &AccountId,
        generation: u64,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let ownership = self.ownership(device)?;
        let former = ownership.owner().filter(|owner| *owner != account).cloned();
        let assigned = ownership.decide_assign(account, generation)?;
        let registering = command(device, generation, Occurrence::Registered);
        let registered = self.decide(account, &registering)?;
        if let Some(former) = &former {
            self.take_out(device, former, batch)?;
        }
        self.record(account, &registered, batch)?;
        match assigned {
            Some(change) => self.record_ownership(device, &change, batch),
            None => Ok(()),
        }
    }

    /// The device leaves its account, because whoever carries it says so.
    pub(super) fn release(
        &mut self,
        device: DeviceId,
        account: &AccountId,
        generation: u64,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let released = self
            .ownership(device)?
            .decide_release(account, generation)?;
        let unregistering = command(device, generation, Occurrence::Unregistered);
        let unregistered = self.decide(account, &unregistering)?;
        self.record(account, &unregistered, batch)?;
        self.record_ownership(device, &released, batch)
    }

    /// An operator gives the device to an account. Returns the generation in which it is then.
    pub(super) fn transfer(
        &mut self,
        device: DeviceId,
        account: &AccountId,
        batch: &mut Batch,
    ) -> Result<u64, Error> {
        let ownership = self.ownership(device)?;
        match ownership.decide_transfer(account)? {
            Some(OwnershipChange::Assigned { generation, .. }) => {
                self.assign(device, account, generation, batch)?;
                Ok(generation)
            }
            _ => Ok(ownership.owned().ok_or(ErrorKind::NotFound)?.1),
        }
    }

    /// An operator takes the device from whoever has it. Returns the generation in which it was.
    pub(super) fn remove(&mut self, device: DeviceId, batch: &mut Batch) -> Result<u64, Error> {
        let ownership = self.ownership(device)?;
        let (owner, generation) = ownership.owned().ok_or(ErrorKind::NotFound)?;
        let owner = owner.clone();
        let released = ownership.decide_release(&owner, generation)?;
        self.take_out(device, &owner, batch)?;
        self.record_ownership(device, &released, batch)?;
        Ok(generation)
    }

    /// Unregisters a device from an account, whatever generation it has there.
    pub(super) fn take_out(
        &mut self,
        device: DeviceId,
        account: &AccountId,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let Some(record) = self.account(account)?.device(device) else {
            return Ok(());
        };
        let unregistering = command(device, record.generation(), Occurrence::Unregistered);
        self.command(account, &unregistering, batch)
    }

    fn record_ownership(
        &mut self,
        device: DeviceId,
        change: &OwnershipChange,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let encoded = stored::encode(change)?;
        let name = StreamName::Device(device);
        let Some(stream) = self.streams.get_mut(&name) else {
            return Err(ErrorKind::Unavailable.into());
        };
        let Some(Ledger::Ownership(ledger)) = &mut stream.ledger else {
            return Err(ErrorKind::Unavailable.into());
        };
        let had_owner = ledger.owner().is_some();
        ledger.apply(change);
        // The history names a former owner, who may want to be forgotten.
        if had_owner {
            stream.forget();
        }
        batch.changes.entry(name).or_default().push(encoded);
        Ok(())
    }

    pub(super) fn ownership(&self, device: DeviceId) -> Result<&Ownership, Error> {
        let stream = self.streams.get(&StreamName::Device(device));
        match stream.and_then(|stream| stream.ledger.as_ref()) {
            Some(Ledger::Ownership(ownership)) => Ok(ownership),
            _ => Err(ErrorKind::Unavailable.into()),
        }
    }
}

fn command(device: DeviceId, generation: u64, occurrence: Occurrence) -> Command {
    Command::Report {
        device,
        generation,
        occurrence,
    }
}
