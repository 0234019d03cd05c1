//! Between a process and its journal.

use std::time::Duration;

use super::journal::{Answer, Append, Journal, Order, Outcome};
use super::{Happening, Process, World};

impl World {
    fn journal(&mut self, process: Process) -> &mut Journal {
        match process {
            Process::Server => &mut self.server.journal,
            Process::Link(link) => &mut self.links[link].journal,
        }
    }

    /// Sends an order to the journal, which gets it after all that were sent before.
    pub fn order(&mut self, process: Process, order: Order) {
        let slow = self.dice.one_in(self.faults.journal) && self.dice.one_in(4);
        let takes = if slow {
            self.dice.milliseconds(500, 4_000)
        } else {
            self.dice.milliseconds(1, 5)
        };
        let elapsed = self.elapsed;
        let journal = self.journal(process);
        let at = journal.busy_until.max(elapsed) + takes;
        journal.busy_until = at;
        let run = self.run_of(process);
        self.queue
            .put(at, Happening::JournalDoes(process, run, order));
    }

    pub fn journal_does(&mut self, process: Process, run: u32, order: Order) {
        if self.run_of(process) != run {
            // Another run has taken the stream over.
            return;
        }
        let fault = if self.dice.one_in(self.faults.journal) {
            1 + self.dice.roll(6)
        } else {
            0
        };
        let answer = match order {
            Order::Append(append) => self.journal_appends(process, &append, fault),
            Order::Load(stream) if fault == 1 => Some(Answer::LoadFailed(stream)),
            Order::Load(_) if fault == 2 => None,
            Order::Load(stream) => {
                let loaded = self.journal(process).load(&stream);
                Some(Answer::Loaded(stream, loaded))
            }
            Order::Save(stream, snapshot) => {
                // The server is promised that what a snapshot covers goes with it.
                let truncates = process == Process::Server || self.dice.one_in(2);
                let (version, saved) = (snapshot.version, fault % 3 == 0);
                if saved {
                    let journal = self.journal(process);
                    journal.save(stream.clone(), snapshot, truncates);
                }
                (fault < 3).then_some(Answer::Saved(stream, version, saved))
            }
        };
        if let Some(answer) = answer {
            let after = self.dice.milliseconds(1, 5);
            self.plan(after, Happening::JournalAnswers(process, run, answer));
        }
    }

    fn journal_appends(&mut self, process: Process, append: &Append, fault: u64) -> Option<Answer> {
        let known = self.journal(process).outcome(&append.id).cloned();
        let first = known.is_none();
        let outcome = match (known, fault) {
            (Some(outcome), _) => outcome,
            (None, 1) => Outcome::Unknown,
            (None, 2) => {
                self.trace
                    .line(self.elapsed, format_args!("{process:?} append is lost"));
                return None;
            }
            (None, 3) => self.journal(process).refuse(append),
            (None, _) => self.journal(process).append(append),
        };
        let name = match &outcome {
            Outcome::Done(_) => "done",
            Outcome::Conflict(_) => "conflict",
            Outcome::Unknown => "unknown",
        };
        self.trace
            .line(self.elapsed, format_args!("{process:?} append: {name}"));
        if first && process == Process::Server && matches!(outcome, Outcome::Done(_)) {
            self.witness.commit(append);
        }
        let told = match fault {
            4 => Outcome::Unknown,
            5 => return None,
            _ => outcome,
        };
        if fault == 6 {
            let again = Answer::Appended(append.id, told.clone());
            let run = self.run_of(process);
            self.plan(
                Duration::from_millis(3),
                Happening::JournalAnswers(process, run, again),
            );
        }
        Some(Answer::Appended(append.id, told))
    }

    pub fn journal_answers(&mut self, process: Process, run: u32, answer: Answer) {
        if self.run_of(process) != run {
            return;
        }
        match process {
            Process::Server => self.journal_answers_server(answer),
            Process::Link(link) => self.journal_answers_link(link, answer),
        }
    }
}
