//! CoAP messages in and out, beside `coap-lite`'s packet.
#![allow(missing_docs, clippy::expect_used)]

use std::hint::black_box;

use coap_psk::codec;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// A confirmable POST to `/oic/rd` with a Content-Format and so many bytes of payload.
fn datagram(payload: usize) -> Vec<u8> {
    let mut bytes = vec![0x44, 0x02, 0x30, 0x39, 1, 2, 3, 4];
    bytes.extend_from_slice(b"\xb3oic\x02rd\x12\x27\x10\xff");
    bytes.resize(bytes.len().saturating_add(payload), 0x55);
    bytes
}

fn messages(c: &mut Criterion) {
    for (name, payload) in [("small", 16), ("typical", 200), ("full block", 1024)] {
        let bytes = datagram(payload);
        let message = codec::parse(&bytes).expect("a message").to_message();
        let packet = coap_lite::Packet::from_bytes(&bytes).expect("a packet");

        let mut group = c.benchmark_group("read_coap");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(BenchmarkId::new("coap-psk, borrowed", name), |b| {
            b.iter(|| codec::parse(black_box(&bytes)).map(|message| message.options().count()));
        });
        group.bench_function(BenchmarkId::new("coap-psk, owned", name), |b| {
            b.iter(|| codec::parse(black_box(&bytes)).map(|message| message.to_message()));
        });
        group.bench_function(BenchmarkId::new("coap-lite", name), |b| {
            b.iter(|| coap_lite::Packet::from_bytes(black_box(&bytes)));
        });
        group.finish();

        let mut group = c.benchmark_group("write_coap");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(BenchmarkId::new("coap-psk", name), |b| {
            b.iter(|| codec::encode(black_box(&message)));
        });
        group.bench_function(BenchmarkId::new("coap-lite", name), |b| {
            b.iter(|| black_box(&packet).to_bytes());
        });
        group.finish();
    }
}

criterion_group!(coap, messages);
criterion_main!(coap);
