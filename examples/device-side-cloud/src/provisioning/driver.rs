//! Moves what the machine asks for to the journal and the targets, and the answers back; decides nothing.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, PoisonError};

use provisioning_proto::RegistrationId;
use provisioning_proto::registration::Output;
use tracing::{debug, error, warn};

use super::{Lane, Provisioning, State};
use crate::clock;
use crate::error::Error;

impl Provisioning {
    /// Wakes the machine when something is due, and follows the file of networks, until the task is let go.
    ///
    /// # Errors
    /// The system lets the program not hear SIGHUP.
    pub(crate) async fn run(self) -> Result<(), Error> {
        let geography = self.0.geography.lock();
        let geography = geography.unwrap_or_else(PoisonError::into_inner).take();
        match geography {
            Some(geography) => {
                let migrations = self.clone().turn_migrations();
                tokio::try_join!(self.clone().follow(geography), self.turn(), migrations).map(drop)
            }
            None => tokio::try_join!(self.clone().turn(), self.turn_migrations()).map(drop),
        }
    }

    async fn turn(self) -> Result<(), Error> {
        loop {
            let deadline = self.lock().machine.next_deadline();
            let woken = self.0.wake.notified();
            match deadline {
                Some(deadline) => tokio::select! {
                    () = tokio::time::sleep_until(deadline.into()) => {
                        self.with(|state| state.machine.handle_timeout(clock::wall(), clock::now()));
                    }
                    () = woken => {}
                },
                None => woken.await,
            }
        }
    }

    /// Does something with the machine, and then what it asks for.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut outputs = Vec::new();
        let result = {
            let mut state = self.lock();
            let result = work(&mut state);
            while let Some(output) = state.machine.poll_output() {
                outputs.extend(state.tell(output));
            }
            result
        };
        let any = self.0.migrating.any();
        for output in outputs {
            if any || !matches!(output, Output::Audit { .. }) {
                self.dispatch(output);
            }
        }
        self.0.wake.notify_one();
        result
    }

    /// What concerns a device's targets is done in the order in which it comes; everything else at once.
    fn dispatch(&self, output: Output) {
        let device = match &output {
            Output::UpsertDevice { tenant, id, .. } | Output::RetireDevice { tenant, id, .. } => {
                Some((tenant.clone(), id))
            }
            _ => None,
        };
        match device.and_then(|(tenant, id)| Some((tenant, self.lane(id)?))) {
            Some((tenant, lane)) => {
                self.0.waiting.enter(&tenant);
                let begins = {
                    let mut waiting = lane.lock().unwrap_or_else(PoisonError::into_inner);
                    waiting.push_back((tenant, output));
                    waiting.len() == 1
                };
                if begins {
                    tokio::spawn(self.clone().drive_along(Arc::clone(lane)));
                }
            }
            None => drop(tokio::spawn(self.clone().carry_out(output))),
        }
    }

    /// The lane of a device, always the same.
    fn lane(&self, id: &RegistrationId) -> Option<&Lane> {
        let mut hasher = DefaultHasher::new();
        id.as_str().hash(&mut hasher);
        let lanes = u64::try_from(self.0.lanes.len()).ok()?;
        let place = hasher.finish().checked_rem(lanes)?;
        self.0.lanes.get(usize::try_from(place).ok()?)
    }

    /// Does what waits in a lane, one after another; the first stays in it until it is done.
    async fn drive_along(self, lane: Lane) {
        loop {
            let first = {
                let waiting = lane.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.front().cloned()
            };
            let Some((tenant, output)) = first else {
                return;
            };
            self.clone().carry_out(output).await;
            self.0.waiting.leave(&tenant);
            let mut waiting = lane.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.pop_front();
            if waiting.is_empty() {
                return;
            }
        }
    }

    async fn carry_out(self, output: Output) {
        match output {
            Output::Append(append) => self.append(append).await,
            Output::Reload(stream) => {
                if let Err(cause) = self.load_stream(&stream).await {
                    error!(
                        error = cause.chain(),
                        "provisioning goes on without a stream"
                    );
                }
            }
            Output::UpsertDevice {
                exchange,
                tenant,
                id,
                assignment,
                access_point,
                owner,
                secret,
                ..
            } => {
                // Another cloud learns of the device by what its operator set up between the two.
                let mut done = true;
                if access_point.local {
                    let opened = secret
                        .as_ref()
                        .map(|one| self.0.secrets.open(&one.stream, &one.field, &one.sealed))
                        .transpose();
                    let made = match opened {
                        Ok(opened) => self.0.local.upsert(&id, &assignment, opened, owner).await,
                        Err(cause) => Err(cause),
                    };
                    if let Err(cause) = made {
                        warn!(%tenant, device = %id, error = cause.chain(), "a device was not made known here");
                        done = false;
                    }
                }
                self.with(|state| {
                    let (wall, now) = (clock::wall(), clock::now());
                    let machine = &mut state.machine;
                    machine.handle_target_reply(exchange, done, wall, now);
                });
            }
            Output::RetireDevice {
                exchange,
                tenant,
                id,
                assignment,
                access_point,
            } => {
                let mut done = true;
                if access_point.is_some_and(|point| point.local)
                    && let Err(cause) = self.0.local.retire(&id, &assignment).await
                {
                    warn!(%tenant, device = %id, error = cause.chain(), "a device was not forgotten here");
                    done = false;
                }
                self.with(|state| {
                    let (wall, now) = (clock::wall(), clock::now());
                    let machine = &mut state.machine;
                    machine.handle_target_reply(exchange, done, wall, now);
                });
            }
            Output::InvokeHook {
                exchange,
                tenant,
                function,
                question,
            } => {
                let reply = self.0.functions.ask(&tenant, &function, question).await;
                if let Err(cause) = &reply {
                    warn!(%tenant, function = function.as_str(), error = cause.chain(), "a function gave no answer");
                }
                self.with(|state| {
                    let (wall, now) = (clock::wall(), clock::now());
                    let reply = reply.as_deref().ok();
                    state.machine.handle_hook_reply(exchange, reply, wall, now);
                });
            }
            Output::SignCsr {
                exchange,
                tenant,
                id,
                csr,
            } => {
                let certification = self.0.local.certification();
                let certificate = match certification.answer_request(&tenant, &id, &csr).await {
                    Ok(certificate) => Some(certificate.into()),
                    Err(cause) => {
                        warn!(%tenant, device = %id, error = cause.chain(), "no certificate was issued");
                        None
                    }
                };
                self.with(|state| {
                    let (wall, now) = (clock::wall(), clock::now());
                    let machine = &mut state.machine;
                    machine.handle_issuer_reply(exchange, certificate, wall, now);
                });
            }
            // Perhaps it is being moved.
            Output::Audit { tenant, id, .. } => self.look(&tenant, &id),
            Output::Answer { .. } | Output::Done { .. } => {}
        }
    }
}

impl State {
    /// Tells whoever waits; gives back what is to be carried out.
    fn tell(&mut self, output: Output) -> Option<Output> {
        match output {
            Output::Answer { operation, result } => {
                match self.answers.remove(&operation) {
                    // Who asked may be gone.
                    Some(tell) => drop(tell.send(result)),
                    None => debug!("an answer came that nobody waits for"),
                }
                None
            }
            Output::Done { command, result } => {
                match self.done.remove(&command) {
                    Some(tell) => drop(tell.send(result)),
                    None => debug!("a command ended that nobody waits for"),
                }
                None
            }
            Output::Audit { tenant, id, record } => {
                let (step, number) = (record.step, record.number);
                debug!(%tenant, device = %id, ?step, number, cause = ?record.cause, "registration");
                Some(Output::Audit { tenant, id, record })
            }
            other => Some(other),
        }
    }
}
