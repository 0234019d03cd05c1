//! Content in and out, beside the fastest libraries that do a part of the work.
//!
//! The peers take repeated names, bytes that follow, any number of values and byte strings as arrays of numbers; ours refuses the
//! first three and writes the fourth as base64.

use std::hint::black_box;

use serde::{Deserialize, Serialize};
use uci_model::{ContentFormat, Device};

use crate::sbs::fixtures;
use bench_harness::{Limit, Run};

/// A device list as plain owned structs, which keep nothing that they do not name.
#[derive(Deserialize, Serialize)]
struct PlainDevice {
    device: PlainProperties,
    status: String,
    links: Vec<PlainLink>,
}

#[derive(Deserialize, Serialize)]
struct PlainProperties {
    di: String,
    n: String,
    rt: Vec<String>,
    dmn: Vec<PlainText>,
}

#[derive(Deserialize, Serialize)]
struct PlainText {
    language: String,
    value: String,
}

#[derive(Deserialize, Serialize)]
struct PlainLink {
    href: String,
    rt: Vec<String>,
    #[serde(rename = "if")]
    interfaces: Vec<String>,
    p: PlainPolicy,
    di: String,
}

#[derive(Deserialize, Serialize)]
struct PlainPolicy {
    bm: u64,
}

pub(super) fn read_typed(run: &mut Run) {
    let limits = fixtures::limits();
    let devices = run.scaled(1000, 2);
    let content = fixtures::list(devices, 10, ContentFormat::OcfCbor);
    let body = content.body().clone();
    let [ours, peer, ciborium] = run.medians([
        run.computing(|| {
            let read = black_box(&content).decode_as::<Vec<Device>>(&limits);
            drop(black_box(read.expect("readable")));
        }),
        run.computing(|| {
            let read = serde_cbor_2::from_slice::<Vec<PlainDevice>>(black_box(&body));
            drop(black_box(read.expect("readable")));
        }),
        run.computing(|| {
            let read = ciborium::from_reader::<Vec<PlainDevice>, _>(black_box(&*body));
            drop(black_box(read.expect("readable")));
        }),
    ]);
    let micros = |nanos: f64| nanos / 1000.0;
    run.row(
        "device list to typed values, `serde_cbor_2` to plain structs",
        "µs",
        (micros(ours), micros(peer)),
        Limit::AtMost(1.1),
    );
    run.row(
        "the same, `ciborium`",
        "µs",
        (micros(ours), micros(ciborium)),
        Limit::AtMost(1.0 / 2.3),
    );
}

fn stream_to_json(cbor: &[u8]) -> Vec<u8> {
    let mut json = Vec::new();
    let mut from = serde_cbor_2::Deserializer::from_slice(cbor);
    let mut to = serde_json::Serializer::new(&mut json);
    serde_transcode::transcode(&mut from, &mut to).expect("transcodable");
    json
}

fn stream_to_cbor(json: &[u8]) -> Vec<u8> {
    let mut cbor = Vec::new();
    let mut from = serde_json::Deserializer::from_slice(json);
    let mut to = serde_cbor_2::Serializer::new(serde_cbor_2::ser::IoWrite::new(&mut cbor));
    serde_transcode::transcode(&mut from, &mut to).expect("transcodable");
    cbor
}

pub(super) fn cbor_to_json(run: &mut Run) {
    let limits = fixtures::limits();
    for (name, devices) in [("1,000 devices", run.scaled(1000, 2)), ("1 device", 1)] {
        let content = fixtures::list(devices, 10, ContentFormat::OcfCbor);
        let body = content.body().clone();
        let [ours, peer, tree] = run.medians([
            run.computing(|| {
                let json = black_box(&content).in_format(ContentFormat::Json, &limits);
                drop(black_box(json.expect("readable")));
            }),
            run.computing(|| drop(black_box(stream_to_json(black_box(&body))))),
            run.computing(|| {
                let tree: ciborium::Value =
                    ciborium::from_reader(black_box(&*body)).expect("readable");
                drop(black_box(serde_json::to_vec(&tree).expect("writable")));
            }),
        ]);
        rows(run, name, "`serde_cbor_2`", (ours, peer, tree), 1.25);
    }
}

pub(super) fn json_to_cbor(run: &mut Run) {
    let limits = fixtures::limits();
    for (name, devices) in [("1,000 devices", run.scaled(1000, 2)), ("1 device", 1)] {
        let content = fixtures::list(devices, 10, ContentFormat::Json);
        let body = content.body().clone();
        let [ours, peer, tree] = run.medians([
            run.computing(|| {
                let cbor = black_box(&content).for_device(&limits);
                drop(black_box(cbor.expect("readable")));
            }),
            run.computing(|| drop(black_box(stream_to_cbor(black_box(&body))))),
            run.computing(|| {
                let tree: serde_json::Value =
                    serde_json::from_slice(black_box(&body)).expect("readable");
                let mut cbor = Vec::new();
                ciborium::into_writer(&tree, &mut cbor).expect("writable");
                drop(black_box(cbor));
            }),
        ]);
        rows(run, name, "`serde_json`", (ours, peer, tree), 1.15);
    }
}

fn rows(run: &mut Run, name: &str, peer: &str, figures: (f64, f64, f64), most: f64) {
    let (ours, stream, tree) = figures;
    let micros = |nanos: f64| nanos / 1000.0;
    run.row(
        &format!("{name}, `serde-transcode` from {peer}"),
        "µs",
        (micros(ours), micros(stream)),
        Limit::AtMost(most),
    );
    run.row(
        &format!("{name}, through a tree"),
        "µs",
        (micros(ours), micros(tree)),
        Limit::AtMost(1.0 / 8.0),
    );
}
