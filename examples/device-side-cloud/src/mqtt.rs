//! Devices that bootstrap over MQTT: the door of `mqtt-bootstrap`, with provisioning behind it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mqtt_bootstrap::{Door, Figures, Outcome, Port, Refused, Settings};
use provisioning_proto::Code;
use provisioning_proto::certificates::{Certificate, MAX_CHAIN};
use provisioning_proto::directory::{Evidence, Principal};
use provisioning_proto::model::Cause;
use provisioning_proto::mqtt::session::{Credentials, Presented};
use provisioning_proto::mqtt::{ClientIdForm, Down, DownPayload, Up};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::{debug, error};

use crate::config;
use crate::monitor::Metrics;
use crate::provisioning::{Assigned, Provisioning, Wish};

/// The door at a listener.
pub(crate) fn door(
    listener: TcpListener,
    settings: &config::Mqtt,
    tls: watch::Receiver<Arc<rustls::ServerConfig>>,
    desk: Desk,
    metrics: Arc<Metrics>,
) -> Door<Desk> {
    let mut bounds = Settings::default();
    bounds.max_connections = settings.max_connections;
    bounds.max_packet_bytes = settings.max_packet_bytes;
    bounds.failures_per_source = settings.failures_per_source.get();
    Door::new(listener, bounds, tls, desk, metrics)
}

/// Who devices are, and where they belong, by the provisioning of this cloud.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) provisioning: Provisioning,
}

impl Port for Desk {
    type Principal = Principal;

    async fn authenticate(
        &self,
        credentials: Credentials,
        chain: Vec<Vec<u8>>,
    ) -> Result<Principal, Refused> {
        let judged = self.judge(&credentials, &chain).await;
        judged.map_err(|cause| {
            debug!(device = %credentials.client_id.device(), %cause, "a device is not let in");
            match cause {
                Cause::Unavailable | Cause::Busy => Refused::Unavailable,
                _ => Refused::Credentials,
            }
        })
    }

    fn name(principal: &Principal) -> String {
        // A tenant's id has no slash.
        format!("{}/{}", principal.tenant(), principal.id())
    }

    async fn register(
        &self,
        principal: Principal,
        payload: Vec<u8>,
        peer: IpAddr,
    ) -> (Outcome, DownPayload) {
        let wish = Wish {
            peer: Some(peer),
            keyword: Up::parse(&payload).keyword,
            csr: None,
        };
        let down = match self.provisioning.register(principal, wish).await {
            Ok(assigned) => assigned_down(assigned),
            Err(cause) => refused(cause),
        };
        let outcome = match down {
            Down::Assigned { .. } => Outcome::Assigned,
            _ => Outcome::Refused,
        };
        match down.encode() {
            Ok(payload) => (outcome, payload),
            Err(cause) => {
                error!(%cause, "an answer over MQTT cannot be written");
                let payload = DownPayload::refusal("500", "the answer cannot be told over MQTT");
                (Outcome::Refused, payload)
            }
        }
    }
}

impl Desk {
    async fn judge(
        &self,
        credentials: &Credentials,
        chain: &[Vec<u8>],
    ) -> Result<Principal, Cause> {
        let id = credentials.client_id.device().clone();
        let scope = match credentials.client_id.form() {
            ClientIdForm::Signed { scope, .. } => scope.clone(),
            ClientIdForm::Scoped { scope } => Some(scope.clone()),
            _ => return Err(Cause::Unauthenticated),
        };
        match &credentials.presented {
            Presented::Password(mac) => self.provisioning.authenticate(&Evidence::TimedMac {
                scope,
                id,
                mac: mac.clone(),
            }),
            Presented::Certificate => {
                let shown = read_chain(chain).ok_or(Cause::Unauthenticated)?;
                let judged = self
                    .provisioning
                    .authenticate_certificate(scope, id, &shown);
                judged.await
            }
            _ => Err(Cause::Unauthenticated),
        }
    }
}

/// The certificates that a device showed; `None` when they are too many or one of them is none.
fn read_chain(chain: &[Vec<u8>]) -> Option<Vec<Certificate>> {
    let read = chain.iter().map(|der| Certificate::from_der(der).ok());
    (chain.len() <= MAX_CHAIN).then(|| read.collect()).flatten()
}

fn assigned_down(assigned: Assigned) -> Down {
    let Assigned {
        answer,
        device_secret: secret,
    } = assigned;
    let Some(target) = answer.access_point.endpoints.mqtt else {
        return Down::refused("500", "the access point is not reached over MQTT");
    };
    let config = answer.assignment.initial_config;
    let config = config.map(|config| String::from_utf8(config.as_bytes().to_vec()));
    let Ok(config) = config.transpose() else {
        return Down::refused("500", "the initial configuration is not text");
    };
    let mut down = Down::assigned(target);
    if let Down::Assigned {
        init_config,
        device_secret,
        ..
    } = &mut down
    {
        *init_config = config;
        *device_secret = secret;
    }
    down
}

/// What a device is told of a registration that failed. It has proved who it is by then.
fn refused(cause: Cause) -> Down {
    let code = match cause {
        Cause::NoneNearby => Code::NO_NEAR_ACCESS_POINT,
        Cause::NoMatch => Code::NO_MATCH,
        Cause::TargetRefused => Code::NOT_AUTHORIZED,
        Cause::Denied | Cause::GroupFull | Cause::IdRefused | Cause::RebindRefused => {
            return Down::refused("403", cause.to_string());
        }
        Cause::TimedOut => return Down::refused("408", cause.to_string()),
        _ => return Down::refused("503", cause.to_string()),
    };
    Down::refused(code.to_string(), code.text())
}

impl Figures for Metrics {
    fn ended(&self, cause: &'static str) {
        self.mqtt_ended(cause);
    }

    fn answered(&self, outcome: &'static str, took: Duration) {
        self.bootstrapped(outcome, took);
    }
}
