//! What the peer can take.

use super::frame::{BASE_MAX_MESSAGE_SIZE, MAX_HEADER_LEN};
use crate::block::Cut;
use crate::option::CoapOption;

/// The most bytes of an option beside its value. (RFC 7252, 3.1)
const MAX_OPTION_HEADER_LEN: usize = 5;

/// What a message may have beside its header, the payload and the options that are counted: the token, the payload marker,
/// and the options that are added to a part of a body: at most Observe, Block1, Block2, Size2 and an ETag, and in a request
/// that is challenged an Echo.
const ALLOWANCE: usize = 8 + 1 + 32 + 43;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::transfer::Transfer;
    use crate::message::{Code, Method, Token};
    use crate::option::{self, ENOS_MAILBOX};
    use crate::request::wire::{Control, write_request, write_response};
    use crate::request::{Request, Response};
    use crate::tcp::frame::encode;
    use alloc::vec;
    use alloc::vec::Vec;
    use bytes::Bytes;

    const TOKEN: [u8; 8] = [0xff; 8];

    fn peer(max_message_size: usize) -> Peer {
        Peer {
            max_message_size,
            block_wise: true,
        }
    }

    /// An option with the longest header there is.
    fn long() -> CoapOption {
        CoapOption::new(ENOS_MAILBOX, vec![1; 300])
    }

    #[test]
    fn a_request_with_all_that_is_added_to_it_fits() {
        let request = Request::new(Method::Fetch, "/").unwrap();
        let request = request.with_payload(0, vec![1; 60_000]).with_option(long());
        let token = Token::new(&TOKEN).unwrap();
        let head = write_request(&request, token, &Control::default(), Bytes::new());
        for size in 600..4_000 {
            let cut = peer(size).cut(&head.options);
            let mut transfer = Transfer::new(request.clone(), cut, u64::MAX);
            let echo = CoapOption::new(option::ECHO, vec![1; 40]);
            let challenge = Response::new(Code::UNAUTHORIZED).with_option(echo);
            transfer.take_challenge(&challenge).unwrap();
            let message = transfer.message(token, None, Some(0)).unwrap();
            assert!(message.options.len() > 5);
            let len = encode(&message).unwrap().len();
            assert!(peer(size).takes(len), "{len} of {size}");
        }
    }

    #[test]
    fn a_response_with_all_that_is_added_to_it_fits_and_hardly_anything_is_wasted() {
        let token = Token::new(&TOKEN).unwrap();
        let mut response = Response::new(Code::CONTENT).with_option(long());
        let head = write_response(&response, token, &Control::default());
        // The most that the message layer adds: Observe, ETag, Block1, Block2, Size2.
        response.options.extend(
            [
                (option::OBSERVE, 3),
                (option::ETAG, 8),
                (option::BLOCK1, 3),
                (option::BLOCK2, 3),
                (option::SIZE2, 4),
            ]
            .map(|(number, len)| CoapOption::new(number, vec![1_u8; len])),
        );
        let mut waste = Vec::new();
        for size in 600..4_000_usize {
            let cut = peer(size).cut(&head.options);
            let room = (0..size).rev().find(|len| cut.is_whole(*len)).unwrap();
            response.payload = vec![1; room].into();
            let len = encode(&write_response(&response, token, &Control::default()))
                .unwrap()
                .len();
            assert!(peer(size).takes(len), "{len} of {size}");
            waste.push(size.saturating_sub(len));
        }
        assert!(waste.iter().all(|it| *it < 64), "{:?}", waste.iter().max());
    }
}
