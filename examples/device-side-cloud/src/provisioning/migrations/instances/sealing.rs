//! Secrets of a registration on their way between two instances.

use provisioning_proto::migration::{Bundle, BundleField};
use provisioning_proto::{RegistrationId, SealedSecret, Secret, TransferId};
use ring::aead::{Aad, NONCE_LEN, Nonce};
use zeroize::Zeroizing;

use super::Instance;
use crate::clock;
use crate::error::Error;

impl Instance {
    /// Seals a secret for the way: of this transfer, this device and this field, and of no other.
    pub(in super::super) fn seal(
        &self,
        bundle: &Name,
        field: BundleField,
        secret: &Secret,
    ) -> Result<SealedSecret, Error> {
        let nonce: [u8; NONCE_LEN] = clock::entropy()?;
        let mut sealed = Zeroizing::new(secret.expose().to_vec());
        let about = bundle.about(field);
        let tag = self.key.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(about),
            &mut sealed,
        );
        let tag = tag.map_err(|_| Error::plain("a secret cannot be sealed for the way"))?;
        let whole = [&nonce[..], &sealed[..], tag.as_ref()].concat();
        SealedSecret::new(whole)
            .map_err(|cause| Error::new("a secret is too long for the way", cause))
    }

    pub(in super::super::super) fn open(
        &self,
        bundle: &Name,
        field: BundleField,
        sealed: &SealedSecret,
    ) -> Result<Secret, Error> {
        let wrong =
            || Error::plain("a secret cannot be opened: do both instances have the same key?");
        let (nonce, sealed) = sealed
            .as_bytes()
            .split_first_chunk::<NONCE_LEN>()
            .ok_or_else(wrong)?;
        let mut opened = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let about = bundle.about(field);
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(about), &mut opened)
            .map_err(|_| wrong())?;
        Secret::new(&*plain).map_err(|cause| Error::new("a secret is not usable", cause))
    }
}

/// Which transfer of which device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in super::super::super) struct Name {
    pub(in super::super::super) transfer: TransferId,
    pub(in super::super::super) id: RegistrationId,
}

impl Name {
    pub(in super::super::super) fn of(bundle: &Bundle) -> Self {
        Self {
            transfer: bundle.transfer.clone(),
            id: bundle.id.clone(),
        }
    }

    /// The name in a path behind [`Instances::PREFIX`](super::Instances::PREFIX).
    pub(in super::super::super) fn read(path: &str) -> Option<Self> {
        let (transfer, id) = path.split_once('/')?;
        Some(Self {
            transfer: transfer.parse().ok()?,
            id: id.parse().ok()?,
        })
    }

    fn about(&self, field: BundleField) -> String {
        let field = match field {
            BundleField::Enrolled => "enrolled",
            BundleField::EnrolledSecondary => "enrolled-secondary",
            BundleField::Own => "own",
        };
        // Neither an id nor a word has a slash.
        format!("{}/{}/{field}", self.transfer, self.id)
    }
}
