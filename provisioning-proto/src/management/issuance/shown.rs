use serde_json::{Value, json};

use super::super::{digest_version, put, time};
use crate::certificates::Serial;
use crate::certificates::issuance::{Issued, IssuedCertificates, Issuer, Profile, State};
use crate::time::unix_millis;
use crate::{CaId, ProfileId};

/// What is shown with its version, which follows from it.
pub(super) fn versioned(shown: Value) -> (Value, u64) {
    let version = digest_version(&shown);
    (shown, version)
}

pub(super) fn issuer(issued: &IssuedCertificates, id: &str, issuer: &Issuer) -> Value {
    let certificate = &issuer.certificate;
    let current = issued.current_issuer().map(|(id, _)| CaId::as_str(id));
    let stamp = |at| time::stamp(unix_millis(at));
    let mut shown = json!({
        "issuer_id": id,
        "current": current == Some(id),
        "cn_name": certificate.common_name(),
        "cert_hash": certificate.fingerprint(),
        "content": certificate.to_pem(),
        "effective_date": stamp(certificate.not_before()),
        "expiry_date": stamp(certificate.not_after()),
    });
    if let Some(url) = &issuer.list_url {
        put(&mut shown, "revocation_list_url", url.as_str());
    }
    shown
}

pub(super) fn profile_of(issued: &IssuedCertificates, id: &ProfileId) -> Option<(Value, u64)> {
    let found = issued.profiles().get(id)?;
    Some(versioned(profile(id.as_str(), found)))
}

pub(super) fn profile(id: &str, profile: &Profile) -> Value {
    json!({
        "profile_id": id,
        "validity_days": profile.days,
        "key_types": profile.keys,
        "purposes": profile.purposes,
        "misnamed": profile.misnamed,
        "activation": profile.activation,
    })
}

pub(super) fn certificate_of(issued: &IssuedCertificates, serial: &Serial) -> Option<(Value, u64)> {
    let found = issued.certificate(serial)?;
    Some(versioned(certificate(&serial.to_string(), found)))
}

pub(super) fn certificate(serial: &str, issued: &Issued) -> Value {
    let mut shown = json!({
        "serial_number": serial,
        "device_id": issued.id,
        "issuer_id": issued.issuer,
        "cert_hash": base16ct::lower::encode_string(issued.digest.as_bytes()),
        "create_date": time::stamp(issued.issued_at),
        "expiry_date": time::stamp(issued.not_after),
    });
    let state = match &issued.state {
        State::PendingActivation { expires_at, .. } => {
            put(&mut shown, "activate_until", time::stamp(*expires_at));
            "pending"
        }
        State::Active => "active",
        State::Superseded { at } => {
            put(&mut shown, "ended_date", time::stamp(*at));
            "superseded"
        }
        State::Revoked { at, reason } => {
            put(&mut shown, "ended_date", time::stamp(*at));
            put(&mut shown, "reason", json!(reason));
            "revoked"
        }
    };
    put(&mut shown, "state", state);
    shown
}
