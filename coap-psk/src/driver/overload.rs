//! What becomes of datagrams when more come than an endpoint can take.
//!
//! The system drops what its buffer has no room for, whoever sent it. So that it seldom comes to that, a socket with much to read is
//! read as quickly as can be: what is for a session or a handshake here is taken, and of the rest only so much that reading it
//! does not wait for it. Anybody can send that rest, in anybody's name; a device whose ClientHello is dropped repeats it.

use alloc::vec::Vec;

use super::datagrams::Inbox;
use super::desk::Desk;
use super::handle_datagram;
use crate::dtls::DtlsEndpoint;
use crate::endpoint::Endpoint;
use crate::time::Instant;

/// How many datagrams of strangers are taken of a batch.
const STRANGERS: usize = 12;

/// Takes a batch that may not be all there is.
pub(super) fn handle_datagrams<D: DtlsEndpoint>(
    endpoint: &mut Endpoint<D>,
    desk: Option<&Desk>,
    inbox: &Inbox,
    now: Instant,
) {
    let mut strangers = Vec::with_capacity(STRANGERS);
    for (from, datagram) in inbox.datagrams() {
        if !endpoint.is_of_stranger(from, datagram) {
            handle_datagram(endpoint, desk, from, datagram, now);
        } else if strangers.len() < STRANGERS {
            strangers.push((from, datagram));
        } else {
            endpoint.handle_overload();
        }
    }
    for (from, datagram) in strangers {
        handle_datagram(endpoint, desk, from, datagram, now);
    }
}
