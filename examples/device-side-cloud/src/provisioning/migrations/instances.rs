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
//!
//! With an instance that has no URL the same is said in [files](provisioning_proto::migration::TransferFile) that operators carry,
//! sealed with the same key; each side is named by the SHA-256 of the token that it would show.

mod instance;
mod sealing;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use provisioning_proto::migration::{FileHead, News};
use provisioning_proto::{RegistrationId, TenantId, TransferId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::Semaphore;
use uci_server_core::EventsUrlPolicy;

use crate::config::ProvisioningInstance;
use crate::error::Error;
use crate::outbound::Outbound;
use instance::describe;

pub(in super::super) use instance::Instance;
pub(in super::super) use sealing::Name;

/// How many requests to other instances are open at once; who comes later waits.
const AT_ONCE: usize = 64;
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 4096;

/// The instances of the configuration; clones are the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Instances(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    instances: Vec<Instance>,
    outbound: Outbound,
    turns: Semaphore,
}

/// What is said of a transfer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Word {
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

    /// With whom a file is exchanged, of which this is the head.
    ///
    /// # Errors
    /// It is not for this instance, or not from one that is known, in words for the operator.
    pub(super) fn between(&self, head: &FileHead) -> Result<&Instance, Error> {
        between(&self.0.instances, head)
    }

    /// Asks an instance about a transfer, at its `place`.
    ///
    /// # Errors
    /// It cannot be reached, or says nothing that counts.
    pub(super) async fn ask(
        &self,
        instance: &Instance,
        place: &str,
        method: Method,
        transfer: &TransferId,
        id: &RegistrationId,
        body: Vec<u8>,
    ) -> Result<Word, Error> {
        let _turn = self.0.turns.acquire().await;
        let uri = format!("{place}{}{transfer}/{id}", Self::PREFIX);
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

fn between<'i>(instances: &'i [Instance], head: &FileHead) -> Result<&'i Instance, Error> {
    let all = || instances.iter();
    let ends = (head.receiver, head.sender, &head.tenant);
    if let Some(instance) = all().find(|one| (one.own, one.shown, &one.tenant) == ends) {
        return Ok(instance);
    }
    Err(Error::plain(
        if let Some(other) = all().find(|one| one.own == head.sender) {
            let name = &other.name;
            format!(
                "this instance wrote the file: carry it to the instance that is called {name:?} here"
            )
        } else if all().any(|one| one.own == head.receiver) {
            let tenant = &head.tenant;
            format!(
                "the file is for this instance, but provisioning.instances has none of the tenant {tenant} with the token of the one \
                 that wrote it: set its token_sha256"
            )
        } else {
            "the file is for another instance: carry it there, or have it exported again for this one, with the SHA-256 of this \
             one's token as token_sha256"
                .to_owned()
        },
    ))
}

#[cfg(test)]
mod tests;
