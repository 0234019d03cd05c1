//! What devices prove themselves with, as bodies say it.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;

use crate::management::Context;
use crate::management::entry::SecretText;
use crate::management::failure::Failure;
use crate::model::{Attestation, Fingerprint, PskIdentity};
use crate::roster::Roster;
use crate::time::unix_millis;
use crate::{AccessPointId, RegistrationId, SealedSecret, Secret, limits};

#[derive(Default, Deserialize)]
pub(super) struct AuthInfo {
    pub(super) auth_type: Option<String>,
    pub(super) secret: Option<SecretText>,
    pub(super) fingerprint: Option<String>,
    /// Of a pre-shared key; the device's id where there is none.
    pub(super) identity: Option<PskIdentity>,
    /// For how long the first certificate that comes is taken for the device's.
    #[serde(default)]
    pub(super) first_use_seconds: u32,
}

/// 32 hexadecimal digits.
pub(super) fn generated(context: &Context<'_>) -> Result<Secret, Failure> {
    let mut bytes = context.entropy.iter().rev().copied();
    let bytes: [u8; 16] = core::array::from_fn(|_| bytes.next().unwrap_or_default());
    let text = base16ct::lower::encode_string(&bytes);
    Ok(Secret::new(text)?)
}

pub(super) fn sealed(
    context: &Context<'_>,
    id: &RegistrationId,
    secret: &Secret,
) -> Result<SealedSecret, Failure> {
    let size = limits::DEVICE_SECRET;
    if !(size.least..=size.most).contains(&secret.expose().len()) {
        return Err(Failure::malformed("a secret has 8 to 32 bytes".to_owned()));
    }
    let stream = Roster::stream(context.tenant, Roster::shard_of(id));
    let field = Roster::enrolled_secret_field(id);
    Ok((context.seal)(&stream, &field, secret)?)
}

/// Refuses a secret with which the device could not be at a local access point that it may be assigned to.
pub(super) fn check_local(
    context: &Context<'_>,
    secret: &Secret,
    tied: Option<&AccessPointId>,
) -> Result<(), Failure> {
    let holding = context.directory.holding(context.tenant);
    let mut points = holding.into_iter().flat_map(|one| {
        let points = one.access_points.all().values();
        points.filter(|point| tied.is_none_or(|tied| point.id == *tied))
    });
    match context.local_secret {
        Some(judge) if points.any(|point| point.local) => judge(secret).map_err(Failure::malformed),
        _ => Ok(()),
    }
}

pub(super) fn leaf(context: &Context<'_>, info: &AuthInfo) -> Result<Attestation, Failure> {
    let given = info.fingerprint.as_deref().map(str::to_ascii_lowercase);
    let fingerprints: BTreeSet<Fingerprint> = given
        .map(|text| text.parse())
        .transpose()?
        .into_iter()
        .collect();
    let wait = Duration::from_secs(info.first_use_seconds.into());
    let until = context.wall.checked_add(wait).filter(|_| !wait.is_zero());
    Ok(Attestation::X509Leaf {
        fingerprints,
        first_use_until: until.map_or(0, unix_millis),
    })
}
