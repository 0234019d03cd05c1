//! What goes wrong outside of this machine, and what is left of a link then.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use account_linking::AccessToken;
use account_linking::client::{
    Cloud, Config, Event, Failure, Identity, Refusal, RelinkReason, Start,
};

use crate::world::{Responder, World, browser, cloud, cloud_id, friendly, json, jwt, tokens, user};

const HOUR: Duration = Duration::from_secs(3600);

fn refreshes(world: &World) -> usize {
    world.count("/token", "grant_type", "refresh_token")
}

fn relinks(world: &World) -> Vec<RelinkReason> {
    let told = world.events.iter().filter_map(|event| match event {
        Event::RelinkNeeded { reason, .. } => Some(*reason),
        _ => None,
    });
    told.collect()
}

fn given(world: &mut World) -> String {
    match world.token("ann") {
        Event::Token { token, .. } => token.expose().to_owned(),
        other => panic!("no token: {other:?}"),
    }
}

/// A server without refresh tokens.
fn for_an_hour() -> Responder {
    let body = format!(
        r#"{{"access_token":"{}","token_type":"bearer","expires_in":3600}}"#,
        jwt("u-1", 1)
    );
    Box::new(move |_| Some(json(200, &body)))
}

#[test]
fn where_it_is_allowed_a_link_without_a_refresh_token_lasts_as_long_as_its_access_token() {
    let mut config = Config::new("home");
    config.needs_refresh_token = false;
    let mut world = World::with(for_an_hour(), config, cloud());
    world.link("ann");
    world.pass(HOUR - Duration::from_secs(1));
    assert_eq!(given(&mut world), jwt("u-1", 1));
    assert!(relinks(&world).is_empty());
    world.pass(Duration::from_secs(2));
    assert_eq!(relinks(&world), [RelinkReason::Expired]);
    assert!(matches!(
        world.token("ann"),
        Event::Failed {
            failure: Failure::NeedsRelink,
            ..
        }
    ));
    assert_eq!(refreshes(&world), 0);
    world.pass(HOUR);
    assert_eq!(relinks(&world).len(), 1, "it is told once");
}

#[test]
fn a_remote_user_who_cannot_be_learned_is_given_up_and_the_tokens_revoked() {
    for answer in [
        None,
        Some(json(503, "")),
        Some(json(200, "no json")),
        Some(json(200, r#"{"active":false}"#)),
        Some(json(200, r#"{"active":true}"#)),
    ] {
        let mut asking = cloud();
        asking.identity = Identity::Introspection;
        let server: Responder = Box::new(move |form| match form.path.as_str() {
            "/introspect" => answer.clone(),
            "/token" => Some(tokens("u-1", 1)),
            _ => Some(json(200, "{}")),
        });
        let mut world = World::with(server, Config::new("home"), asking);
        let state = world.begin("ann");
        world.agree("ann", &state);
        world.pass(Duration::from_secs(90));
        let refused = world.events.iter().any(|event| {
            matches!(
                event,
                Event::NotLinked {
                    refusal: Refusal::NoIdentity,
                    ..
                }
            )
        });
        assert!(refused, "{:?}", world.events);
        let asked = world.asked.iter().filter(|form| form.path == "/introspect");
        let asked = asked.count();
        assert!((1..20).contains(&asked), "asked {asked} times");
        assert_eq!(world.count("/revoke", "token", "refresh-1"), 1);
        assert!(matches!(world.token("ann"), Event::Failed { .. }));
    }
}

/// The cloud answers 403 `insufficient_scope`: the token is good, and another of its kind would be refused as well.
#[test]
fn more_scope_comes_with_another_consent_and_not_with_a_refresh() {
    let scopes = Rc::new(RefCell::new("r:*"));
    let (granted, mut number) = (scopes.clone(), 0);
    let mut world = World::new(Box::new(move |form| {
        if form.path != "/token" {
            return Some(json(200, "{}"));
        }
        number += 1;
        let (access, scope) = (jwt("u-1", number), granted.borrow());
        let body = format!(
            r#"{{"access_token":"{access}","token_type":"bearer","expires_in":3600,"refresh_token":"refresh-{number}","scope":"{scope}"}}"#
        );
        Some(json(200, &body))
    }));
    world.link("ann");
    let Event::Linked { link: before, .. } = world.last() else {
        panic!()
    };
    assert_eq!(before.scopes, "r:*".parse().unwrap());
    // The caller asks for the token again, without saying that it was rejected.
    for _ in 0..3 {
        assert_eq!(given(&mut world), jwt("u-1", 1));
    }
    assert_eq!(refreshes(&world), 0);

    *scopes.borrow_mut() = "r:* w:*";
    let (state, location) = world.start(Start::new(user("ann"), cloud_id(), browser(1), "home"));
    assert!(
        location
            .query_pairs()
            .any(|(name, value)| name == "scope" && value == "r:* w:*")
    );
    world.agree("ann", &state);
    let Event::Linked { link: after, .. } = world.last() else {
        panic!("{:?}", world.events)
    };
    assert_eq!(after.scopes, "r:* w:*".parse().unwrap());
    assert_eq!(
        (after.id, after.remote_user),
        (before.id, before.remote_user)
    );
    assert_eq!(given(&mut world), jwt("u-1", 2));
    assert_eq!(refreshes(&world), 0);
    world.pass(Duration::from_secs(1));
    assert_eq!(
        world.count("/revoke", "token", "refresh-1"),
        1,
        "the narrow one is over"
    );
    assert_eq!(world.count("/revoke", "token", "refresh-2"), 0);
}

#[test]
fn a_lifetime_counts_from_when_the_request_was_sent() {
    let held = Rc::new(Cell::new(false));
    let hold = held.clone();
    let mut world = World::new(Box::new(move |form| match form.get("grant_type") {
        "refresh_token" if hold.get() => None,
        _ => Some(tokens("u-1", 1)),
    }));
    world.link("ann");
    held.set(true);
    let rejected = AccessToken::new(jwt("u-1", 1)).unwrap();
    let sent = world.wall;
    let operation = world
        .links
        .token(&user("ann"), &cloud_id(), Some(rejected), world.now)
        .unwrap();
    world.run();
    // The clock of the machine is set back and forth meanwhile, and the answer is slow.
    world.pass(Duration::from_secs(2));
    for exchange in std::mem::take(&mut world.held) {
        world
            .links
            .handle_response(exchange, &tokens("u-1", 2), world.now);
    }
    world.run();
    let Event::Token {
        expires: Some(expires),
        ..
    } = world.end_of(operation)
    else {
        panic!()
    };
    assert_eq!(expires, sent + HOUR);
    assert!(expires > UNIX_EPOCH + HOUR);
}

#[test]
fn new_endpoints_serve_the_links_that_there_are() {
    let mut world = World::new(friendly("u-1"));
    world.link("ann");
    let mut moved = Cloud::new(
        cloud_id(),
        "https://as.example",
        "https://as.example/v2/authorize",
        "https://as.example/v2/token",
        "me",
        cloud().authentication,
        "https://me.example/callback".parse().unwrap(),
    )
    .unwrap();
    moved.revocation_endpoint = cloud().revocation_endpoint;
    let number = Cell::new(10);
    world.server = Box::new(move |form| {
        number.set(number.get() + 1);
        Some(match form.path.as_str() {
            "/v2/token" => tokens("u-1", number.get()),
            _ => json(404, ""),
        })
    });
    world.cloud = moved;
    world.restart();
    world.pass(HOUR);
    assert_eq!(world.count("/v2/token", "refresh_token", "refresh-1"), 1);
    assert_eq!(given(&mut world), jwt("u-1", 11));
    assert!(relinks(&world).is_empty());
}

#[test]
fn a_cloud_that_is_switched_off_is_not_asked_and_its_links_wait_for_it() {
    let mut world = World::new(friendly("u-1"));
    world.link("ann");
    let ours = world.cloud.clone();
    world.cloud.id = "another".parse().unwrap();
    world.restart();
    let asked = world.asked.len();
    world.pass(HOUR * 3);
    let failed = world.token("ann");
    assert!(matches!(failed, Event::Failed { .. }), "{failed:?}");
    assert_eq!(world.asked.len(), asked, "it is not configured");
    assert!(relinks(&world).is_empty());
    world.cloud = ours;
    world.restart();
    world.pass(Duration::from_secs(600));
    assert_eq!(given(&mut world), jwt("u-1", 2));
}

#[test]
fn a_local_user_who_goes_is_unlinked_everywhere_and_may_come_again_as_another() {
    let mut world = World::new(friendly("u-1"));
    world.link("ann");
    let state = world.begin("ann");
    let operation = world.links.list(&user("ann"), world.now).unwrap();
    world.run();
    let Event::Links { links, .. } = world.end_of(operation) else {
        panic!()
    };
    assert_eq!(links.len(), 1);
    for (cloud, _) in links {
        world.links.unlink(&user("ann"), &cloud, world.now).unwrap();
    }
    world.run();
    world.restart();
    world.pass(Duration::from_secs(700));
    assert_eq!(world.count("/revoke", "token", "refresh-1"), 1);
    // What was begun before is over by then, and nothing is owed any more.
    world.agree("ann", &state);
    assert!(matches!(
        world.last(),
        Event::NotLinked {
            refusal: Refusal::UnknownState,
            ..
        }
    ));
    let due = world
        .disk
        .streams
        .values()
        .any(|stream| stream.due.is_some());
    assert!(!due && relinks(&world).is_empty());
    world.link("bob");
}
