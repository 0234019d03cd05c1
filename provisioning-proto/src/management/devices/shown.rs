//! A device as answers show it.

use serde_json::{Value, json};

use crate::directory::Directory;
use crate::management::{entry, time};
use crate::model::{Attestation, InitialConfig};
use crate::roster::Registration;
use crate::{RegistrationId, TenantId};

pub(in crate::management) fn show(
    directory: &Directory,
    tenant: &TenantId,
    id: &RegistrationId,
) -> Option<(Value, u64)> {
    let registration = directory.registration(tenant, id)?;
    let enrollment = registration.enrollment.as_ref();
    let mut shown = json!({
        "device_id": id,
        "device_name": enrollment.map_or(id.as_str(), |enrollment| enrollment.name(id)),
        "create_time": time::stamp(registration.created_at),
        // The vendor's numbers: 0 is allocated, 3 is not.
        "allocation_status": if registration.current.is_some() { 0 } else { 3 },
        "retired": registration.retired,
        "triggered": registration.triggered,
        "records": registration.records,
    });
    let object = shown.as_object_mut()?;
    if let Some(enrollment) = enrollment {
        object.extend(entry::show(directory, tenant, &enrollment.entry));
        object.insert("auth_info".to_owned(), auth_info(&enrollment.attestation));
    }
    if let Some(to) = &registration.directed {
        object.insert(
            "directed_to".to_owned(),
            entry::point(directory, tenant, to),
        );
    }
    if let Some(assignment) = assignment(directory, tenant, registration) {
        object.insert("assignment".to_owned(), assignment);
    }
    Some((shown, registration.entry_version))
}

/// How a device proves itself, without what it proves it with.
fn auth_info(attestation: &Attestation) -> Value {
    match attestation {
        Attestation::SymmetricKey { .. } => json!({"auth_type": "SECRET"}),
        Attestation::X509Leaf { fingerprints, .. } => {
            json!({"auth_type": "CERTIFICATES", "fingerprint": fingerprints.first(), "fingerprints": fingerprints})
        }
        Attestation::X509Ca { ca, .. } => {
            json!({"auth_type": "CERTIFICATES", "certificate_id": ca})
        }
        Attestation::DtlsPsk { identity, .. } => json!({"auth_type": "PSK", "identity": identity}),
    }
}

/// Where a device was sent, and why.
fn assignment(
    directory: &Directory,
    tenant: &TenantId,
    registration: &Registration,
) -> Option<Value> {
    let current = registration.current.as_ref()?;
    let config = current.initial_config.as_ref().map(InitialConfig::as_bytes);
    Some(json!({
        "generation": current.generation,
        "state": current.state,
        "access_point": entry::point(directory, tenant, &current.target.access_point),
        "app_id": current.target.application,
        "strategy_id": current.policy,
        "registration_group_id": current.group,
        "evidence": current.class,
        "decided_time": time::stamp(current.decided_at),
        "init_config": config.map(String::from_utf8_lossy),
    }))
}
