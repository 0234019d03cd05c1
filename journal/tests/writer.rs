//! The writer: order, group commit, limits, and one answer for everyone.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use journal::{
    Append, AppendId, Appended, Due, Error, ErrorKind, Journal, Loaded, Memory, Page, Snapshot,
    StreamAppend, Writer, WriterConfig,
};

/// Counts its batches, and waits in each until the test lets it go on.
#[derive(Debug)]
struct Slow {
    memory: Memory,
    batches: Mutex<Vec<usize>>,
    entered: Mutex<Sender<()>>,
    gate: Mutex<()>,
}

impl Journal for Slow {
    fn append_batch(&self, appends: &[Append]) -> Vec<Result<Appended, Error>> {
        self.entered.lock().unwrap().send(()).unwrap();
        drop(self.gate.lock());
        self.batches.lock().unwrap().push(appends.len());
        self.memory.append_batch(appends)
    }
    fn read(&self, stream: &str, after: u64, limit: usize) -> Result<Page, Error> {
        self.memory.read(stream, after, limit)
    }
    fn load(&self, stream: &str) -> Result<Loaded, Error> {
        self.memory.load(stream)
    }
    fn save_snapshot(&self, stream: &str, snapshot: &Snapshot) -> Result<(), Error> {
        self.memory.save_snapshot(stream, snapshot)
    }
    fn load_snapshot(&self, stream: &str) -> Result<Option<Snapshot>, Error> {
        self.memory.load_snapshot(stream)
    }
    fn truncate(&self, stream: &str, up_to: u64) -> Result<(), Error> {
        self.memory.truncate(stream, up_to)
    }
    fn condense(&self, stream: &str, snapshot: &Snapshot) -> Result<(), Error> {
        self.memory.condense(stream, snapshot)
    }
    fn erase(&self, stream: &str) -> Result<(), Error> {
        self.memory.erase(stream)
    }
    fn due(&self, before: u64, after: Option<&Due>, limit: usize) -> Result<Vec<Due>, Error> {
        self.memory.due(before, after, limit)
    }
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Error> {
        self.memory.list(prefix, after, limit)
    }
}

/// One of them, and who hears of its batches.
fn slow() -> (Arc<Slow>, Receiver<()>) {
    let (entered, in_batch) = channel();
    let slow = Slow {
        memory: Memory::new(),
        batches: Mutex::default(),
        entered: Mutex::new(entered),
        gate: Mutex::default(),
    };
    (Arc::new(slow), in_batch)
}

fn append(number: u64) -> Append {
    let id = AppendId::new(u128::from(number).to_be_bytes());
    let change = Bytes::from_static(b"change");
    Append::new(id, vec![StreamAppend::new("a", number, vec![change])])
}

#[test]
fn what_waits_shares_a_batch_and_keeps_its_order() {
    let (slow, in_batch) = slow();
    let mut config = WriterConfig::default();
    (config.queue, config.batch) = (6, 4);
    let writer = Writer::start(Arc::clone(&slow) as Arc<dyn Journal>, config).unwrap();
    let (answers, answered) = channel();
    let give = |number| {
        let answers = answers.clone();
        writer.append(append(number), move |answer| {
            let answer = answer.map_err(|error| error.kind());
            answers.send((number, answer)).unwrap();
        });
    };
    let gate = slow.gate.lock().unwrap();
    give(0);
    in_batch.recv().unwrap();
    (1..=4).for_each(give);
    let seen = answers.clone();
    writer.call(move |journal| {
        let version = journal.unwrap().load("a").unwrap().version;
        let versions = vec![version];
        seen.send((100, Ok(Appended::Done { versions }))).unwrap();
    });
    give(5);
    give(6);
    assert_eq!(answered.recv().unwrap(), (6, Err(ErrorKind::Busy)));
    drop(gate);
    drop(writer);
    let done = |number, version| {
        let versions = vec![version];
        (number, Ok(Appended::Done { versions }))
    };
    let expected = [
        done(0, 1),
        done(1, 2),
        done(2, 3),
        done(3, 4),
        done(4, 5),
        done(100, 5),
        done(5, 6),
    ];
    drop(answers);
    assert_eq!(answered.iter().collect::<Vec<_>>(), expected);
    assert_eq!(*slow.batches.lock().unwrap(), [1, 4, 1]);
}

#[test]
fn the_last_handle_may_be_dropped_by_a_callback() {
    let writer = Writer::start(Arc::new(Memory::new()), WriterConfig::default()).unwrap();
    let writer = Arc::new(writer);
    let (go, wait) = channel::<()>();
    let (dropped, is_dropped) = channel();
    let (answers, answered) = channel();
    let held = Arc::clone(&writer);
    writer.call(move |_| {
        wait.recv().unwrap();
        drop(held);
        dropped.send(()).unwrap();
    });
    writer.append(append(0), move |answer| answers.send(answer).unwrap());
    drop(writer);
    go.send(()).unwrap();
    is_dropped.recv().unwrap();
    let versions = vec![1];
    let answer = answered.recv().unwrap().unwrap();
    assert_eq!(answer, Appended::Done { versions });
}

#[test]
fn everyone_is_answered_when_a_callback_panics() {
    let writer = Writer::start(Arc::new(Memory::new()), WriterConfig::default()).unwrap();
    let (answers, answered) = channel();
    let (go, wait) = channel::<()>();
    writer.call(move |_| wait.recv().unwrap());
    writer.append(append(0), |_| panic!("as callbacks should not"));
    for number in 1..4 {
        let answers = answers.clone();
        writer.append(append(number), move |answer| {
            let _ = answers.send(answer.map_err(|error| error.kind()));
        });
    }
    let late = answers.clone();
    drop(answers);
    go.send(()).unwrap();
    assert_eq!(
        answered.iter().take(3).collect::<Vec<_>>(),
        vec![Err(ErrorKind::Closed); 3]
    );
    writer.append(append(9), move |answer| {
        let _ = late.send(answer.map_err(|error| error.kind()));
    });
    assert_eq!(answered.recv().unwrap(), Err(ErrorKind::Closed));
}

#[test]
fn a_batch_of_several_waits_for_those_who_come_and_a_lone_append_does_not() {
    let (slow, in_batch) = slow();
    let mut config = WriterConfig::default();
    config.gather = Duration::from_secs(2);
    let writer = Writer::start(Arc::clone(&slow) as Arc<dyn Journal>, config).unwrap();
    let (answers, answered) = channel();
    let give = |number| {
        let answers = answers.clone();
        writer.append(append(number), move |answer| answers.send(answer).unwrap());
    };
    let closed = slow.gate.lock().unwrap();
    give(0);
    in_batch.recv().unwrap();
    assert_eq!(*slow.batches.lock().unwrap(), []);
    give(1);
    give(2);
    drop(closed);
    // The first is answered when the next batch begins to wait.
    answered.recv().unwrap().unwrap();
    give(3);
    for _ in 0..3 {
        answered.recv().unwrap().unwrap();
    }
    assert_eq!(*slow.batches.lock().unwrap(), [1, 3]);
}
