//! How far long work is, while it goes on.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::Duration;

/// How often a line is written where lines cannot be written over.
const LINES: Duration = Duration::from_secs(5);
const BAR: u64 = 24;

/// A line of progress on standard error: on a terminal one that is written over, elsewhere a new one every few seconds.
#[derive(Debug)]
pub struct ProgressLine {
    terminal: bool,
    /// When the next line is due, since the work began.
    next: Duration,
}

impl ProgressLine {
    /// For standard error as it is.
    pub fn to_stderr() -> Self {
        Self {
            terminal: stderr().is_terminal(),
            next: Duration::ZERO,
        }
    }

    /// Whether a line would be written so long after the work began.
    pub fn is_due(&self, passed: Duration) -> bool {
        passed >= self.next
    }

    /// Writes the line, if it is due.
    pub fn show(&mut self, passed: Duration, line: &str) {
        if self.terminal {
            write(&format!("\r\x1b[K{line}"));
        } else if self.is_due(passed) {
            write(&format!("{line}\n"));
            self.next = passed.saturating_add(LINES);
        }
    }

    /// Writes a line that stays, as one that names a fault.
    pub fn say(&self, line: &str) {
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        write(&format!("{clear}{line}\n"));
    }

    /// Leaves the terminal with this last line, whole.
    pub fn end(&self, line: &str) {
        if self.terminal {
            write(&format!("\r\x1b[K{line}\n"));
        }
    }
}

/// A bar as full as what is done of all.
pub fn bar(done: u64, all: u64) -> String {
    let filled = BAR.saturating_mul(done).checked_div(all).unwrap_or(BAR);
    let filled = filled.min(BAR);
    let part = |count: u64, of: &str| of.repeat(usize::try_from(count).unwrap_or(0));
    part(filled, "#") + &part(BAR.saturating_sub(filled), "-")
}

/// Nobody watches any more when this fails: the work goes on all the same.
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
        assert_eq!(bar(0, 7), "-".repeat(24));
        assert_eq!(bar(50_000, 100_000), "#".repeat(12) + &"-".repeat(12));
        assert_eq!(bar(7, 7), "#".repeat(24));
        assert_eq!(bar(0, 0), "#".repeat(24));
    }
}
