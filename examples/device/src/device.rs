//! The device's life: connect, activate once, publish, answer, keep alive, and begin again when the cloud is gone.
//!
//! ```text
//!            ┌───────────────────────────── failed, closed or unanswered ◀──────────────────────────┐
//!            ▼                                                                                      │
//!  Waiting ─▶ Connecting ─▶ SecureMode 3: Activating ─ secret kept ─▶ Waiting                       │
//!                       └─▶ SecureMode 2: Online: publish ─▶ answer, notify, keep alive ────────────┘
//! ```

mod phase;
mod serving;

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use coap_psk::driver::{self, Calls, Handle};
use coap_psk::dtls::SessionId;
use coap_psk::{Config, Endpoint, Event, ExchangeId, Failure, Instant, Output, Request};
use dtls_dimpl::{DimplEndpoint, Limits};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UdpSocket;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant as Moment, sleep_until};

use crate::appliance::Appliance;
use crate::args::Args;
use crate::backoff::Backoff;
use crate::control::{Line, report};
use crate::entropy::entropy;
use crate::error::Error;
use crate::place::Place;
use crate::state::State;

use phase::Phase;
use serving::Observed;

/// Outputs that may wait for the device: far more than one cloud can cause at a time.
const OUTPUTS: usize = 1024;
/// How long a message of the device is repeated before its cloud is taken for gone: 10.5 s at most.
const ACK_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_RETRANSMIT: u8 = 2;
/// How long a request may take as a whole.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

pub(crate) type Dtls = DimplEndpoint;

/// Runs the device until it is told to end.
///
/// # Errors
/// The state directory, a secret or the socket is not usable.
pub(crate) async fn run(args: &Args) -> Result<(), Error> {
    let state = State::open(&args.state)?;
    let place = Place::find(args, &state).await?;
    let (outputs, mut arriving) = mpsc::channel(OUTPUTS);
    let (handle, calls) = driver::handle(16);
    let socket = socket_to(place.cloud).await?;
    let mut device = Device::new(args, state, place, handle);
    let mut driving = tokio::spawn(drive(socket, calls, outputs, entropy()?));
    let mut lines = Some(BufReader::new(tokio::io::stdin()).lines());
    let mut terminated = signal(SignalKind::terminate())
        .map_err(|cause| Error::new("cannot wait for SIGTERM", cause))?;
    loop {
        let line = async {
            match &mut lines {
                Some(lines) => lines.next_line().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(output) = arriving.recv() => device.handle_output(output).await?,
            line = line => match line {
                Ok(Some(line)) => match device.handle_line(&line, &driving).await? {
                    ControlFlow::Continue(()) => {}
                    ControlFlow::Break(()) => return Ok(()),
                },
                // Nobody types any more: the device lives on.
                Ok(None) | Err(_) => lines = None,
            },
            () = device.next_deadline() => device.handle_timeout().await?,
            _ = terminated.recv() => return device.quit().await,
            _ = tokio::signal::ctrl_c() => return device.quit().await,
            driven = &mut driving, if !device.silent => {
                let cause = driven.map_err(|cause| Error::new("the driver ended", cause))?;
                return cause.map_err(|cause| Error::new("the socket cannot be read", cause));
            }
        }
    }
}

/// A UDP socket of the family of an address.
///
/// # Errors
/// The system has none.
pub(crate) async fn socket_to(peer: SocketAddr) -> Result<UdpSocket, Error> {
    let local = if peer.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    UdpSocket::bind(local)
        .await
        .map_err(|cause| Error::new("no UDP socket", cause))
}

/// Moves datagrams and calls until nobody calls any more.
///
/// # Errors
/// The socket broke.
pub(crate) async fn drive(
    socket: UdpSocket,
    mut calls: Calls<Dtls>,
    outputs: mpsc::Sender<Output>,
    seed: [u8; 32],
) -> std::io::Result<()> {
    let mut config = Config::default();
    config.transmission.ack_timeout = ACK_TIMEOUT;
    config.transmission.max_retransmit = MAX_RETRANSMIT;
    config.request_timeout = REQUEST_TIMEOUT;
    let dtls = DimplEndpoint::new(Limits::default(), Moment::now().into_std());
    let mut endpoint = Endpoint::new(config, dtls, seed);
    driver::run(&socket, &mut endpoint, &mut calls, &outputs).await
}

struct Device {
    place: Place,
    state: State,
    appliance: Appliance,
    observed: Observed,
    handle: Handle<Dtls>,
    phase: Phase,
    backoff: Backoff,
    /// Nothing is sent any more.
    silent: bool,
}

impl Device {
    fn new(args: &Args, state: State, place: Place, handle: Handle<Dtls>) -> Self {
        Self {
            place,
            state,
            appliance: Appliance::new(args.di, &args.name),
            observed: Observed::default(),
            handle,
            phase: Phase::Waiting {
                until: Moment::now(),
            },
            backoff: Backoff::default(),
            silent: false,
        }
    }

    /// Calls the endpoint.
    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Endpoint<Dtls>, Instant) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let result = self.handle.call(call).await;
        result.ok_or_else(|| Error::plain("the driver ended"))
    }

    /// Sends a request on the session, and closes the session when that cannot be done.
    async fn ask(&self, session: SessionId, request: Request) -> Result<Option<ExchangeId>, Error> {
        let asked = self
            .call(move |endpoint, now| {
                endpoint
                    .request(session, request, now)
                    .inspect_err(|_| endpoint.close(session, now))
            })
            .await?;
        Ok(asked
            .inspect_err(|error| tracing::warn!(%error, "a request was not sent"))
            .ok())
    }

    async fn close(&self, session: SessionId) -> Result<(), Error> {
        self.call(move |endpoint, now| endpoint.close(session, now))
            .await
    }

    async fn handle_output(&mut self, output: Output) -> Result<(), Error> {
        if self.silent {
            // It came before the radio fell silent; there is no driver any more that could answer.
            return Ok(());
        }
        match output {
            Output::Request {
                exchange, request, ..
            } => self.serve(exchange, request).await,
            // The driver sends datagrams itself, and a device lets nobody in.
            Output::Transmit(_) => Ok(()),
            Output::KeyWanted { handshake, .. } => {
                self.call(move |endpoint, now| endpoint.provide_key(handshake, None, now))
                    .await
            }
            Output::Event(Event::Online { session, .. }) => self.connected(session).await,
            Output::Event(Event::Offline { session, why, .. }) => {
                self.lost(session, &format!("{why:?}"))
            }
            Output::Event(Event::Response { exchange, response }) => {
                self.answered(exchange, &response).await
            }
            Output::Event(Event::Failed { exchange, failure }) if self.phase.awaits(exchange) => {
                self.unanswered(exchange.session(), failure).await
            }
            Output::Event(_) => Ok(()),
        }
    }

    /// Nobody answers on this session: it is of no use any more.
    async fn unanswered(&mut self, session: SessionId, failure: Failure) -> Result<(), Error> {
        self.lost(session, &format!("unanswered: {failure:?}"))?;
        self.close(session).await
    }

    /// Waits before the next try.
    fn lost(&mut self, session: SessionId, why: &str) -> Result<(), Error> {
        if self.phase.session() != Some(session) {
            return Ok(());
        }
        let wait = self.backoff.next(entropy()?);
        self.observed.clear();
        self.phase = Phase::Waiting { until: later(wait) };
        let retry = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        report(
            "offline",
            &[("why", Json::from(why)), ("retry_in_ms", Json::from(retry))],
        );
        Ok(())
    }

    async fn handle_line(
        &mut self,
        line: &str,
        driving: &JoinHandle<std::io::Result<()>>,
    ) -> Result<ControlFlow<()>, Error> {
        match Line::parse(line) {
            None => {}
            Some(Err(problem)) => report("error", &[("problem", Json::from(problem))]),
            Some(Ok(Line::Get { href })) => self.print(&href),
            Some(Ok(Line::Set { href, value })) => self.change(&href, &value).await?,
            Some(Ok(Line::Silence)) => {
                self.silent = true;
                self.phase = Phase::Silent;
                driving.abort();
                report("silent", &[]);
            }
            Some(Ok(Line::Quit)) => {
                self.quit().await?;
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn print(&self, href: &str) {
        match self.appliance.get(href) {
            Some(value) => report(
                "value",
                &[("href", Json::from(href)), ("value", json!(value))],
            ),
            None => report(
                "error",
                &[("problem", Json::from(format!("there is no {href}")))],
            ),
        }
    }

    /// Ends as a good device does: the cloud need not wait for its lifetime.
    async fn quit(&self) -> Result<(), Error> {
        if let Some(session) = self.phase.session() {
            self.close(session).await?;
            // The driver sends what the closing made before it takes the next call.
            self.call(|_, _| ()).await?;
        }
        report("ended", &[]);
        Ok(())
    }

    /// Waits until something is due.
    async fn next_deadline(&self) {
        match self.phase.deadline() {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

/// The moment after so long a time.
fn later(wait: Duration) -> Moment {
    let now = Moment::now();
    now.checked_add(wait).unwrap_or(now)
}
