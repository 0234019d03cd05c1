//! The end of a handshake: the first records under the new keys, and the Finished that they carry. (RFC 5246, 7.4.9)
//!
//! A record says by its epoch which keys it is under, so nothing depends on when the ChangeCipherSpec arrives, or whether.

use alloc::boxed::Box;

use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::alert::ends_session;
use super::context::Context;
use super::keys::{MasterSecret, Side};
use super::message::{Message, MessageType, fragments};
use super::reassembly::Reassembly;
use super::record::{ContentType, Record};
use super::session::Session;
use super::traffic::{Inbound, Opened};

/// How far a step brought a handshake.
pub(super) enum Progress {
    Waiting,
    /// The server knows the identity and needs its key.
    NeedKey,
    Established(Box<Session>),
    Failed,
}

/// What an authentic record says to a side that waits for Finished.
pub(super) enum LastWord {
    Nothing,
    Finished(Message),
    Refusal,
}

/// The keys of a handshake that waits for the peer's Finished.
pub(super) struct Finishing {
    pub(super) master: MasterSecret,
    pub(super) inbound: Inbound,
}

impl Finishing {
    /// Opens a record; `None` when it is not one of this handshake.
    ///
    /// Data that overtook the Finished is dropped: nothing is verified yet.
    pub(super) fn read(
        &mut self,
        record: &Record<'_>,
        messages: &mut Reassembly,
        cx: &Context,
    ) -> Option<LastWord> {
        let Opened { content, text, .. } = self.inbound.open(record)?;
        match content {
            ContentType::Handshake => {
                for fragment in fragments(&text) {
                    if fragment.kind == MessageType::Finished {
                        messages.insert(&fragment, cx.config.max_message);
                    }
                }
                Some(messages.pop().map_or(LastWord::Nothing, LastWord::Finished))
            }
            ContentType::Alert if ends_session(&text) => Some(LastWord::Refusal),
            _ => Some(LastWord::Nothing),
        }
    }

    /// Whether a Finished of this side fits the messages that went before.
    pub(super) fn verifies(&self, side: Side, transcript: &Sha256, finished: &Message) -> bool {
        let expected = self.master.verify_data(side, transcript);
        expected.as_slice().ct_eq(finished.body()).into()
    }
}
