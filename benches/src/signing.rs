//! A notification to be signed, and the same bytes in one piece.

use uci_model::SigningSecret;
use uci_model::event::{SignedMessage, SigningKey};

/// The secret that is signed with.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// The key of [`SECRET`].
#[must_use]
#[expect(
    clippy::missing_panics_doc,
    clippy::expect_used,
    reason = "32 characters"
)]
pub fn key() -> SigningKey {
    let secret = SigningSecret::try_from(SECRET.to_owned()).expect("32 characters");
    SigningKey::new(&secret)
}

/// A notification with this body.
#[must_use]
pub fn message(body: &[u8]) -> SignedMessage<'_> {
    SignedMessage {
        content_type: b"application/json",
        event_type: b"resource_contentchanged",
        subscription_id: b"00000000-0000-4000-8000-000000000001",
        sequence_number: b"1000000",
        event_timestamp: b"1700000000",
        body,
    }
}

/// What is signed of it.
#[must_use]
pub fn in_one_piece(message: &SignedMessage<'_>) -> Vec<u8> {
    let head = [
        message.content_type,
        message.event_type,
        message.subscription_id,
        message.sequence_number,
        message.event_timestamp,
    ];
    let mut whole = head.join(&b':');
    whole.push(b':');
    whole.extend_from_slice(message.body);
    whole
}
