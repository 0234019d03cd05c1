//! Vectors: the derived key, and messages as the standard and the documentation show them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use coap_psk::codec::{Rejection, encode, parse};
use coap_psk::message::{Kind, Message, Token};
use coap_psk::{CipherSuite, CoapOption, Code, DeviceSecret, KeyBytes, Method, Request, option};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn the_key_is_the_middle_half_of_the_digest_of_the_secret() {
    let secret = DeviceSecret::new("M3yy874uGY8INjEGddTR").unwrap();
    assert_eq!(
        secret.key(KeyBytes::FromOne).expose()[..],
        hex("43e307fffce19a0176803de3445fe0e3")
    );
    assert_eq!(
        secret.key(KeyBytes::FromZero).expose()[..],
        hex("e307fffce19a0176803de3445fe0e3a7")
    );
    assert_eq!(KeyBytes::default(), KeyBytes::FromOne);
}

#[test]
fn the_suites_have_their_registered_numbers() {
    assert_eq!(CipherSuite::PskAes128Ccm8.number(), 0xc0a8);
    assert_eq!(CipherSuite::PskAes128CbcSha256.number(), 0x00ae);
}

/// RFC 7252, appendix A, figures 16 and 17.
#[test]
fn the_examples_of_the_standard_are_read_and_written() {
    let get = hex("40 01 7d34 bb 74656d7065726174757265");
    let message = parse(&get).unwrap();
    assert_eq!(
        (message.kind(), message.code(), message.message_id()),
        (Kind::Confirmable, Code::new(0, 1), 0x7d34)
    );
    assert_eq!(
        message.options().collect::<Vec<_>>(),
        [(option::URI_PATH, &b"temperature"[..])]
    );
    assert_eq!(encode(&message.to_message()).unwrap(), get);

    let content = hex("60 45 7d34 ff 32322e332043");
    let message = parse(&content).unwrap();
    assert_eq!(
        (message.kind(), message.code(), message.payload()),
        (Kind::Acknowledgement, Code::CONTENT, &b"22.3 C"[..])
    );
    assert_eq!(encode(&message.to_message()).unwrap(), content);

    let with_token = hex("41 01 7d35 20 bb 74656d7065726174757265");
    assert_eq!(
        parse(&with_token).unwrap().token(),
        Token::new(&[0x20]).unwrap()
    );
}

#[test]
fn long_deltas_and_lengths_take_their_extensions() {
    let mut message = Message::new(Kind::Confirmable, Method::Post.code(), 1, Token::default());
    for (number, len) in [
        (option::URI_PATH, 12),
        (option::URI_PATH, 13),
        (option::PROXY_URI, 268),
        (2053, 269),
        (2100, 1000),
    ] {
        message
            .options
            .push(CoapOption::new(number, vec![b'x'; len]));
    }
    let bytes = encode(&message).unwrap();
    // 2053 - 35 = 2018 = 269 + 0x06d5; 269 = 269 + 0.
    assert!(
        bytes
            .windows(5)
            .any(|window| window == [0xee, 0x06, 0xd5, 0x00, 0x00]),
        "{bytes:x?}"
    );
    assert_eq!(parse(&bytes).unwrap().to_message(), message);
}

#[test]
fn an_uplink_of_enos_is_one_small_message() {
    let target = "/topic/sys/MuGsF6W4/15bBZlRknc/thing/measurepoint/post";
    let request = Request::new(Method::Post, target).unwrap();
    assert_eq!(request.path.len(), 7);
    assert_eq!(request.target(), target);
}

#[test]
fn rejections_say_what_to_do() {
    assert_eq!(parse(&hex("c0 01 0001")).unwrap_err(), Rejection::NotCoap);
    let malformed = Rejection::Malformed {
        kind: Kind::NonConfirmable,
        message_id: 1,
    };
    assert_eq!(parse(&hex("50 01 0001 ff")).unwrap_err(), malformed);
}
