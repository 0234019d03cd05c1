//! What two instances tell each other in files.

use std::time::Duration;

use provisioning_proto::ErrorKind;
use provisioning_proto::migration::{FileContent, Purpose, TransferFile};

use crate::harness::*;
use crate::transferred::{Message, Run, head, open, seal};

#[test]
fn a_file_that_was_altered_is_not_opened_and_one_that_came_too_late_says_so() {
    let sealed = TransferFile::seal(head(Purpose::Withdrawal), &FileContent::Withdrawal, seal);
    let bytes = sealed.unwrap().encode();
    for at in 0..bytes.len() {
        for altered in [0x01, 0x80] {
            let mut bytes = bytes.clone();
            bytes[at] ^= altered;
            let opened = TransferFile::decode(&bytes).and_then(|file| file.open(open));
            assert!(opened.is_err(), "byte {at}");
        }
        let short = TransferFile::decode(&bytes[..at]).and_then(|file| file.open(open));
        assert!(short.is_err(), "{at} bytes");
    }
    let mut other = bytes.clone();
    other[7] = 2;
    let refused = TransferFile::decode(&other).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::UnknownFormat);
    let long = vec![0; TransferFile::MAX + 1];
    assert_eq!(
        TransferFile::decode(&long).unwrap_err().kind(),
        ErrorKind::Malformed
    );
    let (early, late) = (Duration::from_millis(999), Duration::from_secs(1));
    let offer = head(Purpose::Registration);
    assert!(!offer.is_over(std::time::UNIX_EPOCH + early));
    assert!(offer.is_over(std::time::UNIX_EPOCH + late));
    assert!(!offer.receipt().is_over(std::time::UNIX_EPOCH + late));
}

#[test]
fn a_file_holds_what_its_head_says() {
    let mut run = Run::new(true);
    while run.wire.is_empty() {
        let output = run.mover.waiting.remove(0);
        run.do_move(output, true);
    }
    let Message::File(bytes) = run.wire.remove(0) else {
        panic!("it is a file");
    };
    let file = TransferFile::decode(&bytes).unwrap();
    assert_eq!(file.head(), &head(Purpose::Registration));
    let content = file.open(open).unwrap();
    let mut others = vec![head(Purpose::Withdrawal), head(Purpose::Receipt)];
    others.extend([head(Purpose::Registration), head(Purpose::Registration)]);
    others[2].device = device("dev-2");
    others[3].transfer = "11".repeat(16).parse().unwrap();
    for other in others {
        let sealed = TransferFile::seal(other, &content, seal);
        assert_eq!(sealed.unwrap_err().kind(), ErrorKind::InvalidValue);
    }
}
