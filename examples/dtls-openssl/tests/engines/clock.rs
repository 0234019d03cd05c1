//! The clock of libssl, in the hands of the test.
//!
//! libssl reads the time by `gettimeofday`. The one here is part of the test program, where the dynamic linker looks before
//! it looks in libc.

use std::cell::Cell;
use std::ffi::{c_int, c_void};

use coap_psk::Instant;
use libc::timeval;

thread_local! {
    static NOW: Cell<Instant> = const { Cell::new(Instant::ZERO) };
}

/// Sets what libssl reads on this thread.
pub fn set(now: Instant) {
    NOW.set(now);
}

/// What libssl calls. No moment is zero, which libssl takes for "no timer".
#[unsafe(no_mangle)]
pub extern "C" fn gettimeofday(time: *mut timeval, _zone: *mut c_void) -> c_int {
    let micros = NOW.get().as_micros();
    let now = timeval {
        tv_sec: i64::try_from(micros / 1_000_000).unwrap() + 1_000_000_000,
        tv_usec: i64::try_from(micros % 1_000_000).unwrap(),
    };
    if !time.is_null() {
        // SAFETY: who calls it has room for a timeval there (POSIX).
        unsafe { time.write(now) };
    }
    0
}
