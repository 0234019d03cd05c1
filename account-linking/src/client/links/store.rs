//! Streams in memory, and the tasks that wait for them, decide on them and append to them.
//!
//! A task names its streams when it is queued and stands in the queue of each; it runs when it is the first in all of
//! them and all are loaded. Tasks enter all their queues at once, so two never wait for each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use super::output::{Event, Failure, Output};
use super::plan::Plan;
use super::stored::{Ledger, LedgerChange, Stored};
use super::work::{Appending, Stage, Task, TaskId, Then, Work};
use super::{Links, Timer, USER_PREFIX, user_stream};
use crate::client::claim::Claim;
use crate::client::user_links::{Change, Stage as AttemptStage, UserLinks};
use crate::error::{Error, ErrorKind};
use crate::stream::{Append, AppendId, Appended, Loaded, StreamAppend};
use crate::user_id::UserId;

/// The streams and the tasks.
#[derive(Debug)]
pub(super) struct Store {
    streams: BTreeMap<String, Stream>,
    pub(super) tasks: BTreeMap<TaskId, Task>,
    appends: BTreeMap<AppendId, TaskId>,
    ready: VecDeque<TaskId>,
    /// Users by when they were last of use, the candidates for unloading.
    by_use: BTreeMap<u64, String>,
    uses: u64,
}

#[derive(Debug, Default)]
struct Stream {
    stored: Option<Stored>,
    /// How often it was asked for in vain.
    tries: u32,
    queue: VecDeque<TaskId>,
    used: u64,
}

impl Store {
    pub(super) const fn new() -> Self {
        Self {
            streams: BTreeMap::new(),
            tasks: BTreeMap::new(),
            appends: BTreeMap::new(),
            ready: VecDeque::new(),
            by_use: BTreeMap::new(),
            uses: 0,
        }
    }

    pub(super) fn is_loaded(&self, stream: &str) -> bool {
        self.streams.contains_key(stream)
    }

    pub(super) fn user(&self, user: &UserId) -> Option<&UserLinks> {
        match &self
            .streams
            .get(&user_stream(user))?
            .stored
            .as_ref()?
            .ledger
        {
            Ledger::User(links) => Some(links),
            Ledger::Claim(_) => None,
        }
    }

    pub(super) fn claim(&self, stream: &str) -> Option<&Claim> {
        match &self.streams.get(stream)?.stored.as_ref()?.ledger {
            Ledger::Claim(claim) => Some(claim),
            Ledger::User(_) => None,
        }
    }

    /// Whether `task` is the first in all its queues and all its streams are here.
    fn may_run(&self, id: TaskId, task: &Task) -> bool {
        matches!(task.stage, Stage::Waiting)
            && task.streams.iter().all(|name| {
                let stream = self.streams.get(name);
                stream.is_some_and(|stream| {
                    stream.stored.is_some() && stream.queue.front() == Some(&id)
                })
            })
    }

    /// Marks a user's stream as just used.
    fn touch(&mut self, name: &str) {
        let Some(stream) = self.streams.get_mut(name) else {
            return;
        };
        self.by_use.remove(&stream.used);
        self.uses = self.uses.saturating_add(1);
        stream.used = self.uses;
        self.by_use.insert(self.uses, name.to_owned());
    }

    fn remove(&mut self, name: &str) -> Option<Stream> {
        let stream = self.streams.remove(name)?;
        self.by_use.remove(&stream.used);
        Some(stream)
    }

    /// Takes a task out of its queues; those behind it get their turn.
    fn leave(&mut self, id: TaskId, streams: &BTreeSet<String>) {
        for name in streams {
            let Some(stream) = self.streams.get_mut(name) else {
                continue;
            };
            stream.queue.retain(|waiting| *waiting != id);
            self.ready.extend(stream.queue.front());
            // A claim is of no further use; a user's stream stays until there is no room.
            if stream.queue.is_empty() && !name.starts_with(USER_PREFIX) {
                self.remove(name);
            }
        }
    }
}

impl Links {
    /// Unloads users that nothing is under way for, until there is room for `stream`.
    pub(super) fn make_room_for(&mut self, stream: &str) -> Result<(), Error> {
        // A few looks are enough: what is busy is put at the end.
        for _ in 0..8 {
            if self.store.streams.len() < self.config.max_streams
                || self.store.streams.contains_key(stream)
            {
                return Ok(());
            }
            let Some(name) = self
                .store
                .by_use
                .first_key_value()
                .map(|(_, name)| name.clone())
            else {
                break;
            };
            let idle = self
                .store
                .streams
                .get(&name)
                .is_some_and(|stream| stream.queue.is_empty());
            let user = name
                .strip_prefix(USER_PREFIX)
                .and_then(|user| user.parse::<UserId>().ok());
            match user {
                Some(user) if idle && !self.is_busy(&user) => self.unload(&user),
                _ => self.store.touch(&name),
            }
        }
        Err(ErrorKind::Full.into())
    }

    /// Forgets a user; the store's list of what is due brings it back in time.
    fn unload(&mut self, user: &UserId) {
        self.unindex(user);
        self.store.remove(&user_stream(user));
        self.users.remove(user);
        self.deadlines.cancel(&Timer::User(user.clone()));
    }

    /// Queues a piece of work on the stream of `user`.
    pub(super) fn enqueue(&mut self, user: &UserId, work: Work, now: Instant) {
        let id = TaskId(self.draw());
        let streams = BTreeSet::from([user_stream(user)]);
        self.store.tasks.insert(
            id,
            Task {
                user: user.clone(),
                work,
                streams,
                stage: Stage::Waiting,
                conflicts: 0,
            },
        );
        self.queue(id, now);
        self.drive(now);
    }

    /// Puts a task into the queues of its streams, and asks for those that are not here.
    fn queue(&mut self, id: TaskId, now: Instant) {
        let Some(task) = self.store.tasks.get(&id) else {
            return;
        };
        for name in task.streams.clone() {
            let missing = !self.store.streams.contains_key(&name);
            self.store
                .streams
                .entry(name.clone())
                .or_default()
                .queue
                .push_back(id);
            if name.starts_with(USER_PREFIX) {
                self.store.touch(&name);
            }
            if missing {
                self.ask_for(name, now);
            }
        }
        self.store.ready.push_back(id);
    }

    fn ask_for(&mut self, stream: String, now: Instant) {
        if let Some(at) = now.checked_add(self.config.store_timeout) {
            self.deadlines.set(Timer::Load(stream.clone()), at);
        }
        self.outputs.push_back(Output::Load { stream });
    }

    /// Runs every task that may run.
    fn drive(&mut self, now: Instant) {
        while let Some(id) = self.store.ready.pop_front() {
            let Some(task) = self.store.tasks.remove(&id) else {
                continue;
            };
            if self.store.may_run(id, &task) {
                self.run(id, task, now);
            } else {
                self.store.tasks.insert(id, task);
            }
        }
    }

    fn run(&mut self, id: TaskId, mut task: Task, now: Instant) {
        match self.plan(&task) {
            Plan::Need(more) => {
                self.store.leave(id, &task.streams);
                task.streams.extend(more);
                self.store.tasks.insert(id, task);
                self.queue(id, now);
            }
            Plan::Do { changes, then } if changes.is_empty() => {
                self.store.leave(id, &task.streams);
                self.follow(&task, then, now);
            }
            Plan::Do { changes, then } => self.append(id, task, changes, then, now),
        }
    }

    fn append(
        &mut self,
        id: TaskId,
        mut task: Task,
        changes: Vec<(String, LedgerChange)>,
        then: Vec<Then>,
        now: Instant,
    ) {
        let mut streams: Vec<StreamAppend> = Vec::new();
        for name in &task.streams {
            let encoded: Vec<_> = changes
                .iter()
                .filter(|(of, _)| of == name)
                .map(|(_, change)| change.encode())
                .collect();
            let Some(stored) = self
                .store
                .streams
                .get(name)
                .and_then(|stream| stream.stored.as_ref())
            else {
                continue;
            };
            if encoded.is_empty() {
                continue;
            }
            let mut next = stored.clone();
            changes
                .iter()
                .filter(|(of, _)| of == name)
                .for_each(|(_, change)| next.apply(change));
            streams.push(StreamAppend {
                stream: name.clone(),
                expected_version: stored.version,
                changes: encoded,
                due: next.due(),
            });
        }
        let drawn = self.draw();
        let append = Append {
            id: AppendId::derive(&self.seed, drawn),
            streams,
        };
        self.outputs.push_back(Output::Append(append.clone()));
        self.store.appends.insert(append.id, id);
        task.stage = Stage::Appending(Box::new(Appending {
            append,
            changes,
            then,
            tries: 0,
        }));
        self.store.tasks.insert(id, task);
        self.await_store(id, now);
    }

    fn await_store(&mut self, id: TaskId, now: Instant) {
        if let Some(at) = now.checked_add(self.config.store_timeout) {
            self.deadlines.set(Timer::Append(id), at);
        }
    }

    pub(super) fn appended(&mut self, id: AppendId, appended: &Appended, now: Instant) {
        let Some(task) = self.store.appends.get(&id).copied() else {
            return;
        };
        match appended {
            Appended::Done { .. } => self.durable(id, task, now),
            Appended::Conflict { stream } => self.conflict(id, task, stream, now),
            Appended::Fenced => self.give_up_append(id, task),
            Appended::Unknown => {
                // The same append is sent again before anything else is done with its streams.
                let wait = self.wait_before(1);
                if let Some(at) = now.checked_add(wait) {
                    self.deadlines.set(Timer::Append(task), at);
                }
            }
        }
        self.drive(now);
    }

    fn durable(&mut self, id: AppendId, task_id: TaskId, now: Instant) {
        let Some((task, appending)) = self.take_appending(id, task_id) else {
            return;
        };
        for append in &appending.append.streams {
            let Some(stored) = self
                .store
                .streams
                .get_mut(&append.stream)
                .and_then(|stream| stream.stored.as_mut())
            else {
                continue;
            };
            let changes = appending
                .changes
                .iter()
                .filter(|(of, _)| *of == append.stream);
            changes.for_each(|(_, change)| stored.apply(change));
            let count = u64::try_from(append.changes.len()).unwrap_or(u64::MAX);
            stored.version = append.expected_version.saturating_add(count);
            if let Some(snapshot) = stored.snapshot(self.config.snapshot_every) {
                self.outputs.push_back(Output::Snapshot {
                    stream: append.stream.clone(),
                    snapshot,
                });
            }
        }
        for (_, change) in &appending.changes {
            self.index(&task.user, change);
        }
        self.store.leave(task_id, &task.streams);
        self.follow(&task, appending.then, now);
    }

    /// Someone else has written: what is here is old, and the decision is made again on what is there now.
    fn conflict(&mut self, id: AppendId, task_id: TaskId, stream: &str, now: Instant) {
        let Some((mut task, _)) = self.take_appending(id, task_id) else {
            return;
        };
        task.conflicts = task.conflicts.saturating_add(1);
        if task.conflicts > self.config.store_attempts || !task.streams.contains(stream) {
            self.store.leave(task_id, &task.streams);
            self.drop_task(&task);
            return;
        }
        self.store.tasks.insert(task_id, task);
        if let Some(user) = stream
            .strip_prefix(USER_PREFIX)
            .and_then(|user| user.parse().ok())
        {
            self.unindex(&user);
            self.deadlines.cancel(&Timer::User(user));
        }
        if let Some(stale) = self.store.streams.get_mut(stream) {
            stale.stored = None;
            stale.tries = 0;
            self.ask_for(stream.to_owned(), now);
        }
    }

    /// This node may not write here any more, or the store does not answer: what is in memory may be wrong.
    fn give_up_append(&mut self, id: AppendId, task_id: TaskId) {
        let Some((task, _)) = self.take_appending(id, task_id) else {
            return;
        };
        self.store.leave(task_id, &task.streams);
        self.drop_task(&task);
        for stream in &task.streams {
            self.forget(stream);
        }
    }

    pub(super) fn append_again(&mut self, id: TaskId, now: Instant) {
        let most = self.config.store_attempts;
        let Some(Task {
            stage: Stage::Appending(appending),
            ..
        }) = self.store.tasks.get_mut(&id)
        else {
            return;
        };
        appending.tries = appending.tries.saturating_add(1);
        let append = appending.append.clone();
        if appending.tries >= most {
            self.give_up_append(append.id, id);
            self.drive(now);
        } else {
            self.outputs.push_back(Output::Append(append));
            self.await_store(id, now);
        }
    }

    pub(super) fn loaded(&mut self, name: &str, loaded: &Loaded, now: Instant) {
        let awaited = self
            .store
            .streams
            .get(name)
            .is_some_and(|stream| stream.stored.is_none());
        if !awaited {
            return;
        }
        self.deadlines.cancel(&Timer::Load(name.to_owned()));
        let Ok(stored) = Stored::load(name.starts_with(USER_PREFIX), loaded) else {
            self.forget(name);
            self.drive(now);
            return;
        };
        if let Some(stream) = self.store.streams.get_mut(name) {
            stream.stored = Some(stored);
            stream.tries = 0;
            self.store.ready.extend(stream.queue.front());
        }
        if let Some(user) = name
            .strip_prefix(USER_PREFIX)
            .and_then(|user| user.parse().ok())
        {
            self.index_all(&user);
            self.arm(&user, now);
        }
        self.drive(now);
    }

    pub(super) fn load_failed(&mut self, name: &str, now: Instant) {
        let Some(stream) = self
            .store
            .streams
            .get_mut(name)
            .filter(|stream| stream.stored.is_none())
        else {
            return;
        };
        stream.tries = stream.tries.saturating_add(1);
        let tries = stream.tries;
        // Commands are answered at once; only tokens are worth waiting for.
        let queue: Vec<TaskId> = stream.queue.iter().copied().collect();
        let worth = |task: &Task| task.work.holds_tokens_of().is_some();
        let (kept, dropped): (Vec<_>, Vec<_>) = queue
            .into_iter()
            .partition(|id| self.store.tasks.get(id).is_some_and(worth));
        for id in dropped {
            if let Some(task) = self.store.tasks.remove(&id) {
                self.store.leave(id, &task.streams);
                self.drop_task(&task);
            }
        }
        if kept.is_empty() || tries >= self.config.store_attempts {
            self.forget(name);
        } else {
            let wait = self.wait_before(tries);
            if let Some(at) = now.checked_add(wait) {
                self.deadlines.set(Timer::Load(name.to_owned()), at);
            }
        }
        self.drive(now);
    }

    /// The time of a load is over: either it failed and is now tried again, or it was never answered.
    pub(super) fn load_again(&mut self, name: &str, now: Instant) {
        let Some(stream) = self
            .store
            .streams
            .get_mut(name)
            .filter(|stream| stream.stored.is_none())
        else {
            return;
        };
        stream.tries = stream.tries.saturating_add(1);
        if stream.tries >= self.config.store_attempts {
            self.forget(name);
            self.drive(now);
        } else {
            self.ask_for(name.to_owned(), now);
        }
    }

    /// Forgets a stream and gives up what waits for it.
    fn forget(&mut self, name: &str) {
        self.deadlines.cancel(&Timer::Load(name.to_owned()));
        if let Some(user) = name
            .strip_prefix(USER_PREFIX)
            .and_then(|user| user.parse().ok())
        {
            self.unindex(&user);
            self.deadlines.cancel(&Timer::User(user));
        }
        let Some(stream) = self.store.remove(name) else {
            return;
        };
        for id in stream.queue {
            if let Some(task) = self.store.tasks.remove(&id) {
                self.store.leave(id, &task.streams);
                if let Stage::Appending(appending) = &task.stage {
                    self.store.appends.remove(&appending.append.id);
                    self.deadlines.cancel(&Timer::Append(id));
                }
                self.drop_task(&task);
            }
        }
        if let Some(user) = name
            .strip_prefix(USER_PREFIX)
            .and_then(|user| user.parse().ok())
        {
            self.forget_user(&user);
        }
    }

    /// Gives a task up.
    fn drop_task(&mut self, task: &Task) {
        if let Some(cloud) = task.work.holds_tokens_of() {
            self.tell(Event::TokensLost {
                user: task.user.clone(),
                cloud: cloud.clone(),
            });
        }
        let of_attempt = task
            .work
            .attempt()
            .and_then(|attempt| self.memory(&task.user).operations.remove(attempt));
        for operation in task.work.operation().into_iter().chain(of_attempt) {
            self.fail(operation, Failure::Unavailable);
        }
        self.release(&task.user, &task.work);
    }

    fn take_appending(&mut self, append: AppendId, id: TaskId) -> Option<(Task, Appending)> {
        self.store.appends.remove(&append);
        self.deadlines.cancel(&Timer::Append(id));
        let mut task = self.store.tasks.remove(&id)?;
        match core::mem::replace(&mut task.stage, Stage::Waiting) {
            Stage::Appending(appending) => Some((task, *appending)),
            Stage::Waiting => None,
        }
    }

    /// Keeps track of whose the attempts are that wait for a callback.
    fn index(&mut self, user: &UserId, change: &LedgerChange) {
        match change {
            LedgerChange::User(Change::Started { attempt, .. }) => {
                self.states.insert(attempt.clone(), user.clone());
            }
            LedgerChange::User(Change::Spent { attempt, .. } | Change::Closed { attempt, .. }) => {
                self.states.remove(attempt);
            }
            _ => {}
        }
    }

    fn index_all(&mut self, user: &UserId) {
        let waiting: Vec<String> = self.store.user(user).map(waiting).unwrap_or_default();
        self.states
            .extend(waiting.into_iter().map(|attempt| (attempt, user.clone())));
    }

    fn unindex(&mut self, user: &UserId) {
        let waiting: Vec<String> = self.store.user(user).map(waiting).unwrap_or_default();
        for attempt in waiting {
            self.states.remove(&attempt);
        }
    }
}

/// The attempts that wait for a callback.
fn waiting(links: &UserLinks) -> Vec<String> {
    let waiting = links
        .attempts
        .iter()
        .filter(|(_, attempt)| attempt.stage == AttemptStage::AwaitingUser);
    waiting.map(|(attempt, _)| attempt.clone()).collect()
}
