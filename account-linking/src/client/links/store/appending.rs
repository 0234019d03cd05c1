//! Changes on their way to the store.

use std::time::Instant;

use crate::client::links::output::Output;
use crate::client::links::stored::LedgerChange;
use crate::client::links::work::{Appending, Stage, Task, TaskId, Then};
use crate::client::links::{Links, Timer, USER_PREFIX};
use crate::stream::{Append, AppendId, Appended, StreamAppend};

impl Links {
    pub(super) fn append(
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

    pub(in crate::client::links) fn appended(
        &mut self,
        id: AppendId,
        appended: &Appended,
        now: Instant,
    ) {
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
    pub(super) fn give_up_append(&mut self, id: AppendId, task_id: TaskId) {
        let Some((task, _)) = self.take_appending(id, task_id) else {
            return;
        };
        self.store.leave(task_id, &task.streams);
        self.drop_task(&task);
        for stream in &task.streams {
            self.forget(stream);
        }
    }

    pub(in crate::client::links) fn append_again(&mut self, id: TaskId, now: Instant) {
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

    fn take_appending(&mut self, append: AppendId, id: TaskId) -> Option<(Task, Appending)> {
        self.store.appends.remove(&append);
        self.deadlines.cancel(&Timer::Append(id));
        let mut task = self.store.tasks.remove(&id)?;
        match core::mem::replace(&mut task.stage, Stage::Waiting) {
            Stage::Appending(appending) => Some((task, *appending)),
            Stage::Waiting => None,
        }
    }
}
