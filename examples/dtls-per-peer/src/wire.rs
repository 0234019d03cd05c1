//! The few bytes of DTLS records that the adapter must see for itself: which handshake message a datagram carries, the
//! random of a ClientHello, and the identity inside a ClientKeyExchange (RFC 6347, 4.1 and 4.2; RFC 4279, 2).

/// Content type of handshake records.
const HANDSHAKE: u8 = 22;
const RECORD_HEADER: usize = 13;
const MESSAGE_HEADER: usize = 12;

/// The number that a client draws for each handshake; it stays the same when the cookie comes back.
pub type ClientRandom = [u8; 32];

/// A handshake message in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    /// ClientHello, or a fragment of one; only the first fragment has the random.
    ClientHello { random: Option<&'a ClientRandom> },
    /// ServerHello.
    ServerHello,
    /// A whole ClientKeyExchange of the plain PSK exchange, with its identity.
    ClientKeyExchange { identity: &'a [u8] },
    /// Anything else.
    Other,
}

/// The handshake messages of epoch 0 in a datagram, in order; ends at the first record that is cut short.
pub(crate) fn messages(datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        loop {
            let (header, body) = rest.split_at_checked(RECORD_HEADER)?;
            let &[
                kind,
                _,
                _,
                epoch_high,
                epoch_low,
                ..,
                length_high,
                length_low,
            ] = header
            else {
                return None;
            };
            let length = usize::from(u16::from_be_bytes([length_high, length_low]));
            let (body, after) = body.split_at_checked(length)?;
            rest = after;
            if kind == HANDSHAKE && (epoch_high, epoch_low) == (0, 0) {
                return Some(message(body));
            }
        }
    })
}

/// Whether the first record of a datagram belongs to epoch 0, that is, to a handshake that has no keys yet.
pub(crate) fn starts_in_clear(datagram: &[u8]) -> bool {
    matches!(datagram, [_, _, _, 0, 0, ..])
}

fn message(body: &[u8]) -> Message<'_> {
    let Some((header, body)) = body.split_at_checked(MESSAGE_HEADER) else {
        return Message::Other;
    };
    match header.first() {
        Some(1) => Message::ClientHello {
            random: client_random(header, body),
        },
        Some(2) => Message::ServerHello,
        Some(16) => match (body, header) {
            // Whole in one fragment: offset 0 and the fragment as long as the message.
            ([high, low, identity @ ..], [_, a, b, c, _, _, 0, 0, 0, x, y, z])
                if (a, b, c) == (x, y, z)
                    && identity.len() == usize::from(u16::from_be_bytes([*high, *low])) =>
            {
                Message::ClientKeyExchange { identity }
            }
            _ => Message::Other,
        },
        _ => Message::Other,
    }
}

/// The random of a ClientHello stands behind two bytes of version. (RFC 5246, 7.4.1.2)
fn client_random<'a>(header: &[u8], body: &'a [u8]) -> Option<&'a ClientRandom> {
    let [_, _, _, _, _, _, 0, 0, 0, ..] = header else {
        return None;
    };
    body.get(2..)?.first_chunk()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(epoch: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![HANDSHAKE, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 0];
        bytes.extend(u16::try_from(body.len()).expect("short").to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u8::try_from(body.len()).expect("short");
        let mut bytes = vec![kind, 0, 0, length, 0, 1, 0, 0, 0, 0, 0, length];
        bytes.extend(body);
        bytes
    }

    #[test]
    fn the_identity_is_read_from_a_client_key_exchange() {
        let mut datagram = record(0, &handshake(16, b"\0\x05a,b,2"));
        datagram.extend(record(1, &[0; 40]));
        let seen: Vec<_> = messages(&datagram).collect();
        assert_eq!(seen, [Message::ClientKeyExchange { identity: b"a,b,2" }]);
        assert!(starts_in_clear(&datagram));
    }

    #[test]
    fn the_random_is_read_from_the_first_fragment_of_a_client_hello() {
        let body = [&[0xfe, 0xfd][..], &[7; 32], &[0; 9]].concat();
        let first = handshake(1, &body);
        let mut later = first.clone();
        *later.get_mut(8).expect("an offset") = 1;
        let short = handshake(1, body.get(..33).expect("long enough"));
        for (body, random) in [(first, Some(&[7; 32])), (later, None), (short, None)] {
            let datagram = record(0, &body);
            let seen: Vec<_> = messages(&datagram).collect();
            assert_eq!(seen, [Message::ClientHello { random }]);
        }
    }

    #[test]
    fn cut_or_contradicting_lengths_give_nothing() {
        let whole = record(0, &handshake(16, b"\0\x05a,b,2"));
        for cut in 0..whole.len() {
            let short = whole.get(..cut).expect("in range");
            assert!(messages(short).all(|m| m == Message::Other));
        }
        let lying = record(0, &handshake(16, b"\0\x09a,b,2"));
        assert_eq!(messages(&lying).collect::<Vec<_>>(), [Message::Other]);
    }
}
