use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::super::record::{ContentType, records};
use super::*;

fn keys(suite: CipherSuite) -> Protection {
    let material: [u8; KeyPair::MAX_MATERIAL] =
        core::array::from_fn(|at| u8::try_from(at).unwrap());
    KeyPair::cut(suite, &material).client
}

const HEADER: Header<'_> = Header {
    content: ContentType::ApplicationData,
    epoch: 1,
    sequence: 77,
    connection_id: &[],
};

fn seal(keys: &Protection, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    keys.seal(HEADER, [text, &[]], &mut Random::new([3; 32]), &mut out)
        .unwrap();
    out
}

fn open(keys: &Protection, bytes: &[u8]) -> Option<Vec<u8>> {
    keys.open(&records(bytes, 0).next()?)
}

#[test]
fn a_record_with_any_bit_changed_is_refused() {
    for suite in CipherSuite::ALL {
        let keys = keys(suite);
        let sealed = seal(&keys, b"21.5");
        assert_eq!(open(&keys, &sealed).unwrap(), b"21.5");
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&keys, &altered), None, "{suite} bit {bit}");
        }
    }
}

#[test]
fn a_record_of_any_other_length_is_refused() {
    for suite in CipherSuite::ALL {
        let keys = keys(suite);
        let sealed = seal(&keys, b"21.5");
        let whole = records(&sealed, 0).next().unwrap();
        for len in 0..whole.body.len() {
            let body = &whole.body[..len];
            assert_eq!(keys.open(&Record { body, ..whole }), None, "{suite} {len}");
        }
        let longer = [whole.body, &[0]].concat();
        let longer = Record {
            body: &longer,
            ..whole
        };
        assert_eq!(keys.open(&longer), None, "{suite}");
    }
}

#[test]
fn keys_that_are_taken_elsewhere_are_wiped_where_they_were() {
    for suite in CipherSuite::ALL {
        let mut keys = keys(suite);
        let sealed = seal(&keys, b"21.5");
        let taken = keys.take();
        let mut left = Vec::new();
        keys.save(&mut left);
        assert!(left.iter().all(|byte| *byte == 0), "{suite}");
        assert_eq!(open(&taken, &sealed).unwrap(), b"21.5");
    }
}

#[test]
fn a_text_over_the_limit_is_neither_sealed_nor_read() {
    for suite in CipherSuite::ALL {
        let keys = keys(suite);
        let mut random = Random::new([3; 32]);
        let long = vec![0; MAX_PLAINTEXT + 1];
        assert!(
            keys.seal(HEADER, [&long, &[]], &mut random, &mut Vec::new())
                .is_none()
        );
        let mut out = Vec::new();
        // Written past the check, as a peer that does not keep the limit would.
        match &keys {
            Protection::Ccm8(keys) => keys.seal(HEADER, [&long, &[]], &mut out),
            Protection::CbcSha256(keys) => keys.seal(HEADER, [&long, &[]], &mut random, &mut out),
        }
        .unwrap();
        assert_eq!(open(&keys, &out), None, "{suite}");
        assert_eq!(open(&keys, &seal(&keys, &long[1..])).unwrap(), &long[1..]);
    }
}

proptest! {
    #[test]
    fn what_is_sealed_is_opened_and_no_longer_than_said(text in proptest::collection::vec(any::<u8>(), 0..100)) {
        for suite in CipherSuite::ALL {
            let keys = keys(suite);
            let sealed = seal(&keys, &text);
            prop_assert!(sealed.len().saturating_sub(text.len()) <= keys.overhead());
            prop_assert_eq!(open(&keys, &sealed), Some(text.clone()));
        }
    }

    #[test]
    fn nothing_that_was_not_sealed_is_opened(body in proptest::collection::vec(any::<u8>(), 0..120)) {
        for suite in CipherSuite::ALL {
            let record = Record { header: HEADER, body: &body };
            prop_assert_eq!(keys(suite).open(&record), None);
        }
    }
}
