use super::*;
use alloc::vec;
use proptest::prelude::*;

fn header() -> Header<'static> {
    Header {
        content: ContentType::Handshake,
        epoch: 1,
        sequence: 0x0102_0304_0506,
        connection_id: &[],
    }
}

#[test]
fn a_record_is_written_as_the_standard_says() {
    let mut out = Vec::new();
    put_plain(header(), DTLS_1_2, b"body", &mut out);
    assert_eq!(out, b"\x16\xfe\xfd\0\x01\x01\x02\x03\x04\x05\x06\0\x04body");
    assert_eq!(
        header().additional_data(4).as_bytes(),
        b"\0\x01\x01\x02\x03\x04\x05\x06\x16\xfe\xfd\0\x04"
    );
}

#[test]
fn unknown_types_and_versions_are_passed_over_and_a_cut_record_ends_the_datagram() {
    let mut good = Vec::new();
    put_plain(header(), DTLS_1_2, b"body", &mut good);
    let altered = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    for strange in [altered(0, 24), altered(1, 3), altered(2, 0xfc)] {
        let datagram = [strange, good.clone()].concat();
        assert_eq!(records(&datagram, 0).count(), 1);
    }
    for cut in 0..good.len() {
        assert_eq!(records(&good[..cut], 0).count(), 0);
    }
    let lying = [altered(12, 18), good.clone()].concat();
    assert_eq!(records(&lying, 0).count(), 1, "one body, of both");
}

fn with_id(connection_id: &[u8]) -> Header<'_> {
    Header {
        content: ContentType::Tls12Cid,
        connection_id,
        ..header()
    }
}

#[test]
fn a_record_with_an_id_is_written_and_authenticated_as_the_standard_says() {
    let header = with_id(b"id!");
    let mut out = Vec::new();
    header.put(DTLS_1_2, 4, &mut out);
    assert_eq!(out, b"\x19\xfe\xfd\0\x01\x01\x02\x03\x04\x05\x06id!\0\x04");
    let expected: [&[u8]; 9] = [
        &[0xff; 8],          // seq_num_placeholder
        &[25],               // tls12_cid
        &[3],                // cid_length
        &[25],               // tls12_cid
        &[0xfe, 0xfd],       // version
        &[0, 1],             // epoch
        &[1, 2, 3, 4, 5, 6], // sequence_number
        b"id!",              // cid
        &[0, 4],             // length
    ];
    assert_eq!(header.additional_data(4).as_bytes(), expected.concat());
    let longest = [7; 255];
    let data = with_id(&longest).additional_data(4);
    assert_eq!(data.as_bytes().len(), 23 + 255);
    assert!(data.as_bytes().ends_with(&[7, 0, 4]));
}

#[test]
fn ids_are_read_where_there_are_some_and_nothing_in_clear_is_behind_them() {
    let mut under_id = Vec::new();
    with_id(b"id!").put(DTLS_1_2, 4, &mut under_id);
    under_id.extend(b"body");
    let mut plain = Vec::new();
    put_plain(header(), DTLS_1_2, b"body", &mut plain);
    let read = |parts: [&[u8]; 3], id_len| {
        let datagram = parts.concat();
        let read = records(&datagram, id_len).map(|record| {
            assert_eq!(
                (record.body, record.len()),
                (&b"body"[..], 17 + record.header.connection_id.len())
            );
            record.header.content == ContentType::Tls12Cid
        });
        read.collect::<Vec<_>>()
    };
    assert_eq!(read([&plain, &under_id, &under_id], 3), [false, true, true]);
    assert_eq!(read([&under_id, &plain, &under_id], 3), [true, true]);
    // Without ids of ours it is one more type that is passed over, with what looks like its length.
    let mut unknown = under_id.clone();
    unknown[11..13].copy_from_slice(&[0, 7]);
    assert_eq!(read([&unknown, &plain, &plain], 0), [false; 2]);
}

#[test]
fn a_record_over_the_limit_is_passed_over() {
    for (epoch, limit) in [(0, MAX_PLAINTEXT), (1, MAX_PROTECTED)] {
        for (len, expected) in [(limit, 2), (limit + 1, 1)] {
            let header = Header { epoch, ..header() };
            let mut out = Vec::new();
            put_plain(header, DTLS_1_2, &vec![0; len], &mut out);
            put_plain(header, DTLS_1_2, b"body", &mut out);
            assert_eq!(records(&out, 0).count(), expected, "{epoch} {len}");
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_anything_can_be_read(
        sequence in 0..=LAST_SEQUENCE,
        epoch: u16,
        body in proptest::collection::vec(any::<u8>(), 0..64),
        tail in proptest::collection::vec(any::<u8>(), 0..64),
        id_len in 0..9_usize,
    ) {
        let header = Header { content: ContentType::ApplicationData, epoch, sequence, connection_id: &[] };
        let mut out = Vec::new();
        put_plain(header, DTLS_1_2, &body, &mut out);
        out.extend(&tail);
        prop_assert_eq!(records(&out, 0).next(), Some(Record { header, body: &body }));
        records(&tail, id_len).for_each(drop);
    }
}
