use std::time::SystemTime;

use crate::model::{
    Assignment, AssignmentState, Attestation, Cause, Enrollment, EvidenceClass, Expected,
    Fingerprint, InitialConfig, Migration, Target,
};
use crate::roster::{Change, Fact, MAX_PREVIOUS, Registration, Roster};
use crate::time::unix_millis;
use crate::{
    AccessPointId, ErrorKind, GroupId, PolicyId, RegistrationId, SealedSecret, TransferId,
};

/// The longest name of a device, in bytes.
const MAX_NAME: usize = 256;
/// How many policies an entry may name.
const MAX_POLICIES: usize = 64;

/// What an operator or the registration machine wants of one device's registration.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Enrolls the device, or changes its enrollment.
    Enroll {
        /// The enrollment from now on.
        enrollment: Enrollment,
        /// What is believed to be there.
        expected: Expected,
    },
    /// Removes the enrollment; the assignment stays.
    Unenroll {
        /// What is believed to be there.
        expected: Expected,
    },
    /// Pins the first certificate that came.
    PinCertificate {
        /// Its fingerprint.
        fingerprint: Fingerprint,
    },
    /// Notes an assignment that was decided; answered with [`Reply::Generation`].
    Propose(Proposal),
    /// Makes the decided assignment the present one.
    Commit {
        /// Its generation.
        generation: u64,
    },
    /// Notes that the device is told the assignment that it has.
    Return {
        /// Its generation.
        generation: u64,
    },
    /// Notes that the device was seen at its target.
    Confirm {
        /// The generation of its assignment; one of the past changes nothing.
        generation: u64,
    },
    /// Notes that a former target has forgotten the device.
    RetireTarget {
        /// The target.
        target: Target,
    },
    /// Gives the decided assignment up.
    Abandon {
        /// Its generation; another changes nothing.
        generation: u64,
        /// Why.
        cause: Cause,
    },
    /// Notes that the device proved itself and was refused. Repeated within a minute it changes nothing.
    Refuse {
        /// Why.
        cause: Cause,
        /// The group through which it came.
        group: Option<GroupId>,
    },
    /// Lets the policies be asked again when it registers next.
    Trigger,
    /// Lets the group's credential in once more.
    ApproveRebind,
    /// Takes it out of service; its targets are told.
    Retire,
    /// Puts it back into service, without its own secret; the policies are asked again.
    Reset,
    /// Takes an assignment over from another instance; its target here knows the device before the command is done. Repeated under
    /// the same transfer it only tells the target again; under one that was withdrawn it is a conflict.
    Import {
        /// The assignment as it was there, with the target that it has here.
        assignment: Assignment,
        /// The secret that the device was given with it.
        own_secret: Option<SealedSecret>,
        /// The transfer that brings it; none where an operator writes it.
        transfer: Option<TransferId>,
        /// The enrollment that comes with it.
        enrollment: Option<Enrollment>,
    },
    /// Takes a transfer back, also one that has not come yet. [`ErrorKind::InUse`] once the device was seen here.
    Withdraw {
        /// The transfer.
        transfer: TransferId,
    },
    /// Sends the device to one access point when it registers next, whatever its entry and the policies say, or leaves it to them
    /// again. Assignments that are under way to another one come to nothing.
    Direct {
        /// Where to.
        to: Option<AccessPointId>,
    },
}

/// An assignment as it was decided.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Proposal {
    /// The registration's generation when it was decided; another by now is a conflict.
    pub based_on: u64,
    /// The access point and the application there.
    pub target: Target,
    /// The policy that chose it.
    pub policy: Option<PolicyId>,
    /// The group through which the device came.
    pub group: Option<GroupId>,
    /// The version of the enrollment or group that it was decided on.
    pub entry_version: u64,
    /// What the device proved itself with.
    pub class: EvidenceClass,
    /// Whether its data come along.
    pub migration: Migration,
    /// What it is given beside its address.
    pub initial_config: Option<InitialConfig>,
    /// A secret that it is given.
    pub own_secret: Option<SealedSecret>,
}

impl Proposal {
    /// A proposal for a device that starts anew.
    #[must_use]
    pub fn new(based_on: u64, target: Target, entry_version: u64, class: EvidenceClass) -> Self {
        Self {
            based_on,
            target,
            policy: None,
            group: None,
            entry_version,
            class,
            migration: Migration::Reset,
            initial_config: None,
            own_secret: None,
        }
    }
}

/// What follows from a command: changes to append, and what to answer once they are durable.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// The changes, in order; none when everything is as wanted already.
    pub changes: Vec<Change>,
    /// The answer to whoever gave the command.
    pub reply: Reply,
}

/// The answer to a [`Command`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// It is done.
    Done,
    /// The version that the enrollment has.
    Version(u64),
    /// The generation of the decided assignment.
    Generation(u64),
}

impl Roster {
    /// Decides what a command changes at the time `wall`, and changes nothing itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownDevice`]; [`ErrorKind::Conflict`] when something is not as the command believes;
    /// [`ErrorKind::Disabled`] when the entry was disabled or the device taken out of service meanwhile;
    /// [`ErrorKind::InvalidValue`]; [`ErrorKind::Full`] when too many former targets have not answered;
    /// [`ErrorKind::Exists`] for importing what is there already.
    pub fn decide(
        &self,
        id: &RegistrationId,
        command: Command,
        wall: SystemTime,
    ) -> Result<Decision, ErrorKind> {
        let at = self.latest.max(unix_millis(wall));
        let present = self.registrations.get(id);
        let (fact, reply) = match present {
            Some(registration) => registration.fact(command, at)?,
            None => Registration::default().first_fact(command, at)?,
        };
        let change = fact.map(|fact| Change {
            at,
            id: id.clone(),
            fact,
        });
        Ok(Decision {
            changes: change.into_iter().collect(),
            reply,
        })
    }
}

type Outcome = Result<(Option<Fact>, Reply), ErrorKind>;

impl Registration {
    /// Of a device that nothing is known of: most commands need one.
    fn first_fact(&self, command: Command, at: u64) -> Outcome {
        match command {
            Command::Enroll { .. }
            | Command::Propose(_)
            | Command::Retire
            | Command::Withdraw { .. }
            | Command::Import { .. } => self.fact(command, at),
            // Whoever holds a group's credential must not fill the memory with names.
            Command::Refuse { .. } => Ok((None, Reply::Done)),
            _ => Err(ErrorKind::UnknownDevice),
        }
    }

    fn fact(&self, command: Command, at: u64) -> Outcome {
        let done = |fact| Ok((fact, Reply::Done));
        match command {
            Command::Enroll {
                enrollment,
                expected,
            } => self.enroll(enrollment, expected),
            Command::Unenroll { expected } => {
                let version = self.enrolled_version();
                if version.is_none() {
                    return Err(ErrorKind::UnknownDevice);
                }
                if !expected.is_met(version) {
                    return Err(ErrorKind::Conflict);
                }
                done(Some(Fact::EnrollmentRemoved))
            }
            Command::PinCertificate { fingerprint } => self.pin(fingerprint, at),
            Command::Propose(proposal) => self.propose(proposal, at),
            Command::Commit { generation } => self.commit(generation),
            Command::Return { generation } => {
                if self.retired {
                    return Err(ErrorKind::Disabled);
                }
                if self.current_generation() != Some(generation) {
                    return Err(ErrorKind::Conflict);
                }
                done(Some(Fact::Returned { generation }))
            }
            Command::Confirm { generation } => {
                let committed = self.current.as_ref().is_some_and(|current| {
                    current.generation == generation && current.state == AssignmentState::Committed
                });
                done(committed.then_some(Fact::Confirmed { generation }))
            }
            Command::RetireTarget { target } => {
                let known = self.previous.iter().any(|one| one.target == target);
                done(known.then_some(Fact::TargetRetired { target }))
            }
            Command::Abandon { generation, cause } => {
                let pending = self.pending.as_ref();
                let is = pending.is_some_and(|one| one.assignment.generation == generation);
                done(is.then_some(Fact::Abandoned { generation, cause }))
            }
            Command::Refuse { cause, group } => {
                let told = self.records.back().is_some_and(|last| {
                    last.cause == Some(cause)
                        && last.group == group
                        && last.at.saturating_add(60_000) > at
                });
                done((!told).then_some(Fact::Refused { cause, group }))
            }
            Command::Trigger => done((!self.triggered).then_some(Fact::Triggered)),
            Command::ApproveRebind => done((!self.rebind_approved).then_some(Fact::RebindApproved)),
            Command::Retire => done((!self.retired).then_some(Fact::Retired)),
            Command::Reset => done(Some(Fact::Reset)),
            Command::Import {
                assignment,
                own_secret,
                transfer,
                enrollment,
            } => self.import(assignment, own_secret, transfer, enrollment),
            Command::Withdraw { transfer } => {
                if self.was_seen_after(&transfer) {
                    return Err(ErrorKind::InUse);
                }
                let known = self.withdrawn.contains(&transfer);
                done((!known).then_some(Fact::Withdrawn { transfer }))
            }
            Command::Direct { to } => done((self.directed != to).then_some(Fact::Directed { to })),
        }
    }

    fn import(
        &self,
        mut assignment: Assignment,
        own_secret: Option<SealedSecret>,
        transfer: Option<TransferId>,
        enrollment: Option<Enrollment>,
    ) -> Outcome {
        if let Some(transfer) = &transfer {
            if self.withdrawn.contains(transfer) {
                return Err(ErrorKind::Conflict);
            }
            if self
                .transfer
                .as_ref()
                .is_some_and(|one| one.id == *transfer)
            {
                return Ok((None, Reply::Done));
            }
        }
        let enrolled = enrollment.is_some() && self.enrollment.is_some();
        if self.current.is_some() || self.pending.is_some() || self.retired || enrolled {
            return Err(ErrorKind::Exists);
        }
        if let Some(enrollment) = &enrollment {
            check_enrollment(enrollment)?;
        }
        // What it was told before, here, is of the past.
        assignment.generation = assignment.generation.max(self.generation.saturating_add(1));
        assignment.state = AssignmentState::Committed;
        let fact = Fact::Imported {
            assignment,
            own_secret,
            transfer,
            enrollment: enrollment.map(Box::new),
        };
        Ok((Some(fact), Reply::Done))
    }

    fn enroll(&self, enrollment: Enrollment, expected: Expected) -> Outcome {
        let version = self.enrolled_version();
        if !expected.is_met(version) {
            return Err(ErrorKind::Conflict);
        }
        check_enrollment(&enrollment)?;
        if self.enrollment.as_ref() == Some(&enrollment) {
            return Ok((None, Reply::Version(self.entry_version)));
        }
        let version = self.entry_version.saturating_add(1);
        Ok((Some(Fact::Enrolled { enrollment }), Reply::Version(version)))
    }

    fn pin(&self, fingerprint: Fingerprint, at: u64) -> Outcome {
        let Some(Attestation::X509Leaf {
            fingerprints,
            first_use_until,
        }) = self.enrollment.as_ref().map(|one| &one.attestation)
        else {
            return Err(ErrorKind::Conflict);
        };
        if fingerprints.contains(&fingerprint) {
            return Ok((None, Reply::Done));
        }
        if !fingerprints.is_empty() || *first_use_until <= at {
            return Err(ErrorKind::Conflict);
        }
        Ok((Some(Fact::CertificatePinned { fingerprint }), Reply::Done))
    }

    fn propose(&self, proposal: Proposal, at: u64) -> Outcome {
        if self.retired {
            return Err(ErrorKind::Disabled);
        }
        if self.generation != proposal.based_on || self.pending.is_some() {
            return Err(ErrorKind::Conflict);
        }
        let kept = self
            .previous
            .iter()
            .any(|one| one.target == proposal.target);
        if !kept && self.previous.len() >= MAX_PREVIOUS {
            return Err(ErrorKind::Full);
        }
        let assignment = Assignment {
            generation: self.generation.saturating_add(1),
            state: AssignmentState::Pending,
            target: proposal.target,
            policy: proposal.policy,
            group: proposal.group,
            entry_version: proposal.entry_version,
            class: proposal.class,
            migration: proposal.migration,
            initial_config: proposal.initial_config,
            decided_at: at,
        };
        self.check_entry(&assignment)?;
        let generation = assignment.generation;
        let fact = Fact::Proposed {
            assignment,
            own_secret: proposal.own_secret,
        };
        Ok((Some(fact), Reply::Generation(generation)))
    }

    fn commit(&self, generation: u64) -> Outcome {
        let pending = self.pending.as_ref().map(|pending| &pending.assignment);
        let Some(pending) = pending.filter(|one| one.generation == generation) else {
            return Err(ErrorKind::Conflict);
        };
        if self.retired {
            return Err(ErrorKind::Disabled);
        }
        self.check_entry(pending)?;
        Ok((
            Some(Fact::Committed { generation }),
            Reply::Generation(generation),
        ))
    }

    /// An individual entry, where there is one, wins over any group, and must be the one that was decided on.
    fn check_entry(&self, assignment: &Assignment) -> Result<(), ErrorKind> {
        let to = &assignment.target.access_point;
        if self
            .directed
            .as_ref()
            .is_some_and(|directed| directed != to)
        {
            return Err(ErrorKind::Conflict);
        }
        match (&self.enrollment, &assignment.group) {
            (None, Some(_)) => Ok(()),
            (Some(enrollment), None) => {
                if !enrollment.entry.enabled {
                    return Err(ErrorKind::Disabled);
                }
                if self.entry_version != assignment.entry_version {
                    return Err(ErrorKind::Conflict);
                }
                Ok(())
            }
            (Some(_), Some(_)) | (None, None) => Err(ErrorKind::Conflict),
        }
    }

    /// The version of the enrollment, if there is one.
    #[must_use]
    pub fn enrolled_version(&self) -> Option<u64> {
        self.enrollment.as_ref().map(|_| self.entry_version)
    }

    /// The generation of the assignment that the device has.
    #[must_use]
    pub fn current_generation(&self) -> Option<u64> {
        self.current.as_ref().map(|current| current.generation)
    }
}

fn check_enrollment(enrollment: &Enrollment) -> Result<(), ErrorKind> {
    let name = enrollment.name.as_deref().unwrap_or("-");
    let pins = match &enrollment.attestation {
        Attestation::X509Leaf { fingerprints, .. } => fingerprints.len(),
        _ => 0,
    };
    let policies = enrollment.entry.policies.len();
    if name.is_empty() || name.len() > MAX_NAME || pins > 2 || policies > MAX_POLICIES {
        return Err(ErrorKind::InvalidValue);
    }
    Ok(())
}
