//! Where devices come in: CoAP over DTLS-PSK on one UDP socket, turned into reports for the cloud core and back.
//!
//! ```text
//! socket ── coap-psk driver ──▶ outputs ──▶ this task ──▶ one task a session ──▶ reports to the core
//!                    ▲                                         │
//!                    └────────── calls: keys, answers, observations, questions
//! ```
//!
//! This task never waits for the driver, which stands still while nobody reads its outputs: every call is made by a task of
//! its own, or by the session's.

mod device;
mod exchanges;
mod publication;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use coap_psk::activation::{self, ActivateInfo};
use coap_psk::driver;
use coap_psk::dtls::SessionId;
use coap_psk::identity::{PskIdentity, SecureMode};
use coap_psk::message::Code;
use coap_psk::{Endpoint, Event, ExchangeId, Output, Request, Response};
use dtls_dimpl::{DimplEndpoint, Limits};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;
use tracing::{debug, info, warn};
use uci_model::DeviceId;
use uci_server_core::driver::Handle as Cloud;
use uci_server_core::{AccountId, DeviceReport, Occurrence};

use crate::clock;
use crate::config::Coaps;
use crate::error::Error;
use crate::monitor::Metrics;
use crate::products::{Name, Products};
use device::{Device, Task};
pub(crate) use exchanges::Ask;
use exchanges::{Exchanges, Purpose};

/// CoAP's number of JSON (RFC 7252, 12.3).
const JSON: u16 = 50;
/// How many outputs may wait for this task.
const OUTPUTS: usize = 4096;
/// How many tasks may wait at one session.
const TASKS: usize = 64;
/// How long telling all devices that their sessions are over may take.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long a device that counted as online before a restart has for coming back.
const GRACE: Duration = Duration::from_secs(60);

pub(crate) type Calls = driver::Handle<DimplEndpoint>;

/// A device that counts as online although no session of it is known: the cloud was restarted.
#[derive(Debug)]
pub(crate) struct Presumed {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) generation: u64,
}

/// What the gateway is asked by the rest of the program.
#[derive(Debug)]
pub(crate) enum Command {
    /// Ask a device something.
    Ask(Ask),
    /// See that a device comes back in time, or report it offline.
    Expect(Presumed),
    /// Close the device's session: it changed hands, and begins anew.
    Part(DeviceId),
    /// Close every session: the program ends. To be answered when that is done.
    Stop(oneshot::Sender<()>),
}

/// The gateway task.
#[derive(Debug)]
pub(crate) struct Gateway {
    products: Products,
    cloud: Cloud,
    calls: Calls,
    exchanges: Exchanges,
    sessions: BTreeMap<SessionId, Open>,
    devices: BTreeMap<DeviceId, SessionId>,
    /// Said by session tasks when they know which device they carry.
    identified: mpsc::Sender<(SessionId, DeviceId)>,
    identified_here: mpsc::Receiver<(SessionId, DeviceId)>,
    overdue: mpsc::Sender<Presumed>,
    overdue_here: mpsc::Receiver<Presumed>,
    metrics: Arc<Metrics>,
}

/// An open session.
#[derive(Debug)]
struct Open {
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
        metrics: Arc<Metrics>,
    ) -> Self {
        let (identified, identified_here) = mpsc::channel(OUTPUTS);
        let (overdue, overdue_here) = mpsc::channel(OUTPUTS);
        Self {
            products,
            cloud,
            calls,
            exchanges: Exchanges::default(),
            sessions: BTreeMap::new(),
            devices: BTreeMap::new(),
            identified,
            identified_here,
            overdue,
            overdue_here,
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
                    Command::Part(device) => self.part(device),
                    Command::Stop(stopped) => {
                        self.stop(outputs).await;
                        // Whoever asked may have gone.
                        let _ = stopped.send(());
                        return;
                    }
                },
                Some((session, device)) = self.identified_here.recv() => {
                    if self.sessions.contains_key(&session) {
                        self.devices.insert(device, session);
                    }
                }
                Some(presumed) = self.overdue_here.recv() => self.give_up(presumed),
            }
        }
    }

    /// Tells every device that its session is over, so that none has to find out by not being answered. They still count as
    /// online: a cloud that is back soon sees them again.
    async fn stop(self, mut outputs: mpsc::Receiver<Output>) {
        let Self {
            calls, sessions, ..
        } = self;
        drop(sessions);
        let told = async {
            calls.call(Endpoint::close_all).await;
            // The driver sends what the closing made before it takes the next call.
            calls.call(|_, _| ()).await;
        };
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
                let (products, calls) = (self.products.clone(), self.calls.clone());
                let metrics = Arc::clone(&self.metrics);
                tokio::spawn(async move {
                    let key = products.key_for(&identity).await;
                    metrics.identity(key.is_some());
                    calls
                        .call(move |endpoint, now| endpoint.provide_key(handshake, key, now))
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
                let open = self.sessions.entry(session).or_insert_with(|| Open {
                    tasks: Device::start(
                        session,
                        name,
                        self.products.clone(),
                        self.cloud.clone(),
                        self.calls.clone(),
                        self.exchanges.clone(),
                        self.identified.clone(),
                        TASKS,
                    ),
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
                if let Some(href) = self.exchanges.observed(exchange) {
                    self.changed(exchange.session(), href, response);
                }
            }
            Event::Response { exchange, response } => match self.exchanges.take(exchange) {
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
                if let Some(Purpose::Ask(answer)) = self.exchanges.take(exchange) {
                    // The asker may have given up, too.
                    drop(answer.send(uci_server_core::DeviceAnswer::Unreachable));
                }
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
            return respond(&self.calls, exchange, Response::new(Code::FORBIDDEN));
        }
        let (products, calls) = (self.products.clone(), self.calls.clone());
        let device = identity.device().clone();
        tokio::spawn(async move {
            let response = match products.activate(&name).await {
                Ok(secret) => activation_answer(device, secret),
                Err(error) => {
                    warn!(%device, error = error.chain(), "activation refused");
                    Response::new(Code::FORBIDDEN)
                }
            };
            respond(&calls, exchange, response);
        });
    }

    fn changed(&self, session: SessionId, href: uci_model::Href, response: Response) {
        if let (Some(open), Some(content)) = (
            self.sessions.get(&session),
            exchanges::content_of(&response),
        ) {
            give(&open.tasks, Task::Changed { href, content });
        }
    }

    fn ask(&self, ask: Ask) {
        match self.devices.get(&ask.request.device) {
            Some(session) => exchanges::ask(*session, ask, &self.calls, &self.exchanges),
            None => drop(ask.answer.send(uci_server_core::DeviceAnswer::Unreachable)),
        }
    }

    fn expect(&self, presumed: Presumed) {
        let overdue = self.overdue.clone();
        tokio::spawn(async move {
            tokio::time::sleep(GRACE).await;
            // The gateway may have ended.
            drop(overdue.send(presumed).await);
        });
    }

    fn give_up(&self, presumed: Presumed) {
        if self.devices.contains_key(&presumed.device) {
            return;
        }
        let cloud = self.cloud.clone();
        tokio::spawn(async move {
            let device = presumed.device;
            let report = DeviceReport::new(
                presumed.account,
                device,
                presumed.generation,
                Occurrence::Offline,
            );
            if let Err(error) = cloud.report(report).await {
                warn!(%device, %error, "a device that did not come back could not be reported");
            }
        });
    }

    fn part(&self, device: DeviceId) {
        if let Some(session) = self.devices.get(&device).copied() {
            let calls = self.calls.clone();
            tokio::spawn(async move {
                calls
                    .call(move |endpoint, now| endpoint.close(session, now))
                    .await;
            });
        }
    }

    fn forget(&mut self, session: SessionId) {
        if let Some(mut open) = self.sessions.remove(&session) {
            open.went_offline(&self.metrics);
        }
        self.devices.retain(|_, known| *known != session);
        self.exchanges.forget(session);
    }
}

/// Opens the socket.
///
/// # Errors
/// The address is taken, or not one of this machine.
pub(crate) async fn bind(coaps: &Coaps) -> Result<UdpSocket, Error> {
    UdpSocket::bind(coaps.listen).await.map_err(|cause| {
        Error::new(
            format!(
                "cannot listen on udp {} (coaps.listen in the configuration)",
                coaps.listen
            ),
            cause,
        )
    })
}

/// Drives the CoAP endpoint on its socket until the gateway is gone.
///
/// # Errors
/// The socket broke, or the system gave no random bytes.
pub(crate) async fn drive(
    socket: UdpSocket,
    coaps: Coaps,
    mut calls: driver::Calls<DimplEndpoint>,
    outputs: mpsc::Sender<Output>,
    metrics: Arc<Metrics>,
) -> Result<(), Error> {
    let mut limits = Limits::default();
    limits.max_sessions = coaps.max_sessions;
    let mut config = coap_psk::Config::default();
    config.max_sessions = coaps.max_sessions;
    let dtls = DimplEndpoint::new(limits, clock::now()).counting(Arc::clone(metrics.handshakes()));
    let mut endpoint = Endpoint::new(config, dtls, clock::entropy()?);
    driver::run(&socket, &mut endpoint, &mut calls, &outputs)
        .await
        .map_err(|cause| Error::new("the CoAP socket broke", cause))
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

/// Answers a device, without waiting for it.
fn respond(calls: &Calls, exchange: ExchangeId, response: Response) {
    let calls = calls.clone();
    tokio::spawn(async move {
        let answered = calls
            .call(move |endpoint, now| endpoint.respond(exchange, response, now))
            .await;
        if let Some(Err(error)) = answered {
            warn!(?exchange, %error, "an answer could not be sent");
        }
    });
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
