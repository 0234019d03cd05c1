//! The device flow (RFC 8628): a device asks, a person allows it in a browser, and the device gets tokens once.

use std::time::Duration;

use account_linking::server::{Config, DeviceFlow, Event, Registration};
use bytes::Bytes;
use http::Response;
use proptest::prelude::*;

use crate::harness::*;
use crate::proofs::{Holder, token_with};

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn settings() -> Config {
    let mut config = config();
    config.device_flow = Some(DeviceFlow::default());
    config
}

fn devices() -> [Registration; 2] {
    [confidential(), public()].map(|mut one| {
        one.device_flow = true;
        one.redirect_uris.clear();
        one
    })
}

fn world() -> (World, Option<String>) {
    let (world, mut secrets) = World::with_settings(settings(), &devices());
    (world, secrets.remove(0))
}

/// What a device was told.
#[derive(Clone, Debug)]
struct Told {
    device_code: String,
    user_code: String,
    uri: String,
    complete: String,
}

fn ask(world: &mut World, client: &str, more: &[(&str, &str)]) -> Response<Bytes> {
    let mut pairs = vec![("client_id", client)];
    pairs.extend_from_slice(more);
    world.post("/oauth/device_authorization", &[], form(&pairs))
}

fn told(response: &Response<Bytes>) -> Told {
    assert_eq!(response.status(), 200, "{:?}", response.body());
    let body = json(response);
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    Told {
        device_code: text("device_code"),
        user_code: text("user_code"),
        uri: text("verification_uri"),
        complete: text("verification_uri_complete"),
    }
}

fn begin(world: &mut World) -> Told {
    told(&ask(world, "client-app", &[("scope", "r:*")]))
}

fn poll(world: &mut World, client: &str, device_code: &str) -> Response<Bytes> {
    let pairs = [("grant_type", GRANT_TYPE), ("device_code", device_code)];
    world.token(None, client, &pairs)
}

fn polled(world: &mut World, told: &Told) -> String {
    let response = poll(world, "client-app", &told.device_code);
    assert_eq!(response.status(), 400, "{:?}", response.body());
    error(&response)
}

/// A browser in which a user has logged in, and the page for the code.
fn arrive(world: &mut World, user: &str) -> (Browser, Response<Bytes>) {
    let mut browser = Browser::default();
    let page = browser.open(world, "/oauth/device");
    let page = browser.log_in(world, &page, user);
    (browser, page)
}

fn type_code(
    world: &mut World,
    (browser, page): &mut (Browser, Response<Bytes>),
    code: &str,
) -> Response<Bytes> {
    let answer = browser.submit(world, page, "/oauth/device", &[("user_code", code)]);
    *page = answer.clone();
    answer
}

fn decide(
    world: &mut World,
    (browser, page): &mut (Browser, Response<Bytes>),
    decision: &str,
) -> Response<Bytes> {
    browser.submit(world, page, "/oauth/consent", &[("decision", decision)])
}

fn text(page: &Response<Bytes>) -> String {
    String::from_utf8(page.body().to_vec()).unwrap()
}

fn allow(world: &mut World, told: &Told, user: &str) {
    let mut person = arrive(world, user);
    let page = type_code(world, &mut person, &told.user_code);
    assert!(text(&page).contains(&told.user_code), "{}", text(&page));
    let answer = decide(world, &mut person, "allow");
    assert_eq!(answer.status(), 200);
    assert!(text(&answer).contains("Linked"));
}

#[test]
fn a_device_is_told_its_codes_and_gets_tokens_once_a_person_has_allowed_it() {
    let (mut world, _) = world();
    let response = ask(&mut world, "client-app", &[("scope", "r:*")]);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body = json(&response);
    assert_eq!(
        (&body["expires_in"], &body["interval"]),
        (&600.into(), &5.into())
    );
    let told = told(&response);
    assert_eq!(told.uri, "https://cloud.example/oauth/device");
    assert_eq!(
        told.complete,
        format!("{}?user_code={}", told.uri, told.user_code)
    );
    assert_eq!(told.device_code.len(), 43);
    assert_eq!(polled(&mut world, &told), "authorization_pending");

    allow(&mut world, &told, "user-1");
    let answer = poll(&mut world, "client-app", &told.device_code);
    let first = tokens(&answer);
    assert_eq!(first.scope, "r:*");
    let principal = world.check(&first.access).unwrap();
    assert_eq!(principal.account.as_str(), "user-1");
    let started = |event: &Event| matches!(event, Event::GrantStarted { .. });
    assert_eq!(
        world.events.iter().filter(|event| started(event)).count(),
        1
    );
    let refreshed = refresh(
        &mut world,
        None,
        "client-app",
        first.refresh.as_deref().unwrap(),
    );
    let second = tokens(&refreshed);

    // As with a code, whoever presents it again may be a thief.
    assert_eq!(polled(&mut world, &told), "invalid_grant");
    assert!(world.check(&second.access).is_err());
}

#[test]
fn a_client_with_a_secret_authenticates_at_both_ends() {
    let (mut world, secret) = world();
    let nobody = ask(&mut world, "client-acme", &[]);
    assert_eq!(
        (nobody.status().as_u16(), error(&nobody).as_str()),
        (401, "invalid_client")
    );
    let secret = secret.unwrap();
    let told = told(&ask(
        &mut world,
        "client-acme",
        &[("client_secret", &secret)],
    ));
    allow(&mut world, &told, "user-1");
    let pairs = [
        ("grant_type", GRANT_TYPE),
        ("device_code", &told.device_code),
    ];
    assert_eq!(world.token(None, "client-acme", &pairs).status(), 401);
    // Of another client it is no code at all, and stays good for its own.
    assert_eq!(
        error(&poll(&mut world, "client-app", &told.device_code)),
        "invalid_grant"
    );
    let answer = world.token(Some(&secret), "client-acme", &pairs);
    assert_eq!(tokens(&answer).scope, "r:* w:*");
}

#[test]
fn a_device_that_asks_too_soon_is_slowed_down() {
    let (mut world, _) = world();
    let told = begin(&mut world);
    assert_eq!(polled(&mut world, &told), "authorization_pending");
    world.pass(Duration::from_secs(4));
    assert_eq!(polled(&mut world, &told), "slow_down");
    world.pass(Duration::from_secs(6));
    assert_eq!(polled(&mut world, &told), "slow_down", "ten seconds by now");
    world.pass(Duration::from_secs(15));
    assert_eq!(polled(&mut world, &told), "authorization_pending");
}

#[test]
fn what_was_denied_or_has_expired_is_said() {
    let (mut world, _) = world();
    let denied = begin(&mut world);
    let mut person = arrive(&mut world, "user-1");
    type_code(&mut world, &mut person, &denied.user_code);
    let answer = decide(&mut world, &mut person, "cancel");
    assert!(text(&answer).contains("Cancelled"));
    assert_eq!(polled(&mut world, &denied), "access_denied");

    let late = begin(&mut world);
    let mut person = arrive(&mut world, "user-1");
    let page = type_code(&mut world, &mut person, &late.user_code);
    assert_eq!(page.status(), 200);
    world.pass(Duration::from_secs(600));
    assert_eq!(polled(&mut world, &late), "expired_token");
    assert_eq!(decide(&mut world, &mut person, "allow").status(), 400);
    let mut person = arrive(&mut world, "user-1");
    let page = type_code(&mut world, &mut person, &late.user_code);
    assert!(text(&page).contains("role=\"alert\""));

    // What is allowed and not fetched ends with the code, too.
    let unused = begin(&mut world);
    allow(&mut world, &unused, "user-1");
    world.pass(Duration::from_secs(600));
    assert_eq!(polled(&mut world, &unused), "invalid_grant");
    world.pass(Duration::from_secs(600));
    assert_eq!(polled(&mut world, &late), "invalid_grant", "forgotten");
}

#[test]
fn a_link_with_the_code_still_asks_and_one_person_decides() {
    let (mut world, _) = world();
    let told = begin(&mut world);
    let path = told.complete.strip_prefix("https://cloud.example").unwrap();
    let mut browser = Browser::default();
    let page = browser.open(&mut world, path);
    assert!(
        !text(&page).contains(&told.user_code),
        "the login page shows nothing of it"
    );
    let page = browser.log_in(&mut world, &page, "user-1");
    assert!(text(&page).contains(&format!("value=\"{}\"", told.user_code)));
    assert_eq!(polled(&mut world, &told), "authorization_pending");
    let mut first = (browser, page);
    let page = type_code(&mut world, &mut first, &told.user_code.to_lowercase());
    let page = text(&page);
    assert!(
        page.contains("App") && page.contains("r:*") && page.contains("before you"),
        "{page}"
    );
    assert!(!page.contains("w:*"));

    let mut second = arrive(&mut world, "user-2");
    assert_eq!(
        type_code(&mut world, &mut second, &told.user_code).status(),
        200
    );
    assert_eq!(decide(&mut world, &mut first, "allow").status(), 200);
    assert_eq!(decide(&mut world, &mut second, "allow").status(), 400);
    let tokens = tokens(&poll(&mut world, "client-app", &told.device_code));
    assert_eq!(
        world.check(&tokens.access).unwrap().account.as_str(),
        "user-1"
    );
    // A code is on a page only as what it was read as.
    let page = browser_at(&mut world, "/oauth/device?user_code=%22%3E%3Cscript%3E");
    assert!(!text(&page).contains("script"));
}

fn browser_at(world: &mut World, path: &str) -> Response<Bytes> {
    let mut browser = Browser::default();
    let page = browser.open(world, path);
    browser.log_in(world, &page, "user-3")
}

#[test]
fn who_guesses_codes_is_stopped() {
    let mut settings = settings();
    settings.max_login_failures = 3;
    let (mut world, _) = World::with_settings(settings, &devices());
    let told = begin(&mut world);
    let mut guesser = arrive(&mut world, "user-1");
    for wrong in ["BBBB-BBBB", "", "<script>"] {
        let page = type_code(&mut world, &mut guesser, wrong);
        assert!(text(&page).contains("role=\"alert\"") && !text(&page).contains("script"));
    }
    let page = type_code(&mut world, &mut guesser, &told.user_code);
    assert!(
        text(&page).contains("role=\"alert\""),
        "the right one, too late"
    );
    let refused = |event: &&Event| matches!(event, Event::UserCodeRefused { .. });
    assert_eq!(world.events.iter().filter(refused).count(), 4);
    // Others may, and in a while the first may again.
    let mut other = arrive(&mut world, "user-2");
    assert!(text(&type_code(&mut world, &mut other, &told.user_code)).contains("decision"));
    world.pass(Duration::from_secs(900));
    let told = begin(&mut world);
    let mut guesser = arrive(&mut world, "user-1");
    assert!(text(&type_code(&mut world, &mut guesser, &told.user_code)).contains("decision"));
}

#[test]
fn who_may_not_have_codes_is_refused() {
    let (mut world, secrets) =
        World::with_settings(settings(), &[confidential(), devices()[1].clone()]);
    let secret = secrets[0].as_deref().unwrap();
    let not_registered = ask(&mut world, "client-acme", &[("client_secret", secret)]);
    assert_eq!(error(&not_registered), "unauthorized_client");
    let pairs = [("grant_type", GRANT_TYPE), ("device_code", "x")];
    let answer = world.token(Some(secret), "client-acme", &pairs);
    assert_eq!(error(&answer), "unauthorized_client");
    for (more, expected) in [
        (("scope", "everything"), "invalid_scope"),
        (("resource", "https://unknown.example/"), "invalid_target"),
    ] {
        assert_eq!(error(&ask(&mut world, "client-app", &[more])), expected);
    }
    assert_eq!(
        error(&world.token(None, "client-app", &pairs[..1])),
        "invalid_request"
    );
    assert_eq!(error(&poll(&mut world, "client-app", "x")), "invalid_grant");
    assert_eq!(world.get("/oauth/device_authorization", None).status(), 405);

    let (mut without, _) = World::with_settings(config(), &[public()]);
    assert_eq!(ask(&mut without, "client-app", &[]).status(), 404);
    assert_eq!(without.get("/oauth/device", None).status(), 404);
    assert_eq!(
        error(&poll(&mut without, "client-app", "x")),
        "unsupported_grant_type"
    );
    for (world, offered) in [(&mut world, true), (&mut without, false)] {
        let metadata = json(&world.get("/oauth/.well-known/openid-configuration", None));
        let types = metadata["grant_types_supported"].as_array().unwrap();
        assert_eq!(types.contains(&GRANT_TYPE.into()), offered);
        assert_eq!(
            metadata["device_authorization_endpoint"].is_string(),
            offered
        );
    }
}

#[test]
fn a_consent_that_cannot_be_kept_may_be_given_again() {
    let (mut world, _) = world();
    let told = begin(&mut world);
    let mut person = arrive(&mut world, "user-1");
    type_code(&mut world, &mut person, &told.user_code);
    world.store.faults.push_back(Fault::Fenced);
    assert_eq!(decide(&mut world, &mut person, "allow").status(), 503);
    assert_eq!(polled(&mut world, &told), "authorization_pending");
    allow(&mut world, &told, "user-1");
    assert!(
        tokens(&poll(&mut world, "client-app", &told.device_code))
            .refresh
            .is_some()
    );
}

#[test]
fn a_restart_forgets_devices_that_wait_and_keeps_what_is_linked() {
    let (mut world, _) = world();
    let (waiting, done) = (begin(&mut world), begin(&mut world));
    allow(&mut world, &done, "user-1");
    let held = tokens(&poll(&mut world, "client-app", &done.device_code));
    let mut world = World::with_store(settings(), world.store, 2);
    assert_eq!(polled(&mut world, &waiting), "invalid_grant");
    assert_eq!(polled(&mut world, &done), "invalid_grant");
    assert!(world.check(&held.access).is_ok());
    let refreshed = refresh(
        &mut world,
        None,
        "client-app",
        held.refresh.as_deref().unwrap(),
    );
    assert_eq!(refreshed.status(), 200);
}

#[test]
fn tokens_of_a_device_are_bound_to_its_key() {
    let mut settings = crate::proofs::settings();
    settings.device_flow = Some(DeviceFlow::default());
    let (mut world, _) = World::with_settings(settings, &devices());
    let told = begin(&mut world);
    allow(&mut world, &told, "user-1");
    let proof = Holder::new(1).for_token(&world);
    let pairs = [
        ("grant_type", GRANT_TYPE),
        ("device_code", &told.device_code),
    ];
    let answer = token_with(&mut world, None, "client-app", &proof, &pairs);
    assert_eq!(json(&answer)["token_type"], "DPoP");
    let held = tokens(&answer).refresh.unwrap();
    assert_eq!(
        error(&refresh(&mut world, None, "client-app", &held)),
        "invalid_grant"
    );
}

/// What may happen to one of two devices, in any order.
#[derive(Clone, Copy, Debug)]
enum Step {
    Poll(usize),
    /// A person types the code and decides, while the store may fail.
    Decide(usize, bool, Option<Fault>),
    Pass(u64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Fault::Fenced)),
        1 => Just(Some(Fault::UnknownWritten)),
        1 => Just(Some(Fault::UnknownLost)),
    ];
    prop_oneof![
        4 => (0..2_usize).prop_map(Step::Poll),
        3 => (0..2_usize, any::<bool>(), fault)
            .prop_map(|(which, allows, fault)| Step::Decide(which, allows, fault)),
        2 => (0..400_u64).prop_map(Step::Pass),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// I42: a device code is redeemed at most once and never before somebody has allowed it, whatever fails in between.
    #[test]
    fn a_device_gets_tokens_once_and_only_of_whom_allowed_it(
        steps in proptest::collection::vec(step(), 1..24)
    ) {
        let (mut world, _) = world();
        let devices = [begin(&mut world), begin(&mut world)];
        let mut allowed = [false; 2];
        let mut issued = [0; 2];
        let mut starts = 1;
        for step in steps {
            match step {
                Step::Poll(which) => {
                    let answer = poll(&mut world, "client-app", &devices[which].device_code);
                    if answer.status() == 200 {
                        prop_assert!(allowed[which], "nobody has allowed it");
                        issued[which] += 1;
                        let token = tokens(&answer).access;
                        let account = world.check(&token).unwrap().account;
                        prop_assert_eq!(account.as_str(), format!("user-{which}"));
                    }
                }
                Step::Decide(which, allows, fault) => {
                    let mut person = arrive(&mut world, &format!("user-{which}"));
                    let page = type_code(&mut world, &mut person, &devices[which].user_code);
                    if !text(&page).contains("decision") {
                        continue;
                    }
                    let decision = if allows { "allow" } else { "cancel" };
                    let (browser, page) = &person;
                    let form = browser.form(page, "/oauth/consent", &[("decision", decision)]);
                    world.store.faults.extend(fault);
                    let id = world.send(&form);
                    // An append of unknown outcome is repeated in a while.
                    world.pass(Duration::from_millis(200));
                    world.store.faults.clear();
                    let answer = world.responses.remove(&id).expect("an answer");
                    allowed[which] |= allows && answer.status() == 200;
                }
                Step::Pass(seconds) => world.pass(Duration::from_secs(seconds)),
                Step::Restart => {
                    starts += 1;
                    let (store, wall) = (world.store, world.wall);
                    world = World::with_store(settings(), store, starts);
                    world.wall = wall;
                }
            }
        }
        prop_assert!(issued.iter().all(|count| *count <= 1), "{issued:?}");
    }
}
