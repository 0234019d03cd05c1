//! Devices that ask where they belong: the registration machine on the journal, and this cloud as one of its access points.
//!
//! A listener first asks [`Provisioning::authenticate`] and then [`Provisioning::register`]; one whose handshake needs a key asks
//! [`Provisioning::psk`]. All tenants are in memory; what changes is durable before anybody hears of it.

mod driver;
mod functions;
mod geography;
mod local;
mod management;
mod migrations;
mod owners;
mod secrets;
mod streams;
mod turns;
mod waiting;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use provisioning_proto::certificates::Certificate;
use provisioning_proto::directory::{Directory, Evidence, Principal};
use provisioning_proto::model::{Attestation, Cause, EvidenceClass, PskIdentity};
use provisioning_proto::mqtt::Window;
use provisioning_proto::registration::{
    Answer, Command, CommandId, OperationId, Output, RegistrationRequest, Registrations, Reply,
};
use provisioning_proto::{ErrorKind, RegistrationId, ScopeId, Secret, TenantId, roster};
use tokio::sync::{Notify, oneshot};
use tracing::info;

use crate::clock;
use crate::config;
use crate::error::Error;
use crate::operator::Operator;
use crate::store::Store;
pub(crate) use management::{Enrolled, Management, Order};

pub(crate) use functions::Functions;
use geography::Geography;
use local::Local;
use migrations::Migrating;
pub(crate) use migrations::{Carried, FileOrder, Instances};
use secrets::Secrets;
use turns::Turns;
use waiting::Waiting;

/// The provisioning service of this cloud; clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Provisioning(Arc<Shared>);

/// The service, for those whom it holds itself.
#[derive(Clone, Debug)]
pub(crate) struct WeakProvisioning(Weak<Shared>);

impl WeakProvisioning {
    /// The service, unless it has ended.
    pub(crate) fn upgrade(&self) -> Option<Provisioning> {
        self.0.upgrade().map(Provisioning)
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Something changed: outputs and deadlines are to be looked at.
    wake: Notify,
    store: Store,
    secrets: Secrets,
    local: Local,
    functions: Functions,
    /// The file that says where networks are, until somebody follows it.
    geography: Mutex<Option<Geography>>,
    /// What is to be told to the targets of devices, by the devices.
    lanes: Vec<Lane>,
    /// How much waits in all lanes, and for whom.
    waiting: Waiting,
    turns: Turns,
    window: Window,
    migrating: Migrating,
}

/// In how many lanes they wait.
const LANES: usize = 1024;

/// What is to be done in the order in which it came.
type Lane = Arc<Mutex<VecDeque<(TenantId, Output)>>>;

#[derive(Debug)]
struct State {
    machine: Registrations,
    answers: BTreeMap<OperationId, oneshot::Sender<Result<Box<Answer>, Cause>>>,
    done: BTreeMap<CommandId, oneshot::Sender<Result<Reply, ErrorKind>>>,
    /// At which version each stream was kept as a snapshot last.
    condensed: BTreeMap<String, u64>,
    /// At which version each stream is.
    versions: BTreeMap<String, u64>,
}

/// What a device asks for beside who it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wish {
    pub(crate) peer: Option<IpAddr>,
    /// A keyword in its payload.
    pub(crate) keyword: Option<String>,
    /// A certificate signing request.
    pub(crate) csr: Option<Bytes>,
}

/// Where a device belongs, with its secret opened.
#[derive(Debug)]
pub(crate) struct Assigned {
    pub(crate) answer: Answer,
    /// The secret that it was given with its assignment; none for a device that keeps the one it has.
    pub(crate) device_secret: Option<Secret>,
}

impl Provisioning {
    /// Loads all tenants.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) async fn load(
        settings: &config::Provisioning,
        store: &Store,
        operator: Operator,
        functions: Functions,
        instances: Instances,
    ) -> Result<Self, Error> {
        let mut config = provisioning_proto::registration::Config::default();
        config.grace = std::time::Duration::from_secs(settings.grace_seconds);
        let window = config.window;
        let mut machine = Registrations::new(config, clock::entropy()?);
        let mut geography = settings.geography.clone().map(Geography::new);
        if let Some(table) = geography
            .as_mut()
            .map(|file| file.look(false))
            .transpose()?
        {
            table
                .into_iter()
                .for_each(|table| machine.set_geography(table));
        }
        let provisioning = Self(Arc::new(Shared {
            state: Mutex::new(State {
                machine,
                answers: BTreeMap::new(),
                done: BTreeMap::new(),
                condensed: BTreeMap::new(),
                versions: BTreeMap::new(),
            }),
            wake: Notify::new(),
            store: store.clone(),
            secrets: Secrets::new(store),
            local: Local::new(operator),
            functions,
            geography: Mutex::new(geography),
            turns: Turns::new(settings),
            lanes: (0..LANES).map(|_| Lane::default()).collect(),
            waiting: Waiting::default(),
            window,
            migrating: Migrating::new(settings, instances)?,
        }));
        provisioning.load_all().await?;
        provisioning.load_all_migrations().await?;
        Ok(provisioning)
    }

    /// Judges what a device presents. What came of it is for the operator: to the device, every refusal looks alike.
    ///
    /// # Errors
    /// Why it is not let in.
    pub(crate) fn authenticate(&self, evidence: &Evidence) -> Result<Principal, Cause> {
        let wall = clock::wall();
        let candidates = self.directory(|directory| directory.candidates(evidence, wall));
        let mut found = None;
        for candidate in &candidates {
            let sealed = candidate.secrets();
            let opened: Vec<Secret> = sealed
                .filter_map(|(stream, field, sealed)| {
                    self.0.secrets.open(stream, field, sealed).ok()
                })
                .collect();
            let proved = candidate.check(evidence, &opened, self.0.window, wall);
            found = found.or(proved);
        }
        if candidates.is_empty() {
            // Who is not known costs as much as who is.
            secrets::spend(evidence, self.0.window, wall);
        }
        let principal = found.ok_or(Cause::Unauthenticated)?;
        self.directory(|directory| directory.admit(&principal, wall).map(drop))?;
        Ok(principal)
    }

    /// Judges a device that completed a handshake with the key of the first of these certificates.
    ///
    /// # Errors
    /// As [`authenticate`](Self::authenticate).
    pub(crate) async fn authenticate_certificate(
        &self,
        scope: Option<ScopeId>,
        id: RegistrationId,
        shown: &[Certificate],
    ) -> Result<Principal, Cause> {
        let certification = self.0.local.certification();
        let evidence = certification.evidence(scope, id, shown).await;
        self.authenticate(&evidence.ok_or(Cause::Unauthenticated)?)
    }

    /// The key of a PSK identity; `None` for what is not known or not let in.
    pub(crate) fn psk(&self, identity: &PskIdentity) -> Option<Secret> {
        let wall = clock::wall();
        let evidence = Evidence::Psk {
            identity: identity.clone(),
        };
        let candidate = self.directory(|directory| {
            let candidate = directory.by_identity(identity)?;
            let principal = candidate.check(&evidence, &[], self.0.window, wall)?;
            directory.admit(&principal, wall).ok()?;
            Some(candidate)
        })?;
        let (stream, field, sealed) = candidate.secrets().next()?;
        self.0.secrets.open(stream, field, sealed).ok()
    }

    /// Finds out where a device belongs; its target knows it by then, and all of it is durable. Answers within 4 seconds.
    ///
    /// # Errors
    /// Why it is not told.
    pub(crate) async fn register(
        &self,
        principal: Principal,
        wish: Wish,
    ) -> Result<Assigned, Cause> {
        let (tenant, id) = (principal.tenant().clone(), principal.id().clone());
        let Some(turn) = self.0.turns.next(&tenant, &id, wish.peer, clock::now()) else {
            info!(%tenant, device = %id, "a device asks too often");
            return Err(Cause::Busy);
        };
        if !turn.is_zero() {
            tokio::time::sleep(turn).await;
        }
        if !self.0.waiting.has_room(&tenant) {
            info!(%tenant, device = %id, "a device is to come again: too many are being made known");
            return Err(Cause::Busy);
        }
        let mut request = RegistrationRequest::new(principal);
        request.peer = wish.peer;
        request.keyword = wish.keyword;
        request.csr = wish.csr;
        if self.needs_secret(&request.principal) {
            let fresh = self.0.secrets.fresh(&tenant, &id);
            request.fresh_secret = Some(fresh.map_err(|_| Cause::Unavailable)?);
        }
        let (tell, told) = oneshot::channel();
        let operation = self.with(|state| {
            let (wall, now) = (clock::wall(), clock::now());
            let operation = state.machine.handle_request(request, wall, now);
            state.answers.insert(operation, tell);
            operation
        });
        let guard = CancelOnDrop {
            provisioning: self,
            operation,
        };
        let result = told.await.unwrap_or(Err(Cause::Unavailable));
        drop(guard);
        let answer = match result {
            Ok(answer) => *answer,
            Err(cause) => {
                info!(%tenant, device = %id, %cause, "a device was not assigned");
                return Err(cause);
            }
        };
        let target = &answer.assignment.target.access_point;
        let generation = answer.assignment.generation;
        info!(%tenant, device = %id, %target, generation, "a device was assigned");
        let secret = answer.device_secret.as_ref();
        let secret = secret.map(|one| self.0.secrets.open(&one.stream, &one.field, &one.sealed));
        Ok(Assigned {
            device_secret: secret.transpose().map_err(|_| Cause::Unavailable)?,
            answer,
        })
    }

    /// A device was seen at the target of the assignment with this generation.
    pub(crate) fn seen(&self, tenant: &TenantId, id: &RegistrationId, generation: u64) {
        self.with(|state| {
            let (wall, now) = (clock::wall(), clock::now());
            let machine = &mut state.machine;
            machine.handle_target_seen(tenant, id, generation, wall, now);
        });
    }

    /// A device was seen at this cloud itself, with its own secret.
    pub(crate) fn seen_here(&self, product: &str, device: &str) {
        let Ok(id) = device.parse::<RegistrationId>() else {
            return;
        };
        let seen = self.directory(|directory| {
            let tenants = directory.tenants();
            let here = tenants.filter_map(|(tenant, _)| {
                let current = directory.registration(tenant, &id)?.current.as_ref()?;
                let point = directory.access_point(tenant, &current.target.access_point)?;
                let application = current.target.application.as_ref()?;
                (point.local && application.as_str() == product)
                    .then(|| (tenant.clone(), current.generation))
            });
            here.collect::<Vec<_>>()
        });
        for (tenant, generation) in seen {
            self.seen(&tenant, &id, generation);
        }
    }

    /// Carries a command of an operator out.
    ///
    /// # Errors
    /// Why it was refused.
    pub(crate) async fn command(&self, command: Command) -> Result<Reply, ErrorKind> {
        let triggered = match &command {
            Command::Registration {
                tenant,
                id,
                command: roster::Command::Trigger,
            } => Some((tenant.clone(), id.clone())),
            _ => None,
        };
        let (tell, told) = oneshot::channel();
        self.begin(command, tell)?;
        let result = told.await.unwrap_or(Err(ErrorKind::Unavailable));
        if let Some((tenant, id)) = triggered.filter(|_| result.is_ok()) {
            self.trigger(&tenant, &id);
        }
        result
    }

    /// Gives a command to the machine; whoever is told is told its end.
    fn begin(
        &self,
        command: Command,
        tell: oneshot::Sender<Result<Reply, ErrorKind>>,
    ) -> Result<(), ErrorKind> {
        self.with(|state| {
            let (wall, now) = (clock::wall(), clock::now());
            let id = state.machine.command(command, wall, now)?;
            state.done.insert(id, tell);
            Ok(())
        })
    }

    pub(crate) fn downgrade(&self) -> WeakProvisioning {
        WeakProvisioning(Arc::downgrade(&self.0))
    }

    /// Looks at what is known and durable.
    pub(crate) fn directory<T>(&self, look: impl FnOnce(&Directory) -> T) -> T {
        look(self.lock().machine.directory())
    }

    /// Seals and opens the secrets of enrollments and groups.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.0.secrets
    }

    /// A device that signs with a secret of its own enrollment keeps that, and one with a certificate has none.
    fn needs_secret(&self, principal: &Principal) -> bool {
        self.directory(|directory| {
            let known = directory.registration(principal.tenant(), principal.id());
            if known.is_some_and(|known| known.own_secret.is_some()) {
                return false;
            }
            let enrollment = known.and_then(|known| known.enrollment.as_ref());
            match enrollment.map(|enrollment| &enrollment.attestation) {
                Some(Attestation::DtlsPsk { .. }) => true,
                Some(_) => false,
                None => principal.class() != EvidenceClass::Certificate,
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The machine never panics half-way, and what is durable counts.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives an operation up whose asker has gone.
struct CancelOnDrop<'p> {
    provisioning: &'p Provisioning,
    operation: OperationId,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        let operation = self.operation;
        if self
            .provisioning
            .lock()
            .answers
            .remove(&operation)
            .is_some()
        {
            self.provisioning.with(|state| {
                let (wall, now) = (clock::wall(), clock::now());
                state.machine.handle_cancel(operation, wall, now);
            });
        }
    }
}
