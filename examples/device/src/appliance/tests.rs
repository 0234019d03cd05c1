use coap_psk::{CoapOption, Code, Method, Request};
use uci_model::{Limits, Value};

use super::{Appliance, Effect, PLAIN_CBOR, Refusal};

const THERMOSTAT: &str = "/thermostat/temperature";
const OCF_CBOR: u16 = 10_000;

fn appliance() -> Appliance {
    let id = "5f3c2d6e-8a41-4a43-9d8e-0c1f6a7b2e10";
    Appliance::new(id.parse().unwrap(), "Hall")
}

fn post(href: &str, value: impl Into<Value>) -> Request {
    let request = Request::new(Method::Post, href).unwrap();
    request.with_payload(OCF_CBOR, value.into().to_cbor())
}

fn value(payload: &[u8]) -> Value {
    Value::from_cbor(payload, &Limits::default()).unwrap()
}

#[test]
fn a_resource_is_read_in_both_views() {
    let mut appliance = appliance();
    let get = |query: &str| Request::new(Method::Get, &format!("{THERMOSTAT}{query}")).unwrap();
    let (response, effect) = appliance.answer(&get(""));
    assert_eq!(response.code, Code::CONTENT);
    assert_eq!(response.content_format, Some(OCF_CBOR));
    let read = value(&response.payload);
    assert_eq!(read.get("temperature"), Some(&Value::from(21.5)));
    assert_eq!(read.get("rt"), None);
    let href = THERMOSTAT;
    assert_eq!(
        effect,
        Effect::Retrieved {
            href,
            observe: false
        }
    );
    let (response, _) = appliance.answer(&get("?if=oic.if.baseline"));
    let types = value(&response.payload).get("rt").cloned();
    assert_eq!(types, Some(vec![Value::from("oic.r.temperature")].into()));
}

#[test]
fn an_update_changes_what_it_names_and_is_answered_with_the_state() {
    let mut appliance = appliance();
    let update = post(THERMOSTAT, [("targetTemperature", Value::from(23_u64))]);
    let (response, effect) = appliance.answer(&update);
    assert_eq!(response.code, Code::CHANGED);
    let now = value(&response.payload);
    assert_eq!(now.get("targetTemperature"), Some(&Value::from(23.0)));
    assert_eq!(now.get("temperature"), Some(&Value::from(21.5)));
    let href = THERMOSTAT;
    assert_eq!(
        effect,
        Effect::Updated {
            href,
            value: now.clone()
        }
    );
    assert_eq!(appliance.get(THERMOSTAT), Some(now));
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let mut appliance = appliance();
    let before = appliance.get("/light/1");
    let light = |value: Value| post("/light/1", value);
    let on = Value::from([("state", Value::from(true))]);
    for (request, code) in [
        (
            light([("power", Value::from(101_u64))].into()),
            Code::BAD_REQUEST,
        ),
        (
            light([("state", Value::from(true)), ("power", Value::from(-1_i64))].into()),
            Code::BAD_REQUEST,
        ),
        (
            light([("state", Value::from(1_u64))].into()),
            Code::BAD_REQUEST,
        ),
        (
            light([("colour", Value::from("red"))].into()),
            Code::BAD_REQUEST,
        ),
        (light(Value::from(true)), Code::BAD_REQUEST),
        (
            light(on.clone()).with_payload(OCF_CBOR, &b"\xff"[..]),
            Code::BAD_REQUEST,
        ),
        (
            light(on.clone()).with_payload(50, &b"{}"[..]),
            Code::UNSUPPORTED_CONTENT_FORMAT,
        ),
        (
            light(on.clone()).with_option(CoapOption::new(5, &b""[..])),
            Code::PRECONDITION_FAILED,
        ),
        (light(on.clone()).with_accept(50), Code::NOT_ACCEPTABLE),
        (post("/light/2", on.clone()), Code::NOT_FOUND),
        (post("/oic/d", on.clone()), Code::METHOD_NOT_ALLOWED),
        (
            post(THERMOSTAT, [("temperature", Value::from(9.0))]),
            Code::BAD_REQUEST,
        ),
        (
            Request::new(Method::Delete, "/light/1").unwrap(),
            Code::METHOD_NOT_ALLOWED,
        ),
    ] {
        let (response, effect) = appliance.answer(&request);
        assert_eq!(
            (response.code, effect),
            (code, Effect::Refused),
            "{request:?}"
        );
    }
    assert_eq!(appliance.get("/light/1"), before);
    let (response, _) = appliance.answer(&light(on).with_accept(PLAIN_CBOR));
    assert_eq!(response.code, Code::CHANGED);
}

#[test]
fn what_changes_can_be_observed_and_the_rest_cannot() {
    let mut appliance = appliance();
    for (href, observable) in [("/light/1", true), (THERMOSTAT, true), ("/oic/d", false)] {
        let mut request = Request::new(Method::Get, href).unwrap();
        request.observe = true;
        let (response, _) = appliance.answer(&request);
        assert_eq!(response.observable, observable, "{href}");
    }
}

#[test]
fn the_room_may_change_what_is_measured() {
    let mut appliance = appliance();
    let warmer = Value::from([("temperature", Value::from(22.5))]);
    let now = appliance.set(THERMOSTAT, &warmer).unwrap();
    assert_eq!(now.get("temperature"), Some(&Value::from(22.5)));
    assert_eq!(appliance.set("/none", &warmer), Err(Refusal::NotFound));
    assert_eq!(appliance.set("/oic/p", &warmer), Err(Refusal::Method));
}

#[test]
fn the_publication_names_every_link_with_its_policy() {
    let published = value(&appliance().publication().unwrap());
    let links = published.get("links").and_then(Value::as_array).unwrap();
    assert_eq!(links.len(), 4);
    let light = links
        .iter()
        .find(|link| link.get("href").and_then(Value::as_str) == Some("/light/1"))
        .unwrap();
    let policy = light.get("p").and_then(|policy| policy.get("bm")).unwrap();
    assert_eq!(policy, &Value::from(3_u64));
    let id = published.get("di").and_then(Value::as_str);
    assert_eq!(id, Some("5f3c2d6e-8a41-4a43-9d8e-0c1f6a7b2e10"));
}
