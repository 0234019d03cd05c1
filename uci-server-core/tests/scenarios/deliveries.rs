//! Deliveries that succeed, fail and are tried again.

use super::*;

/// A world with one subscription to a light, whose first notification waits for an answer.
fn watched() -> World {
    let mut world = World::new();
    world.light();
    world.subscribe(&path(1, LIGHT), CHANGED);
    world
}

fn set(world: &mut World, power: u32) {
    world.change(device(1), LIGHT, cbor(&format!(r#"{{"power":{power}}}"#)));
}

#[test]
fn failures_are_retried_with_growing_delays_and_the_same_number() {
    for status in [408, 429, 500, 503, 404, 301] {
        let mut world = watched();
        let appends = world.journal.appends;
        let mut waits = Vec::new();
        for _ in 0..5 {
            let (id, told) = world.next_delivery().unwrap();
            assert_eq!((told.sequence, told.json()), (0, value!({"state": true})));
            world.answer_delivery(id, status);
            assert!(world.deliveries.is_empty(), "no delay after {status}");
            let wait = world.cloud.next_deadline().unwrap() - world.now;
            waits.push(wait);
            world.pass(wait);
        }
        for (failures, wait) in waits.iter().enumerate() {
            let whole = Duration::from_secs(1 << failures);
            assert!(
                *wait >= whole / 2 && *wait <= whole,
                "{status} {failures} {wait:?}"
            );
        }
        assert_eq!(world.journal.appends, appends, "a retry writes nothing");
        assert_eq!(world.receive().len(), 1);
        assert_eq!(world.journal.appends, appends + 1);
    }
}

#[test]
fn any_success_is_a_delivery() {
    for status in [200, 201, 202, 204, 299] {
        let mut world = watched();
        let (id, _) = world.next_delivery().unwrap();
        world.answer_delivery(id, status);
        assert_eq!(world.cloud.next_deadline(), None, "{status}");
    }
}

#[test]
fn retry_after_is_honored() {
    let mut world = watched();
    let (id, _) = world.next_delivery().unwrap();
    let response = http::Response::builder()
        .status(503)
        .header("retry-after", "120")
        .body(bytes::Bytes::new())
        .unwrap();
    let outcome = uci_server_core::DeliveryOutcome::from_response(&response);
    world
        .cloud
        .handle_delivery(id, Ok(outcome), world.wall, world.now);
    world.settle();
    assert_eq!(
        world.cloud.next_deadline(),
        Some(world.now + Duration::from_secs(120))
    );
}

#[test]
fn gone_removes_the_subscription_without_a_word() {
    let mut world = watched();
    set(&mut world, 1);
    let (id, _) = world.next_delivery().unwrap();
    world.answer_delivery(id, 410);
    set(&mut world, 2);
    world.pass(Duration::from_secs(3600));
    assert!(world.deliveries.is_empty());
    assert_eq!(world.cloud.next_deadline(), None);
}

#[test]
fn gone_is_final_even_before_it_is_durable() {
    let mut world = watched();
    // A registration waits for a stream that does not load, and all of the account waits behind it.
    let what = Occurrence::Registered;
    let report = uci_server_core::DeviceReport::new(account("alice"), device(5), 1, what);
    world.cloud.handle_report(report, world.wall, world.now);
    assert!(matches!(
        world.cloud.poll_output(),
        Some(uci_server_core::Output::Load { .. })
    ));
    let (id, _) = world.next_delivery().unwrap();
    world.answer_delivery(id, 410);
    world.pass(Duration::from_secs(5));
    assert!(world.deliveries.is_empty());
    world.pass(Duration::from_secs(3600));
    assert!(world.deliveries.is_empty());
    assert_eq!(world.cloud.next_deadline(), None);
}

#[test]
fn a_notification_that_is_refused_too_often_cancels_its_subscription() {
    let mut world = watched();
    set(&mut world, 1);
    for _ in 0..5 {
        let (id, told) = world.next_delivery().unwrap();
        assert_eq!(told.sequence, 0);
        world.answer_delivery(id, 400);
        world.pass(Duration::from_secs(300));
    }
    assert_eq!(world.receive(), seen(&[(1, "subscription_cancelled")]));
}

#[test]
fn a_refused_notification_does_not_hold_up_the_cancellation() {
    let mut world = World::new();
    world.light();
    let subscription = world.subscribe(&path(1, LIGHT), CHANGED);
    assert_eq!(
        world.unsubscribe(&path(1, LIGHT), &subscription),
        StatusCode::ACCEPTED
    );
    for _ in 0..5 {
        let (id, told) = world.next_delivery().unwrap();
        assert_eq!(told.sequence, 0);
        world.answer_delivery(id, 400);
        world.pass(Duration::from_secs(300));
    }
    assert_eq!(world.receive(), seen(&[(1, "subscription_cancelled")]));
    assert_eq!(world.ended, [(subscription, EndCause::Unsubscribed)]);
    assert_eq!(world.cloud.next_deadline(), None);
}

#[test]
fn newer_representations_replace_what_waits_behind_the_head() {
    let mut world = watched();
    for power in 1..=5 {
        set(&mut world, power);
    }
    let told = world.receive_all();
    let seen: Vec<_> = told
        .iter()
        .map(|told| (told.sequence, told.json()))
        .collect();
    assert_eq!(
        seen,
        [(0, value!({"state": true})), (1, value!({"power": 5}))]
    );
    set(&mut world, 6);
    assert_eq!(world.receive_all()[0].sequence, 2);
}

#[test]
fn without_coalescing_every_change_is_told() {
    let mut config = Config::default();
    config.queue.coalesce = false;
    let mut world = World::with(config);
    world.light();
    world.subscribe(&path(1, LIGHT), CHANGED);
    for power in 1..=5 {
        set(&mut world, power);
    }
    let sequences: Vec<_> = world
        .receive_all()
        .iter()
        .map(|told| told.sequence)
        .collect();
    assert_eq!(sequences, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn the_next_one_is_sent_only_when_the_last_is_marked_durably() {
    let mut world = watched();
    set(&mut world, 1);
    let (id, _) = world.next_delivery().unwrap();
    world.journal_silent = true;
    world.answer_delivery(id, 200);
    assert!(world.deliveries.is_empty());
    let append = world.unanswered.remove(0);
    world.journal_silent = false;
    let appended = world.journal.append(&append);
    world
        .cloud
        .handle_appended(append.id, appended, world.wall, world.now);
    world.settle();
    assert_eq!(world.next_delivery().unwrap().1.sequence, 1);
}

#[test]
fn a_full_queue_cancels_and_numbers_have_no_gap() {
    let mut config = Config::default();
    config.queue.limit = 8;
    let mut world = World::with(config);
    world.light();
    world.subscribe("", &["devices_online", "devices_offline"]);
    for _ in 0..10 {
        world.report(device(1), Occurrence::Offline);
        world.report(device(1), Occurrence::Online);
    }
    let expected = seen(&[(0, "devices_online"), (1, "subscription_cancelled")]);
    assert_eq!(world.receive(), expected);
}

#[test]
fn an_old_notification_cancels_its_subscription() {
    let mut world = watched();
    let mut last = None;
    for _ in 0..2000 {
        let Some((id, told)) = world.next_delivery() else {
            break;
        };
        last = Some(told.event.clone());
        world.fail_delivery(id);
        world.pass(Duration::from_secs(300));
    }
    // The cancellation was tried for its own while and then given up.
    assert_eq!(last.as_deref(), Some("subscription_cancelled"));
    assert_eq!(world.cloud.next_deadline(), None);
    set(&mut world, 1);
    assert!(world.deliveries.is_empty());
}

#[test]
fn a_dead_receiver_delays_nobody_else() {
    let mut world = watched();
    let (dead, _) = world.next_delivery().unwrap();
    world.subscribe(&path(1, LIGHT), CHANGED);
    assert_eq!(world.receive(), seen(&[(0, "resource_contentchanged")]));
    set(&mut world, 1);
    assert_eq!(world.receive(), seen(&[(1, "resource_contentchanged")]));
    world.fail_delivery(dead);
    set(&mut world, 2);
    assert_eq!(world.receive(), seen(&[(2, "resource_contentchanged")]));
}

#[test]
fn an_attempt_without_an_answer_is_repeated() {
    let mut world = watched();
    let (lost, _) = world.next_delivery().unwrap();
    world.pass(Duration::from_secs(30));
    world.pass(Duration::from_secs(1));
    let (id, told) = world.next_delivery().unwrap();
    assert_eq!(told.sequence, 0);
    // The late answer of the first attempt says nothing about the second.
    world.answer_delivery(lost, 410);
    world.answer_delivery(id, 200);
    set(&mut world, 1);
    assert_eq!(world.receive(), seen(&[(1, "resource_contentchanged")]));
}

#[test]
fn everything_survives_a_restart() {
    let mut world = watched();
    let id = world.subscribe("", DEVICES);
    set(&mut world, 1);
    set(&mut world, 2);
    world.restart();
    assert_eq!(world.presumed, [(account("alice"), device(1), 1)]);
    let told = world.receive_all();
    let light: Vec<_> = told
        .iter()
        .filter(|told| told.event == "resource_contentchanged")
        .map(|told| (told.sequence, told.json()))
        .collect();
    assert_eq!(
        light,
        [(0, value!({"state": true})), (1, value!({"power": 2}))]
    );
    assert_eq!(told.len(), 6);
    world.report(device(1), Occurrence::Offline);
    assert_eq!(world.receive(), seen(&[(4, "devices_offline")]));
    assert_eq!(world.unsubscribe("", &id), StatusCode::ACCEPTED);
}
