//! Where devices come in: CoAP over DTLS-PSK at one UDP address, turned into reports for the cloud core and back.
//!
//! ```text
//! sockets ── coap-psk driver ──▶ outputs ──▶ this task ──▶ one task a session ──▶ reports to the core
//!                    ▲                                         │
//!                    └────────── calls: keys, answers, observations, questions
//! ```
//!
//! There may be several sockets, each with an endpoint of its own: the driver sees that this is not noticed here.
//!
//! This task never waits for the driver, which stands still while nobody reads its outputs: every call is made by a task of
//! its own, or by the session's.

mod device;
mod engine;
mod exchanges;
mod format;
mod publication;
mod shared;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use coap_psk::activation::{self, ActivateInfo};
use coap_psk::driver;
use coap_psk::dtls::SessionId;
use coap_psk::identity::{Lifetime, PskIdentity, SecureMode};
use coap_psk::message::Code;
use coap_psk::{Endpoint, Event, ExchangeId, Output, Request, Response};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tracing::{debug, info, warn};
use uci_model::DeviceId;
use uci_server_core::driver::Handle as Cloud;
use uci_server_core::{Fault, Occurrence};

use crate::clock;
use crate::config::Coaps;
use crate::error::Error;
use crate::monitor::Metrics;
use crate::products::{Name, Products};
use device::{Device, Task};
pub(crate) use engine::{DtlsEngine, Engine};
pub(crate) use exchanges::Ask;
use exchanges::{Exchanges, Purpose};
pub(crate) use shared::Known;
use shared::{AGAIN, Shared, refusal};

/// CoAP's number of JSON (RFC 7252, 12.3).
const JSON: u16 = 50;
/// How many outputs may wait for this task, and how many calls for a shard.
const OUTPUTS: usize = 4096;
/// How long telling all devices that their sessions are over may take.
const FAREWELL: Duration = Duration::from_secs(5);

pub(crate) type Calls = driver::Shards<Engine>;

/// What the gateway is asked by the rest of the program.
#[derive(Debug)]
pub(crate) enum Command {
    /// Ask a device something.
    Ask(Ask),
    /// See that a device that counts as online, although no session of it is known, comes back in time, or report it offline.
    Expect(Known),
    /// Close the device's session: it changed hands, and begins anew.
    Part(Name),
    /// Close every session: the program ends. To be answered when that is done.
    Stop(oneshot::Sender<()>),
}

/// The gateway task.
#[derive(Debug)]
pub(crate) struct Gateway {
    shared: Shared,
    sessions: BTreeMap<SessionId, Open>,
    devices: BTreeMap<DeviceId, SessionId>,
    identified: mpsc::Receiver<(SessionId, DeviceId)>,
    overdue: mpsc::Receiver<Known>,
    metrics: Arc<Metrics>,
}

/// An open session.
#[derive(Debug)]
struct Open {
    name: Name,
    tasks: mpsc::Sender<Task>,
    /// A device that was silent for its lifetime has a session and is not online.
    online: bool,
}

impl Open {
    fn went_offline(&mut self, metrics: &Metrics) {
        if std::mem::take(&mut self.online) {
            metrics.went_offline();
        }
    }
}

impl Gateway {
    pub(crate) fn new(
        products: Products,
        cloud: Cloud,
        calls: Calls,
        coaps: &Coaps,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (identified, identified_here) = mpsc::channel(OUTPUTS);
        let (overdue, overdue_here) = mpsc::channel(OUTPUTS);
        Self {
            shared: Shared {
                products,
                cloud,
                calls,
                exchanges: Exchanges::default(),
                identified,
                overdue,
                registration_grace: Duration::from_secs(coaps.registration_grace_seconds),
            },
            sessions: BTreeMap::new(),
            devices: BTreeMap::new(),
            identified: identified_here,
            overdue: overdue_here,
            metrics,
        }
    }

    /// Runs until nothing can come any more.
    pub(crate) async fn run(
        mut self,
        mut outputs: mpsc::Receiver<Output>,
        mut commands: mpsc::Receiver<Command>,
    ) {
        loop {
            tokio::select! {
                output = outputs.recv() => match output {
                    Some(output) => self.take(output),
                    None => return,
                },
                Some(command) = commands.recv() => match command {
                    Command::Ask(ask) => self.ask(ask),
                    Command::Expect(presumed) => self.expect(presumed),
                    Command::Part(name) => self.part(&name),
                    Command::Stop(stopped) => {
                        self.stop(outputs).await;
                        // Whoever asked may have gone.
                        let _ = stopped.send(());
                        return;
                    }
                },
                Some((session, device)) = self.identified.recv() => {
                    if self.sessions.contains_key(&session) {
                        self.devices.insert(device, session);
                    }
                }
                Some(presumed) = self.overdue.recv() => self.give_up(presumed),
            }
        }
    }

    /// Tells every device that its session is over, so that none has to find out by not being answered. They still count as
    /// online: a cloud that is back soon sees them again.
    async fn stop(self, mut outputs: mpsc::Receiver<Output>) {
        let Self {
            shared, sessions, ..
        } = self;
        drop(sessions);
        let told = shared.calls.close_all();
        let ignored = async { while outputs.recv().await.is_some() {} };
        tokio::select! {
            () = told => {}
            () = ignored => {}
            () = sleep(FAREWELL) => warn!("not every device was told that its session is over"),
        }
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::KeyWanted {
                handshake,
                identity,
            } => {
                let (products, calls) = (self.shared.products.clone(), self.shared.calls.clone());
                let metrics = Arc::clone(&self.metrics);
                tokio::spawn(async move {
                    let key = products.key_for(&identity).await;
                    metrics.identity(key.is_some());
                    calls
                        .call(handshake, move |endpoint, now| {
                            endpoint.provide_key(handshake, key, now);
                        })
                        .await;
                });
            }
            Output::Request {
                exchange,
                identity,
                request,
            } => self.request(exchange, &identity, request),
            Output::Event(event) => self.event(event),
            // The driver sends these itself.
            Output::Transmit(_) => {}
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Online {
                session,
                identity,
                peer,
                replaced,
            } => {
                if let Some(old) = replaced {
                    self.forget(old);
                }
                let Some(name) = Name::of(&identity) else {
                    return;
                };
                info!(session = session.0, device = %identity.device(), %peer, "online");
                let shared = &self.shared;
                let open = self.sessions.entry(session).or_insert_with(|| Open {
                    tasks: Device::start(
                        session,
                        name.clone(),
                        identity.lifetime(),
                        shared.clone(),
                    ),
                    name,
                    online: false,
                });
                if !std::mem::replace(&mut open.online, true) {
                    self.metrics.came_online();
                }
                give(&open.tasks, Task::Online);
            }
            Event::Offline {
                session,
                identity,
                why,
            } => {
                info!(session = session.0, device = %identity.device(), ?why, "offline");
                if let Some(open) = self.sessions.get_mut(&session) {
                    open.went_offline(&self.metrics);
                    give(&open.tasks, Task::Offline);
                }
                if why != coap_psk::OfflineReason::Silent {
                    self.forget(session);
                }
            }
            Event::Notification { exchange, response } => {
                if let Some(href) = self.shared.exchanges.observed(exchange) {
                    self.changed(exchange.session(), href, response);
                }
            }
            Event::Response { exchange, response } => match self.shared.exchanges.take(exchange) {
                Some(Purpose::Ask(answer)) => exchanges::answer(answer, &response),
                // It cannot be observed, but this is what it holds now.
                Some(Purpose::Observe(href)) => self.changed(exchange.session(), href, response),
                Some(Purpose::Describe) => {
                    if let Some(open) = self.sessions.get(&exchange.session()) {
                        give(&open.tasks, Task::Described(response));
                    }
                }
                None => {}
            },
            Event::Failed { exchange, failure } => {
                debug!(?exchange, ?failure, "an exchange failed");
                if let Some(Purpose::Ask(answer)) = self.shared.exchanges.take(exchange) {
                    // The asker may have given up, too.
                    drop(answer.send(uci_server_core::DeviceAnswer::Unreachable));
                }
            }
            Event::MalformedIdentity { peer, len } => {
                self.metrics.identity(false);
                info!(%peer, len, "a device was not let in: its identity is malformed");
            }
            other => debug!(?other, "a device event"),
        }
    }

    fn request(&self, exchange: ExchangeId, identity: &PskIdentity, request: Request) {
        let Some(name) = Name::of(identity) else {
            return;
        };
        if identity.mode() == SecureMode::ProductSecret {
            return self.activate(exchange, identity, name, &request);
        }
        if let Some(open) = self.sessions.get(&exchange.session()) {
            give(&open.tasks, Task::Request { exchange, request });
        }
    }

    /// A device that knows only its product's secret asks for its own. What follows is durable before it is told.
    fn activate(
        &self,
        exchange: ExchangeId,
        identity: &PskIdentity,
        name: Name,
        request: &Request,
    ) {
        if !activation::permits(identity.device(), request) {
            return self
                .shared
                .respond(exchange, Response::new(Code::FORBIDDEN));
        }
        let shared = self.shared.clone();
        let device = identity.device().clone();
        tokio::spawn(async move {
            let response = match shared.products.activate(&name).await {
                Ok(secret) => activation_answer(device, secret),
                Err(failure) => refusal(failure, format_args!("activation of {device}")),
            };
            shared.respond(exchange, response);
        });
    }

    fn changed(&self, session: SessionId, href: uci_model::Href, response: Response) {
        let Some(open) = self.sessions.get(&session) else {
            return;
        };
        match exchanges::content_of(&response) {
            Some(content) => give(&open.tasks, Task::Changed { href, content }),
            None => debug!(
                session = session.0,
                code = %response.code,
                format = response.content_format,
                "what a device says of a resource is nothing to keep"
            ),
        }
    }

    fn ask(&self, ask: Ask) {
        match self.devices.get(&ask.request.device) {
            Some(session) if self.tells(*session, &ask.request.href) => {
                drop(ask.answer.send(uci_server_core::DeviceAnswer::AsKnown));
            }
            Some(session) => {
                exchanges::ask(*session, ask, &self.shared.calls, &self.shared.exchanges);
            }
            None => drop(ask.answer.send(uci_server_core::DeviceAnswer::Unreachable)),
        }
    }

    /// Whether the device tells this resource itself, by the template of its product, and does not know it when asked.
    fn tells(&self, session: SessionId, href: &uci_model::Href) -> bool {
        let open = self.sessions.get(&session);
        let template = open.and_then(|open| self.shared.products.template(&open.name.product));
        template.is_some_and(|template| template.resource(href.as_str()).is_some())
    }

    /// When it was heard last is not known, only that it was before now: within its lifetime it may still come back in time.
    fn expect(&self, presumed: Known) {
        let shared = self.shared.clone();
        tokio::spawn(async move {
            let lifetime = shared.products.lifetime(presumed.device).await;
            let lifetime = lifetime.unwrap_or(Lifetime::MIN.as_secs());
            shared.expect(presumed, Duration::from_secs(lifetime.into()));
        });
    }

    fn give_up(&self, presumed: Known) {
        if self.devices.contains_key(&presumed.device) {
            return;
        }
        let shared = self.shared.clone();
        tokio::spawn(async move {
            let told = shared.tell(&presumed, Occurrence::Offline).await;
            if let Err(error) = told
                && error.fault() == Fault::Local
            {
                let device = presumed.device;
                warn!(%device, %error, "a device that is gone is reported later");
                shared.expect(presumed, AGAIN);
            }
        });
    }

    fn part(&self, name: &Name) {
        // Looked for among all: owners change seldom.
        let parted = self.sessions.iter().filter(|(_, open)| open.name == *name);
        for (session, _) in parted {
            self.shared.close(*session);
        }
    }

    fn forget(&mut self, session: SessionId) {
        if let Some(mut open) = self.sessions.remove(&session) {
            open.went_offline(&self.metrics);
        }
        self.devices.retain(|_, known| *known != session);
        self.shared.exchanges.forget(session);
    }
}

/// Opens the sockets, one for each shard.
///
/// # Errors
/// The address is taken, or not one of this machine; or the system lets nobody share one.
pub(crate) fn bind(coaps: &Coaps) -> Result<Vec<UdpSocket>, Error> {
    driver::bind(coaps.listen, coaps.shards).map_err(|cause| {
        Error::new(
            format!(
                "cannot listen on udp {} (coaps.listen in the configuration)",
                coaps.listen
            ),
            cause,
        )
    })
}

/// Drives the CoAP endpoint of a shard on its socket until the gateway is gone.
///
/// # Errors
/// The socket broke, or the system gave no random bytes.
pub(crate) async fn drive(
    socket: UdpSocket,
    coaps: Coaps,
    engine: Engine,
    mut shard: driver::Shard<Engine>,
    outputs: mpsc::Sender<Output>,
) -> Result<(), Error> {
    let mut config = coap_psk::Config::default();
    config.max_sessions = coaps.sessions_of_a_shard();
    let mut endpoint = Endpoint::new(config, engine, clock::entropy()?);
    shard
        .run(&socket, &mut endpoint, &outputs)
        .await
        .map_err(|cause| Error::new("the CoAP socket broke", cause))
}

/// The handle to all shards, and the shards.
pub(crate) fn shards(coaps: &Coaps) -> (Calls, Vec<driver::Shard<Engine>>) {
    let mut queues = driver::Queues::default();
    queues.calls = OUTPUTS;
    driver::shards(coaps.shards, queues)
}

/// A channel for outputs of the size that this gateway wants.
pub(crate) fn outputs() -> (mpsc::Sender<Output>, mpsc::Receiver<Output>) {
    mpsc::channel(OUTPUTS)
}

fn activation_answer(
    device: coap_psk::identity::DeviceName,
    secret: coap_psk::secret::DeviceSecret,
) -> Response {
    let asset = device.device_key().to_string();
    match ActivateInfo::new("1".to_owned(), asset, device, secret).to_json() {
        // EnOS answers every good request with 2.04, and only then with a payload.
        Ok(json) => Response::new(Code::CHANGED).with_payload(JSON, json),
        Err(_) => Response::new(Code::INTERNAL_SERVER_ERROR),
    }
}

/// Hands a task to a session; one that is flooded loses what comes on top, and says so.
fn give(tasks: &mpsc::Sender<Task>, task: Task) {
    if let Err(mpsc::error::TrySendError::Full(task)) = tasks.try_send(task) {
        if matches!(task, Task::Offline | Task::Online) {
            // These must arrive, later if not now.
            let tasks = tasks.clone();
            tokio::spawn(async move { drop(tasks.send(task).await) });
        } else {
            warn!("a device sends more than the cloud takes in; a message was dropped");
        }
    }
}
