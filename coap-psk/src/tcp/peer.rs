//! What the peer can take.

use super::frame::{BASE_MAX_MESSAGE_SIZE, MAX_HEADER_LEN};
use crate::block::Cut;
use crate::option::CoapOption;

/// The most bytes of an option beside its value. (RFC 7252, 3.1)
const MAX_OPTION_HEADER_LEN: usize = 5;

/// What a message may have beside its header, the payload and the options that are counted: the token, the payload marker,
/// and the options that are added to a part of a body, at most Observe, Block1, Block2, Size2 and an ETag.
const ALLOWANCE: usize = 8 + 1 + 32;

/// The peer's capabilities and settings. (RFC 8323, 5.3)
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    max_message_size: usize,
    block_wise: bool,
}

impl Default for Peer {
    /// The base values, which hold until the peer's CSM.
    fn default() -> Self {
        Self {
            max_message_size: BASE_MAX_MESSAGE_SIZE,
            block_wise: false,
        }
    }
}

impl Peer {
    /// Takes what a CSM says. What it does not name stays. (RFC 8323, 5.3)
    pub(super) fn learn(&mut self, max_message_size: Option<u32>, block_wise: bool) {
        if let Some(size) = max_message_size {
            self.max_message_size = usize::try_from(size).unwrap_or(usize::MAX);
        }
        self.block_wise |= block_wise;
    }

    pub(super) const fn takes(&self, frame_len: usize) -> bool {
        frame_len <= self.max_message_size
    }

    /// How bodies are cut that travel with these options. A peer that has not said that it knows blocks may know them, so a
    /// body that does not fit a message is cut for it as well; several blocks in a message are for those who said so.
    pub(super) fn cut(&self, options: &[CoapOption]) -> Cut {
        let taken = options
            .iter()
            .map(|option| option.value.len().saturating_add(MAX_OPTION_HEADER_LEN))
            .fold(
                MAX_HEADER_LEN.saturating_add(ALLOWANCE),
                usize::saturating_add,
            );
        // RFC 8323, 5.3.2
        let bert = self.block_wise && self.max_message_size > BASE_MAX_MESSAGE_SIZE;
        Cut::reliable(self.max_message_size.saturating_sub(taken), bert)
    }
}
