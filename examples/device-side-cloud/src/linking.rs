//! Account linking in this program: the authorization server on its driver, and what it needs from outside.

mod handle;
mod settling;
mod streams;
mod surroundings;

use std::sync::{Arc, RwLock};
use std::time::Duration;

use account_linking::server::driver::drive;
use account_linking::server::{
    Algorithm, AuthorizationServer, ClientAssertions, Config, DeviceFlow, Dpop, Issuer,
};
use tokio::sync::mpsc;
use uci_server_core::driver::Handle as Cloud;

use crate::clock;
use crate::config;
use crate::error::Error;
use crate::keys::Keys;
use crate::pages::TemplatePages;
use crate::store::Store;
use crate::users::Users;
use settling::Settling;
use surroundings::Surroundings;

pub(crate) use handle::Linking;
pub(crate) use settling::Unsettled;

/// What an access token opens: the interface of this cloud.
const AUDIENCE_PATH: &str = "/api/v1";
/// How many requests may wait for the machine.
const REQUESTS: usize = 1024;
/// How the stream of a user's grants begins.
const GRANTS: &str = "grants/";

/// Makes a handle to account linking, and the future that runs it until all handles are gone.
///
/// # Errors
/// The keys in the key directory cannot be used.
pub(crate) fn prepare(
    config: &config::Config,
    store: Store,
    users: Users,
    cloud: Cloud,
) -> Result<(Linking, impl Future<Output = Result<(), Error>> + use<>), Error> {
    let keys = Keys::open(&config.key_dir)?;
    let settings = settings(config, &keys)?;
    let machine = AuthorizationServer::new(
        settings.clone(),
        Box::new(TemplatePages::open(config.linking.pages_dir.as_deref())?),
        clock::entropy()?,
        clock::now(),
    )
    .map_err(unusable)?;
    let keys = Arc::new(RwLock::new(keys));
    let (told, ends) = settling::ends();
    let outside = Surroundings {
        store: store.clone(),
        users,
        keys: Arc::clone(&keys),
        ends: told,
    };
    let (handle, running) = drive(machine, outside, REQUESTS);
    let (settle, asked) = mpsc::channel(1);
    let settling = Settling {
        linking: handle.clone(),
        cloud,
        store,
        ends,
    };
    let linking = Linking::new(handle, Arc::new(settings), keys, settle);
    let run = async {
        // The driver ends with the last handle, and one is with the other.
        tokio::join!(running, settling.run(asked));
        Ok(())
    };
    Ok((linking, run))
}

fn settings(config: &config::Config, keys: &Keys) -> Result<Config, Error> {
    let mut public = keys.public().map_err(unusable)?.into_iter();
    let mut refresh = keys.refresh().into_iter();
    let (Some(signing_key), Some(refresh_key)) = (public.next(), refresh.next()) else {
        return Err(Error::plain("there are no keys for tokens"));
    };
    let issuer = config.issuer();
    let audience = format!("{issuer}{AUDIENCE_PATH}");
    let issuer = Issuer::new(&issuer).map_err(unusable)?;
    let mut settings = Config::new(issuer, audience, signing_key, refresh_key).map_err(unusable)?;
    settings.signing_keys.extend(public);
    settings.refresh_keys.extend(refresh);
    let linking = &config.linking;
    settings.access_token_lifetime = Duration::from_secs(linking.access_token_seconds);
    settings.request_timeout = Duration::from_secs(linking.answer_within_seconds.get());
    settings.client_request_timeout =
        Duration::from_millis(linking.answer_clients_within_milliseconds.get());
    settings.require_pushed_requests = linking.require_pushed_requests;
    let resources = linking.resources.iter().map(|uri| uri.parse());
    settings.resources = resources.collect::<Result<_, _>>().map_err(unusable)?;
    // What ring verifies.
    let mut dpop = Dpop::default();
    dpop.algorithms = vec![Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];
    let nonces = linking.dpop_nonce_seconds;
    dpop.nonce_lifetime = nonces.map(|seconds| Duration::from_secs(seconds.get()));
    dpop.nonces_at_apis = nonces.is_some();
    let mut assertions = ClientAssertions::default();
    assertions.algorithms.clone_from(&dpop.algorithms);
    settings.client_assertions = Some(assertions);
    settings.dpop = Some(dpop);
    // Only for clients that are registered for it.
    settings.device_flow = Some(DeviceFlow::default());
    Ok(settings)
}

fn unusable(cause: account_linking::Error) -> Error {
    Error::new("account linking cannot be set up", cause)
}
