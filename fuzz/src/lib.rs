//! The fuzz targets: a function each, which takes any bytes and panics only where the family is wrong.
//!
//! `fuzz_targets/` hands them to the fuzzer, `tests/replay.rs` runs them over the committed corpus on stable.

#![warn(missing_docs)]
#![allow(
    clippy::disallowed_methods,
    reason = "the time of a target begins now; what happens in it depends on its bytes alone"
)]

pub mod client;
pub mod coap;
pub mod dtls;
use example_support as error;
pub mod gateway;
pub mod journal;
pub mod managed;
pub mod model;
pub mod mqtt_packet;
pub mod oauth;
pub mod provisioning;
pub mod server;
mod text;

/// A fuzz target by its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every target; a file of `fuzz_targets/` and a folder of `corpus/` have the same name.
pub const TARGETS: &[Target] = &[
    ("model_value_json", model::value_json),
    ("model_value_cbor", model::value_cbor),
    ("model_transcode", model::transcode),
    ("model_link", model::link),
    ("model_device", model::device),
    ("model_subscribe_body", model::subscribe_body),
    ("model_event_headers", model::event_headers),
    ("model_event_body", model::event_body),
    ("model_text", model::text),
    ("model_endpoints", model::endpoints),
    ("coap_identity", coap::identity),
    ("coap_message", coap::message),
    ("coap_activate_info", coap::activate_info),
    ("coap_measurepoint", coap::measurepoint),
    ("coap_request_target", coap::request_target),
    ("coap_dtls", coap::dtls),
    ("coap_tcp_frames", coap::tcp_frames),
    ("coap_endpoint", coap::endpoint),
    ("gateway_publication", gateway::publication),
    ("dtls_endpoint", dtls::endpoint),
    ("dtls_record", dtls::record),
    ("dtls_handshake", dtls::handshake),
    ("dtls_saved", dtls::saved),
    ("dtls_keyed", dtls::keyed),
    ("server_request", server::request),
    ("server_route", server::route),
    ("server_events_url", server::events_url),
    ("server_change", server::change),
    ("server_snapshot", server::snapshot),
    ("server_machine", server::machine),
    ("client_notification", client::notification),
    ("client_response", client::response),
    ("client_stored", client::stored),
    ("client_machine", client::machine),
    ("oauth_callback", oauth::callback),
    ("oauth_token_form", oauth::token_form),
    ("oauth_authorize_query", oauth::authorize_query),
    ("oauth_basic_header", oauth::basic_header),
    ("oauth_redirect_uri", oauth::redirect_uri),
    ("oauth_user_code", oauth::user_code),
    ("oauth_access_token", oauth::access_token),
    ("oauth_dpop_proof", oauth::dpop_proof),
    ("oauth_client_assertion", oauth::client_assertion),
    ("oauth_text", oauth::text),
    ("oauth_token_response", oauth::token_response),
    ("oauth_stored", oauth::stored),
    ("managed_request", managed::request),
    ("managed_mapping", managed::mapping),
    ("managed_connector", managed::connector),
    ("journal_sealed", journal::sealed),
    (
        "provisioning_allocation_decided",
        provisioning::allocation::decided,
    ),
    (
        "provisioning_allocation_hook",
        provisioning::allocation::hook_reply,
    ),
    (
        "provisioning_allocation_prefix",
        provisioning::allocation::prefix,
    ),
    (
        "provisioning_authorities",
        provisioning::certificates::authorities,
    ),
    (
        "provisioning_certificate",
        provisioning::certificates::certificate,
    ),
    ("provisioning_change", provisioning::change),
    (
        "provisioning_issuance",
        provisioning::certificates::issuance,
    ),
    ("provisioning_bundle", provisioning::registration::bundle),
    (
        "provisioning_management",
        provisioning::management::requests,
    ),
    (
        "provisioning_registration",
        provisioning::registration::machine,
    ),
    ("provisioning_request", provisioning::certificates::request),
    ("provisioning_snapshot", provisioning::snapshot),
    ("lwm2m_tlv", provisioning::lwm2m::tlv),
    ("lwm2m_senml_json", provisioning::lwm2m::senml_json),
    ("lwm2m_senml_cbor", provisioning::lwm2m::senml_cbor),
    ("lwm2m_links", provisioning::lwm2m::links),
    ("lwm2m_session", provisioning::lwm2m::session),
    ("provisioning_mqtt_client_id", provisioning::mqtt::client_id),
    ("provisioning_mqtt_packet", mqtt_packet::packet),
    ("provisioning_mqtt_session", provisioning::mqtt::session),
    ("provisioning_mqtt_up", provisioning::mqtt::up),
];
