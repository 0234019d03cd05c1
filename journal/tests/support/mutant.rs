//! A journal in memory with one fault, so that the conformance suite has something to find.

use std::sync::Arc;

use journal::{Append, Appended, Due, Error, Journal, Loaded, Memory, Page, Snapshot};

pub(crate) type AppendAs = fn(&Memory, &Append) -> Result<Appended, Error>;
pub(crate) type CondenseAs = fn(&Memory, &str, &Snapshot) -> Result<(), Error>;

pub(crate) struct Mutant {
    memory: Arc<Memory>,
    append: AppendAs,
    condense: CondenseAs,
}

impl Mutant {
    /// One without a fault yet.
    pub(crate) fn new(memory: &Arc<Memory>) -> Self {
        Self {
            memory: Arc::clone(memory),
            append: |memory, append| memory.append(append),
            condense: |memory, stream, snapshot| memory.condense(stream, snapshot),
        }
    }

    pub(crate) fn appending(self, append: AppendAs) -> Self {
        Self { append, ..self }
    }

    pub(crate) fn condensing(self, condense: CondenseAs) -> Self {
        Self { condense, ..self }
    }
}

impl Journal for Mutant {
    fn append_batch(&self, appends: &[Append]) -> Vec<Result<Appended, Error>> {
        let appends = appends.iter();
        appends
            .map(|append| (self.append)(&self.memory, append))
            .collect()
    }
    fn read(&self, stream: &str, after: u64, limit: usize) -> Result<Page, Error> {
        self.memory.read(stream, after, limit)
    }
    fn load(&self, stream: &str) -> Result<Loaded, Error> {
        self.memory.load(stream)
    }
    fn save_snapshot(&self, stream: &str, snapshot: &Snapshot) -> Result<(), Error> {
        self.memory.save_snapshot(stream, snapshot)
    }
    fn load_snapshot(&self, stream: &str) -> Result<Option<Snapshot>, Error> {
        self.memory.load_snapshot(stream)
    }
    fn truncate(&self, stream: &str, up_to: u64) -> Result<(), Error> {
        self.memory.truncate(stream, up_to)
    }
    fn condense(&self, stream: &str, snapshot: &Snapshot) -> Result<(), Error> {
        (self.condense)(&self.memory, stream, snapshot)
    }
    fn erase(&self, stream: &str) -> Result<(), Error> {
        self.memory.erase(stream)
    }
    fn due(&self, before: u64, after: Option<&Due>, limit: usize) -> Result<Vec<Due>, Error> {
        self.memory.due(before, after, limit)
    }
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Error> {
        self.memory.list(prefix, after, limit)
    }
}
