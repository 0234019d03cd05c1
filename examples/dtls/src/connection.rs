//! One `dimpl` connection, its key slot, and what comes out of it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use coap_psk::{Error, ErrorKind, Instant, PskKey};
use dimpl::{Config, Dtls, Output, PskResolver};
use dtls_per_peer::{Connection, Failed, Step};

use crate::clock::Clock;

/// Where the engine finds the key of the one identity that this connection is about.
#[derive(Default)]
struct KeySlot(Mutex<Option<(Vec<u8>, PskKey)>>);

impl fmt::Debug for KeySlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySlot(..)")
    }
}

impl KeySlot {
    fn put(&self, identity: &[u8], key: PskKey) {
        let known = Some((identity.to_vec(), key));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }
}

impl PskResolver for KeySlot {
    fn resolve(&self, identity: &[u8]) -> Option<Vec<u8>> {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, key) = slot.as_ref()?;
        (known == identity).then(|| key.expose().to_vec())
    }
}

/// A connection of `dimpl`.
#[derive(Debug)]
pub struct DimplConnection {
    slot: Arc<KeySlot>,
    dtls: Dtls,
    clock: Clock,
}

impl DimplConnection {
    pub(crate) fn accept(hello: &[u8], clock: Clock, now: Instant) -> Result<Self, dimpl::Error> {
        let slot = Arc::new(KeySlot::default());
        let config = Config::builder()
            .with_psk_server(None, Arc::clone(&slot) as Arc<dyn PskResolver>)
            .build()?;
        let dtls = Dtls::new_12_psk(Arc::new(config), clock.of_engine(now));
        let mut connection = Self { slot, dtls, clock };
        connection.feed(hello, now)?;
        Ok(connection)
    }

    pub(crate) fn connect(
        identity: &[u8],
        key: PskKey,
        clock: Clock,
        now: Instant,
    ) -> Result<Self, dimpl::Error> {
        let slot = Arc::new(KeySlot::default());
        slot.put(identity, key);
        let config = Config::builder()
            .with_psk_client(identity.to_vec(), Arc::clone(&slot) as Arc<dyn PskResolver>)
            .build()?;
        let mut dtls = Dtls::new_12_psk(Arc::new(config), clock.of_engine(now));
        dtls.set_active(true);
        dtls.handle_timeout(clock.of_engine(now))?;
        Ok(Self { slot, dtls, clock })
    }

    fn feed(&mut self, datagram: &[u8], now: Instant) -> Result<(), dimpl::Error> {
        self.dtls.handle_timeout(self.clock.of_engine(now))?;
        self.dtls.handle_packet(datagram)
    }
}

impl Connection for DimplConnection {
    fn handle_datagram(&mut self, datagram: &[u8], now: Instant) -> Result<(), Failed> {
        self.feed(datagram, now).map_err(|_| Failed::default())
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Failed> {
        let now = self.clock.of_engine(now);
        self.dtls.handle_timeout(now).map_err(|_| Failed::default())
    }

    fn provide_key(&mut self, identity: &[u8], key: PskKey) {
        self.slot.put(identity, key);
    }

    fn send(&mut self, data: &[u8], now: Instant) -> Result<(), Error> {
        let now = self.clock.of_engine(now);
        let sent = self.dtls.handle_timeout(now);
        sent.and_then(|()| self.dtls.send_application_data(data).map(|_| ()))
            .map_err(|cause| Error::with_source(ErrorKind::Transport, cause))
    }

    fn close(&mut self) {
        // A close that cannot be said is as good as a lost one: the alert is never repeated.
        drop(self.dtls.close());
    }

    fn drain(&mut self, _now: Instant) -> (Vec<Step>, Option<Instant>) {
        let mut steps = Vec::new();
        let mut buffer = vec![0; 2048];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(packet) => steps.push(Step::Transmit(packet.to_vec())),
                Output::Connected => steps.push(Step::Established),
                Output::ApplicationData(data) => steps.push(Step::Data(data.to_vec())),
                Output::CloseNotify => steps.push(Step::ClosedByPeer),
                Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                Output::Timeout(at) => return (steps, Some(self.clock.of_family(at))),
                // Certificates and SRTP keys: no PSK connection has them.
                _ => {}
            }
        }
    }
}
