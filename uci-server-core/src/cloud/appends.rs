//! Batches on their way into the journal.

use std::collections::VecDeque;
use std::mem;
use std::time::Instant;

use uci_model::SubscriptionId;

use super::line::{Batch, Task};
use super::stream::StreamName;
use super::{DeviceCloud, Timer, after};
use crate::append::{Append, AppendId, Appended, StreamAppend};
use crate::ids::AccountId;
use crate::output::{Event, Output};

/// A batch on its way into the journal.
#[derive(Debug)]
pub(super) struct InFlight {
    append: Append,
    batch: Batch,
    deadline: Instant,
    attempts: u32,
}

impl DeviceCloud {
    /// Sends a batch to the journal; one without changes is over at once.
    pub(super) fn flush(&mut self, mut batch: Batch, now: Instant) {
        if batch.changes.is_empty() {
            for task in &batch.tasks {
                self.movable.extend(task.needs.iter().cloned());
            }
            return self.release_batch(batch, now);
        }
        let id = AppendId(self.entropy.draw_16());
        let mut streams = Vec::with_capacity(batch.changes.len());
        for (name, changes) in mem::take(&mut batch.changes) {
            let Some(stream) = self.streams.get_mut(&name) else {
                continue;
            };
            streams.push(StreamAppend {
                stream: name.to_string(),
                expected_version: stream.version,
                changes,
                due: stream.due(),
            });
            stream.busy = Some(id);
        }
        // Streams that were read and not changed are free again.
        let needs = batch
            .tasks
            .iter()
            .flat_map(|task| task.needs.iter().cloned());
        self.movable.extend(needs);
        let append = Append { id, streams };
        let deadline = after(now, self.config.append_timeout);
        self.timers.insert((deadline, Timer::Append(id)));
        self.outputs.push_back(Output::Append(append.clone()));
        self.appends.insert(
            id,
            InFlight {
                append,
                batch,
                deadline,
                attempts: 1,
            },
        );
    }

    /// Whether an append changes a subscription or its queue. Its subscriptions are looked at again once it is through.
    pub(super) fn touches(
        &self,
        id: AppendId,
        account: &AccountId,
        subscription: SubscriptionId,
    ) -> bool {
        let of_account = (account.clone(), subscription);
        let in_flight = self.appends.get(&id);
        in_flight.is_none_or(|in_flight| in_flight.batch.touched.contains(&of_account))
    }

    pub(super) fn finish_append(&mut self, id: AppendId, appended: Appended, now: Instant) {
        let Some(mut in_flight) = self.appends.remove(&id) else {
            return;
        };
        self.timers.remove(&(in_flight.deadline, Timer::Append(id)));
        let names: Vec<StreamName> = in_flight
            .append
            .streams
            .iter()
            .filter_map(|s| StreamName::parse(&s.stream))
            .collect();
        match appended {
            Appended::Done => {
                self.make_durable(&in_flight.append, now);
                self.release_batch(in_flight.batch, now);
            }
            Appended::Conflict => self.decide_again(in_flight.batch.tasks, names, now),
            Appended::Fenced => {
                self.fail(in_flight.batch.tasks);
                for name in names {
                    self.drop_stream(&name);
                    let stream = name.to_string();
                    self.note(Event::Fenced { stream });
                }
            }
            Appended::Unknown if in_flight.attempts < self.config.append_attempts => {
                in_flight.attempts = in_flight.attempts.saturating_add(1);
                in_flight.deadline = after(now, self.config.append_timeout);
                self.timers.insert((in_flight.deadline, Timer::Append(id)));
                self.outputs
                    .push_back(Output::Append(in_flight.append.clone()));
                self.appends.insert(id, in_flight);
            }
            // Whether it happened is seen when the streams are loaded; deciding again could do it twice. What they owe
            // rests until then, or a journal that fails at once would have a notification sent over and over.
            Appended::Unknown => {
                self.fail(in_flight.batch.tasks);
                for name in names {
                    self.stall(&name);
                }
            }
        }
    }

    /// Loads streams that somebody else has changed, and has the tasks decided on what is there; those that found
    /// something else over and over fail, so that a journal that refuses everything keeps nobody busy.
    fn decide_again(&mut self, mut tasks: Vec<Task>, names: Vec<StreamName>, now: Instant) {
        for task in &mut tasks {
            task.conflicts = task.conflicts.saturating_add(1);
        }
        if tasks
            .iter()
            .any(|task| task.conflicts >= self.config.conflict_attempts)
        {
            self.fail(tasks);
            for name in names {
                self.stall(&name);
            }
            return;
        }
        for name in names {
            self.reload(&name, now);
        }
        // Back where they came from: before all that came after them.
        for task in tasks.into_iter().rev() {
            self.line_up(task, now, VecDeque::push_front);
        }
    }

    fn make_durable(&mut self, append: &Append, now: Instant) {
        for part in &append.streams {
            let Some(name) = StreamName::parse(&part.stream) else {
                continue;
            };
            let Some(stream) = self.streams.get_mut(&name) else {
                continue;
            };
            let count = u64::try_from(part.changes.len()).unwrap_or(u64::MAX);
            stream.version = part.expected_version.saturating_add(count);
            stream.busy = None;
            self.save(&name, now);
            self.begin_erasing(&name, now);
            self.movable.insert(name);
        }
    }
}
