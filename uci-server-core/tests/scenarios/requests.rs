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

/// A row of the table of statuses: what is asked, and how it is answered.
struct Row {
    status: u16,
    request: http::Request<bytes::Bytes>,
    who: Authentication,
    /// What the device answers, if it is asked.
    device: Option<u8>,
    /// The header that must be there.
    header: Option<(&'static str, &'static str)>,
}

fn row(status: u16, request: http::Request<bytes::Bytes>) -> Row {
    Row {
        status,
        request,
        who: granted("alice", "g1"),
        device: None,
        header: None,
    }
}

impl Row {
    fn by(mut self, who: Authentication) -> Self {
        self.who = who;
        self
    }

    fn device(mut self, code: u8) -> Self {
        self.device = Some(code);
        self
    }

    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    /// The answer in a cloud where Alice has a light and an offline device with one.
    fn check(self, config: Config) {
        let mut world = World::with(config);
        world.light();
        world.report(device(2), Occurrence::Registered);
        world.report(device(2), Occurrence::LinksPublished(vec![link(LIGHT)]));
        let name = format!("{} {}", self.request.method(), self.request.uri());
        let id = world.start(&self.request, self.who);
        assert_eq!(
            world.asks.len(),
            usize::from(self.device.is_some()),
            "{name}"
        );
        if let Some(code) = self.device {
            world.answer_ask(code, None);
        }
        let response = &world.responses[&id];
        assert_eq!(response.status(), self.status, "{name}");
        let header = self.header.map(|(header, _)| {
            let value = response.headers().get(header);
            (header, value.map_or("", |value| value.to_str().unwrap()))
        });
        assert_eq!(header, self.header, "{name}");
        assert!(!response.headers().contains_key("location"), "{name}");
        if self.status >= 400 {
            // A diagnostic payload, for a person.
            assert_eq!(response.headers()["content-type"], "text/plain", "{name}");
            assert!(!response.body().is_empty(), "{name}");
        }
    }
}

#[test]
fn every_row_of_the_table_of_statuses_holds() {
    let json = "application/json";
    let (light, dark) = (path(1, LIGHT), path(2, LIGHT));
    let get = |path: &str| request(Method::GET, path);
    let accepting = |mut request: http::Request<bytes::Bytes>, accept: &str| {
        let accept = accept.parse().unwrap();
        request.headers_mut().insert("accept", accept);
        request
    };
    let scoped = |scope| Authentication::Granted(principal("alice", "g1", scope));
    let insufficient = "Bearer error=\"insufficient_scope\", scope=\"r:*\"";
    let rows = [
        row(200, get("")).header("content-type", json),
        row(200, get("?content=all")).header("vary", "Accept"),
        row(200, get(&path(1, ""))).header("content-type", json),
        row(200, get("")).by(granted("bob", "b1")),
        row(200, get(&light)).device(69),
        row(200, post(&light, json, "{}")).device(68),
        row(201, subscribe_request("", DEVICES)).header("content-type", json),
        row(201, subscribe_request(&path(1, ""), PUBLISHED)),
        row(201, subscribe_request(&light, CHANGED)),
        // Never a redirect: what is not written as it should be is read as it is meant.
        row(200, get("/")),
        row(200, get(&format!("/{light}/"))).device(69),
        row(400, get("?content=some")),
        row(400, get(&format!("{light}/%zz"))),
        row(400, post(&light, json, "{")),
        row(400, post("/subscriptions", json, "{}")),
        row(400, subscribe_request("", CHANGED)),
        row(401, get(""))
            .by(Authentication::Missing)
            .header("www-authenticate", "Bearer"),
        row(401, get(""))
            .by(Authentication::Invalid)
            .header("www-authenticate", "Bearer error=\"invalid_token\""),
        row(403, get(""))
            .by(scoped("w:*"))
            .header("www-authenticate", insufficient),
        row(403, subscribe_request("", DEVICES)).by(scoped("")),
        row(403, post(&light, json, "{}")).by(scoped("r:*")),
        row(403, get(&light)).device(131),
        row(404, get(&path(9, ""))),
        row(404, get(&path(9, LIGHT))),
        row(404, get(&path(1, "/nothing"))),
        row(404, post(&path(1, "/nothing"), json, "{}")),
        row(404, subscribe_request(&path(9, ""), PUBLISHED)),
        row(404, subscribe_request(&path(1, "/nothing"), CHANGED)),
        row(
            404,
            request(Method::DELETE, &format!("/subscriptions/{}", device(9))),
        ),
        row(404, get(&light)).device(132),
        row(405, request(Method::PUT, "")).header("allow", "GET"),
        row(405, request(Method::DELETE, &light)).header("allow", "GET, POST"),
        row(405, post(&light, json, "{}"))
            .device(133)
            .header("allow", "GET"),
        row(406, accepting(get(""), "text/html")).header("vary", "Accept"),
        row(406, accepting(post(&light, json, "{}"), "text/html")),
        // Of a subscription it is the format of what it is told, and that is never refused.
        row(201, accepting(subscribe_request("", DEVICES), "text/html")),
        row(413, post(&light, json, &" ".repeat(2 << 20))),
        row(415, post(&light, "text/plain", "on")),
        row(415, post("/subscriptions", "text/plain", "{}")),
        row(429, get(&light))
            .device(157)
            .header("retry-after", "60"),
        row(502, get(&light)).device(160),
        row(503, get(&light))
            .device(163)
            .header("retry-after", "60"),
        row(504, get(&dark)).header("retry-after", "60"),
        row(504, post(&dark, json, "{}")).header("retry-after", "60"),
        row(504, get(&light))
            .device(164)
            .header("retry-after", "60"),
    ];
    for row in rows {
        row.check(Config::default());
    }
    let mut world = World::new();
    let id = world.subscribe("", DEVICES);
    let delete = request(Method::DELETE, &format!("/subscriptions/{id}"));
    for status in [StatusCode::ACCEPTED, StatusCode::NOT_FOUND] {
        let response = world.call(&delete, granted("alice", "g1"));
        assert_eq!(response.status(), status);
        assert_eq!(response.body().is_empty(), status == StatusCode::ACCEPTED);
    }
    // What the cloud itself has too much of.
    let mut config = Config::default();
    config.client.rate = Some(uci_server_core::Rate::new(0, Duration::from_secs(60)));
    let mut world = World::with(config);
    world.get("");
    let much = world.get("");
    assert_eq!(much.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(much.headers()["retry-after"], "60");
    let mut config = Config::default();
    config.max_pending = 0;
    let busy = World::with(config).get("");
    assert_eq!(busy.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(busy.headers()["retry-after"], "60");
}
