//! Telling a datagram that begins a handshake from others. (RFC 6347, 4.1 and 4.2.2)

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// The first byte of every version of DTLS.
const DTLS: u8 = 0xfe;

/// Whether the datagram holds a ClientHello in clear. One that a session protects is not seen, and not meant.
pub(super) fn begins_handshake(datagram: &[u8]) -> bool {
    let mut rest = datagram;
    while let Some((header, behind)) = rest.split_first_chunk::<13>() {
        let &[kind, version, _, epoch @ .., length_high, length_low] = header;
        let length = u16::from_be_bytes([length_high, length_low]);
        let Some((fragment, behind)) = behind.split_at_checked(length.into()) else {
            return false;
        };
        let in_clear = version == DTLS && epoch.starts_with(&[0, 0]);
        if kind == HANDSHAKE && in_clear && holds_client_hello(fragment) {
            return true;
        }
        rest = behind;
    }
    false
}

/// Whether one of the handshake messages in a record, or a fragment of one, is a ClientHello.
fn holds_client_hello(record: &[u8]) -> bool {
    let mut rest = record;
    while let Some((&[kind, .., high, middle, low], behind)) = rest.split_first_chunk::<12>() {
        if kind == CLIENT_HELLO {
            return true;
        }
        let length = u32::from_be_bytes([0, high, middle, low]);
        let next = usize::try_from(length)
            .ok()
            .and_then(|length| behind.get(length..));
        let Some(next) = next else { return false };
        rest = next;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn record(kind: u8, epoch: u8, fragment: &[u8]) -> Vec<u8> {
        let length = u16::try_from(fragment.len()).unwrap().to_be_bytes();
        let header = [kind, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 0];
        [&header[..], &length, fragment].concat()
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u8::try_from(body.len()).unwrap();
        let header = [kind, 0, 0, length, 0, 0, 0, 0, 0, 0, 0, length];
        [&header[..], body].concat()
    }

    #[test]
    fn a_client_hello_is_found_wherever_it_is_and_nothing_else_is_one() {
        let hello = message(1, b"version, random, ..");
        let key_exchange = message(16, b"identity");
        let alert = record(21, 0, b"\x02\x28");
        for (why, datagram, begins) in [
            ("alone", record(22, 0, &hello), true),
            ("first fragment only", record(22, 0, &hello[..12]), true),
            (
                "behind another message",
                record(22, 0, &[&key_exchange[..], &hello].concat()),
                true,
            ),
            (
                "behind another record",
                [alert.clone(), record(22, 0, &hello)].concat(),
                true,
            ),
            ("key exchange", record(22, 0, &key_exchange), false),
            ("of a session", record(22, 1, &hello), false),
            ("data of a session", record(23, 1, &hello), false),
            ("alert", alert, false),
            ("cut off", record(22, 0, &hello)[..20].to_vec(), false),
            (
                "TLS",
                {
                    let mut tls = record(22, 0, &hello);
                    tls[1] = 3;
                    tls
                },
                false,
            ),
            ("nothing", Vec::new(), false),
        ] {
            assert_eq!(begins_handshake(&datagram), begins, "{why}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes: Vec<u8>, kind in 20_u8..26) {
            begins_handshake(&bytes);
            begins_handshake(&record(kind, 0, &bytes));
        }
    }
}
