//! How much a source may be sent before it is known to be where it says it is. (RFC 7252, 11.3; RFC 9175, 2.4)
//!
//! Whoever writes another's address on a request makes the server send its answer there. The answer must not be worth that:
//! to a source that is not verified goes a short one, or a 4.01 with an Echo value that lets the source prove itself.
//!
//! Over DTLS nothing of this arises: nobody gets a CoAP message without a handshake, and [`Endpoint`](crate::Endpoint) has no
//! other way in. A server of its own for CoAP without DTLS does this with each request, in this order:
//!
//! 1. [`Freshness::is_verified`](crate::echo::Freshness::is_verified), or an Echo option in it that
//!    [`verify`](crate::echo::Freshness::verify)s: the source is where it says, and answered as any other.
//! 2. Otherwise [`Budget::answer`] decides what goes back, when the response is there.
//! 3. What is no request gets at most a Reset, and that only while a [`SourceLimiter`](crate::limit::SourceLimiter) kept for
//!    nothing else admits one: a Reset to everybody reflects as much as it was sent.
//!
//! ```
//! use coap_psk::amplification::Budget;
//! use coap_psk::codec::{MessageRef, parse};
//! use coap_psk::echo::{self, Freshness};
//! use coap_psk::message::{Kind, Message, Token};
//! use coap_psk::{Code, Instant, option};
//!
//! let (from, now) = (([192, 0, 2, 1], 40_000).into(), Instant::ZERO);
//! let mut freshness = Freshness::new(echo::Config::default(), [7; 32]);
//!
//! let is_verified = |freshness: &mut Freshness, request: &MessageRef<'_>| {
//!     let echo = request.options().find(|(number, _)| *number == option::ECHO);
//!     freshness.is_verified(from) || echo.is_some_and(|(_, value)| freshness.verify(from, value, now))
//! };
//! // CON GET /a, message id 7; what it asks for is 500 bytes long.
//! let datagram = b"\x40\x01\x00\x07\xb1a";
//! let mut response = Message::new(Kind::Confirmable, Code::CONTENT, 0, Token::default());
//! response.payload = vec![1; 500].into();
//!
//! let request = parse(datagram).map_err(|_| "malformed")?;
//! assert!(!is_verified(&mut freshness, &request));
//! let budget = Budget::of(&request, datagram.len()).ok_or("no request")?;
//! let answer = budget.answer(response, &freshness.value(from, now), 0x0101)?;
//! let answer = parse(&answer).map_err(|_| "malformed")?;
//! assert_eq!((answer.kind(), answer.code()), (Kind::Acknowledgement, Code::UNAUTHORIZED));
//!
//! // The same again, message id 8, with the Echo option of the answer: 252 = 11 + 13 + 228.
//! let (_, value) = answer.options().next().ok_or("no Echo option")?;
//! let again = [&b"\x40\x01\x00\x08\xb1a\xdc\xe4"[..], value].concat();
//! assert!(is_verified(&mut freshness, &parse(&again).map_err(|_| "malformed")?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use alloc::vec::Vec;

use crate::codec::{self, MessageRef};
use crate::echo::VALUE_LEN;
use crate::error::Error;
use crate::message::{Code, Kind, Message, Token};
use crate::option::{self, CoapOption};

/// What a source may be sent for a request of any length, the token left out: three times the shortest request with the
/// headers below it, less those headers. (RFC 9175, 2.4)
pub const SAFE_LEN: usize = 136;

/// How many bytes may go out for each that came in. (RFC 9175, 2.4)
pub const FACTOR: usize = 3;

/// What one request of a source that is not verified may be answered with.
///
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// The message id of the acknowledgement that the answer rides in; `None` when it is Non-confirmable.
    acknowledges: Option<u16>,
    token: Token,
    bytes: usize,
}

impl Budget {
    /// What this request may be answered with, which came as `received` bytes; `None` when it is no request.
    #[must_use]
    pub fn of(request: &MessageRef<'_>, received: usize) -> Option<Self> {
        let acknowledges = match request.kind() {
            Kind::Confirmable => Some(request.message_id()),
            Kind::NonConfirmable => None,
            Kind::Acknowledgement | Kind::Reset => return None,
        };
        let is_request = request.code().class() == 0 && request.code() != Code::EMPTY;
        let token = request.token();
        // The token lengthens the request as it does the answer.
        let safe = SAFE_LEN.saturating_add(token.as_bytes().len());
        is_request.then(|| Self {
            acknowledges,
            token,
            bytes: received.saturating_mul(FACTOR).max(safe),
        })
    }

    /// The bytes that may be sent.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.bytes
    }

    /// The datagram that goes back: `response` when it is short enough, otherwise 4.01 with `echo`.
    ///
    /// It rides in the acknowledgement or is Non-confirmable, with `message_id`; one of its own that is retransmitted would
    /// multiply what goes out. (RFC 9175, 2.4) The type, id and token that `response` comes with do not matter.
    ///
    /// # Errors
    /// [`ErrorKind::Message`](crate::ErrorKind::Message) when the response cannot be written.
    pub fn answer(
        self,
        mut response: Message,
        echo: &[u8; VALUE_LEN],
        message_id: u16,
    ) -> Result<Vec<u8>, Error> {
        (response.kind, response.message_id) = match self.acknowledges {
            Some(acknowledged) => (Kind::Acknowledgement, acknowledged),
            None => (Kind::NonConfirmable, message_id),
        };
        response.token = self.token;
        let datagram = codec::encode(&response)?;
        if datagram.len() <= self.bytes {
            return Ok(datagram);
        }
        let mut challenge = Message::new(
            response.kind,
            Code::UNAUTHORIZED,
            response.message_id,
            self.token,
        );
        challenge
            .options
            .push(CoapOption::new(option::ECHO, echo.to_vec()));
        codec::encode(&challenge)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ECHO: [u8; VALUE_LEN] = [0xee; VALUE_LEN];

    fn response(payload: usize) -> Message {
        let mut response = Message::new(Kind::Confirmable, Code::CONTENT, 99, Token::default());
        response.payload = alloc::vec![1; payload].into();
        response
    }

    #[test]
    fn a_long_answer_becomes_a_challenge_in_the_acknowledgement_or_a_non() {
        for (request, kind, id) in [
            (
                &b"\x42\x01\x00\x07\xaa\xbb\xb1a"[..],
                Kind::Acknowledgement,
                7,
            ),
            (b"\x52\x01\x00\x07\xaa\xbb\xb1a", Kind::NonConfirmable, 5),
        ] {
            let budget = Budget::of(&codec::parse(request).unwrap(), request.len()).unwrap();
            // 136 and the token: a header of 4, the token of 2, the payload marker.
            assert_eq!(budget.bytes(), 138);
            for (payload, code) in [(131, Code::CONTENT), (132, Code::UNAUTHORIZED)] {
                let datagram = budget.answer(response(payload), &ECHO, 5).unwrap();
                let answer = codec::parse(&datagram).unwrap();
                assert_eq!((answer.kind(), answer.code()), (kind, code));
                assert_eq!(
                    (answer.message_id(), answer.token().as_bytes()),
                    (id, &b"\xaa\xbb"[..])
                );
                let echo: Vec<_> = answer.options().collect();
                let expected = [(option::ECHO, &ECHO[..])];
                assert_eq!(
                    echo,
                    if code == Code::CONTENT {
                        &[][..]
                    } else {
                        &expected
                    }
                );
            }
        }
    }

    #[test]
    fn what_is_no_request_has_no_budget() {
        for datagram in [
            &b"\x40\x00\x00\x01"[..],
            b"\x70\x00\x00\x01",
            b"\x60\x45\x00\x01",
            b"\x60\x01\x00\x01",
            b"\x40\x45\x00\x01",
        ] {
            let message = codec::parse(datagram).unwrap();
            assert!(
                Budget::of(&message, datagram.len()).is_none(),
                "{message:?}"
            );
        }
    }

    proptest! {
        /// Whatever is asked and answered: no more than three times what came, or than is safe for any request.
        #[test]
        fn no_answer_is_over_the_budget_and_none_is_retransmitted(
            datagram in proptest::collection::vec(any::<u8>(), 4..400),
            confirmable: bool,
            payload in 0_usize..2_000,
        ) {
            let mut datagram = datagram;
            datagram[0] = 0x40 | (u8::from(!confirmable) << 4) | (datagram[0] & 7);
            datagram[1] = 1 + (datagram[1] & 3);
            let Ok(request) = codec::parse(&datagram) else { return Ok(()) };
            let budget = Budget::of(&request, datagram.len()).unwrap();
            let answer = budget.answer(response(payload), &ECHO, 5).unwrap();
            let safe = SAFE_LEN + request.token().as_bytes().len();
            prop_assert!(answer.len() <= safe || answer.len() <= FACTOR * datagram.len());
            let answer = codec::parse(&answer).unwrap();
            prop_assert_ne!(answer.kind(), Kind::Confirmable);
            prop_assert_eq!(answer.token(), request.token());
        }
    }
}
