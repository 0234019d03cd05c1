//! In which ownership each device is: a ledger of the numbers that its reports carry.
//!
//! The cloud core refuses what a device says under an earlier number than that of its present owner. A number is counted up
//! here before an owner changes, so that this ledger is never behind the core: whatever was interrupted in between, the next
//! publication of the device is taken.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::Name;
use crate::error::Error;
use crate::store::Ledger;

/// The stream of this ledger.
pub(super) const STREAM: &str = "generations";
/// The number of a device that never changed hands.
const FIRST: u64 = 1;

/// Something that happened. The written form is forever.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    /// A device is about to change hands.
    Raised { device: String, generation: u64 },
}

/// The devices that ever changed hands.
#[derive(Debug, Default)]
pub(super) struct Generations(BTreeMap<String, u64>);

impl Generations {
    pub(super) fn of(&self, name: &Name) -> u64 {
        self.0.get(&name.to_string()).copied().unwrap_or(FIRST)
    }

    /// What counts a device's number up.
    pub(super) fn raise(&self, name: &Name) -> Change {
        Change::Raised {
            device: name.to_string(),
            generation: self.of(name).saturating_add(1),
        }
    }
}

impl Ledger for Generations {
    type Change = Change;

    fn encode(change: &Change) -> Result<Bytes, Error> {
        let mut bytes = Vec::new();
        ciborium::into_writer(change, &mut bytes)
            .map_err(|cause| Error::new("a change of owner cannot be written", cause))?;
        Ok(bytes.into())
    }

    fn decode(bytes: &[u8]) -> Result<Change, Error> {
        ciborium::from_reader(bytes)
            .map_err(|cause| Error::new("a change of owner cannot be read", cause))
    }

    fn apply(&mut self, change: &Change) {
        let Change::Raised { device, generation } = change;
        self.0.insert(device.clone(), *generation);
    }
}
