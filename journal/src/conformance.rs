//! The rules of the contract as a test suite that any implementation can be held to.
//!
//! ```
//! use journal::{Journal, Memory, conformance};
//!
//! conformance::check(&mut || Ok(Box::new(Memory::new()) as Box<dyn Journal>)).unwrap();
//! ```

use bytes::Bytes;

mod leases;
mod shared;

pub use leases::check_leases;
pub use shared::check_shared;

use crate::{
    Append, AppendId, Appended, Due, Error, ErrorKind, Journal, MAX_APPEND, MAX_ITEMS,
    MAX_STREAM_NAME, MAX_VALUE, Page, REMEMBERED_APPENDS, SOLE_EPOCH, Snapshot, StreamAppend,
};

/// A rule that an implementation breaks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[error("{rule}: {what}")]
pub struct Violation {
    /// The rule, J1 to J9.
    pub rule: &'static str,
    /// What was seen instead.
    pub what: String,
}

/// Makes an empty journal for each group of rules.
pub type Make<'m> = &'m mut dyn FnMut() -> Result<Box<dyn Journal>, Error>;

/// Holds an implementation to the rules J1 to J9 of the [crate documentation](crate).
///
/// `make` is called several times and must return an empty journal each time.
///
/// # Errors
///
/// The first rule that is broken.
pub fn check(make: Make<'_>) -> Result<(), Violation> {
    for (rule, test) in RULES {
        make()
            .map_err(|error| format!("could not be made: {error}"))
            .and_then(|journal| test(&*journal))
            .map_err(|what| Violation { rule, what })?;
    }
    Ok(())
}

type Test = fn(&dyn Journal) -> Result<(), String>;

const RULES: [(&str, Test); 10] = [
    ("J1", versions_count_changes),
    ("J2", appends_are_atomic),
    ("J3", repeating_does_once),
    ("J4", batches_decide_each),
    ("J5", malformed_is_refused),
    ("J6", snapshots_cover_truncation),
    ("J6", condensing_does_both),
    ("J7", erasing_leaves_a_tombstone),
    ("J8", due_and_list_find),
    ("J9", leases_are_granted),
];

fn versions_count_changes(journal: &dyn Journal) -> Result<(), String> {
    expect("of nothing", load(journal, "a")?, (0, vec![]))?;
    expect("first", append(journal, 1, &[("a", 0, 2)])?, done(&[2]))?;
    expect("next", append(journal, 2, &[("a", 2, 1)])?, done(&[3]))?;
    expect("stale", append(journal, 3, &[("a", 2, 1)])?, conflict("a"))?;
    expect("ahead", append(journal, 4, &[("a", 4, 1)])?, conflict("a"))?;
    expect("new", append(journal, 5, &[("b", 1, 1)])?, conflict("b"))?;
    expect("guard", append(journal, 6, &[("a", 3, 0)])?, done(&[3]))?;
    expect(
        "stale guard",
        append(journal, 7, &[("a", 2, 0)])?,
        conflict("a"),
    )?;
    let all = changes("a", 0..3);
    expect("all", load(journal, "a")?, (3, all.clone()))?;
    let page = |after, limit| said(journal.read("a", after, limit));
    expect("page", page(0, 2)?, page_of(3, changes("a", 0..2)))?;
    expect("rest", page(2, 9)?, page_of(3, changes("a", 2..3)))?;
    expect("end", page(3, 9)?, page_of(3, vec![]))?;
    expect("beyond", page(u64::MAX, 9)?, page_of(3, vec![]))?;
    expect(
        "of none",
        said(journal.read("b", 0, 9))?,
        page_of(0, vec![]),
    )
}

fn appends_are_atomic(journal: &dyn Journal) -> Result<(), String> {
    let both = append(journal, 1, &[("b", 0, 1), ("a", 0, 2)])?;
    expect("in the order listed", both, done(&[1, 2]))?;
    let torn = append(journal, 2, &[("a", 2, 1), ("b", 0, 1)])?;
    expect("second conflicts", torn, conflict("b"))?;
    expect("first unchanged", load(journal, "a")?.0, 2)?;
    let guarded = append(journal, 3, &[("a", 2, 1), ("c", 0, 0)])?;
    expect("guard of none", guarded, done(&[3, 0]))?;
    expect("makes nothing", names(journal, "")?, vec!["a", "b"])
}

fn repeating_does_once(journal: &dyn Journal) -> Result<(), String> {
    let first = append(journal, 1, &[("a", 0, 1)])?;
    append(journal, 2, &[("a", 1, 1)])?;
    expect("again", append(journal, 1, &[("a", 0, 1)])?, first)?;
    expect("once", load(journal, "a")?, (2, changes("a", 0..2)))?;
    append(journal, 3, &[("a", 0, 1)])?;
    let retried = append(journal, 3, &[("a", 2, 1)])?;
    expect("a conflict is not remembered", retried, done(&[3]))?;
    let others = (1..REMEMBERED_APPENDS).map(|number| {
        let mut guard = made(0, &[("a", 3, 0)]);
        guard.id = AppendId::new(u128::try_from(number).unwrap_or(0).to_be_bytes());
        guard
    });
    for answer in journal.append_batch(&others.collect::<Vec<_>>()) {
        expect("guard", said(answer)?, done(&[3]))?;
    }
    let remembered = append(journal, 3, &[("a", 2, 1)])?;
    expect(
        "after as many others as there must be room for",
        remembered,
        done(&[3]),
    )
}

fn batches_decide_each(journal: &dyn Journal) -> Result<(), String> {
    let batch = [
        made(1, &[("a", 0, 1)]),
        made(2, &[("a", 0, 1)]),
        made(3, &[]),
        made(4, &[("a", 1, 1)]),
        made(1, &[("a", 0, 1)]),
    ];
    let answers: Vec<_> = journal.append_batch(&batch).into_iter().map(said).collect();
    let expected = vec![
        Ok(done(&[1])),
        Ok(conflict("a")),
        Err(ErrorKind::Invalid.to_string()),
        Ok(done(&[2])),
        Ok(done(&[1])),
    ];
    expect("answers", answers, expected)?;
    expect("changes", load(journal, "a")?, (2, changes("a", 0..2)))
}

fn malformed_is_refused(journal: &dyn Journal) -> Result<(), String> {
    let long = "n".repeat(MAX_STREAM_NAME.saturating_add(1));
    let twice = [("a", 0, 1), ("a", 0, 1)];
    let most = u64::try_from(MAX_ITEMS).unwrap_or(u64::MAX);
    let many: Vec<String> = (0..=MAX_ITEMS).map(|number| number.to_string()).collect();
    let streams: Vec<_> = many.iter().map(|name| (name.as_str(), 0, 0)).collect();
    let mut overlong = made(8, &[("a", 0, 1)]);
    if let Some(part) = overlong.streams.first_mut() {
        part.changes = vec![vec![0; MAX_VALUE.saturating_add(1)].into()];
    }
    let mut heavy = made(9, &[("a", 0, 1)]);
    if let Some(part) = heavy.streams.first_mut() {
        let change = Bytes::from(vec![0; MAX_VALUE]);
        part.changes = vec![change; MAX_APPEND.div_euclid(MAX_VALUE).saturating_add(1)];
    }
    for append in [
        made(1, &[("", 0, 1)]),
        made(2, &[(long.as_str(), 0, 1)]),
        made(3, &twice),
        made(4, &[]),
        made(6, &[("a", 0, most.saturating_add(1))]),
        made(7, &streams),
        overlong,
        heavy,
    ] {
        let kind = journal.append(&append).map_err(|error| error.kind());
        expect("refusal", kind, Err(ErrorKind::Invalid))?;
    }
    let longest = "n".repeat(MAX_STREAM_NAME);
    let fits = append(journal, 5, &[(longest.as_str(), 0, 1)])?;
    expect("the longest name", fits, done(&[1]))?;
    // Text of some stores ends at a zero, or is sorted by the rules of a language.
    let odd = ["\0", "A", "a\0b", "z\u{10ffff}"];
    let made = append(journal, 10, &odd.map(|name| (name, 0, 1)))?;
    expect("any text is a name", made, done(&[1, 1, 1, 1]))?;
    let sorted = ["\0", "A", "a\0b", longest.as_str(), "z\u{10ffff}"];
    expect("in byte order", names(journal, "")?, sorted.to_vec())
}

fn snapshots_cover_truncation(journal: &dyn Journal) -> Result<(), String> {
    append(journal, 1, &[("a", 0, 5)])?;
    let not_covered = Err(ErrorKind::NotCovered);
    let truncate = |up_to| journal.truncate("a", up_to).map_err(|error| error.kind());
    let save = |stream: &str, version| {
        let snapshot = Snapshot::new(version, 7, Bytes::from_static(b"snapshot"));
        let saved = journal.save_snapshot(stream, &snapshot);
        saved.map_err(|error| error.kind())
    };
    expect("nothing covers", truncate(1), not_covered)?;
    expect("beyond the stream", save("a", 6), not_covered)?;
    expect("of nothing", save("none", 0), not_covered)?;
    expect(
        "truncation of nothing",
        journal.truncate("none", 0).map_err(|error| error.kind()),
        not_covered,
    )?;
    let overlong = Snapshot::new(1, 7, vec![0; MAX_VALUE.saturating_add(1)].into());
    let overlong = journal.save_snapshot("a", &overlong);
    expect(
        "overlong",
        overlong.map_err(|error| error.kind()),
        Err(ErrorKind::Invalid),
    )?;
    expect("saved", save("a", 3), Ok(()))?;
    expect("saved anew", save("a", 3), Ok(()))?;
    let beside = said(journal.read("a", 0, 9))?;
    expect(
        "beside the snapshot",
        beside,
        page_of(5, changes("a", 0..5)),
    )?;
    expect("older than kept", save("a", 2), not_covered)?;
    expect("beyond it", truncate(4), not_covered)?;
    expect("below it", truncate(2), Ok(()))?;
    expect("again", truncate(1), Ok(()))?;
    let gone = journal.read("a", 1, 9).map_err(|error| error.kind());
    expect("gone", gone, Err(ErrorKind::Truncated))?;
    let rest = said(journal.read("a", 2, 9))?;
    expect("rest", rest, page_of(5, changes("a", 2..5)))?;
    let loaded = said(journal.load("a"))?;
    expect("after the snapshot", loaded.changes, changes("a", 3..5))?;
    let kept = said(journal.load_snapshot("a"))?;
    expect("the same", &loaded.snapshot, &kept)?;
    let kept = kept.map(|kept| (kept.version, kept.format, kept.bytes));
    let expected = (3, 7, Bytes::from_static(b"snapshot"));
    expect("as saved", kept, Some(expected))?;
    expect("goes on", append(journal, 2, &[("a", 5, 1)])?, done(&[6]))
}

fn condensing_does_both(journal: &dyn Journal) -> Result<(), String> {
    append(journal, 1, &[("a", 0, 5)])?;
    let condense = |stream: &str, version, length| {
        let snapshot = Snapshot::new(version, 7, Bytes::from(vec![1; length]));
        let condensed = journal.condense(stream, &snapshot);
        condensed.map_err(|error| error.kind())
    };
    let not_covered = Err(ErrorKind::NotCovered);
    expect("beyond the stream", condense("a", 6, 1), not_covered)?;
    expect("of nothing", condense("none", 0, 1), not_covered)?;
    let overlong = condense("a", 3, MAX_VALUE.saturating_add(1));
    expect("overlong", overlong, Err(ErrorKind::Invalid))?;
    expect("unchanged", load(journal, "a")?, (5, changes("a", 0..5)))?;
    expect("done", condense("a", 3, 1), Ok(()))?;
    expect("done again", condense("a", 3, 2), Ok(()))?;
    expect("older than kept", condense("a", 2, 1), not_covered)?;
    let kept = said(journal.load_snapshot("a"))?;
    let kept = kept.map(|kept| (kept.version, kept.format, kept.bytes.len()));
    expect("kept", kept, Some((3, 7, 2)))?;
    let gone = journal.read("a", 2, 9).map_err(|error| error.kind());
    expect("gone", gone, Err(ErrorKind::Truncated))?;
    let rest = said(journal.read("a", 3, 9))?;
    expect("rest", rest, page_of(5, changes("a", 3..5)))?;
    said(journal.erase("a"))?;
    expect("of the erased", condense("a", 6, 1), not_covered)
}

fn erasing_leaves_a_tombstone(journal: &dyn Journal) -> Result<(), String> {
    append_due(journal, 1, "a", 0, Some(10))?;
    append(journal, 2, &[("ab", 0, 1)])?;
    let snapshot = Snapshot::new(1, 1, Bytes::from_static(b"s"));
    said(journal.save_snapshot("a", &snapshot))?;
    said(journal.erase("none"))?;
    expect("none stays none", load(journal, "none")?.0, 0)?;
    said(journal.erase("a"))?;
    said(journal.erase("a"))?;
    let loaded = said(journal.load("a"))?;
    expect("version", loaded.version, 2)?;
    let left = (loaded.snapshot, loaded.changes, loaded.due);
    expect("nothing is left", left, (None, vec![], None))?;
    expect("not due", said(journal.due(100, None, 9))?, vec![])?;
    expect("not listed", names(journal, "a")?, vec!["ab"])?;
    let saved = journal.save_snapshot("a", &Snapshot::new(2, 1, Bytes::new()));
    let saved = saved.map_err(|error| error.kind());
    expect("no snapshot", saved, Err(ErrorKind::NotCovered))?;
    let guard = StreamAppend::new("a", 2, vec![]).with_due(Some(5));
    let guard = Append::new(AppendId::new([6; 16]), vec![guard]);
    expect("a guard", said(journal.append(&guard))?, done(&[2]))?;
    expect("owes nothing", said(journal.due(100, None, 9))?, vec![])?;
    let late = append(journal, 3, &[("a", 1, 1)])?;
    expect("decided before", late, conflict("a"))?;
    expect(
        "from nothing",
        append(journal, 4, &[("a", 0, 1)])?,
        conflict("a"),
    )?;
    append_due(journal, 5, "a", 2, Some(20))?;
    expect("anew", load(journal, "a")?, (3, changes("a", 2..3)))?;
    expect("listed", names(journal, "a")?, vec!["a", "ab"])?;
    expect(
        "due",
        said(journal.due(21, None, 9))?,
        vec![Due::new(20, "a")],
    )
}

fn due_and_list_find(journal: &dyn Journal) -> Result<(), String> {
    append_due(journal, 1, "x/1", 0, Some(30))?;
    append_due(journal, 2, "x/2", 0, Some(10))?;
    append_due(journal, 3, "y/1", 0, Some(10))?;
    append_due(journal, 4, "y/2", 0, None)?;
    let due = |before, after: Option<&Due>, limit| said(journal.due(before, after, limit));
    let [early, twin, late] = [
        Due::new(10, "x/2"),
        Due::new(10, "y/1"),
        Due::new(30, "x/1"),
    ];
    let all = vec![early.clone(), twin.clone(), late.clone()];
    expect("in order", due(31, None, 9)?, all)?;
    expect(
        "before",
        due(30, None, 9)?,
        vec![early.clone(), twin.clone()],
    )?;
    expect("limit", due(31, None, 1)?, vec![early.clone()])?;
    expect("past", due(11, Some(&late), 9)?, vec![])?;
    expect("after", due(31, Some(&early), 9)?, vec![twin.clone(), late])?;
    append_due(journal, 5, "x/1", 1, None)?;
    append_due(journal, 6, "x/2", 1, Some(40))?;
    let moved = vec![twin, Due::new(40, "x/2")];
    expect("moved", due(u64::MAX, None, 9)?, moved)?;
    expect("loaded", said(journal.load("x/2"))?.due, Some(40))?;
    let guard = StreamAppend::new("y/2", 1, vec![]).with_due(Some(50));
    said(journal.append(&Append::new(AppendId::new([7; 16]), vec![guard])))?;
    expect(
        "by a guard",
        due(u64::MAX, Some(&Due::new(40, "x/2")), 9)?,
        vec![Due::new(50, "y/2")],
    )?;
    expect("prefix", names(journal, "x/")?, vec!["x/1", "x/2"])?;
    let list = |prefix, after, limit| said(journal.list(prefix, after, limit));
    expect("page", list("", Some("x/1"), 2)?, vec!["x/2", "y/1"])?;
    let before_prefix = list("y/", Some("x/9"), 9)?;
    expect("begins at the prefix", before_prefix, vec!["y/1", "y/2"])
}

fn leases_are_granted(journal: &dyn Journal) -> Result<(), String> {
    let ttl = std::time::Duration::from_secs(10);
    let Some(epoch) = said(journal.acquire("p", "node", ttl))? else {
        return Err("a free partition was not granted".to_owned());
    };
    expect(
        "renewed",
        said(journal.renew("p", "node", epoch, ttl))?,
        true,
    )?;
    let append = made(1, &[("a", 0, 1)]).with_epoch(epoch);
    expect("appends", said(journal.append(&append))?, done(&[1]))?;
    let never = made(2, &[("a", 1, 1)]).with_epoch(epoch.saturating_add(1));
    let fenced = said(journal.append(&never))?;
    expect("never granted", fenced, Appended::Fenced)?;
    expect("wrote nothing", load(journal, "a")?.0, 1)?;
    said(journal.release("p", "node", epoch))?;
    let again = said(journal.acquire("p", "node", ttl))?;
    let rises = again.is_some_and(|again| again > epoch || again == SOLE_EPOCH);
    expect("granted again", rises, true)
}

/// An append of so many changes to each (stream, expected version, count).
fn made(id: u8, parts: &[(&str, u64, u64)]) -> Append {
    let streams = parts.iter().map(|(stream, version, count)| {
        let numbers = *version..version.saturating_add(*count);
        StreamAppend::new(*stream, *version, changes(stream, numbers))
    });
    Append::new(AppendId::new([id; 16]), streams.collect())
}

/// The changes that `made` appends at these versions: each tells its stream and place.
fn changes(stream: &str, numbers: std::ops::Range<u64>) -> Vec<Bytes> {
    let change = |number| Bytes::from(format!("{stream}#{number}"));
    numbers.map(change).collect()
}

fn append(journal: &dyn Journal, id: u8, parts: &[(&str, u64, u64)]) -> Result<Appended, String> {
    said(journal.append(&made(id, parts)))
}

fn append_due(
    journal: &dyn Journal,
    id: u8,
    stream: &str,
    version: u64,
    due: Option<u64>,
) -> Result<(), String> {
    let numbers = version..version.saturating_add(1);
    let part = StreamAppend::new(stream, version, changes(stream, numbers)).with_due(due);
    let answer = journal.append(&Append::new(AppendId::new([id; 16]), vec![part]));
    expect("append", said(answer)?, done(&[version.saturating_add(1)]))
}

fn load(journal: &dyn Journal, stream: &str) -> Result<(u64, Vec<Bytes>), String> {
    said(journal.load(stream)).map(|loaded| (loaded.version, loaded.changes))
}

fn names(journal: &dyn Journal, prefix: &str) -> Result<Vec<String>, String> {
    said(journal.list(prefix, None, 99))
}

fn page_of(version: u64, changes: Vec<Bytes>) -> Page {
    Page { version, changes }
}

fn done(versions: &[u64]) -> Appended {
    Appended::Done {
        versions: versions.to_vec(),
    }
}

fn conflict(stream: &str) -> Appended {
    Appended::Conflict {
        stream: stream.to_owned(),
    }
}

fn said<T>(result: Result<T, Error>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

fn expect<T, U>(what: &str, seen: T, expected: U) -> Result<(), String>
where
    T: std::fmt::Debug + PartialEq<U>,
    U: std::fmt::Debug,
{
    if seen == expected {
        return Ok(());
    }
    Err(format!("{what}: {seen:?} in place of {expected:?}"))
}
