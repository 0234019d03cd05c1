use super::{Desk, Held, Name, Settled, State, Streams, Write};
use crate::error::Error;
use crate::server::ids::RequestId;
use crate::server::ledger::Ledger;
use crate::server::output::Output;
use crate::stream::{Append, AppendId, Appended, StreamAppend};

impl<L: Ledger> Streams<L> {
    /// Starts to make `changes` durable; only right after [`Streams::read_to_write`] gave the
    /// state they were decided on.
    ///
    /// # Errors
    /// As of encoding; nothing has changed then.
    pub(crate) fn write(
        &mut self,
        stream: &str,
        by: RequestId,
        changes: Vec<L::Change>,
        desk: &mut Desk,
    ) -> Result<(), Error> {
        let encoded: Result<Vec<_>, _> = changes.iter().map(L::encode).collect();
        let encoded = encoded?;
        let Some(slot) = self.slots.get_mut(stream) else {
            return Ok(());
        };
        if !matches!(slot.state, State::Ready(_)) {
            return Ok(());
        }
        let State::Ready(held) = core::mem::replace(&mut slot.state, State::Loading) else {
            return Ok(());
        };
        let mut next = held.ledger.clone();
        for change in &changes {
            next.apply(change);
        }
        let append = Append {
            id: desk.next_append(),
            streams: vec![StreamAppend {
                stream: stream.to_owned(),
                expected_version: held.version,
                changes: encoded,
                due: next.due(),
            }],
        };
        let gives_up = desk.after(desk.timeout);
        self.appends.insert(append.id, Name::clone(&slot.stream));
        desk.outputs.push_back(Output::Append(append.clone()));
        let write = Write {
            append,
            by,
            changes,
            next,
            gives_up,
        };
        slot.state = State::Writing(held, write);
        self.set_deadline(stream, Some(gives_up));
        Ok(())
    }

    /// Takes the store's answer to an append; `None` when nothing follows from it now.
    pub(crate) fn handle_appended(
        &mut self,
        id: AppendId,
        answer: &Appended,
        desk: &mut Desk,
    ) -> Option<Settled<L>> {
        let stream = self.appends.get(&id)?.clone();
        if *answer == Appended::Unknown {
            let again = desk.after(desk.retry);
            let gives_up = match &self.slots.get(&stream)?.state {
                State::Writing(_, write) => write.gives_up,
                _ => return None,
            };
            self.set_deadline(&stream, Some(again.min(gives_up)));
            return None;
        }
        let slot = self.slots.get_mut(&stream)?;
        if !matches!(slot.state, State::Writing(..)) {
            return None;
        }
        let State::Writing(held, write) = core::mem::replace(&mut slot.state, State::Loading)
        else {
            return None;
        };
        let mut settled = Settled {
            stream: stream.to_string(),
            by: write.by,
            changes: None,
            woken: Vec::new(),
            failed: false,
        };
        self.appends.remove(&id);
        match answer {
            Appended::Done { versions } => {
                let added = u64::try_from(write.changes.len()).unwrap_or(u64::MAX);
                let version = versions.first().copied();
                let mut held = Held {
                    ledger: write.next,
                    version: version.unwrap_or_else(|| held.version.saturating_add(added)),
                    snapshot_version: held.snapshot_version,
                };
                held.snapshot_if_due(&stream, desk);
                slot.state = State::Ready(held);
                settled.woken = core::mem::take(&mut slot.waiting);
                slot.read_for.clone_from(&settled.woken);
                settled.changes = Some(write.changes);
                self.set_deadline(&stream, None);
            }
            Appended::Conflict { .. } => {
                let mut waiting = core::mem::take(&mut slot.waiting);
                waiting.insert(0, write.by);
                self.load(&stream, waiting, desk);
            }
            Appended::Fenced | Appended::Unknown => {
                settled.woken = core::mem::take(&mut slot.waiting);
                settled.failed = true;
                self.remove(&stream);
            }
        }
        Some(settled)
    }
}
