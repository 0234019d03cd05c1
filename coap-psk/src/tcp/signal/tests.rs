use super::*;
use crate::tcp::frame::{Frames, encode};
use alloc::vec;

fn read(frame: &[u8]) -> Result<Option<Signal>, UnknownOption> {
    let (mut frames, mut rest) = (Frames::default(), frame);
    let message = frames.next(&mut rest, 1152).unwrap().unwrap();
    Signal::read(&message)
}

#[test]
fn signals_are_written_as_the_standard_says_and_read_back() {
    let csm = |max_message_size, block_wise| Signal::Csm {
        max_message_size,
        block_wise,
    };
    let release = Release {
        alternatives: vec!["a".into(), "b:1".into()],
        hold_off: Some(256),
    };
    let abort = Signal::Abort {
        bad_csm_option: Some(3),
        diagnostic: "no".into(),
    };
    for (signal, frame) in [
        (csm(None, false), &[0x00, 0xe1][..]),
        (csm(Some(0), true), &[0x20, 0xe1, 0x20, 0x20]),
        (
            csm(Some(8_448), true),
            &[0x40, 0xe1, 0x22, 0x21, 0x00, 0x20],
        ),
        (Signal::Ping { custody: false }, &[0x00, 0xe2]),
        (Signal::Pong { custody: true }, &[0x10, 0xe3, 0x20]),
        (Signal::Release(Release::new()), &[0x00, 0xe4]),
        (
            Signal::Release(release),
            b"\x90\xe4\x21a\x03b:1\x22\x01\x00",
        ),
        (abort, b"\x50\xe5\x21\x03\xffno"),
    ] {
        let written = encode(&signal.to_message(Token::default())).unwrap();
        assert_eq!(written, frame, "{signal:?}");
        assert_eq!(read(frame), Ok(Some(signal)));
    }
}

#[test]
fn a_critical_option_is_unknown_and_an_elective_one_is_left_out() {
    for code in [0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xff] {
        assert_eq!(read(&[0x10, code, 0x10]), Err(UnknownOption(1)));
        // Behind a known one, and behind an unknown elective one.
        assert_eq!(read(&[0x20, code, 0x20, 0x50]), Err(UnknownOption(7)));
    }
    assert_eq!(
        read(&[0x10, 0xe2, 0x60]),
        Ok(Some(Signal::Ping { custody: false }))
    );
    assert_eq!(read(&[0x10, 0xe6, 0x20]), Ok(None));
}

#[test]
fn values_out_of_range_and_surplus_options_are_left_out() {
    let nothing = Signal::Csm {
        max_message_size: None,
        block_wise: false,
    };
    // Max-Message-Size of five bytes; Block-Wise-Transfer of one.
    let frame = [0x80, 0xe1, 0x25, 1, 2, 3, 4, 5, 0x21, 0];
    assert_eq!(read(&frame), Ok(Some(nothing)));
    // The first of two sizes counts.
    let first = Signal::Csm {
        max_message_size: Some(1),
        block_wise: false,
    };
    assert_eq!(read(&[0x40, 0xe1, 0x21, 1, 0x01, 2]), Ok(Some(first)));
    // An address without bytes, one that is not text; a Hold-Off of four bytes.
    let frame = [0x80, 0xe4, 0x20, 0x01, 0xff, 0x24, 1, 2, 3, 4];
    assert_eq!(read(&frame), Ok(Some(Signal::Release(Release::new()))));
    // A diagnostic that is not text is shown as far as it can be.
    let abort = Signal::Abort {
        bad_csm_option: None,
        diagnostic: "a\u{fffd}".into(),
    };
    assert_eq!(read(b"\x30\xe5\xffa\xff"), Ok(Some(abort)));
}

#[test]
fn a_release_that_options_cannot_carry_does_not_fit() {
    let release = |alternatives, hold_off| Release {
        alternatives,
        hold_off,
    };
    for (release, fits) in [
        (Release::new(), true),
        (release(vec!["a".repeat(255)], Some(0xff_ffff)), true),
        (release(vec!["a".repeat(256)], None), false),
        (release(vec![String::new()], None), false),
        (release(vec!["a".into(); 63], Some(1)), true),
        (release(vec!["a".into(); 64], Some(1)), false),
        (release(vec![], Some(0x100_0000)), false),
    ] {
        assert_eq!(release.fits(), fits, "{release:?}");
    }
}
