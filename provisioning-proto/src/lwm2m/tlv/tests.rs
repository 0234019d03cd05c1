use proptest::prelude::*;

use super::*;

#[test]
fn heads_are_as_short_as_they_go_at_every_edge_of_id_and_length() {
    for (id, id_bytes) in [(0, 1), (255, 1), (256, 2), (65_534, 2)] {
        for (length, length_bytes) in [
            (0, 0),
            (7, 0),
            (8, 1),
            (255, 1),
            (256, 2),
            (65_535, 2),
            (65_536, 3),
        ] {
            let value = vec![0x5a; length];
            let mut out = Vec::new();
            write(&mut out, Kind::Resource, id, &value).unwrap();
            assert_eq!(
                out.len(),
                1 + id_bytes + length_bytes + length,
                "id {id}, length {length}"
            );
            let mut read = entries(&out);
            let entry = read.next().unwrap().unwrap();
            assert_eq!(
                (entry.kind, entry.id, entry.value),
                (Kind::Resource, id, &value[..])
            );
            assert!(read.next().is_none());
            // Cut anywhere, it is no entry.
            assert_eq!(
                entries(&out[..out.len() - 1]).next().unwrap().err(),
                (out.len() > 1).then_some(DecodeError::Length)
            );
        }
    }
}

#[test]
fn a_value_over_24_bits_of_length_is_refused() {
    let mut out = Vec::new();
    let value = vec![0; 1 << 24];
    assert_eq!(
        write(&mut out, Kind::Resource, 0, &value),
        Err(EncodeError::TooLong)
    );
    assert!(out.is_empty());
}

#[test]
fn values_of_the_wrong_form_are_refused() {
    let of = |value: &'static [u8]| Entry {
        kind: Kind::Resource,
        id: 0,
        value,
    };
    for length in [&b""[..], b"abc", b"abcde", b"abcdefghi"] {
        assert_eq!(of(length).integer(), Err(DecodeError::Type));
        assert_eq!(of(length).float(), Err(DecodeError::Type));
    }
    assert_eq!(of(b"\x02").boolean(), Err(DecodeError::Type));
    assert_eq!(of(b"").boolean(), Err(DecodeError::Type));
    assert_eq!(of(b"a\0").text(), Err(DecodeError::Type));
    assert_eq!(of(b"\xff").text(), Err(DecodeError::Type));
    assert_eq!(of(b"\0\x01\0").object_link(), Err(DecodeError::Type));
}

#[test]
fn integers_take_one_two_four_or_eight_bytes() {
    for (number, length) in [
        (0, 1),
        (-128, 1),
        (127, 1),
        (128, 2),
        (-32_768, 2),
        (32_768, 4),
        (i64::from(i32::MIN), 4),
        (i64::MAX, 8),
    ] {
        let mut out = Vec::new();
        write_value(&mut out, Kind::Resource, 1, &Value::Integer(number)).unwrap();
        let entry = entries(&out).next().unwrap().unwrap();
        assert_eq!((entry.value.len(), entry.integer()), (length, Ok(number)));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_to_an_end(bytes: Vec<u8>) {
        let read: usize = entries(&bytes).map_while(Result::ok).map(|entry| entry.value.len()).sum();
        prop_assert!(read <= bytes.len());
    }

    #[test]
    fn what_was_written_is_read(id: u16, number: i64, float: f64, text in "[^\0]{0,300}", object: u16, instance: u16) {
        let link = ObjectLink { object, instance };
        let mut out = Vec::new();
        for value in [Value::Integer(number), Value::Float(float), Value::Text(text.clone()), Value::ObjectLink(link), Value::Boolean(number > 0)] {
            write_value(&mut out, Kind::ResourceInstance, id, &value).unwrap();
        }
        let read: Vec<_> = entries(&out).collect::<Result<_, _>>().unwrap();
        prop_assert!(read.iter().all(|entry| (entry.kind, entry.id) == (Kind::ResourceInstance, id)));
        prop_assert_eq!(read[0].integer(), Ok(number));
        prop_assert_eq!(read[1].float().map(f64::to_bits), Ok(float.to_bits()));
        prop_assert_eq!(read[2].text(), Ok(&*text));
        prop_assert_eq!(read[3].object_link(), Ok(link));
        prop_assert_eq!(read[4].boolean(), Ok(number > 0));
    }
}
