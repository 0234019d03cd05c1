use super::*;
use crate::block::BlockSize;

const NOW: Instant = Instant::ZERO;

const SMALL: Limits = Limits {
    max_body: 64,
    max_transfers: 2,
    room: usize::MAX,
};

fn block(number: usize, more: bool) -> Block {
    Block::at(number.saturating_mul(16), more, BlockSize::MIN).unwrap()
}

fn receive(
    uploads: &mut Uploads,
    key: &[u8],
    block: Block,
    len: usize,
) -> Result<Progress, Refusal> {
    uploads.receive(key, block, &[7; 64][..len], &SMALL, NOW)
}

#[test]
fn blocks_in_order_make_the_body() {
    let mut uploads = Uploads::default();
    assert_eq!(
        receive(&mut uploads, b"k", block(0, true), 16),
        Ok(Progress::Continue)
    );
    assert_eq!(
        receive(&mut uploads, b"k", block(1, true), 16),
        Ok(Progress::Continue)
    );
    assert_eq!(
        receive(&mut uploads, b"k", block(2, false), 3),
        Ok(Progress::Whole(alloc::vec![7; 35]))
    );
    assert_eq!(uploads.bytes(), 0);
}

#[test]
fn a_block_out_of_order_discards_the_body() {
    let mut uploads = Uploads::default();
    receive(&mut uploads, b"k", block(0, true), 16).unwrap();
    assert_eq!(
        receive(&mut uploads, b"k", block(2, true), 16),
        Err(Refusal(Code::REQUEST_ENTITY_INCOMPLETE))
    );
    assert_eq!(
        receive(&mut uploads, b"k", block(1, true), 16),
        Err(Refusal(Code::REQUEST_ENTITY_INCOMPLETE))
    );
    assert_eq!(uploads.bytes(), 0);
}

#[test]
fn a_short_block_before_the_last_is_a_bad_request() {
    let mut uploads = Uploads::default();
    assert_eq!(
        receive(&mut uploads, b"k", block(0, true), 15),
        Err(Refusal(Code::BAD_REQUEST))
    );
    assert_eq!(
        receive(&mut uploads, b"k", block(0, false), 17),
        Err(Refusal(Code::BAD_REQUEST))
    );
}

#[test]
fn a_larger_size_in_mid_transfer_is_refused() {
    let mut uploads = Uploads::default();
    receive(&mut uploads, b"k", block(0, true), 16).unwrap();
    receive(&mut uploads, b"k", block(1, true), 16).unwrap();
    let larger = Block::at(32, true, BlockSize::at_most(32)).unwrap();
    assert_eq!(
        receive(&mut uploads, b"k", larger, 32),
        Err(Refusal(Code::BAD_REQUEST))
    );
}

#[test]
fn a_smaller_size_goes_on_at_the_same_offset() {
    let mut uploads = Uploads::default();
    let first = Block::at(0, true, BlockSize::at_most(32)).unwrap();
    receive(&mut uploads, b"k", first, 32).unwrap();
    assert_eq!(
        receive(&mut uploads, b"k", block(2, false), 1),
        Ok(Progress::Whole(alloc::vec![7; 33]))
    );
}

#[test]
fn bodies_of_two_keys_do_not_mix_and_a_third_takes_the_place_of_the_oldest() {
    let mut uploads = Uploads::default();
    for key in [b"a", b"b", b"c"] {
        receive(&mut uploads, key, block(0, true), 16).unwrap();
    }
    assert_eq!(uploads.bytes(), 32);
    assert!(receive(&mut uploads, b"a", block(1, false), 1).is_err());
    assert!(receive(&mut uploads, b"b", block(1, false), 1).is_ok());
}

#[test]
fn the_limits_hold_on_every_block() {
    let mut uploads = Uploads::default();
    for number in 0..4 {
        receive(&mut uploads, b"k", block(number, true), 16).unwrap();
    }
    assert_eq!(
        receive(&mut uploads, b"k", block(4, true), 16),
        Err(Refusal(Code::REQUEST_ENTITY_TOO_LARGE))
    );
    assert_eq!(uploads.bytes(), 0);
    let narrow = Limits { room: 15, ..SMALL };
    let full = uploads.receive(b"k", block(0, true), &[0; 16], &narrow, NOW);
    assert_eq!(full, Err(Refusal(Code::SERVICE_UNAVAILABLE)));
}

#[test]
fn silence_ends_an_upload() {
    let mut uploads = Uploads::default();
    receive(&mut uploads, b"k", block(0, true), 16).unwrap();
    let lifetime = Duration::from_secs(247);
    let end = uploads.next_deadline(lifetime).unwrap();
    uploads.expire(lifetime, Instant::from_micros(end.as_micros() - 1));
    assert_eq!(uploads.bytes(), 16);
    uploads.expire(lifetime, end);
    assert_eq!(
        (uploads.bytes(), uploads.next_deadline(lifetime)),
        (0, None)
    );
}

#[test]
fn a_download_asks_for_the_next_block_until_the_last() {
    let mut download = Download::default();
    assert_eq!(
        download.receive(block(0, true), Some(b"e"), &[1; 16], 64),
        Ok(Some(block(1, false)))
    );
    assert_eq!(
        download.receive(block(1, false), Some(b"e"), &[2; 4], 64),
        Ok(None)
    );
    assert_eq!(download.into_body(), [[1; 16].as_slice(), &[2; 4]].concat());
}

#[test]
fn a_download_breaks_on_gaps_changes_and_size() {
    let started = || {
        let mut download = Download::default();
        download
            .receive(block(0, true), Some(b"e"), &[1; 16], 64)
            .unwrap();
        download
    };
    assert_eq!(
        started().receive(block(2, true), Some(b"e"), &[1; 16], 64),
        Err(Broken::Mismatch)
    );
    assert_eq!(
        started().receive(block(1, true), Some(b"f"), &[1; 16], 64),
        Err(Broken::Mismatch)
    );
    assert_eq!(
        started().receive(block(1, true), None, &[1; 16], 64),
        Err(Broken::Mismatch)
    );
    assert_eq!(
        started().receive(block(1, true), Some(b"e"), &[1; 15], 64),
        Err(Broken::Mismatch)
    );
    assert_eq!(
        started().receive(block(1, true), Some(b"e"), &[1; 16], 31),
        Err(Broken::TooLarge)
    );
}
