//! TLV and SenML of LwM2M, beside a pass that copies the same bytes once: what reading costs if it is nothing but memory.
#![allow(missing_docs, clippy::expect_used)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use provisioning_proto::lwm2m::objects::{SECURITY, Security};
use provisioning_proto::lwm2m::{ContentFormat, Opaque, Path, tlv};

/// An account as a client of certificates has it, whose keys are most of it, and one with a pre-shared key.
fn accounts() -> [(&'static str, Security); 2] {
    let key = Opaque::new(vec![7; 16]);
    let small = Security::psk(
        "coaps://target.example:5684",
        101,
        b"urn:imei:861234567890123",
        key,
    );
    let mut large = small.clone();
    large.public_key_or_identity = Opaque::new(vec![1; 900]);
    large.server_public_key = Opaque::new(vec![2; 900]);
    large.secret_key = Opaque::new(vec![3; 140]);
    [("psk", small), ("certificate", large)]
}

fn read(c: &mut Criterion) {
    for (name, account) in accounts() {
        let instance = account.to_instance(1);
        for (format, word) in [
            (ContentFormat::Tlv, "tlv"),
            (ContentFormat::SenmlCbor, "senml_cbor"),
            (ContentFormat::SenmlJson, "senml_json"),
        ] {
            let bytes = format.encode(SECURITY, &instance).expect("writable");
            let bytes = bytes.expose();
            let mut group = c.benchmark_group(format!("lwm2m_read_{word}"));
            group.throughput(Throughput::Bytes(bytes.len() as u64));
            let mut room = vec![0; bytes.len()];
            group.bench_function(BenchmarkId::new("copy", name), |b| {
                b.iter(|| black_box(&mut room).copy_from_slice(black_box(bytes)));
            });
            if format == ContentFormat::Tlv {
                group.bench_function(BenchmarkId::new("entries", name), |b| {
                    b.iter(|| {
                        tlv::entries(black_box(bytes))
                            .map_while(Result::ok)
                            .map(|entry| entry.value.len())
                            .sum::<usize>()
                    });
                });
            }
            group.bench_function(BenchmarkId::new("instance", name), |b| {
                b.iter(|| format.decode(Path::Instance(SECURITY, 1), black_box(bytes)));
            });
            group.finish();
        }
    }
}

criterion_group!(benches, read);
criterion_main!(benches);
