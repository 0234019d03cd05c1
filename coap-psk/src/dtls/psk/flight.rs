//! Flights: what one side sends before it waits for the other, and again until the other answers. (RFC 6347, 4.2.4)

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;
use core::net::SocketAddr;

use super::alert::Alert;
use super::config::MIN_MTU;
use super::context::Context;
use super::message::{Message, MessageType};
use super::protection::Protection;
use super::record::{ContentType, MAX_PLAINTEXT};
use super::timer::{Due, Timer};
use super::traffic::Outbound;
use crate::random::Random;
use crate::time::Instant;

/// The one message of its kind. (RFC 5246, 7.1)
const CHANGE_CIPHER_SPEC: &[u8] = &[1];

/// No message is cut smaller, whatever the datagrams: its fragments would be little more than headers. It is what a Finished
/// has, so that this one stays whole under the longest connection id of a peer.
const SHORTEST_FRAGMENT: usize = 24;

/// A part of a flight.
pub(super) enum Part {
    Plain(Message),
    ChangeCipherSpec,
    Protected(Message),
}

impl Part {
    /// All of it.
    fn bytes(&self) -> &[u8] {
        match self {
            Self::ChangeCipherSpec => CHANGE_CIPHER_SPEC,
            Self::Plain(message) | Self::Protected(message) => message.bytes(),
        }
    }

    /// What its records carry when one has room for `room` bytes.
    fn contents(&self, room: usize) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let divided = match self {
            // A server without state could not put a ClientHello together.
            Self::Plain(message) | Self::Protected(message)
                if message.bytes().len() > room && message.kind() != MessageType::ClientHello =>
            {
                Some(message.fragments(room).map(Cow::Owned))
            }
            _ => None,
        };
        let whole = divided.is_none().then(|| Cow::Borrowed(self.bytes()));
        divided.into_iter().flatten().chain(whole)
    }

    const fn is_protected(&self) -> bool {
        matches!(self, Self::Protected(_))
    }

    fn put(
        &self,
        content: &[u8],
        outbound: &mut Outbound,
        random: &mut Random,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        match self {
            Self::Plain(_) => outbound.put_plain(ContentType::Handshake, content, out),
            Self::ChangeCipherSpec => {
                outbound.put_plain(ContentType::ChangeCipherSpec, content, out)
            }
            Self::Protected(_) => {
                outbound.put_protected(ContentType::Handshake, content, random, out)
            }
        }
    }
}

/// The present flight of one side of a handshake, and all that sending it takes.
pub(super) struct Flight {
    peer: SocketAddr,
    parts: Vec<Part>,
    outbound: Outbound,
    timer: Timer,
    /// The place of its connection in the order of deadlines: no later than its deadline.
    place: Option<Instant>,
}

impl Flight {
    /// Without anything to send yet; the first record will have this sequence number.
    pub(super) fn new(peer: SocketAddr, first_sequence: u64, cx: &Context) -> Self {
        Self {
            peer,
            parts: Vec::new(),
            outbound: Outbound::new(first_sequence),
            timer: Timer::new(&cx.config, cx.now),
            place: None,
        }
    }

    pub(super) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The deadline, and the place in the order of deadlines, which the table of connections looks after.
    pub(super) fn timing(&mut self) -> (Instant, &mut Option<Instant>) {
        (self.timer.deadline(), &mut self.place)
    }

    /// Goes on to the next flight.
    pub(super) fn send(&mut self, parts: Vec<Part>, cx: &mut Context) {
        self.parts = parts;
        self.timer.start(&cx.config, cx.now);
        self.transmit(cx);
    }

    /// The peer repeats what this flight answers: it was lost.
    pub(super) fn handle_repetition(&mut self, cx: &mut Context) {
        if self.timer.take_repetition(&cx.config, cx.now) {
            self.transmit(cx);
        }
    }

    pub(super) fn handle_timeout(&mut self, cx: &mut Context) -> Due {
        let due = self.timer.handle_timeout(&cx.config, cx.now);
        if due == Due::Repetition {
            self.transmit(cx);
        }
        due
    }

    /// The peer has answered. It is now for the peer to repeat.
    pub(super) const fn stop(&mut self) {
        self.timer.stop();
    }

    /// Goes on under keys, with the id that the peer chose, which may be empty.
    pub(super) fn protect(&mut self, keys: Protection, connection_id: Box<[u8]>) {
        self.outbound.protect(keys, connection_id);
    }

    /// Says in clear that the handshake is over.
    pub(super) fn refuse(&mut self, alert: Alert, cx: &mut Context) {
        alert.send(self.peer, &mut self.outbound, cx);
    }

    /// What goes on into the session.
    pub(super) fn take_outbound(&mut self) -> Outbound {
        self.outbound.take()
    }

    fn transmit(&mut self, cx: &mut Context) {
        send(&self.parts, self.peer, &mut self.outbound, cx);
    }
}

/// The bytes of parts that are not divided, at most.
pub(super) fn len(parts: &[Part], outbound: &Outbound) -> usize {
    let len = |part: &Part| {
        outbound
            .overhead(part.is_protected())
            .saturating_add(part.bytes().len())
    };
    parts.iter().map(len).fold(0, usize::saturating_add)
}

/// Sends parts in as few datagrams as they take. What has no sequence number left is as good as lost.
pub(super) fn send(parts: &[Part], peer: SocketAddr, outbound: &mut Outbound, cx: &mut Context) {
    let mtu = cx.config.mtu.max(MIN_MTU);
    let mut datagram = Vec::with_capacity(len(parts, outbound).min(mtu));
    for part in parts {
        let overhead = outbound.overhead(part.is_protected());
        // RFC 5246, 6.2.1
        let room = mtu.saturating_sub(overhead).min(MAX_PLAINTEXT);
        for content in part.contents(room.max(SHORTEST_FRAGMENT)) {
            let len = overhead.saturating_add(content.len());
            if !datagram.is_empty() && datagram.len().saturating_add(len) > mtu {
                cx.transmit(peer, mem::take(&mut datagram));
            }
            if part
                .put(&content, outbound, &mut cx.random, &mut datagram)
                .is_none()
            {
                return;
            }
        }
    }
    cx.transmit(peer, datagram);
}

#[cfg(test)]
mod tests {
    use super::super::config::PskConfig;
    use super::super::protection::KeyPair;
    use super::*;
    use crate::suite::CipherSuite;

    #[test]
    fn a_finished_stays_whole_whatever_id_the_peer_chose() {
        let config = PskConfig {
            mtu: MIN_MTU,
            ..PskConfig::default()
        };
        let mut cx = Context::new(config, [1; 32]);
        let keys = KeyPair::cut(CipherSuite::PskAes128CbcSha256, &[1; KeyPair::MAX_MATERIAL]);
        let mut outbound = Outbound::new(0);
        outbound.protect(keys.server, Box::from([7; 255]));
        let finished = Message::new(MessageType::Finished, 3, &[0; 12]);
        let parts = [Part::ChangeCipherSpec, Part::Protected(finished)];
        let peer = ([10, 0, 0, 2], 40_000).into();
        send(&parts, peer, &mut outbound, &mut cx);
        assert_eq!(cx.transmits.len(), 2, "one for each part");
    }
}
