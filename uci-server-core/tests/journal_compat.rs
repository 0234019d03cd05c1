//! Bytes that released versions wrote must load for ever.
//!
//! `journal_compat/{version}.json` holds, in hex, the changes of one account and its snapshot. A file is written once, with
//! `WRITE_JOURNAL_COMPAT=1`, when a version is released, and never changed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    missing_docs
)]

#[path = "rig/rig.rs"]
mod rig;

use std::path::PathBuf;
use std::time::Duration;

use rig::{LIGHT, World, cbor, device, json, link};
use serde_json::{Value, json as value};
use uci_server_core::Occurrence;
use uci_server_core::account::{Account, Change};

const STREAM: &str = "account/alice";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/journal_compat")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &Value) -> Vec<u8> {
    let digits = text.as_str().unwrap().as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// A life of an account in which every fact happens.
fn lived() -> World {
    let mut world = World::new();
    let one = world.light();
    let properties = json(
        r#"{"di":"d0000000-0000-4000-8000-000000000001","n":"Lamp","rt":["oic.d.light"],"dmn":[{"language":"en","value":"Example"}],"x":[1,2.5,null,true]}"#,
    );
    let properties = properties.decode_as(&uci_model::Limits::default()).unwrap();
    world.report(one, Occurrence::Described(Box::new(properties)));
    world.report(one, Occurrence::LinksPublished(vec![link("/b")]));
    world.report(one, Occurrence::LinksWithdrawn(vec!["/b".parse().unwrap()]));
    world.report(device(2), Occurrence::Registered);
    world.report(device(2), Occurrence::Online);
    world.report(device(2), Occurrence::Offline);
    world.report(device(2), Occurrence::Unregistered);
    let devices = world.subscribe("", &["devices_online", "devices_offline"]);
    let (delivery, _) = world.next_delivery().unwrap();
    world.answer_delivery(delivery, 200);
    world.subscribe("", &["devices_registered"]);
    let light = format!("/{one}{LIGHT}");
    world.subscribe(&light, &["resource_contentchanged"]);
    while let Some((delivery, told)) = world.next_delivery() {
        if told.event == "devices_registered" {
            world.answer_delivery(delivery, 410);
        }
    }
    for power in 0..3 {
        world.pass(Duration::from_millis(10));
        world.change(one, LIGHT, cbor(&format!(r#"{{"power":{power}}}"#)));
    }
    assert_eq!(world.unsubscribe("", &devices), http::StatusCode::ACCEPTED);
    world.end_grant("g0");
    world
}

fn load(changes: &[Vec<u8>]) -> Account {
    let mut account = Account::default();
    for bytes in changes {
        account.apply(&Change::decode(bytes).unwrap());
    }
    account
}

#[test]
fn what_released_versions_wrote_still_loads() {
    let file = folder().join(concat!(env!("CARGO_PKG_VERSION"), ".json"));
    if std::env::var_os("WRITE_JOURNAL_COMPAT").is_some() {
        assert!(!file.exists(), "a released version is never written anew");
        let changes: Vec<Vec<u8>> = lived().journal.streams[STREAM]
            .iter()
            .map(|bytes| bytes.to_vec())
            .collect();
        let written: Vec<String> = changes.iter().map(|bytes| hex(bytes)).collect();
        let snapshot = hex(&load(&changes).snapshot().unwrap());
        let text = serde_json::to_string_pretty(
            &value!({"format": 1, "changes": written, "snapshot": snapshot}),
        );
        std::fs::write(&file, text.unwrap() + "\n").unwrap();
    }
    let mut files = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let written: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let changes: Vec<Vec<u8>> = written["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(unhex)
            .collect();
        let format = u32::try_from(written["format"].as_u64().unwrap()).unwrap();
        let replayed = load(&changes);
        let loaded = Account::from_snapshot(format, &unhex(&written["snapshot"])).unwrap();
        // Whatever the form is today, both ways lead to the same state.
        assert_eq!(
            replayed.snapshot().unwrap(),
            loaded.snapshot().unwrap(),
            "{path:?}"
        );
        assert_eq!(replayed.owing().count(), 2, "{path:?}");
        assert_eq!(replayed.devices().count(), 1, "{path:?}");
        files += 1;
    }
    assert!(files > 0);
}

#[test]
fn every_kind_of_fact_is_among_them() {
    let file = folder().join(concat!(env!("CARGO_PKG_VERSION"), ".json"));
    let written: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let facts: std::collections::BTreeSet<String> = written["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| format!("{:?}", Change::decode(&unhex(change)).unwrap().fact))
        .map(|text| text.split([' ', '{']).next().unwrap().to_owned())
        .collect();
    let expected = [
        "Delivered",
        "DeviceDescribed",
        "DeviceOffline",
        "DeviceOnline",
        "DeviceRegistered",
        "DeviceUnregistered",
        "GrantEnded",
        "LinksPublished",
        "LinksWithdrawn",
        "RepresentationChanged",
        "Subscribed",
        "SubscriptionEnded",
        "SubscriptionRemoved",
    ];
    assert_eq!(
        facts.iter().map(String::as_str).collect::<Vec<_>>(),
        expected
    );
}
