//! The event signature, beside one HMAC of a prepared key over the same bytes in one piece.

use std::hint::black_box;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uci_model::SigningSecret;
use uci_model::event::{SignedMessage, SigningKey};

use crate::sbs::harness::{Limit, Run};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

pub(super) fn sign(run: &mut Run) {
    let secret = SigningSecret::try_from(SECRET.to_owned()).expect("32 characters");
    let key = SigningKey::new(&secret);
    let body = vec![b'x'; 1024];
    let message = SignedMessage {
        content_type: b"application/json",
        event_type: b"resource_contentchanged",
        subscription_id: b"00000000-0000-4000-8000-000000000001",
        sequence_number: b"1000000",
        event_timestamp: b"1700000000",
        body: &body,
    };
    let mut whole = Vec::new();
    for part in [
        message.content_type,
        message.event_type,
        message.subscription_id,
        message.sequence_number,
        message.event_timestamp,
    ] {
        whole.extend_from_slice(part);
        whole.push(b':');
    }
    whole.extend_from_slice(&body);
    let kept = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key");
    let [ours, peer] = run.medians([
        run.computing(|| {
            black_box(key.sign(black_box(&message)));
        }),
        run.computing(|| {
            let mut mac = kept.clone();
            mac.update(black_box(&whole));
            black_box(mac.finalize().into_bytes());
        }),
    ]);
    run.row(
        "signature of 1 KB, `hmac` with a kept key in one piece",
        "ns",
        (ours, peer),
        Limit::AtMost(1.15),
    );
}
