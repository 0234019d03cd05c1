//! A command on its way: one thing after the other, and in the end what became of each.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::managed_integrations::connector::{
    Connector, DeviceFailure, Event, Output, Task, WorkKind,
};
use crate::managed_integrations::event::{MatterCluster, MatterEndpoint, SendConnectorEvent};
use crate::managed_integrations::id::{AttributeId, ClusterId, CommandId};
use crate::managed_integrations::matter::{OcfDevice, Unmapped, Update, plan, plan_write};
use crate::managed_integrations::request::{Command, Invocation, Write};
use crate::managed_integrations::text::{
    ConnectorDeviceId, ConnectorId, EndpointId, Message, StatusCode, TraceId,
};
use crate::managed_integrations::value::Value;
use crate::user_id::UserId;

/// A command that is being carried out.
#[derive(Debug)]
pub(super) struct Carrying {
    trace: TraceId,
    device: ConnectorDeviceId,
    steps: VecDeque<Step>,
    /// The device as it is after what was done so far; `None` until it is found.
    state: Option<OcfDevice>,
    current: Option<Step>,
    /// What is left to set for the current step; the first is with the driver.
    updates: VecDeque<Update>,
    done: Vec<Done>,
}

#[derive(Clone, Debug)]
struct Step {
    endpoint: EndpointId,
    cluster: ClusterId,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Invoke(Invocation),
    Write(Write),
}

#[derive(Debug)]
struct Done {
    step: Step,
    status: StatusCode,
    message: Option<String>,
}

/// The result of a step: the code and the sentence of a failure.
type Outcome = Result<(), (StatusCode, String)>;

impl Carrying {
    pub(super) fn new(command: Command) -> Self {
        let mut steps = VecDeque::new();
        for endpoint in command.endpoints {
            for cluster in endpoint.clusters {
                let invocations = cluster.commands.into_iter().map(What::Invoke);
                for what in invocations.chain(cluster.writes.into_iter().map(What::Write)) {
                    steps.push_back(Step {
                        endpoint: endpoint.id.clone(),
                        cluster: cluster.id.clone(),
                        what,
                    });
                }
            }
        }
        Self {
            trace: command.trace,
            device: command.device,
            steps,
            state: None,
            current: None,
            updates: VecDeque::new(),
            done: Vec::new(),
        }
    }

    pub(super) fn device(&self) -> &ConnectorDeviceId {
        &self.device
    }

    /// Whether an update is with the driver.
    pub(super) fn is_under_way(&self) -> bool {
        !self.updates.is_empty()
    }

    /// The next update, when there is one; why what lies before it is not possible.
    fn next(&mut self) -> (Option<Update>, Vec<Unmapped>) {
        let mut reasons = Vec::new();
        loop {
            if let Some(update) = self.updates.front() {
                return (Some(update.clone()), reasons);
            }
            self.finish(Ok(()));
            let (Some(step), Some(device)) = (self.steps.pop_front(), &self.state) else {
                return (None, reasons);
            };
            let planned = match &step.what {
                What::Invoke(invocation) => plan(device, &step.endpoint, &step.cluster, invocation),
                What::Write(write) => plan_write(device, &step.endpoint, &step.cluster, write)
                    .map(|update| vec![update]),
            };
            self.current = Some(step);
            match planned {
                Ok(updates) => self.updates = updates.into(),
                Err(reason) => {
                    self.finish(Err((reason.status(), reason.to_string())));
                    reasons.push(reason);
                }
            }
        }
    }

    /// The current step, if there is one, is over.
    fn finish(&mut self, outcome: Outcome) {
        self.updates.clear();
        if let Some(step) = self.current.take() {
            let (status, message) = match outcome {
                Ok(()) => (StatusCode::OK, None),
                Err((status, message)) => (status, Some(message)),
            };
            self.done.push(Done {
                step,
                status,
                message,
            });
        }
    }

    /// An update is made: what comes after it, such as a toggle, starts from there.
    fn advance(&mut self) {
        let (Some(update), Some(device)) = (self.updates.pop_front(), &mut self.state) else {
            return;
        };
        let at = |href: &str| href == update.href;
        if let Some(resource) = device.resources.iter_mut().find(|one| at(&one.href)) {
            let property = update.property.to_owned();
            resource.representation.insert(property, update.value);
        }
    }
}

impl Connector {
    /// The device of a command was found, or not.
    pub(super) fn found(
        &mut self,
        id: u64,
        result: Result<OcfDevice, DeviceFailure>,
        now: Instant,
    ) {
        let Some(work) = self.works.get_mut(&id) else {
            return;
        };
        let WorkKind::Command(carrying) = &mut work.kind else {
            return;
        };
        match result {
            Ok(device) if carrying.steps.is_empty() => {
                let status = StatusCode::BAD_REQUEST;
                drop(device);
                self.give_up(id, status, "The command asks for nothing", now);
            }
            Ok(device) => {
                carrying.state = Some(device);
                self.carry_on(id, now);
            }
            Err(failure) => self.give_up(id, failure.status(), failure.message(), now),
        }
    }

    /// The device did what it was asked, or not.
    pub(super) fn updated(&mut self, id: u64, result: Result<(), DeviceFailure>, now: Instant) {
        let Some(work) = self.works.get_mut(&id) else {
            return;
        };
        let WorkKind::Command(carrying) = &mut work.kind else {
            return;
        };
        match result {
            Ok(()) => carrying.advance(),
            Err(failure) => {
                carrying.finish(Err((failure.status(), failure.message().to_owned())));
            }
        }
        self.carry_on(id, now);
    }

    fn carry_on(&mut self, id: u64, now: Instant) {
        let Some(work) = self.works.get_mut(&id) else {
            return;
        };
        let WorkKind::Command(carrying) = &mut work.kind else {
            return;
        };
        let (update, reasons) = carrying.next();
        let (authorization, user) = (work.authorization.clone(), work.user.clone());
        let device = carrying.device.clone();
        for reason in reasons {
            let device = device.clone();
            let not_possible = Event::NotPossible { device, reason };
            self.outputs.push_back(Output::Event(not_possible));
        }
        match update {
            Some(update) => {
                let task = self.begin(Task::Step(id), self.config.device_timeout);
                self.outputs.push_back(Output::Update {
                    task,
                    authorization,
                    user,
                    device,
                    update,
                });
            }
            None => self.tell(id, now),
        }
    }

    fn give_up(&mut self, id: u64, status: StatusCode, message: &str, now: Instant) {
        let Some(work) = self.works.remove(&id) else {
            return;
        };
        if let WorkKind::Command(carrying) = work.kind {
            let event = SendConnectorEvent::command_failed(
                self.config.connector.clone(),
                work.user,
                carrying.device,
                carrying.trace,
                status,
                Message::nearest(message),
            );
            self.send(event, Some(work.authorization.fingerprint()), now);
        }
    }

    fn tell(&mut self, id: u64, now: Instant) {
        let Some(work) = self.works.remove(&id) else {
            return;
        };
        if let WorkKind::Command(carrying) = work.kind {
            let credentials = work.authorization.fingerprint();
            for event in responses(&self.config.connector, &work.user, *carrying) {
                self.send(event, Some(credentials), now);
            }
        }
    }
}

/// What one event says of an endpoint.
#[derive(Default)]
struct Sheet {
    clusters: BTreeMap<ClusterId, Entries>,
    /// Of the first failure.
    failure: Option<(StatusCode, Option<String>)>,
}

#[derive(Default)]
struct Entries {
    commands: BTreeMap<CommandId, Value>,
    attributes: BTreeMap<AttributeId, Value>,
}

/// The events that answer a command: one for each endpoint, or more where one cannot hold everything.
fn responses(
    connector: &ConnectorId,
    user: &UserId,
    carrying: Carrying,
) -> Vec<SendConnectorEvent> {
    let mut sheets: Vec<(EndpointId, Sheet)> = Vec::new();
    for done in carrying.done {
        let fits = |(endpoint, sheet): &&mut (EndpointId, Sheet)| {
            *endpoint == done.step.endpoint && sheet.has_room_for(&done.step)
        };
        match sheets.iter_mut().find(fits) {
            Some((_, sheet)) => sheet.add(done),
            None => {
                let endpoint = done.step.endpoint.clone();
                let mut sheet = Sheet::default();
                sheet.add(done);
                sheets.push((endpoint, sheet));
            }
        }
    }
    let event = |(endpoint, sheet): (EndpointId, Sheet)| {
        let (status, message) = match sheet.failure {
            Some((status, message)) => (status, message),
            None => (StatusCode::OK, None),
        };
        // A sheet holds no more than the model allows, so that none is lost here.
        let clusters = sheet.clusters.into_iter().filter_map(|(id, entries)| {
            let mut cluster = MatterCluster::new(id);
            if !entries.commands.is_empty() {
                cluster = cluster.with_commands(entries.commands).ok()?;
            }
            if !entries.attributes.is_empty() {
                cluster = cluster.with_attributes(entries.attributes).ok()?;
            }
            Some(cluster)
        });
        let endpoint = MatterEndpoint::new(endpoint, clusters.collect()).ok()?;
        let event = SendConnectorEvent::command_response(
            connector.clone(),
            user.clone(),
            carrying.device.clone(),
            carrying.trace.clone(),
            status,
            endpoint,
        );
        Some(match message {
            Some(message) => event.with_message(Message::nearest(&message)),
            None => event,
        })
    };
    sheets.into_iter().filter_map(event).collect()
}

impl Sheet {
    fn has_room_for(&self, step: &Step) -> bool {
        let Some(entries) = self.clusters.get(&step.cluster) else {
            return self.clusters.len() < MatterEndpoint::MAX_CLUSTERS;
        };
        match &step.what {
            What::Invoke(invocation) => {
                entries.commands.len() < MatterCluster::MAX_ENTRIES
                    && !entries.commands.contains_key(&invocation.id)
            }
            What::Write(write) => !entries.attributes.contains_key(&write.id),
        }
    }

    fn add(&mut self, done: Done) {
        let entries = self.clusters.entry(done.step.cluster).or_default();
        match done.step.what {
            What::Invoke(invocation) => {
                let response = response(done.status, done.message.as_deref());
                entries.commands.insert(invocation.id, response);
            }
            What::Write(write) if done.message.is_none() => {
                entries.attributes.insert(write.id, write.value);
            }
            // Nothing in an attribute can say that it was not written; the code of the event does.
            What::Write(_) => {}
        }
        if !done.status.is_success() && self.failure.is_none() {
            self.failure = Some((done.status, done.message));
        }
    }
}

/// What became of a command, as the guide's data model has it.
fn response(status: StatusCode, message: Option<&str>) -> Value {
    let code = Value::Integer(i64::from(status.get()));
    let mut entry = BTreeMap::from([("responseCode".to_owned(), code.clone())]);
    if let Some(message) = message {
        let message = Value::from(Message::nearest(message).as_str());
        let errors = BTreeMap::from([("code".to_owned(), code), ("message".to_owned(), message)]);
        entry.insert("errors".to_owned(), Value::Object(errors));
    }
    Value::Object(entry)
}
