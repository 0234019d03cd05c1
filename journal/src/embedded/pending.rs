//! What is in the log and not yet in the tables, as they will have it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;

use crate::embedded::answers::Answers;
use crate::embedded::failure::Failure;
use crate::embedded::schema::Stream;
use crate::{Append, Loaded, Page, StreamAppend};

/// The appends since the last commit, and what all the latest were answered with.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) streams: BTreeMap<String, Waiting>,
    pub(super) answers: Answers,
}

/// What waits for one stream.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    /// What the tables have of it.
    pub(super) kept: Stream,
    /// What they will have.
    pub(super) next: Stream,
    /// The changes between the two.
    pub(super) changes: Vec<Bytes>,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.answers.waiting() == 0
    }

    /// Everything is in the tables.
    pub(super) fn settle(&mut self) {
        self.streams.clear();
        self.answers.settle();
    }

    /// Takes in an append that is in the log; `kept` is what the tables have of a stream.
    pub(super) fn take_in(
        &mut self,
        append: &Append,
        versions: Vec<u64>,
        mut kept: impl FnMut(&str) -> Result<Stream, Failure>,
    ) -> Result<(), Failure> {
        for (part, version) in append.streams.iter().zip(&versions) {
            // A guard of a stream that does not exist creates nothing.
            if *version == 0 {
                continue;
            }
            let waiting = match self.streams.entry(part.stream.clone()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    let kept = kept(&part.stream)?;
                    unknown.insert(Waiting {
                        kept,
                        next: kept,
                        changes: Vec::new(),
                    })
                }
            };
            waiting.next = after(waiting.next, part, *version);
            waiting.changes.extend(part.changes.iter().cloned());
        }
        self.answers.insert(append.id, versions);
        Ok(())
    }
}

/// What a stream is after its part of an append.
pub(super) fn after(before: Stream, part: &StreamAppend, version: u64) -> Stream {
    let (_, truncated, _, was_erased) = before;
    let erased = was_erased && part.changes.is_empty();
    let due = part.due.filter(|_| !erased);
    (version, truncated, due, erased)
}

impl Waiting {
    /// Adds what waits to what was read from the tables after that version.
    pub(super) fn add_to_page(&self, page: &mut Page, after_version: u64, limit: usize) {
        let (kept, _, _, _) = self.kept;
        let (version, _, _, _) = self.next;
        page.version = version;
        let behind = usize::try_from(after_version.saturating_sub(kept)).unwrap_or(usize::MAX);
        let room = limit.saturating_sub(page.changes.len());
        let more = self.changes.iter().skip(behind).take(room);
        page.changes.extend(more.cloned());
    }

    pub(super) fn add_to_loaded(&self, loaded: &mut Loaded) {
        let (version, _, due, _) = self.next;
        (loaded.version, loaded.due) = (version, due);
        loaded.changes.extend(self.changes.iter().cloned());
    }
}
