//! Calls to an endpoint that runs elsewhere.

use alloc::boxed::Box;
use core::fmt;

use tokio::sync::{mpsc, oneshot};

use crate::endpoint::Endpoint;
use crate::time::Instant;

/// A call to an endpoint that runs elsewhere.
pub(super) type Call<D> = Box<dyn FnOnce(&mut Endpoint<D>, Instant) + Send>;

/// Calls an endpoint that [`run`](super::run) drives. Clones call the same one.
pub struct Handle<D> {
    calls: mpsc::Sender<Call<D>>,
}

/// The other end of a [`Handle`].
pub struct Calls<D> {
    pub(super) calls: mpsc::Receiver<Call<D>>,
}

/// A handle and its other end; at most `capacity` calls wait at one time.
///
/// # Panics
/// When `capacity` is zero.
#[must_use]
pub fn handle<D>(capacity: usize) -> (Handle<D>, Calls<D>) {
    let (sender, receiver) = mpsc::channel(capacity);
    (Handle { calls: sender }, Calls { calls: receiver })
}

impl<D: 'static> Handle<D> {
    /// Runs `call` on the endpoint; `None` when it is not driven any more.
    pub async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Endpoint<D>, Instant) -> T + Send + 'static,
    ) -> Option<T> {
        self.begin(call).await?.await.ok()
    }

    /// Runs `call` on the endpoint, and does not wait for that: only for a place in the queue. `None` when it is not driven any
    /// more. Calls of one handle run in their order.
    pub async fn post(
        &self,
        call: impl FnOnce(&mut Endpoint<D>, Instant) + Send + 'static,
    ) -> Option<()> {
        self.calls.send(Box::new(call)).await.ok()
    }

    /// Puts `call` in the queue; where its answer comes.
    pub(super) async fn begin<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Endpoint<D>, Instant) -> T + Send + 'static,
    ) -> Option<oneshot::Receiver<T>> {
        let (answer, answered) = oneshot::channel();
        let call = move |endpoint: &mut Endpoint<D>, now: Instant| {
            // Whoever called may have gone; the call took place all the same.
            let _ = answer.send(call(endpoint, now));
        };
        self.calls.send(Box::new(call)).await.ok()?;
        Some(answered)
    }
}

impl<D> Clone for Handle<D> {
    fn clone(&self) -> Self {
        Self {
            calls: self.calls.clone(),
        }
    }
}

impl<D> fmt::Debug for Handle<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle(..)")
    }
}

impl<D> fmt::Debug for Calls<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Calls(..)")
    }
}
