//! Carries tasks out: decides, applies, and says what may be seen once that is durable.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use http::Response;
use uci_model::SubscriptionId;
use uci_model::api::{OutgoingResponse as _, Subscribed, Unsubscribed};

use super::DeviceCloud;
use super::answers::{self, Answer};
use super::line::{Batch, Effect, Task, Work};
use super::stream::{Ledger, Stream, StreamName};
use crate::account::{Account, Change, Command, Moment, NewSubscription};
use crate::authorization::{Principal, Refusal};
use crate::config::QueueRules;
use crate::delivery::Consent;
use crate::device_port::{DeviceReport, Occurrence};
use crate::error::{Error, ErrorKind};
use crate::ids::AccountId;
use crate::request::{Action, Incoming, Subscribe};
use crate::response::Problem;

/// Fewest notifications a queue must hold: the first ones of a subscription and its end fit always.
const MIN_QUEUE: u32 = 8;

impl DeviceCloud {
    /// Carries a task out, or says which streams it needs besides those it has.
    pub(super) fn perform(
        &mut self,
        task: &Task,
        batch: &mut Batch,
    ) -> Result<(), Vec<StreamName>> {
        match &task.work {
            Work::Request { request, incoming } => {
                // A client that gave up waiting does not want it done any more.
                if self.requests.contains_key(request) {
                    let effect = match self.perform_request(incoming, batch) {
                        Ok(Answer::Respond(response)) => Effect::Respond(*request, response),
                        Ok(Answer::Ask { ask, format }) => Effect::Ask {
                            request: *request,
                            ask,
                            grant: incoming.principal.grant.clone(),
                            format,
                        },
                        Err(problem) => Effect::Respond(*request, problem.into_response()),
                    };
                    batch.effects.push(effect);
                }
            }
            Work::Report { report, told } => {
                let result = match told.occurrence {
                    Occurrence::Registered => {
                        self.with_owner(task, told.device)?;
                        self.assign(told.device, &told.account, told.generation, batch)
                    }
                    Occurrence::Unregistered => {
                        self.release(told.device, &told.account, told.generation, batch)
                    }
                    _ => self.command(&told.account, &report_command(told), batch),
                };
                batch.effects.push(Effect::Reported(*report, result));
            }
            Work::EndGrant { end, grant } => {
                let command = Command::EndGrant {
                    grant: grant.clone(),
                    remember_for: self.config.grant_memory,
                };
                for name in &task.needs {
                    if let StreamName::Account(account) = name {
                        let result = self.command(account, &command, batch);
                        let consent = Consent {
                            account: account.clone(),
                            grant: grant.clone(),
                        };
                        let effect = Effect::GrantEnded(*end, result.map(|()| consent));
                        batch.effects.push(effect);
                    }
                }
            }
            Work::Settle {
                account,
                subscription,
                command,
            } => {
                // Nobody waits for it; what no longer applies changes nothing. The queue is looked at in any case: a
                // cancellation may have waited for the attempt to end.
                drop(self.command(account, command, batch));
                batch.touched.insert((account.clone(), *subscription));
            }
            Work::Answer {
                request,
                asked,
                answer,
            } => {
                let effect = match self.perform_answer(asked, answer) {
                    Answer::Respond(response) => Effect::Respond(*request, response),
                    Answer::Ask { ask, format } => Effect::Ask {
                        request: *request,
                        ask,
                        grant: asked.grant.clone(),
                        format,
                    },
                };
                batch.effects.push(effect);
            }
            Work::ChangeOwner { change, device, to } => {
                self.with_owner(task, *device)?;
                let result = match to {
                    Some(account) => self.transfer(*device, account, batch),
                    None => self.remove(*device, batch),
                };
                batch.effects.push(Effect::OwnerChanged(*change, result));
            }
            Work::Export { export, account } => {
                let exported = self.account(account).map(|a| a.export(account.clone()));
                let effect = Effect::Exported(*export, exported.map(Box::new));
                batch.effects.push(effect);
            }
            Work::Erase { erasure, account } => {
                self.perform_erase(task, *erasure, account, batch)?;
            }
            Work::Wake => self.end_waking(task),
        }
        Ok(())
    }

    /// Answers who asks for devices, when nothing waits before the account: a place in its line would change nothing.
    pub(super) fn answer_at_once(
        &mut self,
        incoming: &Incoming,
        now: Instant,
    ) -> Option<Response<Bytes>> {
        let (Action::RetrieveDevices { .. } | Action::RetrieveDevice { .. }) = incoming.action
        else {
            return None;
        };
        let name = StreamName::Account(incoming.principal.account.clone());
        let stream = self.streams.get_mut(&name)?;
        if !stream.is_idle() || !stream.waiting.is_empty() {
            return None;
        }
        stream.last_used = now;
        match self.perform_request(incoming, &mut Batch::default()) {
            Ok(Answer::Respond(response)) => Some(response),
            Ok(Answer::Ask { .. }) => None,
            Err(problem) => Some(problem.into_response()),
        }
    }

    fn perform_request(
        &mut self,
        incoming: &Incoming,
        batch: &mut Batch,
    ) -> Result<Answer, Problem> {
        let Incoming { principal, action } = incoming;
        let retry_after = self.config.retry_after;
        let failed = |error: Error| Problem::failed(&error, retry_after);
        let account = account_in(&self.streams, &principal.account).map_err(failed)?;
        if account.has_ended(&principal.grant) {
            return Err(Problem::refused(Refusal::InvalidToken));
        }
        match action {
            Action::Subscribe(subscribe) => {
                let id = self
                    .subscribe(principal, subscribe, batch)
                    .map_err(failed)?;
                Ok(Answer::Respond(
                    Subscribed::new(id).try_into_http_response()?,
                ))
            }
            Action::Unsubscribe {
                target,
                subscription,
            } => {
                let command = Command::Unsubscribe {
                    id: *subscription,
                    target: target.clone(),
                    grant: principal.grant.clone(),
                };
                self.command(&principal.account, &command, batch)
                    .map_err(failed)?;
                Ok(Answer::Respond(
                    Unsubscribed::default().try_into_http_response()?,
                ))
            }
            read => {
                let (config, bodies) = (&self.config, &mut self.bodies);
                answers::answer(config, bodies, &principal.account, account, read)
            }
        }
    }

    fn subscribe(
        &mut self,
        principal: &Principal,
        subscribe: &Subscribe,
        batch: &mut Batch,
    ) -> Result<SubscriptionId, Error> {
        let id = SubscriptionId::from_entropy(self.entropy.draw_16());
        let stream = StreamName::Account(principal.account.clone()).to_string();
        let nonce_entropy = self.entropy.draw();
        let secret = subscribe.body.signing_secret.expose().as_bytes();
        let sealed = self
            .sealer
            .seal(&stream, &secret_field(id), nonce_entropy, secret)
            .map_err(|error| Error::with_source(ErrorKind::Sealing, error))?;
        let QueueRules { coalesce, limit } = self.config.queue;
        let made = Box::new(NewSubscription {
            target: subscribe.target.clone(),
            grant: principal.grant.clone(),
            client: principal.client.clone(),
            event_types: subscribe.body.event_types.iter().cloned().collect(),
            events_url: subscribe.events_url.clone(),
            sealed_secret: sealed.into(),
            correlation: subscribe.options.correlation_id.clone(),
            format: subscribe.format,
            rules: QueueRules {
                coalesce,
                limit: limit.max(MIN_QUEUE),
            },
        });
        self.command(&principal.account, &Command::Subscribe { id, made }, batch)?;
        Ok(id)
    }

    /// Decides a command and makes its changes part of the batch.
    pub(super) fn command(
        &mut self,
        account: &AccountId,
        command: &Command,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let changes = self.decide(account, command)?;
        self.record(account, &changes, batch)
    }

    pub(super) fn decide(
        &self,
        account: &AccountId,
        command: &Command,
    ) -> Result<Vec<Change>, Error> {
        let mut moment = Moment::new(self.wall.into(), self.config.account);
        moment.content = self.config.content;
        self.account(account)?.decide(command, &moment)
    }

    /// Applies changes, ahead of the journal, and makes them part of the batch.
    pub(super) fn record(
        &mut self,
        account: &AccountId,
        changes: &[Change],
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let encoded: Vec<Bytes> = changes
            .iter()
            .map(Change::encode)
            .collect::<Result<_, _>>()?;
        let name = StreamName::Account(account.clone());
        let Some(stream) = self.streams.get_mut(&name) else {
            return Err(ErrorKind::Unavailable.into());
        };
        let Some(Ledger::Account(ledger)) = &mut stream.ledger else {
            return Err(ErrorKind::Unavailable.into());
        };
        let mut forgotten = false;
        for change in changes {
            let touched = ledger.apply(change);
            if let Some(device) = touched.described {
                ledger.share(device, &mut self.models);
            }
            self.bodies.forget(account, change);
            forgotten |= touched.forgotten;
            // An opened secret goes with its subscription, as the sealed one does.
            if ledger.is_erased() {
                stream.keys.clear();
            }
            for id in &touched.queues {
                if ledger.subscription(*id).is_none() {
                    stream.keys.remove(id);
                }
            }
            let of_account = |id| (account.clone(), id);
            batch
                .touched
                .extend(touched.queues.into_iter().map(of_account));
            let ended = touched.ended.into_iter();
            batch.effects.extend(
                ended.map(|(subscription, cause)| Effect::SubscriptionEnded {
                    account: account.clone(),
                    subscription,
                    cause,
                }),
            );
        }
        if forgotten {
            stream.forget();
        }
        if !encoded.is_empty() {
            batch.changes.entry(name).or_default().extend(encoded);
        }
        Ok(())
    }

    pub(super) fn account(&self, account: &AccountId) -> Result<&Account, Error> {
        account_in(&self.streams, account)
    }
}

fn account_in<'a>(
    streams: &'a BTreeMap<StreamName, Stream>,
    account: &AccountId,
) -> Result<&'a Account, Error> {
    let name = StreamName::Account(account.clone());
    match streams.get(&name).and_then(|stream| stream.ledger.as_ref()) {
        Some(Ledger::Account(account)) => Ok(account),
        _ => Err(ErrorKind::Unavailable.into()),
    }
}

fn report_command(told: &DeviceReport) -> Command {
    Command::Report {
        device: told.device,
        generation: told.generation,
        occurrence: told.occurrence.clone(),
    }
}

/// Where in its stream a subscription's secret is sealed.
pub(super) fn secret_field(id: SubscriptionId) -> String {
    format!("subscription/{id}")
}
