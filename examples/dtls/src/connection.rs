//! One `dimpl` connection: its key slot, its phase, and what comes out of it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use coap_psk::secret::PskKey;
use dimpl::{Config, Dtls, Output, PskResolver};

use crate::wire::{ClientRandom, Message, messages};

/// Where the engine finds the key of the one identity that this connection is about.
#[derive(Default)]
pub(crate) struct KeySlot(Mutex<Option<(Vec<u8>, PskKey)>>);

impl fmt::Debug for KeySlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySlot(..)")
    }
}

impl KeySlot {
    pub(crate) fn put(&self, identity: Vec<u8>, key: PskKey) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((identity, key));
    }
}

impl PskResolver for KeySlot {
    fn resolve(&self, identity: &[u8]) -> Option<Vec<u8>> {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, key) = slot.as_ref()?;
        (known == identity).then(|| key.expose().to_vec())
    }
}

/// How far a connection is.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Nothing was agreed yet: the peer's address is not even verified.
    Hello,
    /// The ServerHello is out, so the cookie was right; the identity may come.
    Negotiating,
    /// The identity was handed out; its datagram waits for the key.
    WaitingForKey { held: Vec<u8> },
    /// The key is there, or we are the client and had it from the start.
    Keyed,
    /// Both sides verified each other.
    Established,
}

/// What one turn of the engine brought.
#[derive(Debug)]
pub(crate) enum Step {
    Transmit(Vec<u8>),
    Established,
    Data(Vec<u8>),
    ClosedByPeer,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    /// Of the client whose handshake this is; `None` when we are the client.
    pub(crate) client_random: Option<ClientRandom>,
    pub(crate) phase: Phase,
    pub(crate) identity: Vec<u8>,
    pub(crate) slot: Arc<KeySlot>,
    dtls: Dtls,
}

impl Connection {
    pub(crate) fn server(
        peer: SocketAddr,
        client_random: ClientRandom,
        now: Instant,
    ) -> Result<Self, dimpl::Error> {
        let slot = Arc::new(KeySlot::default());
        let config = Config::builder()
            .with_psk_server(None, Arc::clone(&slot) as Arc<dyn PskResolver>)
            .build()?;
        Ok(Self {
            peer,
            client_random: Some(client_random),
            phase: Phase::Hello,
            identity: Vec::new(),
            slot,
            dtls: Dtls::new_12_psk(Arc::new(config), now),
        })
    }

    pub(crate) fn client(
        peer: SocketAddr,
        identity: &[u8],
        key: PskKey,
        now: Instant,
    ) -> Result<Self, dimpl::Error> {
        let slot = Arc::new(KeySlot::default());
        slot.put(identity.to_vec(), key);
        let config = Config::builder()
            .with_psk_client(identity.to_vec(), Arc::clone(&slot) as Arc<dyn PskResolver>)
            .build()?;
        let mut dtls = Dtls::new_12_psk(Arc::new(config), now);
        dtls.set_active(true);
        dtls.handle_timeout(now)?;
        Ok(Self {
            peer,
            client_random: None,
            phase: Phase::Keyed,
            identity: identity.to_vec(),
            slot,
            dtls,
        })
    }

    pub(crate) fn is_client(&self) -> bool {
        self.client_random.is_none()
    }

    /// Whether the peer's address is not verified yet.
    pub(crate) fn is_hello(&self) -> bool {
        matches!(self.phase, Phase::Hello)
    }

    pub(crate) fn is_established(&self) -> bool {
        matches!(self.phase, Phase::Established)
    }

    /// Feeds one datagram at `now`. An error is final for this connection.
    pub(crate) fn feed(&mut self, datagram: &[u8], now: Instant) -> Result<(), dimpl::Error> {
        self.dtls.handle_timeout(now)?;
        self.dtls.handle_packet(datagram)
    }

    pub(crate) fn tick(&mut self, now: Instant) -> Result<(), dimpl::Error> {
        self.dtls.handle_timeout(now)
    }

    pub(crate) fn send(&mut self, data: &[u8], now: Instant) -> Result<(), dimpl::Error> {
        self.dtls.handle_timeout(now)?;
        self.dtls.send_application_data(data).map(|_| ())
    }

    pub(crate) fn close(&mut self) {
        // A close that cannot be said is as good as a lost one: the alert is never repeated.
        drop(self.dtls.close());
    }

    /// Everything the engine has to say now, and when it wants to be called again.
    pub(crate) fn drain(&mut self) -> (Vec<Step>, Option<Instant>) {
        let mut steps = Vec::new();
        let mut buffer = vec![0; 2048];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => {
                    if self.is_hello()
                        && messages(packet).any(|message| message == Message::ServerHello)
                    {
                        self.phase = Phase::Negotiating;
                    }
                    steps.push(Step::Transmit(packet.to_vec()));
                }
                Output::Connected => {
                    self.phase = Phase::Established;
                    steps.push(Step::Established);
                }
                Output::ApplicationData(data) => steps.push(Step::Data(data.to_vec())),
                Output::CloseNotify => steps.push(Step::ClosedByPeer),
                Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                Output::Timeout(at) => return (steps, Some(at)),
                // Certificates and SRTP keys: no PSK connection has them.
                _ => {}
            }
        }
    }
}
