use super::*;
use crate::message::{Kind, Token};
use crate::option::CoapOption;
use alloc::vec;
use coap_lite::Packet;
use proptest::prelude::*;

const ROOMY: usize = 1 << 20;

/// All messages of a stream that arrives in these pieces, and how it ended.
fn read<'p>(
    pieces: impl IntoIterator<Item = &'p [u8]>,
    limit: usize,
) -> (Vec<Message>, Result<(), FrameError>) {
    let (mut frames, mut messages) = (Frames::default(), Vec::new());
    for mut piece in pieces {
        loop {
            match frames.next(&mut piece, limit) {
                Ok(Some(message)) => messages.push(message.to_message()),
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
        assert!(piece.is_empty());
    }
    (messages, Ok(()))
}

fn whole(stream: &[u8]) -> (Vec<Message>, Result<(), FrameError>) {
    read([stream], ROOMY)
}

fn content(payload_len: usize) -> Message {
    let mut message = Message::new(Kind::Confirmable, Code::CONTENT, 0, Token::default());
    message.payload = vec![7; payload_len].into();
    message
}

#[test]
fn a_length_is_written_in_the_shortest_form_and_read_at_every_border() {
    // The payload marker is one of the bytes that Len counts.
    for (len, header) in [
        (0, &[0x00][..]),
        (2, &[0x20]),
        (12, &[0xc0]),
        (13, &[0xd0, 0x00]),
        (268, &[0xd0, 0xff]),
        (269, &[0xe0, 0x00, 0x00]),
        (65_804, &[0xe0, 0xff, 0xff]),
        (65_805, &[0xf0, 0x00, 0x00, 0x00, 0x00]),
        (65_806, &[0xf0, 0x00, 0x00, 0x00, 0x01]),
    ] {
        let message = content(usize::saturating_sub(len, 1));
        let frame = encode(&message).unwrap();
        let (start, rest) = frame.split_at(header.len());
        assert_eq!((start, rest[0]), (header, 0x45), "{len}");
        assert_eq!(frame.len(), header.len() + 1 + len);
        assert_eq!(whole(&frame), (vec![message], Ok(())));
    }
}

#[test]
fn the_examples_of_the_standard() {
    // RFC 8323, 3.2: 2.03 without options and payload; 5.7: Ping and Pong with the token 0x42.
    for (frame, code, token) in [
        (&[0x01, 0x43, 0x7f][..], Code::VALID, &[0x7f][..]),
        (&[0x01, 0xe2, 0x42], Code::new(7, 2), &[0x42]),
        (&[0x01, 0xe3, 0x42], Code::new(7, 3), &[0x42]),
    ] {
        let message = Message::new(Kind::Confirmable, code, 0, Token::new(token).unwrap());
        assert_eq!(encode(&message).unwrap(), frame);
        assert_eq!(whole(frame), (vec![message], Ok(())));
    }
}

#[test]
fn what_breaks_the_format_ends_the_stream() {
    for stream in [
        // Token lengths 9 to 15, of which nothing more needs to arrive.
        &[0x09][..],
        &[0x0f, 0x01],
        // An option that is longer than the frame, and one with a reserved length.
        &[0x10, 0x01, 0x11],
        &[0x10, 0x01, 0x1f],
        // A payload marker without a payload.
        &[0x10, 0x45, 0xff],
    ] {
        assert_eq!(whole(stream), (vec![], Err(FrameError::Malformed)));
        let bytes = stream.chunks(1);
        assert_eq!(read(bytes, ROOMY), (vec![], Err(FrameError::Malformed)));
    }
}

#[test]
fn a_stream_that_failed_stays_so() {
    let mut frames = Frames::default();
    assert!(frames.next(&mut &[0x09][..], ROOMY).is_err());
    let good = encode(&content(3)).unwrap();
    assert_eq!(
        frames.next(&mut &good[..], ROOMY).unwrap_err(),
        FrameError::Malformed
    );
}

#[test]
fn a_frame_over_the_limit_is_refused_at_its_header() {
    // A frame of 1152 bytes is taken, one of 1153 is not, and nothing of it but the header is kept.
    let fits = encode(&content(1152 - 5)).unwrap();
    assert_eq!(fits.len(), BASE_MAX_MESSAGE_SIZE);
    assert_eq!(read([&fits[..]], BASE_MAX_MESSAGE_SIZE).0.len(), 1);
    let over = encode(&content(1153 - 5)).unwrap();
    for stream in [
        &over[..3],
        &[0xf8, 0xff, 0xff, 0xff, 0xff],
        &[0xf0, 0x00, 0x00, 0x00, 0x00],
    ] {
        for pieces in [vec![stream], stream.chunks(1).collect()] {
            let mut frames = Frames::default();
            let results: Vec<_> = pieces
                .into_iter()
                .map(|mut piece| {
                    frames
                        .next(&mut piece, BASE_MAX_MESSAGE_SIZE)
                        .map(|it| it.is_some())
                })
                .collect();
            assert_eq!(results.last(), Some(&Err(FrameError::TooLarge)));
            assert!(frames.buffer.len() < MAX_HEADER_LEN);
        }
    }
}

#[test]
fn empty_messages_are_left_out_whatever_they_carry() {
    // Alone, with a token, with a body that is no message; between two others.
    let mut stream = encode(&content(1)).unwrap();
    stream.extend([
        0x00, 0x00, 0x02, 0x00, 0xaa, 0xbb, 0x30, 0x00, 0xff, 0xff, 0xff,
    ]);
    stream.extend(encode(&content(2)).unwrap());
    let expected = (vec![content(1), content(2)], Ok(()));
    assert_eq!(whole(&stream), expected);
    assert_eq!(read(stream.chunks(1), ROOMY), expected);
}

#[test]
fn nothing_is_kept_between_frames() {
    let mut frames = Frames::default();
    let frame = encode(&content(5_000)).unwrap();
    let (start, end) = frame.split_at(4_000);
    assert!(frames.next(&mut &start[..], ROOMY).unwrap().is_none());
    assert!(frames.is_midway());
    assert!(frames.next(&mut &end[..], ROOMY).unwrap().is_some());
    assert!(!frames.is_midway());
    assert!(frames.next(&mut &[][..], ROOMY).unwrap().is_none());
    assert_eq!(frames.buffer.capacity(), 0);
}

fn messages() -> impl Strategy<Value = Message> {
    let option = (any::<u16>(), proptest::collection::vec(any::<u8>(), 0..300))
        .prop_map(|(number, value)| CoapOption::new(number, value));
    let token = proptest::collection::vec(any::<u8>(), 0..=8);
    let payload = proptest::collection::vec(any::<u8>(), 0..600);
    let options = proptest::collection::vec(option, 0..6);
    (1..=u8::MAX, token, options, payload).prop_map(|(code, token, mut options, payload)| {
        options.sort_by_key(|option| option.number);
        let code = Code::from_byte(code);
        let mut message = Message::new(Kind::Confirmable, code, 0, Token::new(&token).unwrap());
        message.options = options;
        message.payload = payload.into();
        message
    })
}

/// A stream cut at these places, as parts of its length.
fn cut<'s>(stream: &'s [u8], places: &[prop::sample::Index]) -> Vec<&'s [u8]> {
    let mut places: Vec<usize> = places
        .iter()
        .map(|it| it.index(stream.len().saturating_add(1)))
        .collect();
    places.extend([0, stream.len()]);
    places.sort_unstable();
    places
        .windows(2)
        .map(|pair| &stream[pair[0]..pair[1]])
        .collect()
}

proptest! {
    #[test]
    fn messages_come_back_however_their_stream_is_cut(
        messages in proptest::collection::vec(messages(), 0..5),
        places: [prop::sample::Index; 6],
    ) {
        let stream = messages.iter().flat_map(|it| encode(it).unwrap()).collect::<Vec<_>>();
        prop_assert_eq!(read(cut(&stream, &places), ROOMY), (messages.clone(), Ok(())));
        prop_assert_eq!(read(stream.chunks(1), ROOMY), (messages, Ok(())));
    }

    #[test]
    fn any_bytes_are_read_alike_however_they_are_cut(
        stream in proptest::collection::vec(prop_oneof![0..0x30_u8, any::<u8>()], 0..200),
        places: [prop::sample::Index; 6],
        limit in 0_usize..200,
    ) {
        let read_whole = read([&stream[..]], limit);
        prop_assert_eq!(&read(cut(&stream, &places), limit), &read_whole);
        prop_assert_eq!(&read(stream.chunks(1), limit), &read_whole);
        // What was read can be written and read again.
        let written = read_whole.0.iter().flat_map(|it| encode(it).unwrap()).collect::<Vec<_>>();
        prop_assert_eq!(whole(&written), (read_whole.0, Ok(())));
    }

    /// coap-lite has no frames: its datagram is the same message behind another header.
    #[test]
    fn coap_lite_finds_the_same_behind_the_header(message in messages()) {
        let frame = encode(&message).unwrap();
        let head = Head::read(&frame).unwrap().unwrap();
        let token_len = u8::try_from(head.token_len).unwrap();
        let mut datagram = vec![0x40 | token_len, frame[head.code_at], 0, 0];
        datagram.extend(frame.iter().skip(head.code_at).skip(1));
        let packet = Packet::from_bytes(&datagram).unwrap();
        prop_assert_eq!(packet.get_token(), message.token.as_bytes());
        prop_assert_eq!(&packet.payload[..], &message.payload[..]);
        let theirs: Vec<(u16, Vec<u8>)> = packet
            .options()
            .flat_map(|(number, values)| values.iter().map(|value| (*number, value.clone())))
            .collect();
        let ours: Vec<_> = message.options.iter().map(|it| (it.number, it.value.to_vec())).collect();
        prop_assert_eq!(theirs, ours);
    }
}
