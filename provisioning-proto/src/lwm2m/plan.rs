//! The order in which a client's accounts are deleted and written, and at which instances.

use std::collections::{BTreeMap, BTreeSet};

use super::check::{Clean, Configuration};
use super::objects::{ACCESS_CONTROL, OSCORE, SECURITY, SERVER};
use super::path::MAX_ID;
use super::{Discovery, Instance, ObjectLink, Path};

/// One thing to do, in order; after the last one comes Finish.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a plan writes and deletes")]
pub enum Step {
    /// Bootstrap-Delete.
    Delete(Path),
    /// Bootstrap-Write of an instance of an object.
    Write(u16, Instance),
}

/// Where an account was put.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Placed {
    /// Its short server id.
    pub short_server_id: u16,
    /// The instance of the Security object.
    pub security: u16,
    /// The instance of the Server object.
    pub server: u16,
}

/// A plan for one client, made from what it is to have and from what it said it has.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// Deletes, then the instances of `/0`, `/1`, `/2` and `/21`.
    pub steps: Vec<Step>,
    /// Where the accounts are put.
    pub placed: Vec<Placed>,
}

/// Why there is no plan for a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The client has an instance at every id.
    #[error("no instance id is free")]
    NoInstance,
    /// The accounts have resources that a client of LwM2M 1.0 does not know.
    #[error("the client speaks LwM2M 1.0, the configuration needs 1.1")]
    Version,
}

impl Plan {
    /// Makes a plan. It touches no instance of the Security object that may be the bootstrap server's account, and no OSCORE context
    /// that may belong to it, wherever they are: those for which the client names no short server id.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn new(configuration: &Configuration, discovery: &Discovery) -> Result<Self, PlanError> {
        let speaks_1_0 = discovery.version.as_deref() == Some("1.0");
        let accounts = &configuration.accounts;
        let later = accounts.iter().any(|account| {
            account.security.needs_1_1() || account.server.needs_1_1() || account.oscore.is_some()
        });
        if speaks_1_0 && later {
            return Err(PlanError::Version);
        }
        let mut deletes = Vec::new();
        if configuration.clean == Clean::Everything {
            deletes.push(Step::Delete(Path::Root));
        }
        // Id 0 is the bootstrap server's by custom, should the client not have named it.
        let mut securities = Places::new(SECURITY, 1, configuration.clean, discovery, &mut deletes);
        let mut servers = Places::new(SERVER, 0, configuration.clean, discovery, &mut deletes);
        let mut controls = Places::new(
            ACCESS_CONTROL,
            0,
            configuration.clean,
            discovery,
            &mut deletes,
        );
        let mut contexts = Places::new(OSCORE, 0, configuration.clean, discovery, &mut deletes);

        let mut written: BTreeMap<u16, Vec<Instance>> = BTreeMap::new();
        let mut write = |object, instance| written.entry(object).or_default().push(instance);
        let mut placed = Vec::new();
        // Those that take the place of their like first, so that no other takes it.
        let reused: Vec<_> = accounts
            .iter()
            .map(|account| {
                let id = account.server.short_server_id;
                (securities.reuse(id), servers.reuse(id))
            })
            .collect();
        for (account, (security_at, server_at)) in accounts.iter().zip(reused) {
            let short_server_id = account.server.short_server_id;
            let security_at = security_at.map_or_else(|| securities.take(None), Ok)?;
            let server_at = server_at.map_or_else(|| servers.take(Some(security_at)), Ok)?;
            let mut security = account.security.clone();
            if let Some(oscore) = &account.oscore {
                let at = contexts.take(Some(security_at))?;
                security.oscore = Some(ObjectLink {
                    object: OSCORE,
                    instance: at,
                });
                write(OSCORE, oscore.to_instance(at));
            }
            write(SECURITY, security.to_instance(security_at));
            write(SERVER, account.server.to_instance(server_at));
            placed.push(Placed {
                short_server_id,
                security: security_at,
                server: server_at,
            });
        }
        for control in &configuration.access_controls {
            write(ACCESS_CONTROL, control.to_instance(controls.take(None)?));
        }
        let writes = written.into_iter().flat_map(|(object, instances)| {
            let step = move |instance| Step::Write(object, instance);
            instances.into_iter().map(step)
        });
        let steps = deletes.into_iter().chain(writes).collect();
        Ok(Self { steps, placed })
    }
}

/// The instance ids of an object.
struct Places {
    least: u16,
    taken: BTreeSet<u16>,
    /// The instances that stay, by their short server ids.
    known: BTreeMap<u16, u16>,
}

impl Places {
    /// The places that are taken once `deletes`, to which those of this object are added, are done.
    fn new(
        object: u16,
        least: u16,
        clean: Clean,
        discovery: &Discovery,
        deletes: &mut Vec<Step>,
    ) -> Self {
        let (mut taken, mut known) = (BTreeSet::new(), BTreeMap::new());
        // Of the others it is sure that they are nobody's but servers'.
        let by_name = matches!(object, SECURITY | OSCORE);
        for (id, server) in discovery.instances(object) {
            let may_go = server.is_some() || !by_name;
            match clean {
                Clean::Everything if may_go => {}
                Clean::Accounts if may_go => {
                    if by_name {
                        deletes.push(Step::Delete(Path::Instance(object, id)));
                    } else if !deletes.contains(&Step::Delete(Path::Object(object))) {
                        deletes.push(Step::Delete(Path::Object(object)));
                    }
                }
                _ => {
                    taken.insert(id);
                    known.extend(server.map(|server| (server, id)));
                }
            }
        }
        Self {
            least,
            taken,
            known,
        }
    }

    /// The place of the instance with this short server id.
    fn reuse(&mut self, short_server_id: u16) -> Option<u16> {
        self.known.remove(&short_server_id)
    }

    /// A free place: the wanted one, or the first.
    fn take(&mut self, wanted: Option<u16>) -> Result<u16, PlanError> {
        let wanted = wanted.filter(|id| *id >= self.least && !self.taken.contains(id));
        let first = || (self.least..=MAX_ID).find(|id| !self.taken.contains(id));
        let id = wanted.or_else(first).ok_or(PlanError::NoInstance)?;
        self.taken.insert(id);
        Ok(id)
    }
}

#[cfg(test)]
mod tests;
