//! The ledger of one device's owner: which account has it, and in which generation.
//!
//! Registering, handing over and removing a device append to this and to the accounts concerned in one atomic append, so a
//! device never belongs to two accounts and a report of a former owner never counts.

use serde::{Deserialize, Serialize};

use crate::account::stored;
use crate::error::{Error, ErrorKind};
use crate::ids::AccountId;

/// The form of [`Ownership::snapshot`] that this release writes.
pub(crate) const SNAPSHOT_FORMAT: u32 = 1;

/// Who owns a device.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Ownership {
    owner: Option<AccountId>,
    /// The latest there was, also after a release: reports of it may still be under way.
    generation: Option<u64>,
}

/// A change of owner, as it is written down: forever, as [`account::Fact`](crate::account::Fact) is.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum OwnershipChange {
    /// The device belongs to this account.
    Assigned {
        /// The account.
        account: AccountId,
        /// In this generation.
        generation: u64,
    },
    /// The device belongs to nobody.
    Released,
}

impl Ownership {
    pub(crate) fn owner(&self) -> Option<&AccountId> {
        self.owner.as_ref()
    }

    /// The owner, and the generation under which the device is theirs.
    pub(crate) fn owned(&self) -> Option<(&AccountId, u64)> {
        self.owner.as_ref().zip(self.generation)
    }

    /// Decides that `account` owns the device in `generation`: a new owner needs a later generation, and nobody takes an
    /// earlier one. The same again changes nothing.
    pub(crate) fn decide_assign(
        &self,
        account: &AccountId,
        generation: u64,
    ) -> Result<Option<OwnershipChange>, Error> {
        let same_owner = self.owner.as_ref() == Some(account);
        if same_owner && self.generation == Some(generation) {
            return Ok(None);
        }
        if Some(generation) > self.generation {
            Ok(Some(OwnershipChange::Assigned {
                account: account.clone(),
                generation,
            }))
        } else {
            Err(ErrorKind::Superseded.into())
        }
    }

    /// Decides that `account` owns the device from now on, in the generation after the present one. The owner that it has
    /// already changes nothing.
    pub(crate) fn decide_transfer(
        &self,
        account: &AccountId,
    ) -> Result<Option<OwnershipChange>, Error> {
        match (&self.owner, self.generation) {
            (Some(owner), _) if owner == account => Ok(None),
            (Some(_), Some(generation)) => {
                let generation = generation.checked_add(1).ok_or(ErrorKind::Superseded)?;
                self.decide_assign(account, generation)
            }
            _ => Err(ErrorKind::NotFound.into()),
        }
    }

    /// Decides that nobody owns the device any more.
    pub(crate) fn decide_release(
        &self,
        account: &AccountId,
        generation: u64,
    ) -> Result<OwnershipChange, Error> {
        if self.owner.as_ref() != Some(account) {
            Err(ErrorKind::NotFound.into())
        } else if self.generation != Some(generation) {
            Err(ErrorKind::Superseded.into())
        } else {
            Ok(OwnershipChange::Released)
        }
    }

    pub(crate) fn apply(&mut self, change: &OwnershipChange) {
        match change {
            OwnershipChange::Assigned {
                account,
                generation,
            } => {
                self.owner = Some(account.clone());
                self.generation = Some(*generation);
            }
            OwnershipChange::Released => self.owner = None,
        }
    }

    pub(crate) fn from_snapshot(format: u32, bytes: &[u8]) -> Result<Self, Error> {
        if format == SNAPSHOT_FORMAT {
            stored::decode(bytes)
        } else {
            Err(stored::unknown_format(format))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_owner_needs_a_later_generation() {
        let (first, second): (AccountId, AccountId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let mut ownership = Ownership::default();
        let change = ownership.decide_assign(&first, 0).unwrap().unwrap();
        ownership.apply(&change);
        assert_eq!(ownership.decide_assign(&first, 0).unwrap(), None);
        let stolen = ownership.decide_assign(&second, 0).unwrap_err();
        assert_eq!(stolen.kind(), ErrorKind::Superseded);
        let change = ownership.decide_assign(&second, 1).unwrap().unwrap();
        ownership.apply(&change);
        assert_eq!(ownership.owner(), Some(&second));
        assert_eq!(
            ownership.decide_assign(&first, 0).unwrap_err().kind(),
            ErrorKind::Superseded
        );
        assert_eq!(
            ownership.decide_release(&first, 0).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        ownership.apply(&ownership.decide_release(&second, 1).unwrap());
        assert_eq!(ownership.owner(), None);
        // Registered again after a release needs a later generation: reports of the old one may still be under way.
        assert_eq!(
            ownership.decide_assign(&second, 1).unwrap_err().kind(),
            ErrorKind::Superseded
        );
        assert!(ownership.decide_assign(&second, 2).is_ok());
    }

    #[test]
    fn a_transfer_counts_the_generation_up() {
        let (first, second): (AccountId, AccountId) = ("a".parse().unwrap(), "b".parse().unwrap());
        let mut ownership = Ownership::default();
        let nobodys = ownership.decide_transfer(&first).unwrap_err();
        assert_eq!(nobodys.kind(), ErrorKind::NotFound);
        ownership.apply(&ownership.decide_assign(&first, 7).unwrap().unwrap());
        assert_eq!(ownership.decide_transfer(&first).unwrap(), None);
        ownership.apply(&ownership.decide_transfer(&second).unwrap().unwrap());
        assert_eq!(ownership.owned(), Some((&second, 8)));
        ownership.apply(&ownership.decide_assign(&second, u64::MAX).unwrap().unwrap());
        let last = ownership.decide_transfer(&first).unwrap_err();
        assert_eq!(last.kind(), ErrorKind::Superseded);
    }

    #[test]
    fn generation_zero_is_used_up_like_any_other() {
        let account: AccountId = "a".parse().unwrap();
        let mut ownership = Ownership::default();
        ownership.apply(&ownership.decide_assign(&account, 0).unwrap().unwrap());
        ownership.apply(&ownership.decide_release(&account, 0).unwrap());
        assert_eq!(
            ownership.decide_assign(&account, 0).unwrap_err().kind(),
            ErrorKind::Superseded
        );
        assert!(ownership.decide_assign(&account, 1).is_ok());
    }
}
