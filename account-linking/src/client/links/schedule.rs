//! What a user's ledger owes, and what is already under way for it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::exchanges::Kind;
use super::output::{Failure, OperationId};
use super::work::Work;
use super::{Links, Timer, user_stream};
use crate::client::cloud::CloudId;
use crate::client::oauth::Question;
use crate::client::user_links::{Revocable, Stage};
use crate::secret::{AccessToken, RefreshToken};
use crate::user_id::UserId;

/// A token that is refused this soon after a forced refresh will be refused again.
const FORCED_LATELY: Duration = Duration::from_secs(60);

/// What is under way for a user, beside what the ledger says.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The commands that wait for the end of an attempt.
    pub(super) operations: BTreeMap<String, OperationId>,
    pub(super) refreshes: BTreeMap<CloudId, Refresh>,
    pub(super) revoking: BTreeMap<u64, Pending>,
    /// Whether it is being asked whose the tokens of an attempt are, and how often that has failed.
    pub(super) identifying: BTreeMap<String, (Pending, u32)>,
    /// Which generation of tokens a forced refresh gave, and when.
    forced: BTreeMap<CloudId, (u64, Instant)>,
    pub(super) expiring: bool,
}

/// A refresh that is under way, or waits for its next try.
#[derive(Debug, Default)]
pub(super) struct Refresh {
    pub(super) pending: Pending,
    pub(super) tries: u32,
    pub(super) waiters: Vec<OperationId>,
    pub(super) forced: bool,
}

/// Whether something is under way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Pending {
    /// Not yet.
    #[default]
    Idle,
    /// A request or an append is on its way.
    InFlight,
    /// It failed and is tried again at this time.
    Until(Instant),
}

impl Links {
    pub(super) fn memory(&mut self, user: &UserId) -> &mut Memory {
        self.users.entry(user.clone()).or_default()
    }

    pub(super) fn is_busy(&self, user: &UserId) -> bool {
        self.users.get(user).is_some_and(|memory| {
            memory.expiring
                || !(memory.operations.is_empty()
                    && memory.refreshes.is_empty()
                    && memory.revoking.is_empty()
                    && memory.identifying.is_empty())
        })
    }

    /// Whether the tokens of this generation came from a forced refresh a moment ago.
    pub(super) fn was_forced(&self, user: &UserId, cloud: &CloudId, generation: u64) -> bool {
        let forced = self
            .users
            .get(user)
            .and_then(|memory| memory.forced.get(cloud));
        forced.is_some_and(|(of, at)| {
            *of == generation && self.clock.now.saturating_duration_since(*at) < FORCED_LATELY
        })
    }

    pub(super) fn set_timer(&mut self, timer: Timer, now: Instant, wait: Duration) {
        if let Some(at) = later(now, wait) {
            self.deadlines.set(timer, at);
        }
    }

    /// How long to wait before the next try: doubled with every one, and somewhere in the upper half of that.
    pub(super) fn wait_before(&mut self, tries: u32) -> Duration {
        let doubled = self.config.first_wait.saturating_mul(
            1_u32
                .checked_shl(tries.saturating_sub(1))
                .unwrap_or(u32::MAX),
        );
        let longest = doubled.min(self.config.longest_wait);
        let [byte, ..] = self.fresh("jitter");
        let half = longest.checked_div(2).unwrap_or_default();
        half.saturating_add(half.mul_f64(f64::from(byte) / 256.0))
    }

    /// When to try again, not before the other side asked for, but never later than a day.
    pub(super) fn wait_until(
        &mut self,
        tries: u32,
        asked_to_wait: Option<Duration>,
        now: Instant,
    ) -> Instant {
        let asked = asked_to_wait
            .unwrap_or_default()
            .min(Duration::from_secs(86_400));
        let wait = self.wait_before(tries).max(asked);
        later(now, wait).unwrap_or(now)
    }

    /// Sets the time at which [`Links::act`] has something to do for `user`.
    pub(super) fn arm(&mut self, user: &UserId, now: Instant) {
        match self.next_action(user, now) {
            Some(at) => self.deadlines.set(Timer::User(user.clone()), at),
            None => self.deadlines.cancel(&Timer::User(user.clone())),
        }
        if self
            .users
            .get(user)
            .is_some_and(|memory| !self.is_busy(user) && memory.forced.is_empty())
        {
            self.users.remove(user);
        }
    }

    fn next_action(&self, user: &UserId, now: Instant) -> Option<Instant> {
        let links = self.store.user(user)?;
        let none = Memory::default();
        let memory = self.users.get(user).unwrap_or(&none);
        let when = |pending: Option<&Pending>, otherwise: Option<Instant>| match pending {
            Some(Pending::InFlight) => None,
            Some(Pending::Until(until)) => Some(*until),
            Some(Pending::Idle) | None => otherwise,
        };
        let wall = links.moment(self.clock.wall);
        let ends = links
            .attempts
            .values()
            .filter(|_| !memory.expiring)
            .filter_map(|a| self.clock.instant(a.ends));
        let asks = links
            .attempts
            .iter()
            // Nobody is asked for one that is over, which waits for its end to be durable.
            .filter(|(_, attempt)| attempt.ends > wall)
            .filter(|(_, attempt)| matches!(attempt.stage, Stage::Identifying(_)));
        let asks = asks.filter_map(|(id, _)| when(asking(memory, id), Some(now)));
        let renewals = links.links.iter().filter_map(|(cloud, link)| {
            let due = self.clock.instant(link.due()?);
            let refreshable = links
                .tokens(cloud)
                .is_some_and(|(_, tokens)| tokens.refresh.is_some());
            if refreshable {
                when(
                    memory.refreshes.get(cloud).map(|refresh| &refresh.pending),
                    due,
                )
            } else {
                due.filter(|_| !memory.expiring)
            }
        });
        let revocations = links.revocations.iter();
        let revocations = revocations.filter_map(|(id, entry)| {
            when(memory.revoking.get(id), self.clock.instant(entry.next_try))
        });
        ends.chain(asks).chain(renewals).chain(revocations).min()
    }

    /// Does what is due for `user`.
    pub(super) fn act(&mut self, user: &UserId, now: Instant) {
        let Some(links) = self.store.user(user) else {
            return;
        };
        let wall = links.moment(self.clock.wall);
        let idle = |pending: Option<&Pending>| match pending {
            None | Some(Pending::Idle) => true,
            Some(Pending::Until(until)) => *until <= now,
            Some(Pending::InFlight) => false,
        };
        let none = Memory::default();
        let memory = self.users.get(user).unwrap_or(&none);
        let (mut asks, mut refreshes, mut ended) = (Vec::new(), Vec::new(), false);
        for (id, attempt) in &links.attempts {
            if attempt.ends <= wall {
                ended = true;
            } else if matches!(attempt.stage, Stage::Identifying(_)) && idle(asking(memory, id)) {
                asks.push(id.clone());
            }
        }
        for (cloud, link) in &links.links {
            let pending = memory.refreshes.get(cloud).map(|refresh| &refresh.pending);
            let retry = matches!(pending, Some(Pending::Until(until)) if *until <= now);
            if retry || link.due().is_some_and(|due| due <= wall) {
                match links.tokens(cloud) {
                    Some((_, tokens)) if tokens.refresh.is_none() => ended = true,
                    _ if idle(pending) => refreshes.push(cloud.clone()),
                    _ => {}
                }
            }
        }
        let revocations = links.revocations.iter();
        let due = revocations.filter(|(id, entry)| match memory.revoking.get(id) {
            None | Some(Pending::Idle) => entry.next_try <= wall,
            pending => idle(pending),
        });
        let revocations: Vec<u64> = due.map(|(id, _)| *id).collect();
        if ended && !memory.expiring {
            self.memory(user).expiring = true;
            self.enqueue(user, Work::Expire, now);
        }
        asks.iter()
            .for_each(|attempt| self.introspect(user, attempt, now));
        refreshes
            .iter()
            .for_each(|cloud| self.refresh(user, cloud, now));
        revocations
            .iter()
            .for_each(|revocation| self.revoke(user, *revocation, now));
        self.arm(user, now);
    }

    fn introspect(&mut self, user: &UserId, attempt: &str, now: Instant) {
        if self.try_introspect(user, attempt, now).is_some() {
            let asked = self.memory(user).identifying.entry(attempt.to_owned());
            asked.or_default().0 = Pending::InFlight;
        } else {
            self.identification_failed(user, attempt, None, now);
        }
    }

    /// Waits before it is asked again whose the tokens of an attempt are.
    pub(super) fn identification_failed(
        &mut self,
        user: &UserId,
        attempt: &str,
        asked_to_wait: Option<Duration>,
        now: Instant,
    ) {
        let entry = self.memory(user).identifying.get(attempt);
        let tries = entry.map_or(1, |(_, tries)| tries.saturating_add(1));
        let until = self.wait_until(tries, asked_to_wait, now);
        self.memory(user)
            .identifying
            .insert(attempt.to_owned(), (Pending::Until(until), tries));
    }

    fn try_introspect(&mut self, user: &UserId, attempt: &str, now: Instant) -> Option<()> {
        let begun = self.store.user(user)?.attempts.get(attempt)?;
        let Stage::Identifying(tokens) = &begun.stage else {
            return None;
        };
        let cloud = begun.cloud.clone();
        let opened = tokens
            .access
            .open(self.sealer.as_ref(), &user_stream(user))
            .ok()?;
        let token = AccessToken::new(opened.as_str()).ok()?;
        self.ask(
            user,
            &cloud,
            Kind::Introspect {
                attempt: attempt.to_owned(),
            },
            &Question::Introspect(&token),
            now,
        )
    }

    /// Refreshes a link, once at a time.
    pub(super) fn refresh(&mut self, user: &UserId, cloud: &CloudId, now: Instant) {
        if self.try_refresh(user, cloud, now).is_some() {
            self.memory(user)
                .refreshes
                .entry(cloud.clone())
                .or_default()
                .pending = Pending::InFlight;
        } else {
            self.refresh_failed(user, cloud, None, now);
        }
    }

    fn try_refresh(&mut self, user: &UserId, cloud: &CloudId, now: Instant) -> Option<()> {
        let (link, tokens) = self.store.user(user)?.tokens(cloud)?;
        let generation = link.generation;
        let opened = tokens
            .refresh
            .as_ref()?
            .open(self.sealer.as_ref(), &user_stream(user))
            .ok()?;
        let token = RefreshToken::new(opened.as_str()).ok()?;
        self.ask(
            user,
            cloud,
            Kind::Refresh { generation },
            &Question::Refresh(&token),
            now,
        )
    }

    /// How long a refresh may take: little at first, since the other side may take the token again for a short while only, and more
    /// when that does not help, since the other side may be slow.
    pub(super) fn refresh_patience(&self, user: &UserId, cloud: &CloudId) -> Duration {
        let longest = self.config.exchange_timeout;
        let memory = self.users.get(user);
        match memory.and_then(|memory| memory.refreshes.get(cloud)) {
            Some(refresh) if refresh.tries >= 2 => longest,
            _ => self.config.refresh_timeout.min(longest),
        }
    }

    /// Waits before the next refresh; whoever waits for a token is told, and the link stays.
    pub(super) fn refresh_failed(
        &mut self,
        user: &UserId,
        cloud: &CloudId,
        asked: Option<Duration>,
        now: Instant,
    ) {
        let refresh = self
            .memory(user)
            .refreshes
            .entry(cloud.clone())
            .or_default();
        refresh.tries = refresh.tries.saturating_add(1);
        let (tries, waiters) = (refresh.tries, core::mem::take(&mut refresh.waiters));
        let until = self.wait_until(tries, asked, now);
        self.memory(user)
            .refreshes
            .entry(cloud.clone())
            .or_default()
            .pending = Pending::Until(until);
        waiters
            .into_iter()
            .for_each(|operation| self.fail(operation, Failure::Unavailable));
    }

    /// Ends a refresh, and gives back who waits for it.
    pub(super) fn end_refresh(
        &mut self,
        user: &UserId,
        cloud: &CloudId,
        now: Instant,
    ) -> Vec<OperationId> {
        let generation = self
            .store
            .user(user)
            .and_then(|links| links.tokens(cloud))
            .map(|(link, _)| link.generation);
        let memory = self.memory(user);
        memory
            .forced
            .retain(|_, (_, at)| now.saturating_duration_since(*at) < FORCED_LATELY);
        let Some(refresh) = memory.refreshes.remove(cloud) else {
            return Vec::new();
        };
        if let Some(generation) = generation.filter(|_| refresh.forced) {
            memory.forced.insert(cloud.clone(), (generation, now));
        }
        refresh.waiters
    }

    fn revoke(&mut self, user: &UserId, revocation: u64, now: Instant) {
        self.memory(user)
            .revoking
            .insert(revocation, Pending::InFlight);
        if self.try_revoke(user, revocation, now).is_none() {
            self.revocation_failed(user, revocation, None, now);
        }
    }

    fn try_revoke(&mut self, user: &UserId, revocation: u64, now: Instant) -> Option<()> {
        let entry = self.store.user(user)?.revocations.get(&revocation)?;
        let cloud = entry.cloud.clone();
        let open = |sealed: &crate::client::seal::Sealed| {
            sealed.open(self.sealer.as_ref(), &user_stream(user)).ok()
        };
        let kind = Kind::Revoke { revocation };
        match entry.tokens.front()? {
            Revocable::Refresh(sealed) => {
                let token = RefreshToken::new(open(sealed)?.as_str()).ok()?;
                self.ask(user, &cloud, kind, &Question::RevokeRefresh(&token), now)
            }
            Revocable::Access(sealed) => {
                let token = AccessToken::new(open(sealed)?.as_str()).ok()?;
                self.ask(user, &cloud, kind, &Question::RevokeAccess(&token), now)
            }
        }
    }

    pub(super) fn revocation_failed(
        &mut self,
        user: &UserId,
        revocation: u64,
        asked: Option<Duration>,
        now: Instant,
    ) {
        let entry = self
            .store
            .user(user)
            .and_then(|links| links.revocations.get(&revocation));
        let tries = entry.map_or(1, |entry| entry.tries.saturating_add(1));
        let wait = self
            .wait_before(tries)
            .max(asked.unwrap_or_default().min(Duration::from_secs(86_400)));
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
        let next_try = self.clock.wall.saturating_add(wait);
        self.enqueue(
            user,
            Work::RevocationFailed {
                revocation,
                next_try,
            },
            now,
        );
    }

    /// Takes back what a piece of work had under way.
    pub(super) fn release(&mut self, user: &UserId, work: &Work) {
        match work {
            Work::Expire => self.memory(user).expiring = false,
            Work::Revoked { revocation } | Work::RevocationFailed { revocation, .. } => {
                self.memory(user).revoking.remove(revocation);
            }
            Work::Identify { attempt, .. } | Work::Fail { attempt, .. } => {
                self.memory(user).identifying.remove(attempt);
            }
            Work::Refreshed { cloud, .. } | Work::Relink { cloud, .. } => {
                let refresh = self.memory(user).refreshes.remove(cloud);
                for operation in refresh.into_iter().flat_map(|refresh| refresh.waiters) {
                    self.fail(operation, Failure::Unavailable);
                }
            }
            _ => {}
        }
    }

    /// Forgets what was under way for a user whose stream is not at hand any more.
    pub(super) fn forget_user(&mut self, user: &UserId) {
        let Some(memory) = self.users.remove(user) else {
            return;
        };
        let waiters = memory
            .refreshes
            .into_values()
            .flat_map(|refresh| refresh.waiters);
        for operation in memory.operations.into_values().chain(waiters) {
            self.fail(operation, Failure::Unavailable);
        }
    }
}

fn asking<'a>(memory: &'a Memory, attempt: &str) -> Option<&'a Pending> {
    memory.identifying.get(attempt).map(|(pending, _)| pending)
}

/// `now` and `wait`, at least a millisecond away.
fn later(now: Instant, wait: Duration) -> Option<Instant> {
    now.checked_add(wait.max(Duration::from_millis(1)))
}
