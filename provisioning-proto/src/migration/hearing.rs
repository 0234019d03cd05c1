//! What is heard of a device: how it is registered here, and what the other instance says.

use std::time::{Instant, SystemTime};

use super::{AbortCause, Command, Key, Migration, Migrations, Output, Stage, Way};
use crate::model::AssignmentState;
use crate::registration::CommandId;
use crate::roster::Registration;
use crate::{AccessPointId, ErrorKind, RegistrationId, TenantId, TransferId};

/// What another instance says of a transfer. Each stays true.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum News {
    /// Its target knows the device.
    Accepted,
    /// It does not take it.
    Refused,
    /// It has seen the device, and keeps it.
    Seen,
    /// It has given it back, and will not take it under this transfer any more.
    Withdrawn,
}

impl Migrations {
    /// How a device is registered here, as it is durable: when [`Output::Look`] asks, and as often as it changes. `None` for one
    /// that is not.
    pub fn handle_registration(
        &mut self,
        tenant: &TenantId,
        id: &RegistrationId,
        registration: Option<&Registration>,
        wall: SystemTime,
        now: Instant,
    ) {
        self.advance(now);
        let key: Key = (tenant.clone(), id.clone());
        let Some(migration) = self.migration(&key) else {
            return;
        };
        let next = match &migration.way {
            Way::Direct { to } => directed(migration, to, registration),
            Way::Transfer { .. } => transferred(migration, registration),
        };
        let (tenant, id) = key.clone();
        match next {
            Next::Wait => {}
            Next::Note(command) => self.note(&key, command, wall),
            Next::Direct(to) => self.outputs.push_back(Output::Direct { tenant, id, to }),
            Next::Retire => self.outputs.push_back(Output::Retire { tenant, id }),
        }
    }

    /// The other instance says something of a transfer. Of another transfer than the present one it changes nothing; of one whose
    /// abort was [ended alone](Self::end_alone) it is noted, and moves nothing.
    pub fn handle_news(
        &mut self,
        tenant: &TenantId,
        id: &RegistrationId,
        transfer: &TransferId,
        news: News,
        wall: SystemTime,
        now: Instant,
    ) {
        self.advance(now);
        let key: Key = (tenant.clone(), id.clone());
        if self.is_present(&key, transfer) {
            self.note(&key, news.command(), wall);
        }
    }

    /// As [`handle_news`](Self::handle_news), for who waits for it, as an operator with a [`TransferFile`](super::TransferFile); ends
    /// with one [`Output::Done`] when what follows is durable, or nothing does.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownEntry`] for another transfer than the present one; [`ErrorKind::Full`] when too many commands wait.
    pub fn hear(
        &mut self,
        tenant: &TenantId,
        id: &RegistrationId,
        transfer: &TransferId,
        news: News,
        wall: SystemTime,
        now: Instant,
    ) -> Result<CommandId, ErrorKind> {
        if !self.is_present(&(tenant.clone(), id.clone()), transfer) {
            return Err(ErrorKind::UnknownEntry);
        }
        self.command(tenant, id, news.command(), wall, now)
    }

    fn is_present(&self, key: &Key, transfer: &TransferId) -> bool {
        let present = self.migration(key).map(|migration| &migration.way);
        matches!(present, Some(Way::Transfer { transfer: present, .. }) if present == transfer)
    }
}

impl News {
    fn command(self) -> Command {
        match self {
            Self::Accepted => Command::Prepare,
            Self::Refused => Command::Abort {
                cause: AbortCause::Refused,
            },
            Self::Seen => Command::Confirm,
            Self::Withdrawn => Command::EndAbort,
        }
    }
}

/// What follows from how a device is registered.
enum Next {
    Wait,
    Note(Command),
    Direct(AccessPointId),
    Retire,
}

/// Of a device that knows provisioning.
fn directed(
    migration: &Migration,
    to: &AccessPointId,
    registration: Option<&Registration>,
) -> Next {
    let Some(registration) = registration else {
        // Nobody is there who could be moved.
        return match migration.stage {
            Stage::Aborting => Next::Note(Command::EndAbort),
            _ => Next::Wait,
        };
    };
    let leads = registration.directed.as_ref();
    let current = registration.current.as_ref();
    let knows = |point: &AccessPointId| {
        let mut former = registration.previous.iter();
        former.any(|one| one.target.access_point == *point)
    };
    let there = current.filter(|current| current.target.access_point == *to);
    match migration.stage {
        Stage::Planned if leads == Some(to) => Next::Note(Command::Begin),
        Stage::Planned => Next::Direct(to.clone()),
        Stage::Begun | Stage::Prepared => match there.map(|current| current.state) {
            Some(AssignmentState::Confirmed) => Next::Note(Command::Confirm),
            Some(_) => Next::Note(Command::Prepare),
            None => Next::Wait,
        },
        Stage::Confirmed => {
            if knows(&migration.from) {
                Next::Wait
            } else {
                Next::Note(Command::Finish)
            }
        }
        // First no assignment to the new place can be committed any more; then it counts where the device is. One that was told of
        // the new place is back when it was seen: the answer that called it back may have been lost.
        Stage::Aborting if leads != Some(&migration.from) => Next::Direct(migration.from.clone()),
        Stage::Aborting
            if there.is_none()
                && (current.is_none_or(|current| current.state == AssignmentState::Confirmed)
                    || !knows(to)) =>
        {
            Next::Note(Command::EndAbort)
        }
        Stage::Aborting | Stage::Finished | Stage::Aborted => Next::Wait,
    }
}

/// Of a device whose registration went to another instance.
fn transferred(migration: &Migration, registration: Option<&Registration>) -> Next {
    match (migration.stage, registration) {
        (Stage::Confirmed, Some(registration)) if !registration.retired => Next::Retire,
        (Stage::Confirmed, _) => Next::Note(Command::Finish),
        _ => Next::Wait,
    }
}
