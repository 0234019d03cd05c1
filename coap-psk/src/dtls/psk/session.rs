//! An established session: the keys of both directions and little else.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;

use zeroize::Zeroizing;

use super::alert::{Alert, ends_session, is_close_notify};
use super::connection_id::ConnectionId;
use super::context::Context;
use super::flight::{self, Part};
use super::message::{Message, MessageType, fragments};
use super::path::Path;
use super::record::{ContentType, Record};
use super::saved::VERSION;
use super::traffic::{Inbound, Outbound};
use super::wire::{Reader, put_vector16};
use crate::dtls::CloseReason;
use crate::error::{Error, ErrorKind};
use crate::suite::CipherSuite;

/// More than any saved session has, beside its identity.
const MAX_SAVED: usize = 512;

/// What a record of the peer means.
pub(super) enum Received {
    Nothing,
    Data(Vec<u8>),
    Closed(CloseReason),
}

pub(super) struct Session {
    path: Path,
    /// Whose key it is.
    identity: Box<[u8]>,
    outbound: Outbound,
    inbound: Inbound,
    /// The server's Finished, until data shows that the client has it. (RFC 6347, 4.2.4)
    finished: Option<Box<Message>>,
}

impl Session {
    /// The client's side.
    pub(super) const fn client(
        peer: SocketAddr,
        identity: Box<[u8]>,
        outbound: Outbound,
        inbound: Inbound,
    ) -> Self {
        Self {
            path: Path::confirmed(peer),
            identity,
            outbound,
            inbound,
            finished: None,
        }
    }

    /// The server's side, which has the last word.
    pub(super) fn server(
        peer: SocketAddr,
        identity: Box<[u8]>,
        outbound: Outbound,
        inbound: Inbound,
        finished: Message,
        cx: &mut Context,
    ) -> Self {
        let mut session = Self {
            finished: Some(Box::new(finished)),
            ..Self::client(peer, identity, outbound, inbound)
        };
        session.send_finished(cx);
        session
    }

    pub(super) const fn peer(&self) -> SocketAddr {
        self.path.peer()
    }

    pub(super) const fn identity(&self) -> &[u8] {
        &self.identity
    }

    /// The id in what the peer sends, or none.
    pub(super) const fn connection_id(&self) -> ConnectionId {
        self.inbound.connection_id()
    }

    /// Whether a new session of `identity` at the address of this one takes its place. Without an id this one could not be told
    /// from it (RFC 6347, 4.2.8); with one it may be that of a peer whose address passed to another since it was last heard.
    pub(super) fn gives_way_to(&self, identity: &[u8]) -> bool {
        self.connection_id().is_empty() || *self.identity == *identity
    }

    /// The peer has answered what was sent to its present address.
    pub(super) const fn confirm_path(&mut self) {
        self.path.confirm();
    }

    /// Reserves so many sequence numbers; the first that is not reserved.
    pub(super) fn reserve(&mut self, count: u64) -> u64 {
        self.outbound.reserve(count)
    }

    pub(super) fn extend_reservation(&mut self, end: u64) {
        self.outbound.extend_reservation(end);
    }

    pub(super) fn records_left(&self) -> u64 {
        self.outbound.records_left()
    }

    /// All that it takes to go on with this sequence number, but for a Finished that the client may not have: should it be lost,
    /// the client makes a new handshake.
    pub(super) fn save(&self, next: u64) -> Zeroizing<Vec<u8>> {
        // Never more, so that no secret stays behind in memory that a growing vector leaves.
        let len = self.identity.len().saturating_add(MAX_SAVED);
        let mut out = Zeroizing::new(Vec::with_capacity(len));
        out.push(VERSION);
        out.extend(self.inbound.suite().number().to_be_bytes());
        put_vector16(&mut out, &self.identity);
        self.path.save(&mut out);
        self.outbound.save(next, &mut out);
        self.inbound.save(&mut out);
        out
    }

    pub(super) fn restore(saved: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(saved);
        if reader.u8()? != VERSION {
            return None;
        }
        let suite = CipherSuite::try_from(reader.u16()?).ok()?;
        let session = Self {
            identity: reader.vector16()?.into(),
            path: Path::restore(&mut reader)?,
            outbound: Outbound::restore(suite, &mut reader)?,
            inbound: Inbound::restore(suite, &mut reader)?,
            finished: None,
        };
        reader.end()?;
        Some(session)
    }

    pub(super) fn send(&mut self, data: &[u8], cx: &mut Context) -> Result<(), Error> {
        if data.len() > self.outbound.room() {
            return Err(ErrorKind::TooLarge.into());
        }
        self.transmit(ContentType::ApplicationData, data, cx)
    }

    /// Tells the peer that the session is over.
    pub(super) fn close(&mut self, alert: Alert, cx: &mut Context) {
        // When it cannot be said, for want of a number or of a sure address, the peer finds out by itself.
        let _ = self.transmit(ContentType::Alert, &alert.bytes(), cx);
    }

    /// Takes a record; `None` when it is not authentic or came before.
    pub(super) fn handle_record(
        &mut self,
        from: SocketAddr,
        record: &Record<'_>,
        cx: &mut Context,
    ) -> Option<Received> {
        let Some(opened) = self.inbound.open(record) else {
            return self.judge_rejections(cx);
        };
        self.path.handle_record(from, record, opened.newest);
        let text = opened.text;
        Some(match opened.content {
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
            let len = flight::len(&parts, &self.outbound);
            if self.path.spend(len) {
                flight::send(&parts, self.path.peer(), &mut self.outbound, cx);
            }
        }
    }

    fn transmit(
        &mut self,
        content: ContentType,
        text: &[u8],
        cx: &mut Context,
    ) -> Result<(), Error> {
        let len = self.outbound.overhead(true).saturating_add(text.len());
        if !self.path.spend(len) {
            return Err(Error::with_source(
                ErrorKind::Refused,
                "the peer has not answered at its new address yet",
            ));
        }
        let mut datagram = Vec::with_capacity(len);
        self.outbound
            .put_protected(content, text, &mut cx.random, &mut datagram)
            .ok_or_else(|| {
                Error::with_source(
                    ErrorKind::Transport,
                    "no sequence number is left, or reserved",
                )
            })?;
        cx.transmit(self.path.peer(), datagram);
        Ok(())
    }
}
