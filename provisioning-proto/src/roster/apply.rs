use crate::model::{Assignment, AssignmentState, Attestation, Record, Step};
use crate::roster::{
    Change, Fact, MAX_RECORDS, MAX_WITHDRAWN, Pending, Registration, Roster, Transfer,
};
use crate::{RegistrationId, TransferId};

impl Roster {
    /// Takes in a change. Cannot fail: what does not fit has no effect.
    pub fn apply(&mut self, change: &Change) {
        self.latest = self.latest.max(change.at);
        let registration = self.entry(&change.id, change.at);
        registration.apply(&change.fact, change.at);
        if registration.is_void() {
            self.registrations.remove(&change.id);
        }
    }

    fn entry(&mut self, id: &RegistrationId, at: u64) -> &mut Registration {
        self.registrations
            .entry(id.clone())
            .or_insert_with(|| Registration {
                created_at: at,
                ..Registration::default()
            })
    }
}

impl Registration {
    fn apply(&mut self, fact: &Fact, at: u64) {
        let mut record = self.record(fact, at);
        match fact {
            Fact::Enrolled { enrollment } => {
                self.enrollment = Some(enrollment.clone());
                self.entry_version = self.entry_version.saturating_add(1);
            }
            Fact::EnrollmentRemoved => {
                self.enrollment = None;
                self.entry_version = self.entry_version.saturating_add(1);
            }
            Fact::CertificatePinned { fingerprint } => {
                if let Some(Attestation::X509Leaf { fingerprints, .. }) = self
                    .enrollment
                    .as_mut()
                    .map(|enrollment| &mut enrollment.attestation)
                {
                    fingerprints.insert(fingerprint.clone());
                }
            }
            Fact::Proposed {
                assignment,
                own_secret,
            } => {
                self.generation = self.generation.max(assignment.generation);
                self.pending = Some(Pending {
                    assignment: assignment.clone(),
                    own_secret: own_secret.clone(),
                });
            }
            Fact::Committed { generation } => self.commit_pending(*generation, at),
            Fact::Confirmed { generation } => {
                if let Some(current) = &mut self.current
                    && current.generation == *generation
                {
                    current.state = AssignmentState::Confirmed;
                }
            }
            Fact::TargetRetired { target } => self.previous.retain(|one| one.target != *target),
            Fact::Abandoned { generation, .. } => self.abandon(*generation),
            Fact::Returned { .. } => {
                self.triggered = false;
                self.rebind_approved = false;
            }
            Fact::Refused { .. } => {}
            Fact::Triggered => self.triggered = true,
            Fact::RebindApproved => self.rebind_approved = true,
            Fact::Retired => {
                self.retired = true;
                self.own_secret = None;
                let gone = self.current.take();
                let pending = self.pending.take().map(|pending| pending.assignment);
                gone.into_iter()
                    .chain(pending)
                    .for_each(|one| self.supersede(one));
            }
            Fact::Reset => {
                self.retired = false;
                self.own_secret = None;
                self.reset = true;
            }
            Fact::Imported {
                assignment,
                own_secret,
                transfer,
                enrollment,
            } => {
                self.generation = self.generation.max(assignment.generation);
                self.own_secret.clone_from(own_secret);
                self.first_assigned_at.get_or_insert(at);
                self.committed_at = at;
                self.previous.retain(|one| one.target != assignment.target);
                self.current = Some(assignment.clone());
                self.transfer = transfer.clone().map(|id| Transfer {
                    id,
                    generation: assignment.generation,
                    enrolled: enrollment.is_some(),
                });
                if let Some(enrollment) = enrollment {
                    self.enrollment = Some((**enrollment).clone());
                    self.entry_version = self.entry_version.saturating_add(1);
                }
            }
            Fact::Withdrawn { transfer } => self.withdraw(transfer),
            Fact::Directed { to } => self.directed.clone_from(to),
        }
        self.record_count = self.record_count.saturating_add(1);
        record.number = self.record_count;
        self.records.push_back(record);
        while self.records.len() > MAX_RECORDS {
            self.records.pop_front();
        }
    }

    fn commit_pending(&mut self, generation: u64, at: u64) {
        let Some(pending) = self
            .pending
            .take_if(|pending| pending.assignment.generation == generation)
        else {
            return;
        };
        let mut assignment = pending.assignment;
        assignment.state = AssignmentState::Committed;
        // A target that the device comes back to has nothing to forget.
        self.previous.retain(|one| one.target != assignment.target);
        if let Some(old) = self.current.take()
            && old.target != assignment.target
        {
            self.supersede(old);
        }
        if pending.own_secret.is_some() {
            self.own_secret = pending.own_secret;
        }
        self.current = Some(assignment);
        self.committed_at = at;
        self.first_assigned_at.get_or_insert(at);
        self.triggered = false;
        self.reset = false;
        self.rebind_approved = false;
    }

    /// Its target may know the device by now, and is told to forget it unless the device belongs there anyway, or was there before
    /// and perhaps still is: then it waits as it did.
    fn abandon(&mut self, generation: u64) {
        let Some(pending) = self
            .pending
            .take_if(|pending| pending.assignment.generation == generation)
        else {
            return;
        };
        let target = &pending.assignment.target;
        let waits = self.previous.iter().any(|one| one.target == *target);
        if !waits && !self.has(target) {
            self.supersede(pending.assignment);
        }
    }

    /// Its target is told to forget it; an offer that comes late is refused by its number.
    fn withdraw(&mut self, transfer: &TransferId) {
        if let Some(taken) = self.transfer.take_if(|taken| taken.id == *transfer) {
            let imported = self
                .current
                .take_if(|current| current.generation == taken.generation);
            if let Some(imported) = imported {
                self.own_secret = None;
                self.supersede(imported);
            }
            if taken.enrolled {
                self.enrollment = None;
                self.entry_version = self.entry_version.saturating_add(1);
            }
        }
        self.withdrawn.push_back(transfer.clone());
        while self.withdrawn.len() > MAX_WITHDRAWN {
            self.withdrawn.pop_front();
        }
    }

    fn supersede(&mut self, mut assignment: Assignment) {
        assignment.state = AssignmentState::Superseded;
        self.previous.retain(|one| one.target != assignment.target);
        self.previous.push(assignment);
    }

    /// What is told of a fact, before it is taken in.
    fn record(&self, fact: &Fact, at: u64) -> Record {
        let step = match fact {
            Fact::Enrolled { .. } => Step::Enrolled,
            Fact::EnrollmentRemoved => Step::EnrollmentRemoved,
            Fact::CertificatePinned { .. } => Step::CertificatePinned,
            Fact::Proposed { .. } => Step::Proposed,
            Fact::Committed { .. } => Step::Committed,
            Fact::Returned { .. } => Step::Returned,
            Fact::Confirmed { .. } => Step::Confirmed,
            Fact::TargetRetired { .. } => Step::TargetRetired,
            Fact::Abandoned { .. } => Step::Abandoned,
            Fact::Refused { .. } => Step::Refused,
            Fact::Triggered => Step::Triggered,
            Fact::RebindApproved => Step::RebindApproved,
            Fact::Retired => Step::Retired,
            Fact::Reset => Step::Reset,
            Fact::Imported { .. } => Step::Imported,
            Fact::Withdrawn { .. } => Step::Withdrawn,
            Fact::Directed { .. } => Step::Directed,
        };
        let assignment = match fact {
            Fact::Proposed { assignment, .. } | Fact::Imported { assignment, .. } => {
                Some(assignment)
            }
            Fact::Committed { .. } | Fact::Abandoned { .. } => {
                self.pending.as_ref().map(|pending| &pending.assignment)
            }
            Fact::Returned { .. } | Fact::Confirmed { .. } | Fact::Retired => self.current.as_ref(),
            Fact::Withdrawn { transfer } => {
                let taken = self.transfer.as_ref().filter(|taken| taken.id == *transfer);
                taken.and(self.current.as_ref())
            }
            Fact::TargetRetired { target } => {
                self.previous.iter().find(|one| one.target == *target)
            }
            _ => None,
        };
        let (cause, group) = match fact {
            Fact::Abandoned { cause, .. } => (Some(*cause), None),
            Fact::Refused { cause, group } => (Some(*cause), group.clone()),
            _ => (None, None),
        };
        Record {
            number: 0,
            at,
            step,
            generation: assignment.map(|one| one.generation),
            target: assignment.map(|one| one.target.clone()),
            policy: assignment.and_then(|one| one.policy.clone()),
            group: assignment.and_then(|one| one.group.clone()).or(group),
            cause,
        }
    }
}
