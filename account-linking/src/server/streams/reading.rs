use core::time::Duration;

use super::{Desk, Held, Name, Slot, State, Streams};
use crate::server::ids::RequestId;
use crate::server::ledger::{Ledger, rebuild};
use crate::server::output::Output;
use crate::stream::Loaded;

/// How many streams are kept at a time because they were used: looking for one that was not has an end.
const MAX_SPARED: usize = 64;

impl<L: Ledger> Streams<L> {
    /// The durable state of a stream; `None` when the request has to wait for it.
    pub(crate) fn read(&mut self, stream: &str, by: RequestId, desk: &mut Desk) -> Option<&L> {
        self.touch(stream, by, false, desk)
    }

    /// The durable state, when nobody else is changing it; `None` when the request has to wait.
    pub(crate) fn read_to_write(
        &mut self,
        stream: &str,
        by: RequestId,
        desk: &mut Desk,
    ) -> Option<&L> {
        self.touch(stream, by, true, desk)
    }

    /// Has a stream read to its end again, since another replica may have written: whether the request has to wait for it. What was
    /// read since the request came is new enough.
    pub(crate) fn reread(&mut self, stream: &str, by: RequestId, desk: &mut Desk) -> bool {
        match self.slots.get_mut(stream) {
            Some(slot) if slot.read_for.contains(&by) => return false,
            // What is being loaded or written is as new as the store when it is there.
            Some(slot) if !matches!(slot.state, State::Ready(_)) => {
                if !slot.waiting.contains(&by) {
                    slot.waiting.push(by);
                }
            }
            _ => self.load(stream, vec![by], desk),
        }
        true
    }

    /// As [`reread`](Self::reread), unless what is there was read within `age`: however many ask, the store is asked once in that time.
    pub(crate) fn reread_if_older(
        &mut self,
        age: Duration,
        stream: &str,
        by: RequestId,
        desk: &mut Desk,
    ) -> bool {
        let is_new = |slot: &Slot<L>| {
            let is_there = matches!(slot.state, State::Ready(_));
            is_there && desk.now.saturating_duration_since(slot.as_of) < age
        };
        let is_new = self.slots.get(stream).is_some_and(is_new);
        !is_new && self.reread(stream, by, desk)
    }

    /// The durable state of a stream that is used now, if it is in memory.
    pub(crate) fn read_if_held(&mut self, stream: &str) -> Option<&L> {
        let slot = self.slots.get_mut(stream)?;
        slot.used = true;
        match &slot.state {
            State::Loading => None,
            State::Ready(held) | State::Writing(held, _) => Some(&held.ledger),
        }
    }

    /// The durable state of a stream, if it is in memory.
    pub(crate) fn peek(&self, stream: &str) -> Option<&L> {
        match &self.slots.get(stream)?.state {
            State::Loading => None,
            State::Ready(held) | State::Writing(held, _) => Some(&held.ledger),
        }
    }

    fn touch(
        &mut self,
        stream: &str,
        by: RequestId,
        to_write: bool,
        desk: &mut Desk,
    ) -> Option<&L> {
        if !self.slots.contains_key(stream) {
            self.unload_one_if_full();
            self.load(stream, vec![by], desk);
            return None;
        }
        let slot = self.slots.get_mut(stream)?;
        slot.used = true;
        match &slot.state {
            State::Ready(held) => Some(&held.ledger),
            State::Writing(held, _) if !to_write => Some(&held.ledger),
            State::Loading | State::Writing(..) => {
                if !slot.waiting.contains(&by) {
                    slot.waiting.push(by);
                }
                None
            }
        }
    }

    pub(super) fn load(&mut self, stream: &str, waiting: Vec<RequestId>, desk: &mut Desk) {
        self.remove(stream);
        let deadline = desk.after(desk.timeout);
        let name = Name::from(stream);
        let slot = Slot {
            stream: Name::clone(&name),
            state: State::Loading,
            waiting,
            as_of: desk.now,
            read_for: Vec::new(),
            place: self.next_place(&name),
            used: false,
            deadline: Some(deadline),
        };
        self.deadlines.insert((deadline, Name::clone(&name)));
        self.slots.insert(name, slot);
        let stream = stream.to_owned();
        desk.outputs.push_back(Output::Load { stream });
    }

    fn unload_one_if_full(&mut self) {
        if self.slots.len() < self.limit {
            return;
        }
        // Each was used since its turn once at most; busy ones are few: each belongs to a request in progress.
        for passed in 0..self.order.len().saturating_mul(2) {
            let Some((_, stream)) = self.order.pop_first() else {
                return;
            };
            let place = self.next_place(&stream);
            let Some(slot) = self.slots.get_mut(&stream) else {
                self.order.remove(&place);
                continue;
            };
            slot.place = place;
            let spared = core::mem::take(&mut slot.used) && passed < MAX_SPARED;
            if !spared && matches!(slot.state, State::Ready(_)) {
                self.remove(&stream);
                return;
            }
        }
    }

    /// Takes what the store has of a stream; gives the requests that can go on.
    ///
    /// # Errors
    /// The requests that must fail, when the stream cannot be read.
    pub(crate) fn handle_loaded(
        &mut self,
        stream: &str,
        loaded: &Loaded,
    ) -> Result<Vec<RequestId>, Vec<RequestId>> {
        let Some(slot) = self.slots.get_mut(stream) else {
            return Ok(Vec::new());
        };
        if !matches!(slot.state, State::Loading) {
            return Ok(Vec::new());
        }
        match rebuild(loaded) {
            Ok(ledger) => {
                slot.state = State::Ready(Held {
                    ledger,
                    version: loaded.version,
                    snapshot_version: loaded.snapshot.as_ref().map_or(0, |kept| kept.version),
                });
                let woken = core::mem::take(&mut slot.waiting);
                slot.read_for.clone_from(&woken);
                self.set_deadline(stream, None);
                Ok(woken)
            }
            Err(_) => Err(self.handle_load_failed(stream)),
        }
    }

    /// Gives up loading; gives the requests that must fail.
    pub(crate) fn handle_load_failed(&mut self, stream: &str) -> Vec<RequestId> {
        let slot = self.slots.get(stream);
        if !slot.is_some_and(|slot| matches!(slot.state, State::Loading)) {
            return Vec::new();
        }
        self.remove(stream)
            .map(|slot| slot.waiting)
            .unwrap_or_default()
    }
}
