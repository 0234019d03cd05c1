//! A load whose every step is known beforehand, and the check that a journal went through it step by step.
//!
//! Each actor has three streams of its own and works through the same script again and again: appends to several of them,
//! a stale one, snapshots, truncations, an erasure. What it has done so far is one number, so whoever hears only the
//! acknowledgements of a killed process knows what the journal must hold.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "each test program uses its own part"
)]

use bytes::Bytes;
use journal::{
    Append, AppendId, Appended, Due, Error, ErrorKind, Journal, Loaded, Memory, Page, Snapshot,
    StreamAppend,
};

/// One step of an actor.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Append(Append),
    Snapshot(String, Snapshot),
    Truncate(String, u64),
    Condense(String, Snapshot),
    Erase(String),
}

#[derive(Clone, Copy)]
enum Act {
    /// So many changes to each of the three streams; with none it guards, and `None` leaves the stream out.
    Append([Option<u64>; 3]),
    /// An append that was decided on an older version of this stream.
    Stale(usize),
    Snapshot(usize),
    /// Up to the snapshot.
    Truncate(usize),
    Condense(usize),
    Erase(usize),
}

const SCRIPT: [Act; 13] = [
    Act::Append([Some(1), None, Some(1)]),
    Act::Append([Some(2), Some(1), None]),
    Act::Append([None, None, Some(1)]),
    Act::Snapshot(0),
    Act::Append([Some(1), Some(0), Some(1)]),
    Act::Truncate(0),
    Act::Stale(0),
    Act::Erase(1),
    Act::Append([Some(1), Some(1), None]),
    Act::Snapshot(2),
    Act::Truncate(2),
    Act::Append([Some(1), Some(1), Some(1)]),
    Act::Condense(2),
];

/// What an actor does as its `step`-th work.
pub(crate) fn work(actor: u64, step: u64) -> Work {
    let length = SCRIPT.len() as u64;
    let (cycle, place) = (step / length, step % length);
    let mut versions = [0; 3];
    for act in SCRIPT {
        advance(&mut versions, act);
    }
    versions = versions.map(|version| version * cycle);
    let mut snapshots = [0; 3];
    for act in &SCRIPT[..place as usize] {
        if let Act::Snapshot(of) = act {
            snapshots[*of] = versions[*of];
        }
        advance(&mut versions, *act);
    }
    let id = AppendId::new((u128::from(actor) << 64 | u128::from(step)).to_be_bytes());
    let append = |of: usize, expected: u64, count: u64| {
        let name = stream(actor, of);
        let changes = (1..=count).map(|next| text(&name, expected + next, actor, step));
        let due = (step.is_multiple_of(3)).then_some(1000 + step);
        StreamAppend::new(&name, expected, changes.collect()).with_due(due)
    };
    let snapshot = |of: usize| {
        let bytes = text(&stream(actor, of), versions[of], actor, step);
        Snapshot::new(versions[of], 1, bytes)
    };
    match SCRIPT[place as usize] {
        Act::Append(counts) => {
            let parts = (0..3).filter_map(|of| Some(append(of, versions[of], counts[of]?)));
            Work::Append(Append::new(id, parts.collect()))
        }
        Act::Stale(of) => Work::Append(Append::new(id, vec![append(of, versions[of] - 1, 1)])),
        Act::Snapshot(of) => Work::Snapshot(stream(actor, of), snapshot(of)),
        Act::Condense(of) => Work::Condense(stream(actor, of), snapshot(of)),
        Act::Truncate(of) => Work::Truncate(stream(actor, of), snapshots[of]),
        Act::Erase(of) => Work::Erase(stream(actor, of)),
    }
}

fn advance(versions: &mut [u64; 3], act: Act) {
    match act {
        Act::Append(counts) => {
            for (version, count) in versions.iter_mut().zip(counts) {
                *version += count.unwrap_or(0);
            }
        }
        Act::Erase(of) => versions[of] += 1,
        Act::Stale(_) | Act::Snapshot(_) | Act::Truncate(_) | Act::Condense(_) => {}
    }
}

fn stream(actor: u64, of: usize) -> String {
    format!("{actor:04}/{}", ["left", "middle", "right"][of])
}

/// Tells its stream and version, and has a length of its own, so that pages and sectors fill unevenly.
fn text(name: &str, version: u64, actor: u64, step: u64) -> Bytes {
    let length = (actor * 31 + step * step * 7919) % 1500;
    Bytes::from(format!("{name} {version} {}", ".".repeat(length as usize)))
}

/// Does one step; the answer of an append is to be the same wherever it is done.
pub(crate) fn perform(journal: &dyn Journal, work: &Work) -> Result<Option<Appended>, Error> {
    match work {
        Work::Append(append) => journal.append(append).map(Some),
        Work::Snapshot(stream, snapshot) => journal.save_snapshot(stream, snapshot).map(|()| None),
        Work::Truncate(stream, up_to) => journal.truncate(stream, *up_to).map(|()| None),
        Work::Condense(stream, snapshot) => journal.condense(stream, snapshot).map(|()| None),
        Work::Erase(stream) => journal.erase(stream).map(|()| None),
    }
}

/// An actor as it must be: what it was told to be durable, and a model that did just that.
pub(crate) struct Actor {
    number: u64,
    done: u64,
    model: Memory,
}

impl Actor {
    pub(crate) fn new(number: u64) -> Self {
        let model = Memory::new();
        Self {
            number,
            done: 0,
            model,
        }
    }

    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    pub(crate) fn next(&self) -> Work {
        work(self.number, self.done)
    }

    /// The next step is durable; returns how it must have been answered.
    pub(crate) fn acknowledge(&mut self) -> Option<Appended> {
        let answer = perform(&self.model, &self.next()).unwrap();
        self.done += 1;
        answer
    }

    /// Everything acknowledged is in the journal, whole and once, and beyond it at most the step that was under way.
    ///
    /// Repeats that step as its caller would, after which it is acknowledged.
    pub(crate) fn recover(&mut self, journal: &dyn Journal, occasion: &str) {
        let found = self.picture(journal);
        let before = self.picture(&self.model);
        let next = self.next();
        let answer = self.acknowledge();
        let after = self.picture(&self.model);
        assert!(
            found == before || found == after,
            "{occasion}: {next:?} of actor {} was under way\nfound {found:?}\nbefore {before:?}\nafter {after:?}",
            self.number
        );
        let repeated = perform(journal, &next).unwrap();
        assert_eq!(repeated, answer, "{occasion}: {next:?} was repeated");
        assert_eq!(
            self.picture(journal),
            after,
            "{occasion}: {next:?} was repeated"
        );
    }

    /// The journal holds exactly what was acknowledged.
    pub(crate) fn compare(&self, journal: &dyn Journal, occasion: &str) {
        let (found, expected) = (self.picture(journal), self.picture(&self.model));
        assert_eq!(found, expected, "{occasion}: actor {}", self.number);
    }

    /// Goes on to the step after which the journal holds exactly what was done; says whether one up to `last` is that.
    pub(crate) fn catch_up(&mut self, journal: &dyn Journal, last: u64) -> bool {
        let found = self.picture(journal);
        while found != self.picture(&self.model) {
            if self.done >= last {
                return false;
            }
            self.acknowledge();
        }
        true
    }

    /// Each part of what can be read of the actor's streams is as it was acknowledged, or is damaged; returns how many are.
    pub(crate) fn compare_or_damaged(&self, journal: &dyn Journal, occasion: &str) -> usize {
        let mut damaged = 0;
        let mut same = |what: &str, found: Result<String, ErrorKind>, expected: String| match found
        {
            Ok(found) => assert_eq!(found, expected, "{occasion}: {what} of {}", self.number),
            Err(kind) => {
                assert_eq!(kind, ErrorKind::Damaged, "{occasion}: {what}");
                damaged += 1;
            }
        };
        let kind = |error: Error| error.kind();
        for name in [0, 1, 2].map(|of| stream(self.number, of)) {
            let shown = |journal: &dyn Journal| {
                let loaded = journal.load(&name).map_err(kind)?;
                Ok(format!("{loaded:?}"))
            };
            same("the load", shown(journal), shown(&self.model).unwrap());
            let shown = |journal: &dyn Journal| match journal.read(&name, 0, usize::MAX) {
                Err(error) if error.kind() == ErrorKind::Damaged => Err(ErrorKind::Damaged),
                read => Ok(format!("{:?}", read.map_err(kind))),
            };
            same("the changes", shown(journal), shown(&self.model).unwrap());
            let shown = |journal: &dyn Journal| {
                let kept = journal.load_snapshot(&name).map_err(kind)?;
                Ok(format!("{kept:?}"))
            };
            same("the snapshot", shown(journal), shown(&self.model).unwrap());
        }
        let prefix = format!("{:04}/", self.number);
        let shown = |journal: &dyn Journal| {
            let mut due = journal.due(u64::MAX, None, usize::MAX).map_err(kind)?;
            due.retain(|due| due.stream.starts_with(&prefix));
            let names = journal.list(&prefix, None, usize::MAX).map_err(kind)?;
            Ok(format!("{due:?} {names:?}"))
        };
        same("the lists", shown(journal), shown(&self.model).unwrap());
        damaged
    }

    /// All that can be read of the actor's streams.
    fn picture(&self, journal: &dyn Journal) -> Picture {
        let prefix = format!("{:04}/", self.number);
        let streams = [0, 1, 2].map(|of| {
            let name = stream(self.number, of);
            let all = journal.read(&name, 0, usize::MAX);
            let loaded = journal.load(&name).unwrap();
            let snapshot = journal.load_snapshot(&name).unwrap();
            (all.map_err(|error| error.kind()), loaded, snapshot)
        });
        let mut due = journal.due(u64::MAX, None, usize::MAX).unwrap();
        due.retain(|due| due.stream.starts_with(&prefix));
        let names = journal.list(&prefix, None, usize::MAX).unwrap();
        Picture {
            streams,
            names,
            due,
        }
    }
}

#[derive(Debug, PartialEq)]
struct Picture {
    streams: [(Result<Page, ErrorKind>, Loaded, Option<Snapshot>); 3],
    names: Vec<String>,
    due: Vec<Due>,
}

/// Numbers that follow from a seed (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

/// How often a test does its work: little in every run, much when `LONG` is set.
pub(crate) fn rounds(short: u64, long: u64) -> u64 {
    if std::env::var_os("LONG").is_some() {
        long
    } else {
        short
    }
}
