//! The target of what the example cloud reads of its devices: the sources are that program's own.

use bytes::Bytes;
use uci_model::{DeviceId, Limits};

#[path = "../../examples/device-side-cloud/src/gateway/format.rs"]
mod format;
#[allow(
    dead_code,
    unused_imports,
    reason = "its tests are run with the program"
)]
#[path = "../../examples/device-side-cloud/src/gateway/publication.rs"]
mod publication;

use publication::Publication;

/// Any bytes as a publication in a format that the first two say: what is read is answered, and read again it is the same.
pub fn publication(bytes: &[u8]) {
    let Some((number, body)) = bytes.split_first_chunk() else {
        return;
    };
    let limits = Limits::default();
    let read = |format, body| Publication::read(Some(format), &body, &limits);
    let Ok(first) = read(u16::from_be_bytes(*number), Bytes::copy_from_slice(body)) else {
        return;
    };
    let own = DeviceId::from_bytes([7; 16]);
    let (device, links) = (first.device(), first.links_of(own));
    assert!(links.iter().all(|link| link.device_id == Some(own)));
    let answer = first.answered().expect("an answer");
    let number = answer.format().coap_number();
    // A value may be longer in CBOR than it came.
    if let Ok(again) = read(number, answer.body().clone()) {
        assert_eq!(
            (again.device(), again.links_of(own).len()),
            (device, links.len())
        );
    }
}
