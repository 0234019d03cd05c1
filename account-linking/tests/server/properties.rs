//! The invariants of grants over arbitrary operations, with a store that fails.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use account_linking::form::Form;
use account_linking::server::{
    ClientAssertions, ClientKey, access_token, authorize, client_assertion, client_authentication,
    token,
};
use http::Request;
use proptest::prelude::*;

use crate::harness::*;

#[derive(Clone, Debug)]
enum Act {
    Consent,
    Redeem(usize),
    RedeemElsewhere(usize),
    Refresh(usize),
    RefreshElsewhere(usize),
    Revoke(usize),
    Pass(u16),
    Restart,
    Fault(Fault),
}

fn act() -> impl Strategy<Value = Act> {
    let fault = prop_oneof![
        Just(Fault::UnknownWritten),
        Just(Fault::UnknownLost),
        Just(Fault::Fenced),
        Just(Fault::Silent),
        Just(Fault::SilentWritten),
    ];
    prop_oneof![
        2 => Just(Act::Consent),
        4 => (0..6_usize).prop_map(Act::Redeem),
        1 => (0..6_usize).prop_map(Act::RedeemElsewhere),
        6 => (0..12_usize).prop_map(Act::Refresh),
        1 => (0..12_usize).prop_map(Act::RefreshElsewhere),
        1 => (0..12_usize).prop_map(Act::Revoke),
        2 => (0..20_u16).prop_map(Act::Pass),
        1 => Just(Act::Restart),
        2 => fault.prop_map(Act::Fault),
    ]
}

/// What the client side has seen of one code.
#[derive(Default)]
struct Seen {
    code: String,
    successes: usize,
    /// Refresh tokens in the order they first came.
    refresh: Vec<String>,
    access: Vec<String>,
    /// The refresh token each one was answered with.
    successors: BTreeMap<String, BTreeSet<String>>,
    dead: bool,
}

fn post(
    world: &mut World,
    path: &str,
    pairs: &[(&str, &str)],
) -> Option<http::Response<bytes::Bytes>> {
    let request = Request::post(path)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form(pairs).into())
        .unwrap();
    let id = world.send(&request);
    // Repeats of unknown appends, and the end of what is never answered.
    world.pass(Duration::from_millis(100));
    if !world.responses.contains_key(&id) {
        world.pass(Duration::from_secs(10));
    }
    world.responses.remove(&id)
}

fn run(acts: &[Act]) -> Result<(), TestCaseError> {
    let mut other = public();
    other.client_id = "client-other".parse().unwrap();
    let (mut world, _) = World::with_clients(&[public(), other]);
    let mut all: Vec<Seen> = Vec::new();
    let verifier = verifier();
    let mut start = 1;
    for act in acts {
        match act {
            Act::Consent if all.len() < 6 => {
                let faults = core::mem::take(&mut world.store.faults);
                let code = obtain_code(&mut world, "client-app", "user-1", &[]);
                world.store.faults = faults;
                all.push(Seen {
                    code,
                    ..Seen::default()
                });
            }
            Act::Redeem(which) | Act::RedeemElsewhere(which) => {
                let Some(seen) = all.get_mut(*which) else {
                    continue;
                };
                let own = matches!(act, Act::Redeem(_));
                let client = if own { "client-app" } else { "client-other" };
                let pairs = [
                    ("grant_type", "authorization_code"),
                    ("code", &seen.code),
                    ("redirect_uri", REDIRECT),
                    ("code_verifier", verifier.expose()),
                    ("client_id", client),
                ];
                let response = post(&mut world, "/oauth/token", &pairs).unwrap();
                if response.status() == 200 {
                    // I01, I03
                    prop_assert!(own && seen.successes == 0);
                    seen.successes += 1;
                    let tokens = tokens(&response);
                    seen.refresh.push(tokens.refresh.unwrap());
                    seen.access.push(tokens.access);
                } else if response.status() == 400 && seen.successes > 0 {
                    // I02: told so, it is true from now on.
                    seen.dead = true;
                }
            }
            Act::Refresh(which) | Act::RefreshElsewhere(which) => {
                let held = all.iter().enumerate().flat_map(|(index, seen)| {
                    seen.refresh.iter().map(move |token| (index, token.clone()))
                });
                let Some((index, token)) = held.collect::<Vec<_>>().get(*which).cloned() else {
                    continue;
                };
                let own = matches!(act, Act::Refresh(_));
                let client = if own { "client-app" } else { "client-other" };
                let pairs = [
                    ("grant_type", "refresh_token"),
                    ("refresh_token", &token),
                    ("client_id", client),
                ];
                let response = post(&mut world, "/oauth/token", &pairs).unwrap();
                let seen = &mut all[index];
                if response.status() == 200 {
                    // I11, I12, I02
                    prop_assert!(own && !seen.dead);
                    let tokens = tokens(&response);
                    let successor = tokens.refresh.unwrap();
                    seen.access.push(tokens.access);
                    let position = seen.refresh.iter().position(|held| *held == token).unwrap();
                    // I05, I06, I07: only the newest or the one before it is answered.
                    prop_assert!(position + 2 >= seen.refresh.len());
                    let known = seen.successors.entry(token).or_default();
                    known.insert(successor.clone());
                    prop_assert_eq!(known.len(), 1, "one successor");
                    if !seen.refresh.contains(&successor) {
                        seen.refresh.push(successor);
                    }
                } else if own && response.status() == 400 {
                    // A public client's token is refused only when its grant is over, or ends it.
                    seen.dead = true;
                } else {
                    prop_assert!(response.status() == 503 || !own);
                }
            }
            Act::Revoke(which) => {
                let Some(seen) = all.get_mut(*which) else {
                    continue;
                };
                let Some(token) = seen.refresh.first() else {
                    continue;
                };
                let pairs = [("token", token.as_str()), ("client_id", "client-app")];
                let response = post(&mut world, "/oauth/revoke", &pairs).unwrap();
                seen.dead |= response.status() == 200;
            }
            Act::Pass(seconds) => world.pass(Duration::from_secs(u64::from(*seconds))),
            Act::Restart => {
                start += 1;
                let (now, wall) = (world.now, world.wall);
                world = World::with_store(config(), world.store, start);
                (world.now, world.wall) = (now, wall);
            }
            Act::Fault(fault) => {
                world.store.faults.clear();
                world.store.faults.push_back(*fault);
            }
            Act::Consent => {}
        }
        // I12, I13, I16: dead stays dead, and nothing else dies with it.
        let faults = core::mem::take(&mut world.store.faults);
        for seen in &all {
            if seen.dead {
                for token in &seen.access {
                    prop_assert!(world.check(token).is_err());
                }
            }
        }
        world.store.faults = faults;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn grants_keep_their_invariants(acts in proptest::collection::vec(act(), 1..50)) {
        run(&acts)?;
    }

    /// I22: no bytes make a parser panic.
    #[test]
    fn parsers_are_total(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Form::parse(&bytes);
        let _ = token::check_form(&bytes);
        let _ = authorize::check_query(&bytes, &confidential(), &config());
        let _ = client_authentication::parse_basic(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        let mut asserting = config();
        asserting.client_assertions = Some(ClientAssertions::default());
        let _ = client_assertion::check_assertion_unverified(&text, &asserting, Duration::from_secs(1));
        let _ = text.parse::<ClientKey>();
        let _ = access_token::check_claims_unverified(&text, &config(), Duration::from_secs(1));
    }

    /// I22: what was encoded comes back.
    #[test]
    fn forms_survive_encoding(pairs in proptest::collection::btree_map("[a-z_]{1,8}", "[^\0]{1,12}", 0..8)) {
        let text: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let parsed = Form::parse(form(&text).as_bytes()).unwrap();
        for (name, value) in &pairs {
            prop_assert_eq!(parsed.get(name), Some(value.as_str()));
        }
        prop_assert!(!parsed.has_repeats());
    }

    /// I28: order and unknown parameters change nothing, a repeated one always refuses.
    #[test]
    fn order_and_unknown_parameters_do_not_matter(extra in "x[a-z]{1,6}", value in "[a-z]{1,6}", turn in 0..6_usize) {
        let path = authorize_path("client-acme", &[]);
        let query = path.split_once('?').unwrap().1;
        let mut pairs: Vec<&str> = query.split('&').collect();
        let unknown = format!("{extra}={value}");
        pairs.push(&unknown);
        pairs.rotate_left(turn);
        let asked = authorize::check_query(pairs.join("&").as_bytes(), &confidential(), &config());
        prop_assert!(asked.is_ok_and(|uri| uri.as_str() == REDIRECT));
        let doubled = format!("{query}&client_id=client-acme");
        prop_assert!(authorize::check_query(doubled.as_bytes(), &confidential(), &config()).is_err());
    }
}
