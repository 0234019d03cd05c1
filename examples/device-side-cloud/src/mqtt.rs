//! The door for devices that bootstrap over MQTT: TLS, then one [`Connection`] each, with bounds on all that a stranger may take.

mod connection;
mod guard;
mod packet;
mod port;
mod sessions;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use provisioning_proto::mqtt::session::{Cause, Session, SessionConfig};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tracing::{Instrument as _, debug, error, info_span, warn};

use crate::clock;
use crate::config;
use crate::error::Error;
use crate::monitor::Metrics;

pub(crate) use port::{Outcome, Port, Refused};

use connection::{Connection, Peer};
use guard::Guard;
use sessions::Sessions;

/// How long a device may take for its TLS handshake.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long open connections may take to end after the program was told to stop.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long an address waits that failed too often.
const PENALTY: Duration = Duration::from_secs(10);

/// The door, before anybody comes.
pub(crate) struct Door<P> {
    pub(crate) listener: TcpListener,
    pub(crate) settings: config::Mqtt,
    /// The settings of the HTTPS listener, whose certificate is this door's, too.
    pub(crate) tls: watch::Receiver<Arc<ServerConfig>>,
    pub(crate) port: P,
    pub(crate) metrics: Arc<Metrics>,
}

/// What all connections share.
#[derive(Clone)]
struct Shared<P> {
    port: P,
    metrics: Arc<Metrics>,
    guard: Guard,
    sessions: Sessions,
    session: SessionConfig,
    largest_packet: usize,
}

impl<P: Port> Door<P> {
    /// Lets devices in until `stop` turns true, then ends their connections.
    ///
    /// # Errors
    /// TLS cannot be set up, or there is no entropy.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
        let seed = u64::from_be_bytes(clock::entropy()?);
        let shared = Shared {
            port: self.port.clone(),
            metrics: Arc::clone(&self.metrics),
            guard: Guard::new(self.settings.failures_per_source.get(), PENALTY, seed),
            sessions: Sessions::default(),
            session: SessionConfig::default(),
            largest_packet: self.settings.max_packet_bytes,
        };
        let permits = Arc::new(Semaphore::new(self.settings.max_connections));
        let numbers = AtomicU64::new(0);
        let mut devices = tls::for_devices(&self.tls.borrow_and_update())?;
        let mut connections = JoinSet::new();
        loop {
            let next = async {
                // A connection is taken from the kernel's queue only when there is room for it.
                let permit = Arc::clone(&permits).acquire_owned().await;
                (permit, self.listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                next = next => next,
                _ = stop.wait_for(|stop| *stop) => break,
                Some(_) = connections.join_next() => continue,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(cause) => {
                    warn!(%cause, "cannot accept a connection of MQTT");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            if !shared.guard.lets_in(peer.ip(), clock::now()) {
                self.metrics.mqtt_ended("kept_out");
                continue;
            }
            if self.tls.has_changed().unwrap_or(false) {
                match tls::for_devices(&self.tls.borrow_and_update()) {
                    Ok(settings) => devices = settings,
                    Err(error) => error!(error = error.chain(), "the former TLS settings stay"),
                }
            }
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            let acceptor = TlsAcceptor::from(Arc::clone(&devices));
            let (shared, stop) = (shared.clone(), stop.clone());
            let span = info_span!("mqtt", number);
            connections.spawn(
                async move {
                    shared.converse(stream, peer, acceptor, stop).await;
                    drop(permit);
                }
                .instrument(span),
            );
        }
        drop(self.listener);
        let ended = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, ended).await.is_err() {
            warn!("some connections of MQTT were cut: they had not ended in time");
        }
        Ok(())
    }
}

impl<P: Port> Shared<P> {
    async fn converse(
        self,
        stream: TcpStream,
        peer: SocketAddr,
        acceptor: TlsAcceptor,
        mut stop: watch::Receiver<bool>,
    ) {
        let accept = tokio::time::timeout(PATIENCE, acceptor.accept(stream));
        let accepted = tokio::select! {
            accepted = accept => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let stream = match accepted {
            Ok(Ok(stream)) => stream,
            Ok(Err(cause)) => {
                debug!(%peer, %cause, "TLS handshake failed");
                return self.metrics.mqtt_ended("no_handshake");
            }
            Err(_) => {
                debug!(%peer, "TLS handshake took too long");
                return self.metrics.mqtt_ended("no_handshake");
            }
        };
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let description = Peer {
            address: peer.ip(),
            chain: chain.iter().map(|one| one.as_ref().to_vec()).collect(),
            largest_packet: self.largest_packet,
        };
        let session = Session::new(self.session.clone(), clock::now());
        let metrics = Arc::clone(&self.metrics);
        let connection = Connection::new(
            stream,
            self.port,
            description,
            session,
            self.sessions,
            metrics,
        );
        let cause = connection.run(stop).await;
        if matches!(cause, Cause::Refused(_) | Cause::NotAllowed | Cause::TooMuch) {
            self.guard.failed(peer.ip(), clock::now());
        }
        debug!(%peer, ?cause, "the connection ended");
        self.metrics.mqtt_ended(cause.as_str());
    }
}
