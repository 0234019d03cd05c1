//! The clocks of the system, in nanoseconds.

use rustix::time::{ClockId, clock_gettime};

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let (seconds, nanos) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    seconds * 1_000_000_000 + nanos
}

/// CPU time of this process, all threads together.
#[must_use]
pub fn process_cpu() -> u64 {
    read(ClockId::ProcessCPUTime)
}

/// CPU time of the calling thread.
#[must_use]
pub fn thread_cpu() -> u64 {
    read(ClockId::ThreadCPUTime)
}

/// Time that passes.
#[must_use]
pub fn wall() -> u64 {
    read(ClockId::Monotonic)
}
