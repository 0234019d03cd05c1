//! An established session: the keys of both directions and little else.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::alert::{Alert, ends_session, is_close_notify};
use super::context::Context;
use super::flight::{self, Part};
use super::message::{Message, MessageType, fragments};
use super::record::{ContentType, MAX_PLAINTEXT, Record};
use super::traffic::{Inbound, Outbound};
use crate::dtls::CloseReason;
use crate::error::{Error, ErrorKind};

/// What a record of the peer means.
pub(super) enum Received {
    Nothing,
    Data(Vec<u8>),
    Closed(CloseReason),
}

pub(super) struct Session {
    peer: SocketAddr,
    outbound: Outbound,
    inbound: Inbound,
    /// The server's Finished, until data shows that the client has it. (RFC 6347, 4.2.4)
    finished: Option<Box<Message>>,
}

impl Session {
    /// The client's side.
    pub(super) const fn client(peer: SocketAddr, outbound: Outbound, inbound: Inbound) -> Self {
        Self {
            peer,
            outbound,
            inbound,
            finished: None,
        }
    }

    /// The server's side, which has the last word.
    pub(super) fn server(
        peer: SocketAddr,
        outbound: Outbound,
        inbound: Inbound,
        finished: Message,
        cx: &mut Context,
    ) -> Self {
        let mut session = Self {
            finished: Some(Box::new(finished)),
            ..Self::client(peer, outbound, inbound)
        };
        session.send_finished(cx);
        session
    }

    pub(super) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(super) fn send(&mut self, data: &[u8], cx: &mut Context) -> Result<(), Error> {
        if data.len() > MAX_PLAINTEXT {
            return Err(ErrorKind::TooLarge.into());
        }
        self.transmit(ContentType::ApplicationData, data, cx)
            .ok_or_else(|| Error::with_source(ErrorKind::Transport, "no sequence number is left"))
    }

    /// Tells the peer that the session is over.
    pub(super) fn close(&mut self, alert: Alert, cx: &mut Context) {
        // Without a number left to say it, the peer finds out by itself.
        let _ = self.transmit(ContentType::Alert, &alert.bytes(), cx);
    }

    /// Takes a record; `None` when it is not authentic or came before.
    pub(super) fn handle_record(
        &mut self,
        record: &Record<'_>,
        cx: &mut Context,
    ) -> Option<Received> {
        let Some(text) = self.inbound.open(record) else {
            return self.judge_rejections(cx);
        };
        Some(match record.header.content {
            ContentType::ApplicationData => {
                self.finished = None;
                Received::Data(text)
            }
            ContentType::Alert if is_close_notify(&text) => {
                // RFC 5246, 7.2.1
                self.close(Alert::CloseNotify, cx);
                Received::Closed(CloseReason::Peer)
            }
            ContentType::Alert if ends_session(&text) => Received::Closed(CloseReason::Peer),
            ContentType::Handshake => {
                // The client repeats its last flight because ours was lost. Anything else would be a renegotiation, which is
                // ignored as RFC 5246, 7.4.1.1 and 7.4.1.2 allow.
                if fragments(&text).any(|fragment| fragment.kind == MessageType::Finished) {
                    self.send_finished(cx);
                }
                Received::Nothing
            }
            _ => Received::Nothing,
        })
    }

    /// Ends a session for which too many records were forged. (RFC 6347, 4.1.2.7)
    fn judge_rejections(&mut self, cx: &mut Context) -> Option<Received> {
        (self.inbound.rejected() > cx.config.max_rejected).then(|| {
            self.close(Alert::BadRecordMac, cx);
            Received::Closed(CloseReason::Fault)
        })
    }

    fn send_finished(&mut self, cx: &mut Context) {
        if let Some(finished) = &self.finished {
            let parts = [
                Part::ChangeCipherSpec,
                Part::Protected(Message::clone(finished)),
            ];
            flight::send(&parts, self.peer, &mut self.outbound, cx);
        }
    }

    fn transmit(&mut self, content: ContentType, text: &[u8], cx: &mut Context) -> Option<()> {
        let overhead = self.outbound.overhead(true);
        let mut datagram = Vec::with_capacity(overhead.saturating_add(text.len()));
        self.outbound
            .put_protected(content, text, &mut cx.random, &mut datagram)?;
        cx.transmit(self.peer, datagram);
        Some(())
    }
}
