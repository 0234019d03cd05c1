//! The [`Writer`] on tokio: futures in place of callbacks.
//!
//! The answers of a batch come to the runtime in one waking, however many wait for them: each waking from another thread costs a
//! system call.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Notify, oneshot};

use crate::{Append, Appended, Error, ErrorKind, Journal, Writer};

type Answer = Result<Appended, Error>;

/// A way to a journal behind a [`Writer`]; cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle(Arc<Held>);

/// Makes a handle and the future that brings the answers back until every handle is dropped.
///
/// While nobody runs the future, no append ends.
pub fn drive(writer: Writer) -> (Handle, impl Future<Output = ()> + Send) {
    let relay = Arc::new(Relay::default());
    let held = Held {
        writer,
        relay: Arc::clone(&relay),
    };
    (Handle(Arc::new(held)), run(relay))
}

impl Handle {
    /// Appends; see [`Writer::append`].
    ///
    /// A future that is dropped takes nothing back.
    ///
    /// # Errors
    ///
    /// As of [`Journal::append_batch`]; [`ErrorKind::Busy`] when too much waits, [`ErrorKind::Closed`] when the writer's thread
    /// has died.
    pub async fn append(&self, append: Append) -> Result<Appended, Error> {
        let (to, answer) = oneshot::channel();
        let relay = Arc::clone(&self.0.relay);
        self.0
            .writer
            .append(append, move |appended| relay.give(to, appended));
        answer
            .await
            .unwrap_or_else(|_| Err(ErrorKind::Closed.into()))
    }

    /// Does other work with the journal, after everything that was given before it; see [`Writer::call`].
    ///
    /// # Errors
    ///
    /// Those of `work`, and [`ErrorKind::Busy`] or [`ErrorKind::Closed`] when it cannot be done.
    pub async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Journal) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (to, answer) = oneshot::channel();
        self.0
            .writer
            .call(move |journal| drop(to.send(journal.and_then(work))));
        answer
            .await
            .unwrap_or_else(|_| Err(ErrorKind::Closed.into()))
    }
}

#[derive(Debug)]
struct Held {
    writer: Writer,
    relay: Arc<Relay>,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Whoever waits for an answer holds a handle, so that nobody does.
        self.relay.is_over.store(true, Ordering::Release);
        self.relay.wake.notify_one();
    }
}

/// The answers on their way.
#[derive(Debug, Default)]
struct Relay {
    answers: Mutex<Vec<(oneshot::Sender<Answer>, Answer)>>,
    wake: Notify,
    is_over: AtomicBool,
}

impl Relay {
    fn give(&self, to: oneshot::Sender<Answer>, answer: Answer) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.push((to, answer));
        let is_first = answers.len() == 1;
        drop(answers);
        if is_first {
            self.wake.notify_one();
        }
    }

    fn take(&self) -> Vec<(oneshot::Sender<Answer>, Answer)> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *answers)
    }
}

async fn run(relay: Arc<Relay>) {
    while !relay.is_over.load(Ordering::Acquire) {
        relay.wake.notified().await;
        for (to, answer) in relay.take() {
            // Who asked may have gone; what is durable stays durable.
            drop(to.send(answer));
        }
    }
}
