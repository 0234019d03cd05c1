//! Answers from an account's state, questions to devices, and what their answers become.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Response, StatusCode};
use uci_model::api::{OutgoingResponse as _, Representation};
use uci_model::{
    Content, ContentFormat, Device, DeviceContentAll, DeviceId, DeviceProperties, ResourceContent,
    Value,
};

use super::bodies::{Bodies, Shown};
use super::line::Work;
use super::stream::StreamName;
use super::{Asked, DeviceCloud, Timer, after};
use crate::account::{Account, DeviceRecord, Resource};
use crate::authorization::Refusal;
use crate::config::Config;
use crate::device_port::{DeviceAnswer, DeviceRequest, Operation};
use crate::ids::{AccountId, AskId, GrantId, RequestId};
use crate::output::Output;
use crate::request::{Action, ResourceAction};
use crate::response::Problem;
use crate::status::{http_status, wants_retry_after};

/// 2.03 Valid.
const VALID: u8 = 67;
/// 4.06 Not Acceptable.
const NOT_ACCEPTABLE: u8 = 134;

/// What an account's state says to a request, or a device's answer to its client.
pub(super) enum Answer {
    Respond(Response<Bytes>),
    Ask {
        ask: Box<DeviceRequest>,
        format: ContentFormat,
    },
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        Self::Respond(problem.into_response())
    }
}

/// Answers everything but what changes the account.
pub(super) fn answer(
    config: &Config,
    bodies: &mut Bodies,
    id: &AccountId,
    account: &Account,
    action: &Action,
) -> Result<Answer, Problem> {
    let content = match action {
        Action::RetrieveDevices { batch, format } => {
            let shown = Shown::new(None, *batch, *format);
            encoded(config, bodies, id, account, shown)?
        }
        Action::RetrieveDevice {
            device,
            batch,
            format,
        } => {
            let shown = Shown::new(Some(*device), *batch, *format);
            encoded(config, bodies, id, account, shown)?
        }
        Action::RetrieveResource(on) => {
            let (record, resource) = find(account, on)?;
            if !record.is_online() && config.serve_offline_from_cache && on.interface.is_none() {
                let known = resource.representation().ok_or_else(|| offline(config))?;
                known
                    .in_format(on.format, &config.content)
                    .map_err(|_| unreadable())?
            } else {
                return ask(config, id, record, resource, on, Operation::Retrieve);
            }
        }
        Action::UpdateResource { on, content } => {
            let (record, resource) = find(account, on)?;
            let spoken = resource.representation().map(Content::format);
            let content = match spoken {
                Some(ContentFormat::Json) => {
                    content.in_format(ContentFormat::Json, &config.content)?
                }
                // Constrained devices read CBOR, and not all of it.
                _ => content.for_device(&config.content)?,
            };
            return ask(config, id, record, resource, on, Operation::Update(content));
        }
        Action::Subscribe(_) | Action::Unsubscribe { .. } => return Err(not_found()),
    };
    let answer = Representation::new(Some(content)).try_into_http_response()?;
    Ok(Answer::Respond(answer))
}

/// The body of one device or of the list, encoded anew only when it is not known.
fn encoded(
    config: &Config,
    bodies: &mut Bodies,
    id: &AccountId,
    account: &Account,
    shown: Shown,
) -> Result<Content, Problem> {
    if let Some(known) = bodies.get(id, shown) {
        return Ok(known.clone());
    }
    let content = match shown.device {
        Some(device) => {
            let record = account.device(device).ok_or_else(not_found)?;
            if shown.all {
                Content::encode(shown.format, &with_content(config, device, record))?
            } else {
                Content::encode(shown.format, &with_links(device, record))?
            }
        }
        None => {
            let mut devices = Vec::new();
            for (device, _) in account.devices() {
                let shown = Shown {
                    device: Some(device),
                    ..shown
                };
                devices.push(encoded(config, bodies, id, account, shown)?);
            }
            Content::array(shown.format, &devices)?
        }
    };
    bodies.keep(id, shown, &content);
    Ok(content)
}

fn find<'a>(
    account: &'a Account,
    on: &ResourceAction,
) -> Result<(&'a DeviceRecord, Resource<'a>), Problem> {
    let record = account.device(on.device).ok_or_else(not_found)?;
    Ok((record, record.resource(&on.href).ok_or_else(not_found)?))
}

fn ask(
    config: &Config,
    account: &AccountId,
    record: &DeviceRecord,
    resource: Resource<'_>,
    on: &ResourceAction,
    operation: Operation,
) -> Result<Answer, Problem> {
    if !record.is_online() {
        return Err(offline(config));
    }
    let request = DeviceRequest {
        account: account.clone(),
        device: on.device,
        generation: record.generation(),
        href: on.href.clone(),
        interface: on.interface.clone(),
        operation,
        accept: resource.representation().map(Content::format),
        timeout: config.ask_timeout,
    };
    Ok(Answer::Ask {
        ask: Box::new(request),
        format: on.format,
    })
}

fn with_links(id: DeviceId, record: &DeviceRecord) -> Device {
    let links = record.resources().map(|resource| resource.link(id));
    Device::new(properties(id, record), record.status(), links.collect())
}

/// A resource of which no representation is known has nothing to show, and is left out.
fn with_content(config: &Config, id: DeviceId, record: &DeviceRecord) -> DeviceContentAll {
    let links = record.resources().filter_map(|resource| {
        let value = resource.representation()?.decode(&config.content).ok()?;
        let shown = matches!(value, Value::Map(_) | Value::Array(_));
        shown.then(|| ResourceContent::new(resource.href().with_device(id), value))
    });
    DeviceContentAll::new(properties(id, record), record.status(), links.collect())
}

fn properties(id: DeviceId, record: &DeviceRecord) -> DeviceProperties {
    record
        .properties(id)
        .unwrap_or_else(|| DeviceProperties::new(id))
}

/// The same for what does not exist and for what is somebody else's.
fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not found")
}

/// What a device told is not the client's fault.
fn unreadable() -> Problem {
    let detail = "what the device answered cannot be read";
    Problem::new(StatusCode::BAD_GATEWAY, detail)
}

fn offline(config: &Config) -> Problem {
    let detail = "the device is offline";
    Problem::try_again(StatusCode::GATEWAY_TIMEOUT, detail, config.retry_after)
}

impl DeviceCloud {
    /// Asks a device on behalf of a request that still waits. From now on the device's time counts.
    pub(super) fn ask(
        &mut self,
        request: RequestId,
        question: Box<DeviceRequest>,
        grant: GrantId,
        format: ContentFormat,
        now: Instant,
    ) {
        let id = AskId::new(self.number());
        let Some(pending) = self.requests.get_mut(&request) else {
            return;
        };
        pending.ask = Some(id);
        let deadline = after(now, self.config.ask_timeout);
        self.timers
            .remove(&(pending.deadline, Timer::Request(request)));
        self.timers.insert((deadline, Timer::Ask(id)));
        self.outputs.push_back(Output::Ask {
            ask: id,
            request: (*question).clone(),
        });
        let asked = Asked {
            request,
            grant,
            question,
            deadline,
            format,
        };
        self.asks.insert(id, asked);
    }

    /// Has a device's answer looked at in the account's line: only if the device is still in the same hands, and the consent
    /// still given, may the client see it.
    pub(super) fn settle_answer(&mut self, asked: Asked, answer: DeviceAnswer, now: Instant) {
        let request = asked.request;
        if let Some(pending) = self.requests.get_mut(&request) {
            pending.deadline = after(now, self.config.request_timeout);
            self.timers
                .insert((pending.deadline, Timer::Request(request)));
        }
        let needs = [StreamName::Account(asked.question.account.clone())];
        let work = Work::Answer {
            request,
            asked,
            answer,
        };
        self.enqueue(needs, work, now);
    }

    /// What follows from a device's answer: what the client gets to see of it, or another question.
    pub(super) fn perform_answer(&self, asked: &Asked, answer: &DeviceAnswer) -> Answer {
        let question = &asked.question;
        let account = match self.account(&question.account) {
            Ok(account) => account,
            Err(error) => return Problem::failed(&error, self.config.retry_after).into(),
        };
        if account.has_ended(&asked.grant) {
            return Problem::refused(Refusal::InvalidToken).into();
        }
        let device = account.device(question.device);
        let Some(device) = device.filter(|device| device.generation() == question.generation)
        else {
            return not_found().into();
        };
        if let Some(ask) = asked_again(question, answer) {
            return Answer::Ask {
                ask,
                format: asked.format,
            };
        }
        // What is known of a resource is how it looks without a choice of interface.
        let resource = device.resource(&question.href);
        if *answer == DeviceAnswer::AsKnown {
            return Answer::Respond(self.answer_as_known(asked, resource));
        }
        let known = resource
            .filter(|_| question.interface.is_none())
            .and_then(|resource| resource.representation());
        Answer::Respond(self.answer_response(asked, answer, known))
    }

    /// A device's answer as HTTP (RFC 8075, 7, within the statuses of the interface). `known` is the representation that an
    /// answer may refer to.
    pub(super) fn answer_response(
        &self,
        asked: &Asked,
        answer: &DeviceAnswer,
        known: Option<&Content>,
    ) -> Response<Bytes> {
        let (code, content, max_age) = match answer {
            DeviceAnswer::Answered {
                code,
                content,
                max_age,
            } => (*code, content.as_ref(), *max_age),
            DeviceAnswer::Unreadable => return unreadable().into_response(),
            DeviceAnswer::AsKnown => return self.answer_as_known(asked, None),
            DeviceAnswer::Unreachable => {
                let detail = "the device does not answer";
                let status = StatusCode::GATEWAY_TIMEOUT;
                return Problem::try_again(status, detail, self.config.retry_after).into_response();
            }
        };
        let updates = matches!(asked.question.operation, Operation::Update(_));
        let status = match http_status(code) {
            // RFC 7252, 5.9.1.3: what is known is what would have been sent.
            StatusCode::OK if code == VALID && !updates => match known {
                Some(known) => return self.content_response(asked, Some(known)),
                None => StatusCode::BAD_GATEWAY,
            },
            StatusCode::OK => return self.content_response(asked, content),
            status => status,
        };
        let detail = format!("the device answered {}.{:02}", code >> 5, code & 0x1f);
        let problem = if status == StatusCode::METHOD_NOT_ALLOWED {
            Problem::method_not_allowed(if updates { "GET" } else { "POST" })
        } else if wants_retry_after(status) {
            // RFC 7252, 5.10.5: without Max-Age it is 60 seconds.
            let after = max_age.unwrap_or(Duration::from_secs(60));
            Problem::try_again(status, &detail, after)
        } else {
            Problem::new(status, &detail)
        };
        problem.into_response()
    }

    pub(super) fn content_response(
        &self,
        asked: &Asked,
        content: Option<&Content>,
    ) -> Response<Bytes> {
        content
            .map(|content| content.in_format(asked.format, &self.config.content))
            .transpose()
            .and_then(|content| Representation::new(content).try_into_http_response())
            .unwrap_or_else(|_| unreadable().into_response())
    }
}

/// The same question in whatever format the device has, when it has none in the one it was asked for. An update is not sent
/// twice: the first may have had its effect.
fn asked_again(question: &DeviceRequest, answer: &DeviceAnswer) -> Option<Box<DeviceRequest>> {
    let refused = matches!(answer, DeviceAnswer::Answered { code, .. } if *code == NOT_ACCEPTABLE);
    let again = refused && question.operation == Operation::Retrieve;
    question.accept.filter(|_| again).map(|_| {
        let mut again = Box::new(question.clone());
        again.accept = None;
        again
    })
}
