//! The rules of the ledger of devices: deciding is pure, applying is total, replaying gives the same byte for byte.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use provisioning_proto::allocation::Target;
use provisioning_proto::model::*;
use provisioning_proto::roster::{Change, Command, Proposal, Roster, SNAPSHOT_FORMAT};
use provisioning_proto::{ErrorKind, RegistrationId, SealedSecret};

fn id(number: u8) -> RegistrationId {
    format!("dev-{number}").parse().unwrap()
}

fn target(number: u8) -> Target {
    Target::new(format!("ap-{number}").parse().unwrap(), None)
}

fn enrollment(enabled: bool, secret: u8) -> Enrollment {
    let mut entry = Entry::enabled();
    entry.enabled = enabled;
    let primary = SealedSecret::new(vec![secret; 40]).unwrap();
    let secondary = None;
    Enrollment::new(Attestation::SymmetricKey { primary, secondary }, entry)
}

fn proposal(based_on: u64, to: u8, entry_version: u64, group: bool) -> Proposal {
    let class = EvidenceClass::OwnSecret;
    let mut proposal = Proposal::new(based_on, target(to), entry_version, class);
    proposal.group = group.then(|| "g".parse().unwrap());
    proposal
}

fn command() -> impl Strategy<Value = Command> {
    let small = || 0..6_u64;
    let expected = prop_oneof![
        3 => Just(Expected::Any),
        1 => Just(Expected::Absent),
        1 => small().prop_map(Expected::Version)
    ];
    prop_oneof![
        3 => (any::<bool>(), 0..3_u8, expected.clone()).prop_map(|(enabled, secret, expected)| {
            Command::Enroll { enrollment: enrollment(enabled, secret), expected }
        }),
        1 => expected.prop_map(|expected| Command::Unenroll { expected }),
        6 => (small(), 0..3_u8, 0..4_u64, any::<bool>())
            .prop_map(|(based_on, to, version, group)| Command::Propose(proposal(based_on, to, version, group))),
        6 => small().prop_map(|generation| Command::Commit { generation }),
        2 => small().prop_map(|generation| Command::Return { generation }),
        2 => small().prop_map(|generation| Command::Confirm { generation }),
        2 => (0..3_u8).prop_map(|to| Command::RetireTarget { target: target(to) }),
        2 => small().prop_map(|generation| Command::Abandon { generation, cause: Cause::TimedOut }),
        1 => Just(Command::Refuse { cause: Cause::NoMatch, group: None }),
        1 => Just(Command::Trigger),
        1 => Just(Command::ApproveRebind),
        1 => Just(Command::Retire),
        1 => Just(Command::Reset),
    ]
}

type Commands = Vec<(u8, Command, u32)>;

fn commands() -> impl Strategy<Value = Commands> {
    prop::collection::vec((0..2_u8, command(), any::<u32>()), 0..80)
}

/// Runs commands and returns the roster with everything it would have stored.
fn run(commands: &Commands) -> (Roster, Vec<Vec<u8>>) {
    let mut roster = Roster::default();
    let mut stored = Vec::new();
    for (device, command, seconds) in commands {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(*seconds));
        let before = roster.clone();
        let decision = roster.decide(&id(*device), command.clone(), wall);
        assert_eq!(roster, before, "deciding touched the roster");
        let Ok(decision) = decision else { continue };
        for change in &decision.changes {
            stored.push(change.encode().unwrap());
            roster.apply(change);
        }
    }
    (roster, stored)
}

fn slices(stored: &[Vec<u8>]) -> impl Iterator<Item = &[u8]> {
    stored.iter().map(Vec::as_slice)
}

proptest! {
    #[test]
    fn replaying_gives_the_same_roster(commands in commands(), cut in any::<prop::sample::Index>()) {
        let (roster, stored) = run(&commands);
        let replayed = Roster::replay(slices(&stored)).unwrap();
        prop_assert_eq!(replayed.snapshot().unwrap(), roster.snapshot().unwrap());
        let cut = cut.index(stored.len() + 1);
        let half = Roster::replay(slices(&stored[..cut])).unwrap();
        let mut rest = Roster::restore(SNAPSHOT_FORMAT, &half.snapshot().unwrap()).unwrap();
        rest.replay_after(slices(&stored[cut..])).unwrap();
        prop_assert_eq!(rest.snapshot().unwrap(), roster.snapshot().unwrap());
        let times = stored.iter().map(|change| Change::decode(change).unwrap().at);
        prop_assert!(times.is_sorted(), "time went back");
    }

    /// Changes in any order, as no ledger would write them, are taken in without a panic.
    #[test]
    fn applying_is_total(commands in commands(), order in any::<prop::sample::Index>()) {
        let (_, mut stored) = run(&commands);
        let middle = order.index(stored.len() + 1);
        stored.rotate_left(middle);
        stored.reverse();
        prop_assert!(Roster::replay(slices(&stored)).is_ok());
    }

    #[test]
    fn decoding_any_bytes_ends(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(change) = Change::decode(&bytes) {
            let again = Change::decode(&change.encode().unwrap()).unwrap();
            prop_assert_eq!(again, change);
        }
        let _ = Roster::restore(SNAPSHOT_FORMAT, &bytes);
    }

    /// The kept records are the last ones, counted without a gap, and each change made exactly one.
    #[test]
    fn every_change_of_a_device_is_told_by_one_record(commands in commands()) {
        let (roster, stored) = run(&commands);
        for (device, known) in roster.registrations() {
            let last: Vec<_> = known.records.iter().map(|record| record.number).collect();
            let first = known.record_count + 1 - last.len() as u64;
            prop_assert_eq!(last, (first..=known.record_count).collect::<Vec<_>>());
            let of_device = stored.iter().filter(|change| Change::decode(change).unwrap().id == *device);
            prop_assert!(of_device.count() as u64 >= known.record_count);
        }
    }
}

proptest! {
    /// I35: an entry is changed by who knows how it is, and then has a version that it never had.
    #[test]
    fn an_entry_is_changed_only_by_who_knows_its_version(commands in commands()) {
        let mut roster = Roster::default();
        for (device, command, seconds) in &commands {
            let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(*seconds));
            let device = id(*device);
            let version = |roster: &Roster| {
                let known = roster.registration(&device);
                let entry = known.and_then(|known| known.enrollment.clone());
                let version = known.map_or(0, |known| known.entry_version);
                (entry.is_some().then_some(version), version, entry)
            };
            let (present, before, entry) = version(&roster);
            let decision = roster.decide(&device, command.clone(), wall);
            let (Command::Enroll { expected, .. } | Command::Unenroll { expected }) = command else {
                decision.iter().flat_map(|decision| &decision.changes).for_each(|change| roster.apply(change));
                continue;
            };
            let meets = match expected {
                Expected::Any => true,
                Expected::Absent => present.is_none(),
                Expected::Version(version) => present == Some(*version),
            };
            prop_assert!(meets || decision.is_err(), "{command:?} {present:?}");
            decision.iter().flat_map(|decision| &decision.changes).for_each(|change| roster.apply(change));
            let (_, after, now) = version(&roster);
            match now == entry {
                true => prop_assert_eq!(after, before),
                // What is removed keeps its number, so that the next one has another.
                false => prop_assert!(after > before || now.is_none()),
            }
        }
    }
}

#[test]
fn an_unknown_snapshot_is_refused() {
    let bytes = Roster::default().snapshot().unwrap();
    let refused = Roster::restore(SNAPSHOT_FORMAT + 1, &bytes).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::UnknownFormat);
}

#[test]
fn the_shard_of_an_id_never_changes() {
    for (text, shard) in SHARDS {
        assert_eq!(Roster::shard_of(&text.parse().unwrap()), shard, "{text}");
    }
}

/// FNV-1a of the id modulo 64, computed elsewhere.
const SHARDS: [(&str, u8); 3] = [("a", 12), ("sn-0042", 37), ("urn:imei:0042", 34)];
