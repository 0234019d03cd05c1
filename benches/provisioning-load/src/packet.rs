//! The few packets of MQTT 3.1.1 that a device needs.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The longest packet that is read.
const MAX: usize = 256 << 10;
/// The packet id of everything that has one: there is never more than one under way.
const ID: [u8; 2] = [0, 1];

/// What came.
#[derive(Debug)]
pub(crate) enum Packet {
    /// CONNACK, with its return code (3.2.2.3).
    Connected(u8),
    /// SUBACK, with the return code of the one filter (3.9.3).
    Subscribed(u8),
    /// PUBLISH with QoS 0: the payload.
    Published(Vec<u8>),
    /// Something else.
    Other,
}

/// CONNECT with a clean session, a user name and a password (3.1).
pub(crate) fn connect(client_id: &str, user_name: &str, password: &str) -> Vec<u8> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 0xC2, 0, 120];
    for text in [client_id, user_name, password] {
        push(&mut body, text);
    }
    packet(0x10, &body)
}

/// SUBSCRIBE to one filter with QoS 0 (3.8).
pub(crate) fn subscribe(filter: &str) -> Vec<u8> {
    let mut body = ID.to_vec();
    push(&mut body, filter);
    body.push(0);
    packet(0x82, &body)
}

/// An empty PUBLISH with QoS 1 (3.3).
pub(crate) fn publish(topic: &str) -> Vec<u8> {
    let mut body = Vec::new();
    push(&mut body, topic);
    body.extend(ID);
    packet(0x32, &body)
}

/// DISCONNECT (3.14).
pub(crate) const DISCONNECT: [u8; 2] = [0xE0, 0];

fn push(body: &mut Vec<u8>, text: &str) {
    // Ids and topics are far shorter than 64 KiB.
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    body.extend(length.to_be_bytes());
    body.extend(text.as_bytes());
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    let mut left = body.len();
    // The remaining length: seven bits a byte, the lowest first (2.2.3).
    loop {
        let low = u8::try_from(left % 128).unwrap_or(0);
        left /= 128;
        bytes.push(if left == 0 { low } else { low | 128 });
        if left == 0 {
            break;
        }
    }
    bytes.extend(body);
    bytes
}

/// Reads one packet.
pub(crate) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Packet> {
    let kind = from.read_u8().await?;
    let (mut length, mut shift) = (0_usize, 0);
    loop {
        let byte = from.read_u8().await?;
        length |= usize::from(byte & 127) << shift;
        shift += 7;
        if byte < 128 {
            break;
        }
        if shift > 21 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    if length > MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).await?;
    Ok(match (kind >> 4, body.as_slice()) {
        (2, &[_, code]) => Packet::Connected(code),
        (9, &[_, _, code]) => Packet::Subscribed(code),
        (3, &[high, low, ref rest @ ..]) => {
            let topic = usize::from(u16::from_be_bytes([high, low]));
            Packet::Published(rest.get(topic..).unwrap_or_default().to_vec())
        }
        _ => Packet::Other,
    })
}
