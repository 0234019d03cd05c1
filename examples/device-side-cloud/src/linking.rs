//! Account linking in this program: runs the authorization server machine, signs, checks passwords, keeps its streams.

mod handle;
mod settling;
mod streams;

use std::collections::BTreeMap;
use std::future::pending;
use std::time::Duration;

use account_linking::server::presets::Unmet;
use account_linking::server::{
    Algorithm, AuthorizationServer, Config, Dpop, Event, GrantId, GrantSummary, Issuer, Output,
    Principal, Refusal, RequestId,
};
use account_linking::{Appended, Loaded, UserId};
use bytes::Bytes;
use http::Response;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::{error, info, warn};
use uci_server_core::driver::Handle as Cloud;

use crate::clock;
use crate::config;
use crate::error::Error;
use crate::keys::Keys;
use crate::pages::TemplatePages;
use crate::signing::proves;
use crate::store::Store;
use crate::users::Users;
use handle::{Command, Reply};
use settling::Settling;
use streams::{load, make_durable};

pub(crate) use handle::{Linking, Registered};
pub(crate) use settling::Unsettled;

/// What an access token opens: the interface of this cloud.
const AUDIENCE_PATH: &str = "/api/v1";
/// How many commands may wait for the machine.
const COMMANDS: usize = 1024;
/// How the stream of a user's grants begins.
const GRANTS: &str = "grants/";
/// How often streams that owe something are looked after.
const ROUND: Duration = Duration::from_secs(60);

enum Done {
    Password(RequestId, Option<UserId>),
    Loaded(String, Option<Loaded>),
    Appended(account_linking::AppendId, Appended),
    Ended(UserId, GrantId),
    NotEnded(UserId),
    Owing(Option<Vec<String>>),
    Nothing,
}

/// The running machine.
pub(crate) struct Running {
    machine: AuthorizationServer,
    commands: mpsc::Receiver<Command>,
    store: Store,
    users: Users,
    cloud: Cloud,
    keys: Keys,
    /// As at the start, but for the keys.
    settings: Config,
    work: JoinSet<Done>,
    answers: BTreeMap<RequestId, oneshot::Sender<Response<Bytes>>>,
    checks: BTreeMap<RequestId, oneshot::Sender<Result<Principal, Refusal>>>,
    orders: BTreeMap<RequestId, Order>,
    settling: Settling,
}

/// An operator's command under way, and where its answer goes.
enum Order {
    Register(Option<Unmet>, Reply<Registered>),
    Grants(Reply<Vec<GrantSummary>>),
    EndGrant(Reply<()>),
}

impl Order {
    /// Who ordered may have gone.
    fn refuse(self, error: Error) {
        match self {
            Self::Register(_, to) => drop(to.send(Err(error))),
            Self::Grants(to) => drop(to.send(Err(error))),
            Self::EndGrant(to) => drop(to.send(Err(error))),
        }
    }
}

/// Makes the machine and a handle to it.
///
/// # Errors
/// The keys in the key directory cannot be used.
pub(crate) fn prepare(
    config: &config::Config,
    store: Store,
    users: Users,
    cloud: Cloud,
) -> Result<(Linking, Running), Error> {
    let unusable = |cause| Error::new("account linking cannot be set up", cause);
    let keys = Keys::open(&config.key_dir)?;
    let mut public = keys.public().map_err(unusable)?.into_iter();
    let mut refresh = keys.refresh().into_iter();
    let (Some(signing_key), Some(refresh_key)) = (public.next(), refresh.next()) else {
        return Err(Error::plain("there are no keys for tokens"));
    };
    let issuer = config.issuer();
    let audience = format!("{issuer}{AUDIENCE_PATH}");
    let issuer = Issuer::new(&issuer).map_err(unusable)?;
    let mut settings = Config::new(issuer, audience, signing_key, refresh_key).map_err(unusable)?;
    settings.signing_keys.extend(public);
    settings.refresh_keys.extend(refresh);
    settings.access_token_lifetime = Duration::from_secs(config.linking.access_token_seconds);
    settings.request_timeout = Duration::from_secs(config.linking.answer_within_seconds.get());
    settings.require_pushed_requests = config.linking.require_pushed_requests;
    let resources = config.linking.resources.iter().map(|uri| uri.parse());
    settings.resources = resources.collect::<Result<_, _>>().map_err(unusable)?;
    // What ring verifies.
    let mut dpop = Dpop::default();
    dpop.algorithms = vec![Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];
    let names = dpop.algorithms.clone();
    settings.dpop = Some(dpop);
    let machine = AuthorizationServer::new(
        settings.clone(),
        Box::new(TemplatePages::open(config.linking.pages_dir.as_deref())?),
        clock::entropy()?,
        clock::now(),
    )
    .map_err(unusable)?;
    let (sender, commands) = mpsc::channel(COMMANDS);
    let running = Running {
        machine,
        commands,
        store,
        users,
        cloud,
        keys,
        settings,
        work: JoinSet::new(),
        answers: BTreeMap::new(),
        checks: BTreeMap::new(),
        orders: BTreeMap::new(),
        settling: Settling::default(),
    };
    Ok((Linking::new(sender, names), running))
}

impl Running {
    /// Runs until all handles are gone.
    ///
    /// # Errors
    /// The system gave no random bytes.
    pub(crate) async fn run(mut self) -> Result<(), Error> {
        let mut rounds = tokio::time::interval(ROUND);
        loop {
            while let Some(output) = self.machine.poll_output() {
                self.carry_out(output);
            }
            let deadline = self.machine.next_deadline();
            let timer = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.take(command)?,
                    None => return Ok(()),
                },
                Some(Ok(done)) = self.work.join_next() => self.finish(done),
                () = timer => self.machine.handle_timeout(clock::now()),
                _ = rounds.tick() => self.look_around(),
            }
        }
    }

    fn take(&mut self, command: Command) -> Result<(), Error> {
        let (wall, now) = (clock::wall(), clock::now());
        match command {
            Command::Answer(request, to) => {
                let id = self
                    .machine
                    .handle_request(&request, clock::entropy()?, wall, now);
                self.answers.insert(id, to);
            }
            Command::Authenticate(head, to) => {
                let id = self
                    .machine
                    .authenticate(&head.map(|()| Bytes::new()), wall, now);
                self.checks.insert(id, to);
            }
            Command::Register(registration, programme, to) => {
                let unmet = programme
                    .and_then(|programme| programme.check(&self.settings, &registration).err());
                let begun =
                    self.machine
                        .register_client(*registration, clock::entropy()?, wall, now);
                self.begin(begun, Order::Register(unmet, to));
            }
            Command::Grants(account, to) => {
                let begun = self.machine.list_grants(account, wall, now);
                self.begin(begun, Order::Grants(to));
            }
            Command::EndGrant(account, grant, to) => {
                let begun = self.machine.end_grant(account, grant, wall, now);
                self.begin(begun, Order::EndGrant(to));
            }
            Command::Keys(to) => drop(to.send(Ok(self.keys.shown()))),
            Command::AddKey(kind, to) => {
                let added = self.keys.add(kind);
                let taken = self.take_keys();
                drop(to.send(added.and_then(|number| taken.map(|()| number))));
            }
            Command::RetireKey(kind, number, to) => {
                let retired = self.keys.retire(kind, number);
                let taken = self.take_keys();
                drop(to.send(retired.and(taken)));
            }
            Command::Settle(to) => {
                self.settling.ask(to);
                self.look_around();
            }
        }
        Ok(())
    }

    /// Gives the machine the keys that there are now.
    fn take_keys(&mut self) -> Result<(), Error> {
        let unusable = |cause| Error::new("the keys cannot be used", cause);
        let (signing, refresh) = (self.keys.public().map_err(unusable)?, self.keys.refresh());
        self.machine
            .replace_keys(signing, refresh)
            .map_err(unusable)?;
        info!("the keys of tokens changed");
        Ok(())
    }

    fn begin(&mut self, begun: Result<RequestId, account_linking::Error>, order: Order) {
        match begun {
            Ok(id) => drop(self.orders.insert(id, order)),
            Err(cause) => order.refuse(Error::new("it cannot be done", cause)),
        }
    }

    fn carry_out(&mut self, output: Output) {
        let now = clock::now();
        match output {
            Output::Respond { request, response } => {
                if let Some(to) = self.answers.remove(&request) {
                    // Who asked may have gone.
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
                let users = self.users.clone();
                self.work.spawn(async move {
                    let found = users.verify(&user_name, password.expose().to_owned()).await;
                    let user = found.unwrap_or_else(|error| {
                        warn!(error = error.chain(), "a password could not be checked");
                        None
                    });
                    Done::Password(request, user.and_then(|id| id.parse().ok()))
                });
            }
            Output::Sign {
                request,
                key_id,
                signing_input,
                ..
            } => {
                let signature = self.keys.signing(&key_id).and_then(|key| {
                    key.sign(&signing_input)
                        .inspect_err(|error| error!(error = error.chain(), "cannot sign"))
                        .ok()
                });
                self.machine
                    .handle_signature(request, signature.as_deref(), now);
            }
            Output::Verify {
                request,
                key_id,
                signing_input,
                signature,
                ..
            } => {
                let key = self.keys.signing(&key_id);
                let good = key.is_some_and(|key| key.verify(&signing_input, &signature));
                self.machine.handle_verification(request, good, now);
            }
            Output::VerifyProof {
                request,
                key,
                signing_input,
                signature,
                ..
            } => {
                let good = proves(&key, &signing_input, &signature);
                self.machine.handle_verification(request, good, now);
            }
            Output::Load { stream } => {
                let store = self.store.clone();
                self.work.spawn(async move {
                    let loaded = load(&store, &stream).await;
                    Done::Loaded(stream, loaded)
                });
            }
            Output::Append(append) => {
                let store = self.store.clone();
                self.work.spawn(async move {
                    let id = append.id;
                    Done::Appended(id, make_durable(&store, append).await)
                });
            }
            Output::SaveSnapshot { stream, snapshot } => {
                let store = self.store.clone();
                self.work.spawn(async move {
                    let snapshot =
                        journal::Snapshot::new(snapshot.version, snapshot.format, snapshot.bytes);
                    if let Err(cause) = store.save_snapshot(&stream, snapshot).await {
                        // The changes are still there, so nothing but time is lost.
                        warn!(stream, %cause, "a snapshot was not kept");
                    }
                    Done::Nothing
                });
            }
            Output::Event(event) => self.note(event),
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::ClientRegistered {
                command,
                client,
                secret,
            } => {
                if let Some(Order::Register(unmet, to)) = self.orders.remove(&command) {
                    drop(to.send(Ok(Registered {
                        unmet: unmet.map(|unmet| unmet.to_string()),
                        client: client.to_string(),
                        secret: secret.map(|secret| secret.expose().to_owned()),
                    })));
                }
            }
            Event::Grants { command, grants } => {
                if let Some(Order::Grants(to)) = self.orders.remove(&command) {
                    drop(to.send(Ok(grants)));
                }
            }
            Event::Done { command } => {
                self.settling.looked(command, true);
                if let Some(Order::EndGrant(to)) = self.orders.remove(&command) {
                    drop(to.send(Ok(())));
                }
            }
            Event::CommandFailed { command, kind } => {
                warn!(%kind, "a command of account linking failed");
                self.settling.looked(command, false);
                if let Some(order) = self.orders.remove(&command) {
                    order.refuse(Error::plain(format!("it was not done: {kind}")));
                }
            }
            Event::GrantEnded {
                account,
                client,
                grant,
                reason,
            } => {
                info!(%account, %client, ?reason, "a link ended");
                self.end(account, grant);
            }
            Event::GrantStarted {
                account,
                client,
                grant,
                ..
            } => info!(%account, %client, %grant, "an account was linked"),
            other => info!(event = ?other, "account linking reports"),
        }
    }

    /// Ends a grant's subscriptions too; until that is durable the machine tells of the end again.
    fn end(&mut self, account: UserId, grant: GrantId) {
        let ids = (account.as_str().parse(), grant.to_string().parse());
        let (Ok(core_account), Ok(core_grant)) = ids else {
            return error!(%account, "the cloud core cannot use the ids of a grant");
        };
        let cloud = self.cloud.clone();
        self.settling.telling();
        self.work.spawn(async move {
            match cloud.end_grant(core_account, core_grant).await {
                Ok(()) => Done::Ended(account, grant),
                Err(cause) => {
                    warn!(%account, %cause, "the end of a grant is not durable yet");
                    Done::NotEnded(account)
                }
            }
        });
    }

    fn finish(&mut self, done: Done) {
        let (wall, now) = (clock::wall(), clock::now());
        match done {
            Done::Password(request, user) => self.machine.handle_password(request, user, now),
            Done::Loaded(stream, Some(loaded)) => self.machine.handle_loaded(&stream, &loaded, now),
            Done::Loaded(stream, None) => self.machine.handle_load_failed(&stream, now),
            Done::Appended(id, appended) => self.machine.handle_appended(id, &appended, now),
            Done::NotEnded(account) => self.settling.told(Some(account)),
            Done::Ended(account, grant) => {
                self.settling.told(None);
                if let Err(cause) = self.machine.settle_grant_end(account, grant, wall, now) {
                    warn!(%cause, "the end of a grant is settled later");
                }
            }
            Done::Owing(streams) => {
                for stream in streams.iter().flatten() {
                    let begun = self
                        .machine
                        .wake(stream, wall, now)
                        .inspect_err(|cause| warn!(stream, %cause, "it is looked after later"));
                    self.settling.looking(stream, begun.ok());
                }
                self.settling.listed(streams.is_some());
            }
            Done::Nothing => {}
        }
    }

    /// Looks for grants that expired, or whose end was not settled when the cloud was killed.
    fn look_around(&mut self) {
        let store = self.store.clone();
        self.work.spawn(async move {
            let now = clock::unix_millis();
            match store.owing(now.saturating_add(1)).await {
                Ok(owing) => Done::Owing(Some(
                    owing
                        .into_iter()
                        .filter(|due| due.stream.starts_with(GRANTS))
                        .map(|due| due.stream)
                        .collect(),
                )),
                Err(cause) => {
                    warn!(%cause, "cannot list what is owed");
                    Done::Owing(None)
                }
            }
        });
    }
}
