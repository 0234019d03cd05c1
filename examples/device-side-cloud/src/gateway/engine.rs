//! The DTLS engine under the gateway. Which one it is, the operator chooses.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::ValueEnum;
#[cfg(feature = "openssl")]
use coap_psk::CipherSuite;
use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::dtls::{
    Claim, DtlsEndpoint, DtlsEvent, HandshakeId, Handshakes, SessionId, ShardNumber, Transmit,
};
use coap_psk::{Instant, PskKey};
use dtls_dimpl::{DimplEndpoint, Limits};
#[cfg(feature = "openssl")]
use dtls_openssl::{Openssl, OpensslEndpoint};
use serde::Deserialize;

use crate::clock;
use crate::config::Coaps;
use crate::error::Error;
use crate::monitor::Metrics;

/// How many sessions more than the gateway keeps fit into an engine: who gives way to a newcomer is the gateway's to choose.
const SPARE: usize = 64;

/// The engines that there are.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DtlsEngine {
    /// The engine of coap-psk.
    Own,
    /// The dimpl crate.
    #[cfg_attr(not(feature = "openssl"), default)]
    Dimpl,
    /// OpenSSL, in a program that was built with it, where it is the default.
    #[cfg_attr(feature = "openssl", default)]
    Openssl,
}

impl DtlsEngine {
    /// The word for it on the command line and in the configuration.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Dimpl => "dimpl",
            Self::Openssl => "openssl",
        }
    }
}

/// The engine that was chosen; what it counts goes to the figures.
#[derive(Debug)]
pub(crate) struct Engine {
    kind: Kind,
    counted: Handshakes,
    metrics: Arc<Metrics>,
}

#[derive(Debug)]
enum Kind {
    Own(Box<PskEndpoint>),
    Dimpl(Box<DimplEndpoint>),
    #[cfg(feature = "openssl")]
    Openssl(Box<OpensslEndpoint>),
}

impl Kind {
    fn get(&self) -> &dyn DtlsEndpoint {
        match self {
            Self::Own(endpoint) => endpoint.as_ref(),
            Self::Dimpl(endpoint) => endpoint.as_ref(),
            #[cfg(feature = "openssl")]
            Self::Openssl(endpoint) => endpoint.as_ref(),
        }
    }

    fn get_mut(&mut self) -> &mut dyn DtlsEndpoint {
        match self {
            Self::Own(endpoint) => endpoint.as_mut(),
            Self::Dimpl(endpoint) => endpoint.as_mut(),
            #[cfg(feature = "openssl")]
            Self::Openssl(endpoint) => endpoint.as_mut(),
        }
    }

    fn handshakes(&self) -> Handshakes {
        match self {
            Self::Own(endpoint) => endpoint.handshakes(),
            Self::Dimpl(endpoint) => endpoint.handshakes(),
            #[cfg(feature = "openssl")]
            Self::Openssl(endpoint) => endpoint.handshakes(),
        }
    }
}

impl Engine {
    /// Makes the engine that the configuration names, once for each shard.
    ///
    /// # Errors
    /// This program was built without it, it cannot be set up, or the system gave no random bytes.
    pub(crate) fn for_shards(coaps: &Coaps, metrics: &Arc<Metrics>) -> Result<Vec<Self>, Error> {
        let shards = 0..coaps.shards.get();
        shards
            .map(|shard| Self::new(coaps, ShardNumber(shard), Arc::clone(metrics)))
            .collect()
    }

    fn new(coaps: &Coaps, shard: ShardNumber, metrics: Arc<Metrics>) -> Result<Self, Error> {
        let mut limits = Limits::default();
        let room = coaps.sessions_of_a_shard().saturating_add(SPARE);
        limits.max_sessions = room;
        let kind = match coaps.dtls {
            DtlsEngine::Own => {
                let mut config = PskConfig::default();
                config.max_sessions = room;
                config.shard = coaps.has_several_shards().then_some(shard);
                Kind::Own(Box::new(PskEndpoint::new(config, clock::entropy()?)))
            }
            DtlsEngine::Dimpl => {
                let endpoint = DimplEndpoint::new(limits, clock::now()).on_shard(shard);
                Kind::Dimpl(Box::new(endpoint))
            }
            #[cfg(feature = "openssl")]
            DtlsEngine::Openssl => {
                let engine = Openssl::new(&CipherSuite::ALL)
                    .map_err(|cause| Error::new("OpenSSL cannot be set up", cause))?;
                let endpoint = OpensslEndpoint::new(limits, engine).on_shard(shard);
                Kind::Openssl(Box::new(endpoint))
            }
            #[cfg(not(feature = "openssl"))]
            DtlsEngine::Openssl => {
                return Err(Error::plain(
                    "this program was built without OpenSSL: build it with `--features openssl` (Debian: libssl-dev and \
                     pkg-config), or choose another engine with --dtls or coaps.dtls in the configuration",
                ));
            }
        };
        Ok(Self {
            kind,
            counted: Handshakes::default(),
            metrics,
        })
    }

    /// Lets the engine act, and says on what it counted.
    fn act<T>(&mut self, act: impl FnOnce(&mut dyn DtlsEndpoint) -> T) -> T {
        let done = act(self.kind.get_mut());
        let counted = self.kind.handshakes();
        if counted != self.counted {
            self.metrics.handshakes(self.counted, counted);
            self.counted = counted;
        }
        done
    }
}

impl DtlsEndpoint for Engine {
    fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) {
        self.act(|engine| engine.handle_datagram(from, datagram, now));
    }

    fn claim_of(&self, from: SocketAddr, datagram: &[u8]) -> Claim {
        self.kind.get().claim_of(from, datagram)
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.act(|engine| engine.handle_timeout(now));
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.kind.get().next_deadline()
    }

    fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.kind.get_mut().poll_event()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.kind.get_mut().poll_transmit()
    }

    fn provide_key(&mut self, handshake: HandshakeId, key: Option<PskKey>, now: Instant) {
        self.act(|engine| engine.provide_key(handshake, key, now));
    }

    fn connect(
        &mut self,
        to: SocketAddr,
        identity: &[u8],
        key: PskKey,
        now: Instant,
    ) -> Result<SessionId, coap_psk::Error> {
        self.act(|engine| engine.connect(to, identity, key, now))
    }

    fn send(
        &mut self,
        session: SessionId,
        data: &[u8],
        now: Instant,
    ) -> Result<(), coap_psk::Error> {
        self.act(|engine| engine.send(session, data, now))
    }

    fn confirm_path(&mut self, session: SessionId, now: Instant) {
        self.act(|engine| engine.confirm_path(session, now));
    }

    fn close(&mut self, session: SessionId, now: Instant) {
        self.act(|engine| engine.close(session, now));
    }

    fn shard(&self) -> ShardNumber {
        self.kind.get().shard()
    }

    fn shard_of(&self, datagram: &[u8]) -> Option<ShardNumber> {
        self.kind.get().shard_of(datagram)
    }
}
