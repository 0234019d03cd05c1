//! The clocks of the system, in nanoseconds.

use rustix::time::{ClockId, clock_gettime};

fn read(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let (seconds, nanos) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    seconds * 1_000_000_000 + nanos
}

/// CPU time of this process, all threads together.
pub(super) fn process_cpu() -> u64 {
    read(ClockId::ProcessCPUTime)
}

/// CPU time of the calling thread.
pub(super) fn thread_cpu() -> u64 {
    read(ClockId::ThreadCPUTime)
}

/// Time that passes.
pub(super) fn wall() -> u64 {
    read(ClockId::Monotonic)
}
