use std::time::SystemTime;

use crate::RegistrationId;
use crate::directory::{Directory, Holding, Principal};
use crate::model::{
    AssignmentState, Attestation, Cause, EnrollmentGroup, Entry as Settings, EvidenceClass, Rebind,
    Versioned,
};
use crate::roster::Registration;
use crate::time::unix_millis;

/// The enrollment or group that lets a device in.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Entry<'d> {
    /// What it says.
    pub settings: &'d Settings,
    /// Its version.
    pub version: u64,
    /// The name against which keywords match: a group's has the device's id behind it.
    pub name: String,
}

impl Directory {
    /// Whether a device that proved itself may come in, and by which entry.
    ///
    /// # Errors
    ///
    /// Why not. The device is to see no difference to what proves nothing.
    pub fn admit(&self, principal: &Principal, wall: SystemTime) -> Result<Entry<'_>, Cause> {
        let holding = self
            .holding(&principal.tenant)
            .ok_or(Cause::Unauthenticated)?;
        let registration = self.registration(&principal.tenant, &principal.id);
        if registration.is_some_and(|known| known.retired) {
            return Err(Cause::Retired);
        }
        let enrollment = registration.and_then(|known| known.enrollment.as_ref());
        let Some(group) = &principal.group else {
            let version = registration.map_or(0, |known| known.entry_version);
            let enrollment = enrollment.ok_or(Cause::Unauthenticated)?;
            if !enrollment.entry.enabled {
                return Err(Cause::Disabled);
            }
            if version != principal.entry_version {
                return Err(Cause::Unauthenticated);
            }
            if !may_pin(principal, &enrollment.attestation) {
                return Err(Cause::Unauthenticated);
            }
            return Ok(Entry {
                settings: &enrollment.entry,
                version,
                name: enrollment.name(&principal.id).to_owned(),
            });
        };
        if let Some(enrollment) = enrollment {
            // The individual entry wins, enabled or not.
            return Err(if enrollment.entry.enabled {
                Cause::Unauthenticated
            } else {
                Cause::Disabled
            });
        }
        let entry = holding.settings.groups().get(group);
        let entry = entry.ok_or(Cause::Unauthenticated)?;
        if !entry.value.entry.enabled {
            return Err(Cause::Disabled);
        }
        if !entry.value.ids.admits(&principal.id) {
            return Err(Cause::IdRefused);
        }
        rebinding(principal, entry, registration, unix_millis(wall))?;
        if !holding.is_member(&principal.id, group)
            && !holding.has_room(group, 0, unix_millis(wall))
        {
            return Err(Cause::GroupFull);
        }
        Ok(Entry {
            settings: &entry.value.entry,
            version: entry.version,
            name: format!("{}{}", entry.value.name, principal.id),
        })
    }
}

/// Of two certificates that come first, one is; the other is not let in any more.
fn may_pin(principal: &Principal, attestation: &Attestation) -> bool {
    match (&principal.pin, attestation) {
        (Some(pin), Attestation::X509Leaf { fingerprints, .. }) => {
            fingerprints.is_empty() || fingerprints.contains(pin)
        }
        (pin, _) => pin.is_none(),
    }
}

/// For how long after it was assigned a device may come again with its group's credential, in milliseconds.
const ASKED_AGAIN: u64 = 600_000;

/// First-use binding: a device that was given a credential of its own is to use it. It may not have heard of it, because an answer
/// can be lost: until it was seen at its target, and for a while at most, it is told the same once more.
fn rebinding(
    principal: &Principal,
    group: &Versioned<EnrollmentGroup>,
    registration: Option<&Registration>,
    now: u64,
) -> Result<(), Cause> {
    let Some(known) = registration.filter(|known| known.own_secret.is_some()) else {
        return Ok(());
    };
    if principal.class != EvidenceClass::GroupKey {
        return Ok(());
    }
    let unseen = |state| state == AssignmentState::Committed;
    let recent = known.committed_at.saturating_add(ASKED_AGAIN) > now;
    if recent && known.current.as_ref().is_some_and(|one| unseen(one.state)) {
        return Ok(());
    }
    match group.value.rebind {
        Rebind::Allow => Ok(()),
        Rebind::Approve if known.rebind_approved => Ok(()),
        Rebind::Deny | Rebind::Approve => Err(Cause::RebindRefused),
    }
}

impl Holding {
    /// Whether an id counts as one of a group's already.
    pub(crate) fn is_member(&self, id: &RegistrationId, group: &crate::GroupId) -> bool {
        let roster = self.rosters.get(&crate::roster::Roster::shard_of(id));
        let known = roster.and_then(|roster| roster.registration(id));
        known.and_then(super::holding::membership) == Some(group)
    }
}
