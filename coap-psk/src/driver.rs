//! UDP sockets for [`Endpoint`]s, on tokio.
//!
//! [`run`] moves datagrams, wakes the endpoint at its deadlines, carries out the calls that come through a [`Handle`], and
//! hands every output but [`Output::Transmit`] to a channel. **While that channel is full nothing new is taken from peers**: no
//! datagram is read, no timer runs, and the socket's buffer drops what does not fit; peers repeat it. Calls are carried out all the
//! same, and what is to be sent is sent: whoever reads the channel may wait for calls of the same endpoint.
//!
//! # Many datagrams
//!
//! Datagrams are taken and sent many at a time, on Linux with one system call, and calls as well. When the socket has had more to
//! read than could be taken for a while, most of those datagrams are dropped that are
//! [expendable](Endpoint::is_expendable), such as ClientHellos: the system drops what its buffer has no room for whoever sent it.
//! A larger buffer carries over longer bursts. [`bind()`] asks for one; where the system does not give it, as Linux does not by default
//! (`net.core.rmem_max`), its operator has to.
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
//! - [`Shards::session_of`] has a session before its peer knows of it. While the channel is full, a peer whose coming online waits
//!   there is sent nothing.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod batch;
mod bind;
mod clock;
mod datagrams;
mod desk;
mod handle;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod one_by_one;
mod overload;
mod publish;
mod shards;

use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::Poll;
use std::io;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::yield_now;

use crate::dtls::DtlsEndpoint;
use crate::endpoint::Endpoint;
use crate::output::Output;
use crate::time::Instant;

pub use bind::bind;
pub use handle::{Calls, Handle, handle};
pub use shards::{Forwarding, Queues, Shard, Shards, shards};

use clock::{Clock, Timer};
use datagrams::{BATCH, Inbox, Outbox};
use desk::{Desk, Forwarded, News};
use handle::Call;
use overload::Pressure;
use publish::{Backlog, Ways};

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
    let mut timer = clock.timer();
    let mut inbox = Inbox::of(socket)?;
    let mut outbox = Outbox::default();
    let mut backlog = Backlog::default();
    let mut pressure = Pressure::default();
    loop {
        let deadline = endpoint.next_deadline();
        timer.set(deadline);
        let wake = wake(socket, calls, &mut desk, &mut timer).await?;
        let now = clock.now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            endpoint.handle_timeout(now);
        }
        // Whatever woke this task, calls and datagrams are taken each time, so that none of them waits for the others. The calls
        // are those that wait by now: what they bring about is sent before others are taken.
        let waiting = calls.calls.len();
        match wake {
            Wake::Call(call) => call(endpoint, now),
            Wake::News(news) => {
                if let Some(desk) = &mut desk {
                    handle_news(endpoint, desk, news, now);
                }
            }
            Wake::Socket | Wake::Timer => {}
            Wake::Stop => return Ok(()),
        }
        for _ in 0..waiting {
            let Ok(call) = calls.calls.try_recv() else {
                break;
            };
            call(endpoint, now);
        }
        inbox.receive(socket)?;
        if pressure.note(inbox.is_full()) {
            overload::handle_datagrams(endpoint, desk.as_deref(), inbox.datagrams(), now);
        } else {
            for (from, datagram) in inbox.datagrams() {
                handle_datagram(endpoint, desk.as_deref(), from, datagram, now);
            }
        }
        let mut ways = Ways {
            socket,
            clock,
            calls,
            outputs,
            desk: desk.as_deref(),
            outbox: &mut outbox,
            backlog: &mut backlog,
        };
        if ways.publish(endpoint).await.is_none() {
            return Ok(());
        }
        if inbox.is_full() {
            // A socket that always has more must not keep out who shares this thread.
            yield_now().await;
        }
    }
}

/// What there is to do.
enum Wake<D> {
    Call(Call<D>),
    Socket,
    News(News),
    Timer,
    /// All handles are dropped.
    Stop,
}

async fn wake<D>(
    socket: &UdpSocket,
    calls: &mut Calls<D>,
    desk: &mut Option<&mut Desk>,
    timer: &mut Timer,
) -> io::Result<Wake<D>> {
    poll_fn(|cx| {
        if let Some(desk) = desk
            && let Poll::Ready(news) = desk.poll_next(cx)
        {
            return Poll::Ready(Ok(Wake::News(news)));
        }
        if timer.poll(cx).is_ready() {
            return Poll::Ready(Ok(Wake::Timer));
        }
        if let Poll::Ready(call) = calls.calls.poll_recv(cx) {
            return Poll::Ready(Ok(call.map_or(Wake::Stop, Wake::Call)));
        }
        socket.poll_recv_ready(cx).map_ok(|()| Wake::Socket)
    })
    .await
}

/// Gives a datagram to the endpoint, or to the shard that it is for.
fn handle_datagram<D: DtlsEndpoint>(
    endpoint: &mut Endpoint<D>,
    desk: Option<&Desk>,
    from: SocketAddr,
    datagram: &[u8],
    now: Instant,
) {
    let forwarded = desk.is_some_and(|desk| desk.forward(endpoint, from, datagram));
    if !forwarded {
        endpoint.handle_datagram(from, datagram, now);
    }
}

fn handle_news<D: DtlsEndpoint>(
    endpoint: &mut Endpoint<D>,
    desk: &mut Desk,
    news: News,
    now: Instant,
) {
    let News::Datagram(first) = news else {
        return desk.settle(endpoint, now);
    };
    let more = core::iter::from_fn(|| desk.try_next()).take(BATCH);
    for Forwarded { from, datagram } in core::iter::once(first).chain(more) {
        endpoint.handle_datagram(from, &datagram, now);
    }
}
