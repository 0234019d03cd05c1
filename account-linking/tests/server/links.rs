//! The page of links: what is linked to an account, and how its user ends that.

use std::time::Duration;

use account_linking::server::EndReason;
use bytes::Bytes;
use http::Response;

use crate::harness::*;

pub(crate) const LINKS: &str = "/oauth/links";

fn text(page: &Response<Bytes>) -> String {
    String::from_utf8(page.body().to_vec()).unwrap()
}

/// The grants that a page has a button for.
fn grants_on(page: &Response<Bytes>) -> Vec<String> {
    let text = text(page);
    let parts = text.split("name=\"unlink\" value=\"").skip(1);
    parts
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect()
}

/// Logs in to see the links.
pub(crate) fn see_links(world: &mut World, browser: &mut Browser, user: &str) -> Response<Bytes> {
    let login = browser.open(world, LINKS);
    assert!(text(&login).contains("name=\"password\""));
    // No client is waiting for this person.
    assert!(!text(&login).contains("wants to use"));
    browser.log_in(world, &login, user)
}

#[test]
fn a_user_sees_what_is_linked_and_ends_one_of_it() {
    let (mut world, secrets) = World::with_clients(&[confidential(), public()]);
    let acme = link(&mut world, secrets[0].as_deref(), "client-acme", "user-1");
    let app = link(&mut world, None, "client-app", "user-1");
    let others = link(&mut world, None, "client-app", "user-2");

    let mut browser = Browser::default();
    let page = see_links(&mut world, &mut browser, "user-1");
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers()["x-frame-options"], "DENY");
    let shown = text(&page);
    assert!(shown.contains("Acme &#60;Home&#62;") && shown.contains("App"));
    assert_eq!(grants_on(&page).len(), 2);

    let grant = world.check(&acme.access).unwrap().grant.to_string();
    let page = browser.submit(&mut world, &page, LINKS, &[("unlink", &grant)]);
    assert_eq!(page.status(), 200);
    assert_eq!(grants_on(&page).len(), 1);
    assert!(!text(&page).contains("Acme"));
    assert!(world.check(&acme.access).is_err());
    let refused = refresh(
        &mut world,
        secrets[0].as_deref(),
        "client-acme",
        &acme.refresh.unwrap(),
    );
    assert_eq!(error(&refused), "invalid_grant");
    assert_eq!(ends(&world, EndReason::Unlinked), 1);
    // Pressed twice: it has ended, and the page says so.
    let page = browser.submit(&mut world, &page, LINKS, &[("unlink", &grant)]);
    assert_eq!(grants_on(&page).len(), 1);
    assert_eq!(ends(&world, EndReason::Unlinked), 1);
    assert!(world.check(&app.access).is_ok() && world.check(&others.access).is_ok());
}

#[test]
fn nobody_ends_the_link_of_another() {
    let (mut world, _) = World::with_clients(&[public()]);
    let tokens = link(&mut world, None, "client-app", "user-1");
    let grant = world.check(&tokens.access).unwrap().grant.to_string();
    let unlink = [("unlink", grant.as_str())];

    // Another user, who knows its name.
    let mut other = Browser::default();
    let page = see_links(&mut world, &mut other, "user-2");
    assert!(grants_on(&page).is_empty());
    assert!(text(&page).contains("Nothing is linked"));
    let after = other.submit(&mut world, &page, LINKS, &unlink);
    assert_eq!(after.status(), 200);

    // A form of one browser sent by another, and one without its token.
    let mut own = Browser::default();
    let page = see_links(&mut world, &mut own, "user-1");
    let mut forged = own.form(&page, LINKS, &unlink);
    let cookie = format!("__Host-session={}", other.cookie.clone().unwrap());
    forged
        .headers_mut()
        .insert("cookie", cookie.parse().unwrap());
    assert_eq!(world.request(&forged).status(), 400);
    let body = text(&page);
    let interaction = body.split("name=\"interaction\" value=\"").nth(1).unwrap();
    let interaction = interaction.split('"').next().unwrap();
    let session = format!("__Host-session={}", own.cookie.clone().unwrap());
    for csrf in ["", "csrf"] {
        let fields = [
            ("interaction", interaction),
            ("csrf", csrf),
            ("unlink", &grant),
        ];
        let refused = world.post(LINKS, &[("cookie", &session)], form(&fields));
        assert_eq!(refused.status(), 400);
    }
    let foreign = [
        ("cookie", session.as_str()),
        ("origin", "https://evil.example"),
    ];
    let refused = world.post(LINKS, &foreign, form(&unlink));
    assert_eq!(refused.status(), 400);
    // The form of a consent is none of this page, nor the other way around.
    let consent = own.open(&mut world, &authorize_path("client-app", &[]));
    let crossed = own.form(&consent, LINKS, &unlink);
    assert_eq!(world.request(&crossed).status(), 400);
    let crossed = own.form(&page, "/oauth/consent", &[("decision", "allow")]);
    assert_eq!(world.request(&crossed).status(), 400);
    for nonsense in [
        &[][..],
        &[("unlink", "no grant")],
        &[("sign_out", "yes"), ("unlink", grant.as_str())],
    ] {
        let page = own.open(&mut world, LINKS);
        let refused = world.request(&own.form(&page, LINKS, nonsense));
        assert_eq!(refused.status(), 400);
    }
    assert!(world.check(&tokens.access).is_ok());
    assert_eq!(ends(&world, EndReason::Unlinked), 0);
    // And the one whose it is can, with the page as it was.
    let page = own.submit(&mut world, &page, LINKS, &unlink);
    assert!(grants_on(&page).is_empty());
    assert!(world.check(&tokens.access).is_err());
}

#[test]
fn who_signs_out_is_nobody_in_that_browser() {
    let (mut world, _) = World::with_clients(&[public()]);
    let mut browser = Browser::default();
    let page = see_links(&mut world, &mut browser, "user-1");
    let before = browser.clone();
    let sign_out = browser.form(&page, LINKS, &[("sign_out", "yes")]);
    let done = world.request(&sign_out);
    assert_eq!(done.status(), 200);
    assert!(text(&done).contains("signed out"));
    let forget = done.headers()["set-cookie"].to_str().unwrap();
    assert!(forget.starts_with("__Host-session=;") && forget.contains("Max-Age=0"));
    // Whoever kept the cookie has nothing.
    for path in [LINKS, &authorize_path("client-app", &[])] {
        let page = before.clone().open(&mut world, path);
        assert!(text(&page).contains("name=\"password\""), "{path}");
    }
    assert_eq!(world.request(&sign_out).status(), 400);
}

#[test]
fn a_store_in_trouble_ends_nothing_and_says_so() {
    let (mut world, _) = World::with_clients(&[public()]);
    let tokens = link(&mut world, None, "client-app", "user-1");
    let grant = world.check(&tokens.access).unwrap().grant.to_string();
    let mut browser = Browser::default();
    let page = see_links(&mut world, &mut browser, "user-1");
    world
        .store
        .faults
        .extend(std::iter::repeat_n(Fault::Silent, 1000));
    let unlink = browser.form(&page, LINKS, &[("unlink", &grant)]);
    let id = world.send(&unlink);
    world.pass(Duration::from_secs(10));
    let answer = world.responses.remove(&id).unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "1");
    world.store.faults.clear();
    world.pass(Duration::from_secs(1));
    let page = browser.open(&mut world, LINKS);
    assert_eq!(page.status(), 200);
}
