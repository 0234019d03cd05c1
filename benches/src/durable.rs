//! Durable appends as a cloud makes them, and the same rows written with redb alone, which is what they are measured against.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a benchmark that cannot run stops"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use bytes::Bytes;
use journal::{
    Append, AppendId, Appended, Embedded, Journal, REMEMBERED_APPENDS, StreamAppend, Writer,
    WriterConfig,
};
use redb::{Database, TableDefinition};

/// A change of the size that a report of a device makes, in bytes.
const CHANGE: usize = 300;

/// Makes appends of one change each, to streams that stand at known versions and are picked at random.
#[derive(Debug)]
pub struct Source {
    versions: Vec<u64>,
    busy: Vec<bool>,
    made: u64,
    random: u64,
}

impl Source {
    /// A source for `streams` empty streams.
    #[must_use]
    pub fn new(streams: usize) -> Self {
        Self {
            versions: vec![0; streams],
            busy: vec![false; streams],
            made: 0,
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// The next append, to a stream that no append under way is for; its number comes back in [`done`](Self::done).
    pub fn draw(&mut self) -> (usize, Append) {
        let stream = loop {
            // Xorshift64: good enough to spread over the tree.
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            let stream = usize::try_from(self.random % self.versions.len() as u64).unwrap();
            if !self.busy[stream] {
                break stream;
            }
        };
        self.busy[stream] = true;
        (stream, self.append_to(stream))
    }

    /// One append to each stream, in order.
    pub fn first_of_each(&mut self) -> Vec<Append> {
        let appends = (0..self.versions.len()).map(|stream| self.append_to(stream));
        let appends = appends.collect();
        self.versions.fill(1);
        appends
    }

    /// The append to this stream is durable.
    pub fn done(&mut self, stream: usize) {
        self.versions[stream] += 1;
        self.busy[stream] = false;
    }

    fn append_to(&mut self, stream: usize) -> Append {
        self.made += 1;
        // As random as an id from entropy, so that it falls anywhere in its tree.
        let id =
            u128::from(self.made.wrapping_mul(0xd134_2543_de82_ef95)) << 64 | u128::from(self.made);
        let change = Bytes::from(vec![b'.'; CHANGE]);
        let name = format!("account/{stream:08}");
        let part = StreamAppend::new(name, self.versions[stream], vec![change]);
        Append::new(AppendId::new(id.to_be_bytes()), vec![part])
    }
}

/// The journal's store with one change in each of so many streams.
#[must_use]
pub fn ours(path: &Path, streams: usize) -> (Embedded, Source) {
    let (store, mut source) = (Embedded::open(path).unwrap(), Source::new(streams));
    for batch in source.first_of_each().chunks(1000) {
        for answer in store.append_batch(batch) {
            assert!(matches!(answer, Ok(Appended::Done { .. })), "{answer:?}");
        }
    }
    (store, source)
}

/// The same rows by redb alone, with one change in each of so many streams.
#[must_use]
pub fn reference(path: &Path, streams: usize) -> (Reference, Source) {
    let mut source = Source::new(streams);
    let mut store = Reference {
        database: Database::create(path).unwrap(),
        answered: 0,
    };
    for batch in source.first_of_each().chunks(1000) {
        store.commit(batch);
    }
    (store, source)
}

const STREAMS: TableDefinition<'_, &str, (u64, u64, Option<u64>, bool)> =
    TableDefinition::new("streams");
const CHANGES: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("changes");
const ANSWERS: TableDefinition<'_, &[u8; 16], Vec<u64>> = TableDefinition::new("answers");
const ANSWERED: TableDefinition<'_, u64, &[u8; 16]> = TableDefinition::new("answered");

/// redb with the tables of the journal's store and none of its rules.
#[derive(Debug)]
pub struct Reference {
    database: Database,
    answered: u64,
}

impl Reference {
    /// Writes the rows that the appends come to, in one durable transaction.
    pub fn commit(&mut self, appends: &[Append]) {
        let mut transaction = self.database.begin_write().unwrap();
        transaction.set_quick_repair(true);
        {
            let mut streams = transaction.open_table(STREAMS).unwrap();
            let mut changes = transaction.open_table(CHANGES).unwrap();
            let mut answers = transaction.open_table(ANSWERS).unwrap();
            let mut answered = transaction.open_table(ANSWERED).unwrap();
            for append in appends {
                let mut versions = Vec::new();
                for part in &append.streams {
                    let mut version = part.expected_version;
                    for change in &part.changes {
                        version += 1;
                        let key = (part.stream.as_str(), version);
                        changes.insert(key, change.as_ref()).unwrap();
                    }
                    let row = (version, 0, part.due, false);
                    streams.insert(part.stream.as_str(), row).unwrap();
                    versions.push(version);
                }
                let id = append.id.as_bytes();
                answers.insert(id, versions).unwrap();
                answered.insert(self.answered, id).unwrap();
                if let Some(oldest) = self.answered.checked_sub(REMEMBERED_APPENDS as u64) {
                    let oldest = answered.remove(oldest).unwrap();
                    let oldest = oldest.map(|id| *id.value()).unwrap();
                    answers.remove(&oldest).unwrap();
                }
                self.answered += 1;
            }
        }
        transaction.commit().unwrap();
    }
}

/// What appenders saw that each wait for one answer before they ask again.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Seen {
    /// Appends in a second, all appenders together.
    pub rate: f64,
    /// The time to an answer that half of the appends kept.
    pub p50: Duration,
    /// The time to an answer that 99 of 100 kept.
    pub p99: Duration,
}

/// Lets so many concurrent appenders make `count` appends in all through a [`Writer`].
#[must_use]
pub fn appenders(
    store: &Arc<Embedded>,
    source: &mut Source,
    appenders: usize,
    count: usize,
) -> Seen {
    let journal: Arc<dyn Journal> = Arc::<Embedded>::clone(store);
    let writer = Writer::start(journal, WriterConfig::default()).unwrap();
    let (tell, told) = channel();
    let give = |source: &mut Source| {
        let (stream, append) = source.draw();
        let (tell, began) = (tell.clone(), Instant::now());
        writer.append(append, move |answer| {
            assert!(matches!(answer, Ok(Appended::Done { .. })), "{answer:?}");
            let _ = tell.send((stream, began.elapsed()));
        });
    };
    let began = Instant::now();
    let mut waits = Vec::with_capacity(count);
    for _ in 0..appenders.min(count) {
        give(source);
    }
    while waits.len() < count {
        let (stream, wait) = told.recv().unwrap();
        source.done(stream);
        waits.push(wait);
        if waits.len() + appenders <= count {
            give(source);
        }
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    waits.sort_unstable();
    let (p50, p99) = (waits[count / 2], waits[count * 99 / 100]);
    Seen { rate, p50, p99 }
}
