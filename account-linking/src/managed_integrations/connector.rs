//! The connector: requests in, answers, work and events out.
//!
//! ```text
//! handle_invocation ──▶ Check ──▶ Answer (within 2 seconds, whatever happens)
//!                          └────▶ ListDevices ───────────▶ Send DEVICE_DISCOVERY
//!                          └────▶ FindDevice ▶ Update … ─▶ Send DEVICE_COMMAND_RESPONSE
//!                   └──▶ Revoke ▶ Answer
//! report ────────────────────────────────────────────────▶ Send DEVICE_EVENT
//! ```
//!
//! Managed integrations wait 2 seconds for an answer and repeat a request up to five times. So the answer says no more
//! than that the work was taken on, and a request that is repeated joins what was begun: it is the same when its operation,
//! its `deviceDiscoveryId` or `traceId` and its user are the same. `AWS.ActivateUser` and `AWS.DeactivateUser` carry no id
//! and are the same when the token is. Failures are not remembered: their repetition is another attempt.
//!
//! What is remembered is in memory, for [`Config::remembers_for`]. After a restart a repeated command would be carried
//! out again; managed integrations repeat within seconds.

mod carrying_out;
mod config;
mod discovering;
mod memory;
mod output;
mod sending;

pub use config::Config;
pub use output::{
    CheckFailure, DeviceFailure, Event, InvocationId, LeftOut, Output, SendFailure, TaskId,
};

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::managed_integrations::answer::Answer;
use crate::managed_integrations::matter::OcfDevice;
use crate::managed_integrations::request::{Authorization, Operation, Request};
use crate::managed_integrations::text::{DeviceDiscoveryId, StatusCode};
use crate::user_id::UserId;

use carrying_out::Carrying;
use memory::{Key, Known, Memory};
use sending::Sends;

/// The connector of one cloud.
#[derive(Debug)]
pub struct Connector {
    config: Config,
    now: Option<Instant>,
    last_id: u64,
    outputs: VecDeque<Output>,
    deadlines: BTreeSet<(Instant, Due)>,
    memory: Memory,
    invocations: BTreeMap<InvocationId, (Key, Instant)>,
    tasks: BTreeMap<TaskId, (Task, Instant)>,
    works: BTreeMap<u64, Work>,
    sends: Sends,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Due {
    Answer(InvocationId),
    Task(TaskId),
    Send(TaskId),
}

#[derive(Debug)]
enum Task {
    Check(Box<Request>),
    Revoke(Key),
    /// Of this work.
    Step(u64),
}

/// What goes on after an answer.
#[derive(Debug)]
struct Work {
    authorization: Authorization,
    user: UserId,
    kind: WorkKind,
}

#[derive(Debug)]
enum WorkKind {
    Discovery(DeviceDiscoveryId),
    Command(Box<Carrying>),
}

impl Connector {
    /// A connector that has been asked nothing yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            now: None,
            last_id: 0,
            outputs: VecDeque::new(),
            deadlines: BTreeSet::new(),
            memory: Memory::default(),
            invocations: BTreeMap::new(),
            tasks: BTreeMap::new(),
            works: BTreeMap::new(),
            sends: Sends::default(),
        }
    }

    /// Takes the payload of an invocation. One [`Output::Answer`] with the id follows, at the latest
    /// [`Config::answer_within`] from now.
    pub fn handle_invocation(&mut self, payload: &[u8], now: Instant) -> InvocationId {
        let now = self.tick(now);
        self.memory.expire(now);
        let invocation = InvocationId(self.next_id());
        let request = match Request::parse(payload, &self.config.limits) {
            Ok(request) => request,
            Err(refusal) => {
                self.respond(invocation, refusal.into());
                return invocation;
            }
        };
        let named = request.connector.as_ref();
        let is_other = named.is_some_and(|id| *id != self.config.connector);
        if self.config.checks_connector && is_other {
            let answer = Answer::refused(
                StatusCode::FORBIDDEN,
                "The request is for another connector",
            );
            self.respond(invocation, answer);
            return invocation;
        }
        let key = Key::of(&request);
        let full = self.memory.is_full(self.config.max_remembered);
        let crowded = self.invocations.len() >= self.config.max_remembered;
        match self.memory.find(&key) {
            Some(Known::Answered(answer)) => {
                let answer = answer.clone();
                self.respond(invocation, answer);
                return invocation;
            }
            Some(Known::Pending(waiting)) if !crowded => waiting.push(invocation),
            Some(Known::Pending(_)) => {
                self.respond(invocation, busy());
                return invocation;
            }
            None if full || crowded => {
                self.respond(invocation, busy());
                return invocation;
            }
            None => {
                self.memory.begin(key.clone(), invocation);
                self.look_up(&key, request);
            }
        }
        let deadline = after(now, self.config.answer_within);
        self.invocations.insert(invocation, (key, deadline));
        self.deadlines.insert((deadline, Due::Answer(invocation)));
        invocation
    }

    fn look_up(&mut self, key: &Key, request: Request) {
        let authorization = request.authorization.clone();
        // A token that is revoked already cannot be checked, and revoking it again is no fault.
        if request.operation == Operation::DeactivateUser {
            let task = self.begin(Task::Revoke(key.clone()), self.config.lookup_timeout);
            self.outputs.push_back(Output::Revoke {
                task,
                authorization,
            });
        } else {
            let task = self.begin(Task::Check(Box::new(request)), self.config.lookup_timeout);
            self.outputs.push_back(Output::Check {
                task,
                authorization,
            });
        }
    }

    /// Takes the user of a token, or why there is none.
    pub fn handle_checked(
        &mut self,
        task: TaskId,
        result: Result<UserId, CheckFailure>,
        now: Instant,
    ) {
        let now = self.tick(now);
        let Some(Task::Check(request)) = self.end_if(task, |task| matches!(task, Task::Check(_)))
        else {
            return;
        };
        let key = Key::of(&request);
        match result {
            Ok(user) => self.take_on(*request, key, user, now),
            Err(CheckFailure::Invalid) => {
                let answer = Answer::refused(StatusCode::UNAUTHORIZED, "The token is not valid");
                self.fail(&key, &answer);
            }
            Err(CheckFailure::Unavailable) => self.fail(&key, &busy()),
        }
    }

    fn take_on(&mut self, request: Request, key: Key, user: UserId, now: Instant) {
        let authorization = request.authorization;
        let (answer, kind) = match request.operation {
            Operation::ActivateUser => {
                let activated = Event::Activated { user: user.clone() };
                self.outputs.push_back(Output::Event(activated));
                return self.settle(key, &Answer::activated(user), now);
            }
            Operation::DiscoverDevices { discovery } => {
                ("The discovery has begun", WorkKind::Discovery(discovery))
            }
            Operation::SendCommand(command) => {
                let carrying = Carrying::new(command);
                (
                    "The command was received",
                    WorkKind::Command(Box::new(carrying)),
                )
            }
            // It is never checked.
            Operation::DeactivateUser => return,
        };
        let answer = Answer::accepted(answer);
        if self.memory.has_acted(&user, &key.subject) {
            return self.settle(key, &answer, now);
        }
        if self.works.len().saturating_add(self.sends.answers()) >= self.config.max_works {
            return self.fail(&key, &busy());
        }
        let until = after(now, self.config.remembers_for);
        self.memory.act(&user, &key.subject, until);
        self.settle(key, &answer, now);
        let id = self.next_id();
        let work = Work {
            authorization,
            user,
            kind,
        };
        self.works.insert(id, work);
        self.start(id);
    }

    fn start(&mut self, id: u64) {
        let Some(work) = self.works.get(&id) else {
            return;
        };
        let (authorization, user) = (work.authorization.clone(), work.user.clone());
        let device = match &work.kind {
            WorkKind::Discovery(_) => None,
            WorkKind::Command(carrying) => Some(carrying.device().clone()),
        };
        let output = match device {
            None => Output::ListDevices {
                task: self.begin(Task::Step(id), self.config.lookup_timeout),
                authorization,
                user,
            },
            Some(device) => Output::FindDevice {
                task: self.begin(Task::Step(id), self.config.device_timeout),
                authorization,
                user,
                device,
            },
        };
        self.outputs.push_back(output);
    }

    /// Takes a device with its state, for a command.
    pub fn handle_device(
        &mut self,
        task: TaskId,
        result: Result<OcfDevice, DeviceFailure>,
        now: Instant,
    ) {
        let now = self.tick(now);
        let Some(id) = self.end_step(
            task,
            |kind| matches!(kind, WorkKind::Command(carrying) if !carrying.is_under_way()),
        ) else {
            return;
        };
        self.found(id, result, now);
    }

    /// Takes what became of an update.
    pub fn handle_updated(
        &mut self,
        task: TaskId,
        result: Result<(), DeviceFailure>,
        now: Instant,
    ) {
        let now = self.tick(now);
        let Some(id) = self.end_step(
            task,
            |kind| matches!(kind, WorkKind::Command(carrying) if carrying.is_under_way()),
        ) else {
            return;
        };
        self.updated(id, result, now);
    }

    /// Takes that a token is revoked, or was no good before, and whose it was if that is known.
    pub fn handle_revoked(
        &mut self,
        task: TaskId,
        result: Result<Option<UserId>, CheckFailure>,
        now: Instant,
    ) {
        let now = self.tick(now);
        let Some(Task::Revoke(key)) = self.end_if(task, |task| matches!(task, Task::Revoke(_)))
        else {
            return;
        };
        let user = match result {
            Ok(user) => user,
            // A token that is no good needs no revoking.
            Err(CheckFailure::Invalid) => None,
            Err(CheckFailure::Unavailable) => return self.fail(&key, &busy()),
        };
        self.stop(key.credentials);
        self.outputs
            .push_back(Output::Event(Event::Deactivated { user }));
        self.settle(key, &Answer::accepted("The access is revoked"), now);
    }

    /// Ends everything that was begun with these credentials: no event of this user leaves any more on their account.
    fn stop(&mut self, credentials: [u8; 32]) {
        let answer = Answer::refused(StatusCode::UNAUTHORIZED, "The token is not valid");
        for invocation in self.memory.end(credentials) {
            self.respond(invocation, answer.clone());
        }
        self.works
            .retain(|_, work| work.authorization.fingerprint() != credentials);
        let works = &self.works;
        let over: Vec<TaskId> = self
            .tasks
            .iter()
            .filter(|(_, (task, _))| match task {
                Task::Check(request) => request.authorization.fingerprint() == credentials,
                Task::Step(work) => !works.contains_key(work),
                Task::Revoke(_) => false,
            })
            .map(|(task, _)| *task)
            .collect();
        for task in over {
            self.end(task);
        }
        for (at, task) in self.sends.stop(credentials) {
            self.deadlines.remove(&(at, Due::Send(task)));
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.tick(now);
        self.memory.expire(now);
        while let Some((at, due)) = self.deadlines.first().copied() {
            if now < at {
                break;
            }
            self.deadlines.remove(&(at, due));
            match due {
                Due::Answer(invocation) => {
                    if let Some((key, _)) = self.invocations.get(&invocation) {
                        self.memory.leave(key, invocation);
                    }
                    self.respond(invocation, busy());
                }
                Due::Send(task) => self.send_is_due(task, now),
                Due::Task(task) => match self.end(task) {
                    Some(Task::Check(request)) => self.fail(&Key::of(&request), &busy()),
                    Some(Task::Revoke(key)) => self.fail(&key, &busy()),
                    Some(Task::Step(work)) => self.timed_out(work, now),
                    None => {}
                },
            }
        }
    }

    fn timed_out(&mut self, id: u64, now: Instant) {
        let failure = DeviceFailure::TimedOut;
        match self.works.get(&id).map(|work| &work.kind) {
            Some(WorkKind::Discovery(_)) => self.discovered(id, Err(failure), now),
            Some(WorkKind::Command(carrying)) if carrying.is_under_way() => {
                self.updated(id, Err(failure), now);
            }
            Some(WorkKind::Command(_)) => self.found(id, Err(failure), now),
            None => {}
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] is to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let due = self.deadlines.first().map(|(at, _)| *at);
        due.into_iter().chain(self.memory.next_expiry()).min()
    }

    fn tick(&mut self, now: Instant) -> Instant {
        // A clock that goes back stands still.
        let now = self.now.map_or(now, |last| last.max(now));
        self.now = Some(now);
        now
    }

    fn next_id(&mut self) -> u64 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }

    fn begin(&mut self, task: Task, timeout: Duration) -> TaskId {
        let id = TaskId(self.next_id());
        // Whatever begins something has set the time.
        if let Some(now) = self.now {
            let deadline = after(now, timeout);
            self.tasks.insert(id, (task, deadline));
            self.deadlines.insert((deadline, Due::Task(id)));
        }
        id
    }

    fn end(&mut self, id: TaskId) -> Option<Task> {
        let (task, deadline) = self.tasks.remove(&id)?;
        self.deadlines.remove(&(deadline, Due::Task(id)));
        Some(task)
    }

    fn end_if(&mut self, id: TaskId, is: impl Fn(&Task) -> bool) -> Option<Task> {
        self.tasks.get(&id).filter(|(task, _)| is(task))?;
        self.end(id)
    }

    fn end_step(&mut self, id: TaskId, is: impl Fn(&WorkKind) -> bool) -> Option<u64> {
        let works = &self.works;
        let (Task::Step(work), _) = self.tasks.get(&id)? else {
            return None;
        };
        let work = *work;
        works.get(&work).filter(|work| is(&work.kind))?;
        self.end(id)?;
        Some(work)
    }

    fn settle(&mut self, key: Key, answer: &Answer, now: Instant) {
        let until = after(now, self.config.remembers_for);
        for invocation in self.memory.settle(key, answer.clone(), until) {
            self.respond(invocation, answer.clone());
        }
    }

    fn fail(&mut self, key: &Key, answer: &Answer) {
        for invocation in self.memory.forget(key) {
            self.respond(invocation, answer.clone());
        }
    }

    fn respond(&mut self, invocation: InvocationId, answer: Answer) {
        if let Some((_, deadline)) = self.invocations.remove(&invocation) {
            self.deadlines.remove(&(deadline, Due::Answer(invocation)));
        }
        self.outputs
            .push_back(Output::Answer { invocation, answer });
    }
}

fn busy() -> Answer {
    Answer::refused(StatusCode::SERVICE_UNAVAILABLE, "Not now, please repeat")
}

fn after(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or(now)
}
