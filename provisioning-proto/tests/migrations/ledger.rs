//! The rules of the ledger: deciding is pure, applying is total, replaying gives the same byte for byte.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use provisioning_proto::ErrorKind;
use provisioning_proto::migration::*;

use crate::harness::{device, point};

fn command() -> impl Strategy<Value = Command> {
    let ways = prop_oneof![
        Just(Way::Direct { to: point("b") }),
        Just(Way::Transfer {
            transfer: "00112233445566778899aabbccddeeff".parse().unwrap(),
            instance: "new".to_owned(),
        }),
    ];
    prop_oneof![
        3 => (ways, 1..4_usize).prop_map(|(way, most)| Command::Plan { plan: Plan::new(point("a"), way), most }),
        3 => Just(Command::Begin),
        3 => Just(Command::Prepare),
        3 => Just(Command::Confirm),
        3 => Just(Command::Finish),
        2 => prop_oneof![
            Just(AbortCause::Operator), Just(AbortCause::TimedOut), Just(AbortCause::Refused)
        ].prop_map(|cause| Command::Abort { cause }),
        2 => Just(Command::EndAbort),
        2 => Just(Command::EndAlone { without: "new".to_owned() }),
        2 => Just(Command::LetGo),
    ]
}

fn run(commands: &[(u8, Command, u32)]) -> (Plans, Vec<Vec<u8>>) {
    let mut plans = Plans::default();
    let mut stored = Vec::new();
    for (number, command, seconds) in commands {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(*seconds));
        let id = device(&format!("dev-{number}"));
        let before = plans.clone();
        let decision = plans.decide(&id, command.clone(), wall);
        assert_eq!(plans, before, "deciding touched the ledger");
        for change in decision.into_iter().flat_map(|decision| decision.changes) {
            stored.push(change.encode().unwrap());
            plans.apply(&change);
        }
        assert!(plans.migrations().len() <= 4);
    }
    (plans, stored)
}

fn slices(stored: &[Vec<u8>]) -> impl Iterator<Item = &[u8]> {
    stored.iter().map(Vec::as_slice)
}

proptest! {
    #[test]
    fn replaying_gives_the_same_migrations(
        commands in prop::collection::vec((0..5_u8, command(), any::<u32>()), 0..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let (plans, stored) = run(&commands);
        let cut = cut.index(stored.len() + 1);
        let half = Plans::replay(slices(&stored[..cut])).unwrap();
        let mut rest = Plans::restore(SNAPSHOT_FORMAT, &half.snapshot().unwrap()).unwrap();
        rest.replay_after(slices(&stored[cut..])).unwrap();
        prop_assert_eq!(rest.snapshot().unwrap(), plans.snapshot().unwrap());
        prop_assert_eq!(Plans::replay(slices(&stored)).unwrap(), plans);
        // In any other order they are taken in too.
        prop_assert!(Plans::replay(stored.iter().rev().map(Vec::as_slice)).is_ok());
    }

    #[test]
    fn reading_any_bytes_ends(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(change) = Change::decode(&bytes) {
            prop_assert_eq!(Change::decode(&change.encode().unwrap()).unwrap(), change);
        }
        let _ = Plans::restore(SNAPSHOT_FORMAT, &bytes);
        let _ = Bundle::decode(&bytes);
    }
}

#[test]
fn the_oldest_that_has_ended_goes_where_there_is_no_room() {
    let plan = |most| Command::Plan {
        plan: Plan::new(point("a"), Way::Direct { to: point("b") }),
        most,
    };
    let commands = [
        (0, plan(2), 1),
        (1, plan(2), 2),
        (
            1,
            Command::Abort {
                cause: AbortCause::Operator,
            },
            3,
        ),
        (1, Command::EndAbort, 4),
        (2, plan(2), 5),
    ];
    let (plans, _) = run(&commands);
    let kept: Vec<_> = plans.migrations().keys().map(ToString::to_string).collect();
    assert_eq!(kept, ["dev-0", "dev-2"]);
    let wall = SystemTime::UNIX_EPOCH;
    assert_eq!(
        plans.decide(&device("dev-3"), plan(2), wall),
        Err(ErrorKind::Full)
    );
    assert_eq!(
        plans.decide(&device("dev-0"), plan(9), wall),
        Err(ErrorKind::Exists)
    );
    let unknown = plans.decide(&device("dev-9"), commands[2].1.clone(), wall);
    assert_eq!(unknown, Err(ErrorKind::UnknownEntry));
    assert!(Plans::restore(SNAPSHOT_FORMAT + 1, &plans.snapshot().unwrap()).is_err());
}

/// A transfer to the instance "new" is planned.
fn transfer_to_new() -> Command {
    let way = Way::Transfer {
        transfer: "00112233445566778899aabbccddeeff".parse().unwrap(),
        instance: "new".to_owned(),
    };
    let plan = Plan::new(point("a"), way);
    Command::Plan { plan, most: 9 }
}

#[test]
fn an_abort_is_ended_alone_only_while_it_waits_for_the_instance_that_is_named() {
    use Command::{Begin, Confirm, EndAbort, Finish, LetGo, Prepare};
    let transfer = transfer_to_new();
    let direct = Command::Plan {
        plan: Plan::new(point("a"), Way::Direct { to: point("b") }),
        most: 9,
    };
    let abort = Command::Abort {
        cause: AbortCause::Operator,
    };
    let end = |without: &str| Command::EndAlone {
        without: without.to_owned(),
    };

    let (unknown, early) = (Err(ErrorKind::UnknownEntry), Err(ErrorKind::Conflict));
    let (named, late) = (Err(ErrorKind::InvalidValue), Err(ErrorKind::InUse));
    let stories: [(&[Command], Command, Result<usize, ErrorKind>); 17] = [
        (&[], end("new"), unknown),
        (&[], LetGo, unknown),
        (std::slice::from_ref(&transfer), end("new"), early),
        (&[transfer.clone(), Begin], end("new"), early),
        (&[transfer.clone(), Begin, Prepare], end("new"), early),
        (&[transfer.clone(), Begin, Confirm], end("new"), late),
        (
            &[transfer.clone(), Begin, Confirm, Finish],
            end("new"),
            unknown,
        ),
        (
            &[transfer.clone(), abort.clone(), EndAbort],
            end("new"),
            unknown,
        ),
        (
            &[transfer.clone(), abort.clone(), Confirm],
            end("new"),
            late,
        ),
        (&[transfer.clone(), abort.clone()], end("old"), named),
        (&[direct, abort.clone()], end("b"), named),
        (&[transfer.clone(), abort.clone()], end("new"), Ok(1)),
        (&[transfer.clone(), abort.clone()], LetGo, unknown),
        (
            &[transfer.clone(), abort.clone(), end("new")],
            end("new"),
            Ok(0),
        ),
        (
            &[transfer.clone(), abort.clone(), end("new")],
            LetGo,
            unknown,
        ),
        (
            &[transfer.clone(), abort.clone(), end("new"), EndAbort],
            LetGo,
            unknown,
        ),
        (
            &[transfer.clone(), abort, end("new"), Confirm],
            LetGo,
            Ok(1),
        ),
    ];
    for (before, command, expected) in stories {
        let before: Vec<_> = before.iter().map(|one| (0, one.clone(), 1)).collect();
        let (plans, _) = run(&before);
        let id = device("dev-0");
        let decided = plans.decide(&id, command.clone(), SystemTime::UNIX_EPOCH);
        let decided = decided.map(|decision| decision.changes.len());
        assert_eq!(decided, expected, "{command:?} after {before:?}");
    }
}

/// The first word of the other instance counts, as it does there.
#[test]
fn what_is_heard_after_an_abort_was_ended_alone_is_noted_once_and_moves_nothing() {
    let plan = transfer_to_new();
    let abort = Command::Abort {
        cause: AbortCause::TimedOut,
    };
    let end = Command::EndAlone {
        without: "new".to_owned(),
    };
    for (said, other, noted) in [
        (Command::Confirm, Command::EndAbort, Alone::Seen),
        (Command::EndAbort, Command::Confirm, Alone::GivenBack),
    ] {
        let mut story = vec![
            (0, plan.clone(), 1),
            (0, abort.clone(), 2),
            (0, end.clone(), 3),
        ];
        let (plans, _) = run(&story);
        let ended = plans.migration(&device("dev-0")).unwrap().clone();
        assert_eq!(
            (ended.stage, ended.alone),
            (Stage::Aborted, Some(Alone::Unheard))
        );
        let refused = Command::Abort {
            cause: AbortCause::Refused,
        };
        for command in [
            Command::Begin,
            Command::Prepare,
            refused,
            said.clone(),
            other,
            said,
        ] {
            story.push((0, command, 9));
        }
        let (plans, stored) = run(&story);
        assert_eq!(stored.len(), 4, "more than one word is noted");
        let heard = plans.migration(&device("dev-0")).unwrap();
        assert_eq!(heard.alone, Some(noted));
        assert_eq!((heard.stage, heard.cause), (Stage::Aborted, ended.cause));
        assert_eq!(heard.moved_at, ended.moved_at);
    }
}
