//! The event signature, beside one HMAC-SHA256 over the same bytes in one piece, which is the limit.
#![allow(missing_docs, clippy::expect_used)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uci_model::SigningSecret;
use uci_model::event::{SignedMessage, SigningKey};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn sign(c: &mut Criterion) {
    let secret = SigningSecret::try_from(SECRET.to_owned()).expect("32 characters");
    let key = SigningKey::new(&secret);
    let mut group = c.benchmark_group("sign");
    for (name, count) in benches::SIZES {
        let body = benches::devices(count).into_bytes();
        let message = SignedMessage {
            content_type: b"application/json",
            event_type: b"resource_contentchanged",
            subscription_id: b"00000000-0000-4000-8000-000000000001",
            sequence_number: b"1000000",
            event_timestamp: b"1700000000",
            body: &body,
        };
        let mut whole = Vec::new();
        for part in [
            message.content_type,
            message.event_type,
            message.subscription_id,
            message.sequence_number,
            message.event_timestamp,
        ] {
            whole.extend_from_slice(part);
            whole.push(b':');
        }
        whole.extend_from_slice(&body);

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
