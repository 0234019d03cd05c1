//! The router's table, row by row, and what precedes it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use http::Method;
use proptest::prelude::*;
use uci_model::Href;
use uci_server_core::account::Target;
use uci_server_core::router::{Route, RouteError, route};

const D: &str = "53080a4f-5e3e-4291-802f-3436238232d2";
const S: &str = "1eeb465c-5e8d-4305-a366-bbf035fff671";

/// A short text for what a path leads to.
fn found(method: &Method, path: &str) -> String {
    match route("", method, path) {
        Ok(Route::RetrieveDevices) => "devices".into(),
        Ok(Route::RetrieveDevice { device }) => format!("device {device}"),
        Ok(Route::RetrieveResource { device, href }) => format!("get {device} {href}"),
        Ok(Route::UpdateResource { device, href }) => format!("update {device} {href}"),
        Ok(Route::Subscribe { target }) => format!("subscribe {}", level(&target)),
        Ok(Route::Unsubscribe {
            target,
            subscription,
        }) => {
            format!("unsubscribe {} {subscription}", level(&target))
        }
        Ok(other) => panic!("{other:?}"),
        Err(RouteError::MethodNotAllowed { allow }) => format!("405 {allow}"),
        Err(RouteError::NotFound) => "404".into(),
        Err(_) => "400".into(),
    }
}

fn level(target: &Target) -> String {
    match target {
        Target::Devices => "devices".into(),
        Target::Device(device) => format!("device {device}"),
        Target::Resource(device, href) => format!("resource {device} {href}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_row_of_the_table_holds() {
    // Path below /devices; GET, POST, DELETE.
    let rows = [
        ("", "devices", "405 GET", "405 GET"),
        (
            "/subscriptions",
            "405 POST",
            "subscribe devices",
            "405 POST",
        ),
        (
            "/subscriptions/S",
            "405 DELETE",
            "405 DELETE",
            "unsubscribe devices S",
        ),
        ("/D", "device D", "405 GET", "405 GET"),
        (
            "/D/subscriptions",
            "get D /subscriptions",
            "subscribe device D",
            "405 GET, POST",
        ),
        (
            "/D/subscriptions/S",
            "get D /subscriptions/S",
            "update D /subscriptions/S",
            "unsubscribe device D S",
        ),
        (
            "/D/light/1/subscriptions",
            "get D /light/1/subscriptions",
            "subscribe resource D /light/1",
            "405 GET, POST",
        ),
        (
            "/D/light/1/subscriptions/S",
            "get D /light/1/subscriptions/S",
            "update D /light/1/subscriptions/S",
            "unsubscribe resource D /light/1 S",
        ),
        (
            "/D/light/1/subscriptions/7",
            "get D /light/1/subscriptions/7",
            "update D /light/1/subscriptions/7",
            "404",
        ),
        (
            "/D/light/1",
            "get D /light/1",
            "update D /light/1",
            "405 GET, POST",
        ),
    ];
    for (path, get, post, delete) in rows {
        let fill = |text: &str| text.replace('D', D).replace('S', S);
        let uri = format!("/api/v1/devices{}", fill(path));
        let expected = |text: &str| match text.strip_prefix("405 ") {
            Some(_) => text.to_owned(),
            None => fill(text),
        };
        assert_eq!(found(&Method::GET, &uri), expected(get), "GET {path}");
        assert_eq!(found(&Method::POST, &uri), expected(post), "POST {path}");
        assert_eq!(
            found(&Method::DELETE, &uri),
            expected(delete),
            "DELETE {path}"
        );
    }
}

#[test]
fn other_methods_are_named_what_is_allowed() {
    for method in [Method::PUT, Method::PATCH, Method::HEAD, Method::OPTIONS] {
        assert_eq!(found(&method, "/api/v1/devices"), "405 GET");
        assert_eq!(
            found(&method, &format!("/api/v1/devices/{D}/light")),
            "405 GET, POST"
        );
    }
}

#[test]
fn one_resource_has_many_spellings() {
    let expected = format!("get {D} /light/1");
    let upper = D.to_uppercase();
    for path in [
        format!("/{D}/light/1"),
        format!("/{D}/light%2F1"),
        format!("/{D}/%2flight%2f1"),
        format!("//{D}//light/1/"),
        format!("/{upper}/light/1"),
        format!("/{D}/{D}/light/1"),
        format!("/{D}/l%69ght/1"),
    ] {
        assert_eq!(
            found(&Method::GET, &format!("/api/v1/devices{path}")),
            expected,
            "{path}"
        );
    }
}

#[test]
fn an_href_that_needs_encoding_is_addressed_as_it_is_written() {
    for text in [
        "/100%25",
        "/a%3Fb",
        "/a%23b",
        "/l%2569ght",
        "/k%C3%BCche/%20",
    ] {
        let href: Href = text.parse().unwrap();
        assert_eq!(href.as_str(), text);
        let path = format!("/api/v1/devices/{D}{href}");
        assert_eq!(found(&Method::GET, &path), format!("get {D} {text}"));
    }
    // Decoded once and no more: this is a name that looks encoded, not a dot segment.
    assert_eq!(
        found(&Method::GET, &format!("/api/v1/devices/{D}/%252e%252e")),
        format!("get {D} /%252e%252e")
    );
}

#[test]
fn a_post_to_subscriptions_is_never_an_update() {
    for tail in [
        "subscriptions",
        "subscriptions/",
        "%73ubscriptions",
        "x%2Fsubscriptions",
    ] {
        let found = found(&Method::POST, &format!("/api/v1/devices/{D}/light/{tail}"));
        assert!(found.starts_with("subscribe resource"), "{tail}: {found}");
    }
}

#[test]
fn what_cannot_be_a_path_is_malformed() {
    for tail in [
        "..",
        "a/../b",
        ".",
        "%2e%2E",
        "a%2F..%2Fb",
        "%",
        "%4",
        "%zz",
        "a%00",
        "a%0Ab",
        "%ff",
    ] {
        assert_eq!(
            found(&Method::GET, &format!("/api/v1/devices/{D}/{tail}")),
            "400",
            "{tail}"
        );
    }
    assert_eq!(
        found(
            &Method::GET,
            &format!("/api/v1/devices/{D}/{}", "a".repeat(3000))
        ),
        "400"
    );
}

#[test]
fn what_nothing_can_be_called_is_not_found() {
    let long = format!("/api/v1/devices/{D}/{}", "a".repeat(400));
    for path in [
        "/",
        "/api/v1",
        "/api/v2/devices",
        "/v1/devices",
        "/api/v1/devices/no-uuid",
        "/api/v1/devices/no-uuid/light",
        "/api/v1/devices/subscriptions/x/y",
        &long,
    ] {
        assert_eq!(found(&Method::GET, path), "404", "{path}");
    }
    assert_eq!(
        found(&Method::DELETE, "/api/v1/devices/subscriptions/no-uuid"),
        "404"
    );
}

#[test]
fn a_prefix_precedes_everything() {
    let get = |path| route("/c2c/gw/", &Method::GET, path);
    assert_eq!(get("/c2c/gw/api/v1/devices"), Ok(Route::RetrieveDevices));
    assert_eq!(get("/api/v1/devices"), Err(RouteError::NotFound));
}

proptest! {
    #[test]
    fn any_path_gives_an_answer(path in "[/%a-z0-9.{}SD?#\\x00-\\x20-]{0,80}") {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            // A route or an error, never a panic; and no route when a dot segment is in it.
            let text = format!("/api/v1/devices/{D}/{path}");
            let found = found(&method, &text);
            if path.split('/').any(|segment| segment == "..") {
                prop_assert_eq!(found, "400");
            }
        }
    }
}
