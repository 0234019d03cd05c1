//! Records with connection ids, against what the standard says, put together here byte by byte. (RFC 9146, 4 and 5)

use aes::{Aes128Enc, Block};
use alloc::vec;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
use ccm::aead::AeadInOut;
use ccm::consts::{U8, U12};
use ccm::{Ccm, KeyInit};
use hmac::Mac;

use super::super::prf::hmac;
use super::super::protection::KeyPair;
use super::super::record::records;
use super::*;
use crate::suite::CipherSuite;

const ID: &[u8] = b"id!";
/// Epoch 1, record 0.
const NUMBER: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 0];
const TEXT: &[u8] = b"CoAP over DTLS";
const DATA: u8 = 23;

fn material() -> [u8; KeyPair::MAX_MATERIAL] {
    core::array::from_fn(|at| u8::try_from(at).unwrap())
}

fn outbound(suite: CipherSuite, id: &[u8]) -> Outbound {
    let mut outbound = Outbound::new(0);
    outbound.protect(KeyPair::cut(suite, &material()).client, id.into());
    outbound
}

fn inbound(suite: CipherSuite, id: &[u8]) -> Inbound {
    let keys = KeyPair::cut(suite, &material()).client;
    Inbound::new(keys, ConnectionId::from_bytes(id).unwrap())
}

fn put(outbound: &mut Outbound, text: &[u8]) -> Option<Vec<u8>> {
    let (mut random, mut out) = (Random::new([3; 32]), Vec::new());
    outbound.put_protected(ContentType::ApplicationData, text, &mut random, &mut out)?;
    assert!(out.len() <= outbound.overhead(true) + text.len());
    Some(out)
}

fn open(inbound: &mut Inbound, record: &[u8]) -> Option<Opened> {
    let id_len = inbound.connection_id().as_bytes().len();
    inbound.open(&records(record, id_len).next()?)
}

/// What both ways of protection authenticate in front of the text.
fn additional_data(len: usize) -> Vec<u8> {
    let len = u16::try_from(len).unwrap().to_be_bytes();
    let parts: [&[u8]; 8] = [
        &[0xff; 8],
        &[25],
        &[3],
        &[25],
        &[0xfe, 0xfd],
        &NUMBER,
        ID,
        &len,
    ];
    parts.concat()
}

fn record(body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[25, 0xfe, 0xfd][..], &NUMBER, ID, &len, body].concat()
}

/// A record of the CCM suite with this as its inner plaintext.
fn ccm_record(inner: &[u8]) -> Vec<u8> {
    let material = material();
    let (key, salt) = (&material[..16], &material[32..36]);
    let nonce: [u8; 12] = [salt, &NUMBER].concat().try_into().unwrap();
    let mut text = inner.to_vec();
    let tag = Ccm::<Aes128Enc, U8, U12>::new(key.try_into().unwrap())
        .encrypt_inout_detached(
            &nonce.into(),
            &additional_data(inner.len()),
            text.as_mut_slice().into(),
        )
        .unwrap();
    record(&[&NUMBER[..], &text, &tag].concat())
}

/// A record of the CBC suite with this as its inner plaintext.
fn cbc_record(inner: &[u8], iv: [u8; 16]) -> Vec<u8> {
    let material = material();
    let (mac_key, key) = (&material[..32], &material[64..80]);
    let padding = 16 - inner.len() % 16;
    let mut text = inner.to_vec();
    text.extend(vec![u8::try_from(padding - 1).unwrap(); padding]);
    let (blocks, _) = Block::slice_as_chunks_mut(&mut text);
    cbc::Encryptor::<Aes128Enc>::new(key.try_into().unwrap(), (&iv).into()).encrypt_blocks(blocks);
    let fragment = [&iv[..], &text].concat();
    let mut mac = hmac(mac_key);
    mac.update(&additional_data(fragment.len()));
    mac.update(&fragment);
    record(&[fragment, mac.finalize().into_bytes().to_vec()].concat())
}

#[test]
fn a_record_with_an_id_has_the_bytes_of_the_standard_both_ways() {
    let inner = [TEXT, &[DATA]].concat();
    let padded = [&inner[..], &[0; 40]].concat();

    let suite = CipherSuite::PskAes128Ccm8;
    let sealed = put(&mut outbound(suite, ID), TEXT).unwrap();
    assert_eq!(sealed, ccm_record(&inner));
    for theirs in [ccm_record(&inner), ccm_record(&padded)] {
        let opened = open(&mut inbound(suite, ID), &theirs).unwrap();
        assert_eq!(opened.content, ContentType::ApplicationData);
        assert_eq!(opened.text, TEXT);
    }

    let suite = CipherSuite::PskAes128CbcSha256;
    let sealed = put(&mut outbound(suite, ID), TEXT).unwrap();
    let iv = sealed[16..32].try_into().unwrap();
    assert_eq!(sealed, cbc_record(&inner, iv));
    for theirs in [cbc_record(&inner, [9; 16]), cbc_record(&padded, [9; 16])] {
        let opened = open(&mut inbound(suite, ID), &theirs).unwrap();
        assert_eq!(opened.content, ContentType::ApplicationData);
        assert_eq!(opened.text, TEXT);
    }
}

#[test]
fn an_inner_type_that_is_missing_or_unknown_makes_a_record_nothing() {
    let suite = CipherSuite::PskAes128Ccm8;
    for inner in [
        &b""[..],
        &[0],
        &[0; 50],
        b"text\x01",
        b"text\x19",
        b"text\xff",
    ] {
        let mut inbound = inbound(suite, ID);
        assert!(
            open(&mut inbound, &ccm_record(inner)).is_none(),
            "{inner:?}"
        );
        assert_eq!(inbound.rejected(), 0, "it is authentic");
    }
    for (number, content) in [
        (20, ContentType::ChangeCipherSpec),
        (22, ContentType::Handshake),
    ] {
        let opened = open(&mut inbound(suite, ID), &ccm_record(&[number])).unwrap();
        assert_eq!((opened.content, opened.text), (content, Vec::new()));
    }
}

#[test]
fn a_record_with_another_id_or_none_is_not_even_looked_at() {
    for suite in CipherSuite::ALL {
        for (theirs, ours, taken) in [
            (ID, ID, true),
            (b"", b"", true),
            (b"id?", ID, false),
            (b"", ID, false),
            (ID, b"", false),
        ] {
            let sealed = put(&mut outbound(suite, theirs), TEXT).unwrap();
            let mut inbound = inbound(suite, ours);
            assert_eq!(open(&mut inbound, &sealed).is_some(), taken);
            assert_eq!(inbound.rejected(), 0);
        }
        // With an id that was put on by somebody else.
        let mut sealed = put(&mut outbound(suite, ID), TEXT).unwrap();
        sealed[11..14].copy_from_slice(b"id?");
        let mut inbound = inbound(suite, b"id?");
        assert!(open(&mut inbound, &sealed).is_none());
        assert_eq!(inbound.rejected(), 1);
    }
}

#[test]
fn what_fills_a_record_is_sealed_and_a_byte_more_is_not() {
    for suite in CipherSuite::ALL {
        for id in [&b""[..], ID, &[7; 255]] {
            let mut outbound = outbound(suite, id);
            let room = outbound.room();
            assert_eq!(room, MAX_PLAINTEXT - usize::from(!id.is_empty()));
            assert!(put(&mut outbound, &vec![1; room + 1]).is_none());
            assert!(put(&mut outbound, &vec![1; room]).is_some());
        }
    }
}

#[test]
fn the_limit_of_a_text_is_that_without_its_type_and_padding() {
    let suite = CipherSuite::PskAes128Ccm8;
    for (text, padding, taken) in [
        (MAX_PLAINTEXT, 0, true),
        // What Mbed TLS makes of it: padded to a multiple of 16.
        (MAX_PLAINTEXT, 15, true),
        (MAX_PLAINTEXT, 1_023, true),
        (MAX_PLAINTEXT, 1_024, false),
        (MAX_PLAINTEXT + 1, 0, false),
    ] {
        let inner = [&vec![1; text][..], &[DATA], &vec![0; padding]].concat();
        let mut inbound = inbound(suite, ID);
        let opened = open(&mut inbound, &ccm_record(&inner));
        let opened = opened.map(|opened| opened.text.len());
        assert_eq!(opened, taken.then_some(text), "{text} and {padding}");
    }
}

#[test]
fn the_newest_record_is_known_as_such() {
    let suite = CipherSuite::PskAes128Ccm8;
    let (mut outbound, mut inbound) = (outbound(suite, ID), inbound(suite, ID));
    let sealed: Vec<_> = (0..3).map(|_| put(&mut outbound, TEXT).unwrap()).collect();
    for (which, newest) in [(1, true), (0, false), (2, true)] {
        assert_eq!(open(&mut inbound, &sealed[which]).unwrap().newest, newest);
    }
}
