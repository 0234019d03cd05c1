use super::*;
use crate::block::BlockSize;
use crate::option::SIZE2;

const NOW: Instant = Instant::ZERO;
const CUT: Cut = Cut::plain(BlockSize::MAX);
const LIMITS: Limits = Limits {
    max_body: 65_536,
    max_transfers: 2,
    room: usize::MAX,
};

fn response(len: usize) -> Response {
    Response::new(Code::CONTENT).with_payload(60, alloc::vec![9; len])
}

fn block(number: usize, size: usize) -> Block {
    let size = BlockSize::at_most(size);
    Block::at(number.saturating_mul(size.bytes()), false, size).unwrap()
}

#[test]
fn what_fits_one_block_goes_without_the_option() {
    let mut snapshots = Snapshots::default();
    let (part, block) = snapshots
        .first_part(b"k", response(1024), None, CUT, &LIMITS, NOW)
        .unwrap();
    assert_eq!((part, block), (response(1024), None));
    assert_eq!(snapshots.bytes(), 0);
}

#[test]
fn a_long_response_is_kept_and_handed_out_in_parts_with_one_etag() {
    let mut snapshots = Snapshots::default();
    let (first, block0) = snapshots
        .first_part(b"k", response(2100), None, CUT, &LIMITS, NOW)
        .unwrap();
    assert_eq!((first.payload.len(), block0.unwrap().more), (1024, true));
    assert_eq!(first.option(SIZE2).unwrap()[..], [0x08, 0x34]);
    assert_eq!(snapshots.bytes(), 2100);
    let (second, block1) = snapshots
        .later_part(b"k", block(1, 1024), NOW)
        .unwrap()
        .unwrap();
    assert_eq!((second.payload.len(), block1.more), (1024, true));
    let (third, block2) = snapshots
        .later_part(b"k", block(2, 1024), NOW)
        .unwrap()
        .unwrap();
    assert_eq!((third.payload.len(), block2.more), (52, false));
    assert!(first.option(option::ETAG).is_some());
    assert_eq!(first.option(option::ETAG), third.option(option::ETAG));
    assert_eq!(
        snapshots.bytes(),
        0,
        "nothing is kept behind the last block"
    );
    assert!(snapshots.later_part(b"k", block(1, 1024), NOW).is_none());
}

#[test]
fn the_peer_may_choose_a_smaller_size_and_any_number() {
    let mut snapshots = Snapshots::default();
    let wanted = Some(block(3, 64));
    let (part, sent) = snapshots
        .first_part(b"k", response(300), wanted, CUT, &LIMITS, NOW)
        .unwrap();
    assert_eq!((part.payload.len(), sent.unwrap().offset()), (64, 192));
    let past = snapshots.later_part(b"k", block(5, 64), NOW).unwrap();
    assert_eq!(past.unwrap_err(), Refusal(Code::BAD_REQUEST));
}

#[test]
fn without_room_the_answer_is_unavailable() {
    let narrow = Limits {
        room: 1999,
        ..LIMITS
    };
    let kept = Snapshots::default().first_part(b"k", response(2000), None, CUT, &narrow, NOW);
    assert_eq!(kept.unwrap_err(), Refusal(Code::SERVICE_UNAVAILABLE));
}

#[test]
fn the_oldest_snapshot_goes_and_silence_ends_the_rest() {
    let mut snapshots = Snapshots::default();
    for key in [b"a", b"b", b"c"] {
        snapshots
            .first_part(key, response(2000), None, CUT, &LIMITS, NOW)
            .unwrap();
    }
    assert!(snapshots.later_part(b"a", block(1, 1024), NOW).is_none());
    let lifetime = Duration::from_secs(247);
    snapshots.expire(lifetime, snapshots.next_deadline(lifetime).unwrap());
    assert_eq!(snapshots.bytes(), 0);
}

#[test]
fn an_upload_advances_and_keeps_its_offset_when_the_size_shrinks() {
    let mut upload = Upload::new(&Bytes::from(alloc::vec![1; 2048]), CUT, Vec::new()).unwrap();
    let (_, first) = upload.current().unwrap();
    assert!(first.more);
    let echo = Block {
        size: BlockSize::at_most(512),
        ..first
    };
    assert!(upload.advance(echo));
    let (payload, next) = upload.current().unwrap();
    assert_eq!((payload.len(), next.offset(), next.more), (512, 1024, true));
    assert!(
        !upload.advance(first),
        "an echo of another block, and larger"
    );
    assert!(upload.advance(next));
    let (_, last) = upload.current().unwrap();
    assert!(!last.more);
    assert!(
        !upload.advance(last),
        "there is nothing behind the last block"
    );
}

#[test]
fn only_the_first_block_can_shrink() {
    let mut upload = Upload::new(&Bytes::from(alloc::vec![1; 2048]), CUT, Vec::new()).unwrap();
    let (_, first) = upload.current().unwrap();
    assert!(!upload.shrink(first));
    assert!(upload.shrink(Block {
        size: BlockSize::at_most(64),
        ..first
    }));
    let (payload, sent) = upload.current().unwrap();
    assert_eq!(payload.len(), 64);
    upload.advance(sent);
    assert!(!upload.shrink(Block {
        size: BlockSize::MIN,
        ..first
    }));
    assert!(Upload::new(&Bytes::from(alloc::vec![1; 1024]), CUT, Vec::new()).is_none());
}
