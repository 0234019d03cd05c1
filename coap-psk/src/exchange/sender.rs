//! Messages of ours that want an answer: retransmission and congestion control. (RFC 7252, 4.2 and 4.7)
//!
//! ```text
//!             n_start                   timeout, at most max_retransmit times
//!  queued ─────────────▶ in flight ◀──────────────────────┐
//!                           │  └──────────────────────────┘
//!                           ├─ acknowledged, reset, cancelled ─▶ done
//!                           └─ last timeout ───────────────────▶ lost
//! ```
//!
//! A Non-confirmable request is in flight, too, and holds the next message up: until it is answered, or until it is not expected
//! to be any more. To a peer that says nothing that is when it has taken the time of its bytes at `PROBING_RATE`.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use super::message_ids::MessageIds;
use crate::codec;
use crate::config::Transmission;
use crate::message::{Kind, Message};
use crate::random::Random;
use crate::time::Instant;

/// Keeps a timeout configured as zero from sending all retransmissions at once.
const SHORTEST_TIMEOUT: Duration = Duration::from_millis(1);

/// What a Confirmable message is for; the number is that of an exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// A request of ours.
    Request(u64),
    /// A response that comes after its request was acknowledged.
    Response(u64),
    /// A notification to the observer that registered with this exchange.
    Notification(u64),
    /// The end of an observation of ours; nobody waits for the answer.
    Deregistration(u64),
}

#[derive(Default)]
pub(crate) struct Sender {
    in_flight: Vec<Flight>,
    queue: VecDeque<(Purpose, Message)>,
}

struct Flight {
    purpose: Purpose,
    message_id: u16,
    datagram: Vec<u8>,
    retransmissions: u8,
    timeout: Duration,
    deadline: Instant,
    /// A newer notification, which the next retransmission carries instead. (RFC 7641, 4.5.2)
    successor: Option<Message>,
    /// Set for a Non-confirmable message, which is sent once: from then on, whatever the peer says shows that it responds, and
    /// that the answer is lost or was never meant to be.
    late: Option<Instant>,
}

/// What a sender needs from its surroundings.
pub(crate) struct Means<'a> {
    pub(crate) ids: &'a mut MessageIds,
    pub(crate) random: &'a mut Random,
    pub(crate) times: &'a Transmission,
    /// Where datagrams go.
    pub(crate) out: &'a mut VecDeque<Vec<u8>>,
    pub(crate) now: Instant,
}

impl Sender {
    /// Sends a message as soon as fewer than `n_start` others are in flight.
    pub(crate) fn enqueue(&mut self, purpose: Purpose, message: Message, means: &mut Means<'_>) {
        self.queue.push_back((purpose, message));
        self.fill(means);
    }

    /// As [`enqueue`](Self::enqueue), but takes the place of an older message for the same purpose.
    pub(crate) fn supersede(&mut self, purpose: Purpose, message: Message, means: &mut Means<'_>) {
        if let Some(flight) = self
            .in_flight
            .iter_mut()
            .find(|flight| flight.purpose == purpose)
        {
            flight.successor = Some(message);
        } else if let Some((_, queued)) =
            self.queue.iter_mut().find(|(queued, _)| *queued == purpose)
        {
            *queued = message;
        } else {
            self.enqueue(purpose, message, means);
        }
    }

    /// How many messages wait for their turn.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Takes an acknowledgement; what it acknowledged.
    pub(crate) fn acknowledged(
        &mut self,
        message_id: u16,
        means: &mut Means<'_>,
    ) -> Option<Purpose> {
        self.purpose_of(message_id)?;
        let flight = self.land(message_id)?;
        if let Some(message) = flight.successor {
            self.queue.push_back((flight.purpose, message));
        }
        self.fill(means);
        Some(flight.purpose)
    }

    /// Takes a reset; what it was about.
    pub(crate) fn reset(&mut self, message_id: u16, means: &mut Means<'_>) -> Option<Purpose> {
        let flight = self.land(message_id)?;
        self.fill(means);
        Some(flight.purpose)
    }

    /// What the message in flight with this id is for, if it is one that can be acknowledged.
    pub(crate) fn purpose_of(&self, message_id: u16) -> Option<Purpose> {
        self.in_flight
            .iter()
            .find(|flight| flight.message_id == message_id && flight.late.is_none())
            .map(|flight| flight.purpose)
    }

    /// Notes that the peer said something: what should have been answered by now is not expected to be.
    pub(crate) fn handle_sign_of_life(&mut self, means: &mut Means<'_>) {
        let now = means.now;
        self.in_flight
            .retain(|flight| flight.late.is_none_or(|late| late > now));
        self.fill(means);
    }

    /// Notes that the peer answered: nothing more is sent for this purpose.
    pub(crate) fn answered(&mut self, purpose: Purpose, means: &mut Means<'_>) {
        self.in_flight.retain(|flight| flight.purpose != purpose);
        self.cancel(purpose, means);
    }

    /// Sends nothing more for this purpose. A Non-confirmable message that was sent takes its time all the same.
    pub(crate) fn cancel(&mut self, purpose: Purpose, means: &mut Means<'_>) {
        self.in_flight
            .retain(|flight| flight.purpose != purpose || flight.late.is_some());
        self.queue.retain(|(queued, _)| *queued != purpose);
        self.fill(means);
    }

    /// Retransmits what is due; gives back what is lost.
    pub(crate) fn handle_timeout(&mut self, means: &mut Means<'_>) -> Vec<Purpose> {
        let mut lost = Vec::new();
        for flight in &mut self.in_flight {
            if flight.deadline > means.now || flight.late.is_some() {
                continue;
            }
            if flight.retransmissions >= means.times.max_retransmit {
                lost.push(flight.purpose);
                continue;
            }
            if let Some(message) = flight.successor.take() {
                flight.replace(message, means);
            }
            flight.retransmissions = flight.retransmissions.saturating_add(1);
            flight.timeout = flight.timeout.saturating_mul(2);
            flight.deadline = means.now.saturating_add(flight.timeout);
            means.out.push_back(flight.datagram.clone());
        }
        self.in_flight.retain(|flight| flight.deadline > means.now);
        self.fill(means);
        lost
    }

    pub(crate) fn next_deadline(&self, ids: &MessageIds, times: &Transmission) -> Option<Instant> {
        let starved = (!self.queue.is_empty() && self.in_flight.len() < times.n_start.max(1))
            .then(|| ids.available_at(times.exchange_lifetime()))
            .flatten();
        self.in_flight
            .iter()
            .map(|flight| flight.deadline)
            .chain(starved)
            .min()
    }

    fn land(&mut self, message_id: u16) -> Option<Flight> {
        let index = self
            .in_flight
            .iter()
            .position(|flight| flight.message_id == message_id)?;
        Some(self.in_flight.remove(index))
    }

    fn fill(&mut self, means: &mut Means<'_>) {
        while self.in_flight.len() < means.times.n_start.max(1) && !self.queue.is_empty() {
            let Some(message_id) = means.ids.next(means.times.exchange_lifetime(), means.now)
            else {
                return;
            };
            let Some((purpose, mut message)) = self.queue.pop_front() else {
                return;
            };
            message.message_id = message_id;
            // Requests and responses were checked when they came; a message that does not encode is not of those.
            let Ok(datagram) = codec::encode(&message) else {
                continue;
            };
            means.out.push_back(datagram.clone());
            let once = message.kind == Kind::NonConfirmable;
            let timeout = if once {
                means.times.probing_time(datagram.len())
            } else {
                first_timeout(means.times, means.random)
            };
            let answered_by = means.times.longest_first_timeout();
            self.in_flight.push(Flight {
                purpose,
                message_id,
                datagram: if once { Vec::new() } else { datagram },
                retransmissions: 0,
                timeout,
                deadline: means.now.saturating_add(timeout),
                successor: None,
                late: once.then(|| means.now.saturating_add(answered_by)),
            });
        }
    }
}

impl Flight {
    /// Goes on with a newer message under an id of its own; with the old one when there is no id.
    fn replace(&mut self, mut message: Message, means: &mut Means<'_>) {
        let Some(message_id) = means.ids.next(means.times.exchange_lifetime(), means.now) else {
            self.successor = Some(message);
            return;
        };
        message.message_id = message_id;
        if let Ok(datagram) = codec::encode(&message) {
            self.message_id = message_id;
            self.datagram = datagram;
        }
    }
}

/// A random time from `ACK_TIMEOUT` to `ACK_TIMEOUT * ACK_RANDOM_FACTOR`. (RFC 7252, 4.2)
fn first_timeout(times: &Transmission, random: &mut Random) -> Duration {
    let spread = times
        .longest_first_timeout()
        .saturating_sub(times.ack_timeout);
    let spread = u64::try_from(spread.as_micros()).unwrap_or(u64::MAX);
    times
        .ack_timeout
        .saturating_add(Duration::from_micros(random.up_to(spread)))
        .max(SHORTEST_TIMEOUT)
}

#[cfg(test)]
mod tests;
