//! Durable appends, beside a file that is extended and synced, which is the limit of the disk.
#![allow(missing_docs, clippy::expect_used)]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use journal::{Append, AppendId, Embedded, Journal as _, StreamAppend};

/// How many appends one commit takes together.
const BATCH: usize = 64;

/// A folder on the disk of the build, not in memory as the system's temporary folder may be.
fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("journal-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// An append of one change to a stream of its own.
fn append_of(number: u128) -> Append {
    let change = Bytes::from_static(benches::REPRESENTATION.as_bytes());
    Append::new(
        AppendId::new(number.to_be_bytes()),
        vec![StreamAppend::new(
            format!("account/{number}"),
            0,
            vec![change],
        )],
    )
}

fn appends(c: &mut Criterion) {
    let folder = folder();
    let mut group = c.benchmark_group("durable_append");
    group.sample_size(20);
    let store = Embedded::open(folder.join("journal.redb")).expect("a store");
    let mut numbers = 0_u128..;
    let mut next = || append_of(numbers.next().expect("endless"));

    group.throughput(Throughput::Elements(1));
    group.bench_function("journal, one", |b| {
        b.iter(|| store.append(&next()).expect("appended"));
    });
    let mut file = File::create(folder.join("limit")).expect("a file");
    let mut write_and_sync = |count: usize| {
        for _ in 0..count {
            file.write_all(benches::REPRESENTATION.as_bytes())
                .expect("written");
        }
        file.sync_data().expect("synced");
    };
    group.bench_function("write and sync, one", |b| b.iter(|| write_and_sync(1)));

    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("journal, 64 in a commit", |b| {
        b.iter(|| {
            let batch: Vec<_> = (0..BATCH).map(|_| next()).collect();
            for result in store.append_batch(&batch) {
                result.expect("appended");
            }
        });
    });
    group.bench_function("write and sync, 64 at once", |b| {
        b.iter(|| write_and_sync(BATCH));
    });
    group.finish();
    drop(store);
    fs::remove_dir_all(folder).expect("removable");
}

criterion_group!(durable, appends);
criterion_main!(durable);
