//! Who a device is, by the table.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use mqtt_bootstrap::{Outcome, Port, Refused};
use provisioning_proto::certificates::Certificate;
use provisioning_proto::mqtt::session::{Credentials, Presented};
use provisioning_proto::mqtt::{
    ClientIdForm, Derivation, Down, DownPayload, GroupSecret, TimedMac, Up, Verdict, Window,
};
use provisioning_proto::{RegistrationId, ScopeId, Secret};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use tracing::{error, info};

use crate::table::{GroupEntry, Principal, Table};

/// The table behind the door.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    path: Arc<PathBuf>,
}

impl Judge {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path: Arc::new(path),
        }
    }

    async fn table(&self) -> Option<Table> {
        match Table::read(&self.path).await {
            Ok(table) => Some(table),
            Err(error) => {
                error!(error = error.chain(), "the table is not usable");
                None
            }
        }
    }
}

impl Port for Judge {
    type Principal = Principal;

    async fn authenticate(
        &self,
        credentials: Credentials,
        chain: Vec<Vec<u8>>,
    ) -> Result<Principal, Refused> {
        let table = self.table().await.ok_or(Refused::Unavailable)?;
        let scope = match credentials.client_id.form() {
            ClientIdForm::Signed { scope, .. } => scope.clone(),
            ClientIdForm::Scoped { scope } => Some(scope.clone()),
            _ => return Err(Refused::Credentials),
        };
        let id = credentials.client_id.device().clone();
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        let proved = match (&credentials.presented, &scope) {
            (Presented::Password(mac), None) => has_secret(&table, &id, mac),
            (Presented::Password(mac), Some(scope)) => {
                !is_blocked(&table, &id) && has_derived_secret(&table, scope, &id, mac)
            }
            (Presented::Certificate, None) => has_pinned_certificate(&table, &id, &chain),
            (Presented::Certificate, Some(scope)) => {
                let group = table.groups.get(scope);
                !is_blocked(&table, &id)
                    && group.is_some_and(|group| is_certified(group, folder, &id, &chain))
            }
            _ => false,
        };
        proved
            .then_some(Principal { id, scope })
            .ok_or(Refused::Credentials)
    }

    fn name(principal: &Principal) -> String {
        principal.id.to_string()
    }

    async fn register(
        &self,
        principal: Principal,
        payload: Vec<u8>,
        peer: IpAddr,
    ) -> (Outcome, DownPayload) {
        let keyword = Up::parse(&payload).keyword;
        let down = match self.table().await {
            Some(table) => table.place(&principal, keyword.as_deref()),
            None => Ok(unavailable()),
        };
        let down = down.unwrap_or_else(|error| {
            error!(error = error.chain(), "a device cannot be placed");
            unavailable()
        });
        let outcome = match &down {
            Down::Assigned { address, .. } => {
                info!(device = %principal.id, %address, %peer, "assigned");
                Outcome::Assigned
            }
            _ => {
                info!(device = %principal.id, %peer, "not assigned");
                Outcome::Refused
            }
        };
        let payload = down.encode().unwrap_or_else(|cause| {
            error!(%cause, "an answer cannot be written");
            DownPayload::refusal("500", "no answer")
        });
        (outcome, payload)
    }
}

fn unavailable() -> Down {
    Down::refused("503", "ask again later")
}

/// Whether the device's own entry keeps it out, whatever group it also belongs to.
fn is_blocked(table: &Table, id: &RegistrationId) -> bool {
    table.devices.get(id).is_some_and(|device| !device.enabled)
}

fn accepts(mac: &TimedMac, secret: &Secret) -> bool {
    #[expect(clippy::disallowed_methods, reason = "this program's own clock")]
    let now = SystemTime::now();
    mac.check(secret, Window::default(), now) == Verdict::Accepted
}

fn has_secret(table: &Table, id: &RegistrationId, mac: &TimedMac) -> bool {
    let device = table.devices.get(id).filter(|device| device.enabled);
    let secret = device.and_then(|device| device.secret.clone());
    // Unknown devices cost the same work as known ones.
    let judged = secret.clone().unwrap_or_else(|| "no secret".to_owned());
    let accepted = Secret::new(judged).is_ok_and(|judged| accepts(mac, &judged));
    accepted && secret.is_some()
}

fn has_derived_secret(table: &Table, scope: &ScopeId, id: &RegistrationId, mac: &TimedMac) -> bool {
    let secret = table
        .groups
        .get(scope)
        .and_then(|group| group.secret.as_deref());
    let secret = secret.and_then(|text| GroupSecret::from_base64(text).ok());
    secret.is_some_and(|secret| accepts(mac, &Derivation::IdAsKey.derive(&secret, id)))
}

fn has_pinned_certificate(table: &Table, id: &RegistrationId, chain: &[Vec<u8>]) -> bool {
    let device = table.devices.get(id).filter(|device| device.enabled);
    let pinned = device.and_then(|device| device.fingerprint.as_deref());
    let pinned = pinned.and_then(|text| text.parse().ok());
    let shown = chain
        .first()
        .and_then(|der| Certificate::from_der(der).ok());
    shown
        .zip(pinned)
        .is_some_and(|(shown, pinned)| shown.has_fingerprint(&pinned))
}

/// Whether a certificate of the group's authority names the device.
fn is_certified(group: &GroupEntry, folder: &Path, id: &RegistrationId, chain: &[Vec<u8>]) -> bool {
    let Some(authority) = &group.authority else {
        return false;
    };
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_file(folder.join(authority)).ok();
    if root.is_none_or(|root| roots.add(root).is_err()) {
        return false;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let (Ok(verifier), Some((leaf, above))) = (verifier, chain.split_first()) else {
        return false;
    };
    let above: Vec<_> = above
        .iter()
        .map(|der| CertificateDer::from(der.as_slice()))
        .collect();
    let verified = verifier
        .verify_client_cert(
            &CertificateDer::from(leaf.as_slice()),
            &above,
            UnixTime::now(),
        )
        .is_ok();
    let named =
        Certificate::from_der(leaf).is_ok_and(|leaf| leaf.common_name() == Some(id.as_str()));
    verified && named
}
