//! The target of what the door for MQTT reads: the source is that program's own.

use mqtt_proto::v3::Packet;

#[allow(dead_code, reason = "its tests are run with the program")]
#[path = "../../examples/mqtt/src/packet.rs"]
mod door;

const LARGEST: usize = 8192;

/// Any bytes as a packet: it has as many bytes as it says, fewer are none, and a PUBLISH that is written reads as the same.
pub fn packet(bytes: &[u8]) {
    let Ok(Some((packet, length))) = door::read(bytes, LARGEST) else {
        return;
    };
    assert!(length <= bytes.len().min(LARGEST));
    assert!(!matches!(
        door::read(&bytes[..length - 1], LARGEST),
        Ok(Some(_))
    ));
    if let Packet::Publish(publish) = packet {
        let written = door::publish(&publish.topic_name, &publish.payload);
        let (read, end) = door::read(&written, written.len())
            .expect("what was written")
            .expect("is whole");
        assert_eq!(end, written.len());
        assert!(
            matches!(read, Packet::Publish(read) if read.payload == publish.payload && read.topic_name == publish.topic_name)
        );
    }
}
