//! The rules of a ledger: deciding is pure, applying is total, replaying gives the same registry byte for byte, and what
//! every release wrote still loads.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use provisioning_proto::registry::{Activation, Change, Command, Registry, SNAPSHOT_FORMAT};
use provisioning_proto::{DeviceId, DeviceKey, ErrorKind, SealedSecret, Template};

fn key(number: u8) -> DeviceKey {
    format!("dev{number}").parse().unwrap()
}

fn id(number: u8) -> DeviceId {
    format!("0f9d1b5e-7a3c-4c11-9d2f-00aa11bb22{number:02x}")
        .parse()
        .unwrap()
}

fn sealed(byte: u8) -> SealedSecret {
    SealedSecret::new(vec![byte; 40]).unwrap()
}

fn template(byte: u8) -> Template {
    Template::new(vec![byte; 40]).unwrap()
}

fn activation() -> impl Strategy<Value = Activation> {
    prop_oneof![
        Just(Activation::Off),
        Just(Activation::Once),
        Just(Activation::UntilFirstSession)
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let device = || (0..4_u8).prop_map(key);
    let owner = prop::option::of("[a-z]{1,8}".prop_map(|name| name.parse().unwrap()));
    prop_oneof![
        2 => activation().prop_map(|activation| Command::CreateProduct {
            product: "pk".parse().unwrap(),
            name: "Lamp".to_owned(),
            secret: sealed(0),
            activation,
        }),
        1 => activation().prop_map(Command::SetActivation),
        1 => any::<u8>().prop_map(|byte| Command::SetTemplate(template(byte))),
        3 => (device(), any::<u8>(), owner.clone())
            .prop_map(|(device, byte, owner)| Command::AddDevice { device, secret: sealed(byte), owner }),
        1 => (device(), owner).prop_map(|(device, owner)| Command::SetOwner { device, owner }),
        1 => (device(), any::<bool>()).prop_map(|(device, enabled)| Command::SetEnabled { device, enabled }),
        1 => (device(), any::<u8>())
            .prop_map(|(device, byte)| Command::ReplaceSecret { device, secret: sealed(byte) }),
        2 => device().prop_map(|device| Command::Activate { device }),
        2 => device().prop_map(|device| Command::BeginSession { device }),
        1 => (device(), any::<u32>())
            .prop_map(|(device, seconds)| Command::SetLifetime { device, seconds }),
        2 => (device(), (0..4_u8).prop_map(id)).prop_map(|(device, id)| Command::BindDeviceId { device, id }),
        1 => device().prop_map(|device| Command::RemoveDevice { device }),
    ]
}

/// Runs commands and returns the registry with everything it would have stored.
fn run(commands: &[(Command, u32)]) -> (Registry, Vec<Vec<u8>>) {
    let mut registry = Registry::default();
    let mut stored = Vec::new();
    for (command, seconds) in commands {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(*seconds));
        let before = registry.clone();
        let decision = registry.decide(command.clone(), wall);
        assert_eq!(registry, before, "deciding touched the registry");
        let Ok(decision) = decision else { continue };
        assert_eq!(
            decision,
            registry.decide(command.clone(), wall).unwrap(),
            "not a function"
        );
        for change in &decision.changes {
            stored.push(change.encode().unwrap());
            registry.apply(change);
        }
    }
    (registry, stored)
}

fn slices(stored: &[Vec<u8>]) -> impl Iterator<Item = &[u8]> {
    stored.iter().map(Vec::as_slice)
}

proptest! {
    #[test]
    fn replaying_gives_the_same_registry(
        commands in prop::collection::vec((command(), any::<u32>()), 0..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let (registry, stored) = run(&commands);
        let replayed = Registry::replay(slices(&stored)).unwrap();
        prop_assert_eq!(replayed.snapshot().unwrap(), registry.snapshot().unwrap());
        let cut = cut.index(stored.len() + 1);
        let half = Registry::replay(slices(&stored[..cut])).unwrap();
        let mut rest = Registry::restore(SNAPSHOT_FORMAT, &half.snapshot().unwrap()).unwrap();
        prop_assert_eq!(&rest, &half);
        rest.replay_after(slices(&stored[cut..])).unwrap();
        prop_assert_eq!(rest.snapshot().unwrap(), registry.snapshot().unwrap());
        let times = stored.iter().map(|change| Change::decode(change).unwrap().at);
        prop_assert!(times.is_sorted(), "time went back");
    }

    #[test]
    fn a_device_id_never_belongs_to_two_devices(
        commands in prop::collection::vec((command(), any::<u32>()), 0..60),
    ) {
        let (registry, _) = run(&commands);
        let mut ids: Vec<_> = registry.devices().values().filter_map(|device| device.id.clone()).collect();
        let count = ids.len();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), count);
    }

    /// Changes in any order, as no ledger would write them, are taken in without a panic.
    #[test]
    fn applying_is_total(
        commands in prop::collection::vec((command(), any::<u32>()), 0..60),
        order in any::<prop::sample::Index>(),
    ) {
        let (_, mut stored) = run(&commands);
        let middle = order.index(stored.len() + 1);
        stored.rotate_left(middle);
        stored.reverse();
        prop_assert!(Registry::replay(slices(&stored)).is_ok());
    }

    #[test]
    fn decoding_any_bytes_ends(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(change) = Change::decode(&bytes) {
            let again = Change::decode(&change.encode().unwrap()).unwrap();
            prop_assert_eq!(again, change);
        }
        let _ = Registry::restore(SNAPSHOT_FORMAT, &bytes);
    }

    #[test]
    fn a_change_with_anything_behind_or_cut_off_is_malformed(
        commands in prop::collection::vec((command(), any::<u32>()), 1..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let (_, stored) = run(&commands);
        for change in &stored {
            let longer = [change, &[0][..]].concat();
            let shorter = &change[..cut.index(change.len())];
            for bytes in [&longer[..], shorter] {
                prop_assert_eq!(Change::decode(bytes).unwrap_err().kind(), ErrorKind::Malformed);
            }
        }
    }
}

/// Two deciders that hold the same version: the loser loads what the winner wrote and decides again.
#[test]
fn a_decision_that_lost_the_race_is_made_again_on_the_newer_registry() {
    let activate = Command::Activate { device: key(0) };
    let (registry, mut stored) = run(&every_change()[..3]);
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(50);
    let winner = registry.decide(activate.clone(), wall).unwrap();
    let loser = registry.decide(activate.clone(), wall).unwrap();
    assert_eq!(winner, loser);
    stored.push(winner.changes[0].encode().unwrap());
    let reloaded = Registry::replay(slices(&stored)).unwrap();
    let refused = reloaded.decide(activate, wall).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Activated);
}

#[test]
fn an_unknown_snapshot_is_refused() {
    let bytes = Registry::default().snapshot().unwrap();
    let refused = Registry::restore(SNAPSHOT_FORMAT + 1, &bytes).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::UnknownFormat);
}

/// Commands that between them make every kind of change.
fn every_change() -> Vec<(Command, u32)> {
    let device = || key(0);
    let commands = [
        Command::CreateProduct {
            product: "pk".parse().unwrap(),
            name: "Lamp".to_owned(),
            secret: sealed(1),
            activation: Activation::UntilFirstSession,
        },
        Command::SetActivation(Activation::Once),
        Command::AddDevice {
            device: device(),
            secret: sealed(2),
            owner: None,
        },
        Command::Activate { device: device() },
        Command::BeginSession { device: device() },
        Command::BindDeviceId {
            device: device(),
            id: id(7),
        },
        Command::SetOwner {
            device: device(),
            owner: Some("alice".parse().unwrap()),
        },
        Command::SetEnabled {
            device: device(),
            enabled: false,
        },
        Command::SetEnabled {
            device: device(),
            enabled: true,
        },
        Command::ReplaceSecret {
            device: device(),
            secret: sealed(3),
        },
        Command::AddDevice {
            device: key(1),
            secret: sealed(4),
            owner: None,
        },
        Command::RemoveDevice { device: key(1) },
        Command::SetLifetime {
            device: device(),
            seconds: 3600,
        },
        Command::SetTemplate(template(5)),
    ];
    (0..)
        .step_by(10)
        .zip(commands)
        .map(|(seconds, command)| (command, seconds))
        .collect()
}

fn compat(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/journal_compat")
        .join(file)
}

/// One line of hexadecimal digits a change, and one for the snapshot, as 0.1.0 wrote them.
#[test]
fn what_release_0_1_0_wrote_still_loads() {
    let (registry, stored) = run(&every_change());
    let lines = |file| {
        let text = std::fs::read_to_string(compat(file)).unwrap();
        text.lines().map(from_hex).collect::<Vec<_>>()
    };
    let written = lines("0.1.0-changes.hex");
    assert_eq!(written.len(), every_change().len());
    assert_eq!(Registry::replay(slices(&written)).unwrap(), registry);
    assert_eq!(
        Registry::restore(1, &lines("0.1.0-snapshot.hex")[0]).unwrap(),
        registry
    );
    // As long as 0.1.0 is the present release, it also writes them the same.
    assert_eq!(stored, written);
}

fn from_hex(line: &str) -> Vec<u8> {
    let byte = |place| u8::from_str_radix(&line[place..place + 2], 16).unwrap();
    (0..line.len()).step_by(2).map(byte).collect()
}
