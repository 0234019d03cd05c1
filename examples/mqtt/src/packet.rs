//! MQTT 3.1.1 on a stream of bytes. What comes in is read by `mqtt-proto`, a whole packet at a time; what goes out is six kinds of
//! packets, written here: `mqtt-proto` 0.4 writes the SUBACK code for a refusal as 3, and secrets would stay behind in its buffers.

use mqtt_proto::v3::{Header, Packet, PacketType};
use mqtt_proto::{Error, PollHeader as _};
use zeroize::Zeroizing;

/// Why bytes are not a packet that is taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Unreadable {
    /// It is longer than allowed.
    TooLong,
    /// It is a CONNECT of another version of MQTT.
    Version,
    /// It is no packet of MQTT 3.1.1.
    Malformed,
}

/// Reads the first packet, and how many bytes it had; `None` when there are too few.
///
/// # Errors
/// There is no such packet, however many bytes follow.
pub fn read(bytes: &[u8], largest: usize) -> Result<Option<(Packet, usize)>, Unreadable> {
    let header = match Header::decode(bytes) {
        Ok(header) => header,
        Err(error) if error.is_eof() => return Ok(None),
        Err(_) => return Err(Unreadable::Malformed),
    };
    // The header counts the bytes of its length, not those of the packet.
    let sizes = (
        usize::try_from(header.total_len),
        usize::try_from(header.remaining_len),
    );
    let (Ok(length_bytes), Ok(length)) = sizes else {
        return Err(Unreadable::TooLong);
    };
    let begin = length_bytes.saturating_add(1);
    let end = begin.saturating_add(length);
    if end > largest {
        return Err(Unreadable::TooLong);
    }
    let Some(body) = bytes.get(begin..end) else {
        return Ok(None);
    };
    let empty = match header.typ {
        PacketType::Pingreq => Some(Packet::Pingreq),
        PacketType::Pingresp => Some(Packet::Pingresp),
        PacketType::Disconnect => Some(Packet::Disconnect),
        _ => None,
    };
    match empty {
        Some(packet) if body.is_empty() => return Ok(Some((packet, end))),
        Some(_) => return Err(Unreadable::Malformed),
        None => {}
    }
    let mut read = 0;
    match header.decode_buffer(body, &mut read) {
        Ok(packet) if read == body.len() => Ok(Some((packet, end))),
        Err(Error::UnexpectedProtocol(_) | Error::InvalidProtocol(..)) => Err(Unreadable::Version),
        _ => Err(Unreadable::Malformed),
    }
}

/// CONNACK without a session.
#[must_use]
pub fn connack(code: u8) -> Zeroizing<Vec<u8>> {
    packet(0x20, &[&[0, code]])
}

/// PUBACK.
#[must_use]
pub fn puback(packet_id: u16) -> Zeroizing<Vec<u8>> {
    packet(0x40, &[&packet_id.to_be_bytes()])
}

/// SUBACK: QoS 0 or a refusal for each filter.
#[must_use]
pub fn suback(packet_id: u16, granted: &[bool]) -> Zeroizing<Vec<u8>> {
    let codes: Vec<u8> = granted
        .iter()
        .map(|granted| if *granted { 0x00 } else { 0x80 })
        .collect();
    packet(0x90, &[&packet_id.to_be_bytes(), &codes])
}

/// UNSUBACK.
#[must_use]
pub fn unsuback(packet_id: u16) -> Zeroizing<Vec<u8>> {
    packet(0xb0, &[&packet_id.to_be_bytes()])
}

/// PINGRESP.
#[must_use]
pub fn pingresp() -> Zeroizing<Vec<u8>> {
    packet(0xd0, &[])
}

/// PUBLISH with QoS 0; a topic is cut at what MQTT can carry, which none of ours comes near.
#[must_use]
pub fn publish(topic: &str, payload: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = u16::try_from(topic.len()).unwrap_or(u16::MAX);
    let topic = topic.as_bytes().get(..length.into()).unwrap_or_default();
    packet(0x30, &[&length.to_be_bytes(), topic, payload])
}

fn packet(first: u8, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length = parts
        .iter()
        .fold(0_usize, |sum, part| sum.saturating_add(part.len()));
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.saturating_add(5)));
    bytes.push(first);
    let mut rest = length;
    loop {
        // Seven bits a byte, and one that says whether another follows (MQTT 3.1.1, 2.2.3).
        let low = u8::try_from(rest & 0x7f).unwrap_or_default();
        rest >>= 7;
        bytes.push(if rest == 0 { low } else { low | 0x80 });
        if rest == 0 {
            break;
        }
    }
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECT: &[u8] = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03dev";

    #[test]
    fn a_packet_is_read_when_all_of_it_is_there() {
        for end in 0..CONNECT.len() {
            assert_eq!(read(&CONNECT[..end], 1000), Ok(None), "{end}");
        }
        let twice = [CONNECT, CONNECT].concat();
        let (packet, length) = read(&twice, 1000).expect("read").expect("whole");
        assert!(matches!(packet, Packet::Connect(connect) if &*connect.client_id == "dev"));
        assert_eq!(length, CONNECT.len());
        assert_eq!(read(CONNECT, CONNECT.len() - 1), Err(Unreadable::TooLong));
        assert_eq!(read(b"\x30\xff\xff\x7f", 1000), Err(Unreadable::TooLong));
    }

    #[test]
    fn what_is_no_packet_is_not_read() {
        for (bytes, fault) in [
            (
                &b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x03dev"[..],
                Unreadable::Version,
            ),
            (
                b"\x10\x0f\x00\x04MQTT\x06\x02\x00\x3c\x00\x03dev",
                Unreadable::Version,
            ),
            // Bytes behind the last field, a reserved flag, a packet shorter than its fields, a type that there is not.
            (
                b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x03dev!",
                Unreadable::Malformed,
            ),
            (
                b"\x10\x0f\x00\x04MQTT\x04\x03\x00\x3c\x00\x03dev",
                Unreadable::Malformed,
            ),
            (
                b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x3c\x00\x03dev",
                Unreadable::Malformed,
            ),
            (b"\xf0\x00", Unreadable::Malformed),
            (b"\xc0\x01\x00", Unreadable::Malformed),
            (b"\x80\x05\x00\x01\x00\x00\x00", Unreadable::Malformed),
            (b"\x82\x02\x00\x01", Unreadable::Malformed),
            (b"\x82\x06\x00\x01\x00\x01a\x03", Unreadable::Malformed),
            (b"\x30\x03\x00\x01#", Unreadable::Malformed),
            (b"\x36\x05\x00\x01a\x00\x01", Unreadable::Malformed),
            (b"\x32\x05\x00\x01a\x00\x00", Unreadable::Malformed),
            (b"\xff\xff\xff\xff\xff", Unreadable::Malformed),
        ] {
            assert_eq!(read(bytes, 1000), Err(fault), "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_written_are_the_bytes_of_the_standard() {
        assert_eq!(*connack(4), b"\x20\x02\x00\x04");
        assert_eq!(*puback(0x1234), b"\x40\x02\x12\x34");
        assert_eq!(*suback(7, &[true, false]), b"\x90\x04\x00\x07\x00\x80");
        assert_eq!(*unsuback(7), b"\xb0\x02\x00\x07");
        assert_eq!(*pingresp(), b"\xd0\x00");
        assert_eq!(*publish("a/b", b"x"), b"\x30\x06\x00\x03a/bx");
        for length in [0, 122, 123, 16_378, 16_379, 65_535 * 6] {
            let bytes = publish("a/b", &vec![b'x'; length]);
            let (packet, read) = read(&bytes, bytes.len()).expect("read").expect("whole");
            assert_eq!(read, bytes.len());
            assert!(matches!(packet, Packet::Publish(publish) if publish.payload.len() == length));
        }
    }
}
