//! The deliveries under way: at most one attempt a subscription, its retries, and what became of it.
//!
//! ```text
//!          enqueue            start           2xx, 410                the ledger has moved on
//! (idle) ──────────▶ Queued ─────────▶ InFlight ─────▶ Confirmed ─────────────────────────▶ (idle)
//!    ▲              for a slot            │
//!    │                          failure   ▼
//!    └────────────────── delay ◀────── Waiting
//! ```
//!
//! A notification that was confirmed keeps its line until the ledger says so durably: only then may the next one be sent,
//! or a crash in between could change what was already sent. After a 410 the ledger forgets the subscription, and nothing
//! is sent until it has.
//!
//! An answer that asks for a pause (`Retry-After`) pauses its subscription alone: who answers may be one of many behind a
//! name, and a pause of the whole host would let one of them silence the others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use http::StatusCode;
use uci_model::SubscriptionId;

use crate::backoff::Backoff;
use crate::config::DeliveryRules;
use crate::device_port::{DeliveryOutcome, TransportFailure};
use crate::ids::{AccountId, DeliveryId};

mod slots;

use slots::{HostName, Slots};

/// All lines of one machine.
#[derive(Debug)]
pub(crate) struct Deliveries {
    slots: Slots,
    lines: BTreeMap<SubscriptionId, Line>,
    attempts: BTreeMap<DeliveryId, SubscriptionId>,
    timers: BTreeSet<(Instant, SubscriptionId)>,
    next_id: u64,
}

#[derive(Debug)]
struct Line {
    account: AccountId,
    host: HostName,
    sequence: u64,
    state: State,
    failures: u32,
    refusals: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    InFlight {
        id: DeliveryId,
        until: Instant,
    },
    Waiting {
        until: Instant,
    },
    /// Until there is a slot.
    Queued {
        ticket: u64,
    },
    /// Nothing is in its way.
    Ready,
    Confirmed,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// The receiver has it: mark the number as delivered.
    Delivered { sequence: u64 },
    /// The receiver wants no more: remove the subscription.
    Gone,
    /// The receiver will never take it: end the subscription.
    Refused,
    /// It will be tried again.
    Retry,
}

impl Deliveries {
    /// No deliveries yet.
    pub(crate) fn new(rules: &DeliveryRules) -> Self {
        Self {
            slots: Slots::new(rules),
            lines: BTreeMap::new(),
            attempts: BTreeMap::new(),
            timers: BTreeSet::new(),
            next_id: 0,
        }
    }

    /// Lines a subscription up for an attempt at the head of its queue, unless one is under way, delayed or lined up.
    ///
    /// A head with another number than before is a new notification and starts with a clean slate.
    pub(crate) fn enqueue(
        &mut self,
        account: &AccountId,
        subscription: SubscriptionId,
        sequence: u64,
        events_url: &str,
    ) {
        let line = self.lines.entry(subscription).or_insert_with(|| Line {
            account: account.clone(),
            host: self.slots.enter(events_url),
            sequence,
            state: State::Ready,
            failures: 0,
            refusals: 0,
        });
        match line.state {
            State::InFlight { .. } | State::Waiting { .. } | State::Queued { .. } => return,
            State::Confirmed if line.sequence == sequence => return,
            State::Confirmed | State::Ready => {}
        }
        line.renew(sequence);
        let ticket = self.slots.queue(&line.host, subscription);
        line.state = State::Queued { ticket };
    }

    /// The next that may be sent now, if it is still to be: then [`Deliveries::start`] follows.
    pub(crate) fn next(&mut self) -> Option<(AccountId, SubscriptionId)> {
        let subscription = self.slots.next()?;
        let line = self.lines.get_mut(&subscription)?;
        line.state = State::Ready;
        Some((line.account.clone(), subscription))
    }

    /// Begins the attempt of a subscription that was next.
    pub(crate) fn start(
        &mut self,
        subscription: SubscriptionId,
        sequence: u64,
        until: Instant,
    ) -> Option<DeliveryId> {
        let line = self.lines.get_mut(&subscription)?;
        if line.state != State::Ready {
            return None;
        }
        line.renew(sequence);
        let id = DeliveryId::new(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        line.state = State::InFlight { id, until };
        self.slots.take(&line.host);
        self.attempts.insert(id, subscription);
        self.timers.insert((until, subscription));
        Some(id)
    }

    /// Puts the attempt of a subscription that was next off: it could not even be begun.
    pub(crate) fn put_off(
        &mut self,
        subscription: SubscriptionId,
        sequence: u64,
        rules: &DeliveryRules,
        jitter: u64,
        now: Instant,
    ) {
        if let Some(line) = self.lines.get_mut(&subscription)
            && line.state == State::Ready
        {
            line.renew(sequence);
            line.fail(rules.backoff, jitter, None, now);
            if let State::Waiting { until } = line.state {
                self.timers.insert((until, subscription));
            }
        }
    }

    /// Ends an attempt. Unknown and late ones are ignored.
    pub(crate) fn end(
        &mut self,
        id: DeliveryId,
        result: Result<DeliveryOutcome, TransportFailure>,
        rules: &DeliveryRules,
        jitter: impl FnOnce() -> u64,
        now: Instant,
    ) -> Option<(AccountId, SubscriptionId, Verdict)> {
        let subscription = self.attempts.remove(&id)?;
        let line = self.lines.get_mut(&subscription)?;
        let State::InFlight { until, .. } = line.state else {
            return None;
        };
        self.timers.remove(&(until, subscription));
        self.slots.free(&line.host);
        self.slots.note(&line.host, result.is_ok());
        let verdict = judge(line, result, rules);
        let retry_after = result.ok().and_then(|outcome| outcome.retry_after);
        match verdict {
            Verdict::Delivered { .. } | Verdict::Gone => line.state = State::Confirmed,
            // A refused one too: its subscription may have ended before, with this still at the head of the queue.
            Verdict::Refused | Verdict::Retry => {
                line.fail(rules.backoff, jitter(), retry_after, now);
                if let State::Waiting { until } = line.state {
                    self.timers.insert((until, subscription));
                }
            }
        }
        Some((line.account.clone(), subscription, verdict))
    }

    /// Whether the notification of this number was tried in vain.
    pub(crate) fn has_failed(&self, subscription: SubscriptionId, sequence: u64) -> bool {
        let line = self.lines.get(&subscription);
        line.is_some_and(|line| line.sequence == sequence && line.failures > 0)
    }

    /// Forgets a subscription and whatever is under way for it.
    pub(crate) fn forget(&mut self, subscription: SubscriptionId) {
        let Some(line) = self.lines.remove(&subscription) else {
            return;
        };
        match line.state {
            State::InFlight { id, until } => {
                self.attempts.remove(&id);
                self.timers.remove(&(until, subscription));
                self.slots.free(&line.host);
            }
            State::Queued { ticket } => self.slots.withdraw(&line.host, ticket),
            State::Waiting { until } => {
                self.timers.remove(&(until, subscription));
            }
            State::Ready | State::Confirmed => {}
        }
        self.slots.leave(&line.host);
    }

    /// Forgets a line with nothing under way: its queue is empty.
    pub(crate) fn rest(&mut self, subscription: SubscriptionId) {
        let under_way = |line: &Line| matches!(line.state, State::InFlight { .. });
        if !self.lines.get(&subscription).is_some_and(under_way) {
            self.forget(subscription);
        }
    }

    /// Lets a confirmed line be sent again: what the receiver said could not be made durable.
    pub(crate) fn unconfirm(&mut self, subscription: SubscriptionId) {
        if let Some(line) = self.lines.get_mut(&subscription)
            && line.state == State::Confirmed
        {
            line.state = State::Ready;
        }
    }

    /// Forgets all lines of an account.
    pub(crate) fn forget_account(&mut self, account: &AccountId) {
        let of_account =
            |(id, line): (&SubscriptionId, &Line)| (line.account == *account).then_some(*id);
        let ids: Vec<SubscriptionId> = self.lines.iter().filter_map(of_account).collect();
        for id in ids {
            self.forget(id);
        }
    }

    /// The attempts whose time is up by `now`.
    pub(crate) fn overdue(&self, now: Instant) -> Vec<DeliveryId> {
        self.due(now)
            .filter_map(|(_, line)| match line.state {
                State::InFlight { id, .. } => Some(id),
                _ => None,
            })
            .collect()
    }

    /// Ends the delays that are over by `now` and returns whose they were.
    pub(crate) fn awake(&mut self, now: Instant) -> Vec<(AccountId, SubscriptionId)> {
        let due: Vec<(SubscriptionId, Instant)> = self
            .due(now)
            .filter_map(|(id, line)| match line.state {
                State::Waiting { until } => Some((id, until)),
                _ => None,
            })
            .collect();
        let mut awake = Vec::with_capacity(due.len());
        for (id, until) in due {
            self.timers.remove(&(until, id));
            if let Some(line) = self.lines.get_mut(&id) {
                line.state = State::Ready;
                awake.push((line.account.clone(), id));
            }
        }
        awake
    }

    fn due(&self, now: Instant) -> impl Iterator<Item = (SubscriptionId, &Line)> {
        self.timers
            .iter()
            .take_while(move |(at, _)| *at <= now)
            .filter_map(|(_, id)| Some((*id, self.lines.get(id)?)))
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }
}

impl Line {
    /// Begins with a new notification, if it is one.
    fn renew(&mut self, sequence: u64) {
        if self.sequence != sequence {
            (self.sequence, self.failures, self.refusals) = (sequence, 0, 0);
        }
    }

    /// Counts a failure and waits.
    fn fail(&mut self, backoff: Backoff, jitter: u64, retry_after: Option<Duration>, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        let delay = backoff.delay(self.failures, jitter, retry_after);
        self.state = match now.checked_add(delay.max(Duration::from_millis(1))) {
            Some(until) => State::Waiting { until },
            None => State::Ready,
        };
    }
}

/// 2xx confirms; 410 ends it at once; 400 too often ends it; everything else is tried again (OCF Cloud API for Cloud
/// Services, `{eventsUrl}`, which lists 200, 400 and 410).
fn judge(
    line: &mut Line,
    result: Result<DeliveryOutcome, TransportFailure>,
    rules: &DeliveryRules,
) -> Verdict {
    let Ok(outcome) = result else {
        return Verdict::Retry;
    };
    match outcome.status {
        status if status.is_success() => Verdict::Delivered {
            sequence: line.sequence,
        },
        StatusCode::GONE => Verdict::Gone,
        StatusCode::BAD_REQUEST => {
            line.refusals = line.refusals.saturating_add(1);
            if line.refusals >= rules.max_refusals {
                Verdict::Refused
            } else {
                Verdict::Retry
            }
        }
        _ => Verdict::Retry,
    }
}
