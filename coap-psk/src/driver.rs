//! A UDP socket for an [`Endpoint`], on tokio.
//!
//! [`run`] moves datagrams, wakes the endpoint at its deadlines, carries out the calls that come through a [`Handle`], and
//! hands every output but [`Output::Transmit`] to a channel. **While that channel is full the endpoint stands still**: no
//! datagram is read, no timer runs, and the socket's buffer drops what does not fit; peers repeat it. Read the channel
//! without waiting for calls of the same endpoint, or give it room for what may come in the meantime.

use alloc::boxed::Box;
use alloc::vec;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant as TokioInstant, sleep_until};

use crate::dtls::{DtlsEndpoint, Transmit};
use crate::endpoint::Endpoint;
use crate::output::Output;
use crate::time::Instant;

/// The longest datagram of UDP.
const MAX_DATAGRAM_LEN: usize = 65_535;

/// How many datagrams are taken before what they brought about goes out: few enough that nobody waits for long.
const MORE_DATAGRAMS: usize = 31;

/// A call to an endpoint that runs elsewhere.
type Call<D> = Box<dyn FnOnce(&mut Endpoint<D>, Instant) + Send>;

/// Calls an endpoint that [`run`] drives. Clones call the same one.
pub struct Handle<D> {
    calls: mpsc::Sender<Call<D>>,
}

/// The other end of a [`Handle`].
pub struct Calls<D> {
    calls: mpsc::Receiver<Call<D>>,
}

/// A handle and its other end; at most `capacity` calls wait at one time.
///
/// # Panics
/// When `capacity` is zero.
#[must_use]
pub fn handle<D>(capacity: usize) -> (Handle<D>, Calls<D>) {
    let (sender, receiver) = mpsc::channel(capacity);
    (Handle { calls: sender }, Calls { calls: receiver })
}

impl<D: 'static> Handle<D> {
    /// Runs `call` on the endpoint; `None` when it is not driven any more.
    pub async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Endpoint<D>, Instant) -> T + Send + 'static,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let call = move |endpoint: &mut Endpoint<D>, now: Instant| {
            // Whoever called may have gone; the call took place all the same.
            let _ = answer.send(call(endpoint, now));
        };
        self.calls.send(Box::new(call)).await.ok()?;
        answered.await.ok()
    }
}

impl<D> Clone for Handle<D> {
    fn clone(&self) -> Self {
        Self {
            calls: self.calls.clone(),
        }
    }
}

impl<D> core::fmt::Debug for Handle<D> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Handle(..)")
    }
}

impl<D> core::fmt::Debug for Calls<D> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Calls(..)")
    }
}

/// Drives an endpoint until all handles are dropped or nobody reads the outputs any more.
///
/// # Errors
/// When the socket cannot be read. What cannot be sent is as good as lost on the way, and so is what a peer or a router says
/// about it.
pub async fn run<D: DtlsEndpoint>(
    socket: &UdpSocket,
    endpoint: &mut Endpoint<D>,
    calls: &mut Calls<D>,
    outputs: &mpsc::Sender<Output>,
) -> io::Result<()> {
    let clock = Clock::start();
    let mut buffer = vec![0; MAX_DATAGRAM_LEN];
    loop {
        while let Some(output) = endpoint.poll_output() {
            match output {
                Output::Transmit(Transmit { to, datagram }) => {
                    let _ = socket.send_to(&datagram, to).await;
                }
                other => {
                    if outputs.send(other).await.is_err() {
                        return Ok(());
                    }
                }
            }
        }
        let deadline = endpoint.next_deadline();
        tokio::select! {
            call = calls.calls.recv() => match call {
                Some(call) => call(endpoint, clock.now()),
                None => return Ok(()),
            },
            received = socket.recv_from(&mut buffer) => {
                if let Some((from, datagram)) = take(received, &buffer)? {
                    endpoint.handle_datagram(from, datagram, clock.now());
                }
                take_more(socket, endpoint, &mut buffer, &clock)?;
            }
            () = clock.sleep_until(deadline) => endpoint.handle_timeout(clock.now()),
        }
    }
}

/// Takes datagrams that have arrived meanwhile, so that a busy socket pays for everything else once for all of them.
fn take_more<D: DtlsEndpoint>(
    socket: &UdpSocket,
    endpoint: &mut Endpoint<D>,
    buffer: &mut [u8],
    clock: &Clock,
) -> io::Result<()> {
    for _ in 0..MORE_DATAGRAMS {
        let received = socket.try_recv_from(buffer);
        if matches!(&received, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            break;
        }
        if let Some((from, datagram)) = take(received, buffer)? {
            endpoint.handle_datagram(from, datagram, clock.now());
        }
    }
    Ok(())
}

/// The datagram that was received. Some systems report here that an earlier one of ours was refused: that is no reason to
/// stop for all other peers.
fn take(
    received: io::Result<(usize, SocketAddr)>,
    buffer: &[u8],
) -> io::Result<Option<(SocketAddr, &[u8])>> {
    match received {
        Ok((len, from)) => Ok(Some((from, buffer.get(..len).unwrap_or_default()))),
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        },
    }
}

/// tokio's clock as the endpoint's.
struct Clock {
    start: TokioInstant,
}

impl Clock {
    fn start() -> Self {
        Self {
            start: TokioInstant::now(),
        }
    }

    fn now(&self) -> Instant {
        Instant::ZERO.saturating_add(self.start.elapsed())
    }

    async fn sleep_until(&self, deadline: Option<Instant>) {
        let at = deadline.and_then(|deadline| {
            self.start
                .checked_add(Duration::from_micros(deadline.as_micros()))
        });
        match at {
            Some(at) => sleep_until(at).await,
            None => core::future::pending().await,
        }
    }
}
