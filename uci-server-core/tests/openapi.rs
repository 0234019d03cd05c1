//! The description and the cloud agree, in both directions: operations with routes, answers with what is described.
//!
//! Besides what is here, the rig holds every answer of every scenario against the description.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

#[path = "rig/rig.rs"]
mod rig;

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use proptest::prelude::*;
use rig::described::{METHODS, document, operation, resolved, template};
use rig::{LIGHT, World, cbor, device, granted, link, post, request, subscribe_request};
use serde_json::Value;
use uci_model::event::SubscriptionLevel;
use uci_server_core::account::Target;
use uci_server_core::router::{Route, RouteError, route};
use uci_server_core::{Authentication, Config, Occurrence, Rate};

const D: &str = "53080a4f-5e3e-4291-802f-3436238232d2";
const S: &str = "1eeb465c-5e8d-4305-a366-bbf035fff671";

/// The operations, by the route that they lead to.
fn operation_ids(route: &Route) -> &'static [&'static str] {
    match route {
        Route::RetrieveDescription => &["retrieveDescription"],
        Route::RetrieveDevices => &["retrieveDevices"],
        Route::RetrieveDevice { .. } => &["retrieveDevice"],
        Route::RetrieveResource { .. } => &[
            "retrieveResource",
            "retrieveResourceSubscriptions",
            "retrieveResourceBelowSubscriptions",
            "retrieveNestedSubscriptions",
            "retrieveNestedBelowSubscriptions",
        ],
        Route::UpdateResource { .. } => &[
            "updateResource",
            "updateResourceBelowSubscriptions",
            "updateNestedBelowSubscriptions",
        ],
        Route::Subscribe { target } => match target {
            Target::Devices => &["subscribeToDevices"],
            Target::Device(_) => &["subscribeToDevice"],
            _ => &["subscribeToResource"],
        },
        Route::Unsubscribe { target, .. } => match target {
            Target::Devices => &["unsubscribeFromDevices"],
            Target::Device(_) => &["unsubscribeFromDevice"],
            _ => &["unsubscribeFromResource"],
        },
        other => panic!("{other:?}"),
    }
}

fn operations() -> impl Iterator<Item = (&'static str, Method, &'static Value)> {
    let paths = document()["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap();
        methods.iter().map(move |(method, operation)| {
            let method = method.to_uppercase().parse().unwrap();
            (path.as_str(), method, operation)
        })
    })
}

mod routes {
    use super::*;

    #[test]
    fn every_operation_leads_to_its_route() {
        let mut seen = BTreeSet::new();
        for (path, method, operation) in operations() {
            let path = path
                .replace("{deviceId}", D)
                .replace("{subscriptionId}", S)
                // As a generated client writes it.
                .replace("{resourceLinkHref}", "light%2F1");
            let found = route("", &method, &format!("/api/v1{path}")).unwrap();
            let name = operation["operationId"].as_str().unwrap();
            assert!(operation_ids(&found).contains(&name), "{name}: {found:?}");
            assert!(seen.insert(name), "{name} stands twice");
        }
        assert_eq!(seen.len(), 17);
    }

    /// Segments after `/devices`, and what else may stand after `/api/v1`.
    fn paths() -> impl Strategy<Value = String> {
        let segment = prop::sample::select(vec!["subscriptions", S, "light", "7"]);
        let below = prop::collection::vec(segment, 0..5);
        let below_device = below.prop_map(|rest| format!("/devices/{D}/{}", rest.join("/")));
        // What is no UUID is no subscription, so no path of the description.
        let other = prop::sample::select(vec!["", S, "subscriptions/x", "x/y"]);
        let other = other.prop_map(|rest| format!("/devices/subscriptions/{rest}"));
        let fixed = prop::sample::select(vec!["", "/", "/devices", "/openapi.json", "/devices/x"]);
        prop_oneof![8 => below_device, 2 => other, 1 => fixed.prop_map(str::to_owned)]
    }

    proptest! {
        #[test]
        fn every_route_has_its_operation_and_no_other_method(path in paths()) {
            let path = path.trim_end_matches('/');
            let mut described = BTreeSet::new();
            let mut allowed = BTreeSet::new();
            for method in METHODS {
                let operation = operation(&method, path);
                described.extend(operation.map(|_| method.to_string()));
                match route("", &method, &format!("/api/v1{path}")) {
                    Ok(found) => {
                        let name = operation.map(|operation| &operation["operationId"]);
                        let name = name.and_then(Value::as_str).unwrap_or_default();
                        prop_assert!(operation_ids(&found).contains(&name), "{method} {path}: {found:?}");
                    }
                    Err(RouteError::MethodNotAllowed { allow }) => {
                        prop_assert!(operation.is_none(), "{method} {path}");
                        allowed.extend(allow.split(", ").map(ToOwned::to_owned));
                    }
                    Err(error) => prop_assert!(operation.is_none(), "{method} {path}: {error}"),
                }
            }
            if !allowed.is_empty() {
                prop_assert_eq!(described, allowed, "{:?}", template(path));
            }
        }
    }
}

mod answers {
    use super::*;

    /// Every status that the description lists but 503 and 404, which every scenario meets, by what causes it.
    #[test]
    fn a_refusal_is_described_at_every_operation() {
        let mut config = Config::default();
        config.client.body = 1000;
        let mut world = World::with(config);
        world.light();
        for (path, method, described) in operations() {
            let listed = described["responses"].as_object().unwrap();
            let path = path
                .replace("{deviceId}", &device(1).to_string())
                .replace("{subscriptionId}", S)
                .replace("{resourceLinkHref}", LIGHT.trim_start_matches('/'));
            let Some(below) = path.strip_prefix("/devices") else {
                continue;
            };
            let mut seen = BTreeSet::new();
            let plain = if method == Method::POST {
                post(below, "application/json", "{}")
            } else {
                request(method.clone(), below)
            };
            let mut try_it = |request: &Request<Bytes>, who: Authentication| {
                let id = world.start(request, who);
                while !world.asks.is_empty() {
                    world.answer_ask(69, None);
                }
                seen.insert(world.responses.remove(&id).unwrap().status().as_u16());
            };
            try_it(&plain, Authentication::Missing);
            try_it(
                &plain,
                Authentication::Granted(rig::principal("alice", "g1", "none")),
            );
            let mut html = plain.clone();
            html.headers_mut()
                .insert("accept", "text/html".parse().unwrap());
            try_it(&html, granted("alice", "g1"));
            let mut text = plain.clone();
            text.headers_mut()
                .insert("content-type", "text/plain".parse().unwrap());
            try_it(&text, granted("alice", "g1"));
            let mut long = plain.clone();
            *long.body_mut() = vec![b' '; 1001].into();
            try_it(&long, granted("alice", "g1"));
            for status in [401, 403, 406, 413, 415] {
                assert!(
                    seen.contains(&status) || !listed.contains_key(&status.to_string()) || {
                        // Of a resource that does not exist nobody can be asked; the device's own refusals are below.
                        described["tags"][0] == "resources"
                    },
                    "{method} {path} lists {status} and does not answer it: {seen:?}"
                );
            }
        }
    }

    #[test]
    fn every_answer_of_a_device_is_described() {
        let mut world = World::new();
        world.light();
        let light = format!("/{}{LIGHT}", device(1));
        for request in [
            request(Method::GET, &light),
            post(&light, "application/json", "{}"),
        ] {
            let mut seen = BTreeSet::new();
            for code in 0..=u8::MAX {
                for content in [None, Some(cbor("{}")), Some(rig::json("{"))] {
                    let id = world.start(&request, granted("alice", "g1"));
                    // The rig holds the answer against the description.
                    while !world.asks.is_empty() {
                        world.answer_ask(code, content.clone());
                    }
                    seen.insert(world.responses.remove(&id).unwrap().status().as_u16());
                }
            }
            let described = operation(request.method(), &format!("/devices/{D}/x")).unwrap();
            let listed = described["responses"].as_object().unwrap();
            let listed: BTreeSet<u16> = listed.keys().map(|text| text.parse().unwrap()).collect();
            // What only the cloud itself answers.
            seen.insert(401);
            assert_eq!(seen, listed, "{}", request.method());
        }
    }

    #[test]
    fn too_much_and_unavailable_are_described_everywhere() {
        let mut config = Config::default();
        config.client.rate = Some(Rate::new(1, Duration::from_secs(1)));
        let mut limited = World::with(config);
        let mut config = Config::default();
        config.max_pending = 0;
        let mut full = World::with(config);
        for (path, method, described) in operations() {
            let path = path
                .replace("{deviceId}", D)
                .replace("{subscriptionId}", S)
                .replace("{resourceLinkHref}", "x");
            let Some(below) = path.strip_prefix("/devices") else {
                continue;
            };
            let name = &described["operationId"];
            limited.call(&request(Method::GET, ""), granted("alice", "g1"));
            let much = limited.call(&request(method.clone(), below), granted("alice", "g1"));
            assert_eq!(much.status(), StatusCode::TOO_MANY_REQUESTS, "{name}");
            let busy = full.call(&request(method.clone(), below), granted("alice", "g1"));
            assert_eq!(busy.status(), StatusCode::SERVICE_UNAVAILABLE, "{name}");
            limited.pass(Duration::from_secs(1));
        }
    }

    #[test]
    fn the_description_is_served_to_everybody_below_the_prefix() {
        let mut config = Config::default();
        config.prefix = "/c2c/gw".to_owned();
        let mut world = World::with(config);
        let get = |path: &str| {
            let request = Request::get(format!("https://cloud.example.com{path}"));
            request.body(Bytes::new()).unwrap()
        };
        for who in [Authentication::Missing, Authentication::Invalid] {
            let response = world.call(&get("/c2c/gw/api/v1/openapi.json"), who);
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()["content-type"], "application/json");
            let served: Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!(served["servers"][0]["url"], "/c2c/gw/api/v1");
            assert_eq!(served["paths"], document()["paths"]);
        }
        let elsewhere = world.call(&get("/api/v1/openapi.json"), Authentication::Missing);
        assert_eq!(elsewhere.status(), StatusCode::UNAUTHORIZED);
    }
}

mod contents {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere_and_every_component_is_used() {
        let mut used = BTreeSet::new();
        collect(document(), &mut used);
        let mut defined = BTreeSet::new();
        for (kind, components) in document()["components"].as_object().unwrap() {
            if kind != "securitySchemes" {
                let names = components.as_object().unwrap().keys();
                defined.extend(names.map(|name| format!("#/components/{kind}/{name}")));
            }
        }
        assert_eq!(used, defined);
    }

    fn collect(value: &'static Value, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(place)) = members.get("$ref") {
                    assert!(!resolved(value).is_null());
                    into.insert(place.clone());
                }
                members.values().for_each(|member| collect(member, into));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
            _ => {}
        }
    }

    #[test]
    fn scopes_are_those_that_the_cloud_asks_for() {
        for (path, method, described) in operations() {
            let scopes = match described["operationId"].as_str().unwrap() {
                "retrieveDescription" => {
                    assert_eq!(described["security"], serde_json::json!([]));
                    continue;
                }
                name if name.starts_with("update") => "r:* w:*",
                _ => "r:*",
            };
            let listed = described["security"][0]["oauth2"].as_array().unwrap();
            let listed: Vec<_> = listed.iter().map(|scope| scope.as_str().unwrap()).collect();
            assert_eq!(listed.join(" "), scopes, "{method} {path}");
        }
    }

    /// Every event type of the level has a callback with its body, and so has the cancellation, which has none.
    #[test]
    fn every_event_has_its_callback() {
        for (path, level) in [
            ("/devices/subscriptions", SubscriptionLevel::Devices),
            (
                "/devices/{deviceId}/subscriptions",
                SubscriptionLevel::Device,
            ),
            (
                "/devices/{deviceId}/{resourceLinkHref}/subscriptions",
                SubscriptionLevel::Resource,
            ),
        ] {
            let callbacks = &document()["paths"][path]["post"]["callbacks"];
            let mut expected: BTreeSet<String> = level
                .event_types()
                .iter()
                .map(ToString::to_string)
                .collect();
            expected.insert("subscription_cancelled".to_owned());
            let named: BTreeSet<String> = callbacks.as_object().unwrap().keys().cloned().collect();
            assert_eq!(named, expected);
            let request = resolved(&document()["paths"][path]["post"]["requestBody"]);
            let schema = resolved(&request["content"]["application/json"]["schema"]);
            let types = schema["properties"]["eventTypes"]["items"]["enum"].as_array();
            let types = types
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap().to_owned());
            expected.remove("subscription_cancelled");
            assert_eq!(types.collect::<BTreeSet<_>>(), expected);
        }
    }

    /// What is really sent has exactly the headers and the kind of body that its callback says.
    #[test]
    fn notifications_are_as_their_callbacks_say() {
        let mut world = World::new();
        world.light();
        let (one, light) = (format!("/{}", device(1)), format!("/{}{LIGHT}", device(1)));
        let all = [
            ("", SubscriptionLevel::Devices),
            (&one, SubscriptionLevel::Device),
            (&light, SubscriptionLevel::Resource),
        ];
        let mut ids = Vec::new();
        for (path, level) in all {
            let types: Vec<&str> = level.event_types().iter().map(|t| t.as_str()).collect();
            ids.push((path, world.subscribe(path, &types)));
        }
        let published = Occurrence::LinksPublished(vec![link("/other")]);
        world.report(device(1), published);
        let mut seen = BTreeSet::new();
        let mut ended = false;
        loop {
            while let Some((id, request)) = world.deliveries.pop_front() {
                seen.insert(check_callback(&request));
                world.answer_delivery(id, 200);
            }
            if std::mem::replace(&mut ended, true) {
                break;
            }
            for (path, id) in &ids {
                assert_eq!(world.unsubscribe(path, id), StatusCode::ACCEPTED);
            }
        }
        assert_eq!(seen.len(), 8, "{seen:?}");
    }

    fn check_callback(request: &Request<Bytes>) -> String {
        let event = request.headers()["event-type"].to_str().unwrap().to_owned();
        let post =
            &document()["components"]["callbacks"][&event]["{$request.body#/eventsUrl}"]["post"];
        let described: BTreeSet<String> = post["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|parameter| resolved(parameter)["name"].as_str().unwrap().to_lowercase())
            .collect();
        let mut sent: BTreeSet<String> =
            request.headers().keys().map(ToString::to_string).collect();
        let media_type = sent.remove("content-type");
        assert_eq!(sent, described, "{event}");
        assert_eq!(media_type, post.get("requestBody").is_some(), "{event}");
        if media_type {
            let content = &post["requestBody"]["content"];
            let name = request.headers()["content-type"].to_str().unwrap();
            let schema = resolved(&content[name]["schema"]);
            let body: Value = serde_json::from_slice(request.body()).unwrap();
            match &schema["type"] {
                Value::String(one) => assert!(one == "array" && body.is_array(), "{event}"),
                both => assert!(both.is_array() && (body.is_object() || body.is_array())),
            }
        }
        event
    }

    /// What the examples of subscribe requests show is taken.
    #[test]
    fn the_examples_of_requests_are_accepted() {
        let mut world = World::new();
        world.light();
        for (path, body) in [
            (String::new(), "SubscribeToDevices"),
            (format!("/{}", device(1)), "SubscribeToDevice"),
            (format!("/{}{LIGHT}", device(1)), "SubscribeToResource"),
        ] {
            let media = &document()["components"]["requestBodies"][body]["content"];
            let example = media["application/json"]["example"].to_string();
            let mut request = subscribe_request(&path, &[]);
            *request.body_mut() = example.into();
            let response = world.call(&request, granted("alice", "g1"));
            assert_eq!(response.status(), StatusCode::CREATED, "{body}");
        }
    }
}
