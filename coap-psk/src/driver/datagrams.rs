//! Datagrams between a socket and an endpoint, many at a time.

use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use std::io;

use tokio::io::Interest;
use tokio::net::UdpSocket;

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::batch as system;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use super::one_by_one as system;
use crate::dtls::Transmit;

/// How many datagrams are taken before what they brought about goes out: few enough that nobody waits for long.
pub(super) const BATCH: usize = 64;

/// The room for one datagram: the longest of UDP, and some lines of a processor's cache, so that the beginnings of datagrams do not
/// displace each other there.
pub(super) const SLOT: usize = 65_536 + 3 * 64;

/// A datagram in its slot.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) from: SocketAddr,
    pub(super) slot: usize,
    pub(super) len: usize,
}

/// What has arrived.
pub(super) struct Inbox {
    is_v4: bool,
    /// The system gives memory for what is used of it.
    buffer: Vec<u8>,
    arrivals: Vec<Arrival>,
}

impl Inbox {
    pub(super) fn of(socket: &UdpSocket) -> io::Result<Self> {
        Ok(Self {
            is_v4: socket.local_addr()?.is_ipv4(),
            buffer: vec![0; SLOT.saturating_mul(BATCH)],
            arrivals: Vec::with_capacity(BATCH),
        })
    }

    /// Takes what has arrived, up to a batch, in place of what was there before.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        let Self {
            is_v4,
            buffer,
            arrivals,
        } = self;
        arrivals.clear();
        let receive = || system::receive(socket, *is_v4, buffer, arrivals);
        match socket.try_io(Interest::READABLE, receive) {
            Err(error) if !is_passing(error.kind()) => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether there may be more than was taken.
    pub(super) fn is_full(&self) -> bool {
        self.arrivals.len() >= BATCH
    }

    pub(super) fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.arrivals.iter().map(|arrival| {
            let start = arrival.slot.saturating_mul(SLOT);
            let end = start.saturating_add(arrival.len);
            let datagram = self.buffer.get(start..end).unwrap_or_default();
            (arrival.from, datagram)
        })
    }
}

/// Whether a socket is good after an error. Some systems report at a socket that an earlier datagram of ours was refused: that is
/// no reason to stop for all other peers.
fn is_passing(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::WouldBlock
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::Interrupted
    )
}

/// What is to be sent.
#[derive(Default)]
pub(super) struct Outbox {
    transmits: Vec<Transmit>,
}

impl Outbox {
    pub(super) fn push(&mut self, transmit: Transmit) {
        self.transmits.push(transmit);
    }

    pub(super) fn is_full(&self) -> bool {
        self.transmits.len() >= BATCH
    }

    /// Sends all of it. What cannot be sent is as good as lost on the way.
    pub(super) async fn send(&mut self, socket: &UdpSocket) {
        let mut sent = 0_usize;
        while let Some(rest @ [_, ..]) = self.transmits.get(sent..) {
            match socket.try_io(Interest::WRITABLE, || system::send(socket, rest)) {
                Ok(count) => sent = sent.saturating_add(count.max(1)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if socket.writable().await.is_err() {
                        break;
                    }
                }
                Err(_) => sent = sent.saturating_add(1),
            }
        }
        self.transmits.clear();
    }
}
