//! tokio's clock as an endpoint's.

use alloc::boxed::Box;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use tokio::time::{Instant as TokioInstant, Sleep, sleep_until};

use crate::time::Instant;

#[derive(Clone, Copy)]
pub(super) struct Clock {
    start: TokioInstant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            start: TokioInstant::now(),
        }
    }

    pub(super) fn now(&self) -> Instant {
        Instant::ZERO.saturating_add(self.start.elapsed())
    }

    /// A timer that is not set.
    pub(super) fn timer(self) -> Timer {
        Timer {
            clock: self,
            sleep: Box::pin(sleep_until(self.start)),
            set_to: None,
        }
    }
}

/// Wakes its task at a deadline, or earlier: deadlines change with every message, and a timer that goes off in vain now and then
/// costs less than one that is set each time.
pub(super) struct Timer {
    clock: Clock,
    sleep: Pin<Box<Sleep>>,
    set_to: Option<Instant>,
}

impl Timer {
    /// Sees that it goes off no later than then.
    pub(super) fn set(&mut self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        if self.set_to.is_some_and(|set_to| set_to <= deadline) {
            return;
        }
        let since_start = Duration::from_micros(deadline.as_micros());
        // What lies beyond what the system can tell never comes.
        if let Some(at) = self.clock.start.checked_add(since_start) {
            self.sleep.as_mut().reset(at);
            self.set_to = Some(deadline);
        }
    }

    /// Whether it has gone off. It must be set again after that.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.set_to.is_none() {
            return Poll::Pending;
        }
        let gone_off = self.sleep.as_mut().poll(cx);
        if gone_off.is_ready() {
            self.set_to = None;
        }
        gone_off
    }
}
