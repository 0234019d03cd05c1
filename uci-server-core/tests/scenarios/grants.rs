//! Consents that end, with two clients of one user.

use super::*;
use rig::{SECRET, Told};

const LIST: &[&str] = &["devices_online", "devices_offline"];

/// Alice with two clients, each of which watches her devices and her light. Nothing is delivered yet.
fn two_clients() -> (World, [Vec<String>; 2]) {
    let mut world = World::new();
    world.light();
    let subscriptions = ["g1", "g2"].map(|grant| {
        let paths = [(String::new(), LIST), (path(1, LIGHT), CHANGED)];
        let ids = paths.map(|(path, types)| {
            let response = world.call(&subscribe_request(&path, types), granted("alice", grant));
            assert_eq!(response.status(), StatusCode::CREATED);
            let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            body["subscriptionId"].as_str().unwrap().to_owned()
        });
        ids.to_vec()
    });
    (world, subscriptions)
}

/// What goes to these subscriptions.
fn of<'a>(told: &'a [Told], ids: &[String]) -> Vec<&'a Told> {
    told.iter()
        .filter(|told| ids.contains(&told.subscription))
        .collect()
}

fn hides(bytes: &[u8], needle: &[u8]) -> bool {
    !bytes.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn a_subscription_of_another_client_of_the_same_user_does_not_exist() {
    let (mut world, [first, second]) = two_clients();
    let light = path(1, LIGHT);
    for (path, id) in ["", &light].into_iter().zip(&first) {
        let delete = request(Method::DELETE, &format!("{path}/subscriptions/{id}"));
        let other = world.call(&delete, granted("alice", "g2")).status();
        assert_eq!(other, StatusCode::NOT_FOUND);
    }
    world.receive_all();
    // Both go on as if nothing had been asked.
    world.change(device(1), LIGHT, cbor("{}"));
    let told = world.receive_all();
    assert_eq!((of(&told, &first).len(), of(&told, &second).len()), (1, 1));
}

#[test]
fn the_end_of_a_grant_leaves_nothing_but_one_cancellation_each() {
    let (mut world, [first, second]) = two_clients();
    // The first client's receiver is down, so its queues grow.
    while let Some((id, told)) = world.next_delivery() {
        if first.contains(&told.subscription) {
            world.fail_delivery(id);
        } else {
            world.answer_delivery(id, 200);
        }
    }
    for power in 0..3 {
        world.change(device(1), LIGHT, cbor(&format!(r#"{{"power":{power}}}"#)));
    }
    world.receive_all();
    world.end_grant("g1");
    world.change(device(1), LIGHT, cbor("{}"));
    let mut told = world.receive_all();
    world.pass(Duration::from_secs(3600));
    told.extend(world.receive_all());
    for id in &first {
        let last = of(&told, std::slice::from_ref(id));
        assert_eq!(last.len(), 1);
        assert_eq!(last[0].event, "subscription_cancelled");
        assert!(last[0].body.is_empty());
    }
    let others = of(&told, &second);
    assert_eq!(others.len(), 1);
    assert_eq!(others[0].event, "resource_contentchanged");
    world.pass(Duration::from_secs(3600));
    assert!(world.receive_all().is_empty());
    let unauthorized = world.call(&request(Method::GET, ""), granted("alice", "g1"));
    assert_eq!(unauthorized.status(), StatusCode::UNAUTHORIZED);
    let other = world.call(&request(Method::GET, ""), granted("alice", "g2"));
    assert_eq!(other.status(), StatusCode::OK);
}

/// Withdraws the consent of Alice's first client.
fn end_first(world: &mut World) -> uci_server_core::GrantEndId {
    let grant = "g1".parse().unwrap();
    let end = world
        .cloud
        .end_grant(account("alice"), grant, world.wall, world.now);
    world.settle();
    end
}

/// Whether something with a body is on its way to one of these subscriptions.
fn is_told(world: &World, ids: &[String]) -> bool {
    world.deliveries.iter().any(|(_, request)| {
        let told = rig::read_notification(request);
        ids.contains(&told.subscription) && !told.body.is_empty()
    })
}

#[test]
fn an_end_is_acknowledged_when_nothing_is_being_told_under_it_any_more() {
    let (mut world, [first, second]) = two_clients();
    world.aborts_wait = true;
    assert!(is_told(&world, &first[..1]) && is_told(&world, &first[1..]));
    let end = end_first(&mut world);
    // What is on its way is stopped, the other client's is not, and the end waits for it, a repeated one too.
    assert!(!is_told(&world, &first) && is_told(&world, &second));
    let [one, other] = world.aborted[..] else {
        panic!("{:?}", world.aborted)
    };
    assert!(world.grants_ended.is_empty());
    let again = end_first(&mut world);
    assert!(world.grants_ended.is_empty());
    assert_eq!(world.aborted.len(), 2, "once is enough");
    // One got there before it was stopped.
    world.answer_delivery(one, 200);
    assert!(world.grants_ended.is_empty());
    world.fail_delivery(other);
    assert_eq!(world.grants_ended.remove(&end), Some(Ok(())));
    assert_eq!(world.grants_ended.remove(&again), Some(Ok(())));
    // Their end is told at once; the numbers of what may have got there are not given again.
    let told = world.receive_all();
    let told: Vec<_> = of(&told, &first)
        .iter()
        .map(|told| (told.sequence, told.event.as_str()))
        .collect();
    assert_eq!(told, [(1, "subscription_cancelled"); 2]);
}

#[test]
fn an_end_waits_no_longer_than_an_attempt_may_take() {
    let (mut world, [first, _]) = two_clients();
    world.aborts_wait = true;
    let end = end_first(&mut world);
    world.pass(Duration::from_secs(29));
    assert!(world.grants_ended.is_empty());
    world.pass(Duration::from_secs(1));
    assert_eq!(world.grants_ended.remove(&end), Some(Ok(())));
    assert!(!is_told(&world, &first));
    let told = world.receive_all();
    assert_eq!(of(&told, &first).len(), 2);
    assert!(of(&told, &first).iter().all(|told| told.body.is_empty()));
}

#[test]
fn an_end_waits_for_attempts_of_an_account_that_was_forgotten_meanwhile() {
    let (mut world, [first, _]) = two_clients();
    world.aborts_wait = true;
    world.journal.always = Some(uci_server_core::Appended::Unknown);
    let refused = world.report_as("alice", device(1), 1, Occurrence::Offline);
    assert_eq!(refused, Err(ErrorKind::Unavailable));
    world.journal.always = None;
    // All that was on its way is stopped, but it is not said yet that it is: nobody is sent anything until then.
    assert_eq!(world.aborted.len(), 4);
    let end = end_first(&mut world);
    assert!(world.grants_ended.is_empty() && world.deliveries.is_empty());
    for id in std::mem::take(&mut world.aborted) {
        world.fail_delivery(id);
    }
    assert_eq!(world.grants_ended.remove(&end), Some(Ok(())));
    assert_eq!(world.deliveries.len(), 4);
    assert!(!is_told(&world, &first));
}

#[test]
fn an_attempt_that_takes_too_long_is_stopped() {
    let (mut world, _) = two_clients();
    let under_way: Vec<_> = world.deliveries.iter().map(|(id, _)| *id).collect();
    world.pass(Duration::from_secs(29));
    assert!(world.aborted.is_empty());
    world.pass(Duration::from_secs(1));
    assert_eq!(world.aborted, under_way);
}

#[test]
fn an_end_that_a_crash_interrupts_is_repeated_until_it_is_durable_and_told_once() {
    // The authorization server has revoked the grant durably, and tells the account until that is acknowledged. The crash
    // comes before anything, before the append, after the append, and after the acknowledgment.
    for crash in 0..4 {
        let (mut world, [first, second]) = two_clients();
        // What is on its way to the clients gets lost with the first process.
        world.deliveries.clear();
        if crash > 0 {
            world.appends_wait = true;
            let id = end_first(&mut world);
            assert!(
                world.grants_ended.is_empty(),
                "acknowledged before it is durable"
            );
            let append = world.unanswered.remove(0);
            if crash > 1 {
                world.journal.append(&append);
            }
            if crash > 2 {
                let done = uci_server_core::Appended::Done;
                world
                    .cloud
                    .handle_appended(append.id, done, world.wall, world.now);
                world.settle();
                assert!(!is_told(&world, &first));
                assert_eq!(world.grants_ended.remove(&id), Some(Ok(())));
            }
            world.appends_wait = false;
        }
        world.restart();
        // A machine that starts again knows of an end that was durable. Of one that was not it cannot know: until it is
        // repeated, what was promised is told. Whoever ends grants repeats them before accounts are woken.
        assert_eq!(is_told(&world, &first), crash < 2, "crash {crash}");
        let id = end_first(&mut world);
        assert!(!is_told(&world, &first), "crash {crash}");
        assert_eq!(
            world.grants_ended.remove(&id),
            Some(Ok(())),
            "crash {crash}"
        );
        let again = end_first(&mut world);
        assert_eq!(
            world.grants_ended.remove(&again),
            Some(Ok(())),
            "repeating is harmless"
        );
        world.change(device(1), LIGHT, cbor("{}"));
        let mut told = world.receive_all();
        for _ in 0..3 {
            world.pass(Duration::from_secs(120));
            told.extend(world.receive_all());
        }
        for id in &first {
            let last = of(&told, std::slice::from_ref(id));
            assert_eq!(last.len(), 1, "crash {crash}: {last:?}");
            assert_eq!(last[0].event, "subscription_cancelled");
        }
        assert!(of(&told, &second).len() >= 2, "crash {crash}: {told:?}");
    }
}

#[test]
fn the_secrets_of_an_ended_grant_leave_the_journal_with_its_last_word() {
    let (mut world, [first, second]) = two_clients();
    world.receive_all();
    world.end_grant("g1");
    world.receive_all();
    assert!(are_forgotten(&mut world, &first));
    for id in &second {
        assert!(!are_forgotten(&mut world, std::slice::from_ref(id)));
    }
    // The truncated journal is whole: everything goes on from it.
    world.restart();
    world.change(device(1), LIGHT, cbor("{}"));
    assert_eq!(of(&world.receive_all(), &second).len(), 1);
}

/// Whether the journal, once it has removed what it may, holds the sealed secrets of none of these subscriptions.
fn are_forgotten(world: &mut World, ids: &[String]) -> bool {
    world.journal.truncate();
    let kept = world.journal.dump();
    // The rig's sealer writes the place of a secret in front of it.
    ids.iter()
        .all(|id| hides(&kept, format!("subscription/{id}").as_bytes()))
}

#[test]
fn the_secrets_of_subscriptions_that_were_gone_before_leave_the_journal_with_their_grant() {
    let (mut world, [first, second]) = two_clients();
    world.receive_all();
    // One is unsubscribed, the other's receiver does not want it.
    assert_eq!(world.unsubscribe("", &first[0]), StatusCode::ACCEPTED);
    world.receive_all();
    world.change(device(1), LIGHT, cbor("{}"));
    while let Some((id, told)) = world.next_delivery() {
        let gone = told.subscription == first[1];
        world.answer_delivery(id, if gone { 410 } else { 200 });
    }
    // While the consent lasts that is not worth a snapshot.
    assert_eq!(world.saves, 0);
    assert!(!are_forgotten(&mut world, &first));
    world.end_grant("g1");
    assert_eq!(world.saves, 1);
    assert!(are_forgotten(&mut world, &first));
    assert!(!are_forgotten(&mut world, &second));
    // So they do when the account was loaded anew in between.
    assert_eq!(
        world
            .call(
                &request(Method::DELETE, &format!("/subscriptions/{}", second[0])),
                granted("alice", "g2")
            )
            .status(),
        StatusCode::ACCEPTED
    );
    world.receive_all();
    world.restart();
    assert!(!are_forgotten(&mut world, &second[..1]));
    world.end_grant("g2");
    assert!(are_forgotten(&mut world, &second[..1]));
}

#[test]
fn a_snapshot_that_was_not_kept_is_owed_until_it_is() {
    let (mut world, [first, _]) = two_clients();
    world.receive_all();
    world.saves_fail = true;
    world.end_grant("g1");
    world.receive_all();
    let handed_out = world.saves;
    assert!(handed_out > 0 && !are_forgotten(&mut world, &first));
    world.pass(Duration::from_secs(10));
    assert_eq!(world.saves, handed_out + 1, "it is asked for again");
    world.saves_fail = false;
    world.pass(Duration::from_secs(10));
    assert_eq!(world.saves, handed_out + 2);
    assert!(are_forgotten(&mut world, &first));
    world.pass(Duration::from_secs(100));
    assert_eq!(world.saves, handed_out + 2, "and then no more");
}

#[test]
fn what_a_crash_kept_from_being_forgotten_is_forgotten_at_the_next_start() {
    let (mut world, [first, second]) = two_clients();
    world.receive_all();
    world.report(device(1), Occurrence::Offline);
    world.receive_all();
    world.saves_fail = true;
    world.end_grant("g1");
    world.receive_all();
    // Nothing but that makes the cloud load the account when it starts.
    assert!(world.journal.due.contains_key("account/alice"));
    world.saves_fail = false;
    world.restart();
    assert!(are_forgotten(&mut world, &first));
    // It is owed no more.
    world.change(device(1), LIGHT, cbor("{}"));
    assert_eq!(of(&world.receive_all(), &second).len(), 1);
    assert!(!world.journal.due.contains_key("account/alice"));
}

#[test]
fn no_byte_in_the_journal_is_a_signing_secret_in_clear() {
    let mut config = Config::default();
    config.snapshot_every = 2;
    let mut world = World::with(config);
    world.light();
    for (path, types) in [(String::new(), LIST), (path(1, LIGHT), CHANGED)] {
        world.subscribe(&path, types);
        world.receive_all();
    }
    world.change(device(1), LIGHT, cbor("{}"));
    let kept = world.journal.dump();
    assert!(!world.journal.snapshots.is_empty());
    assert!(
        !hides(&kept, b"subscription/"),
        "the dump holds what is sealed"
    );
    assert!(hides(&kept, SECRET.as_bytes()));
    let export = serde_json::to_vec(&world.export("alice")).unwrap();
    assert!(hides(&export, SECRET.as_bytes()) && hides(&export, b"sealed"));
}

#[test]
fn withdrawn_links_end_what_watches_them() {
    let (mut world, [first, _]) = two_clients();
    world.receive_all();
    let light = world.subscribe(&format!("/{}", device(1)), PUBLISHED);
    world.receive_all();
    let withdrawn = Occurrence::LinksWithdrawn(vec![LIGHT.parse().unwrap()]);
    world.change(device(1), LIGHT, cbor(r#"{"last":true}"#));
    world.report(device(1), withdrawn);
    let told = world.receive_all();
    // What came before the withdrawal is still told, then the end.
    let last: Vec<_> = of(&told, &first[1..])
        .iter()
        .map(|told| told.event.as_str())
        .collect();
    assert_eq!(last, ["resource_contentchanged", "subscription_cancelled"]);
    let unpublished = of(&told, &[light]);
    assert_eq!(unpublished[0].event, "resources_unpublished");
    let causes: Vec<_> = world.ended.iter().map(|(_, cause)| *cause).collect();
    assert_eq!(causes, [EndCause::LinkWithdrawn; 2]);
    // Published again, it is there to be subscribed to, and nobody hears of it without that.
    world.report(device(1), Occurrence::LinksPublished(vec![link(LIGHT)]));
    world.receive_all();
    world.change(device(1), LIGHT, cbor("{}"));
    assert!(world.receive_all().is_empty());
}
