//! How far a fleet is, while it plays.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::Duration;

use coap_psk::Instant;
use device_fleet::{Fleet, Tally};

use super::summary::thousands;

/// How often a line is written where lines cannot be written over.
const LINES: Duration = Duration::from_secs(5);
const BAR: usize = 24;

/// A line of progress: on a terminal one that is written over, elsewhere a new one every few seconds.
#[derive(Debug)]
pub(super) struct Progress {
    terminal: bool,
    next: Instant,
    /// The requests at the last line, and when it was written.
    last: (u64, Instant),
}

impl Progress {
    pub(super) fn to_stderr() -> Self {
        Self {
            terminal: stderr().is_terminal(),
            next: Instant::ZERO,
            last: (0, Instant::ZERO),
        }
    }

    /// Writes the line when its time has come.
    pub(super) fn show(&mut self, fleet: &Fleet, now: Instant) {
        if now < self.next {
            return;
        }
        let tally = fleet.tally();
        let (before, since) = self.last;
        let answered = tally.requests.count();
        let seconds = now.saturating_duration_since(since).as_secs_f64();
        let rate = answered.saturating_sub(before) as f64 / seconds.max(f64::MIN_POSITIVE);
        let line = line(fleet.devices(), tally, rate);
        if self.terminal {
            write(&format!("\r\x1b[K{line}"));
        } else {
            write(&format!("{line}\n"));
            self.next = now.saturating_add(LINES);
        }
        self.last = (answered, now);
    }

    /// Leaves the terminal with a whole line.
    pub(super) fn end(&self, fleet: &Fleet) {
        if self.terminal {
            let tally = fleet.tally();
            let line = line(fleet.devices(), tally, tally.requests.per_second());
            write(&format!("\r\x1b[K{line}\n"));
        }
    }
}

fn line(devices: usize, tally: &Tally, requests_per_second: f64) -> String {
    format!(
        "[{}] {} of {} devices done, {} online, {} requests, {:.0}/s, {} failures",
        bar(tally.settled, devices),
        thousands(tally.settled as u64),
        thousands(devices as u64),
        thousands(tally.online as u64),
        thousands(tally.requests.count()),
        requests_per_second,
        thousands(tally.failed()),
    )
}

fn bar(done: usize, all: usize) -> String {
    let filled = BAR.saturating_mul(done).checked_div(all).unwrap_or(BAR);
    let filled = filled.min(BAR);
    "#".repeat(filled) + &"-".repeat(BAR.saturating_sub(filled))
}

/// Nobody watches any more when this fails: the fleet goes on all the same.
fn write(text: &str) {
    let mut stderr = stderr().lock();
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_as_long_as_what_is_done() {
        assert_eq!(bar(0, 7), "-".repeat(BAR));
        assert_eq!(bar(50_000, 100_000), "#".repeat(12) + &"-".repeat(12));
        assert_eq!(bar(7, 7), "#".repeat(BAR));
        assert_eq!(bar(0, 0), "#".repeat(BAR));
    }
}
