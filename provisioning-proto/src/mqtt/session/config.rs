use std::time::Duration;

use crate::mqtt::DownPayload;

/// The times and bounds of a [`Session`](super::Session).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionConfig {
    /// How long the device may take to say CONNECT; 10 s.
    pub connect_within: Duration,
    /// How long the caller may take to judge credentials; 5 s.
    pub authenticate_within: Duration,
    /// When a refusal is told, counted from the CONNECT: the same for every reason, and what slows down a device that tries for ever; 1 s.
    pub refuse_after: Duration,
    /// How long the caller may take to answer a request; 4 s, as the most hasty of the vendor's clients waits for 5.
    pub answer_within: Duration,
    /// How long an answer waits for the device to subscribe, counted from the request; 5 s.
    pub hold_for: Duration,
    /// How long a connection may last; 2 minutes.
    pub lifetime: Duration,
    /// How many packets a connection may send after its CONNECT; 64.
    pub max_packets: u32,
    /// How many requests it may make; 8.
    pub max_requests: u32,
    /// What the device is told when the answer is not there in time.
    pub late: DownPayload,
}

impl SessionConfig {
    /// The defaults, with what the device is told when there is no answer in time.
    #[must_use]
    pub fn new(late: DownPayload) -> Self {
        Self {
            connect_within: Duration::from_secs(10),
            authenticate_within: Duration::from_secs(5),
            refuse_after: Duration::from_secs(1),
            answer_within: Duration::from_secs(4),
            hold_for: Duration::from_secs(5),
            lifetime: Duration::from_secs(120),
            max_packets: 64,
            max_requests: 8,
            late,
        }
    }
}

impl Default for SessionConfig {
    fn default() -> Self {
        Self::new(DownPayload::refusal("408", "no answer in time, ask again"))
    }
}
