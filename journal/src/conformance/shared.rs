use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use crate::conformance::{Violation, conflict, done, expect, load, said};
use crate::{Append, AppendId, Appended, ErrorKind, Journal, Snapshot, StreamAppend};

/// How often two threads race for the same thing.
const RACES: u64 = 60;
/// How much each of them does where they go on side by side.
const TURNS: u64 = 60;
/// How often an append is repeated whose outcome is unknown, or that someone else was faster than.
const PATIENCE: u32 = 10_000;
/// Longer than all of it takes.
const TTL: Duration = Duration::from_secs(3600);

/// Holds a store that several use at once to J1, J2, J3 and J6, with threads that race.
///
/// `one` and `other` are two handles of the same store, which is empty; or twice the same, where there is only one. A store
/// that lets them wait for each other forever makes this wait as well. An append that fails is repeated.
///
/// # Errors
///
/// What was seen in place of the rule. A race may also go well by chance.
pub fn check_shared(one: &dyn Journal, other: &dyn Journal) -> Result<(), Violation> {
    let leased = said(one.acquire("shared", "node", TTL))
        .and_then(|epoch| epoch.ok_or_else(|| "a free partition was not granted".to_owned()));
    let epoch = leased.map_err(|what| Violation { rule: "J9", what })?;
    let pair = Pair { one, other, epoch };
    let rules: [(&str, Race); 5] = [
        ("J1", one_creates_a_stream),
        ("J2", a_guard_holds_against_who_creates),
        ("J2", opposite_orders_meet),
        ("J3", the_same_append_is_done_once),
        ("J6", a_condensed_stream_is_never_half_so),
    ];
    for (rule, race) in rules {
        race(&pair).map_err(|what| Violation { rule, what })?;
    }
    Ok(())
}

type Race = fn(&Pair<'_>) -> Result<(), String>;

struct Pair<'p> {
    one: &'p dyn Journal,
    other: &'p dyn Journal,
    epoch: u64,
}

impl Pair<'_> {
    /// Does both at the same time, as far as the machine has it.
    fn race<T: Send>(
        &self,
        one: impl FnOnce(&dyn Journal) -> Result<T, String> + Send,
        other: impl FnOnce(&dyn Journal) -> Result<T, String> + Send,
    ) -> Result<(T, T), String> {
        let start = Barrier::new(2);
        let (theirs, ours) = thread::scope(|scope| {
            let ours = scope.spawn(|| {
                start.wait();
                one(self.one)
            });
            start.wait();
            (other(self.other), ours.join())
        });
        let ours = ours.map_err(|_| "a thread panicked".to_owned())?;
        Ok((ours?, theirs?))
    }

    /// An append of one change, or of none, to each (stream, expected version, count), told apart by `number`.
    fn made(&self, number: u64, parts: [(&str, u64, usize); 2]) -> Append {
        let change = Bytes::from(number.to_string());
        let parts = parts.map(|(stream, version, count)| {
            StreamAppend::new(stream, version, vec![change.clone(); count])
        });
        let id = AppendId::new(u128::from(number).to_be_bytes());
        Append::new(id, parts.to_vec()).with_epoch(self.epoch)
    }
}

/// Appends, and repeats it for as long as its outcome is unknown.
fn settled(journal: &dyn Journal, append: &Append) -> Result<Appended, String> {
    let mut failed = String::new();
    for _ in 0..PATIENCE {
        match journal.append(append) {
            Ok(appended) => return Ok(appended),
            Err(error) if error.kind() == ErrorKind::Invalid => return said(Err(error)),
            Err(error) => failed = error.to_string(),
        }
    }
    Err(failed)
}

/// Which of two appends of the same streams was done, where the other one must conflict.
fn faster(
    answers: &(Appended, Appended),
    versions: [&[u64]; 2],
    streams: [&str; 2],
) -> Result<bool, String> {
    let [first, second] = versions.map(done);
    let [lost, won] = streams.map(conflict);
    if *answers == (first, won) {
        return Ok(true);
    }
    if *answers == (lost, second) {
        return Ok(false);
    }
    Err(format!(
        "{answers:?} to two of whom one is done and one conflicts"
    ))
}

fn one_creates_a_stream(pair: &Pair<'_>) -> Result<(), String> {
    for number in 0..RACES {
        let (stream, guarded) = (format!("created/{number}"), "never made");
        let [one, other] = [1_000, 2_000].map(|who: u64| {
            pair.made(
                who.saturating_add(number),
                [(stream.as_str(), 0, 1), (guarded, 0, 0)],
            )
        });
        let answers = pair.race(
            |journal| settled(journal, &one),
            |journal| settled(journal, &other),
        )?;
        let won = faster(&answers, [&[1, 0], &[1, 0]], [&stream, &stream])?;
        let winner = if won { &one } else { &other };
        let changes = winner.streams.first().map(|part| part.changes.clone());
        let left = load(pair.one, &stream)?;
        expect("the faster one's", left, (1, changes.unwrap_or_default()))?;
    }
    Ok(())
}

/// Each creates a stream on condition that the other's is not there.
fn a_guard_holds_against_who_creates(pair: &Pair<'_>) -> Result<(), String> {
    for number in 0..RACES {
        let (left, right) = (format!("left/{number}"), format!("right/{number}"));
        let one = pair.made(
            number.saturating_add(3_000),
            [(left.as_str(), 0, 1), (right.as_str(), 0, 0)],
        );
        let other = pair.made(
            number.saturating_add(4_000),
            [(left.as_str(), 0, 0), (right.as_str(), 0, 1)],
        );
        let answers = pair.race(
            |journal| settled(journal, &one),
            |journal| settled(journal, &other),
        )?;
        let won = faster(&answers, [&[1, 0], &[0, 1]], [&right, &left])?;
        let versions = (load(pair.one, &left)?.0, load(pair.one, &right)?.0);
        let expected = if won { (1, 0) } else { (0, 1) };
        expect("what one of them created", versions, expected)?;
    }
    Ok(())
}

/// Both write to two streams all the time, one of them in the other order.
fn opposite_orders_meet(pair: &Pair<'_>) -> Result<(), String> {
    let work = |journal: &dyn Journal, first_number: u64, [first, second]: [&str; 2]| {
        for turn in 0..TURNS {
            let mut patience = PATIENCE;
            loop {
                let version = load(journal, first)?.0;
                let parts = [(first, version, 1), (second, version, 1)];
                let append = pair.made(first_number.saturating_add(turn), parts);
                match settled(journal, &append)? {
                    Appended::Done { .. } => break,
                    Appended::Conflict { .. } if patience > 0 => {
                        patience = patience.saturating_sub(1);
                    }
                    ended => return Err(format!("{ended:?} after all")),
                }
            }
        }
        Ok(())
    };
    pair.race(
        |journal| work(journal, 5_000, ["there", "back"]),
        |journal| work(journal, 6_000, ["back", "there"]),
    )?;
    let there = load(pair.one, "there")?;
    expect("of both", there.0, TURNS.saturating_mul(2))?;
    expect("in the same order", load(pair.other, "back")?, there)
}

fn the_same_append_is_done_once(pair: &Pair<'_>) -> Result<(), String> {
    for number in 0..RACES {
        let stream = format!("same/{number}");
        let append = pair.made(
            number.saturating_add(7_000),
            [(stream.as_str(), 0, 1), ("never made", 0, 0)],
        );
        let answers = pair.race(
            |journal| settled(journal, &append),
            |journal| settled(journal, &append),
        )?;
        expect("answers", answers, (done(&[1, 0]), done(&[1, 0])))?;
        expect("once", load(pair.one, &stream)?.0, 1)?;
    }
    Ok(())
}

/// One appends and condenses, the other one reads.
fn a_condensed_stream_is_never_half_so(pair: &Pair<'_>) -> Result<(), String> {
    let ended = AtomicBool::new(false);
    let write = |journal: &dyn Journal| {
        for version in 0..TURNS.saturating_mul(4) {
            let parts = [("condensed", version, 1), ("never made", 0, 0)];
            let append = pair.made(version.saturating_add(8_000), parts);
            let version = version.saturating_add(1);
            expect("append", settled(journal, &append)?, done(&[version, 0]))?;
            let snapshot = Snapshot::new(version, 1, Bytes::from(version.to_string()));
            said(journal.condense("condensed", &snapshot))?;
        }
        Ok(())
    };
    let read = |journal: &dyn Journal| {
        while !ended.load(Ordering::Acquire) {
            let loaded = said(journal.load("condensed"))?;
            let Some(snapshot) = loaded.snapshot else {
                continue;
            };
            let text = Bytes::from(snapshot.version.to_string());
            expect("of its version", snapshot.bytes, text)?;
            let changes = u64::try_from(loaded.changes.len()).unwrap_or(u64::MAX);
            expect(
                "what follows it",
                snapshot.version.saturating_add(changes),
                loaded.version,
            )?;
            let below = journal.read("condensed", snapshot.version.saturating_sub(1), 1);
            let kind = below.map_err(|error| error.kind());
            expect("what it covers", kind, Err(ErrorKind::Truncated))?;
        }
        Ok(())
    };
    let writing = |journal: &dyn Journal| {
        let written = write(journal);
        ended.store(true, Ordering::Release);
        written
    };
    pair.race(writing, read).map(|_| ())
}
