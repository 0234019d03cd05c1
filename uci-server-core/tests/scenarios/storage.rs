//! Journals that are slow, silent or elsewhere.

use super::*;

#[test]
fn a_journal_that_does_not_answer_is_a_503() {
    let mut world = World::new();
    world.light();
    world.journal_silent = true;
    let id = world.start(&subscribe_request("", DEVICES), granted("alice", "g1"));
    // The same append is repeated, and given up after its last attempt.
    let name = world.unanswered[0].id;
    world.pass(Duration::from_secs(2));
    assert_eq!(world.unanswered.len(), 2);
    assert!(world.unanswered.iter().all(|append| append.id == name));
    for _ in 0..4 {
        world.pass(Duration::from_secs(2));
    }
    let response = &world.responses[&id];
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "60");
    world.journal_silent = false;
    assert_eq!(world.get("").status(), StatusCode::OK);
}

#[test]
fn a_conflict_is_decided_again_on_what_is_there() {
    let mut world = World::new();
    world.light();
    // Another node appended behind this one's back.
    let name = "account/alice";
    let mut change = Change::decode(&world.journal.streams[name][1]).unwrap();
    change.fact = Fact::DeviceOffline { device: device(1) };
    let bytes = change.encode().unwrap();
    world.journal.streams.get_mut(name).unwrap().push(bytes);
    world.subscribe("", &["devices_offline"]);
    let told = world.receive_all();
    assert_eq!(told[0].json(), value!([{"di": device(1).to_string()}]));
}

#[test]
fn an_account_that_another_node_owns_is_forgotten() {
    let mut world = World::new();
    world.light();
    world.journal_silent = true;
    let id = world.start(&subscribe_request("", DEVICES), granted("alice", "g1"));
    let append = world.unanswered.remove(0);
    let fenced = uci_server_core::Appended::Fenced;
    world
        .cloud
        .handle_appended(append.id, fenced, world.wall, world.now);
    let mut saw = Vec::new();
    while let Some(output) = world.cloud.poll_output() {
        saw.push(format!("{output:?}"));
    }
    assert!(
        saw[0].contains("503") && saw[0].contains(&format!("{id:?}")),
        "{saw:?}"
    );
    assert!(saw[1].contains("Fenced"), "{saw:?}");
    assert_eq!(saw.len(), 2);
}

#[test]
fn snapshots_shorten_loading_and_change_nothing() {
    let mut config = Config::default();
    config.snapshot_every = 3;
    let mut world = World::with(config);
    world.light();
    world.subscribe(&path(1, LIGHT), CHANGED);
    for power in 0..9 {
        world.change(device(1), LIGHT, cbor(&format!(r#"{{"power":{power}}}"#)));
    }
    let before = world.get_json("?content=all");
    assert!(world.journal.snapshots["account/alice"].version > 6);
    world.restart();
    assert_eq!(world.get_json("?content=all"), before);
    assert_eq!(world.receive().len(), 2);
}

#[test]
fn nothing_is_answered_from_what_is_not_durable() {
    let mut world = World::new();
    world.light();
    world.journal_silent = true;
    let what = Occurrence::Offline;
    let report = uci_server_core::DeviceReport::new(account("alice"), device(1), 1, what);
    let report = world.cloud.handle_report(report, world.wall, world.now);
    let list = world.start(&request(Method::GET, ""), granted("alice", "g1"));
    assert!(world.reported.is_empty() && world.responses.is_empty());
    let append = world.unanswered.remove(0);
    let appended = world.journal.append(&append);
    world
        .cloud
        .handle_appended(append.id, appended, world.wall, world.now);
    world.settle();
    assert_eq!(world.reported.get(&report), Some(&Ok(())));
    let list: serde_json::Value = serde_json::from_slice(world.responses[&list].body()).unwrap();
    assert_eq!(list[0]["status"], "offline");
}

#[test]
fn an_account_that_could_not_be_loaded_goes_on_when_it_is_woken() {
    let mut world = World::new();
    world.light();
    world.subscribe(&path(1, LIGHT), CHANGED);
    world.journal_silent = true;
    world.restart();
    assert_eq!(world.get("").status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.stalled, [account("alice"), account("alice")]);
    assert!(world.deliveries.is_empty());
    world.journal_silent = false;
    world.cloud.wake(account("alice"), world.wall, world.now);
    world.settle();
    assert_eq!(world.receive(), seen(&[(0, "resource_contentchanged")]));
}

#[test]
fn a_cancelled_request_is_never_answered() {
    let mut world = World::new();
    world.light();
    let id = world.start(
        &request(Method::GET, &path(1, LIGHT)),
        granted("alice", "g1"),
    );
    world.cloud.cancel_request(id);
    world.answer_ask(69, None);
    world.pass(Duration::from_secs(60));
    assert!(world.responses.is_empty());
    assert_eq!(world.cloud.next_deadline(), None);
}

#[test]
fn too_many_requests_at_once_are_turned_away() {
    let mut config = Config::default();
    config.max_pending = 1;
    let mut world = World::with(config);
    world.light();
    let first = world.start(
        &request(Method::GET, &path(1, LIGHT)),
        granted("alice", "g1"),
    );
    let second = world.start(&request(Method::GET, ""), granted("alice", "g1"));
    assert_eq!(
        world.responses[&second].status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert!(!world.responses.contains_key(&first));
}
