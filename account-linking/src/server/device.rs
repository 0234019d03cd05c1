//! Devices without a browser that wait for a person to allow them elsewhere (RFC 8628), in memory and bounded.
//!
//! ```text
//!           right code typed, allowed        durable
//! Pending ───────────────────────────▶ Deciding ─────▶ Allowed ── redeemed, once, by the ledger of grants
//!    ▲ │                                  │
//!    │ └── cancelled ──▶ Denied           │ not durable
//!    └────────────────────────────────────┘
//! ```
//!
//! As sessions, they are lost in a restart: the device asks anew. What was allowed is a grant in its user's ledger, with the
//! device code as its code, and so it is redeemed at most once whatever happens here. Only hashes of codes are kept.

mod user_code;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::secret::{SecretBytes, base64url, sha256};
use crate::server::authorize::Wanted;
use crate::server::ids::{ClientId, GrantId};
use crate::user_id::UserId;

pub use user_code::UserCode;

/// The grant type of its token request (RFC 8628 3.4).
pub(crate) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// What is added to the interval of a device that asks too soon (RFC 8628 3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// How the device flow is offered (RFC 8628).
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceFlow {
    /// How long a person has for it; at most 30 minutes, for the user code is short (RFC 8628 5.1).
    pub lifetime: Duration,
    /// How long a device waits between two requests; at least a second.
    pub interval: Duration,
    /// Most devices that wait, in memory; beyond, the oldest of a client without a secret makes room, and then, for a client
    /// with one, the oldest of any.
    pub max_devices: usize,
}

impl Default for DeviceFlow {
    /// Ten minutes, an interval of 5 s.
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(600),
            interval: Duration::from_secs(5),
            max_devices: 16_384,
        }
    }
}

impl DeviceFlow {
    pub(crate) fn is_usable(&self) -> bool {
        let second = Duration::from_secs(1);
        self.interval >= second
            && self.lifetime >= self.interval
            && self.lifetime <= Duration::from_secs(1800)
            && self.max_devices > 0
    }
}

/// The hash of a device code.
pub(crate) type Name = [u8; 32];

/// What one device asks for.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) client: ClientId,
    pub(crate) wanted: Wanted,
    expires: Instant,
    /// When even that it has expired is forgotten.
    forgotten: Instant,
    user_code: UserCode,
    of_public: bool,
    interval: Duration,
    /// Before which it may not ask again.
    next_poll: Option<Instant>,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Pending,
    /// Somebody allowed it, which is not durable yet.
    Deciding,
    Allowed(UserId, GrantId),
    Denied,
}

/// What a device is answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Polled {
    Unknown,
    Pending,
    SlowDown,
    Denied,
    Expired,
    Allowed(UserId, GrantId),
}

/// What a device is told at first.
pub(crate) struct Codes {
    pub(crate) device_code: String,
    pub(crate) user_code: UserCode,
}

/// The devices that wait.
#[derive(Debug)]
pub(crate) struct Devices {
    waiting: BTreeMap<Name, Waiting>,
    /// Those that somebody may still allow, by the hash of their user code.
    user_codes: BTreeMap<Name, Name>,
    /// When those of clients without a secret are forgotten; the first of them makes room.
    of_public: BTreeSet<(Instant, Name)>,
    /// When the others are.
    of_confidential: BTreeSet<(Instant, Name)>,
    limit: usize,
}

impl Devices {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            waiting: BTreeMap::new(),
            user_codes: BTreeMap::new(),
            of_public: BTreeSet::new(),
            of_confidential: BTreeSet::new(),
            limit,
        }
    }

    /// Lets a device wait; `None` when there is no room.
    ///
    /// Anybody may ask in the name of a client without a secret, so these do not drive out others.
    pub(crate) fn keep(
        &mut self,
        (client, is_public): (ClientId, bool),
        wanted: Wanted,
        entropy: &SecretBytes,
        interval: Duration,
        (expires, forgotten): (Instant, Instant),
    ) -> Option<Codes> {
        if self.waiting.len() >= self.limit {
            let mut oldest = self.of_public.first().copied();
            if oldest.is_none() && !is_public {
                oldest = self.of_confidential.first().copied();
            }
            self.forget(&oldest?.1);
        }
        let device_code = base64url(&entropy.derive("device code"));
        let name = sha256(device_code.as_bytes());
        // Two that are alike at once are rarer than a restart.
        let user_code = (0..4_u8)
            .map(|number| UserCode::of(&entropy.derive(&format!("user code {number}"))))
            .find(|code| !self.user_codes.contains_key(&code.hash()))?;
        let ages = if is_public {
            &mut self.of_public
        } else {
            &mut self.of_confidential
        };
        ages.insert((forgotten, name));
        self.user_codes.insert(user_code.hash(), name);
        let waiting = Waiting {
            client,
            wanted,
            expires,
            forgotten,
            user_code,
            of_public: is_public,
            interval,
            next_poll: None,
            state: State::Pending,
        };
        self.waiting.insert(name, waiting);
        Some(Codes {
            device_code,
            user_code,
        })
    }

    /// The device that shows this code, while somebody may allow it.
    pub(crate) fn find(&self, code: UserCode, now: Instant) -> Option<(Name, &Waiting)> {
        let name = *self.user_codes.get(&code.hash())?;
        Some((name, self.pending(name, now)?))
    }

    /// The device, while somebody may allow it.
    pub(crate) fn pending(&self, name: Name, now: Instant) -> Option<&Waiting> {
        let waiting = self.waiting.get(&name)?;
        (matches!(waiting.state, State::Pending) && now < waiting.expires).then_some(waiting)
    }

    /// Until when it can be allowed.
    pub(crate) fn expiry(&self, name: Name) -> Option<Instant> {
        self.waiting.get(&name).map(|waiting| waiting.expires)
    }

    /// Somebody cancelled.
    pub(crate) fn deny(&mut self, name: Name) {
        self.set(name, State::Denied);
    }

    /// Somebody allowed it; nobody else can now.
    pub(crate) fn decide(&mut self, name: Name) {
        self.set(name, State::Deciding);
    }

    /// What was decided could not be made durable: somebody may allow it again.
    pub(crate) fn reopen(&mut self, name: Name) {
        let waiting = self.waiting.get_mut(&name);
        if let Some(waiting) = waiting.filter(|waiting| matches!(waiting.state, State::Deciding)) {
            waiting.state = State::Pending;
        }
    }

    /// It is durable that somebody allowed it.
    pub(crate) fn allow(&mut self, name: Name, user: UserId, grant: GrantId) {
        self.set(name, State::Allowed(user, grant));
    }

    fn set(&mut self, name: Name, state: State) {
        if let Some(waiting) = self.waiting.get_mut(&name) {
            waiting.state = state;
        }
    }

    /// A device asks whether it was allowed (RFC 8628 3.4 and 3.5).
    pub(crate) fn poll(&mut self, name: Name, client: &ClientId, now: Instant) -> Polled {
        let found = self.waiting.get_mut(&name);
        let Some(waiting) = found.filter(|waiting| waiting.client == *client) else {
            return Polled::Unknown;
        };
        match &waiting.state {
            // What is allowed is judged by the ledger, its time included.
            State::Allowed(user, grant) => Polled::Allowed(user.clone(), *grant),
            State::Denied => Polled::Denied,
            _ if now >= waiting.expires => Polled::Expired,
            State::Pending | State::Deciding => {
                let too_soon = waiting.next_poll.is_some_and(|next| now < next);
                if too_soon {
                    waiting.interval = waiting.interval.saturating_add(SLOW_DOWN);
                }
                waiting.next_poll = now.checked_add(waiting.interval);
                if too_soon {
                    Polled::SlowDown
                } else {
                    Polled::Pending
                }
            }
        }
    }

    fn forget(&mut self, name: &Name) {
        if let Some(waiting) = self.waiting.remove(name) {
            self.user_codes.remove(&waiting.user_code.hash());
            let ages = if waiting.of_public {
                &mut self.of_public
            } else {
                &mut self.of_confidential
            };
            ages.remove(&(waiting.forgotten, *name));
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let first = [&self.of_public, &self.of_confidential].map(|one| one.first());
        first.into_iter().flatten().map(|(at, _)| *at).min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        loop {
            let first = [&self.of_public, &self.of_confidential].map(|one| one.first().copied());
            let over = first.into_iter().flatten().find(|(at, _)| *at <= now);
            let Some((_, name)) = over else {
                return;
            };
            self.forget(&name);
        }
    }
}

#[cfg(test)]
mod tests;
