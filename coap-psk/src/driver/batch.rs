//! Many datagrams with one system call.

use alloc::vec::Vec;
use core::cell::RefCell;
use core::net::SocketAddr;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, MultiHeaders, SockaddrLike, SockaddrStorage, recvmmsg, sendmmsg,
};
use tokio::net::UdpSocket;

use super::datagrams::{Arrival, BATCH, SLOT};
use crate::dtls::Transmit;

/// What a call takes beside the datagrams, kept from one to the next. The system writes lengths of addresses into those for
/// receiving, so that sockets of another family have others.
struct Headers {
    to_receive_v4: MultiHeaders<SockaddrStorage>,
    to_receive_v6: MultiHeaders<SockaddrStorage>,
    to_send: MultiHeaders<SockaddrStorage>,
    addresses: Vec<Option<SockaddrStorage>>,
}

std::thread_local! {
    // They hold pointers, which are good for one call only, and so cannot go with a driver to another thread.
    static HEADERS: RefCell<Headers> = RefCell::new(Headers {
        to_receive_v4: MultiHeaders::preallocate(BATCH, None),
        to_receive_v6: MultiHeaders::preallocate(BATCH, None),
        to_send: MultiHeaders::preallocate(BATCH, None),
        addresses: Vec::with_capacity(BATCH),
    });
}

/// Takes what has arrived, up to a batch, each into a slot of the buffer. An error is one of the first datagram.
pub(super) fn receive(
    socket: &UdpSocket,
    is_v4: bool,
    buffer: &mut [u8],
    arrivals: &mut Vec<Arrival>,
) -> io::Result<()> {
    HEADERS.with_borrow_mut(|headers| {
        let headers = if is_v4 {
            &mut headers.to_receive_v4
        } else {
            &mut headers.to_receive_v6
        };
        let mut rest = buffer.chunks_exact_mut(SLOT);
        let mut slots: [[IoSliceMut<'_>; 1]; BATCH] =
            core::array::from_fn(|_| [IoSliceMut::new(rest.next().unwrap_or_default())]);
        let received = recvmmsg(
            socket.as_raw_fd(),
            headers,
            slots.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        )?;
        for (slot, message) in received.enumerate() {
            if let Some(from) = message.address.as_ref().and_then(address_of) {
                let len = message.bytes;
                arrivals.push(Arrival { from, slot, len });
            }
        }
        Ok(())
    })
}

/// Sends the first of these datagrams, up to a batch; how many. An error is one of the first.
pub(super) fn send(socket: &UdpSocket, transmits: &[Transmit]) -> io::Result<usize> {
    HEADERS.with_borrow_mut(|headers| {
        let Headers {
            to_send, addresses, ..
        } = headers;
        addresses.clear();
        let first = transmits.iter().take(BATCH);
        addresses.extend(first.map(|transmit| Some(transmit.to.into())));
        let mut rest = transmits.iter();
        let slices: [[IoSlice<'_>; 1]; BATCH] = core::array::from_fn(|_| {
            let datagram = rest.next().map(|transmit| transmit.datagram.as_slice());
            [IoSlice::new(datagram.unwrap_or_default())]
        });
        let sent = sendmmsg(
            socket.as_raw_fd(),
            to_send,
            // As many as there are addresses.
            slices.iter(),
            &*addresses,
            [],
            MsgFlags::MSG_DONTWAIT,
        )?;
        Ok(sent.count())
    })
}

fn address_of(address: &SockaddrStorage) -> Option<SocketAddr> {
    match address.family()? {
        AddressFamily::Inet => {
            let address = address.as_sockaddr_in()?;
            Some((address.ip(), address.port()).into())
        }
        AddressFamily::Inet6 => {
            let address = address.as_sockaddr_in6()?;
            Some(
                core::net::SocketAddrV6::new(
                    address.ip(),
                    address.port(),
                    address.flowinfo(),
                    address.scope_id(),
                )
                .into(),
            )
        }
        _ => None,
    }
}
