//! The rules of a ledger, L1 to L6, over random commands.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

#[path = "rig/rig.rs"]
mod rig;

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rig::{cbor, device, json, link};
use uci_model::{ContentFormat, DeviceProperties, EventType, SubscriptionId};
use uci_server_core::account::{
    Account, Change, Command, EndCause, Fact, Moment, NewSubscription, SNAPSHOT_FORMAT, Target,
};
use uci_server_core::{AccountLimits, Occurrence, QueueRules, UnixMillis};

fn id(number: u8) -> SubscriptionId {
    SubscriptionId::from_bytes([number; 16])
}

fn target(choice: u8) -> Target {
    match choice % 3 {
        0 => Target::Devices,
        1 => Target::Device(device(choice % 2)),
        _ => Target::Resource(device(choice % 2), "/light/1".parse().unwrap()),
    }
}

fn event_types(target: &Target) -> Vec<EventType> {
    match target {
        Target::Devices => vec![
            EventType::DevicesRegistered,
            EventType::DevicesUnregistered,
            EventType::DevicesOnline,
            EventType::DevicesOffline,
        ],
        Target::Device(_) => vec![
            EventType::ResourcesPublished,
            EventType::ResourcesUnpublished,
        ],
        _ => vec![EventType::ResourceContentChanged],
    }
}

fn subscription(number: u8, level: u8, coalesce: bool) -> NewSubscription {
    let target = target(level);
    let mut rules = QueueRules::default();
    rules.coalesce = coalesce;
    rules.limit = 8;
    NewSubscription::new(
        event_types(&target),
        target,
        format!("g{}", number % 2).parse().unwrap(),
        "client".parse().unwrap(),
        "https://events.example.com/".to_owned(),
        vec![1, 2, 3].into(),
        if level.is_multiple_of(2) {
            ContentFormat::Json
        } else {
            ContentFormat::OcfCbor
        },
        rules,
    )
}

fn properties(number: u8, value: u8) -> DeviceProperties {
    let mut properties = DeviceProperties::new(device(number));
    properties.name = format!("Lamp {value}");
    properties.extra.insert("x".to_owned(), 1.5.into());
    properties
}

fn commands() -> impl Strategy<Value = Vec<(Command, u64)>> {
    let light = || "/light/1".parse().unwrap();
    let report =
        (0..2_u8, 0..9_u8, 0..4_u8, 1..3_u64).prop_map(move |(number, kind, value, generation)| {
            let occurrence = match kind {
                0 => Occurrence::Registered,
                1 => Occurrence::Online,
                2 => Occurrence::Offline,
                3 => Occurrence::LinksPublished(vec![link("/light/1"), link("/b")]),
                4 => Occurrence::LinksWithdrawn(vec![]),
                5 => Occurrence::Unregistered,
                6 => Occurrence::RepresentationChanged {
                    href: light(),
                    content: json(&format!("{{\"v\":{value}.5}}")),
                },
                7 => Occurrence::Described(Box::new(properties(number, value))),
                _ => Occurrence::RepresentationChanged {
                    href: light(),
                    content: cbor(&format!("{{\"v\":{value}}}")),
                },
            };
            Command::Report {
                device: device(number),
                generation,
                occurrence,
            }
        });
    let subscribe = (0..6_u8, any::<u8>(), any::<bool>()).prop_map(|(number, level, coalesce)| {
        Command::Subscribe {
            id: id(number),
            made: Box::new(subscription(number, level, coalesce)),
        }
    });
    let other = (0..6_u8, 0..4_u8, 0..12_u64).prop_map(|(number, kind, sequence)| match kind {
        0 => Command::Delivered {
            id: id(number),
            sequence,
        },
        1 => Command::End {
            id: id(number),
            cause: EndCause::Expired,
        },
        2 => Command::Remove { id: id(number) },
        3 if sequence == 0 => Command::Erase,
        _ => Command::EndGrant {
            grant: format!("g{}", number % 2).parse().unwrap(),
            remember_for: Duration::from_secs(1000),
        },
    });
    let command = prop_oneof![10 => report, 3 => subscribe, 4 => other];
    prop::collection::vec((command, 0..2_000_000_u64), 1..80)
}

/// Runs commands as a machine does, and keeps what a journal would.
fn run(commands: &[(Command, u64)]) -> (Account, Vec<Change>) {
    let mut account = Account::default();
    let mut journal = Vec::new();
    for (command, wall) in commands {
        // A subscription's id is never used twice.
        if let Command::Subscribe { id, .. } = command
            && account.subscription(*id).is_some()
        {
            continue;
        }
        let moment = Moment::new(UnixMillis(*wall), AccountLimits::default());
        let before = account.snapshot().unwrap();
        let Ok(changes) = account.decide(command, &moment) else {
            assert_eq!(
                account.snapshot().unwrap(),
                before,
                "a refused command changed something"
            );
            continue;
        };
        assert_eq!(account.decide(command, &moment).unwrap(), changes, "L1");
        assert_eq!(
            account.snapshot().unwrap(),
            before,
            "decide touched something"
        );
        for change in &changes {
            account.apply(change);
        }
        journal.extend(changes);
    }
    (account, journal)
}

fn replay(changes: &[Change], mut account: Account) -> Account {
    for change in changes {
        account.apply(&Change::decode(&change.encode().unwrap()).unwrap());
    }
    account
}

/// What the index says, which no snapshot holds.
fn derived(account: &Account) -> String {
    let owing: Vec<_> = account.owing().collect();
    let online: Vec<_> = account.online_devices().collect();
    format!("{owing:?} {online:?} {:?}", account.due())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn l2_a_change_reads_back_as_it_was_written(commands in commands()) {
        for change in run(&commands).1 {
            prop_assert_eq!(Change::decode(&change.encode().unwrap()).unwrap(), change);
        }
    }

    #[test]
    fn l3_replaying_gives_the_same_ledger(commands in commands(), cut in any::<prop::sample::Index>()) {
        let (account, journal) = run(&commands);
        let whole = replay(&journal, Account::default());
        prop_assert_eq!(account.snapshot().unwrap(), whole.snapshot().unwrap());
        prop_assert_eq!(derived(&account), derived(&whole));
        let cut = cut.index(journal.len() + 1);
        let half = replay(&journal[..cut], Account::default()).snapshot().unwrap();
        let rest = replay(&journal[cut..], Account::from_snapshot(SNAPSHOT_FORMAT, &half).unwrap());
        prop_assert_eq!(account.snapshot().unwrap(), rest.snapshot().unwrap());
        prop_assert_eq!(derived(&account), derived(&rest));
    }

    #[test]
    fn time_in_a_ledger_never_runs_backwards(commands in commands()) {
        let journal = run(&commands).1;
        prop_assert!(journal.is_sorted_by_key(|change| change.at));
    }

    #[test]
    fn queues_have_no_gaps_and_end_with_the_cancellation(commands in commands()) {
        let mut account = Account::default();
        for change in run(&commands).1 {
            account.apply(&change);
            for number in 0..6 {
                let Some(subscription) = account.subscription(id(number)) else { continue };
                let queue: Vec<_> = subscription.queue().collect();
                prop_assert!(queue.windows(2).all(|pair| pair[0].sequence() + 1 == pair[1].sequence()));
                let cancellations = queue
                    .iter()
                    .filter(|waiting| *waiting.event_type() == EventType::SubscriptionCancelled)
                    .count();
                prop_assert_eq!(cancellations, usize::from(subscription.ended().is_some()));
                if subscription.ended().is_some() {
                    let last = queue.last().unwrap();
                    prop_assert_eq!(last.event_type(), &EventType::SubscriptionCancelled);
                }
                // Its end fits besides what the limit allows.
                prop_assert!(queue.len() <= 9);
            }
        }
    }

    #[test]
    fn any_bytes_are_a_change_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Change::decode(&bytes);
        let _ = Account::from_snapshot(SNAPSHOT_FORMAT, &bytes);
    }
}

/// What the random commands above come to.
#[test]
fn everything_that_can_happen_is_among_what_is_replayed() {
    let mut runner = TestRunner::deterministic();
    let mut happened = BTreeSet::new();
    for _ in 0..128 {
        let commands = commands().new_tree(&mut runner).unwrap().current();
        for change in run(&commands).1 {
            let name = format!("{:?}", change.fact);
            let end = name.find([' ', '{']).unwrap_or(name.len());
            happened.insert(name[..end].to_owned());
            if let Fact::DeviceRegistered { generation: 2, .. } = change.fact {
                happened.insert("in a second generation".to_owned());
            }
        }
    }
    let everything = [
        "Delivered",
        "DeviceDescribed",
        "DeviceOffline",
        "DeviceOnline",
        "DeviceRegistered",
        "DeviceUnregistered",
        "Erased",
        "GrantEnded",
        "LinksPublished",
        "LinksWithdrawn",
        "RepresentationChanged",
        "Subscribed",
        "SubscriptionEnded",
        "SubscriptionRemoved",
        "in a second generation",
    ];
    assert!(happened.iter().eq(everything), "{happened:?}");
}

#[test]
fn an_unknown_snapshot_format_is_refused() {
    let snapshot = Account::default().snapshot().unwrap();
    let error = Account::from_snapshot(SNAPSHOT_FORMAT + 1, &snapshot).unwrap_err();
    assert_eq!(error.kind(), uci_server_core::ErrorKind::Journal);
}
