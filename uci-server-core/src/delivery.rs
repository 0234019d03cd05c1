//! The deliveries under way: at most one attempt a subscription, its retries, and what became of it.
//!
//! ```text
//!          enqueue            start           2xx, 410                the ledger has moved on
//! (idle) ──────────▶ Queued ─────────▶ InFlight ─────▶ Confirmed ─────────────────────────▶ (idle)
//!    ▲              for a slot          │    │
//!    │                          failure ▼    ▼ aborted
//!    ├────────────────── delay ◀── Waiting  Ready
//!    └────────────────────────────────────────┘
//! ```
//!
//! A notification that was confirmed keeps its line until the ledger says so durably: only then may the next one be sent,
//! or a crash in between could change what was already sent. After a 410 the ledger forgets the subscription, and nothing
//! is sent until it has.
//!
//! An attempt is aborted when what it tells must not be told any more, or nobody is left to whom its outcome matters. Who
//! sends it stops then and says so; until that, or until its time is up, it counts as under way.
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
use crate::ids::{AccountId, DeliveryId, GrantEndId};

mod attempts;
mod slots;

pub(crate) use attempts::Consent;
use attempts::{Attempt, Attempts};
use slots::{HostName, Slots};

/// All lines of one machine.
#[derive(Debug)]
pub(crate) struct Deliveries {
    slots: Slots,
    lines: BTreeMap<SubscriptionId, Line>,
    attempts: Attempts,
    /// When the delays of lines are over.
    delays: BTreeSet<(Instant, SubscriptionId)>,
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
    /// It was stopped: whatever is at the head of the queue now may be sent.
    Aborted,
}

/// An attempt that is over.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Whose it was and what became of it; `None` when nobody is left to whom that matters.
    pub(crate) outcome: Option<(AccountId, SubscriptionId, Verdict)>,
    /// The ends of consents that waited for it.
    pub(crate) awaited_by: Vec<GrantEndId>,
}

impl Deliveries {
    /// No deliveries yet.
    pub(crate) fn new(rules: &DeliveryRules) -> Self {
        Self {
            slots: Slots::new(rules),
            lines: BTreeMap::new(),
            attempts: Attempts::default(),
            delays: BTreeSet::new(),
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
        let under_way = self.attempts.of(subscription);
        let line = self.lines.entry(subscription).or_insert_with(|| Line {
            account: account.clone(),
            host: self.slots.enter(events_url),
            sequence,
            // What a forgotten line has left behind is over before anything else is sent.
            state: under_way.map_or(State::Ready, |id| State::InFlight { id }),
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

    /// Begins the attempt of a subscription that was next. Under `consent` it tells something.
    pub(crate) fn start(
        &mut self,
        subscription: SubscriptionId,
        sequence: u64,
        consent: Option<Consent>,
        until: Instant,
    ) -> Option<DeliveryId> {
        let line = self.lines.get_mut(&subscription)?;
        if line.state != State::Ready {
            return None;
        }
        line.renew(sequence);
        self.slots.take(&line.host);
        let attempt = Attempt::new(subscription, sequence, line.host.clone(), consent, until);
        let id = self.attempts.begin(attempt);
        line.state = State::InFlight { id };
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
                self.delays.insert((until, subscription));
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
    ) -> Option<Ended> {
        let attempt = self.attempts.end(id)?;
        self.slots.free(&attempt.host);
        // An attempt that was stopped says nothing about its host, unless it was answered all the same.
        let stopped = attempt.aborted && result.is_err();
        if !stopped {
            self.slots.note(&attempt.host, result.is_ok());
        }
        let subscription = attempt.subscription;
        let awaited_by = attempt.awaited_by;
        let Some(line) = self
            .lines
            .get_mut(&subscription)
            .filter(|line| line.state == State::InFlight { id })
        else {
            let outcome = None;
            return Some(Ended {
                outcome,
                awaited_by,
            });
        };
        // Of a line before this one it says nothing about what is to be sent now, but that nothing is.
        let gone = result.is_ok_and(|outcome| outcome.status == StatusCode::GONE);
        let verdict = if stopped || attempt.sequence != line.sequence && !gone {
            Verdict::Aborted
        } else {
            judge(line, result, rules)
        };
        let retry_after = result.ok().and_then(|outcome| outcome.retry_after);
        match verdict {
            Verdict::Delivered { .. } | Verdict::Gone => line.state = State::Confirmed,
            // A refused one too: its subscription may have ended before, with this still at the head of the queue.
            Verdict::Refused | Verdict::Retry => {
                line.fail(rules.backoff, jitter(), retry_after, now);
                if let State::Waiting { until } = line.state {
                    self.delays.insert((until, subscription));
                }
            }
            Verdict::Aborted => line.state = State::Ready,
        }
        Some(Ended {
            outcome: Some((line.account.clone(), subscription, verdict)),
            awaited_by,
        })
    }

    /// Has everything stopped that is being told under a consent, and notes that its end waits for that; how many attempts
    /// it waits for.
    pub(crate) fn await_all_of(&mut self, consent: &Consent, end: GrantEndId) -> usize {
        self.attempts.await_all_of(consent, end)
    }

    /// The next attempt whose driver is to be told to stop it.
    pub(crate) fn poll_abort(&mut self) -> Option<DeliveryId> {
        self.attempts.poll_abort()
    }

    /// Whether the notification of this number was tried in vain.
    pub(crate) fn has_failed(&self, subscription: SubscriptionId, sequence: u64) -> bool {
        let line = self.lines.get(&subscription);
        line.is_some_and(|line| line.sequence == sequence && line.failures > 0)
    }

    /// Forgets a subscription; what is under way for it is stopped.
    pub(crate) fn forget(&mut self, subscription: SubscriptionId) {
        let Some(line) = self.lines.remove(&subscription) else {
            return;
        };
        match line.state {
            State::InFlight { id } => self.attempts.abort(id),
            State::Queued { ticket } => self.slots.withdraw(&line.host, ticket),
            State::Waiting { until } => {
                self.delays.remove(&(until, subscription));
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

    /// The attempts whose time is up by `now`; whatever is left of them is stopped.
    pub(crate) fn overdue(&mut self, now: Instant) -> Vec<DeliveryId> {
        self.attempts.overdue(now)
    }

    /// Ends the delays that are over by `now` and returns whose they were.
    pub(crate) fn awake(&mut self, now: Instant) -> Vec<(AccountId, SubscriptionId)> {
        let mut awake = Vec::new();
        while let Some((at, _)) = self.delays.first()
            && *at <= now
            && let Some((_, id)) = self.delays.pop_first()
        {
            if let Some(line) = self.lines.get_mut(&id) {
                line.state = State::Ready;
                awake.push((line.account.clone(), id));
            }
        }
        awake
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let delay = self.delays.first().map(|(at, _)| *at);
        delay.into_iter().chain(self.attempts.next_deadline()).min()
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
