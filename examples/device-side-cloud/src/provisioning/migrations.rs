//! Devices that move: the machine of migrations on the journal, beside that of registrations.
//!
//! Where both are needed, the machine of migrations is locked first.

mod driver;
mod files;
mod instances;
mod streams;
mod taking;
mod wishes;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use mqtt_bootstrap::Sessions;
use provisioning_proto::migration::{Alone, Config, Migrations, Output, Plans, Stage};
use provisioning_proto::registration::{self, Command, CommandId};
use provisioning_proto::{ErrorKind, RegistrationId, TenantId, roster};
use tokio::sync::{Notify, oneshot, watch};
use tracing::{debug, info, warn};

use super::Provisioning;
use crate::clock;
use crate::config;
use crate::error::Error;
pub(crate) use files::{Carried, FileOrder};
pub(crate) use instances::Instances;

/// The migrations of all tenants, and the ways to those who are to be moved.
#[derive(Debug)]
pub(super) struct Migrating {
    state: Mutex<State>,
    /// Outputs and deadlines are to be looked at.
    wake: Notify,
    /// Whether there are any: what happens to devices is looked at only then.
    any: AtomicBool,
    /// The devices that are in over MQTT.
    connected: OnceLock<Sessions>,
    pub(super) instances: Instances,
    /// Some migration has come further.
    moved: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    machine: Migrations,
    done: BTreeMap<CommandId, oneshot::Sender<Result<(), ErrorKind>>>,
    /// At which version each tenant's stream was kept as a snapshot last.
    condensed: BTreeMap<TenantId, u64>,
}

impl State {
    fn alone(&self, tenant: &TenantId, id: &RegistrationId) -> Option<Alone> {
        self.machine.plans(tenant)?.migration(id)?.alone
    }
}

impl Migrating {
    /// # Errors
    /// The system has no randomness.
    pub(super) fn new(
        settings: &config::Provisioning,
        instances: Instances,
    ) -> Result<Self, Error> {
        let mut config = Config::default();
        config.retry = Duration::from_secs(settings.migration_retry_seconds.get().into());
        Ok(Self {
            state: Mutex::new(State {
                machine: Migrations::new(config, clock::entropy()?),
                done: BTreeMap::new(),
                condensed: BTreeMap::new(),
            }),
            wake: Notify::new(),
            any: AtomicBool::new(false),
            connected: OnceLock::new(),
            instances,
            moved: watch::Sender::default(),
        })
    }

    /// Whether any device was ever to be moved.
    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The machine never panics half-way, and what is durable counts.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Provisioning {
    /// Tells devices through these connections to bootstrap again. Only the first call counts.
    pub(crate) fn reach_through(&self, connected: Sessions) {
        let _ = self.0.migrating.connected.set(connected);
    }

    /// Asks a device to bootstrap again, if it is connected.
    pub(super) fn trigger(&self, tenant: &TenantId, id: &RegistrationId) {
        let connected = self.0.migrating.connected.get();
        // As the door of MQTT names its devices.
        if connected.is_some_and(|connected| connected.trigger(&format!("{tenant}/{id}"))) {
            info!(%tenant, device = %id, "a device is asked to bootstrap again");
        } else {
            debug!(%tenant, device = %id, "a device that is to bootstrap again is not connected");
        }
    }

    /// Wakes the machine of migrations when something is due.
    pub(super) async fn turn_migrations(self) -> Result<(), Error> {
        loop {
            let deadline = self.0.migrating.lock().machine.next_deadline();
            let woken = self.0.migrating.wake.notified();
            match deadline {
                Some(deadline) => tokio::select! {
                    () = tokio::time::sleep_until(deadline.into()) => {
                        self.migrating(|state| state.machine.handle_timeout(clock::wall(), clock::now()));
                    }
                    () = woken => {}
                },
                None => woken.await,
            }
        }
    }

    /// Looks at a tenant's migrations as they are known and durable.
    pub(super) fn plans<T>(&self, tenant: &TenantId, look: impl FnOnce(&Plans) -> T) -> T {
        let state = self.0.migrating.lock();
        match state.machine.plans(tenant) {
            Some(plans) => look(plans),
            None => look(&Plans::default()),
        }
    }

    /// Does something with the machine, and then what it asks for.
    fn migrating<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.0.migrating.lock();
        let result = work(&mut state);
        while let Some(output) = state.machine.poll_output() {
            match output {
                Output::Done { command, result } => match state.done.remove(&command) {
                    Some(tell) => drop(tell.send(result)),
                    None => debug!("a command of a migration ended that nobody waits for"),
                },
                Output::Moved { tenant, id, stage } => {
                    info!(%tenant, device = %id, ?stage, "a migration has come further");
                    self.0.migrating.moved.send_replace(());
                    match state.alone(&tenant, &id) {
                        Some(Alone::Unheard) => {
                            warn!(%tenant, device = %id, "an abort was ended without the word of the other instance");
                        }
                        Some(Alone::Seen) if stage == Stage::Aborted => {
                            warn!(%tenant, device = %id, "two instances have a device: let it go at one of them");
                        }
                        _ => {}
                    }
                }
                // In the order in which they come: the last direction of a device counts.
                Output::Direct { tenant, id, to } => {
                    let command = roster::Command::Direct { to: Some(to) };
                    self.change_and_look(tenant, id, command);
                }
                Output::Retire { tenant, id } => {
                    self.change_and_look(tenant, id, roster::Command::Retire);
                }
                other => drop(tokio::spawn(self.clone().carry_on(other))),
            }
        }
        drop(state);
        self.0.migrating.wake.notify_one();
        result
    }

    /// Gives a command to the machine of registrations, and tells that of migrations what came of it.
    fn change_and_look(&self, tenant: TenantId, id: RegistrationId, command: roster::Command) {
        let (tell, told) = oneshot::channel::<Result<registration::Reply, ErrorKind>>();
        let command = Command::Registration {
            tenant: tenant.clone(),
            id: id.clone(),
            command,
        };
        let begun = self.begin(command, tell);
        let provisioning = self.clone();
        tokio::spawn(async move {
            let result = match begun {
                Ok(()) => told.await.unwrap_or(Err(ErrorKind::Unavailable)),
                Err(kind) => Err(kind),
            };
            if let Err(kind) = result {
                info!(%tenant, device = %id, %kind, "a migration waits for a change of its device");
            }
            provisioning.look(&tenant, &id);
        });
    }

    /// Tells the machine how a device is registered.
    pub(super) fn look(&self, tenant: &TenantId, id: &RegistrationId) {
        self.migrating(|state| {
            let known = self.directory(|directory| directory.registration(tenant, id).cloned());
            let (wall, now) = (clock::wall(), clock::now());
            let machine = &mut state.machine;
            machine.handle_registration(tenant, id, known.as_ref(), wall, now);
        });
    }
}
