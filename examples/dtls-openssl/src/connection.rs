//! One connection of OpenSSL, and what comes out of it.

use std::fmt;
use std::mem;
use std::time::Duration;

use coap_psk::{Error, ErrorKind, Instant, PskKey};
use dtls_per_peer::{Connection, Failed, Hello, Step};
use openssl::error::ErrorStack;
use openssl::ssl::{ErrorCode, SslStream};

use crate::context::Context;
use crate::ffi;
use crate::slot::Slot;
use crate::wire::Wire;

/// How long a handshake may take, the lookup of its key included.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(90);
/// The most bytes of one record. (RFC 6347, 4.1; RFC 5246, 6.2.1)
const MAX_PLAINTEXT: usize = 1 << 14;

/// Answers ClientHellos of all peers, and keeps nothing of them until one brings its cookie back.
#[derive(Debug)]
pub(crate) struct Listener {
    stream: SslStream<Wire>,
    slot: Slot,
}

impl Listener {
    pub(crate) fn new(context: &Context) -> Result<Self, ErrorStack> {
        let slot = Slot::default();
        let stream = context.server(&slot)?;
        Ok(Self { stream, slot })
    }

    /// Whether a hello brings its cookie back, so that it is worth a connection.
    pub(crate) fn takes(&mut self, hello: &Hello<'_>, now: Instant) -> bool {
        self.slot.greet(hello, now);
        self.stream.get_mut().put(hello.datagram);
        ffi::listen(&mut self.stream)
    }

    /// What the peer of the hello is told that did not.
    pub(crate) fn answer(&mut self) -> Vec<Vec<u8>> {
        self.stream.get_mut().take()
    }

    /// Goes on with the hello that did.
    pub(crate) fn into_connection(self, now: Instant) -> Result<OpensslConnection, Failed> {
        let mut connection = OpensslConnection::new(self.stream, self.slot, now);
        connection.go_on()?;
        Ok(connection)
    }
}

/// A connection of OpenSSL.
pub struct OpensslConnection {
    stream: SslStream<Wire>,
    slot: Slot,
    began: Instant,
    established: bool,
    steps: Vec<Step>,
}

impl OpensslConnection {
    fn new(stream: SslStream<Wire>, slot: Slot, began: Instant) -> Self {
        Self {
            stream,
            slot,
            began,
            established: false,
            steps: Vec::new(),
        }
    }

    pub(crate) fn connect(
        context: &Context,
        identity: &[u8],
        key: PskKey,
        now: Instant,
    ) -> Result<Self, Error> {
        let slot = Slot::of_client(identity, key);
        let stream = context
            .client(&slot)
            .map_err(|cause| Error::with_source(ErrorKind::Transport, cause))?;
        let mut connection = Self::new(stream, slot, now);
        match connection.go_on() {
            Ok(()) => Ok(connection),
            Err(_) => Err(Error::new(ErrorKind::Transport)),
        }
    }

    /// Reads until nothing is left.
    fn go_on(&mut self) -> Result<(), Failed> {
        if !self.established {
            match self.stream.do_handshake() {
                Ok(()) => self.established = true,
                Err(error) if error.code() == ErrorCode::WANT_READ => return Ok(()),
                Err(_) => return Err(self.failed()),
            }
            self.steps.push(Step::Established);
        }
        let mut buffer = [0; MAX_PLAINTEXT];
        loop {
            match self.stream.ssl_read(&mut buffer) {
                Ok(len) => {
                    let data = buffer.get(..len).unwrap_or_default();
                    self.steps.push(Step::Data(data.to_vec()));
                }
                Err(error) if error.code() == ErrorCode::WANT_READ => return Ok(()),
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => {
                    self.steps.push(Step::ClosedByPeer);
                    return Ok(());
                }
                Err(_) => return Err(self.failed()),
            }
        }
    }

    fn failed(&mut self) -> Failed {
        let last_words = self.stream.get_mut().take();
        Failed { last_words }
    }

    fn gives_up_at(&self) -> Option<Instant> {
        (!self.established).then(|| self.began.saturating_add(HANDSHAKE_TIMEOUT))
    }
}

impl Connection for OpensslConnection {
    fn handle_datagram(&mut self, datagram: &[u8], _now: Instant) -> Result<(), Failed> {
        self.stream.get_mut().put(datagram);
        self.go_on()
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Failed> {
        if self.gives_up_at().is_some_and(|at| at <= now) {
            return Err(Failed::default());
        }
        ffi::handle_timeout(&mut self.stream).map_err(|_| self.failed())
    }

    fn provide_key(&mut self, _identity: &[u8], key: PskKey) {
        self.slot.contents().key = Some(key);
    }

    fn send(&mut self, data: &[u8], _now: Instant) -> Result<(), Error> {
        match self.stream.ssl_write(data) {
            Ok(_) => Ok(()),
            Err(cause) => Err(Error::with_source(ErrorKind::Transport, cause)),
        }
    }

    fn close(&mut self) {
        // A close that cannot be said is as good as a lost one: the alert is never repeated.
        drop(self.stream.shutdown());
    }

    fn drain(&mut self, now: Instant) -> (Vec<Step>, Option<Instant>) {
        let mut steps = mem::take(&mut self.steps);
        let datagrams = self.stream.get_mut().take();
        steps.extend(datagrams.into_iter().map(Step::Transmit));
        let again = ffi::timeout(&mut self.stream).map(|left| now.saturating_add(left));
        (steps, again.into_iter().chain(self.gives_up_at()).min())
    }
}

impl fmt::Debug for OpensslConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpensslConnection")
            .field("began", &self.began)
            .field("established", &self.established)
            .finish_non_exhaustive()
    }
}
