//! Datagrams where the system takes and gives one with each call.

use alloc::vec::Vec;
use std::io;

use tokio::net::UdpSocket;

use super::datagrams::{Arrival, BATCH, SLOT};
use crate::dtls::Transmit;

/// Takes what has arrived, up to a batch, each into a slot of the buffer. An error is one of the first datagram.
pub(super) fn receive(
    socket: &UdpSocket,
    _is_v4: bool,
    buffer: &mut [u8],
    arrivals: &mut Vec<Arrival>,
) -> io::Result<()> {
    for (slot, bytes) in buffer.chunks_exact_mut(SLOT).take(BATCH).enumerate() {
        match socket.try_recv_from(bytes) {
            Ok((len, from)) => arrivals.push(Arrival { from, slot, len }),
            Err(error) if arrivals.is_empty() => return Err(error),
            // It is told again, or was about one datagram.
            Err(_) => break,
        }
    }
    Ok(())
}

/// Sends the first of these datagrams, up to a batch; how many. An error is one of the first.
pub(super) fn send(socket: &UdpSocket, transmits: &[Transmit]) -> io::Result<usize> {
    let mut sent = 0_usize;
    for Transmit { to, datagram } in transmits.iter().take(BATCH) {
        match socket.try_send_to(datagram, *to) {
            Ok(_) => sent = sent.saturating_add(1),
            Err(error) if sent == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(sent)
}
