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
        let whole = self.seal_about(bundle.about(field).as_bytes(), secret.expose())?;
        SealedSecret::new(whole)
            .map_err(|cause| Error::new("a secret is too long for the way", cause))
    }

    pub(in super::super::super) fn open(
        &self,
        bundle: &Name,
        field: BundleField,
        sealed: &SealedSecret,
    ) -> Result<Secret, Error> {
        let plain = self.open_about(bundle.about(field).as_bytes(), sealed.as_bytes());
        let plain = plain.ok_or_else(|| {
            Error::plain("a secret cannot be opened: do both instances have the same key?")
        })?;
        Secret::new(&**plain).map_err(|cause| Error::new("a secret is not usable", cause))
    }

    /// Seals what is not to be read or taken for anything but what it is about: a nonce, then the sealed bytes, then their tag.
    pub(in super::super) fn seal_about(
        &self,
        about: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let nonce: [u8; NONCE_LEN] = clock::entropy()?;
        let mut sealed = Zeroizing::new(plain.to_vec());
        let tag = self.key.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(about),
            &mut sealed,
        );
        let tag = tag.map_err(|_| Error::plain("nothing can be sealed for the way"))?;
        Ok([&nonce[..], &sealed[..], tag.as_ref()].concat())
    }

    /// What was sealed so, about just this; `None` for anything else and for another key.
    pub(in super::super) fn open_about(
        &self,
        about: &[u8],
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut opened = Zeroizing::new(sealed.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(about), &mut opened)
            .ok()?
            .len();
        opened.truncate(plain);
        Some(opened)
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
