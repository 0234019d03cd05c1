//! The writer on tokio: every answer comes, in however few wakings, and the future ends with the last handle.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use journal::driver::drive;
use journal::{Append, AppendId, Appended, ErrorKind, Memory, StreamAppend, Writer, WriterConfig};

fn append(stream: u64, version: u64) -> Append {
    let id = (u128::from(stream) << 64) | u128::from(version);
    let change = Bytes::from_static(b"change");
    let part = StreamAppend::new(format!("stream/{stream}"), version, vec![change]);
    Append::new(AppendId::new(id.to_be_bytes()), vec![part])
}

fn writer(gather: Duration) -> Writer {
    let mut config = WriterConfig::default();
    config.gather = gather;
    Writer::start(Arc::new(Memory::new()), config).unwrap()
}

#[tokio::test]
async fn everyone_of_many_is_answered_and_the_end_of_the_handles_is_the_end() {
    for gather in [Duration::ZERO, Duration::from_millis(1)] {
        let (handle, answers) = drive(writer(gather));
        let answers = tokio::spawn(answers);
        let tasks: Vec<_> = (0..64)
            .map(|stream| {
                let handle = handle.clone();
                tokio::spawn(async move {
                    for version in 0..50 {
                        let done = handle.append(append(stream, version)).await.unwrap();
                        let versions = vec![version + 1];
                        assert_eq!(done, Appended::Done { versions });
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let version = handle.call(|journal| Ok(journal.load("stream/7")?.version));
        assert_eq!(version.await.unwrap(), 50);
        drop(handle);
        answers.await.unwrap();
    }
}

#[tokio::test]
async fn who_goes_away_takes_nothing_back_and_holds_nobody_up() {
    let (handle, answers) = drive(writer(Duration::ZERO));
    let answers = tokio::spawn(answers);
    let gone = tokio::time::timeout(Duration::ZERO, handle.append(append(1, 0)));
    drop(gone.await);
    let done = handle.append(append(2, 0)).await.unwrap();
    assert_eq!(done, Appended::Done { versions: vec![1] });
    let loaded = handle.call(|journal| journal.load("stream/1")).await;
    assert_eq!(loaded.unwrap().version, 1);
    drop(handle);
    answers.await.unwrap();
}

#[tokio::test]
async fn the_errors_of_the_writer_are_those_of_the_future() {
    let (handle, answers) = drive(writer(Duration::ZERO));
    let answers = tokio::spawn(answers);
    let empty = Append::new(AppendId::new([1; 16]), Vec::new());
    let error = handle.append(empty).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let failed = handle.call(|_| Err::<(), _>(ErrorKind::NotCovered.into()));
    assert_eq!(failed.await.unwrap_err().kind(), ErrorKind::NotCovered);
    drop(handle);
    answers.await.unwrap();
}
