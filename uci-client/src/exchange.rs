//! The requests to the peer that are waiting or on their way.

use std::collections::{BTreeMap, VecDeque};

use uci_model::CorrelationId;

use crate::calls::Order;
use crate::ledger::SubscribeId;
use crate::mirror::Stamp;
use crate::output::{CallId, ExchangeId};
use crate::sync::{Part, Scope};

/// What an exchange is for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// A call of the caller.
    Call(CallId),
    /// To make a subscription.
    Subscribe {
        id: SubscribeId,
        correlation: CorrelationId,
    },
    /// To end a subscription.
    Unsubscribe { id: SubscribeId },
    /// To end what the peer may still have of a subscription that was replaced; nobody waits for the answer.
    Abandon,
    /// To bring the mirror into step with what the peer has now.
    Sync {
        scope: Scope,
        part: Part,
        since: Stamp,
    },
}

/// One exchange.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) purpose: Purpose,
    pub(crate) order: Order,
    /// Whether a 401 has already been answered by another try.
    pub(crate) retried: bool,
    /// The generation of the token that it was sent with; `None` while it waits.
    pub(crate) sent_with: Option<u64>,
}

/// All exchanges: those that wait for a token or their turn, in order, and those on their way.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    last: u64,
    open: BTreeMap<ExchangeId, Exchange>,
    waiting: VecDeque<ExchangeId>,
}

impl Exchanges {
    /// Adds an exchange at the end of those that wait.
    pub(crate) fn add(&mut self, purpose: Purpose, order: Order) {
        self.insert(
            Exchange {
                purpose,
                order,
                retried: false,
                sent_with: None,
            },
            false,
        );
    }

    /// Adds another try of an exchange whose token was refused, before all that wait.
    pub(crate) fn retry(&mut self, exchange: Exchange) {
        self.insert(
            Exchange {
                retried: true,
                sent_with: None,
                ..exchange
            },
            true,
        );
    }

    fn insert(&mut self, exchange: Exchange, first: bool) {
        self.last = self.last.wrapping_add(1);
        let id = ExchangeId(self.last);
        self.open.insert(id, exchange);
        if first {
            self.waiting.push_front(id);
        } else {
            self.waiting.push_back(id);
        }
    }

    /// The next exchange to send, when fewer than `max_in_flight` are on their way.
    pub(crate) fn ready(&self, max_in_flight: usize) -> Option<(ExchangeId, &Order)> {
        let in_flight = self.open.len().saturating_sub(self.waiting.len());
        if in_flight >= max_in_flight.max(1) {
            return None;
        }
        let id = *self.waiting.front()?;
        Some((id, &self.open.get(&id)?.order))
    }

    /// Notes that the first exchange that waits was sent.
    pub(crate) fn first_sent(&mut self, generation: u64) {
        if let Some(exchange) = self
            .waiting
            .pop_front()
            .and_then(|id| self.open.get_mut(&id))
        {
            exchange.sent_with = Some(generation);
        }
    }

    /// Takes an exchange that was sent and is answered now.
    pub(crate) fn answered(&mut self, id: ExchangeId) -> Option<Exchange> {
        self.open.get(&id)?.sent_with?;
        self.open.remove(&id)
    }

    /// Takes the first exchange that waits.
    pub(crate) fn give_up_first(&mut self) -> Option<Exchange> {
        let id = self.waiting.pop_front()?;
        self.open.remove(&id)
    }

    /// Takes all exchanges that wait.
    pub(crate) fn give_up_waiting(&mut self) -> Vec<Exchange> {
        core::iter::from_fn(|| self.give_up_first()).collect()
    }
}
