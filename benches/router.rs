//! From a path to an endpoint, beside splitting the same path and reading its device id, which is the least that it takes.
#![allow(missing_docs, clippy::expect_used)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use http::Method;
use uci_model::DeviceId;
use uci_server_core::router::route;

const DEVICE: &str = "00000000-0000-4000-8000-000000000001";

fn routes(c: &mut Criterion) {
    let mut group = c.benchmark_group("route");
    for (name, method, tail) in [
        ("devices", Method::GET, String::new()),
        (
            "resource",
            Method::GET,
            format!("/{DEVICE}/thermostat/temperature"),
        ),
        (
            "subscribe",
            Method::POST,
            format!("/{DEVICE}/thermostat/temperature/subscriptions"),
        ),
    ] {
        let path = format!("/api/v1/devices{tail}");
        assert!(route("", &method, &path).is_ok());
        group.bench_function(BenchmarkId::new("uci-server-core", name), |b| {
            b.iter(|| route("", &method, black_box(&path)));
        });
        group.bench_function(BenchmarkId::new("split and read the id", name), |b| {
            b.iter(|| {
                let segments: Vec<&str> = black_box(&path).split('/').collect();
                let id = segments.get(4).map(|segment| segment.parse::<DeviceId>());
                (segments, id)
            });
        });
    }
    group.finish();
}

criterion_group!(router, routes);
criterion_main!(router);
