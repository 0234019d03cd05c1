//! What the connector may be told about itself.

use core::time::Duration;

use crate::managed_integrations::request::Limits;
use crate::managed_integrations::text::ConnectorId;

/// Bounds and times of [`Connector`](super::Connector).
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Config {
    /// The connector, as managed integrations named it.
    pub connector: ConnectorId,
    /// Whether a request that names another connector is refused. That both ids are the same one is likely and not
    /// documented.
    pub checks_connector: bool,
    /// Bounds of a request.
    pub limits: Limits,
    /// When a request is answered at the latest; managed integrations wait for 2 seconds.
    pub answer_within: Duration,
    /// How long a request is remembered, so that its repetition does nothing.
    pub remembers_for: Duration,
    /// The most requests that are remembered; further ones are refused for now.
    pub max_remembered: usize,
    /// How long the check of a token, a revocation and the list of devices may take.
    pub lookup_timeout: Duration,
    /// How long a device may take to be described, or to do one thing.
    pub device_timeout: Duration,
    /// How long the sending of an event may take.
    pub send_timeout: Duration,
    /// How often an event is sent before it is given up.
    pub send_attempts: u32,
    /// The first wait between two attempts; it doubles up to a minute.
    pub first_wait: Duration,
    /// The most discoveries and commands that are worked on at once.
    pub max_works: usize,
    /// The most reports of changes that are on their way or wait at once.
    pub max_reports: usize,
    /// The most devices of a user; with more, a discovery fails.
    pub max_devices: usize,
    /// The most devices in one event; with more, there are several events for one discovery.
    pub devices_per_event: usize,
}

impl Config {
    /// The defaults, for this connector.
    #[must_use]
    pub fn new(connector: ConnectorId) -> Self {
        Self {
            connector,
            checks_connector: true,
            limits: Limits::default(),
            answer_within: Duration::from_millis(1500),
            remembers_for: Duration::from_secs(600),
            max_remembered: 100_000,
            lookup_timeout: Duration::from_secs(10),
            device_timeout: Duration::from_secs(30),
            send_timeout: Duration::from_secs(10),
            send_attempts: 6,
            first_wait: Duration::from_secs(1),
            max_works: 1_000,
            max_reports: 10_000,
            max_devices: 5_000,
            devices_per_event: 100,
        }
    }
}
