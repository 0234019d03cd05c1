use serde::{Deserialize, Serialize};

use crate::cbor::{from_cbor, to_cbor};
use crate::model::{Assignment, Attestation, Enrollment, Target};
use crate::roster::{Command, Registration};
use crate::{Error, ErrorKind, RegistrationId, SealedSecret, TransferId};

/// The form in which bundles are written. One with another number is refused.
const FORM: u32 = 1;
/// The longest one, in bytes: two initial configurations and the rest.
const MAX: usize = 256 << 10;

/// A device's registration on its way from one instance to another.
///
/// Its secrets are sealed: here for the streams of the instance that it leaves, on the way with what both instances share, and at its
/// end for the streams there. [`resealed`](Self::resealed) does each of these steps.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Bundle {
    form: u32,
    /// The transfer.
    pub transfer: TransferId,
    /// The device.
    pub id: RegistrationId,
    /// Its enrollment; none for a device of a group.
    pub enrollment: Option<Enrollment>,
    /// Its assignment.
    pub assignment: Assignment,
    /// The secret that it was given with that.
    pub own_secret: Option<SealedSecret>,
}

/// What a secret of a [`Bundle`] is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a secret left out would not be resealed"
)]
pub enum BundleField {
    /// The field [`enrolled_secret_field`](crate::roster::Roster::enrolled_secret_field).
    Enrolled,
    /// A second secret of the same field, which is not to pass for the first on the way.
    EnrolledSecondary,
    /// The field [`own_secret_field`](crate::roster::Roster::own_secret_field).
    Own,
}

impl Bundle {
    /// The longest written bundle, in bytes.
    pub const MAX: usize = MAX;

    /// The registration of a device that has an assignment; `None` for one without.
    #[must_use]
    pub fn of(
        transfer: TransferId,
        id: RegistrationId,
        registration: &Registration,
    ) -> Option<Self> {
        Some(Self {
            form: FORM,
            transfer,
            id,
            enrollment: registration.enrollment.clone(),
            assignment: registration.current.clone()?,
            own_secret: registration.own_secret.clone(),
        })
    }

    /// The same with each secret sealed anew by the caller.
    ///
    /// # Errors
    ///
    /// Those of `reseal`.
    pub fn resealed<E>(
        mut self,
        mut reseal: impl FnMut(BundleField, &SealedSecret) -> Result<SealedSecret, E>,
    ) -> Result<Self, E> {
        if let Some(own) = &mut self.own_secret {
            *own = reseal(BundleField::Own, own)?;
        }
        let attestation = self.enrollment.as_mut().map(|one| &mut one.attestation);
        match attestation {
            Some(Attestation::SymmetricKey { primary, secondary }) => {
                *primary = reseal(BundleField::Enrolled, primary)?;
                if let Some(secondary) = secondary {
                    *secondary = reseal(BundleField::EnrolledSecondary, secondary)?;
                }
            }
            Some(Attestation::DtlsPsk { key, .. }) => *key = reseal(BundleField::Enrolled, key)?,
            Some(Attestation::X509Leaf { .. } | Attestation::X509Ca { .. }) | None => {}
        }
        Ok(self)
    }

    /// What takes the registration in at the other instance, whose target the device then has. Policies, groups and certificate
    /// authorities are those of the instance that it comes from: it keeps none of the first two, and the last must be known by the
    /// same id.
    #[must_use]
    pub fn into_import(self, target: Target) -> Command {
        let Self {
            transfer,
            mut assignment,
            mut enrollment,
            own_secret,
            ..
        } = self;
        if let Some(enrollment) = &mut enrollment {
            enrollment.entry.access_point = Some(target.access_point.clone());
            enrollment.entry.policies.clear();
        }
        assignment.target = target;
        assignment.policy = None;
        assignment.group = None;
        Command::Import {
            assignment,
            own_secret,
            transfer: Some(transfer),
            enrollment,
        }
    }

    /// Writes it, as CBOR.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`] should the encoder fail, or for one that is too long.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let bytes = to_cbor(self)?;
        if bytes.len() > MAX {
            return Err(ErrorKind::Malformed.into());
        }
        Ok(bytes)
    }

    /// Reads one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownFormat`] for the form of another release; [`ErrorKind::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX {
            return Err(ErrorKind::Malformed.into());
        }
        let bundle: Self = from_cbor(bytes)?;
        if bundle.form != FORM {
            return Err(ErrorKind::UnknownFormat.into());
        }
        Ok(bundle)
    }
}
