//! The way of an account out of the journal.
//!
//! ```text
//! devices released, nothing left ──▶ durable ──▶ Erase ──▶ handle_erased ──▶ loaded anew, as an account that never was
//!                                       ▲                        │
//!                                       └── needed or woken ◀────┴── failed
//! ```

use std::mem;
use std::time::Instant;

use uci_model::DeviceId;

use super::line::{Batch, Effect, Task, Work};
use super::stream::{Ledger, StreamName};
use super::{DeviceCloud, Timer, after};
use crate::account::Command;
use crate::error::{Error, ErrorKind};
use crate::ids::{AccountId, ErasureId};
use crate::output::{Event, Output};

/// Most devices that are released in one append.
const MAX_RELEASED: usize = 256;

impl DeviceCloud {
    /// Releases the devices, many at a time, and at last empties the account.
    pub(super) fn perform_erase(
        &mut self,
        task: &Task,
        erasure: ErasureId,
        account: &AccountId,
        batch: &mut Batch,
    ) -> Result<(), Vec<StreamName>> {
        let ledger = match self.account(account) {
            Ok(ledger) => ledger,
            Err(error) => {
                batch.effects.push(Effect::Erased(erasure, Err(error)));
                return Ok(());
            }
        };
        let devices: Vec<_> = ledger
            .devices()
            .map(|(id, _)| id)
            .take(MAX_RELEASED)
            .collect();
        let last = ledger.devices().count() <= MAX_RELEASED;
        let streams = devices.iter().map(|device| StreamName::Device(*device));
        let missing: Vec<_> = streams.filter(|name| !task.needs.contains(name)).collect();
        if !missing.is_empty() {
            return Err(missing);
        }
        let effect = match self.empty(account, &devices, last, batch) {
            Ok(()) if !last => Effect::EraseOn(erasure, account.clone()),
            result => Effect::Erased(erasure, result.map(|()| account.clone())),
        };
        batch.effects.push(effect);
        Ok(())
    }

    fn empty(
        &mut self,
        account: &AccountId,
        devices: &[DeviceId],
        last: bool,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        for device in devices {
            let owned = self.ownership(*device)?.owned();
            if owned.is_some_and(|(owner, _)| owner == account) {
                self.remove(*device, batch)?;
            } else {
                self.take_out(*device, account, batch)?;
            }
        }
        if last {
            self.command(account, &Command::Erase, batch)?;
        }
        Ok(())
    }

    /// The next devices are released, after those whose release is durable.
    pub(super) fn erase_on(&mut self, erasure: ErasureId, account: AccountId, now: Instant) {
        let needs = [StreamName::Account(account.clone())];
        self.enqueue(needs, Work::Erase { erasure, account }, now);
    }

    /// Answers an erasure now, or once the stream is gone.
    pub(super) fn erased(&mut self, erasure: ErasureId, result: Result<AccountId, Error>) {
        let result = result.map(|account| {
            let stream = self.streams.get_mut(&StreamName::Account(account));
            stream.filter(|stream| stream.erasing.is_some())
        });
        match result {
            Ok(Some(stream)) => stream.erasures.push(erasure),
            // There was nothing to erase.
            Ok(None) => self.close_command(Event::AccountErased {
                erasure,
                result: Ok(()),
            }),
            Err(error) => self.close_command(Event::AccountErased {
                erasure,
                result: Err(error),
            }),
        }
    }

    /// Has a stream erased whose ledger says so. Nobody looks at it until that is done.
    pub(super) fn begin_erasing(&mut self, name: &StreamName, now: Instant) {
        let Some(stream) = self.streams.get_mut(name) else {
            return;
        };
        let Some(Ledger::Account(ledger)) = &stream.ledger else {
            return;
        };
        if !ledger.is_erased() || stream.erasing.is_some() {
            return;
        }
        let deadline = after(now, self.config.load_timeout);
        stream.erasing = Some(deadline);
        self.timers.insert((deadline, Timer::Erase(name.clone())));
        self.outputs.push_back(Output::Erase {
            stream: name.to_string(),
        });
    }

    pub(super) fn finish_erasing(&mut self, name: &StreamName, erased: bool, now: Instant) {
        let Some(stream) = self.streams.get_mut(name) else {
            return;
        };
        let Some(deadline) = stream.erasing.take() else {
            return;
        };
        self.timers.remove(&(deadline, Timer::Erase(name.clone())));
        let stream_waits = !stream.waiting.is_empty();
        let erasures = mem::take(&mut stream.erasures);
        for erasure in erasures {
            let result = if erased {
                Ok(())
            } else {
                Err(ErrorKind::Unavailable.into())
            };
            self.close_command(Event::AccountErased { erasure, result });
        }
        if !erased {
            self.stall(name);
        } else if stream_waits {
            self.reload(name, now);
        } else {
            self.drop_stream(name);
        }
    }
}
