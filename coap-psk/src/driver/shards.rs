//! Many endpoints at one address, seen as one.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU8;
use std::io;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::desk::{Desk, Office};
use super::drive;
use super::handle::{Calls, Handle, handle};
use crate::dtls::{DtlsEndpoint, SessionId, ShardNumber};
use crate::endpoint::Endpoint;
use crate::guard::Counters;
use crate::identity::DeviceName;
use crate::output::Output;
use crate::time::Instant;

/// How much may wait at each shard.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Queues {
    /// Calls; default 1,024, and at least 1. Those beyond wait where they are made.
    pub calls: usize,
    /// Datagrams that other shards received, of up to 64 KiB each; default 256, and at least 1. Those beyond are dropped.
    pub forwarded: usize,
}

impl Default for Queues {
    fn default() -> Self {
        Self {
            calls: 1_024,
            forwarded: 256,
        }
    }
}

/// What the shards of an address handed to each other since they began, for whoever watches them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Forwarding {
    /// Datagrams of peers that moved, handed to the shard that has their session.
    pub forwarded: u64,
    /// Those for which that one had no room.
    pub dropped: u64,
}

/// Calls the endpoints of all shards. Clones call the same ones.
pub struct Shards<D> {
    handles: Arc<[Handle<D>]>,
    office: Arc<Office>,
}

/// One of the endpoints at an address: the other end of [`Shards`], for its driver.
pub struct Shard<D> {
    calls: Calls<D>,
    desk: Desk,
}

/// A handle to `count` shards, and the shards, each to be [`run`](Shard::run) with a socket of its own.
#[must_use]
pub fn shards<D>(count: NonZeroU8, queues: Queues) -> (Shards<D>, Vec<Shard<D>>) {
    let (office, desks) = Office::open(count.get(), queues.forwarded.max(1));
    let (handles, shards): (Vec<_>, Vec<_>) = desks
        .into_iter()
        .map(|desk| {
            let (handle, calls) = handle(queues.calls.max(1));
            (handle, Shard { calls, desk })
        })
        .unzip();
    let handles = handles.into();
    (Shards { handles, office }, shards)
}

impl<D: DtlsEndpoint + 'static> Shards<D> {
    /// Runs `call` on the endpoint that has this session, handshake or exchange; `None` when it is not driven any more, or the
    /// id is of no shard.
    pub async fn call<T: Send + 'static>(
        &self,
        at: impl Into<ShardNumber>,
        call: impl FnOnce(&mut Endpoint<D>, Instant) -> T + Send + 'static,
    ) -> Option<T> {
        let ShardNumber(shard) = at.into();
        let handle = self.handles.get(usize::from(shard))?;
        handle.call(call).await
    }

    /// Runs `call` there without waiting for that, as [`Handle::post`] does.
    pub async fn post(
        &self,
        at: impl Into<ShardNumber>,
        call: impl FnOnce(&mut Endpoint<D>, Instant) + Send + 'static,
    ) -> Option<()> {
        let ShardNumber(shard) = at.into();
        self.handles.get(usize::from(shard))?.post(call).await
    }

    /// Runs `call` on every endpoint that is driven, at the same time; the answers, in the order of the shards.
    pub async fn call_all<T: Send + 'static>(
        &self,
        call: impl Fn(&mut Endpoint<D>, Instant) -> T + Clone + Send + 'static,
    ) -> Vec<T> {
        let mut begun = Vec::with_capacity(self.handles.len());
        for handle in self.handles.iter() {
            begun.extend(handle.begin(call.clone()).await);
        }
        let mut answers = Vec::with_capacity(begun.len());
        for answer in begun {
            answers.extend(answer.await);
        }
        answers
    }

    /// Closes all sessions of all shards, and returns when every peer was told; see [`Endpoint::close_all`].
    pub async fn close_all(&self) {
        self.call_all(Endpoint::close_all).await;
        // A driver sends what a call made before it takes the next one.
        self.call_all(|_, _| ()).await;
    }

    /// What the endpoints have refused or forgotten, added up.
    pub async fn counters(&self) -> Counters {
        let counters = self.call_all(|endpoint, _| endpoint.counters()).await;
        counters
            .into_iter()
            .fold(Counters::default(), Counters::plus)
    }
}

impl<D> Shards<D> {
    /// The session of a device that is or was online, whichever shard has it.
    #[must_use]
    pub fn session_of(&self, device: &DeviceName) -> Option<SessionId> {
        self.office.session_of(device)
    }

    /// What the shards handed to each other.
    #[must_use]
    pub fn forwarding(&self) -> Forwarding {
        let (forwarded, dropped) = self.office.forwarded();
        Forwarding { forwarded, dropped }
    }
}

impl<D: DtlsEndpoint> Shard<D> {
    /// Which one it is: the settings of its engine must say the same.
    #[must_use]
    pub const fn number(&self) -> ShardNumber {
        self.desk.number
    }

    /// Drives an endpoint on a socket, as [`run`](super::run) does. When one of the shards ends before the others, all must end:
    /// what comes for it is lost, or goes to those that do not know its sessions.
    ///
    /// # Errors
    /// When the ids of the engine name another shard, and when the socket cannot be read.
    pub async fn run(
        &mut self,
        socket: &UdpSocket,
        endpoint: &mut Endpoint<D>,
        outputs: &mpsc::Sender<Output>,
    ) -> io::Result<()> {
        if endpoint.shard() != self.number() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the ids of the engine name another shard",
            ));
        }
        let Self { calls, desk } = self;
        drive(socket, endpoint, calls, outputs, Some(desk)).await
    }
}

impl<D> Clone for Shards<D> {
    fn clone(&self) -> Self {
        Self {
            handles: Arc::clone(&self.handles),
            office: Arc::clone(&self.office),
        }
    }
}

impl<D> fmt::Debug for Shards<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shards({})", self.handles.len())
    }
}

impl<D> fmt::Debug for Shard<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shard({})", self.desk.number)
    }
}
