//! One bootstrap: what comes after which answer.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Client, Config, ExchangeId, Failure, PeerId, RequestId, Verify};
use crate::lwm2m::check::Configuration;
use crate::lwm2m::message::{Code, Request, Response};
use crate::lwm2m::objects::{SECURITY, SERVER, Server};
use crate::lwm2m::plan::{Placed, Plan, Step};
use crate::lwm2m::request::Operation;
use crate::lwm2m::{ContentFormat, Discovery, LINK_FORMAT, Path};

#[derive(Debug)]
pub(super) struct Bootstrap {
    pub(super) client: Client,
    pub(super) peer: PeerId,
    /// The request that began it.
    pub(super) request: RequestId,
    pub(super) confidential: bool,
    pub(super) format: ContentFormat,
    /// The request of ours that waits for its answer.
    pub(super) exchange: Option<ExchangeId>,
    /// How often it may still be done again.
    pub(super) rounds: u8,
    /// When it ends whatever happens.
    pub(super) ends: Option<Instant>,
    /// Its place in the order of deadlines.
    pub(super) deadline: Option<Instant>,
    pub(super) configuration: Configuration,
    pub(super) placed: Vec<Placed>,
    pub(super) refused: Vec<(String, Code)>,
    pub(super) phase: Phase,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// What the client is to have is being found out.
    Configuring { operation: Operation },
    /// The client is asked what it has.
    Discovering,
    /// A step was sent; these follow.
    Working { path: Path, left: VecDeque<Step> },
    /// The client is asked what it has now.
    Verifying,
    /// The client is asked for its Server object.
    Reading,
    /// The client was told that this is all.
    Finishing,
}

/// What follows.
#[derive(Debug)]
pub(super) enum Turn {
    Send(Request),
    Discover,
    Done,
    Fail(Failure),
}

impl From<Failure> for Turn {
    fn from(failure: Failure) -> Self {
        Self::Fail(failure)
    }
}

impl Bootstrap {
    pub(super) fn handle_response(&mut self, response: &Response, config: &Config) -> Turn {
        match &mut self.phase {
            // Nothing was asked yet.
            Phase::Configuring { .. } => Failure::Malformed.into(),
            Phase::Discovering => match discovered(response) {
                Ok(discovery) => self.plan(&discovery, config),
                Err(failure) => failure.into(),
            },
            Phase::Working { path, left } => {
                if !response.code.is_success() {
                    let refused = (path.to_string(), response.code);
                    if !config.lenient {
                        let (path, code) = refused;
                        return Failure::Refused { path, code }.into();
                    }
                    self.refused.push(refused);
                }
                let left = std::mem::take(left);
                self.work(left, config)
            }
            Phase::Verifying => match discovered(response) {
                Ok(discovery) if !self.is_listed(&discovery) => Failure::Unverified.into(),
                Ok(_) if config.verify == Verify::Read => {
                    self.phase = Phase::Reading;
                    Turn::Send(Request::read(Path::Object(SERVER), self.format))
                }
                Ok(_) => self.finish(),
                Err(failure) => failure.into(),
            },
            Phase::Reading => match self.judge_read(response) {
                Ok(()) => self.finish(),
                Err(failure) => failure.into(),
            },
            Phase::Finishing => self.handle_finish(response.code),
        }
    }

    fn plan(&mut self, discovery: &Discovery, config: &Config) -> Turn {
        match Plan::new(&self.configuration, discovery) {
            Ok(Plan { steps, placed }) => {
                self.placed = placed;
                self.work(steps.into(), config)
            }
            Err(error) => Turn::Fail(error.into()),
        }
    }

    /// Sends the next step, or goes on when there is none.
    fn work(&mut self, mut left: VecDeque<Step>, config: &Config) -> Turn {
        let (path, request) = match left.pop_front() {
            Some(Step::Delete(path)) => (path, Request::delete(path)),
            Some(Step::Write(object, instance)) => {
                let path = Path::Instance(object, instance.id);
                match self.format.encode(object, &instance) {
                    Ok(payload) => (path, Request::write(path, self.format, payload)),
                    // No account that was checked is too long to be written.
                    Err(_) => return Failure::Malformed.into(),
                }
            }
            None if config.verify == Verify::Nothing || !self.refused.is_empty() => {
                return self.finish();
            }
            None => {
                self.phase = Phase::Verifying;
                return Turn::Send(Request::discover());
            }
        };
        self.phase = Phase::Working { path, left };
        Turn::Send(request)
    }

    fn finish(&mut self) -> Turn {
        self.phase = Phase::Finishing;
        Turn::Send(Request::finish())
    }

    fn handle_finish(&mut self, code: Code) -> Turn {
        if code.is_success() {
            return Turn::Done;
        }
        match self.rounds.checked_sub(1) {
            Some(rounds) if code == Code::NOT_ACCEPTABLE => {
                self.rounds = rounds;
                self.refused.clear();
                Turn::Discover
            }
            _ => Failure::Finish(code).into(),
        }
    }

    /// Whether everything that was placed is where it should be, with the short server id if the client says one.
    fn is_listed(&self, discovery: &Discovery) -> bool {
        let has = |path, short_server_id| match discovery.links.get(&path) {
            Some(said) => said.is_none_or(|said| said == short_server_id),
            None => false,
        };
        self.placed.iter().all(|placed| {
            has(
                Path::Instance(SECURITY, placed.security),
                placed.short_server_id,
            ) && has(
                Path::Instance(SERVER, placed.server),
                placed.short_server_id,
            )
        })
    }

    /// A refusal says nothing: clients of 1.0 answer 4.00, others 4.05 where they do not know Read.
    fn judge_read(&self, response: &Response) -> Result<(), Failure> {
        if !response.code.is_success() {
            return Ok(());
        }
        let format = match response.content_format {
            Some(number) => ContentFormat::from_number(number).ok_or(Failure::Malformed)?,
            None => self.format,
        };
        let read = format.decode(Path::Object(SERVER), response.payload.expose());
        let read = read.map_err(|_| Failure::Malformed)?;
        let accounts = self.configuration.accounts.iter();
        let there = accounts.zip(&self.placed).all(|(account, placed)| {
            let instance = read.iter().find(|instance| instance.id == placed.server);
            let server = instance.and_then(|instance| Server::from_instance(instance).ok());
            server.is_some_and(|server| {
                let wanted = &account.server;
                (server.short_server_id, server.lifetime, &server.binding)
                    == (wanted.short_server_id, wanted.lifetime, &wanted.binding)
            })
        });
        if there {
            Ok(())
        } else {
            Err(Failure::Unverified)
        }
    }
}

fn discovered(response: &Response) -> Result<Discovery, Failure> {
    if response.code != Code::CONTENT {
        return Err(Failure::Discover(response.code));
    }
    if response
        .content_format
        .is_some_and(|format| format != LINK_FORMAT)
    {
        return Err(Failure::Malformed);
    }
    Discovery::decode(response.payload.expose()).map_err(|_| Failure::Malformed)
}
