//! The server's description of itself (RFC 8414) and its public keys (RFC 7517).

use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};

use crate::resource::Resource;
use crate::server::access_token::Algorithm;
use crate::server::config::Config;
use crate::server::device::GRANT_TYPE;
use crate::server::response::public_json;

/// The metadata document; arrays without elements are left out.
pub(crate) fn metadata(config: &Config) -> Response<Bytes> {
    let issuer = &config.issuer;
    let named = |algorithms: &[Algorithm]| -> Vec<_> {
        algorithms.iter().map(|one| one.as_str()).collect()
    };
    let assertions = named(config.assertion_algorithms());
    let mut methods = vec!["client_secret_basic", "client_secret_post"];
    methods.extend((!assertions.is_empty()).then_some("private_key_jwt"));
    let all_methods = [methods.as_slice(), &["none"]].concat();
    let device_flow = config.device_flow.is_some();
    let mut grant_types = vec!["authorization_code", "refresh_token"];
    grant_types.extend(device_flow.then_some(GRANT_TYPE));
    let mut document = json!({
        "issuer": issuer.as_str(),
        "authorization_endpoint": issuer.endpoint("/authorize"),
        "token_endpoint": issuer.endpoint("/token"),
        "revocation_endpoint": issuer.endpoint("/revoke"),
        "introspection_endpoint": issuer.endpoint("/introspect"),
        "pushed_authorization_request_endpoint": issuer.endpoint("/par"),
        "require_pushed_authorization_requests": config.require_pushed_requests,
        "userinfo_endpoint": issuer.endpoint("/userinfo"),
        "jwks_uri": issuer.endpoint("/jwks"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": grant_types,
        "token_endpoint_auth_methods_supported":
            all_methods,
        "revocation_endpoint_auth_methods_supported":
            all_methods,
        "introspection_endpoint_auth_methods_supported": methods,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    });
    let algorithms = named(config.dpop_algorithms());
    let mut add = |name: &str, value: Value| {
        if let Some(members) = document.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
    };
    // RFC 8628, 4
    if device_flow {
        add(
            "device_authorization_endpoint",
            issuer.endpoint("/device_authorization").into(),
        );
    }
    // RFC 8414, 2: where assertions are taken, with which algorithms.
    if !assertions.is_empty() {
        for endpoint in ["token", "revocation", "introspection"] {
            let name = format!("{endpoint}_endpoint_auth_signing_alg_values_supported");
            add(&name, json!(assertions));
        }
    }
    if !algorithms.is_empty() {
        add("dpop_signing_alg_values_supported", json!(algorithms));
    }
    // RFC 9728, 4
    if !config.resources.is_empty() {
        let own = core::iter::once(config.audience.as_str());
        let further = config.resources.iter().map(Resource::as_str);
        add("protected_resources", own.chain(further).collect());
    }
    public_json(&document)
}

/// All keys that may have signed a token that is still good.
pub(crate) fn jwks(config: &Config) -> Response<Bytes> {
    let keys = config.signing_keys.iter();
    let keys: Vec<Value> = keys
        .map(|key| Value::Object(key.public_jwk().clone()))
        .collect();
    public_json(&json!({ "keys": keys }))
}
