//! Bytes that released versions wrote must load for ever.
//!
//! `journal_compat/{version}.json` holds, in hex, the changes of streams of every kind and their snapshots. A file is written
//! once, with `WRITE_JOURNAL_COMPAT=1`, when a version is released, and never changed.

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

use rig::{LIGHT, World, account, cbor, device, json, link};
use serde_json::{Value, json as value};
use uci_model::SubscriptionId;
use uci_server_core::account::{Account, Change, EndCause, Fact, SNAPSHOT_FORMAT};
use uci_server_core::{Config, ErrorKind, Event, Occurrence, Output, Snapshot};

const THIS_VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), ".json");
const CAUSES: [EndCause; 7] = [
    EndCause::Unsubscribed,
    EndCause::DeviceUnregistered,
    EndCause::LinkWithdrawn,
    EndCause::GrantEnded,
    EndCause::Overflow,
    EndCause::Expired,
    EndCause::Refused,
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/journal_compat")
}

fn read(path: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
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

fn changes(written: &Value) -> Vec<Vec<u8>> {
    let changes = written["changes"].as_array().unwrap();
    changes.iter().map(unhex).collect()
}

fn snapshot(written: &Value) -> (u32, Vec<u8>) {
    let format = written["snapshot"]["format"].as_u64().unwrap();
    let bytes = unhex(&written["snapshot"]["bytes"]);
    (u32::try_from(format).unwrap(), bytes)
}

/// Lives of accounts and of a device in which every change happens.
fn lived() -> World {
    let mut world = World::with(Config::default());
    let one = world.light();
    let properties = json(
        r#"{"di":"d0000000-0000-4000-8000-000000000001","n":"Lamp","rt":["oic.d.light"],"dmn":[{"language":"en","value":"Example"}],"piid":"d0000000-0000-4000-8000-000000000077","x":[1,2.5,null,true]}"#,
    );
    let properties = properties.decode_as(&uci_model::Limits::default()).unwrap();
    world.report(one, Occurrence::Described(Box::new(properties)));
    let mut anchored = link("/b");
    anchored.anchor = Some(format!("ocf://{one}"));
    world.report(one, Occurrence::LinksPublished(vec![anchored, link("/c")]));
    world.report(one, Occurrence::LinksWithdrawn(vec!["/c".parse().unwrap()]));
    world.report(device(2), Occurrence::Registered);
    world.report(device(2), Occurrence::Online);
    world.report(device(2), Occurrence::Offline);
    world.transfer(device(2), "bob").unwrap();
    world.remove(device(2)).unwrap();
    let devices = world.subscribe("", &["devices_online", "devices_offline"]);
    let (delivery, _) = world.next_delivery().unwrap();
    world.answer_delivery(delivery, 200);
    world.subscribe("", &["devices_registered"]);
    world.subscribe(&format!("/{one}"), &["resources_published"]);
    world.subscribe(&format!("/{one}{LIGHT}"), &["resource_contentchanged"]);
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
    world.erase_fails = true;
    assert_eq!(world.erase("bob"), Err(ErrorKind::Unavailable));
    world
}

/// Alice's changes, and a subscription that ended for every cause there is.
fn of_alice(world: &World) -> Vec<Vec<u8>> {
    let stream = &world.journal.streams["account/alice"];
    let mut all: Vec<Vec<u8>> = stream.iter().map(|bytes| bytes.to_vec()).collect();
    let changes: Vec<Change> = all.iter().map(|b| Change::decode(b).unwrap()).collect();
    let subscribed = changes
        .iter()
        .find(|change| matches!(change.fact, Fact::Subscribed { .. }));
    for (number, cause) in (1..).zip(CAUSES) {
        let new_id = SubscriptionId::from_bytes([number; 16]);
        let mut change = subscribed.unwrap().clone();
        change.at = changes.last().unwrap().at;
        if let Fact::Subscribed { id, .. } = &mut change.fact {
            *id = new_id;
        }
        all.push(change.encode().unwrap().to_vec());
        change.fact = Fact::SubscriptionEnded { id: new_id, cause };
        all.push(change.encode().unwrap().to_vec());
    }
    all
}

fn written(changes: &[Vec<u8>], format: u32, snapshot: &[u8]) -> Value {
    let changes: Vec<String> = changes.iter().map(|bytes| hex(bytes)).collect();
    value!({"changes": changes, "snapshot": {"format": format, "bytes": hex(snapshot)}})
}

fn load(changes: &[Vec<u8>]) -> Account {
    let mut account = Account::default();
    for bytes in changes {
        account.apply(&Change::decode(bytes).unwrap());
    }
    account
}

fn write() {
    let file = folder().join(THIS_VERSION);
    assert!(!file.exists(), "a released version is never written anew");
    let world = lived();
    let stream = |name: &str| -> Vec<Vec<u8>> {
        let stream = &world.journal.streams[name];
        stream.iter().map(|bytes| bytes.to_vec()).collect()
    };
    let account = |changes: Vec<Vec<u8>>| {
        let snapshot = load(&changes).snapshot().unwrap();
        written(&changes, SNAPSHOT_FORMAT, &snapshot)
    };
    let owned = format!("device/{}", device(2));
    let snapshot = &world.journal.snapshots[&owned];
    let all = value!({
        "account": account(of_alice(&world)),
        "erased account": account(stream("account/bob")),
        "device": written(&stream(&owned), snapshot.format, &snapshot.bytes),
    });
    let text = serde_json::to_string_pretty(&all).unwrap();
    std::fs::write(&file, text + "\n").unwrap();
}

/// What released versions wrote.
fn fixtures() -> Vec<(PathBuf, Value)> {
    static WRITTEN: std::sync::Once = std::sync::Once::new();
    WRITTEN.call_once(|| {
        if std::env::var_os("WRITE_JOURNAL_COMPAT").is_some() {
            write();
        }
    });
    let files = std::fs::read_dir(folder()).unwrap();
    let all: Vec<_> = files
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), read(&path)))
        .collect();
    assert!(!all.is_empty());
    all
}

#[test]
fn accounts_of_released_versions_still_load() {
    for (path, fixture) in fixtures() {
        for (kind, owing, devices) in [("account", 10, 1), ("erased account", 0, 0)] {
            let fixture = &fixture[kind];
            let replayed = load(&changes(fixture));
            let (format, bytes) = snapshot(fixture);
            let loaded = Account::from_snapshot(format, &bytes).unwrap();
            // Whatever the form is today, both ways lead to the same state.
            let states = [&replayed, &loaded].map(|account| account.snapshot().unwrap());
            assert_eq!(states[0], states[1], "{path:?} {kind}");
            assert_eq!(replayed.owing().count(), owing, "{path:?} {kind}");
            assert_eq!(replayed.devices().count(), devices, "{path:?} {kind}");
            assert_eq!(replayed.is_erased(), kind == "erased account");
        }
    }
}

#[test]
fn owners_of_released_versions_still_load() {
    for (path, fixture) in fixtures() {
        let fixture = &fixture["device"];
        let stream = format!("device/{}", device(2));
        let changes: Vec<bytes::Bytes> = changes(fixture).into_iter().map(Into::into).collect();
        let (format, bytes) = snapshot(fixture);
        let version = changes.len() as u64;
        for from_snapshot in [false, true] {
            let mut world = World::new();
            world
                .journal
                .streams
                .insert(stream.clone(), changes.clone());
            if from_snapshot {
                let bytes = bytes.clone().into();
                let snapshot = Snapshot {
                    version,
                    format,
                    bytes,
                };
                world.journal.snapshots.insert(stream.clone(), snapshot);
                world.journal.truncate();
            }
            // It had a second owner, and was taken from them.
            assert_eq!(
                world.remove(device(2)),
                Err(ErrorKind::NotFound),
                "{path:?}"
            );
            let old = world.report_as("carol", device(2), 2, Occurrence::Registered);
            assert_eq!(old, Err(ErrorKind::Superseded), "{path:?}");
            let new = world.report_as("carol", device(2), 3, Occurrence::Registered);
            assert_eq!(new, Ok(()), "{path:?}");
        }
    }
}

/// The variants that a reader knows, as it says them when it meets another one.
fn variants(error: &dyn std::error::Error) -> Vec<String> {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        text += &format!("{error}\n");
        next = error.source();
    }
    let known = text.split_once("expected").expect("an unknown variant").1;
    let names = known.split('`').skip(1).step_by(2);
    names.map(ToOwned::to_owned).collect()
}

/// `bytes` with the name of a variant replaced by one that does not exist.
fn misnamed(bytes: &[u8], name: &str) -> Vec<u8> {
    let at = bytes
        .windows(name.len())
        .position(|window| window == name.as_bytes())
        .expect("the name is in it");
    let mut bytes = bytes.to_vec();
    bytes[at..at + name.len()].fill(b'X');
    bytes
}

#[test]
fn every_variant_of_a_change_is_among_them() {
    let this = folder().join(THIS_VERSION);
    let mut fixtures = fixtures().into_iter();
    let (_, fixture) = fixtures.find(|(path, _)| *path == this).unwrap();
    let accounts = ["account", "erased account"].map(|kind| changes(&fixture[kind]));
    let accounts: Vec<Vec<u8>> = accounts.into_iter().flatten().collect();
    let all = accounts.concat();
    let holds = |all: &[u8], name: &str| all.windows(name.len()).any(|w| w == name.as_bytes());
    // One of each kind of enumeration, by one of its names.
    for (name, least) in [("Delivered", 14), ("Devices", 3), ("Refused", 7)] {
        let one = accounts.iter().find(|change| {
            // Of the two targets and facts that begin alike, the length before the name tells which it is.
            let length = 0x60 | u8::try_from(name.len()).unwrap();
            holds(change, &format!("{}{name}", char::from(length)))
        });
        let error = Change::decode(&misnamed(one.unwrap(), name)).unwrap_err();
        let known = variants(&error);
        assert!(known.len() >= least, "{known:?}");
        for variant in known {
            assert!(holds(&all, &variant), "no fixture has {variant}");
        }
    }
    let owners = changes(&fixture["device"]);
    let mut world = World::new();
    let stream = format!("device/{}", device(2));
    let broken = misnamed(&owners[0], "Assigned");
    world.journal.streams.insert(stream, vec![broken.into()]);
    let report =
        uci_server_core::DeviceReport::new(account("alice"), device(2), 1, Occurrence::Registered);
    world.cloud.handle_report(report, world.wall, world.now);
    let mut known = Vec::new();
    while let Some(output) = world.cloud.poll_output() {
        match output {
            Output::Load { stream } => {
                let loaded = world.journal.load(&stream);
                world
                    .cloud
                    .handle_loaded(&stream, &loaded, world.wall, world.now);
            }
            Output::Event(Event::Unreadable { error, .. }) => known = variants(&error),
            _ => {}
        }
    }
    assert!(known.len() >= 2, "{known:?}");
    for variant in known {
        assert!(
            holds(&owners.concat(), &variant),
            "no fixture has {variant}"
        );
    }
}
