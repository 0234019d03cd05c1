use super::*;
use alloc::collections::BTreeMap;
use alloc::vec;
use proptest::prelude::*;

const MALFORMED: Rejection = Rejection::Malformed {
    kind: Kind::Confirmable,
    message_id: 0x1234,
};

#[test]
fn a_datagram_that_is_not_coap_is_told_apart() {
    for bytes in [
        &[][..],
        &[0x40],
        &[0x40, 1, 0],
        &[0x00, 1, 0x12, 0x34],
        &[0x80, 1, 0x12, 0x34],
        &[0xc0, 1, 0x12, 0x34],
    ] {
        assert_eq!(parse(bytes).unwrap_err(), Rejection::NotCoap, "{bytes:x?}");
    }
}

#[test]
fn format_errors_keep_type_and_message_id() {
    for tail in [
        // Token length 9 to 15, with and without bytes for it.
        &[0x49, 1, 0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
        &[
            0x4d, 1, 0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ],
        &[
            0x4f, 1, 0x12, 0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ],
        &[0x42, 1, 0x12, 0x34, 0],
        // Empty with a token, an option, a payload.
        &[0x41, 0, 0x12, 0x34, 0],
        &[0x41, 0, 0x12, 0x34],
        &[0x40, 0, 0x12, 0x34, 0x10],
        &[0x40, 0, 0x12, 0x34, 0xff, 1],
        // A marker without payload.
        &[0x40, 1, 0x12, 0x34, 0xff],
        // Delta 15, length 15.
        &[0x40, 1, 0x12, 0x34, 0xf0],
        &[0x40, 1, 0x12, 0x34, 0x0f, 1],
        // Values and extensions that end too early.
        &[0x40, 1, 0x12, 0x34, 0x11],
        &[0x40, 1, 0x12, 0x34, 0xd0],
        &[0x40, 1, 0x12, 0x34, 0xe0, 0],
        &[0x40, 1, 0x12, 0x34, 0x0d],
        &[0x40, 1, 0x12, 0x34, 0x0e, 0],
        // Numbers over 65535, at once and in sum.
        &[0x40, 1, 0x12, 0x34, 0xe0, 0xff, 0xff],
        &[0x40, 1, 0x12, 0x34, 0xe0, 0xfe, 0xf2, 0x10],
    ] {
        assert_eq!(parse(tail).unwrap_err(), MALFORMED, "{tail:x?}");
    }
    assert!(
        parse(&[0x40, 1, 0x12, 0x34, 0xe0, 0xfe, 0xf2]).is_ok(),
        "65535 itself is a number"
    );
}

#[test]
fn an_option_that_no_length_field_can_describe_is_not_written() {
    let mut message = Message::new(Kind::Confirmable, Code::CONTENT, 1, Token::default());
    message.options = alloc::vec![CoapOption::new(9, alloc::vec![0; MAX_OPTION_LEN])];
    let written = encode(&message).unwrap();
    assert_eq!(parse(&written).unwrap().to_message(), message);
    message.options = alloc::vec![CoapOption::new(9, alloc::vec![0; MAX_OPTION_LEN + 1])];
    assert_eq!(encode(&message).unwrap_err().kind(), ErrorKind::Message);
}

#[test]
fn more_options_than_the_cap_are_refused() {
    let datagram = |options: usize| [&[0x40, 1, 0x12, 0x34][..], &vec![0; options]].concat();
    assert_eq!(
        parse(&datagram(MAX_OPTIONS)).unwrap().options().count(),
        MAX_OPTIONS
    );
    assert_eq!(parse(&datagram(MAX_OPTIONS + 1)).unwrap_err(), MALFORMED);
    assert_eq!(parse(&datagram(65_000)).unwrap_err(), MALFORMED);
}

fn messages() -> impl Strategy<Value = Message> {
    let option = (any::<u16>(), proptest::collection::vec(any::<u8>(), 0..300))
        .prop_map(|(number, value)| CoapOption::new(number, value));
    (
        0_u8..4,
        1..=u8::MAX,
        any::<u16>(),
        proptest::collection::vec(any::<u8>(), 0..=8),
    )
        .prop_flat_map(move |head| {
            let options = proptest::collection::vec(option.clone(), 0..8);
            (
                Just(head),
                options,
                proptest::collection::vec(any::<u8>(), 0..64),
            )
        })
        .prop_map(|((kind, code, message_id, token), mut options, payload)| {
            let kind = [
                Kind::Confirmable,
                Kind::NonConfirmable,
                Kind::Acknowledgement,
                Kind::Reset,
            ][usize::from(kind)];
            options.sort_by_key(|option| option.number);
            let mut message = Message::new(
                kind,
                Code::from_byte(code),
                message_id,
                Token::new(&token).unwrap(),
            );
            message.options = options;
            message.payload = payload.into();
            message
        })
}

proptest! {
    #[test]
    fn reading_undoes_writing(message in messages()) {
        let bytes = encode(&message).unwrap();
        prop_assert_eq!(parse(&bytes).unwrap().to_message(), message);
    }

    #[test]
    fn coap_lite_writes_the_same(message in messages()) {
        prop_assert_eq!(encode(&message).unwrap(), to_packet(&message).to_bytes_unlimited().unwrap());
    }

    #[test]
    fn options_that_are_not_in_order_are_written_in_order(message in messages(), rotate in any::<prop::sample::Index>()) {
        let mut rotated = message.clone();
        let count = rotated.options.len();
        if count > 0 && message.options.is_sorted_by(|one, next| one.number < next.number) {
            rotated.options.rotate_left(rotate.index(count));
            prop_assert_eq!(encode(&rotated).unwrap(), encode(&message).unwrap());
        }
    }

    #[test]
    fn any_bytes_are_read_or_rejected(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = parse(&bytes) {
            let message = message.to_message();
            prop_assert_eq!(parse(&encode(&message).unwrap()).unwrap().to_message(), message);
        }
    }

    #[test]
    fn coap_lite_reads_the_same_out_of_what_is_accepted(mut bytes in proptest::collection::vec(any::<u8>(), 4..80)) {
        bytes[0] = 0x40 | (bytes[0] & 0x38);
        if let Ok(message) = parse(&bytes) {
            let packet = Packet::from_bytes(&bytes).unwrap();
            prop_assert_eq!(packet.header.message_id, message.message_id());
            let token = message.token();
            prop_assert_eq!(packet.get_token(), token.as_bytes());
            prop_assert_eq!(&packet.payload[..], message.payload());
            let mut options: BTreeMap<u16, Vec<Vec<u8>>> = BTreeMap::new();
            for (number, value) in message.options() {
                options.entry(number).or_default().push(value.to_vec());
            }
            let theirs: BTreeMap<u16, Vec<Vec<u8>>> = packet.options().map(|(number, values)| (*number, values.iter().cloned().collect())).collect();
            prop_assert_eq!(theirs, options);
        }
    }
}
