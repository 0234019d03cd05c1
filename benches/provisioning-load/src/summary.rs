//! What became of a group.

use std::fmt;
use std::fs;
use std::time::Duration;

use example_support::Error;

use crate::arguments::Group;
use crate::device::Outcome;

/// The figures of one group.
#[derive(Clone, Debug)]
pub(crate) struct Summary {
    scope: String,
    all: usize,
    times: Vec<Duration>,
    refused: usize,
    not_connected: usize,
    nothing: usize,
}

impl Summary {
    pub(crate) fn new(group: &Group) -> Self {
        Self {
            scope: group.scope.to_string(),
            all: usize::try_from(group.count).unwrap_or(usize::MAX),
            times: Vec::new(),
            refused: 0,
            not_connected: 0,
            nothing: 0,
        }
    }

    pub(crate) fn tried(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Assigned => {}
            Outcome::Refused => self.refused += 1,
            Outcome::NotConnected(_) => self.not_connected += 1,
            Outcome::Nothing => self.nothing += 1,
        }
    }

    /// Takes how long after the beginning a device was assigned.
    pub(crate) fn assigned(&mut self, after: Duration) {
        self.times.push(after);
    }

    pub(crate) fn done(&self) -> usize {
        self.times.len()
    }

    pub(crate) fn all(&self) -> usize {
        self.all
    }

    /// Whether all were assigned.
    pub(crate) fn is_whole(&self) -> bool {
        self.done() == self.all
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut times = self.times.clone();
        times.sort_unstable();
        let at = |part: usize| {
            let place = (times.len() * part / 100).min(times.len().saturating_sub(1));
            times.get(place).copied().unwrap_or_default().as_secs_f64()
        };
        write!(
            f,
            "{}: {} of {} assigned; from power-up: half after {:.2} s, 99 % after {:.2} s, the last after {:.2} s; \
             tries that failed: {} refused, {} not connected, {} without an answer",
            self.scope,
            self.done(),
            self.all,
            at(50),
            at(99),
            at(100),
            self.refused,
            self.not_connected,
            self.nothing,
        )
    }
}

/// The most memory that a process ever held, as the system tells it.
///
/// # Errors
/// The process is gone, or the system does not tell.
pub(crate) fn peak_memory(pid: u32) -> Result<String, Error> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path)
        .map_err(|cause| Error::new(format!("cannot read {path}"), cause))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .map(|text| text.trim().to_owned())
        .ok_or_else(|| Error::plain("the system does not tell the memory of a process"))
}
