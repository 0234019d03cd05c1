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

#[test]
fn an_end_that_a_crash_interrupts_is_repeated_until_it_is_durable_and_told_once() {
    // The authorization server has revoked the grant durably, and tells the account until that is acknowledged. The crash
    // comes before anything, before the append, after the append, and after the acknowledgment.
    for crash in 0..4 {
        let (mut world, [first, second]) = two_clients();
        let revoked: uci_server_core::GrantId = "g1".parse().unwrap();
        let tell = |world: &mut World| {
            let alice = account("alice");
            let id = world
                .cloud
                .end_grant(alice, revoked.clone(), world.wall, world.now);
            world.settle();
            id
        };
        if crash > 0 {
            world.appends_wait = true;
            let id = tell(&mut world);
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
                assert_eq!(world.grants_ended.remove(&id), Some(Ok(())));
            }
            world.appends_wait = false;
        }
        world.restart();
        // After the restart the machine may send what it had promised until the account hears of the end; of what goes out
        // after that, nothing is a body for the first client.
        world.deliveries.clear();
        let id = tell(&mut world);
        assert_eq!(
            world.grants_ended.remove(&id),
            Some(Ok(())),
            "crash {crash}"
        );
        let again = tell(&mut world);
        assert_eq!(
            world.grants_ended.remove(&again),
            Some(Ok(())),
            "repeating is harmless"
        );
        world.change(device(1), LIGHT, cbor("{}"));
        // Attempts that were lost with the test's network are given up, and tried again.
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
    world.journal.truncate();
    let kept = world.journal.dump();
    for id in &first {
        // The rig's sealer writes the place of a secret in front of it.
        assert!(hides(&kept, format!("subscription/{id}").as_bytes()));
    }
    for id in &second {
        assert!(!hides(&kept, format!("subscription/{id}").as_bytes()));
    }
    // The truncated journal is whole: everything goes on from it.
    world.restart();
    world.change(device(1), LIGHT, cbor("{}"));
    assert_eq!(of(&world.receive_all(), &second).len(), 1);
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
