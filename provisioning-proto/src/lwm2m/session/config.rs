//! What may be set.

use std::time::Duration;

/// How bootstraps are done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// How many bootstraps may be under way: 10,000. One more is answered with 5.03.
    pub max_bootstraps: usize,
    /// How long finding out what a client is to have may take: 10 s. Then it is answered with 5.03.
    pub configuration_timeout: Duration,
    /// When a client that is answered with 5.03 is to come again: 30 s. Whole seconds go into Max-Age.
    pub retry_after: Duration,
    /// How long a client may take for an answer: 93 s, as long as CoAP repeats a message. (RFC 7252, 4.8.2: MAX_TRANSMIT_WAIT)
    pub request_timeout: Duration,
    /// How long all of it may take: 10 minutes.
    pub total_timeout: Duration,
    /// Whether to go on when a client refuses a write or a delete: no. Some clients accept the end nevertheless.
    pub lenient: bool,
    /// Whether keys may be sent to clients whose transport others can read: no. For tests.
    pub insecure: bool,
    /// How often everything is written again when the client answers 4.06 to Finish: once.
    pub corrective_rounds: u8,
    /// How to see that the client has what was written, before Finish.
    pub verify: Verify,
    /// Whether clients are given packs, in which nothing can be done about where their bootstrap account is: no.
    pub packs: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_bootstraps: 10_000,
            configuration_timeout: Duration::from_secs(10),
            retry_after: Duration::from_secs(30),
            request_timeout: Duration::from_secs(93),
            total_timeout: Duration::from_secs(600),
            lenient: false,
            insecure: false,
            corrective_rounds: 1,
            verify: Verify::Discover,
            packs: false,
        }
    }
}

/// How to see that a client has what was written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Verify {
    /// Not: each answer was judged.
    Nothing,
    /// By another Discover.
    #[default]
    Discover,
    /// By a Read of the Server object, too. A client of LwM2M 1.0 does not know Read; its refusal says nothing.
    Read,
}
