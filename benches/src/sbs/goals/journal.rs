//! Durable appends beside redb alone, many appenders beside one, and opening what a crash left.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::{Embedded, Journal as _};

use super::process;
use crate::durable::{Reference, Source, appenders, ours, reference};
use bench_harness::clock;
use bench_harness::{Limit, Run, median};

/// How many accounts there are.
const STREAMS: usize = 20_000;
/// How many appenders wait at a time.
const MANY: usize = 64;

/// A folder on the disk of the program, not in memory as the system's temporary folder may be.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        let program = std::env::current_exe().expect("a program");
        let beside = program.parent().expect("a folder");
        let folder = beside.join(format!("sbs-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

pub(super) fn append(run: &mut Run) {
    let folder = Folder::new();
    let (streams, count) = (run.scaled(STREAMS, 100), run.scaled(400, 4));
    let (store, source) = ours(&folder.file("ours"), streams);
    let (raw, raw_source) = reference(&folder.file("reference"), streams);
    let (mut ours, mut raw) = ((store, source), (raw, raw_source));
    let [single, raw_single] = run.medians([
        Box::new(|| {
            median(
                (0..count)
                    .map(|_| timed(|| append_to(&mut ours, 1)))
                    .collect(),
            )
        }),
        Box::new(|| median((0..count).map(|_| timed(|| commit(&mut raw, 1))).collect())),
    ]);
    run.row(
        "one append at a time, p50, redb with the same rows",
        "µs",
        (single / 1000.0, raw_single / 1000.0),
        Limit::AtMost(1.0 / 0.85),
    );

    let (store, mut source) = ours;
    let store = Arc::new(store);
    let batches = run.scaled(40, 1);
    let [rate, raw_rate] = run.medians([
        Box::new(|| appenders(&store, &mut source, MANY, MANY * batches).rate),
        Box::new(|| {
            let taken = timed(|| (0..batches).for_each(|_| commit(&mut raw, MANY)));
            (MANY * batches) as f64 / taken * 1e9
        }),
    ]);
    run.row(
        "64 appenders through a writer, redb with the same rows 64 in a commit",
        "/s",
        (rate, raw_rate),
        Limit::AtLeast(0.85),
    );
}

pub(super) fn group_commit(run: &mut Run) {
    let folder = Folder::new();
    let (store, mut source) = ours(&folder.file("ours"), run.scaled(STREAMS, 100));
    let store = Arc::new(store);
    let (mut p99_of_one, mut p99_of_many) = (Vec::new(), Vec::new());
    let (few, many) = (run.scaled(400, 4), run.scaled(40 * MANY, MANY));
    let (mut rate_of_one, mut rate_of_many) = (Vec::new(), Vec::new());
    for _ in 0..run.rounds() {
        let seen = appenders(&store, &mut source, 1, few);
        rate_of_one.push(seen.rate);
        p99_of_one.push(seen.p99.as_secs_f64() * 1e6);
        let seen = appenders(&store, &mut source, MANY, many);
        rate_of_many.push(seen.rate);
        p99_of_many.push(seen.p99.as_secs_f64() * 1e6);
    }
    run.row(
        "rate of 64 appenders and of one",
        "/s",
        (median(rate_of_many), median(rate_of_one)),
        Limit::AtLeast(6.0),
    );
    run.row(
        "p99 of 64 appenders and of one",
        "µs",
        (median(p99_of_many), median(p99_of_one)),
        Limit::AtMost(3.0),
    );
}

/// Opening and appending at many stored events.
pub(super) fn restart(run: &mut Run) {
    let folder = Folder::new();
    let streams = run.scaled(STREAMS, 100);
    let mut growing = ours(&folder.file("ours"), streams);
    let [few, many, most] = [100_000, 1_000_000, 10_000_000].map(|n| run.scaled(n, n / 100_000));
    let few = stored(run, &folder, &mut growing, 0, few);
    let many = stored(run, &folder, &mut growing, few.events, many);
    run.row(
        "opening what a crash left of 1,000,000 events, at most 100 ms",
        "ms",
        (many.opened, 100.0),
        Limit::AtMost(1.0),
    );
    let most = stored(run, &folder, &mut growing, many.events, most);
    run.row(
        "opening what a crash left of 10,000,000 events and of 1,000,000",
        "ms",
        (most.opened, many.opened),
        Limit::AtMost(1.2),
    );
    run.row(
        "appends in groups of 64 at 10,000,000 events and at 100,000",
        "/s",
        (most.rate, few.rate),
        Limit::AtLeast(0.7),
    );
}

/// What was seen at so many events.
struct Stored {
    events: usize,
    /// Milliseconds.
    opened: f64,
    /// Appends in a second.
    rate: f64,
}

fn stored(
    run: &Run,
    folder: &Folder,
    growing: &mut (Embedded, Source),
    from: usize,
    events: usize,
) -> Stored {
    // The files are long: each is copied a few times only.
    const ROUNDS: usize = 3;
    run.note(&format!("writing events up to {events}"));
    let mut written = from;
    while written < events {
        // Each stream takes one of a batch at most.
        let batch = (events - written).min(run.scaled(STREAMS, 100) / 2);
        append_to(growing, batch);
        written += batch;
    }
    let batches = run.scaled(40, 1);
    let rate = (0..run.rounds()).map(|_| {
        let taken = timed(|| (0..batches).for_each(|_| append_to(growing, MANY)));
        (MANY * batches) as f64 / taken * 1e9
    });
    let rate = median(rate.collect());
    let opened = (0..ROUNDS).map(|_| {
        let copy = folder.file("opened");
        // What is in the file while its store runs is what a killed process leaves, on the disk but for its last commit: the
        // whole of a fresh copy would be written to the disk by whoever syncs it first.
        fs::copy(folder.file("ours"), &copy).expect("copied");
        let on_disk = fs::File::open(&copy).and_then(|copy| copy.sync_all());
        on_disk.expect("synced");
        opened_anew(&copy) / 1e6
    });
    let opened = median(opened.collect());
    Stored {
        events,
        opened,
        rate,
    }
}

/// Prints how many nanoseconds it takes to open a journal.
pub(in crate::sbs) fn open(file: &Path) {
    let mut opened = None;
    let taken = timed(|| opened = Some(Embedded::open(file).expect("opened")));
    println!("{taken}");
}

/// Nanoseconds that opening takes in a process of its own: in this one, after ten million events, putting the allocator's free pieces in
/// order costs thirty times as much as opening does.
fn opened_anew(file: &Path) -> f64 {
    process::measured(&["--open", file.to_str().expect("text")])
}

/// What an operator pages through.
pub(super) fn list(run: &mut Run) {
    const PAGE: usize = 100;
    let folder = Folder::new();
    let streams = run.scaled(100_000, 300);
    run.note("writing streams");
    let (store, _) = ours(&folder.file("ours"), streams);
    let before_last = format!("account/{:08}", streams - PAGE - 1);
    let page = |after: Option<&str>| {
        let page = store.list("account/", after, PAGE).expect("listed");
        assert_eq!(page.len(), PAGE);
    };
    let [last, first] = run.medians([
        run.computing(|| page(Some(&before_last))),
        run.computing(|| page(None)),
    ]);
    run.row(
        "the last page of 100 of 100,000 streams and the first",
        "µs",
        (last / 1000.0, first / 1000.0),
        Limit::AtMost(1.2),
    );
}

fn append_to((store, source): &mut (Embedded, Source), count: usize) {
    let (streams, batch): (Vec<_>, Vec<_>) = (0..count).map(|_| source.draw()).unzip();
    for answer in store.append_batch(&batch) {
        answer.expect("appended");
    }
    streams.into_iter().for_each(|stream| source.done(stream));
}

fn commit((store, source): &mut (Reference, Source), count: usize) {
    let (streams, batch): (Vec<_>, Vec<_>) = (0..count).map(|_| source.draw()).unzip();
    store.commit(&batch);
    streams.into_iter().for_each(|stream| source.done(stream));
}

/// Nanoseconds that pass.
fn timed(work: impl FnOnce()) -> f64 {
    let began = clock::wall();
    work();
    (clock::wall() - began) as f64
}
