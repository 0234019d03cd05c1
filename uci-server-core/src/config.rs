//! The settings of a [`DeviceCloud`](crate::DeviceCloud).

use std::time::Duration;

use crate::backoff::Backoff;
use crate::events_url::EventsUrlPolicy;
use crate::openapi::DescribedAt;

/// Settings; [`Config::default`] is fit for use.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// What precedes `/api/v1` in the path of a request; empty, or begins with a slash.
    pub prefix: String,
    /// Which `eventsUrl` is taken.
    pub events_url: EventsUrlPolicy,
    /// Answers a read of an offline device with its last known representation instead of 504.
    pub serve_offline_from_cache: bool,
    /// `Retry-After` of a 504 for an offline device, and of a 503.
    pub retry_after: Duration,
    /// Bounds on content from clients and devices.
    pub content: uci_model::Limits,
    /// Bounds on what one account may hold.
    pub account: AccountLimits,
    /// What one client may ask for.
    pub client: ClientQuota,
    /// What the description says of the authorization server.
    pub described_at: DescribedAt,
    /// How subscriptions queue and drop notifications; a subscription keeps what was set when it was made.
    pub queue: QueueRules,
    /// How notifications are delivered.
    pub delivery: DeliveryRules,
    /// How long a device has for its answer; then the client gets 504.
    pub ask_timeout: Duration,
    /// How long a request waits for the journal; then the client gets 503.
    pub request_timeout: Duration,
    /// After how long without an answer an append is repeated.
    pub append_timeout: Duration,
    /// After how many repetitions an append is given up and its streams are loaded anew.
    pub append_attempts: u32,
    /// How often something is decided again because another node changed the account meanwhile; then it fails, the account is
    /// forgotten, and [`Event::Stalled`](crate::Event::Stalled) says so.
    pub conflict_attempts: u32,
    /// After how long without an answer loading a stream, or erasing it, is given up.
    pub load_timeout: Duration,
    /// After how long without use an account is dropped from memory. One that owes notifications stays, and so does one with a
    /// device that counts as online.
    pub idle_after: Duration,
    /// After how many changes a stream gets a snapshot; an account that has more devices and subscriptions than that, after
    /// as many changes as those.
    pub snapshot_every: u64,
    /// Most accounts that are loaded at once because they were woken: a cloud that starts again with many that owe something
    /// still answers requests.
    pub max_waking: usize,
    /// Most requests, and most reports and other commands, that may wait at once.
    pub max_pending: usize,
    /// How many bytes of encoded devices and device lists are kept for whoever asks next.
    pub body_cache: usize,
    /// For how long an ended grant is remembered: longer than any access token of it lives.
    pub grant_memory: Duration,
}

/// Bounds on one account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct AccountLimits {
    /// Most devices.
    pub devices: usize,
    /// Most links of one device.
    pub links: usize,
    /// Most subscriptions, over all clients.
    pub subscriptions: usize,
    /// Most subscriptions of one client, those included whose cancellation it has not taken yet.
    pub client_subscriptions: usize,
}

impl Default for AccountLimits {
    fn default() -> Self {
        Self {
            devices: 1024,
            links: 256,
            subscriptions: 4096,
            client_subscriptions: 1024,
        }
    }
}

/// What one client may ask for, over all its users; beyond it the answer is 429 with `Retry-After`, or 413 for a body
/// that is too long at any time.
///
/// How many subscriptions it may have is one of the [`AccountLimits`], because they are counted in each account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ClientQuota {
    /// How many requests over time; `None` is no bound. What is enough depends on how many users a client has.
    pub rate: Option<Rate>,
    /// How many bytes of request bodies over time; `None` is no bound.
    pub bodies: Option<Volume>,
    /// Most requests without an answer: fewer than [`Config::max_pending`], so that no client takes all of them.
    pub in_flight: usize,
    /// Longest body of a request, in bytes.
    pub body: usize,
    /// Of how many clients it is remembered what they have used up; those who have recovered most are forgotten first.
    pub remembered: usize,
}

impl Default for ClientQuota {
    fn default() -> Self {
        Self {
            rate: None,
            bodies: None,
            in_flight: 1024,
            body: 1 << 20,
            remembered: 65_536,
        }
    }
}

/// So many in so much time: all of them may come at once, and then one whenever its share of the time has passed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Rate {
    /// How many; 0 counts as 1.
    pub requests: u32,
    /// In how much time.
    pub per: Duration,
}

impl Rate {
    /// `requests` in `per`.
    #[must_use]
    pub fn new(requests: u32, per: Duration) -> Self {
        Self { requests, per }
    }
}

/// So many bytes in so much time: all of them may come at once, and then as many as their share of the time has passed for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Volume {
    /// How many; 0 counts as 1. A body that is longer passes when nothing was sent for as long as `per`.
    pub bytes: u64,
    /// In how much time.
    pub per: Duration,
}

impl Volume {
    /// `bytes` in `per`.
    #[must_use]
    pub fn new(bytes: u64, per: Duration) -> Self {
        Self { bytes, per }
    }
}

/// How one subscription queues.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[non_exhaustive]
pub struct QueueRules {
    /// Lets a newer representation replace one that waits behind the head of the queue.
    pub coalesce: bool,
    /// Most notifications that wait; one more cancels the subscription. At least 8, so that the first notifications fit.
    pub limit: u32,
}

impl Default for QueueRules {
    fn default() -> Self {
        Self {
            coalesce: true,
            limit: 256,
        }
    }
}

/// How notifications are delivered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeliveryRules {
    /// Delays between attempts.
    pub backoff: Backoff,
    /// Most attempts under way at once.
    pub max_concurrent: usize,
    /// Most attempts under way at once to one host and port: to one that has not answered yet, at most four, and to one that
    /// could not be reached, one.
    pub max_concurrent_per_host: usize,
    /// How long one attempt may take before it counts as failed.
    pub attempt_timeout: Duration,
    /// How old a notification may get undelivered; then its subscription is cancelled.
    pub max_age: Duration,
    /// How often one notification may be answered 400; then its subscription is cancelled.
    pub max_refusals: u32,
    /// For how long the final `subscription_cancelled` is tried.
    pub cancellation_age: Duration,
}

impl Default for DeliveryRules {
    fn default() -> Self {
        Self {
            backoff: Backoff::default(),
            max_concurrent: 1024,
            max_concurrent_per_host: 64,
            attempt_timeout: Duration::from_secs(30),
            max_age: Duration::from_secs(24 * 3600),
            max_refusals: 5,
            cancellation_age: Duration::from_secs(3600),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            events_url: EventsUrlPolicy::default(),
            serve_offline_from_cache: false,
            retry_after: Duration::from_secs(60),
            content: uci_model::Limits::default(),
            account: AccountLimits::default(),
            client: ClientQuota::default(),
            described_at: DescribedAt::default(),
            queue: QueueRules::default(),
            delivery: DeliveryRules::default(),
            ask_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            append_timeout: Duration::from_secs(2),
            append_attempts: 5,
            conflict_attempts: 8,
            load_timeout: Duration::from_secs(10),
            idle_after: Duration::from_secs(600),
            snapshot_every: 512,
            max_waking: 64,
            max_pending: 4096,
            body_cache: 64 << 20,
            grant_memory: Duration::from_secs(24 * 3600),
        }
    }
}
