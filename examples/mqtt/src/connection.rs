//! One connection: bytes and time into the session, and what it gives out onto the wire.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mqtt_proto::v3::Packet;
use mqtt_proto::{Protocol, QosPid};
use provisioning_proto::mqtt::DownPayload;
use provisioning_proto::mqtt::session::{
    Authentication, Cause, Connect, Output, Publish, QoS, RequestId, Session,
};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::debug;
use zeroize::Zeroizing;

use crate::clock;
use crate::packet::{self, Unreadable};
use crate::port::{Figures, Outcome, Port, Refused};
use crate::sessions::{Place, Sessions};

/// How long a device may take to read what is written to it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of a connection before its first packet.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// The client certificate and those above it.
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) largest_packet: usize,
}

type Judged<P> = Pin<Box<dyn Future<Output = Result<<P as Port>::Principal, Refused>> + Send>>;
type Answered = (RequestId, Instant, (Outcome, DownPayload));

/// A connection under way.
pub(crate) struct Connection<S, P: Port> {
    stream: S,
    port: P,
    peer: Peer,
    session: Session,
    sessions: Sessions,
    received: Zeroizing<Vec<u8>>,
    judging: Option<Judged<P>>,
    principal: Option<P::Principal>,
    place: Option<(Place, mpsc::Receiver<()>)>,
    triggers: u64,
    registering: JoinSet<Answered>,
    figures: Arc<dyn Figures>,
}

/// What woke the connection up.
enum Woken<T> {
    Received(std::io::Result<usize>),
    Judged(Result<T, Refused>),
    Answered(Option<Answered>),
    Triggered,
    Replaced,
    Stopping,
    Timeout,
}

impl<S: AsyncRead + AsyncWrite + Unpin, P: Port> Connection<S, P> {
    pub(crate) fn new(
        stream: S,
        port: P,
        peer: Peer,
        session: Session,
        sessions: Sessions,
        figures: Arc<dyn Figures>,
    ) -> Self {
        Self {
            stream,
            port,
            received: Zeroizing::new(Vec::with_capacity(peer.largest_packet)),
            peer,
            session,
            sessions,
            judging: None,
            principal: None,
            place: None,
            triggers: 0,
            registering: JoinSet::new(),
            figures,
        }
    }

    /// Goes on until the connection has ended, and says why.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Cause {
        loop {
            if let Some(cause) = self.carry_out().await {
                return cause;
            }
            if self.session.wants_packets() && self.take_packet() {
                continue;
            }
            match self.wait(&mut stop).await {
                Woken::Received(Ok(1..)) => {}
                Woken::Received(_) => self.session.handle_disconnect(clock::now()),
                Woken::Judged(judged) => self.judged(judged),
                Woken::Answered(Some((request, since, (outcome, payload)))) => {
                    let now = clock::now();
                    self.figures
                        .answered(outcome.as_str(), now.saturating_duration_since(since));
                    self.session.handle_answer(request, payload, now);
                }
                // The task was lost; the session's own deadline answers the device.
                Woken::Answered(None) => {}
                Woken::Triggered => {
                    self.triggers = self.triggers.saturating_add(1);
                    let id = self.triggers.to_string();
                    self.session.handle_trigger(&id, clock::now());
                }
                Woken::Replaced | Woken::Stopping => self.session.handle_end(clock::now()),
                Woken::Timeout => self.session.handle_timeout(clock::now()),
            }
        }
    }

    async fn wait(&mut self, stop: &mut watch::Receiver<bool>) -> Woken<P::Principal> {
        let deadline = self.session.next_deadline();
        let room = self.peer.largest_packet.saturating_sub(self.received.len());
        let wants = self.session.wants_packets() && room > 0;
        let mut chunk = Zeroizing::new([0; 2048]);
        let until = room.min(chunk.len());
        let woken = tokio::select! {
            read = self.stream.read(chunk.get_mut(..until).unwrap_or_default()), if wants => Woken::Received(read),
            judged = pending(self.judging.as_mut()) => Woken::Judged(judged),
            Some(answered) = self.registering.join_next() => Woken::Answered(answered.ok()),
            told = told(self.place.as_mut()) => told.map_or(Woken::Replaced, |()| Woken::Triggered),
            _ = stop.wait_for(|stop| *stop) => Woken::Stopping,
            () = sleep_until(deadline) => Woken::Timeout,
        };
        match &woken {
            Woken::Received(Ok(length)) => {
                let received = chunk.get(..*length).unwrap_or_default();
                self.received.extend_from_slice(received);
            }
            Woken::Judged(_) => self.judging = None,
            Woken::Replaced => self.place = None,
            _ => {}
        }
        woken
    }

    fn judged(&mut self, judged: Result<P::Principal, Refused>) {
        let authentication = match judged {
            Ok(principal) => {
                self.place = Some(self.sessions.take(P::name(&principal)));
                self.principal = Some(principal);
                Authentication::Accepted
            }
            Err(Refused::Credentials) => Authentication::Refused,
            Err(Refused::Unavailable) => Authentication::Unavailable,
        };
        self.session
            .handle_authentication(authentication, clock::now());
    }

    /// Gives the session the next packet that was received whole, if there is one.
    fn take_packet(&mut self) -> bool {
        let now = clock::now();
        match packet::read(&self.received, self.peer.largest_packet) {
            Ok(None) => return false,
            Ok(Some((packet, length))) => {
                let length = length.min(self.received.len());
                self.received.drain(..length);
                self.give(&packet, now);
            }
            Err(Unreadable::Version) => {
                let mut connect = Connect::new("");
                connect.level = u8::MAX;
                self.session.handle_connect(&connect, now);
            }
            Err(unreadable) => {
                debug!(?unreadable, "what a device sent is no packet");
                self.session.handle_other(now);
            }
        }
        true
    }

    fn give(&mut self, packet: &Packet, now: Instant) {
        match packet {
            Packet::Connect(packet) => {
                let mut connect = Connect::new(&packet.client_id);
                connect.level = match packet.protocol {
                    Protocol::V310 => 3,
                    Protocol::V311 => 4,
                    Protocol::V500 => 5,
                };
                connect.user_name = packet.username.as_deref();
                connect.password = packet.password.as_deref();
                connect.keep_alive = packet.keep_alive;
                connect.has_will = packet.last_will.is_some();
                connect.has_certificate = !self.peer.chain.is_empty();
                self.session.handle_connect(&connect, now);
            }
            Packet::Publish(packet) => {
                let qos = match packet.qos_pid {
                    QosPid::Level0 => QoS::AtMostOnce,
                    QosPid::Level1(id) => QoS::AtLeastOnce(id.value()),
                    QosPid::Level2(id) => QoS::ExactlyOnce(id.value()),
                };
                let mut publish = Publish::new(&packet.topic_name, qos, &packet.payload);
                publish.duplicate = packet.dup;
                self.session.handle_publish(&publish, now);
            }
            Packet::Subscribe(packet) => {
                let filters = packet.topics.iter().map(|(filter, _)| &**filter);
                self.session
                    .handle_subscribe(packet.pid.value(), filters, now);
            }
            Packet::Unsubscribe(packet) => {
                let filters = packet.topics.iter().map(|filter| &**filter);
                self.session
                    .handle_unsubscribe(packet.pid.value(), filters, now);
            }
            Packet::Pingreq => self.session.handle_ping(now),
            Packet::Disconnect => self.session.handle_disconnect(now),
            _ => self.session.handle_other(now),
        }
    }

    /// Carries out what the session wants; why it ended, when it has.
    async fn carry_out(&mut self) -> Option<Cause> {
        let mut bytes = Zeroizing::new(Vec::new());
        let mut ended = None;
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Authenticate(credentials) => {
                    debug!(device = %credentials.client_id.device(), "a device comes in");
                    let (port, chain) = (self.port.clone(), self.peer.chain.clone());
                    let judged = async move { port.authenticate(credentials, chain).await };
                    self.judging = Some(Box::pin(judged));
                }
                Output::Register {
                    request, payload, ..
                } => self.register(request, payload),
                Output::ConnAck(code) => bytes.extend_from_slice(&packet::connack(code.value())),
                Output::PubAck { packet_id } => {
                    bytes.extend_from_slice(&packet::puback(packet_id));
                }
                Output::SubAck { packet_id, granted } => {
                    bytes.extend_from_slice(&packet::suback(packet_id, &granted));
                }
                Output::UnsubAck { packet_id } => {
                    bytes.extend_from_slice(&packet::unsuback(packet_id));
                }
                Output::PingResp => bytes.extend_from_slice(&packet::pingresp()),
                Output::Publish { topic, payload } => {
                    bytes.extend_from_slice(&packet::publish(&topic, payload.expose()));
                }
                Output::Close(cause) => ended = Some(cause),
            }
        }
        if !self.write(&bytes).await && ended.is_none() {
            self.session.handle_disconnect(clock::now());
        }
        if ended.is_some() {
            // Whoever went away does not wait for a farewell.
            let _ = tokio::time::timeout(PATIENCE, self.stream.shutdown()).await;
        }
        ended
    }

    fn register(&mut self, request: RequestId, payload: Vec<u8>) {
        let Some(principal) = self.principal.clone() else {
            return;
        };
        let (port, peer, since) = (self.port.clone(), self.peer.address, clock::now());
        self.registering.spawn(async move {
            let answer = port.register(principal, payload, peer).await;
            (request, since, answer)
        });
    }

    async fn write(&mut self, bytes: &[u8]) -> bool {
        if bytes.is_empty() {
            return true;
        }
        let write = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        matches!(tokio::time::timeout(PATIENCE, write).await, Ok(Ok(())))
    }
}

/// Waits for what there may be, or for ever.
async fn pending<F: Future + Unpin>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// The next trigger of a device that is in; `None` when it has come in on another connection.
async fn told(place: Option<&mut (Place, mpsc::Receiver<()>)>) -> Option<()> {
    match place {
        Some((_, triggers)) => triggers.recv().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
