//! UDP sockets for [`Endpoint`]s, on tokio.
//!
//! [`run`] moves datagrams, wakes the endpoint at its deadlines, carries out the calls that come through a [`Handle`], and
//! hands every output but [`Output::Transmit`] to a channel. **While that channel is full the endpoint stands still**: no
//! datagram is read, no timer runs, and the socket's buffer drops what does not fit; peers repeat it. Read the channel
//! without waiting for calls of the same endpoint, or give it room for what may come in the meantime.
//!
//! # Many cores
//!
//! An endpoint does one thing at a time. With [`bind()`] and [`shards()`] there are several at one address, each with a socket of its
//! own, on tasks or threads of the caller's choice. [`Shards`] calls them as if they were one:
//!
//! ```
//! # #[cfg(feature = "psk-dtls")] {
//! use std::num::NonZeroU8;
//!
//! use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
//! use coap_psk::{Code, Config, Endpoint, Output, PskIdentity, PskKey, Response, driver};
//! use tokio::sync::mpsc;
//! use tokio::task::JoinSet;
//!
//! async fn serve(
//!     count: NonZeroU8,
//!     key_of: impl Fn(&PskIdentity) -> Option<PskKey>,
//!     seed: impl Fn() -> [u8; 32],
//!     mut stop: mpsc::Receiver<()>,
//! ) -> std::io::Result<()> {
//!     let (sender, mut outputs) = mpsc::channel(1_024);
//!     let (all, shards) = driver::shards(count, driver::Queues::default());
//!     let sockets = driver::bind(([127, 0, 0, 1], 0).into(), count)?;
//!     let mut tasks = JoinSet::new();
//!     for (socket, mut shard) in sockets.into_iter().zip(shards) {
//!         let mut config = PskConfig::default();
//!         config.shard = Some(shard.number());
//!         let dtls = PskEndpoint::new(config, seed());
//!         let mut endpoint = Endpoint::new(Config::default(), dtls, seed());
//!         let outputs = sender.clone();
//!         tasks.spawn(async move { shard.run(&socket, &mut endpoint, &outputs).await });
//!     }
//!     drop(sender);
//!     loop {
//!         tokio::select! {
//!             Some(output) = outputs.recv() => match output {
//!                 Output::KeyWanted { handshake, identity } => {
//!                     let (all, key) = (all.clone(), key_of(&identity));
//!                     tokio::spawn(async move {
//!                         all.call(handshake, move |it, now| it.provide_key(handshake, key, now)).await;
//!                     });
//!                 }
//!                 Output::Request { exchange, .. } => {
//!                     let (all, answer) = (all.clone(), Response::new(Code::CHANGED));
//!                     tokio::spawn(async move {
//!                         all.call(exchange, move |it, now| it.respond(exchange, answer, now)).await;
//!                     });
//!                 }
//!                 Output::Event(_) | Output::Transmit(_) => {}
//!             },
//!             _ = stop.recv() => break,
//!         }
//!     }
//!     // Every peer learns that its session is over, while the events of that are taken in.
//!     let ignored = async { while outputs.recv().await.is_some() {} };
//!     tokio::select! { () = all.close_all() => {}, () = ignored => {} }
//!     drop(all);
//!     while let Some(ended) = tasks.join_next().await {
//!         ended??;
//!     }
//!     Ok(())
//! }
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # let (stop, stopped) = mpsc::channel(1);
//! # drop(stop);
//! # let served = serve(NonZeroU8::new(2).unwrap(), |_| None, || [7; 32], stopped);
//! # runtime.block_on(served).unwrap();
//! # }
//! ```
//!
//! - The system deals datagrams out by where they come from. A device that was given a new address may come to another shard. With
//!   a connection id (RFC 9146) its records name their shard, which they are handed to, within [`Queues::forwarded`]; without, it
//!   makes a handshake where it is, and its session before is closed as if both had been at the same endpoint.
//! - Everything that an endpoint counts or limits, it counts for itself: divide [`Config::max_sessions`](crate::Config) and what
//!   else is meant for all of them. [`Shards::counters`] adds up.
//! - Shards take up the handshakes of others only. The answer to one that they begin themselves with
//!   [`connect`](Endpoint::connect) may come to another shard, which does not know it.
//! - Give all shards the same channel for outputs. An exchange belongs to a shard, and so does what comes of it; what two shards
//!   say has no order but for who is online.

mod bind;
mod clock;
mod desk;
mod handle;
mod shards;

use alloc::vec;
use core::net::SocketAddr;
use std::io;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::dtls::{DtlsEndpoint, Transmit};
use crate::endpoint::Endpoint;
use crate::output::Output;

pub use bind::bind;
pub use handle::{Calls, Handle, handle};
pub use shards::{Forwarding, Queues, Shard, Shards, shards};

use clock::Clock;
use desk::{Desk, Forwarded, News};

/// The longest datagram of UDP.
const MAX_DATAGRAM_LEN: usize = 65_535;

/// How many datagrams are taken before what they brought about goes out: few enough that nobody waits for long.
const MORE_DATAGRAMS: usize = 31;

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
    drive(socket, endpoint, calls, outputs, None).await
}

/// As [`run`], with a desk among the shards of the address when there are others.
async fn drive<D: DtlsEndpoint>(
    socket: &UdpSocket,
    endpoint: &mut Endpoint<D>,
    calls: &mut Calls<D>,
    outputs: &mpsc::Sender<Output>,
    mut desk: Option<&mut Desk>,
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
                    let Ok(place) = outputs.reserve().await else {
                        return Ok(());
                    };
                    match &desk {
                        Some(desk) => desk.publish(other, place),
                        None => place.send(other),
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
                let desk = desk.as_deref();
                if let Some((from, datagram)) = take(received, &buffer)? {
                    handle_datagram(endpoint, desk, from, datagram, &clock);
                }
                take_more(socket, endpoint, desk, &mut buffer, &clock)?;
            }
            news = next_from(&mut desk) => if let Some(desk) = &mut desk {
                handle_news(endpoint, desk, news, &clock);
            },
            () = clock.sleep_until(deadline) => endpoint.handle_timeout(clock.now()),
        }
    }
}

/// Gives a datagram to the endpoint, or to the shard that it is for.
fn handle_datagram<D: DtlsEndpoint>(
    endpoint: &mut Endpoint<D>,
    desk: Option<&Desk>,
    from: SocketAddr,
    datagram: &[u8],
    clock: &Clock,
) {
    let forwarded = desk.is_some_and(|desk| desk.forward(endpoint, from, datagram));
    if !forwarded {
        endpoint.handle_datagram(from, datagram, clock.now());
    }
}

async fn next_from(desk: &mut Option<&mut Desk>) -> News {
    match desk {
        Some(desk) => desk.next().await,
        None => core::future::pending().await,
    }
}

fn handle_news<D: DtlsEndpoint>(
    endpoint: &mut Endpoint<D>,
    desk: &mut Desk,
    news: News,
    clock: &Clock,
) {
    let News::Datagram(first) = news else {
        return desk.settle(endpoint, clock.now());
    };
    let more = core::iter::from_fn(|| desk.try_next()).take(MORE_DATAGRAMS);
    for Forwarded { from, datagram } in core::iter::once(first).chain(more) {
        endpoint.handle_datagram(from, &datagram, clock.now());
    }
}

/// Takes datagrams that have arrived meanwhile, so that a busy socket pays for everything else once for all of them.
fn take_more<D: DtlsEndpoint>(
    socket: &UdpSocket,
    endpoint: &mut Endpoint<D>,
    desk: Option<&Desk>,
    buffer: &mut [u8],
    clock: &Clock,
) -> io::Result<()> {
    for _ in 0..MORE_DATAGRAMS {
        let received = socket.try_recv_from(buffer);
        if matches!(&received, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            break;
        }
        if let Some((from, datagram)) = take(received, buffer)? {
            handle_datagram(endpoint, desk, from, datagram, clock);
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
