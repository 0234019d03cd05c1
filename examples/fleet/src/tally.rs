//! What came of it.

use std::collections::BTreeMap;

use coap_psk::{Code, Failure, OfflineReason};

use crate::latencies::Latencies;

/// What the devices of a fleet have done so far.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Tally {
    /// Devices that have come.
    pub arrived: usize,
    /// Devices that have a session with their own secret.
    pub online: usize,
    /// Devices whose work is done, or that have given up.
    pub settled: usize,
    /// Sessions that were established, those for activation included, and how long each took.
    pub handshakes: Latencies,
    /// Devices that fetched their own secret.
    pub activations: u64,
    /// Requests that were answered, whatever the answer, and how long each took.
    pub requests: Latencies,
    /// The answers by their code.
    pub answers: BTreeMap<Code, u64>,
    /// What went wrong, by its kind.
    pub failures: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// How often something went wrong, answers with an error code not included.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures
            .values()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    pub(crate) fn answered(&mut self, code: Code) {
        add_one(&mut self.answers, code);
    }

    pub(crate) fn failed_at(&mut self, what: &'static str) {
        add_one(&mut self.failures, what);
    }
}

fn add_one<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) {
    let count = counts.entry(key).or_default();
    *count = count.saturating_add(1);
}

/// The kind of failure of a session that is none, or not any more.
pub(crate) const fn of_session(why: OfflineReason) -> &'static str {
    match why {
        OfflineReason::Refused => "handshake refused",
        OfflineReason::TimedOut => "handshake timed out",
        _ => "session closed by the cloud",
    }
}

/// The kind of failure of a request.
pub(crate) const fn of_request(failure: Failure) -> &'static str {
    match failure {
        Failure::TimedOut => "request timed out",
        Failure::Reset => "request reset",
        Failure::Closed => "request cut off with its session",
        _ => "answer not usable",
    }
}
