//! The settings of a [`Client`](crate::Client).

use std::collections::BTreeSet;
use std::time::Duration;

use uci_model::{ContentFormat, EventType, EventsUrl, Limits};

use crate::backoff::Backoff;
use crate::error::{Error, ErrorKind};

/// How a client behaves towards one device-side cloud.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    base: http::Uri,
    events_url: EventsUrl,
    /// The media type that is asked for in notifications and when the mirror is brought into step.
    pub format: ContentFormat,
    /// How long a request may take once it is sent.
    pub request_timeout: Duration,
    /// How long the caller may take to answer `NeedToken`.
    pub token_timeout: Duration,
    /// How long before its end a token counts as expired.
    pub token_leeway: Duration,
    /// How many requests may be on their way at once.
    pub max_in_flight: usize,
    /// How many calls may be open at once.
    pub max_calls: usize,
    /// How many subscriptions may be kept.
    pub max_subscriptions: usize,
    /// How long after the 201 the first notification may take before the subscription is made anew, and after that the first
    /// of each other event type before it counts as not supported.
    pub confirm_timeout: Duration,
    /// How long a confirmed subscription is used before it is replaced; `None` for as long as the peer keeps it. A peer may give
    /// up telling that it has ended one; what is replaced from time to time cannot stay dead for longer than that.
    pub lifetime: Option<Duration>,
    /// How long `subscription_cancelled` is waited for after the peer accepted an unsubscribe.
    pub cancel_grace: Duration,
    /// How often an unsubscribe is tried before it is given up.
    pub unsubscribe_attempts: u32,
    /// The delays between tries of subscribing, unsubscribing, appending and resynchronizing.
    pub backoff: Backoff,
    /// How far the `Event-Timestamp` of a notification may be from the wall clock, either way.
    pub timestamp_window: Duration,
    /// How many notifications may wait for their append at once.
    pub max_requests: usize,
    /// How long a notification waits for its append before it is answered 503.
    pub answer_timeout: Duration,
    /// How long the journal may take for an append or a load before it is asked again.
    pub journal_timeout: Duration,
    /// After how many changes a snapshot is saved.
    pub snapshot_every: u64,
    /// The event types that the peer is known to support; no other is ever asked for. `None` when that is not known: the
    /// peer is then asked, and what it refuses counts as not supported.
    pub supported_events: Option<BTreeSet<EventType>>,
    /// How often is fetched what event types would tell that are subscribed to and not supported, or not told of in time.
    /// `None` is never: a subscription that the peer refuses then ends.
    pub poll_interval: Option<Duration>,
    /// How long a peer that refused event types is taken at its word, or that told nothing of them at its silence, before it
    /// is asked for them again.
    pub support_retry: Duration,
    /// How many devices, links and representations together the mirror holds.
    pub max_mirrored: usize,
    /// The bounds on a notification, and on a representation when the mirror is brought into step.
    pub limits: Limits,
    /// The bounds on what brings the mirror into step: a list of all devices is longer than any notification. The caller
    /// is to receive answers of that length.
    pub fetch_limits: Limits,
}

impl Config {
    /// Makes the settings for the interface under `base` (for example `https://cloud.example/api/v1`), which notifies
    /// `events_url`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] when `base` or `events_url` is not an absolute `https` URL or `base` has a query.
    pub fn new(base: &http::Uri, events_url: EventsUrl) -> Result<Self, Error> {
        // The definition knows no other scheme than https, UCI section "schemes".
        let secure = base.scheme() == Some(&http::uri::Scheme::HTTPS)
            && base.host().is_some()
            && base.query().is_none();
        if !secure || !events_url.is_https() {
            return Err(ErrorKind::Config.into());
        }
        Ok(Self {
            base: base.clone(),
            events_url,
            format: ContentFormat::Json,
            request_timeout: Duration::from_secs(30),
            token_timeout: Duration::from_secs(30),
            token_leeway: Duration::from_secs(30),
            max_in_flight: 32,
            max_calls: 1024,
            max_subscriptions: 65_536,
            confirm_timeout: Duration::from_secs(60),
            lifetime: Some(Duration::from_secs(86_400)),
            cancel_grace: Duration::from_secs(30),
            unsubscribe_attempts: 8,
            backoff: Backoff::new(Duration::from_secs(1), Duration::from_secs(300)),
            timestamp_window: Duration::from_secs(300),
            max_requests: 1024,
            answer_timeout: Duration::from_secs(10),
            journal_timeout: Duration::from_secs(10),
            snapshot_every: 256,
            supported_events: None,
            poll_interval: Some(Duration::from_secs(60)),
            support_retry: Duration::from_secs(3600),
            max_mirrored: 1_000_000,
            limits: Limits::default(),
            fetch_limits: fetch_limits(),
        })
    }

    /// The root of the interface.
    #[must_use]
    pub const fn base(&self) -> &http::Uri {
        &self.base
    }

    /// Where notifications are sent to.
    #[must_use]
    pub const fn events_url(&self) -> &EventsUrl {
        &self.events_url
    }
}

/// Enough for some ten thousand devices.
fn fetch_limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_items = 4_194_304;
    limits.max_length = 67_108_864;
    limits
}
