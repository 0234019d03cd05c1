//! The machine, where the handles and the task that carries out its outputs both reach it.
//!
//! Most requests are answered out of memory. Such a request is taken in and answered in the caller's own task, under a lock
//! that nobody holds while waiting: no queue, no second task, no wake-up. Whatever else an input brings forth is the task's.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::SystemTime;

use bytes::Bytes;
use http::{Request, Response};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::{Authentication, DeviceCloud, Output, RequestId};

/// What handles and task share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Told when the state is another one.
    entered: Notify,
    /// Told when the task has something to do.
    work: Notify,
}

#[derive(Debug, Default)]
enum State {
    /// The task has not begun: who asks waits.
    #[default]
    Waiting,
    Running(Box<Machine>),
    /// The task has ended, or the machine has panicked: who asks is told so.
    Ended,
}

struct Machine {
    cloud: DeviceCloud,
    wall: Box<dyn Fn() -> SystemTime + Send>,
    requests: BTreeMap<RequestId, oneshot::Sender<Response<Bytes>>>,
    /// What the task is to carry out.
    outputs: VecDeque<Output>,
    /// When the task wakes by itself.
    armed: Option<Instant>,
}

impl fmt::Debug for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Machine")
            .field("cloud", &self.cloud)
            .finish_non_exhaustive()
    }
}

/// What became of a request that was taken in.
enum Taken {
    Answered(Response<Bytes>),
    Waiting(RequestId, oneshot::Receiver<Response<Bytes>>),
}

impl Shared {
    /// Answers a request; `None` when there is no machine any more. Dropped before it is ready, it cancels the request.
    pub(super) async fn answer(&self, mut request: Request<Bytes>) -> Option<Response<Bytes>> {
        loop {
            let taken = {
                // Dropped after the lock, so that the task finds out.
                let _tell = TellOfPanic(&self.work);
                match &mut *self.lock() {
                    State::Waiting => None,
                    State::Ended => return None,
                    State::Running(machine) => {
                        let taken = machine.take_in(&mut request);
                        if machine.wants_task() {
                            self.work.notify_one();
                        }
                        Some(taken)
                    }
                }
            };
            match taken {
                Some(Taken::Answered(response)) => return Some(response),
                Some(Taken::Waiting(id, answer)) => {
                    // Its body is not needed any more.
                    drop(request);
                    let mut given_up = GivenUp {
                        shared: self,
                        request: Some(id),
                    };
                    let answer = answer.await;
                    given_up.request = None;
                    return answer.ok();
                }
                None => self.entered().await,
            }
        }
    }

    pub(super) fn start(&self, cloud: DeviceCloud, wall: impl Fn() -> SystemTime + Send + 'static) {
        self.enter(State::Running(Box::new(Machine {
            cloud,
            wall: Box::new(wall),
            requests: BTreeMap::new(),
            outputs: VecDeque::new(),
            armed: None,
        })));
    }

    pub(super) fn end(&self) {
        self.enter(State::Ended);
    }

    /// Gives the machine an input; `None` when there is none any more.
    pub(super) fn with<T>(
        &self,
        input: impl FnOnce(&mut DeviceCloud, SystemTime, std::time::Instant) -> T,
    ) -> Option<T> {
        match &mut *self.lock() {
            State::Running(machine) => {
                let (wall, now) = machine.time();
                Some(input(&mut machine.cloud, wall, now))
            }
            State::Waiting | State::Ended => None,
        }
    }

    /// Moves what the task is to carry out to `outputs`, and says when it is to wake by itself at the latest, if that is earlier
    /// than it was last told; `Err` when there is no machine any more.
    pub(super) fn collect(&self, outputs: &mut VecDeque<Output>) -> Result<Option<Instant>, Ended> {
        match &mut *self.lock() {
            State::Running(machine) => {
                machine.sort(None);
                outputs.append(&mut machine.outputs);
                let earlier = machine.earlier_deadline();
                machine.armed = earlier.or(machine.armed);
                Ok(earlier)
            }
            State::Waiting | State::Ended => Err(Ended),
        }
    }

    /// Has the machine do what is due.
    pub(super) fn time_out(&self) {
        if let State::Running(machine) = &mut *self.lock() {
            machine.armed = None;
            let (wall, now) = machine.time();
            machine.cloud.handle_timeout(wall, now);
        }
    }

    /// Returns when there may be something to collect.
    pub(super) async fn work(&self) {
        self.work.notified().await;
    }

    fn cancel(&self, request: RequestId) {
        if let State::Running(machine) = &mut *self.lock() {
            tracing::debug!(%request, "request cancelled");
            machine.requests.remove(&request);
            machine.cloud.cancel_request(request);
            if machine.wants_task() {
                self.work.notify_one();
            }
        }
    }

    fn enter(&self, state: State) {
        *self.lock() = state;
        self.entered.notify_waiters();
    }

    /// Returns when the task has begun, or has ended.
    async fn entered(&self) {
        let mut entered = pin!(self.entered.notified());
        // What is told from here on is heard.
        entered.as_mut().enable();
        if matches!(*self.lock(), State::Waiting) {
            entered.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| {
            // What a machine holds that has panicked in the middle of an input is not to be relied on.
            let mut state = poisoned.into_inner();
            *state = State::Ended;
            state
        })
    }
}

/// There is no machine any more.
pub(super) struct Ended;

impl Machine {
    fn take_in(&mut self, request: &mut Request<Bytes>) -> Taken {
        let authentication = request.extensions_mut().remove::<Authentication>();
        let authentication = authentication.unwrap_or(Authentication::Missing);
        let (wall, now) = self.time();
        let id = self
            .cloud
            .handle_request(request, authentication, wall, now);
        tracing::debug!(request = %id, method = %request.method(), "request");
        if let Some(response) = self.sort(Some(id)) {
            return Taken::Answered(response);
        }
        let (sender, answer) = oneshot::channel();
        self.requests.insert(id, sender);
        Taken::Waiting(id, answer)
    }

    /// Hands out answers and keeps the rest for the task. Returns the answer to `own`.
    fn sort(&mut self, own: Option<RequestId>) -> Option<Response<Bytes>> {
        let mut answer = None;
        while let Some(output) = self.cloud.poll_output() {
            match output {
                Output::Respond { request, response } => {
                    tracing::debug!(%request, status = response.status().as_u16(), "response");
                    if own == Some(request) {
                        answer = Some(response);
                    } else if let Some(sender) = self.requests.remove(&request) {
                        // A receiver that is gone does not want its answer any more.
                        drop(sender.send(response));
                    }
                }
                output => self.outputs.push_back(output),
            }
        }
        answer
    }

    fn wants_task(&self) -> bool {
        !self.outputs.is_empty() || self.earlier_deadline().is_some()
    }

    /// The next deadline, if the task would wake too late for it. A timer that goes off too early costs less than one that is set
    /// anew for every request.
    fn earlier_deadline(&self) -> Option<Instant> {
        let deadline = Instant::from_std(self.cloud.next_deadline()?);
        self.armed
            .is_none_or(|armed| deadline < armed)
            .then_some(deadline)
    }

    fn time(&self) -> (SystemTime, std::time::Instant) {
        ((self.wall)(), Instant::now().into_std())
    }
}

/// Cancels a request whose caller is gone.
struct GivenUp<'a> {
    shared: &'a Shared,
    /// `None` when it was answered.
    request: Option<RequestId>,
}

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        if let Some(request) = self.request {
            self.shared.cancel(request);
        }
    }
}

/// Has the task look, and end, when the machine has panicked in a caller's task.
struct TellOfPanic<'a>(&'a Notify);

impl Drop for TellOfPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.notify_one();
        }
    }
}
