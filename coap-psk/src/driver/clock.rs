//! tokio's clock as an endpoint's.

use core::time::Duration;

use tokio::time::{Instant as TokioInstant, sleep_until};

use crate::time::Instant;

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

    pub(super) async fn sleep_until(&self, deadline: Option<Instant>) {
        let at = deadline.and_then(|deadline| {
            self.start
                .checked_add(Duration::from_micros(deadline.as_micros()))
        });
        match at {
            Some(at) => sleep_until(at).await,
            None => core::future::pending().await,
        }
    }
}
