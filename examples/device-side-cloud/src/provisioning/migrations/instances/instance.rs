//! One instance, as the configuration and its files have it.

use std::path::Path;

use http::HeaderValue;
use provisioning_proto::{AccessPointId, TenantId};
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use sha2::{Digest as _, Sha256};
use uci_server_core::EventsUrlPolicy;
use zeroize::Zeroizing;

use crate::config::ProvisioningInstance;
use crate::error::Error;

/// The longest file with a token or key, in bytes.
const MAX_FILE: u64 = 4096;

/// Another instance, for one tenant.
pub(in super::super::super) struct Instance {
    pub(in super::super::super) tenant: TenantId,
    pub(in super::super::super) name: String,
    /// Where devices that come from it belong here.
    pub(in super::super::super) access_point: AccessPointId,
    /// Where it is asked; ends without a slash. None where files are carried.
    pub(in super::super) place: Option<String>,
    /// What we show it.
    pub(super) token: HeaderValue,
    /// SHA-256 of that.
    pub(in super::super) own: [u8; 32],
    /// SHA-256 of what it shows us.
    pub(in super::super) shown: [u8; 32],
    pub(super) key: LessSafeKey,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance")
            .field("tenant", &self.tenant)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Instance {
    /// That of a configuration.
    ///
    /// # Errors
    /// What [`Instances::new`](super::Instances::new) says of one.
    pub(super) fn new(
        settings: &ProvisioningInstance,
        policy: &EventsUrlPolicy,
    ) -> Result<Self, Error> {
        let what = describe(settings);
        let wrong = |why: &str| Error::plain(format!("{what} {why}"));
        let tenant = settings.tenant.parse();
        let access_point = settings.access_point.parse();
        let url = settings.url.as_deref().map(|url| policy.check(url));
        let url = url
            .transpose()
            .map_err(|cause| Error::new(format!("{what} has a URL that is refused"), cause))?;
        if !(1..=256).contains(&settings.name.len()) {
            return Err(wrong("has no name of 1 to 256 bytes"));
        }
        let token = read(&settings.token_file)
            .map_err(|cause| Error::new(format!("{what} has no token_file"), cause))?;
        let bearer = Zeroizing::new(format!("Bearer {}", token.as_str()));
        let own = Sha256::digest(token.as_bytes()).into();
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
            place: url.map(|url| url.as_str().trim_end_matches('/').to_owned()),
            token,
            own,
            shown: *shown,
            key: LessSafeKey::new(key),
        })
    }
}

/// How an error names an instance; its URL stands in no message.
pub(super) fn describe(settings: &ProvisioningInstance) -> String {
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
