//! Content: JSON and CBOR in and out, beside `serde_json` and `ciborium` with their own untyped values.
//!
//! The peers accept repeated keys, trailing bytes and any depth or size that memory allows; our reader refuses those.
#![allow(missing_docs, clippy::expect_used)]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use uci_model::{Content, ContentFormat, Limits, Value};

fn read(c: &mut Criterion) {
    let limits = Limits::default();
    for (name, count) in benches::SIZES {
        let json = benches::devices(count).into_bytes();
        let value = Value::from_json(&json, &limits).expect("readable");
        let cbor = value.to_cbor();

        let mut group = c.benchmark_group("read_json");
        group.throughput(Throughput::Bytes(json.len() as u64));
        group.bench_function(BenchmarkId::new("uci-model", name), |b| {
            b.iter(|| Value::from_json(black_box(&json), &limits));
        });
        group.bench_function(BenchmarkId::new("serde_json", name), |b| {
            b.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(&json)));
        });
        group.finish();

        let mut group = c.benchmark_group("read_cbor");
        group.throughput(Throughput::Bytes(cbor.len() as u64));
        group.bench_function(BenchmarkId::new("uci-model", name), |b| {
            b.iter(|| Value::from_cbor(black_box(&cbor), &limits));
        });
        group.bench_function(BenchmarkId::new("ciborium", name), |b| {
            b.iter(|| ciborium::from_reader::<ciborium::Value, _>(black_box(&*cbor)));
        });
        group.finish();
    }
}

fn write(c: &mut Criterion) {
    let limits = Limits::default();
    for (name, count) in benches::SIZES {
        let json = benches::devices(count).into_bytes();
        let value = Value::from_json(&json, &limits).expect("readable");
        let cbor = value.to_cbor();
        let json_peer: serde_json::Value = serde_json::from_slice(&json).expect("readable");
        let cbor_peer: ciborium::Value = ciborium::from_reader(&*cbor).expect("readable");

        let mut group = c.benchmark_group("write_json");
        group.throughput(Throughput::Bytes(json.len() as u64));
        group.bench_function(BenchmarkId::new("uci-model", name), |b| {
            b.iter(|| black_box(&value).to_json());
        });
        group.bench_function(BenchmarkId::new("serde_json", name), |b| {
            b.iter(|| serde_json::to_vec(black_box(&json_peer)));
        });
        group.finish();

        let mut group = c.benchmark_group("write_cbor");
        group.throughput(Throughput::Bytes(cbor.len() as u64));
        group.bench_function(BenchmarkId::new("uci-model", name), |b| {
            b.iter(|| black_box(&value).to_cbor());
        });
        group.bench_function(BenchmarkId::new("ciborium", name), |b| {
            b.iter(|| {
                let mut written = Vec::new();
                ciborium::into_writer(black_box(&cbor_peer), &mut written).map(|()| written)
            });
        });
        group.finish();
    }
}

/// What a cloud does when the device speaks CBOR and the client JSON; the peer is the two libraries back to back.
fn transcode(c: &mut Criterion) {
    let limits = Limits::default();
    let value = Value::from_json(benches::REPRESENTATION.as_bytes(), &limits).expect("readable");
    let cbor = Content::new(ContentFormat::OcfCbor, Bytes::from(value.to_cbor()));

    let mut group = c.benchmark_group("cbor_to_json");
    group.throughput(Throughput::Bytes(cbor.body().len() as u64));
    group.bench_function("uci-model", |b| {
        b.iter(|| black_box(&cbor).in_format(ContentFormat::Json, &limits));
    });
    group.bench_function("ciborium and serde_json", |b| {
        b.iter(|| {
            let value: serde_json::Value =
                ciborium::from_reader(&**black_box(cbor.body())).expect("readable");
            serde_json::to_vec(&value)
        });
    });
    group.finish();
}

criterion_group!(codec, read, write, transcode);
criterion_main!(codec);
