//! The listener: one task that holds the machine, between the driver of CoAP and a provisioner.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use coap_psk::dtls::{DtlsEndpoint, HandshakeId, SessionId};
use coap_psk::{
    Code, Config, Endpoint, Event as Coap, Output as CoapOutput, PskKey, Request, Response, driver,
};
use provisioning_proto::lwm2m::{
    self, BootstrapId, Bootstraps, Client, Configuration, Event, ExchangeId, Incoming, Missing,
    Output, PeerId, RequestId, TransportFailure,
};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::debug;

use crate::carry;
use crate::identity::revealed;
use crate::shared::{Exchanges, Names, Order, carry_out, locked, remember, respond, tell};

/// How many outputs, calls and answers may wait.
const QUEUE: usize = 1024;

/// A client whose key is known.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "a key and whose it is")]
pub struct Known {
    /// Whose key it is: what the client may call itself.
    pub client: Client,
    /// The key.
    pub key: PskKey,
}

/// Who knows keys and configurations.
pub trait Provisioner: Clone + Send + Sync + 'static {
    /// The client with this PSK identity and its key; nothing when there is none, or it may not come in.
    fn known(&self, identity: &[u8]) -> impl Future<Output = Option<Known>> + Send;

    /// The client that an address without DTLS is taken for: the name that it says itself, in tests; nobody.
    fn believed(&self, endpoint: &str) -> impl Future<Output = Option<Client>> + Send {
        let _ = endpoint;
        async { None }
    }

    /// What a client that asks from an address is to have, or why there is nothing. Whatever its servers must know of it they
    /// know when this is answered: its keys are sent at once.
    fn configuration(
        &self,
        client: &Client,
        peer: Option<IpAddr>,
    ) -> impl Future<Output = Result<Configuration, Missing>> + Send;

    /// What became of a bootstrap.
    fn ended(&self, event: Event) -> impl Future<Output = ()> + Send;
}

/// How a listener works.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Settings {
    /// How bootstraps are done.
    pub bootstraps: lwm2m::Config,
    /// Sessions, messages and limits of CoAP.
    pub coap: Config,
    /// Whether others cannot read what is sent.
    pub confidential: bool,
}

/// Serves one socket until it breaks.
///
/// # Errors
/// The socket cannot be read.
pub async fn serve<D, P>(
    socket: UdpSocket,
    dtls: D,
    seed: [u8; 32],
    settings: Settings,
    provisioner: P,
) -> io::Result<()>
where
    D: DtlsEndpoint + Send + 'static,
    P: Provisioner,
{
    let mut endpoint = Endpoint::new(settings.coap.clone(), dtls, seed);
    let (handle, mut calls) = driver::handle(QUEUE);
    let (sender, outputs) = mpsc::channel(QUEUE);
    let (told, news) = mpsc::channel(QUEUE);
    let (orders, ordered) = mpsc::unbounded_channel();
    let listener = Listener {
        machine: Bootstraps::new(settings.bootstraps.clone()),
        settings,
        provisioner,
        handle,
        orders,
        told,
        exchanges: Exchanges::default(),
        names: Names::default(),
        sessions: BTreeMap::new(),
        addresses: BTreeMap::new(),
        requests: BTreeMap::new(),
        next: 0,
    };
    let handle = listener.handle.clone();
    tokio::select! {
        ended = driver::run(&socket, &mut endpoint, &mut calls, &sender) => ended,
        () = listener.run(outputs, news) => Ok(()),
        () = carry_out(handle, ordered) => Ok(()),
    }
}

/// What the tasks of the listener tell it.
enum News {
    Configured(BootstrapId, Result<Configuration, Missing>),
    Unsent(ExchangeId),
    Believed(Client, coap_psk::ExchangeId, Request),
}

struct Listener<D, P> {
    machine: Bootstraps,
    settings: Settings,
    provisioner: P,
    handle: driver::Handle<D>,
    orders: mpsc::UnboundedSender<Order<D>>,
    told: mpsc::Sender<News>,
    exchanges: Exchanges,
    names: Names,
    /// Whose session it is, for those with a key.
    sessions: BTreeMap<SessionId, Client>,
    /// Where each of them came in last.
    addresses: BTreeMap<Client, (SessionId, IpAddr)>,
    /// Requests of clients without an answer.
    requests: BTreeMap<RequestId, coap_psk::ExchangeId>,
    next: u64,
}

impl<D: DtlsEndpoint + Send + 'static, P: Provisioner> Listener<D, P> {
    async fn run(
        mut self,
        mut outputs: mpsc::Receiver<CoapOutput>,
        mut news: mpsc::Receiver<News>,
    ) {
        loop {
            self.drain();
            let deadline = self.machine.next_deadline();
            tokio::select! {
                output = outputs.recv() => match output {
                    Some(output) => self.take(output),
                    None => return,
                },
                Some(news) = news.recv() => self.learn(news),
                () = sleep_until(deadline) => self.machine.handle_timeout(now()),
            }
        }
    }

    fn take(&mut self, output: CoapOutput) {
        match output {
            CoapOutput::KeyWanted {
                handshake,
                identity,
            } => {
                self.provide_key(handshake, revealed(&identity).unwrap_or_default());
            }
            CoapOutput::Request {
                exchange, request, ..
            } => self.request(exchange, request),
            CoapOutput::Event(event) => self.event(event),
            // The driver sends these itself.
            CoapOutput::Transmit(_) => {}
        }
    }

    fn provide_key(&self, handshake: HandshakeId, identity: Vec<u8>) {
        let (provisioner, handle, names) = (
            self.provisioner.clone(),
            self.handle.clone(),
            Arc::clone(&self.names),
        );
        tokio::spawn(async move {
            let known = provisioner.known(&identity).await;
            let key = known.map(|Known { client, key }| {
                remember(&names, identity, client);
                key
            });
            handle
                .call(move |endpoint, now| endpoint.provide_key(handshake, key, now))
                .await;
        });
    }

    fn request(&mut self, exchange: coap_psk::ExchangeId, request: Request) {
        if !carry::is_understood(&request) {
            return self.respond(exchange, Response::new(Code::BAD_OPTION));
        }
        if self.settings.confidential {
            match self.sessions.get(&exchange.session()) {
                Some(client) => self.give(client.clone(), exchange, &request),
                None => self.respond(exchange, Response::new(Code::BAD_REQUEST)),
            }
            return;
        }
        let name = request
            .query
            .iter()
            .find_map(|argument| argument.strip_prefix("ep="));
        let (name, told, provisioner) = (
            name.unwrap_or_default().to_owned(),
            self.told.clone(),
            self.provisioner.clone(),
        );
        let (orders, refusal) = (self.orders.clone(), Response::new(Code::BAD_REQUEST));
        tokio::spawn(async move {
            match provisioner.believed(&name).await {
                Some(client) => drop(told.send(News::Believed(client, exchange, request)).await),
                None => drop(orders.send(respond(exchange, refusal))),
            }
        });
    }

    fn give(&mut self, client: Client, exchange: coap_psk::ExchangeId, request: &Request) {
        let Some(carried) = carry::request_in(request) else {
            return self.respond(exchange, Response::new(Code::METHOD_NOT_ALLOWED));
        };
        self.next = self.next.wrapping_add(1);
        let (id, peer) = (RequestId(self.next), PeerId(exchange.session().0));
        self.requests.insert(id, exchange);
        let confidential = self.settings.confidential;
        let incoming = Incoming {
            id,
            peer,
            client,
            confidential,
            request: &carried,
        };
        self.machine.handle_request(incoming, now());
    }

    fn event(&mut self, event: Coap) {
        match event {
            Coap::Online {
                session,
                identity,
                peer,
                replaced,
            } => {
                let before = replaced.and_then(|old| self.forget(old));
                let name =
                    revealed(&identity).and_then(|identity| locked(&self.names).remove(&identity));
                if let Some(client) = name.map(|(_, client)| client).or(before) {
                    let place = (session, peer.ip());
                    self.addresses.insert(client.clone(), place);
                    self.sessions.entry(session).or_insert(client);
                }
            }
            Coap::Offline { session, why, .. } => {
                debug!(session = session.0, ?why, "a client is gone");
                if why != coap_psk::OfflineReason::Silent {
                    self.forget(session);
                }
            }
            Coap::Response { exchange, response } => {
                let known = locked(&self.exchanges).remove(&exchange);
                if let Some(known) = known {
                    self.machine
                        .handle_response(known, &carry::response_in(&response), now());
                }
            }
            Coap::Failed { exchange, failure } => {
                let known = locked(&self.exchanges).remove(&exchange);
                if let Some(known) = known {
                    let failure = match failure {
                        coap_psk::Failure::TimedOut => TransportFailure::TimedOut,
                        _ => TransportFailure::Unreachable,
                    };
                    self.machine.handle_failure(known, failure, now());
                }
            }
            other => debug!(?other, "an event of a client"),
        }
    }

    /// Forgets a session; whose it was.
    fn forget(&mut self, session: SessionId) -> Option<Client> {
        self.requests
            .retain(|_, exchange| exchange.session() != session);
        self.machine.handle_gone(PeerId(session.0), now());
        let client = self.sessions.remove(&session)?;
        if self
            .addresses
            .get(&client)
            .is_some_and(|(of, _)| *of == session)
        {
            self.addresses.remove(&client);
        }
        Some(client)
    }

    fn learn(&mut self, news: News) {
        match news {
            News::Configured(bootstrap, configuration) => {
                self.machine
                    .handle_configuration(bootstrap, configuration, now());
            }
            News::Unsent(exchange) => {
                self.machine
                    .handle_failure(exchange, TransportFailure::Unreachable, now());
            }
            News::Believed(client, exchange, request) => self.give(client, exchange, &request),
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Configure { bootstrap, client } => {
                    let (provisioner, told) = (self.provisioner.clone(), self.told.clone());
                    let peer = self.addresses.get(&client).map(|(_, address)| *address);
                    tokio::spawn(async move {
                        let configuration = provisioner.configuration(&client, peer).await;
                        drop(told.send(News::Configured(bootstrap, configuration)).await);
                    });
                }
                Output::Respond {
                    request, response, ..
                } => {
                    if let Some(exchange) = self.requests.remove(&request) {
                        self.respond(exchange, carry::response_out(&response));
                    }
                }
                Output::Send {
                    exchange,
                    peer,
                    request,
                } => self.send(exchange, peer, &request),
                Output::Cancel { exchange } => {
                    let exchanges = Arc::clone(&self.exchanges);
                    self.order(Box::new(move |endpoint, now| {
                        let mut exchanges = locked(&exchanges);
                        let carrying = exchanges
                            .iter()
                            .find(|(_, it)| **it == exchange)
                            .map(|(at, _)| *at);
                        if let Some(carrying) = carrying {
                            exchanges.remove(&carrying);
                            endpoint.cancel(carrying, now);
                        }
                    }));
                }
                Output::Event(event) => {
                    tell(&event);
                    let provisioner = self.provisioner.clone();
                    tokio::spawn(async move { provisioner.ended(event).await });
                }
            }
        }
    }

    fn send(&self, exchange: ExchangeId, peer: PeerId, request: &lwm2m::Request) {
        debug!(peer = peer.0, method = ?request.method, path = request.path.join("/"), "asking a client");
        let (told, exchanges) = (self.told.clone(), Arc::clone(&self.exchanges));
        let carried = carry::request_out(request);
        self.order(Box::new(move |endpoint, now| {
            let begun =
                carried.and_then(|request| endpoint.request(SessionId(peer.0), request, now));
            match begun {
                // Before anything of this exchange can come out.
                Ok(carrying) => drop(locked(&exchanges).insert(carrying, exchange)),
                Err(error) => {
                    debug!(peer = peer.0, %error, "a client cannot be asked");
                    tokio::spawn(async move { drop(told.send(News::Unsent(exchange)).await) });
                }
            }
        }));
    }

    fn respond(&self, exchange: coap_psk::ExchangeId, response: Response) {
        self.order(respond(exchange, response));
    }

    fn order(&self, order: Order<D>) {
        // The other end goes when the driver does, and then so does this.
        drop(self.orders.send(order));
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

async fn sleep_until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
