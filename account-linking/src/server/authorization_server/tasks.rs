//! Requests in progress: what each lacks, how it runs again, and how it ends.

use core::time::Duration;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::{Response, StatusCode};

use super::token_steps::{Asked, Signed};
use super::{AuthorizationServer, since_epoch};
use crate::error::ErrorKind;
use crate::form::Form;
use crate::secret::{ClientSecret, SecretBytes};
use crate::server::access_token::{Principal, Refusal};
use crate::server::client_key::ClientKey;
use crate::server::grants::{Change, Command, Decision, EndReason, Grants, Refused, Reply, What};
use crate::server::ids::{ClientId, GrantId, RequestId};
use crate::server::output::{Event, Output};
use crate::server::pages::PageError;
use crate::server::presented_token::Access;
use crate::server::registration::{Client, Registration};
use crate::server::response::{TokenError, page, token_refusal};
use crate::user_id::UserId;

/// How old what is known of a client may be when a request of it is refused.
const CLIENT_AGE: Duration = Duration::from_secs(1);

/// A request in progress.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) work: Work,
    /// When it came, since the Unix epoch.
    pub(super) wall: Duration,
    pub(super) deadline: Instant,
    pub(super) awaiting: Awaiting,
    pub(super) password: Option<Option<UserId>>,
    pub(super) signed: Option<(String, Vec<u8>)>,
    pub(super) verified: Option<bool>,
    /// Whether the signature of its proof is good.
    pub(super) proven: Option<bool>,
    /// Whether the signature of the client's assertion is good.
    pub(super) asserted: bool,
    /// How many keys of the client it was not made with.
    pub(super) refuted: usize,
    /// The assertion cannot be used again.
    pub(super) assertion_noted: bool,
    /// Its proof cannot be used again.
    pub(super) proof_noted: bool,
    /// What a request to the token endpoint asks for, while it waits for its signature or its append.
    pub(super) asked: Option<Box<Asked>>,
    /// What `signed` is the signature of.
    pub(super) signing: Option<Signed>,
    /// The answer to give once the append it waits for is durable.
    pub(super) pending: Option<Result<Reply, Refused>>,
    /// The same, durable.
    pub(super) committed: Option<Result<Reply, Refused>>,
}

/// What a request is about.
#[derive(Debug)]
pub(super) enum Work {
    Authorize(BrowserWork),
    LoginPage(BrowserWork),
    Login(BrowserWork),
    ConsentPage(BrowserWork),
    Consent(BrowserWork),
    LinksPage(BrowserWork),
    Links(BrowserWork),
    DevicePage(BrowserWork),
    Device(BrowserWork),
    DeviceAuthorization(ClientWork),
    Token(ClientWork),
    Revoke(ClientWork),
    Push(ClientWork),
    Introspect(ClientWork),
    Userinfo { access: Box<Access> },
    Check { access: Box<Access> },
    Command(CommandWork),
}

impl Work {
    /// The request, when it is one of a client.
    pub(super) fn of_client(&self) -> Option<&ClientWork> {
        match self {
            Self::Token(work)
            | Self::Push(work)
            | Self::Revoke(work)
            | Self::Introspect(work)
            | Self::DeviceAuthorization(work) => Some(work),
            _ => None,
        }
    }

    /// Whether a program waits for the answer, and not a person.
    fn is_of_client(&self) -> bool {
        self.of_client().is_some()
    }
}

/// A request of a person's browser.
#[derive(Debug)]
pub(super) struct BrowserWork {
    pub(super) form: Form,
    pub(super) cookie: Option<String>,
    pub(super) entropy: SecretBytes,
    /// The consent that is being made durable.
    pub(super) approved: Option<super::browser_steps::Approved>,
    /// The same of a device.
    pub(super) device: Option<super::device_steps::Allowed>,
    /// The link that is being ended, durably.
    pub(super) unlinking: Option<(UserId, GrantId)>,
}

/// A request of a client.
#[derive(Debug)]
pub(super) struct ClientWork {
    pub(super) form: Form,
    pub(super) headers: http::HeaderMap,
    pub(super) entropy: SecretBytes,
}

/// A command of the operator or the composition.
#[derive(Debug)]
pub(super) enum CommandWork {
    Register {
        registration: Box<Registration>,
        secret: Option<ClientSecret>,
    },
    AddSecret {
        client: ClientId,
        secret: ClientSecret,
    },
    RetireSecrets {
        client: ClientId,
    },
    AddKey {
        client: ClientId,
        key: Box<ClientKey>,
    },
    RetireKeys {
        client: ClientId,
    },
    ListGrants {
        account: UserId,
    },
    EndGrant {
        account: UserId,
        grant: GrantId,
    },
    SettleGrantEnd {
        account: UserId,
        grant: GrantId,
    },
    Wake {
        account: UserId,
    },
}

/// What a request lacks; each kind is satisfied by one `handle_` function only.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Awaiting {
    Stream,
    Password,
    Signature(String),
    Verification,
    Proof,
    Assertion,
}

/// Why a step does not end its request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pause {
    /// Something was asked for; the request runs again when it comes.
    Wait,
    /// It cannot go on at all.
    Unavailable,
}

/// How a request ends.
#[derive(Debug)]
pub(super) enum Answer {
    Response(Response<Bytes>),
    Authenticated(Result<Principal, Refusal>),
    Event(Event),
}

impl AuthorizationServer {
    pub(super) fn start(&mut self, id: RequestId, work: Work, wall: SystemTime) {
        if !self.has_room() {
            let answer = self.unavailable(id, work);
            return self.end(id, answer);
        }
        let patience = match work.is_of_client() {
            true => self.config.patience_of_clients(),
            false => self.config.request_timeout,
        };
        let deadline = self.desk.after(patience);
        self.wall = self.wall.max(since_epoch(wall));
        let task = Box::new(Task {
            work,
            wall: self.wall,
            deadline,
            awaiting: Awaiting::Stream,
            password: None,
            signed: None,
            verified: None,
            proven: None,
            asserted: false,
            refuted: 0,
            assertion_noted: false,
            proof_noted: false,
            asked: None,
            signing: None,
            pending: None,
            committed: None,
        });
        self.deadlines.insert((deadline, id));
        self.tasks.insert(id, task);
        self.run(id);
    }

    pub(super) fn run_all(&mut self, ids: Vec<RequestId>) {
        ids.into_iter().for_each(|id| self.run(id));
    }

    /// Runs a request from its start until it ends or lacks something.
    pub(super) fn run(&mut self, id: RequestId) {
        let Some(mut task) = self.tasks.remove(&id) else {
            return;
        };
        task.awaiting = Awaiting::Stream;
        let outcome = match &task.work {
            Work::Authorize(_)
            | Work::LoginPage(_)
            | Work::Login(_)
            | Work::ConsentPage(_)
            | Work::Consent(_)
            | Work::LinksPage(_)
            | Work::Links(_)
            | Work::DevicePage(_)
            | Work::Device(_) => self.step_browser(id, &mut task).map(Answer::Response),
            Work::Token(_) => self.step_token(id, &mut task).map(Answer::Response),
            Work::Push(_) => self.step_push(id, &mut task).map(Answer::Response),
            Work::DeviceAuthorization(_) => self
                .step_device_authorization(id, &mut task)
                .map(Answer::Response),
            Work::Revoke(_) => self.step_revoke(id, &mut task).map(Answer::Response),
            Work::Introspect(_) => self.step_introspect(id, &mut task).map(Answer::Response),
            Work::Userinfo { .. } => self.step_userinfo(id, &mut task).map(Answer::Response),
            Work::Check { .. } => self.step_check(id, &mut task).map(Answer::Authenticated),
            Work::Command(_) => self.step_command(id, &mut task),
        };
        match outcome {
            Ok(answer) => {
                self.deadlines.remove(&(task.deadline, id));
                self.end(id, answer);
            }
            Err(Pause::Wait) => {
                self.tasks.insert(id, task);
            }
            Err(Pause::Unavailable) => {
                self.tasks.insert(id, task);
                self.fail(id);
            }
        }
    }

    fn end(&mut self, id: RequestId, answer: Answer) {
        match answer {
            Answer::Response(response) => self.respond(id, response),
            Answer::Authenticated(result) => self.authenticated(id, result),
            Answer::Event(event) => self.tell(event),
        }
    }

    /// Ends a request that cannot be answered now; never with `invalid_grant`, on which clients
    /// drop their link.
    pub(super) fn fail(&mut self, id: RequestId) {
        let Some(task) = self.tasks.remove(&id) else {
            return;
        };
        self.deadlines.remove(&(task.deadline, id));
        self.reopen_device(&task.work);
        let answer = self.unavailable(id, task.work);
        self.end(id, answer);
    }

    /// The answer to work that cannot be done now.
    fn unavailable(&self, id: RequestId, work: Work) -> Answer {
        match work {
            Work::Authorize(_)
            | Work::LoginPage(_)
            | Work::Login(_)
            | Work::ConsentPage(_)
            | Work::LinksPage(_)
            | Work::Links(_)
            | Work::DevicePage(_)
            | Work::Device(_) => Answer::Response(self.unavailable_page()),
            Work::Consent(work) => Answer::Response(self.failed_consent(work)),
            Work::Token(_)
            | Work::Push(_)
            | Work::Revoke(_)
            | Work::Introspect(_)
            | Work::DeviceAuthorization(_) => {
                Answer::Response(TokenError::TemporarilyUnavailable.response())
            }
            Work::Userinfo { .. } => {
                let dpop = self.config.dpop_algorithms();
                Answer::Response(token_refusal(Refusal::Unavailable, dpop))
            }
            Work::Check { .. } => Answer::Authenticated(Err(Refusal::Unavailable)),
            Work::Command(_) => Answer::Event(Event::CommandFailed {
                command: id,
                kind: ErrorKind::Unavailable,
            }),
        }
    }

    pub(super) fn unavailable_page(&self) -> Response<Bytes> {
        page(
            StatusCode::SERVICE_UNAVAILABLE,
            self.pages.error(PageError::Unavailable),
        )
    }

    /// The task `id`, when it lacks what has come.
    pub(super) fn awaiting(
        &mut self,
        id: RequestId,
        fits: impl Fn(&Awaiting) -> bool,
    ) -> Option<&mut Task> {
        let task = self.tasks.get_mut(&id)?;
        fits(&task.awaiting).then_some(task)
    }

    /// Decides `command` on a user's grants and makes it durable; the answer comes when it is.
    pub(super) fn change_grants(
        &mut self,
        id: RequestId,
        task: &mut Task,
        user: &UserId,
        command: &Command,
    ) -> Result<Result<Reply, Refused>, Pause> {
        if let Some(reply) = task.committed.take() {
            return Ok(reply);
        }
        let stream = Grants::stream(user);
        let wall = super::millis(task.wall);
        let ledger = self.grants.read_to_write(&stream, id, &mut self.desk);
        let ledger = ledger.ok_or(Pause::Wait)?;
        let decision = ledger.decide(command, wall);
        self.make_durable(id, task, user, command, decision)
    }

    /// The same with what was just decided.
    pub(super) fn make_durable(
        &mut self,
        id: RequestId,
        task: &mut Task,
        user: &UserId,
        command: &Command,
        decision: Decision,
    ) -> Result<Result<Reply, Refused>, Pause> {
        let stream = Grants::stream(user);
        if decision.changes.is_empty() {
            let is_refused = match command {
                // It is answered alike whether or not there is such a token.
                Command::RevokeAccess { .. } => true,
                _ => matches!(
                    decision.reply,
                    Err(Refused::InvalidGrant | Refused::NotFound | Refused::Full)
                ),
            };
            let held = self.grants.peek(&stream);
            let is_behind = command
                .grant()
                .zip(held)
                .is_some_and(|(grant, held)| held.may_be_behind(grant));
            if is_refused && is_behind {
                self.reread(id, user)?;
            }
            return Ok(decision.reply);
        }
        task.pending = Some(decision.reply);
        self.grants
            .write(&stream, id, decision.changes, &mut self.desk)
            .map_err(|_| Pause::Unavailable)?;
        Err(Pause::Wait)
    }

    /// Has a user's grants read to their end, before a request is refused on what is in memory, which another replica may have
    /// left behind. What would be written needs no such care: the store refuses it.
    pub(super) fn reread(&mut self, id: RequestId, user: &UserId) -> Result<(), Pause> {
        let stream = Grants::stream(user);
        let waits = self.grants.reread(&stream, id, &mut self.desk);
        if waits { Err(Pause::Wait) } else { Ok(()) }
    }

    /// The same for a client that is not known or does not prove itself: it may have been registered, or given a secret or a key, at
    /// another replica. Whoever only guesses has the store asked once a second and not once a guess.
    pub(super) fn reread_client(&mut self, id: RequestId, client: &ClientId) -> Result<(), Pause> {
        let stream = Client::stream(client);
        let age = CLIENT_AGE;
        let waits = self
            .clients
            .reread_if_older(age, &stream, id, &mut self.desk);
        if waits { Err(Pause::Wait) } else { Ok(()) }
    }

    /// Lets the request that wrote, and those behind it, go on.
    pub(super) fn settle(
        &mut self,
        by: RequestId,
        durable: bool,
        failed: bool,
        woken: Vec<RequestId>,
    ) {
        if let Some(task) = self.tasks.get_mut(&by) {
            let pending = task.pending.take();
            task.committed = pending.filter(|_| durable);
        }
        if failed {
            self.fail(by);
        } else if durable {
            self.run(by);
        }
        self.run_all(woken);
    }

    /// Tells what changes of a user's grants mean outside.
    pub(super) fn announce(&mut self, stream: &str, changes: Vec<Change>) {
        let Some(account) = account_of(stream) else {
            return;
        };
        for Change { grant, what, .. } in changes {
            if !matches!(what, What::CodeRedeemed { .. } | What::Ended { .. }) {
                continue;
            }
            let held = self.grants.peek(stream).and_then(|held| held.holder(grant));
            let Some((client, scopes)) = held else {
                continue;
            };
            let (account, client, scopes) = (account.clone(), client.clone(), scopes.clone());
            match what {
                What::CodeRedeemed { .. } => self.tell(Event::GrantStarted {
                    account,
                    client,
                    grant,
                    scopes,
                }),
                What::Ended { reason } => self.tell_end(account, client, grant, reason),
                _ => {}
            }
        }
    }

    /// Tells the ends again that nobody has settled.
    pub(super) fn announce_ends(&mut self, account: &UserId) {
        let Some(held) = self.grants.peek(&Grants::stream(account)) else {
            return;
        };
        let ends: Vec<_> = held
            .unsettled()
            .map(|(grant, client, reason)| (grant, client.clone(), reason))
            .collect();
        for (grant, client, reason) in ends {
            self.tell_end(account.clone(), client, grant, reason);
        }
    }

    fn tell_end(&mut self, account: UserId, client: ClientId, grant: GrantId, reason: EndReason) {
        self.desk
            .outputs
            .push_back(Output::Event(Event::GrantEnded {
                account,
                client,
                grant,
                reason,
            }));
    }
}

fn account_of(stream: &str) -> Option<UserId> {
    stream.strip_prefix("grants/")?.parse().ok()
}
