use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use http::Response;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::{Input, Outside, stopped};
use crate::error::{Error, ErrorKind};
use crate::server::access_token::{Principal, Refusal};
use crate::server::authorization_server::AuthorizationServer;
use crate::server::ids::RequestId;
use crate::server::output::{Event, Output};
use crate::stream::{AppendId, Appended, Loaded};
use crate::user_id::UserId;

/// What came back from outside.
enum Done {
    Password(RequestId, Option<UserId>),
    Signed(RequestId, Option<Vec<u8>>),
    Verified(RequestId, bool),
    Loaded(String, Option<Loaded>),
    Appended(AppendId, Appended),
    Saved,
}

/// The machine and who waits for it.
struct Task<O> {
    server: AuthorizationServer,
    outside: Arc<O>,
    work: JoinSet<Done>,
    answers: BTreeMap<RequestId, oneshot::Sender<Response<Bytes>>>,
    checks: BTreeMap<RequestId, oneshot::Sender<Result<Principal, Refusal>>>,
    commands: BTreeMap<RequestId, oneshot::Sender<Result<Event, Error>>>,
}

pub(super) async fn run<O: Outside>(
    server: AuthorizationServer,
    outside: O,
    mut inputs: mpsc::Receiver<Input>,
) -> AuthorizationServer {
    let mut task = Task {
        server,
        outside: Arc::new(outside),
        work: JoinSet::new(),
        answers: BTreeMap::new(),
        checks: BTreeMap::new(),
        commands: BTreeMap::new(),
    };
    loop {
        while let Some(output) = task.server.poll_output() {
            task.carry_out(output);
        }
        let deadline = task.server.next_deadline();
        let timer = async {
            match deadline {
                Some(at) => sleep_until(at.into()).await,
                None => pending().await,
            }
        };
        tokio::select! {
            input = inputs.recv() => match input {
                Some(input) => task.take(input),
                None => return task.server,
            },
            Some(Ok(done)) = task.work.join_next() => task.finish(done),
            () = timer => task.server.handle_timeout(now()),
        }
    }
}

impl<O: Outside> Task<O> {
    fn take(&mut self, input: Input) {
        let wall = self.outside.wall();
        match input {
            // Nobody is told anything by a failed send below: who asked may have gone.
            Input::Answer(request, to) => match self.outside.entropy() {
                Some(entropy) => {
                    let id = self.server.handle_request(&request, entropy, wall, now());
                    self.answers.insert(id, to);
                }
                None => drop(to.send(stopped())),
            },
            Input::Authenticate(request, resource, to) => {
                let now = now();
                let id = match resource {
                    None => self.server.authenticate(&request, wall, now),
                    Some(resource) => self.server.authenticate_for(&resource, &request, wall, now),
                };
                self.checks.insert(id, to);
            }
            Input::Keys(signing, refresh, to) => {
                drop(to.send(self.server.replace_keys(signing, refresh)));
            }
            Input::Command(order, to) => {
                let begun = match self.outside.entropy() {
                    Some(entropy) => order(&mut self.server, entropy, wall, now()),
                    None => Err(ErrorKind::Unavailable.into()),
                };
                match begun {
                    Ok(id) => drop(self.commands.insert(id, to)),
                    Err(error) => drop(to.send(Err(error))),
                }
            }
        }
    }

    fn carry_out(&mut self, output: Output) {
        let outside = Arc::clone(&self.outside);
        match output {
            Output::Respond { request, response } => {
                if let Some(to) = self.answers.remove(&request) {
                    drop(to.send(response));
                }
            }
            Output::Authenticated { request, result } => {
                if let Some(to) = self.checks.remove(&request) {
                    drop(to.send(result));
                }
            }
            Output::VerifyPassword {
                request,
                user_name,
                password,
            } => {
                self.begin(async move {
                    Done::Password(request, outside.verify_password(user_name, password).await)
                });
            }
            Output::Sign {
                request,
                key_id,
                algorithm,
                signing_input,
            } => {
                self.begin(async move {
                    Done::Signed(
                        request,
                        outside.sign(key_id, algorithm, signing_input).await,
                    )
                });
            }
            Output::Verify {
                request,
                key_id,
                algorithm,
                signing_input,
                signature,
            } => {
                self.begin(async move {
                    let good = outside.verify(key_id, algorithm, signing_input, signature);
                    Done::Verified(request, good.await)
                });
            }
            Output::VerifyProof {
                request,
                key,
                algorithm,
                signing_input,
                signature,
            } => {
                self.begin(async move {
                    let good = outside.verify_proof(key, algorithm, signing_input, signature);
                    Done::Verified(request, good.await)
                });
            }
            Output::Load { stream } => {
                self.begin(async move {
                    let loaded = outside.load(stream.clone()).await;
                    Done::Loaded(stream, loaded)
                });
            }
            Output::Append(append) => {
                let id = append.id;
                self.begin(async move { Done::Appended(id, outside.append(append).await) });
            }
            Output::SaveSnapshot { stream, snapshot } => {
                self.begin(async move {
                    outside.save_snapshot(stream, snapshot).await;
                    Done::Saved
                });
            }
            Output::Event(event) => {
                let waiting = event.command().and_then(|id| self.commands.remove(&id));
                match waiting {
                    Some(to) => drop(to.send(Ok(event))),
                    None => self.outside.note(event),
                }
            }
        }
    }

    /// Waits for what comes back, unless it is there at once, as of a signature that is made right here: a task for it would cost
    /// more than it does.
    fn begin(&mut self, coming: impl Future<Output = Done> + Send + 'static) {
        let mut coming = Box::pin(coming);
        let mut context = Context::from_waker(Waker::noop());
        match coming.as_mut().poll(&mut context) {
            Poll::Ready(done) => self.finish(done),
            // The task asks again at its start, with a waker of its own.
            Poll::Pending => drop(self.work.spawn(coming)),
        }
    }

    fn finish(&mut self, done: Done) {
        let now = now();
        match done {
            Done::Password(request, user) => self.server.handle_password(request, user, now),
            Done::Signed(request, signature) => {
                self.server
                    .handle_signature(request, signature.as_deref(), now);
            }
            Done::Verified(request, good) => self.server.handle_verification(request, good, now),
            Done::Loaded(stream, Some(loaded)) => self.server.handle_loaded(&stream, &loaded, now),
            Done::Loaded(stream, None) => self.server.handle_load_failed(&stream, now),
            Done::Appended(id, appended) => self.server.handle_appended(id, &appended, now),
            Done::Saved => {}
        }
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
