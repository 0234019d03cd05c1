//! Requests: who may ask for what, and how answers look.

use super::*;

#[test]
fn without_credentials_there_is_a_challenge() {
    let mut world = World::new();
    let all = request(Method::GET, "");
    for (who, challenge) in [
        (Authentication::Missing, "Bearer"),
        (Authentication::Invalid, "Bearer error=\"invalid_token\""),
    ] {
        let response = world.call(&all, who);
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()["www-authenticate"], challenge);
    }
    let mut expired = principal("alice", "g1", "r:*");
    expired.expires = world.wall;
    let response = world.call(&all, Authentication::Granted(expired));
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[test]
fn a_missing_scope_is_forbidden_and_the_device_sees_nothing() {
    let mut world = World::new();
    world.light();
    let update = post(&path(1, LIGHT), "application/json", r#"{"state":false}"#);
    for scope in ["r:*", "w:*"] {
        let who = Authentication::Granted(principal("alice", "g1", scope));
        let response = world.call(&update, who);
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let challenge = response.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.contains("insufficient_scope"), "{challenge}");
    }
    assert!(world.asks.is_empty());
    let who = Authentication::Granted(principal("alice", "g1", "user:read"));
    assert_eq!(
        world.call(&request(Method::GET, ""), who).status(),
        StatusCode::FORBIDDEN
    );
}

#[test]
fn a_user_without_devices_has_an_empty_list() {
    let mut world = World::new();
    assert_eq!(world.get_json(""), value!([]));
    assert_eq!(world.get_json("?content=all"), value!([]));
}

#[test]
fn devices_are_listed_with_links_or_representations() {
    let mut world = World::new();
    world.light();
    world.report(device(2), Occurrence::Registered);
    let (one, two) = (device(1).to_string(), device(2).to_string());
    let properties = |di: &str| value!({"di": di, "n": "", "rt": ["oic.wk.d"], "dmn": [{"language": "en", "value": ""}]});
    let links = value!([{
        "href": format!("/{one}/light/1"), "di": one, "p": {"bm": 0},
        "rt": ["oic.r.switch.binary"], "if": ["oic.if.rw", "oic.if.baseline"],
    }]);
    let base = value!([
        {"device": properties(&one), "status": "online", "links": links},
        {"device": properties(&two), "status": "offline", "links": []},
    ]);
    assert_eq!(world.get_json(""), base);
    assert_eq!(world.get_json("?content=base&x=1&content=base"), base);
    assert_eq!(world.get_json(&format!("/{one}")), base[0]);
    let all = value!({
        "device": properties(&one), "status": "online",
        "links": [{"href": format!("/{one}/light/1"), "rep": {"state": true}}],
    });
    assert_eq!(world.get_json("?content=all")[0], all);
    assert_eq!(world.get_json(&format!("/{one}?content=all")), all);
    // Offline it is data like any other.
    world.report(device(1), Occurrence::Offline);
    let offline = world.get_json(&format!("/{one}?content=all"));
    assert_eq!(
        (&offline["status"], &offline["links"]),
        (&value!("offline"), &all["links"])
    );
}

#[test]
fn an_unknown_batch_format_is_a_bad_request() {
    let mut world = World::new();
    for query in ["?content=foo", "?content=base&content=all", "?content="] {
        assert_eq!(
            world.get(query).status(),
            StatusCode::BAD_REQUEST,
            "{query}"
        );
    }
    assert_eq!(world.get("?rt=oic.d.light").status(), StatusCode::OK);
}

#[test]
fn answers_are_negotiated_and_say_so() {
    let mut world = World::new();
    world.light();
    let mut cbor = request(Method::GET, "");
    cbor.headers_mut()
        .insert("accept", "application/vnd.ocf+cbor".parse().unwrap());
    let response = world.call(&cbor, granted("alice", "g1"));
    assert_eq!(
        response.headers()["content-type"],
        "application/vnd.ocf+cbor"
    );
    assert_eq!(response.headers()["vary"], "Accept");
    for path in ["", "?content=all", &path(1, ""), &path(1, LIGHT)] {
        let mut html = request(Method::GET, path);
        html.headers_mut()
            .insert("accept", "text/html".parse().unwrap());
        let response = world.call(&html, granted("alice", "g1"));
        assert_eq!(response.status(), StatusCode::NOT_ACCEPTABLE, "{path}");
        assert_eq!(response.headers()["vary"], "Accept");
    }
    assert!(world.asks.is_empty());
}

#[test]
fn a_correlation_id_comes_back() {
    let mut world = World::new();
    let mut correlated = request(Method::GET, "/nothing");
    correlated
        .headers_mut()
        .insert("correlation-id", "abc".parse().unwrap());
    let response = world.call(&correlated, granted("alice", "g1"));
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(response.headers()["correlation-id"], "abc");
    assert!(world.get("").headers().get("correlation-id").is_none());
}

#[test]
fn another_users_things_do_not_exist() {
    let mut world = World::new();
    world.light();
    let id = world.subscribe("", DEVICES);
    let bob = || granted("bob", "b1");
    assert_eq!(
        world.call(&request(Method::GET, ""), bob()).body().as_ref(),
        b"[]"
    );
    let nothing = world.call(&request(Method::GET, &path(9, LIGHT)), bob());
    assert_eq!(nothing.status(), StatusCode::NOT_FOUND);
    let tries = [
        request(Method::GET, &path(1, "")),
        request(Method::GET, &path(1, LIGHT)),
        post(&path(1, LIGHT), "application/json", "{}"),
        subscribe_request(&path(1, ""), PUBLISHED),
        subscribe_request(&path(1, LIGHT), CHANGED),
        request(Method::DELETE, &format!("/subscriptions/{id}")),
    ];
    for mut request in tries {
        request.headers_mut().remove("correlation-id");
        let response = world.call(&request, bob());
        assert_eq!(response.status(), nothing.status(), "{request:?}");
        assert_eq!(response.body(), nothing.body(), "{request:?}");
        assert_eq!(response.headers(), nothing.headers(), "{request:?}");
    }
}

#[test]
fn a_foreign_method_is_not_allowed() {
    let mut world = World::new();
    let response = world.call(&request(Method::PUT, ""), granted("alice", "g1"));
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "GET");
}
