//! Streams on their way from the store, and what is given up when they do not come.

use std::time::Instant;

use crate::client::links::output::{Event, Failure};
use crate::client::links::stored::{LedgerChange, Stored};
use crate::client::links::work::{Stage, Task, TaskId};
use crate::client::links::{Links, Timer, USER_PREFIX};
use crate::client::user_links::{Change, Stage as AttemptStage, UserLinks};
use crate::stream::Loaded;
use crate::user_id::UserId;

impl Links {
    pub(in crate::client::links) fn loaded(&mut self, name: &str, loaded: &Loaded, now: Instant) {
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

    pub(in crate::client::links) fn load_failed(&mut self, name: &str, now: Instant) {
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
    pub(in crate::client::links) fn load_again(&mut self, name: &str, now: Instant) {
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
    pub(super) fn forget(&mut self, name: &str) {
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
    pub(super) fn drop_task(&mut self, task: &Task) {
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

    /// Keeps track of whose the attempts are that wait for a callback.
    pub(super) fn index(&mut self, user: &UserId, change: &LedgerChange) {
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

    pub(super) fn unindex(&mut self, user: &UserId) {
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
