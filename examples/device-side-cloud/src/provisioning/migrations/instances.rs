//! The other instances to which registrations can go, and from which they come.
//!
//! Between two instances stand a token each way, in `Authorization: Bearer`, and one key that both have: what is secret in a
//! registration is sealed with it on the way (AES-256-GCM), whoever ends the TLS connection. A transfer is one thing at the
//! instance to which it goes, at [`Instances::PREFIX`] and then `TRANSFER/DEVICE`:
//!
//! | method | body | `news` in the answer |
//! | --- | --- | --- |
//! | `PUT` | a `Bundle` (CBOR, `application/cbor`) | `accepted`, `refused`, `withdrawn` |
//! | `GET` | | `seen`; `accepted` when it is there, `none` when not |
//! | `DELETE` | | `withdrawn`, or `seen` when it is too late |
//!
//! Each may be repeated; what is answered once stays true. A failure has no `news`, and is asked again.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use provisioning_proto::migration::{Bundle, BundleField, News};
use provisioning_proto::{
    AccessPointId, RegistrationId, SealedSecret, Secret, TenantId, TransferId,
};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use uci_server_core::EventsUrlPolicy;
use zeroize::Zeroizing;

use crate::clock;
use crate::config::ProvisioningInstance;
use crate::error::Error;
use crate::outbound::Outbound;

/// How many requests to other instances are open at once; who comes later waits.
const AT_ONCE: usize = 64;
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 4096;
/// The longest file with a token or key, in bytes.
const MAX_FILE: u64 = 4096;

/// The instances of the configuration; clones are the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Instances(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    instances: Vec<Instance>,
    outbound: Outbound,
    turns: Semaphore,
}

/// Another instance, for one tenant.
pub(in super::super) struct Instance {
    pub(in super::super) tenant: TenantId,
    pub(in super::super) name: String,
    /// Where devices that come from it belong here.
    pub(in super::super) access_point: AccessPointId,
    /// Where it is asked; ends without a slash.
    place: String,
    /// What we show it.
    token: HeaderValue,
    /// SHA-256 of what it shows us.
    shown: [u8; 32],
    key: LessSafeKey,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance")
            .field("tenant", &self.tenant)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What is said of a transfer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Word {
    Accepted,
    Refused,
    Seen,
    Withdrawn,
    None,
}

#[derive(Deserialize, Serialize)]
pub(in super::super) struct Told {
    pub(in super::super) news: Word,
}

impl Word {
    pub(super) fn news(self) -> Option<News> {
        match self {
            Self::Accepted => Some(News::Accepted),
            Self::Refused => Some(News::Refused),
            Self::Seen => Some(News::Seen),
            Self::Withdrawn => Some(News::Withdrawn),
            Self::None => None,
        }
    }
}

impl Instances {
    /// What the paths of transfers begin with.
    pub(crate) const PREFIX: &'static str = "/provisioning/transfers/";

    /// Those of the configuration, on addresses that the policy allows.
    ///
    /// # Errors
    /// A tenant or access point is none, a name or token stands there twice, a URL is not HTTPS or may not be asked, or a file cannot
    /// be read.
    pub(crate) fn new(
        settings: &[ProvisioningInstance],
        policy: &EventsUrlPolicy,
        outbound: Outbound,
    ) -> Result<Self, Error> {
        let mut instances: Vec<Instance> = Vec::new();
        for one in settings {
            let instance = Instance::new(one, policy)?;
            let twice = instances.iter().any(|known| {
                let same = (&known.tenant, &known.name) == (&instance.tenant, &instance.name);
                same || known.shown == instance.shown
            });
            if twice {
                let what = describe(one);
                return Err(Error::plain(format!(
                    "{what} is there twice, by its name or token"
                )));
            }
            instances.push(instance);
        }
        Ok(Self(Arc::new(Inner {
            instances,
            outbound,
            turns: Semaphore::new(AT_ONCE),
        })))
    }

    /// Those to which devices of a tenant can go.
    pub(in super::super) fn names(&self, tenant: &TenantId) -> Vec<String> {
        let instances = self.0.instances.iter();
        let ours = instances.filter(|instance| instance.tenant == *tenant);
        ours.map(|instance| instance.name.clone()).collect()
    }

    pub(super) fn find(&self, tenant: &TenantId, name: &str) -> Option<&Instance> {
        let mut instances = self.0.instances.iter();
        instances.find(|instance| instance.tenant == *tenant && instance.name == name)
    }

    /// Who shows this token.
    pub(in super::super) fn shows(&self, token: &[u8]) -> Option<&Instance> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        self.0.instances.iter().fold(None, |found, instance| {
            let same: bool = instance.shown.ct_eq(&digest).into();
            if same { Some(instance) } else { found }
        })
    }

    /// Asks an instance about a transfer.
    ///
    /// # Errors
    /// It cannot be reached, or says nothing that counts.
    pub(super) async fn ask(
        &self,
        instance: &Instance,
        method: Method,
        transfer: &TransferId,
        id: &RegistrationId,
        body: Vec<u8>,
    ) -> Result<Word, Error> {
        let _turn = self.0.turns.acquire().await;
        let uri = format!("{}{}{transfer}/{id}", instance.place, Self::PREFIX);
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .body(Bytes::from(body))
            .map_err(|_| Error::plain("the transfer has no proper path"))?;
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, instance.token.clone());
        let cbor = HeaderValue::from_static("application/cbor");
        headers.insert(header::CONTENT_TYPE, cbor);
        let response = self.0.outbound.ask(request, MAX_ANSWER).await?;
        if response.status() != StatusCode::OK {
            let status = response.status();
            return Err(Error::plain(format!("it answered with status {status}")));
        }
        let told: Result<Told, _> = serde_json::from_slice(response.body());
        told.map(|told| told.news)
            .map_err(|cause| Error::new("its answer cannot be read", cause))
    }
}

impl Instance {
    fn new(settings: &ProvisioningInstance, policy: &EventsUrlPolicy) -> Result<Self, Error> {
        let what = describe(settings);
        let wrong = |why: &str| Error::plain(format!("{what} {why}"));
        let tenant = settings.tenant.parse();
        let access_point = settings.access_point.parse();
        let url = policy.check(&settings.url);
        let url =
            url.map_err(|cause| Error::new(format!("{what} has a URL that is refused"), cause))?;
        if !(1..=256).contains(&settings.name.len()) {
            return Err(wrong("has no name of 1 to 256 bytes"));
        }
        let token = read(&settings.token_file)
            .map_err(|cause| Error::new(format!("{what} has no token_file"), cause))?;
        let bearer = Zeroizing::new(format!("Bearer {}", token.as_str()));
        let mut token = HeaderValue::from_str(&bearer)
            .map_err(|_| wrong("has a token that is not visible ASCII"))?;
        token.set_sensitive(true);
        let key = read(&settings.key_file)
            .map_err(|cause| Error::new(format!("{what} has no key_file"), cause))?;
        let key = digits(&key).ok_or_else(|| wrong("has no key of 64 hexadecimal digits"))?;
        let key = UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| wrong("has no key"))?;
        let shown = digits(&settings.token_sha256);
        let shown = shown.ok_or_else(|| wrong("has no token_sha256 of 64 hexadecimal digits"))?;
        Ok(Self {
            tenant: tenant.map_err(|_| wrong("has no tenant"))?,
            name: settings.name.clone(),
            access_point: access_point.map_err(|_| wrong("has no access_point"))?,
            place: url.as_str().trim_end_matches('/').to_owned(),
            token,
            shown: *shown,
            key: LessSafeKey::new(key),
        })
    }

    /// Seals a secret for the way: of this transfer, this device and this field, and of no other.
    pub(super) fn seal(
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

    pub(in super::super) fn open(
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
pub(in super::super) struct Name {
    pub(in super::super) transfer: TransferId,
    pub(in super::super) id: RegistrationId,
}

impl Name {
    pub(in super::super) fn of(bundle: &Bundle) -> Self {
        Self {
            transfer: bundle.transfer.clone(),
            id: bundle.id.clone(),
        }
    }

    /// The name in a path behind [`Instances::PREFIX`].
    pub(in super::super) fn read(path: &str) -> Option<Self> {
        let (transfer, id) = path.split_once('/')?;
        Some(Self {
            transfer: transfer.parse().ok()?,
            id: id.parse().ok()?,
        })
    }

    fn about(&self, field: BundleField) -> String {
        let field = match field {
            BundleField::Enrolled => "enrolled",
            BundleField::Own => "own",
        };
        // Neither an id nor a word has a slash.
        format!("{}/{}/{field}", self.transfer, self.id)
    }
}

/// How an error names an instance; its URL stands in no message.
fn describe(settings: &ProvisioningInstance) -> String {
    let ProvisioningInstance { tenant, name, .. } = settings;
    format!("the instance {name:?} of {tenant:?} in the configuration")
}

/// The text of a file, without what stands around it.
fn read(path: &Path) -> Result<Zeroizing<String>, std::io::Error> {
    use std::io::Read as _;

    let mut text = Zeroizing::new(String::new());
    let file = std::fs::File::open(path)?;
    file.take(MAX_FILE.saturating_add(1))
        .read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|len| len > MAX_FILE) {
        return Err(std::io::ErrorKind::FileTooLarge.into());
    }
    Ok(Zeroizing::new(text.trim().to_owned()))
}

fn digits(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    let read = base16ct::mixed::decode(text, &mut *bytes).ok()?;
    (read.len() == 32).then_some(bytes)
}

#[cfg(test)]
mod tests;
