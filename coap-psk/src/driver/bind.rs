//! Several sockets at one address.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::num::NonZeroU8;
use std::io;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// What a socket may hold until it is read: some thousand datagrams.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Binds `count` sockets to one address. The system deals datagrams out among them by where they come from and go to, so that
/// those of one peer address always come to the same socket.
///
/// Port 0 is a free port, the same for all. An address at which somebody listens already is refused; later, other programs of
/// the same user can join. One socket is an ordinary one. Each asks for a receive buffer of 4 MiB.
///
/// # Errors
/// The address is taken or not one of this machine, or the system cannot deal out datagrams: more than one socket there is on
/// Linux only.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn bind(address: SocketAddr, count: NonZeroU8) -> io::Result<Vec<UdpSocket>> {
    let first = open(address)?;
    first.bind(&address.into())?;
    let others = match count.get().saturating_sub(1) {
        0 => Vec::new(),
        others => join(&first, others)?,
    };
    core::iter::once(first)
        .chain(others)
        .map(|socket| UdpSocket::from_std(socket.into()))
        .collect()
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    socket.set_nonblocking(true)?;
    // As much as the system allows. A small one will do, too.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    Ok(socket)
}

/// Binds so many others where the first socket is. It was alone at its address when it was bound: had it been willing to share before, it would
/// have joined those of a program that runs already, and taken a part of their datagrams.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn join(first: &Socket, count: u8) -> io::Result<Vec<Socket>> {
    first.set_reuse_port(true)?;
    let bound = first.local_addr()?;
    let address = bound.as_socket().ok_or(io::ErrorKind::Unsupported)?;
    (0..count)
        .map(|_| {
            let socket = open(address)?;
            socket.set_reuse_port(true)?;
            socket.bind(&bound)?;
            Ok(socket)
        })
        .collect()
}

/// Elsewhere sockets that share a port do not share its datagrams, or in other ways.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn join(_first: &Socket, _count: u8) -> io::Result<Vec<Socket>> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "several sockets at one address there are on Linux only",
    ))
}
