//! The door for LwM2M devices: a bootstrap server at an address of its own, which asks the provisioning service.
//!
//! A device comes in with the identity and key of its enrollment, is assigned, and is told the address and its key at its target. By
//! then the target knows the key: nothing is assigned before. That it took all is told to the log; that it is well is known when it is
//! seen at its target.

use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::{DeviceSecret, KeyBytes, PskKey};
use lwm2m_bootstrap::{AnyIdentity, Known, Provisioner, Settings};
use provisioning_proto::directory::Evidence;
use provisioning_proto::lwm2m::objects::{Security, Server};
use provisioning_proto::lwm2m::{Account, Client, Configuration, Event, Missing, Opaque};
use provisioning_proto::model::{Attestation, Cause, PskIdentity};
use std::net::{IpAddr, SocketAddr};
use tokio::net::UdpSocket;
use tracing::warn;

use crate::clock;
use crate::config::Lwm2m;
use crate::error::Error;
use crate::provisioning::{Assigned, Provisioning, Wish};

/// Opens the socket.
///
/// # Errors
/// The address is taken, or not one of this machine.
pub(crate) async fn bind(listen: SocketAddr) -> Result<UdpSocket, Error> {
    UdpSocket::bind(listen).await.map_err(|cause| {
        let what = format!("cannot listen on udp {listen} (lwm2m.listen in the configuration)");
        Error::new(what, cause)
    })
}

/// Serves devices until the socket breaks.
///
/// # Errors
/// The socket broke, or the system gave no random bytes.
pub(crate) async fn serve(
    socket: UdpSocket,
    config: Lwm2m,
    provisioning: Provisioning,
) -> Result<(), Error> {
    let mut dtls = PskConfig::default();
    dtls.max_sessions = config.max_sessions;
    let engine = AnyIdentity::new(PskEndpoint::new(dtls, clock::entropy()?));
    let mut settings = Settings::default();
    settings.coap.max_sessions = config.max_sessions;
    settings.bootstraps.max_bootstraps = config.max_sessions;
    settings.bootstraps.packs = config.packs;
    settings.confidential = true;
    let door = Door {
        provisioning,
        config,
    };
    lwm2m_bootstrap::serve(socket, engine, clock::entropy()?, settings, door)
        .await
        .map_err(|cause| Error::new("the LwM2M socket broke", cause))
}

/// The provisioning service, as the bootstrap server sees it.
#[derive(Clone, Debug)]
struct Door {
    provisioning: Provisioning,
    config: Lwm2m,
}

impl Provisioner for Door {
    async fn known(&self, identity: &[u8]) -> Option<Known> {
        let identity = String::from_utf8(identity.to_vec()).ok()?;
        let identity: PskIdentity = identity.try_into().ok()?;
        let key = self.provisioning.psk(&identity)?;
        let Ok(key) = key.expose().try_into() else {
            warn!(
                "the bootstrap key of a device has not 16 bytes, which is all that this door knows"
            );
            return None;
        };
        let key = PskKey::new(key);
        let principal = self.provisioning.authenticate(&Evidence::Psk { identity });
        let principal = principal.ok()?;
        let client = Client {
            tenant: principal.tenant().clone(),
            endpoint: principal.id().clone(),
        };
        Some(Known { client, key })
    }

    /// The device proved its key a moment ago; whether that still counts is asked again.
    async fn configuration(
        &self,
        client: &Client,
        peer: Option<IpAddr>,
    ) -> Result<Configuration, Missing> {
        let identity = self.provisioning.directory(|directory| {
            let known = directory.registration(&client.tenant, &client.endpoint)?;
            match &known.enrollment.as_ref()?.attestation {
                Attestation::DtlsPsk { identity, .. } => Some(identity.clone()),
                _ => None,
            }
        });
        let identity = identity.ok_or(Missing::Nothing)?;
        let principal = self.provisioning.authenticate(&Evidence::Psk { identity });
        let principal = principal.map_err(missing)?;
        if (principal.tenant(), principal.id()) != (&client.tenant, &client.endpoint) {
            return Err(Missing::Nothing);
        }
        let wish = Wish {
            peer,
            ..Wish::default()
        };
        let assigned = self.provisioning.register(principal, wish).await;
        let configuration = self.account(&assigned.map_err(missing)?);
        if configuration.is_none() {
            warn!(tenant = %client.tenant, endpoint = %client.endpoint, "the access point of a device has no LwM2M address, or the device no key there");
        }
        configuration.ok_or(Missing::Nothing)
    }

    async fn ended(&self, _: Event) {}
}

impl Door {
    /// The account at the target: at this cloud with the identity and key that its devices have, elsewhere with the device's id and
    /// its secret as it is.
    fn account(&self, assigned: &Assigned) -> Option<Configuration> {
        let answer = &assigned.answer;
        let uri = answer.access_point.endpoints.lwm2m.as_ref()?.as_str();
        let secret = assigned.device_secret.as_ref()?.expose();
        let (id, lifetime) = (&answer.id, self.config.lifetime_seconds);
        let (identity, key) = if answer.access_point.local {
            let product = answer.assignment.target.application.as_ref()?;
            let secret = DeviceSecret::new(std::str::from_utf8(secret).ok()?).ok()?;
            let key = secret.key(KeyBytes::default());
            (
                format!("{product},{id},2,{lifetime}"),
                Opaque::new(key.expose().to_vec()),
            )
        } else {
            (id.to_string(), secret.into())
        };
        let server = self.config.short_server_id;
        let security = Security::psk(uri, server, identity.as_bytes(), key);
        let account = Account::new(security, Server::new(server, lifetime));
        Some(Configuration::new(vec![account]))
    }
}

/// Whether a device that was not assigned may be soon, without anybody's doing, or not.
fn missing(cause: Cause) -> Missing {
    match cause {
        Cause::Busy
        | Cause::Unavailable
        | Cause::Conflict
        | Cause::TimedOut
        | Cause::Interrupted
        | Cause::Cancelled
        | Cause::TargetFailed
        | Cause::HookFailed => Missing::NotNow,
        _ => Missing::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passes_by_itself_is_put_off() {
        for cause in [Cause::Busy, Cause::Unavailable, Cause::TimedOut] {
            assert_eq!(missing(cause), Missing::NotNow);
        }
        // What is wrong with the device or its entry looks like a device that nobody knows.
        for cause in [Cause::Unauthenticated, Cause::Disabled, Cause::NoMatch] {
            assert_eq!(missing(cause), Missing::Nothing);
        }
    }
}
