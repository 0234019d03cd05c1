//! Durable appends, beside the same rows by redb alone and beside a file that is extended and synced, the limit of the disk.
#![allow(
    clippy::arithmetic_side_effects,
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stderr
)]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use benches::durable::{appenders, ours, reference};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use journal::Journal as _;

/// How many appends one commit takes together, and how many appenders wait at a time.
const BATCH: usize = 64;
const STREAMS: usize = 20_000;

/// A folder on the disk of the build, not in memory as the system's temporary folder may be.
fn folder() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("journal-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn appends(c: &mut Criterion) {
    let folder = folder();
    let mut group = c.benchmark_group("durable_append");
    group.sample_size(20);
    let (store, mut source) = ours(&folder.join("journal.redb"), STREAMS);
    let (mut raw, mut raw_source) = reference(&folder.join("reference.redb"), STREAMS);
    let mut file = File::create(folder.join("limit")).unwrap();
    for count in [1, BATCH] {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("journal, {count} in a commit"), |b| {
            b.iter(|| {
                let (streams, batch): (Vec<_>, Vec<_>) = (0..count).map(|_| source.draw()).unzip();
                for answer in store.append_batch(&batch) {
                    answer.unwrap();
                }
                streams.into_iter().for_each(|stream| source.done(stream));
            });
        });
        group.bench_function(format!("redb alone, {count} in a commit"), |b| {
            b.iter(|| {
                let next = (0..count).map(|_| raw_source.draw());
                let (streams, batch): (Vec<_>, Vec<_>) = next.unzip();
                raw.commit(&batch);
                streams
                    .into_iter()
                    .for_each(|stream| raw_source.done(stream));
            });
        });
        group.bench_function(format!("write and sync, {count} at once"), |b| {
            b.iter(|| {
                for _ in 0..count {
                    file.write_all(benches::REPRESENTATION.as_bytes()).unwrap();
                }
                file.sync_data().unwrap();
            });
        });
    }
    group.finish();
    let store = Arc::new(store);
    for count in [1, BATCH] {
        let seen = appenders(&store, &mut source, count, 200 * count);
        eprintln!("{count} appenders: {seen:?}");
    }
    drop((store, raw));
    fs::remove_dir_all(folder).unwrap();
}

criterion_group!(durable, appends);
criterion_main!(durable);
