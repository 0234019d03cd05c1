//! How far a fleet is, while it plays.

use coap_psk::Instant;
use device_fleet::{Fleet, Tally};
use example_support::progress::{ProgressLine, bar};

use super::summary::thousands;

/// The line, and what it says of the time since the one before.
#[derive(Debug)]
pub(super) struct Progress {
    line: ProgressLine,
    /// The requests at the last line, and when it was written.
    last: (u64, Instant),
}

impl Progress {
    pub(super) fn to_stderr() -> Self {
        Self {
            line: ProgressLine::to_stderr(),
            last: (0, Instant::ZERO),
        }
    }

    /// Writes the line when its time has come.
    pub(super) fn show(&mut self, fleet: &Fleet, now: Instant) {
        let passed = now.saturating_duration_since(Instant::ZERO);
        if !self.line.is_due(passed) {
            return;
        }
        let tally = fleet.tally();
        let (before, since) = self.last;
        let answered = tally.requests.count();
        let seconds = now.saturating_duration_since(since).as_secs_f64();
        let rate = answered.saturating_sub(before) as f64 / seconds.max(f64::MIN_POSITIVE);
        self.line.show(passed, &line(fleet.devices(), tally, rate));
        self.last = (answered, now);
    }

    /// Leaves the terminal with a whole line.
    pub(super) fn end(&self, fleet: &Fleet) {
        let tally = fleet.tally();
        self.line
            .end(&line(fleet.devices(), tally, tally.requests.per_second()));
    }
}

fn line(devices: usize, tally: &Tally, requests_per_second: f64) -> String {
    format!(
        "[{}] {} of {} devices done, {} online, {} requests, {:.0}/s, {} failures",
        bar(tally.settled as u64, devices as u64),
        thousands(tally.settled as u64),
        thousands(devices as u64),
        thousands(tally.online as u64),
        thousands(tally.requests.count()),
        requests_per_second,
        thousands(tally.failed()),
    )
}
