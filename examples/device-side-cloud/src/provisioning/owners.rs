//! The owners that enrollments and groups name, and that they name them no more.

use std::collections::BTreeSet;

use provisioning_proto::model::Expected;
use provisioning_proto::registration::{Command, StreamId};
use provisioning_proto::roster::{self, Roster};
use provisioning_proto::{ErrorKind, tenant};
use tracing::info;

use super::Provisioning;
use crate::error::Error;

/// How often it is looked again when an operator changed an entry meanwhile.
const TRIES: u8 = 10;

impl Provisioning {
    /// Every owner that an enrollment or a group names.
    pub(crate) fn owners(&self) -> BTreeSet<String> {
        self.directory(|directory| {
            let mut owners = BTreeSet::new();
            for (tenant, settings) in directory.tenants() {
                let groups = settings.groups().values();
                owners.extend(groups.filter_map(|group| group.value.entry.owner.clone()));
                for shard in 0..Roster::SHARDS {
                    let roster = directory.roster(tenant, shard).into_iter();
                    let all = roster.flat_map(|roster| roster.registrations().values());
                    let enrolled = all.filter_map(|one| one.enrollment.as_ref());
                    owners.extend(enrolled.filter_map(|one| one.entry.owner.clone()));
                }
            }
            owners.iter().map(ToString::to_string).collect()
        })
    }

    /// Lets devices and groups belong to nobody that belong to this owner, and the journal forget that they did.
    ///
    /// # Errors
    /// The journal cannot be written, or entries change all the time.
    pub(crate) async fn forget_owner(&self, owner: &str) -> Result<(), Error> {
        let failed = |kind: ErrorKind| Error::new("an enrollment still names its owner", kind);
        let mut touched = BTreeSet::new();
        for _ in 0..TRIES {
            let commands = self.without_owner(owner);
            if commands.is_empty() {
                for (_, stream) in touched {
                    self.condense(&stream).await?;
                }
                return Ok(());
            }
            for (stream, command) in commands {
                touched.insert((stream.name(), stream));
                match self.command(command).await {
                    // It was changed meanwhile, and is looked at again.
                    Ok(_) | Err(ErrorKind::Conflict) => {}
                    Err(kind) => return Err(failed(kind)),
                }
            }
            info!("entries of provisioning belong to nobody now");
        }
        Err(failed(ErrorKind::Conflict))
    }

    /// The commands that take an owner from every entry, and the streams that these change.
    fn without_owner(&self, owner: &str) -> Vec<(StreamId, Command)> {
        self.directory(|directory| {
            let mut commands = Vec::new();
            for (tenant, settings) in directory.tenants() {
                let theirs = |named: Option<&provisioning_proto::AccountId>| {
                    named.is_some_and(|named| named.as_str() == owner)
                };
                for (id, group) in settings.groups() {
                    if theirs(group.value.entry.owner.as_ref()) {
                        let mut value = group.value.clone();
                        value.entry.owner = None;
                        let command = tenant::Command::SetGroup {
                            group: id.clone(),
                            value,
                            expected: Expected::Version(group.version),
                        };
                        let tenant = tenant.clone();
                        let stream = StreamId::Settings(tenant.clone());
                        commands.push((stream, Command::Settings { tenant, command }));
                    }
                }
                for shard in 0..Roster::SHARDS {
                    let roster = directory.roster(tenant, shard).into_iter();
                    for (id, one) in roster.flat_map(Roster::registrations) {
                        let Some(enrollment) = &one.enrollment else {
                            continue;
                        };
                        if theirs(enrollment.entry.owner.as_ref()) {
                            let mut enrollment = enrollment.clone();
                            enrollment.entry.owner = None;
                            let command = roster::Command::Enroll {
                                enrollment,
                                expected: Expected::Version(one.entry_version),
                            };
                            let (tenant, id) = (tenant.clone(), id.clone());
                            let stream = StreamId::Roster(tenant.clone(), shard);
                            let command = Command::Registration {
                                tenant,
                                id,
                                command,
                            };
                            commands.push((stream, command));
                        }
                    }
                }
            }
            commands
        })
    }
}
