//! The rules of ledgers, L1 to L6, seen from outside: only what is stored survives a start.

use std::time::Duration;

use account_linking::server::{Event, Refusal};

use crate::harness::*;

/// L3: whatever was true before a start is true after it.
#[test]
fn a_restart_changes_nothing() {
    let (mut world, secrets) = World::with_clients(&[confidential(), public()]);
    let secret = secrets[0].clone().unwrap();
    let kept = link(&mut world, Some(&secret), "client-acme", "user-1");
    let first = link(&mut world, None, "client-app", "user-1")
        .refresh
        .unwrap();
    let second = tokens(&refresh(&mut world, None, "client-app", &first))
        .refresh
        .unwrap();
    let code = obtain_code(&mut world, "client-acme", "user-2", &[]);
    let spent = obtain_code(&mut world, "client-acme", "user-3", &[]);
    let lost = tokens(&redeem(&mut world, Some(&secret), "client-acme", &spent));
    redeem(&mut world, Some(&secret), "client-acme", &spent);

    let mut world = World::with_store(config(), world.store, 2);
    assert!(world.check(&kept.access).is_ok());
    let again = tokens(&refresh(&mut world, None, "client-app", &first)).refresh;
    assert_eq!(again, Some(second), "the same successor after a start");
    assert_eq!(
        redeem(&mut world, Some(&secret), "client-acme", &code).status(),
        200
    );
    assert_eq!(
        error(&redeem(&mut world, Some(&secret), "client-acme", &code)),
        "invalid_grant"
    );
    assert_eq!(world.check(&lost.access), Err(Refusal::Invalid));
}

/// L3: a snapshot and the changes after it give the same as all changes.
#[test]
fn snapshots_and_changes_agree() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let secret = secrets[0].clone().unwrap();
    let linked = link(&mut world, Some(&secret), "client-acme", "user-1");
    let token = linked.refresh.unwrap();
    for _ in 0..1030 {
        world.pass(Duration::from_secs(1));
        refresh(&mut world, Some(&secret), "client-acme", &token);
    }
    assert!(world.store.snapshots.contains_key("grants/user-1"));
    let mut without = world.store.clone();
    without.snapshots.clear();
    let mut from_changes = World::with_store(config(), without, 2);
    let mut from_snapshot = World::with_store(config(), world.store, 2);
    let user: account_linking::UserId = "user-1".parse().unwrap();
    let mut lists = Vec::new();
    for world in [&mut from_changes, &mut from_snapshot] {
        world
            .server
            .list_grants(user.clone(), world.wall, world.now)
            .unwrap();
        world.pump();
        match world.events.pop() {
            Some(Event::Grants { grants, .. }) => lists.push(grants),
            other => panic!("{other:?}"),
        }
        assert_eq!(
            refresh(world, Some(&secret), "client-acme", &token).status(),
            200
        );
    }
    assert_eq!(lists[0], lists[1]);
}

/// L2: a snapshot of an unknown format is rebuilt from all changes, or refused.
#[test]
fn an_unknown_snapshot_is_rebuilt_or_refused() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let linked = link(&mut world, secrets[0].as_deref(), "client-acme", "user-1");
    let changes = world.store.streams["grants/user-1"].clone();
    let version = changes.len() as u64;
    let unknown = account_linking::Snapshot::new(1, 999, bytes::Bytes::from_static(b"?"));
    for (kept, works) in [(changes.clone(), true), (changes[1..].to_vec(), false)] {
        let loaded = account_linking::Loaded::new(version, Some(unknown.clone()), kept);
        let mut world = World::with_store(config(), world.store.clone(), 2);
        let request = http::Request::get("/x")
            .header("authorization", format!("Bearer {}", linked.access))
            .body(bytes::Bytes::new())
            .unwrap();
        let id = world.server.authenticate(&request, world.wall, world.now);
        world.store.faults.push_back(Fault::SilentLoad);
        world.pump();
        world
            .server
            .handle_loaded("grants/user-1", &loaded, world.now);
        world.pump();
        let expected = if works {
            None
        } else {
            Some(Refusal::Unavailable)
        };
        assert_eq!(world.access.remove(&id).unwrap().err(), expected);
        let told = world
            .events
            .iter()
            .any(|event| matches!(event, Event::StreamUnreadable { .. }));
        assert_eq!(told, !works);
    }
}

/// A store counts an erasure as a version: what came before it is gone, and what came after it counts.
#[test]
fn an_erased_stream_knows_no_token_and_begins_anew() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let linked = link(&mut world, secrets[0].as_deref(), "client-acme", "user-1");
    let changes = world.store.streams["grants/user-1"].clone();
    let erased_at = changes.len() as u64 + 1;
    let again = erased_at + changes.len() as u64;
    let refused = Some(Refusal::Invalid);
    for (version, kept, expected) in [(erased_at, vec![], refused), (again, changes, None)] {
        let loaded = account_linking::Loaded::new(version, None, kept);
        let mut world = World::with_store(config(), world.store.clone(), 2);
        let request = http::Request::get("/x")
            .header("authorization", format!("Bearer {}", linked.access))
            .body(bytes::Bytes::new())
            .unwrap();
        let id = world.server.authenticate(&request, world.wall, world.now);
        world.store.faults.push_back(Fault::SilentLoad);
        world.pump();
        world
            .server
            .handle_loaded("grants/user-1", &loaded, world.now);
        world.pump();
        assert_eq!(world.access.remove(&id).unwrap().err(), expected);
        assert!(world.events.is_empty(), "{:?}", world.events);
    }
}

/// L2: what this version writes, later ones must read; these bytes are never changed.
#[test]
fn changes_of_version_0_1_are_read() {
    let stored = include_str!("../journal_compat/0.1.0/grants.hex");
    let changes: Vec<bytes::Bytes> = stored.lines().map(|line| unhex(line).into()).collect();
    let mut store = Store::default();
    store.streams.insert("grants/user-1".to_owned(), changes);
    let mut world = World::with_store(config(), store, 2);
    let user: account_linking::UserId = "user-1".parse().unwrap();
    world
        .server
        .list_grants(user, world.wall, world.now)
        .unwrap();
    world.pump();
    match world.events.last() {
        Some(Event::Grants { grants, .. }) => {
            assert_eq!(grants.len(), 1);
            assert_eq!(grants[0].client.as_str(), "client-acme");
            assert_eq!(grants[0].scopes.to_string(), "r:* w:*");
        }
        other => panic!("{other:?}"),
    }
    world
        .server
        .wake("grants/user-1", world.wall, world.now)
        .unwrap();
    world.pump();
    let ended = world
        .events
        .iter()
        .filter(|event| matches!(event, Event::GrantEnded { .. }));
    assert_eq!(ended.count(), 1);
}

/// The same for a client: its secret was replaced by the one that `[9; 32]` makes.
#[test]
fn clients_of_version_0_1_are_read() {
    let stored = include_str!("../journal_compat/0.1.0/client.hex");
    let changes: Vec<bytes::Bytes> = stored.lines().map(|line| unhex(line).into()).collect();
    let mut store = Store::default();
    store
        .streams
        .insert("client/client-acme".to_owned(), changes);
    let mut world = World::with_store(config(), store, 2);
    let secret = account_linking::ClientSecret::generate([9; 32]);
    let linked = link(&mut world, Some(secret.expose()), "client-acme", "user-1");
    assert_eq!(linked.scope, "r:* w:*");
}

/// The same for a client with a key, which was replaced by another.
#[test]
fn clients_with_keys_of_version_0_1_are_read() {
    let stored = include_str!("../journal_compat/0.1.0/keyed_client.hex");
    let changes: Vec<bytes::Bytes> = stored.lines().map(|line| unhex(line).into()).collect();
    assert_eq!(changes.len(), 3);
    let mut store = Store::default();
    store
        .streams
        .insert("client/client-keyed".to_owned(), changes);
    crate::client_assertions::only_the_second_key_is_good(store);
}

fn unhex(line: &str) -> Vec<u8> {
    let digits: Vec<u32> = line.chars().map(|c| c.to_digit(16).unwrap()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap())
        .collect()
}

/// Nothing that is stored is a secret.
#[test]
fn the_store_holds_no_secret() {
    let (mut world, secrets) = World::with_clients(&[confidential(), public()]);
    let secret = secrets[0].clone().unwrap();
    let code = obtain_code(&mut world, "client-acme", "user-1", &[]);
    let linked = tokens(&redeem(&mut world, Some(&secret), "client-acme", &code));
    let first = link(&mut world, None, "client-app", "user-1")
        .refresh
        .unwrap();
    let second = tokens(&refresh(&mut world, None, "client-app", &first))
        .refresh
        .unwrap();
    assert!(world.check(&linked.access).is_ok());
    let dump = world.store.dump();
    let texts = [
        secret,
        code,
        linked.access,
        linked.refresh.unwrap(),
        first,
        second,
        PASSWORD.to_owned(),
        verifier().expose().to_owned(),
    ];
    for text in &texts {
        use base64::Engine as _;
        let raw = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(text)
            .unwrap_or_default();
        let tail = &raw[raw.len().saturating_sub(32)..];
        assert!(
            !dump
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        );
        assert!(raw.is_empty() || !dump.windows(tail.len()).any(|window| window == tail));
    }
    let shown = format!("{:?} {}", world.server, world.shown);
    assert!(shown.contains("Respond {") && shown.contains("Verify {"));
    for text in &texts {
        // A signed token is as good as its last part: the rest is public.
        let part = text.rsplit('.').next().unwrap();
        assert!(!shown.contains(part), "{part}");
    }
    assert!(!shown.contains("__Host-session"));
}
