//! The name of what a request asks for: the template of its path, in which ids have no place.

use http::Method;
use uci_server_core::router::{Route, Target, route};

use crate::provisioning::{Instances, Management};

/// What stands for every path that leads nowhere.
const OTHER: &str = "other";

/// The template of a request's path.
pub(crate) fn template(method: &Method, path: &str) -> &'static str {
    match path {
        "/" => "/",
        "/authorize" => "/authorize",
        "/consent" => "/consent",
        "/introspect" => "/introspect",
        "/jwks" => "/jwks",
        "/links" => "/links",
        "/login" => "/login",
        "/par" => "/par",
        "/pages.css" => "/pages.css",
        "/revoke" => "/revoke",
        "/token" => "/token",
        "/userinfo" => "/userinfo",
        "/.well-known/oauth-authorization-server" | "/.well-known/openid-configuration" => {
            "/.well-known"
        }
        _ if path.starts_with(Management::PREFIX) => Management::PREFIX,
        _ => transfer(path).unwrap_or_else(|| interface(method, path)),
    }
}

/// What instances say to each other of a device that goes from one to the other.
fn transfer(path: &str) -> Option<&'static str> {
    let (transfer, device) = path.strip_prefix(Instances::PREFIX)?.split_once('/')?;
    let whole = !transfer.is_empty() && !device.is_empty() && !device.contains('/');
    whole.then_some("/provisioning/transfers/{transfer}/{deviceId}")
}

fn interface(method: &Method, path: &str) -> &'static str {
    match route("", method, path) {
        Ok(Route::RetrieveDescription) => "/api/v1/openapi.json",
        Ok(Route::RetrieveDevices) => "/api/v1/devices",
        Ok(Route::RetrieveDevice { .. }) => "/api/v1/devices/{deviceId}",
        Ok(Route::RetrieveResource { .. } | Route::UpdateResource { .. }) => {
            "/api/v1/devices/{deviceId}/{resourceLinkHref}"
        }
        Ok(Route::Subscribe { target }) => at(
            &target,
            "/api/v1/devices/subscriptions",
            "/api/v1/devices/{deviceId}/subscriptions",
            "/api/v1/devices/{deviceId}/{resourceLinkHref}/subscriptions",
        ),
        Ok(Route::Unsubscribe { target, .. }) => at(
            &target,
            "/api/v1/devices/subscriptions/{subscriptionId}",
            "/api/v1/devices/{deviceId}/subscriptions/{subscriptionId}",
            "/api/v1/devices/{deviceId}/{resourceLinkHref}/subscriptions/{subscriptionId}",
        ),
        Ok(_) | Err(_) => OTHER,
    }
}

/// One of three, by the level of a subscription.
fn at(
    target: &Target,
    devices: &'static str,
    device: &'static str,
    resource: &'static str,
) -> &'static str {
    match target {
        Target::Devices => devices,
        Target::Device(_) => device,
        Target::Resource(..) => resource,
        _ => OTHER,
    }
}

/// The method, as a word of this program: a peer may send any text.
pub(crate) fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        _ => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_template_holds_an_id() {
        let device = "53080a4f-5e3e-4291-802f-3436238232d2";
        let subscription = "0f1f6cb1-6a3f-4f5e-9c46-3a3a4a6f2c11";
        for (verb, path, expected) in [
            (Method::GET, "/api/v1/devices".to_owned(), "/api/v1/devices"),
            (
                Method::GET,
                format!("/api/v1/devices/{device}"),
                "/api/v1/devices/{deviceId}",
            ),
            (
                Method::POST,
                format!("/api/v1/devices/{device}/light/1"),
                "/api/v1/devices/{deviceId}/{resourceLinkHref}",
            ),
            (
                Method::DELETE,
                format!("/api/v1/devices/{device}/light/1/subscriptions/{subscription}"),
                "/api/v1/devices/{deviceId}/{resourceLinkHref}/subscriptions/{subscriptionId}",
            ),
            (
                Method::GET,
                format!("/v5/iotps/acme/devices/{device}"),
                "/v5/iotps/",
            ),
            (
                Method::PUT,
                format!("/provisioning/transfers/{subscription}/{device}"),
                "/provisioning/transfers/{transfer}/{deviceId}",
            ),
            (
                Method::PUT,
                format!("/provisioning/transfers/{device}"),
                OTHER,
            ),
            (Method::GET, format!("/{device}"), OTHER),
            (Method::GET, format!("/token/{device}"), OTHER),
            (Method::PUT, format!("/api/v1/devices/{device}"), OTHER),
        ] {
            assert_eq!(template(&verb, &path), expected, "{verb} {path}");
        }
        let odd = Method::from_bytes(b"FETCH-u-11f2ab88").expect("a token");
        assert_eq!(method(&odd), OTHER);
    }
}
