//! Managed integrations repeat a request up to five times: whatever the order, the effects are those of one.

use std::collections::BTreeSet;
use std::time::Duration;

use account_linking::managed_integrations::StatusCode;
use account_linking::managed_integrations::connector::{Config, Event};
use proptest::prelude::*;

use crate::world::{World, activate, deactivate, discover, send, user};

const TOGGLE: &str = r#"[{"id":"0x0006","commands":[{"0x02":{}}]}]"#;

#[test]
fn five_repeats_of_each_operation_act_once_and_answer_the_same() {
    let mut world = World::new();
    for payload in [
        activate("ann-1"),
        discover("ann-1", "d1"),
        send("ann-1", "t1", TOGGLE),
        deactivate("ann-1"),
    ] {
        let first = world.ask(&payload);
        assert_eq!(first.status(), StatusCode::OK);
        for _ in 0..5 {
            assert_eq!(world.ask(&payload), first);
        }
    }
    assert_eq!((world.checks, world.lists, world.updates.len()), (3, 1, 1));
    assert_eq!((world.revoked.len(), world.sent.len()), (1, 2));
    let (activated, deactivated) = (
        Event::Activated { user: user("ann") },
        Event::Deactivated {
            user: Some(user("ann")),
        },
    );
    assert_eq!(world.events, [activated, deactivated]);
}

#[test]
fn a_repeat_with_a_token_that_was_refreshed_in_between_is_the_same_request() {
    let mut world = World::new();
    let first = world.ask(&send("ann-1", "t1", TOGGLE));
    assert_eq!(world.ask(&send("ann-2", "t1", TOGGLE)), first);
    assert_eq!(world.updates.len(), 1);
    // Of another user it is another one.
    world.ask(&send("bob-1", "t1", TOGGLE));
    assert_eq!(world.updates.len(), 2);
}

#[test]
fn a_repeat_of_what_failed_is_another_attempt() {
    let mut world = World::new();
    assert_eq!(
        world.ask(&discover("new", "d1")).status(),
        StatusCode::UNAUTHORIZED
    );
    world.tokens.insert("new".into(), "ann".into());
    assert_eq!(world.ask(&discover("new", "d1")).status(), StatusCode::OK);
    assert_eq!(world.lists, 1);
}

#[test]
fn what_is_remembered_is_forgotten_in_time_and_is_never_too_much() {
    let mut config = Config::new("c-1".parse().unwrap());
    config.max_remembered = 3;
    let mut world = World::with(config);
    for trace in ["t1", "t2", "t3"] {
        assert_eq!(
            world.ask(&send("ann-1", trace, TOGGLE)).status(),
            StatusCode::OK
        );
    }
    let full = world.ask(&send("ann-1", "t4", TOGGLE));
    assert_eq!(full.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        world.ask(&send("ann-1", "t1", TOGGLE)).status(),
        StatusCode::OK
    );
    assert_eq!(world.updates.len(), 3);
    world.pass(Duration::from_secs(600));
    assert_eq!(world.connector.next_deadline(), None);
    assert_eq!(
        world.ask(&send("ann-1", "t4", TOGGLE)).status(),
        StatusCode::OK
    );
}

#[test]
fn work_is_limited_too() {
    let mut config = Config::new("c-1".parse().unwrap());
    config.max_works = 1;
    let mut world = World::with(config);
    world.deaf.insert("list");
    assert_eq!(world.ask(&discover("ann-1", "d1")).status(), StatusCode::OK);
    assert_eq!(
        world.ask(&discover("ann-1", "d2")).status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    world.hear();
    assert_eq!(world.ask(&discover("ann-1", "d2")).status(), StatusCode::OK);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Repeats in any order, with pauses, with the driver deaf to some tasks for a while.
    #[test]
    fn repeated_and_interleaved_requests_have_the_effects_of_one_each(
        order in prop::collection::vec((0_usize..4, 0_u8..8), 4..24),
    ) {
        let requests = [
            activate("ann-1"),
            discover("ann-1", "d1"),
            send("ann-2", "t1", TOGGLE),
            send("bob-1", "t1", TOGGLE),
        ];
        let mut world = World::new();
        let mut asked: [Vec<_>; 4] = Default::default();
        let mut times = [0; 4];
        for (which, pause) in order {
            if times[which] == 6 {
                continue;
            }
            times[which] += 1;
            match pause {
                0 => { world.deaf.insert("check"); }
                1 => { world.deaf.insert("list"); }
                2 => { world.deaf.insert("update"); }
                3 => { world.deaf.insert("send"); }
                4 => world.hear(),
                _ => world.pass(Duration::from_millis(300)),
            }
            let invocation = world.begin(&requests[which]);
            asked[which].push(invocation);
        }
        world.hear();
        world.pass(Duration::from_secs(5));
        let happened = |which: usize| usize::from(times[which] > 0);
        prop_assert_eq!(world.lists, happened(1));
        prop_assert_eq!(world.updates.len(), happened(2) + happened(3));
        let events: BTreeSet<_> = world.sent.iter().map(|event| event.to_json()).collect();
        prop_assert_eq!(events.len(), happened(1) + happened(2) + happened(3));
        prop_assert_eq!(world.events.len(), happened(0));
        for invocations in asked {
            let answers: BTreeSet<_> = invocations.iter().map(|one| world.answers[one].to_json()).collect();
            // Besides the one answer: that it takes too long.
            prop_assert!(answers.len() <= 2, "{:?}", answers);
        }
    }
}
