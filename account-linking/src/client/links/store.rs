//! Streams in memory, and the tasks that wait for them, decide on them and append to them.
//!
//! A task names its streams when it is queued and stands in the queue of each; it runs when it is the first in all of
//! them and all are loaded. Tasks enter all their queues at once, so two never wait for each other.

mod appending;
mod loading;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use super::output::Output;
use super::plan::Plan;
use super::stored::{Ledger, Stored};
use super::work::{Stage, Task, TaskId, Work};
use super::{Links, Timer, USER_PREFIX, user_stream};
use crate::client::claim::Claim;
use crate::client::user_links::UserLinks;
use crate::error::{Error, ErrorKind};
use crate::stream::AppendId;
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
}
