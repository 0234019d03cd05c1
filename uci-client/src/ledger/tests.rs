//! Rules L1 to L3: replay, snapshots, and the written form.

use bytes::Bytes;
use proptest::prelude::*;
use uci_model::{ContentFormat, CorrelationId, EventType, SubscriptionId};

use super::{Change, Command, Ledger, Outcome, Sealed, SubscribeId, Target};
use crate::append::{Loaded, Snapshot};
use crate::error::ErrorKind;

fn correlation(n: u8) -> CorrelationId {
    CorrelationId::from_entropy([n; 16])
}

fn command() -> impl Strategy<Value = Command> {
    let id = || (0..3_u64).prop_map(SubscribeId::from_u64);
    prop_oneof![
        id().prop_map(|id| Command::Want {
            id,
            target: Target::Devices,
            event_types: vec![EventType::DevicesOnline],
            format: ContentFormat::Json,
        }),
        (id(), 0..4_u8, any::<bool>()).prop_map(|(id, n, whole)| Command::Attempt {
            id,
            correlation: correlation(n),
            secret: Sealed(vec![n]),
            event_types: (!whole).then(|| vec![EventType::DevicesOnline]),
        }),
        (id(), 0..4_u8).prop_map(|(id, n)| Command::Bind {
            id,
            correlation: correlation(n),
            subscription: SubscriptionId::from_bytes([n; 16]),
        }),
        (id(), 0..4_u8, 0..6_u64, event_type()).prop_map(|(id, n, sequence, event_type)| {
            let subscription = SubscriptionId::from_bytes([n; 16]);
            Command::Notify {
                id,
                correlation: correlation(n),
                subscription,
                sequence,
                event_type,
            }
        }),
        id().prop_map(|id| Command::Release { id }),
        id().prop_map(|id| Command::Close { id }),
    ]
}

fn event_type() -> impl Strategy<Value = EventType> {
    prop_oneof![
        Just(EventType::DevicesOnline),
        Just(EventType::DevicesOffline),
        Just(EventType::SubscriptionCancelled),
    ]
}

/// Runs commands; the changes, encoded, and the ledger after them.
fn run(commands: &[Command]) -> (Ledger, Vec<Bytes>) {
    let mut ledger = Ledger::default();
    let mut changes = Vec::new();
    for command in commands {
        for change in ledger.decide(command).changes {
            changes.push(change.encode().unwrap());
            ledger.apply(&change);
        }
    }
    (ledger, changes)
}

proptest! {
    #[test]
    fn replay_and_snapshot_give_the_same_ledger(
        commands in prop::collection::vec(command(), 0..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let (ledger, changes) = run(&commands);
        let version = changes.len() as u64;
        let replayed = Ledger::load(&Loaded::new(version, None, changes.clone())).unwrap();
        prop_assert_eq!(&replayed, &ledger);
        prop_assert_eq!(replayed.snapshot().unwrap(), ledger.snapshot().unwrap());

        let cut = cut.index(changes.len().max(1));
        let (early, late) = changes.split_at(cut);
        let snapshot = Ledger::load(&Loaded::new(cut as u64, None, early.to_vec())).unwrap().snapshot().unwrap();
        let restored = Ledger::load(&Loaded::new(version, Some(snapshot.clone()), late.to_vec())).unwrap();
        prop_assert_eq!(&restored, &ledger);
        // A journal that has not truncated yet gives all changes beside the snapshot.
        let restored = Ledger::load(&Loaded::new(version, Some(snapshot), changes)).unwrap();
        prop_assert_eq!(&restored, &ledger);
    }

    #[test]
    fn numbers_only_grow(commands in prop::collection::vec(command(), 0..60)) {
        let mut ledger = Ledger::default();
        for command in &commands {
            let last = |ledger: &Ledger| match command {
                Command::Notify { id, .. } => ledger.get(*id)?.attempt.as_ref()?.last,
                _ => None,
            };
            let before = last(&ledger);
            let decision = ledger.decide(command);
            decision.changes.iter().for_each(|change| ledger.apply(change));
            if let (Command::Notify { sequence, .. }, Outcome::Fresh { gap }) = (command, decision.outcome) {
                let expected = before.map_or(0, |last| last.saturating_add(1));
                prop_assert!(*sequence >= expected);
                prop_assert_eq!(gap, *sequence > expected);
            }
        }
    }

    #[test]
    fn whatever_a_journal_holds_is_read_or_refused(
        version in 0..4_u64,
        changes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4),
    ) {
        let changes: Vec<Bytes> = changes.into_iter().map(Bytes::from).collect();
        let snapshot = changes.first().map(|bytes| Snapshot::new(version, 1, bytes.clone()));
        let _ = Ledger::load(&Loaded::new(version, None, changes.clone()));
        let _ = Ledger::load(&Loaded::new(version, snapshot, changes));
    }
}

#[test]
fn the_first_notification_of_each_event_type_is_noted_and_no_later_one() {
    let wanted = vec![EventType::DevicesOnline, EventType::DevicesOffline];
    let id = SubscribeId::from_u64(1);
    let told = |sequence, event_type| Command::Notify {
        id,
        correlation: correlation(1),
        subscription: SubscriptionId::from_bytes([1; 16]),
        sequence,
        event_type,
    };
    let (ledger, changes) = run(&[
        Command::Want {
            id,
            target: Target::Devices,
            event_types: wanted.clone(),
            format: ContentFormat::Json,
        },
        Command::Attempt {
            id,
            correlation: correlation(1),
            secret: Sealed(vec![1]),
            event_types: None,
        },
        told(0, EventType::DevicesOnline),
        told(1, EventType::DevicesOnline),
    ]);
    let firsts: Vec<Option<EventType>> = changes
        .iter()
        .filter_map(|bytes| match Change::decode(bytes).unwrap() {
            Change::Notified { first, .. } => Some(first),
            _ => None,
        })
        .collect();
    assert_eq!(firsts, [Some(EventType::DevicesOnline), None]);
    let is_told = |one| ledger.get(id).unwrap().is_told(one);
    assert_eq!([&wanted[0], &wanted[1]].map(is_told), [true, false]);
    assert!(!ledger.get(id).unwrap().is_told_all());
}

#[test]
fn a_snapshot_of_an_unknown_form_is_rebuilt_or_refused() {
    let want = Change::Released {
        id: SubscribeId::from_u64(1),
    };
    let changes = vec![want.encode().unwrap(); 2];
    let unknown = || Some(Snapshot::new(1, 99, Bytes::from_static(b"?")));
    assert_eq!(
        Ledger::load(&Loaded::new(2, unknown(), changes.clone()))
            .unwrap()
            .version(),
        2
    );
    let refused = Ledger::load(&Loaded::new(3, unknown(), changes)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unreadable);
}

/// The bytes were written by release 0.1.0 and must load for ever.
#[test]
fn changes_written_by_every_release_still_load() {
    let written = include_str!("../../tests/journal_compat/0.1.0.hex");
    let changes: Vec<Bytes> = written.lines().map(unhex).collect();
    let (ledger, expected) = run(&story());
    assert_eq!(changes, expected, "the written form has changed");
    let loaded = Ledger::load(&Loaded::new(changes.len() as u64, None, changes)).unwrap();
    assert_eq!(loaded, ledger);
}

/// One command of each kind, so that every variant of a change is written.
fn story() -> Vec<Command> {
    let (one, two) = (SubscribeId::from_u64(1), SubscribeId::from_u64(2));
    let device = "53080a4f-5e3e-4291-802f-3436238232d2".parse().unwrap();
    let target = Target::Resource {
        device,
        href: "/light/1".parse().unwrap(),
    };
    let event_types = vec![EventType::ResourceContentChanged];
    let subscription = SubscriptionId::from_bytes([7; 16]);
    vec![
        Command::Want {
            id: one,
            target,
            event_types,
            format: ContentFormat::OcfCbor,
        },
        Command::Attempt {
            id: one,
            correlation: correlation(1),
            secret: Sealed(vec![1, 2, 3]),
            event_types: None,
        },
        Command::Bind {
            id: one,
            correlation: correlation(1),
            subscription,
        },
        Command::Notify {
            id: one,
            correlation: correlation(1),
            subscription,
            sequence: 0,
            event_type: EventType::SubscriptionCancelled,
        },
        Command::Want {
            id: two,
            target: Target::Device { device },
            event_types: vec![EventType::ResourcesPublished],
            format: ContentFormat::Json,
        },
        Command::Attempt {
            id: two,
            correlation: correlation(2),
            secret: Sealed(vec![4, 5, 6]),
            event_types: Some(vec![EventType::ResourcesPublished]),
        },
        Command::Release { id: one },
        Command::Close { id: one },
        Command::Notify {
            id: two,
            correlation: correlation(2),
            subscription: SubscriptionId::from_bytes([8; 16]),
            sequence: 0,
            event_type: EventType::ResourcesPublished,
        },
    ]
}

fn unhex(line: &str) -> Bytes {
    line.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
