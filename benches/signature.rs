//! The event signature, beside one HMAC-SHA256 over the same bytes in one piece, which is the limit.
#![allow(missing_docs, clippy::expect_used)]

use std::hint::black_box;

use benches::signing::{self, SECRET};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

fn sign(c: &mut Criterion) {
    let key = signing::key();
    let mut group = c.benchmark_group("sign");
    for (name, count) in benches::SIZES {
        let body = benches::devices(count).into_bytes();
        let message = signing::message(&body);
        let whole = signing::in_one_piece(&message);

        group.throughput(Throughput::Bytes(whole.len() as u64));
        group.bench_function(BenchmarkId::new("uci-model", name), |b| {
            b.iter(|| key.sign(black_box(&message)));
        });
        group.bench_function(BenchmarkId::new("hmac in one piece", name), |b| {
            b.iter(|| {
                let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key");
                mac.update(black_box(&whole));
                mac.finalize()
            });
        });
    }
    group.finish();
}

criterion_group!(signature, sign);
criterion_main!(signature);
