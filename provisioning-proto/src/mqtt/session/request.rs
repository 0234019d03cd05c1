//! What a device asked, and the answer on its way.

use std::time::Instant;

use super::{RequestId, SessionConfig};
use crate::mqtt::DownPayload;

/// The requests of one connection, one after the other.
#[derive(Debug, Default)]
pub(super) struct Requests {
    asked: u32,
    open: Option<Request>,
    /// Under which packet id the last one that was answered had come.
    answered: Option<u16>,
}

#[derive(Debug)]
struct Request {
    id: RequestId,
    packet_id: Option<u16>,
    answer: Option<DownPayload>,
    answer_by: Option<Instant>,
    hold_until: Option<Instant>,
}

/// The connection has asked too often.
#[derive(Debug)]
pub(super) struct TooMany;

impl Requests {
    /// Takes in a request; `None` when it is one that was made before.
    pub(super) fn ask(
        &mut self,
        packet_id: Option<u16>,
        duplicate: bool,
        config: &SessionConfig,
        now: Instant,
    ) -> Result<Option<(RequestId, Option<Instant>)>, TooMany> {
        let sent_again = duplicate && packet_id.is_some() && packet_id == self.answered;
        if self.open.is_some() || sent_again {
            return Ok(None);
        }
        if self.asked >= config.max_requests {
            return Err(TooMany);
        }
        let id = RequestId(self.asked);
        self.asked = self.asked.saturating_add(1);
        let answer_by = now.checked_add(config.answer_within);
        self.open = Some(Request {
            id,
            packet_id,
            answer: None,
            answer_by,
            hold_until: now.checked_add(config.hold_for),
        });
        Ok(Some((id, answer_by)))
    }

    /// Takes in an answer, if it is still waited for.
    pub(super) fn answer(&mut self, id: RequestId, payload: DownPayload) {
        if let Some(request) = &mut self.open
            && request.id == id
            && request.answer.is_none()
        {
            request.answer = Some(payload);
        }
    }

    /// The answer that is there; it is given once, and ends its request.
    pub(super) fn take_answer(&mut self) -> Option<DownPayload> {
        let payload = self.open.as_mut()?.answer.take()?;
        self.answered = self.open.take()?.packet_id;
        Some(payload)
    }

    /// Time has passed: what is late is answered with what the configuration says.
    pub(super) fn pass(&mut self, config: &SessionConfig, now: Instant) {
        if let Some(request) = &mut self.open
            && request.answer.is_none()
            && request.answer_by.is_some_and(|at| at <= now)
        {
            request.answer = Some(config.late.clone());
        }
    }

    /// Forgets a request whose answer nobody listened for in time.
    pub(super) fn forget_unheard(&mut self, now: Instant) {
        if let Some(request) = &self.open
            && request.answer.is_some()
            && request.hold_until.is_none_or(|at| at <= now)
        {
            self.open = None;
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let request = self.open.as_ref()?;
        match request.answer {
            None => request.answer_by,
            Some(_) => request.hold_until,
        }
    }
}
