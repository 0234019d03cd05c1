//! From the redirect out to the link.

use std::time::Duration;

use account_linking::ErrorKind;
use account_linking::client::{Config, Event, Failure, Identity, Refusal, Start};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::world::{
    ISSUER, REDIRECT, World, browser, cloud, cloud_id, friendly, json, jwt, tokens, user,
};

fn refusal(event: &Event) -> Refusal {
    match event {
        Event::NotLinked { refusal, .. } => refusal.clone(),
        other => panic!("linked, or worse: {other:?}"),
    }
}

#[test]
fn an_account_is_linked() {
    let mut world = World::new(friendly("u-1"));
    let (state, location) = world.start(Start::new(user("ann"), cloud_id(), browser(1), "home"));
    let query: Vec<_> = location.query_pairs().into_owned().collect();
    let value = |name: &str| {
        query
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    };
    assert_eq!(value("tenant"), Some("7"));
    assert_eq!(
        (value("response_type"), value("client_id")),
        (Some("code"), Some("me"))
    );
    assert_eq!(
        (value("scope"), value("redirect_uri")),
        (Some("r:* w:*"), Some(REDIRECT))
    );
    assert_eq!(value("code_challenge_method"), Some("S256"));
    assert!(URL_SAFE_NO_PAD.decode(&state).unwrap().len() >= 32);

    let operation = world.agree("ann", &state);
    let Event::Linked {
        user: local,
        link,
        return_page,
        ..
    } = world.end_of(operation)
    else {
        panic!()
    };
    assert_eq!(
        (local, link.remote_user.as_str(), return_page.as_str()),
        (user("ann"), "u-1", "home")
    );
    assert_eq!(link.scopes, "r:* w:*".parse().unwrap());

    let form = &world.asked[0];
    assert_eq!(
        (form.get("grant_type"), form.get("redirect_uri")),
        ("authorization_code", REDIRECT)
    );
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(form.get("code_verifier")));
    assert_eq!(value("code_challenge"), Some(challenge.as_str()));
    let basic = format!("Basic {}", STANDARD.encode("me:client-password"));
    assert_eq!(form.authorization.as_deref(), Some(basic.as_str()));
    assert!(
        matches!(world.token("ann"), Event::Token { token, .. } if token.expose() == jwt("u-1", 1))
    );
}

#[test]
fn every_attempt_has_a_state_and_a_verifier_of_its_own() {
    let mut world = World::new(friendly("u-1"));
    let (one, first) = world.start(Start::new(user("ann"), cloud_id(), browser(1), "home"));
    let (two, second) = world.start(Start::new(user("ann"), cloud_id(), browser(1), "home"));
    let challenge = |url: &url::Url| {
        url.query_pairs()
            .find(|(n, _)| n == "code_challenge")
            .unwrap()
            .1
            .into_owned()
    };
    assert_ne!(one, two);
    assert_ne!(challenge(&first), challenge(&second));
}

#[test]
fn without_pkce_the_state_still_binds() {
    let mut old = cloud();
    old.pkce = false;
    let mut world = World::with(friendly("u-1"), Config::new("home"), old);
    let (state, location) = world.start(Start::new(user("ann"), cloud_id(), browser(1), "home"));
    assert!(!location.as_str().contains("code_challenge"));
    world.agree("ann", "another-state");
    assert_eq!(refusal(&world.last()), Refusal::UnknownState);
    world.agree("ann", &state);
    assert!(matches!(world.last(), Event::Linked { .. }));
    assert!(!world.asked[0].fields.contains_key("code_verifier"));
}

#[test]
fn a_state_is_spent_by_its_first_callback_whatever_it_says() {
    for first in [
        "code=c",
        "error=access_denied",
        "code=c&error=e",
        "code=c&iss=https://evil.example",
        "",
    ] {
        let mut world = World::new(friendly("u-1"));
        let state = world.begin("ann");
        world.callback("ann", &format!("{first}&state={state}"));
        let asked = world.asked.len();
        let again = world.agree("ann", &state);
        assert_eq!(
            refusal(&world.end_of(again)),
            Refusal::UnknownState,
            "{first}"
        );
        assert_eq!(world.asked.len(), asked);
    }
}

#[test]
fn a_callback_in_another_browser_spends_the_attempt_and_links_nothing() {
    let mut world = World::new(friendly("u-1"));
    let state = world.begin("ann");
    let query = format!("code=c&state={state}&iss={ISSUER}");
    let operation = world
        .links
        .callback(&user("ann"), &browser(2), REDIRECT, &query, world.now)
        .unwrap();
    world.run();
    assert_eq!(refusal(&world.end_of(operation)), Refusal::OtherBrowser);
    world.agree("ann", &state);
    assert_eq!(refusal(&world.last()), Refusal::UnknownState);
    assert!(world.asked.is_empty());
}

#[test]
fn a_callback_of_another_local_user_spends_the_attempt_and_links_nothing() {
    let mut world = World::new(friendly("u-1"));
    let state = world.begin("ann");
    let operation = world.agree("bob", &state);
    assert_eq!(refusal(&world.end_of(operation)), Refusal::UnknownState);
    world.agree("ann", &state);
    assert_eq!(refusal(&world.last()), Refusal::UnknownState);
    assert!(world.asked.is_empty());
}

#[test]
fn the_issuer_must_be_the_one_of_the_attempt() {
    for issuer in ["", "&iss=https://as.example/", "&iss=https://other.example"] {
        let mut world = World::new(friendly("u-1"));
        let state = world.begin("ann");
        world.callback("ann", &format!("code=c&state={state}{issuer}"));
        assert_eq!(refusal(&world.last()), Refusal::OtherIssuer, "{issuer}");
    }
    let mut old = cloud();
    old.issuer_announced = false;
    let mut world = World::with(friendly("u-1"), Config::new("home"), old);
    let state = world.begin("ann");
    world.callback("ann", &format!("code=c&state={state}"));
    assert!(matches!(world.last(), Event::Linked { .. }));
}

#[test]
fn the_callback_must_arrive_at_the_redirect_uri_of_the_attempt() {
    let mut world = World::new(friendly("u-1"));
    let state = world.begin("ann");
    let query = format!("code=c&state={state}&iss={ISSUER}");
    world
        .links
        .callback(
            &user("ann"),
            &browser(1),
            "https://me.example/callback/other",
            &query,
            world.now,
        )
        .unwrap();
    world.run();
    assert_eq!(refusal(&world.last()), Refusal::OtherIssuer);
}

#[test]
fn errors_come_before_codes_and_unknown_ones_are_kept() {
    let mut world = World::new(friendly("u-1"));
    for (query, expected) in [
        ("error=access_denied", Refusal::Denied),
        ("code=c&error=access_denied", Refusal::Malformed),
        ("x=y", Refusal::Malformed),
    ] {
        let state = world.begin("ann");
        world.callback("ann", &format!("{query}&state={state}&iss={ISSUER}"));
        assert_eq!(refusal(&world.last()), expected);
    }
    let state = world.begin("ann");
    world.callback("ann", &format!("error=made_up&state={state}&iss={ISSUER}"));
    assert!(matches!(refusal(&world.last()), Refusal::Error(code) if code.as_str() == "made_up"));
    assert!(world.asked.is_empty());
}

#[test]
fn the_page_shown_in_the_end_is_one_of_a_list() {
    let mut world = World::new(friendly("u-1"));
    let elsewhere = Start::new(user("ann"), cloud_id(), browser(1), "https://evil.example");
    let refused = world
        .links
        .start(elsewhere, [1; 32], [2; 32], world.now)
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    let state = world.begin("ann");
    world.callback(
        "ann",
        &format!("code=c&state={state}&iss={ISSUER}&return_page=evil&redirect_uri=evil"),
    );
    assert!(matches!(world.last(), Event::Linked { return_page, .. } if return_page == "home"));
}

#[test]
fn an_attempt_that_takes_too_long_is_over() {
    let mut world = World::new(friendly("u-1"));
    let state = world.begin("ann");
    world.pass(Duration::from_secs(601));
    assert_eq!(refusal(&world.last()), Refusal::Expired);
    world.agree("ann", &state);
    assert_eq!(refusal(&world.last()), Refusal::UnknownState);
}

#[test]
fn a_code_whose_answer_is_lost_is_not_sent_again() {
    let mut world = World::new(Box::new(|_| None));
    let state = world.begin("ann");
    let operation = world.agree("ann", &state);
    world.lose();
    assert_eq!(refusal(&world.end_of(operation)), Refusal::Lost);
    world.pass(Duration::from_secs(700));
    assert_eq!(world.asked.len(), 1);
}

#[test]
fn a_restart_while_the_code_is_under_way_ends_the_attempt() {
    let mut world = World::new(Box::new(|_| None));
    let state = world.begin("ann");
    world.agree("ann", &state);
    world.restart();
    world.pass(Duration::from_secs(60));
    assert_eq!(refusal(&world.last()), Refusal::Lost);
    assert_eq!(world.asked.len(), 1);
}

#[test]
fn a_redirecting_or_failing_token_endpoint_is_no_answer() {
    for status in [302, 307, 429, 500, 503] {
        let mut world = World::new(Box::new(move |_| {
            Some(json(status, r#"{"error":"invalid_grant"}"#))
        }));
        let state = world.begin("ann");
        world.agree("ann", &state);
        assert_eq!(refusal(&world.last()), Refusal::Lost, "{status}");
        assert_eq!(world.asked.len(), 1);
    }
}

#[test]
fn a_refused_code_ends_the_attempt() {
    let mut world = World::new(Box::new(|_| {
        Some(json(400, r#"{"error":"invalid_grant"}"#))
    }));
    let state = world.begin("ann");
    world.agree("ann", &state);
    assert!(
        matches!(refusal(&world.last()), Refusal::Error(code) if code.as_str() == "invalid_grant")
    );
}

#[test]
fn a_client_that_is_refused_is_the_operators_matter() {
    let mut world = World::new(Box::new(|_| {
        Some(json(401, r#"{"error":"invalid_client"}"#))
    }));
    let state = world.begin("ann");
    world.agree("ann", &state);
    assert!(
        world
            .events
            .iter()
            .any(|event| matches!(event, Event::CloudMisconfigured { .. }))
    );
}

#[test]
fn token_type_in_any_case_and_a_missing_lifetime_are_accepted() {
    let body = format!(
        r#"{{"access_token":"{}","token_type":"BEARER","refresh_token":"r"}}"#,
        jwt("u-1", 1)
    );
    let mut world = World::new(Box::new(move |_| Some(json(200, &body))));
    world.link("ann");
    assert!(matches!(
        world.token("ann"),
        Event::Token { expires: None, .. }
    ));
    world.pass(Duration::from_secs(40 * 24 * 3600));
    assert!(matches!(world.token("ann"), Event::Token { .. }));
    assert_eq!(world.asked.len(), 1, "an unknown end is not an end");
}

#[test]
fn tokens_that_are_of_no_use_are_revoked() {
    let cases: [(String, Refusal); 3] = [
        (
            format!(
                r#"{{"access_token":"{}","token_type":"mac","refresh_token":"r"}}"#,
                jwt("u", 1)
            ),
            Refusal::NotBearer,
        ),
        (
            format!(
                r#"{{"access_token":"{}","token_type":"bearer"}}"#,
                jwt("u", 1)
            ),
            Refusal::NoRefreshToken,
        ),
        (
            r#"{"access_token":"opaque","token_type":"bearer","refresh_token":"r"}"#.to_owned(),
            Refusal::NoIdentity,
        ),
    ];
    for (body, expected) in cases {
        let has_refresh = body.contains("refresh_token");
        let mut world = World::new(Box::new(move |form| match form.path.as_str() {
            "/token" => Some(json(200, &body)),
            _ => Some(json(200, "{}")),
        }));
        let state = world.begin("ann");
        world.agree("ann", &state);
        assert_eq!(refusal(&world.last()), expected);
        world.pass(Duration::from_secs(1));
        assert_eq!(
            world.count("/revoke", "token", "r"),
            usize::from(has_refresh),
            "{:?}",
            world.asked
        );
        assert_eq!(world.count("/revoke", "token_type_hint", "access_token"), 1);
    }
}

#[test]
fn a_smaller_scope_is_kept_and_too_small_a_one_refused() {
    let body = |scope: &str| {
        let access = jwt("u-1", 1);
        format!(
            r#"{{"access_token":"{access}","token_type":"bearer","refresh_token":"r","scope":"{scope}"}}"#
        )
    };
    let mut needs = cloud();
    needs.required_scopes = "r:*".parse().unwrap();
    let answer = body("r:*");
    let mut world = World::with(
        Box::new(move |_| Some(json(200, &answer))),
        Config::new("home"),
        needs.clone(),
    );
    world.link("ann");
    assert!(
        matches!(world.last(), Event::Linked { link, .. } if link.scopes == "r:*".parse().unwrap())
    );
    let answer = body("w:*");
    let mut world = World::with(
        Box::new(move |_| Some(json(200, &answer))),
        Config::new("home"),
        needs,
    );
    let state = world.begin("ann");
    world.agree("ann", &state);
    assert_eq!(refusal(&world.last()), Refusal::TooLittleScope);
}

#[test]
fn the_remote_user_is_asked_for_when_the_token_does_not_say_it() {
    let mut asking = cloud();
    asking.identity = Identity::Introspection;
    let mut tries = 0;
    let server = Box::new(move |form: &crate::world::Form| match form.path.as_str() {
        "/introspect" => {
            tries += 1;
            Some(if tries == 1 {
                json(503, "")
            } else {
                json(200, r#"{"active":true,"sub":"u-9"}"#)
            })
        }
        _ => Some(tokens("ignored", 1)),
    });
    let mut world = World::with(server, Config::new("home"), asking);
    let state = world.begin("ann");
    let operation = world.agree("ann", &state);
    world.restart();
    world.pass(Duration::from_secs(10));
    assert!(
        matches!(world.last(), Event::Linked { link, .. } if link.remote_user == "u-9"),
        "{:?}",
        world.events
    );
    // The command was another process's; what it began has come to its end all the same.
    assert!(
        world
            .events
            .iter()
            .all(|event| event.operation() != Some(operation))
    );
}

#[test]
fn an_attempt_that_ended_while_nobody_ran_is_over_and_asks_nobody() {
    let mut asking = cloud();
    asking.identity = Identity::Introspection;
    let server = Box::new(|form: &crate::world::Form| {
        let is_asked = form.path == "/introspect";
        (!is_asked).then(|| tokens("ignored", 1))
    });
    let mut world = World::with(server, Config::new("home"), asking);
    let state = world.begin("ann");
    world.agree("ann", &state);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.count("/introspect", "token", &jwt("ignored", 1)), 1);
    // The process is down until the attempt is over.
    world.now += Config::new("home").attempt_lifetime;
    world.wall += Config::new("home").attempt_lifetime;
    world.restart();
    world.pass(Duration::from_secs(1));
    assert_eq!(refusal(&world.last()), Refusal::NoIdentity);
    assert_eq!(world.count("/introspect", "token", &jwt("ignored", 1)), 1);
}

#[test]
fn a_remote_user_has_one_local_user() {
    let mut world = World::new(friendly("u-1"));
    world.link("ann");
    let state = world.begin("bob");
    world.agree("bob", &state);
    assert_eq!(refusal(&world.last()), Refusal::Taken);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.count("/revoke", "token", "refresh-2"), 1);
    assert_eq!(world.count("/revoke", "token", "refresh-1"), 0);
    assert!(matches!(
        world.token("bob"),
        Event::Failed {
            failure: Failure::NotLinked,
            ..
        }
    ));
}

#[test]
fn another_remote_user_takes_the_place_of_the_linked_one_only_with_consent() {
    let mut number = 0;
    let mut world = World::new(Box::new(move |form| {
        number += u32::from(form.path == "/token");
        Some(if form.path == "/token" {
            tokens(if number == 1 { "u-1" } else { "u-2" }, number)
        } else {
            json(200, "{}")
        })
    }));
    world.link("ann");
    let state = world.begin("ann");
    world.agree("ann", &state);
    assert_eq!(refusal(&world.last()), Refusal::OtherRemoteUser);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.count("/revoke", "token", "refresh-2"), 1);

    let mut consented = Start::new(user("ann"), cloud_id(), browser(1), "home");
    consented.replace = true;
    let (state, _) = world.start(consented);
    world.agree("ann", &state);
    assert!(matches!(world.last(), Event::Linked { link, .. } if link.remote_user == "u-2"));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.count("/revoke", "token", "refresh-1"), 1);
    // The first remote user is free again.
    assert!(world.disk.dump().contains("Released"));
}

#[test]
fn too_many_attempts_let_the_oldest_go() {
    let mut world = World::new(friendly("u-1"));
    let states: Vec<_> = (0..9)
        .map(|_| {
            world.pass(Duration::from_secs(1));
            world.begin("ann")
        })
        .collect();
    world.agree("ann", &states[0]);
    assert_eq!(refusal(&world.last()), Refusal::UnknownState);
    world.agree("ann", &states[1]);
    assert!(matches!(world.last(), Event::Linked { .. }));
}
