//! The listener: TLS, then one connection each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use example_support::Error;
use provisioning_proto::mqtt::session::{Cause, ConnectCode, Session, SessionConfig};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tracing::{Instrument as _, debug, error, info_span, warn};

use crate::clock;
use crate::connection::{Connection, Peer};
use crate::guard::Guard;
use crate::port::{Figures, Port};
use crate::sessions::Sessions;
use crate::tls;

/// How long a device may take for its TLS handshake.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long open connections may take to end after the program was told to stop.
const FAREWELL: Duration = Duration::from_secs(5);

/// The door, before anybody comes.
#[expect(missing_debug_implementations, reason = "a port need not have one")]
pub struct Door<P> {
    listener: TcpListener,
    settings: Settings,
    tls: watch::Receiver<Arc<ServerConfig>>,
    port: P,
    figures: Arc<dyn Figures>,
    sessions: Sessions,
}

/// What is bounded at a [`Door`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Connections open at once; further ones wait in the kernel's queue. 10,000.
    pub max_connections: usize,
    /// Bytes of the largest packet that a device may send. 8192.
    pub max_packet_bytes: usize,
    /// How many failures of an address are forgiven at once; then one more every second. 20.
    pub failures_per_source: u32,
    /// How long an address waits that failed more often. 10 s.
    pub penalty: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_packet_bytes: 8192,
            failures_per_source: 20,
            penalty: Duration::from_secs(10),
        }
    }
}

/// What all connections share.
#[derive(Clone)]
struct Shared<P> {
    port: P,
    figures: Arc<dyn Figures>,
    guard: Guard,
    sessions: Sessions,
    session: SessionConfig,
    largest_packet: usize,
}

impl<P: Port> Door<P> {
    /// A door at a listener, with the certificate that `tls` has whenever a device comes.
    #[must_use]
    pub fn new(
        listener: TcpListener,
        settings: Settings,
        tls: watch::Receiver<Arc<ServerConfig>>,
        port: P,
        figures: Arc<dyn Figures>,
    ) -> Self {
        Self {
            listener,
            settings,
            tls,
            port,
            figures,
            sessions: Sessions::default(),
        }
    }

    /// The devices that are in, to ask them to bootstrap again.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        self.sessions.clone()
    }

    /// Lets devices in until `stop` turns true, then ends their connections.
    ///
    /// # Errors
    /// TLS cannot be set up.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
        let shared = Shared {
            port: self.port.clone(),
            figures: Arc::clone(&self.figures),
            guard: Guard::new(&self.settings),
            sessions: self.sessions.clone(),
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
                self.figures.ended("kept_out");
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
                self.guard.failed(peer.ip(), clock::now());
                return self.figures.ended("no_handshake");
            }
            Err(_) => {
                debug!(%peer, "TLS handshake took too long");
                return self.figures.ended("no_handshake");
            }
        };
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let description = Peer {
            address: peer.ip(),
            chain: chain.iter().map(|one| one.as_ref().to_vec()).collect(),
            largest_packet: self.largest_packet,
        };
        let session = Session::new(self.session.clone(), clock::now());
        let figures = Arc::clone(&self.figures);
        let connection = Connection::new(
            stream,
            self.port,
            description,
            session,
            self.sessions,
            figures,
        );
        let cause = connection.run(stop).await;
        if is_fault(cause) {
            self.guard.failed(peer.ip(), clock::now());
        }
        debug!(%peer, ?cause, "the connection ended");
        self.figures.ended(cause.as_str());
    }
}

/// Whether the device, and not this program or the network, is why the connection ended.
fn is_fault(cause: Cause) -> bool {
    match cause {
        Cause::Refused(code) => code != ConnectCode::ServerUnavailable,
        Cause::NotAllowed | Cause::TooMuch => true,
        _ => false,
    }
}
