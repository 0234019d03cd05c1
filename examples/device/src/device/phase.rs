//! Where the device is on its way to the cloud, and the steps from one phase to the next.

use coap_psk::activation::{self, ActivateInfo};
use coap_psk::dtls::SessionId;
use coap_psk::{Code, ExchangeId, Method, PskIdentity, Request, Response, SecureMode};
use serde_json::Value as Json;
use std::time::Duration;
use tokio::time::Instant as Moment;
use uci_model::ContentFormat;

use super::{Device, later};
use crate::control::report;
use crate::error::Error;

/// How long a handshake may take before it is begun anew.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// How often in its lifetime the device says something: a message may be lost and found missing before it is over.
const SIGNS_OF_LIFE: u32 = 4;
/// Where links are published, and asked after as a sign of life. (OCF Device to Cloud Services)
const RESOURCE_DIRECTORY: &str = "/oic/rd";

#[derive(Debug)]
pub(super) enum Phase {
    /// Not connected until then.
    Waiting { until: Moment },
    /// A handshake is under way.
    Connecting {
        session: SessionId,
        mode: SecureMode,
        give_up: Moment,
    },
    /// The device has asked for its own secret.
    Activating {
        session: SessionId,
        asked: ExchangeId,
    },
    /// The device is there for the cloud.
    Online {
        session: SessionId,
        published: bool,
        /// The publication or sign of life that has no answer yet.
        asked: Option<ExchangeId>,
        /// When the next one is due.
        next: Moment,
    },
    /// Nothing will be sent any more.
    Silent,
}

impl Phase {
    /// The session that counts.
    pub(super) fn session(&self) -> Option<SessionId> {
        match self {
            Self::Connecting { session, .. }
            | Self::Activating { session, .. }
            | Self::Online { session, .. } => Some(*session),
            Self::Waiting { .. } | Self::Silent => None,
        }
    }

    /// Whether the device waits for this answer.
    pub(super) fn awaits(&self, exchange: ExchangeId) -> bool {
        match self {
            Self::Activating { asked, .. } => *asked == exchange,
            Self::Online { asked, .. } => *asked == Some(exchange),
            Self::Waiting { .. } | Self::Connecting { .. } | Self::Silent => false,
        }
    }

    /// When something is due by itself.
    pub(super) fn deadline(&self) -> Option<Moment> {
        match self {
            Self::Waiting { until } => Some(*until),
            Self::Connecting { give_up, .. } => Some(*give_up),
            Self::Online {
                next, asked: None, ..
            } => Some(*next),
            Self::Online { .. } | Self::Activating { .. } | Self::Silent => None,
        }
    }
}

impl Device {
    pub(super) async fn handle_timeout(&mut self) -> Result<(), Error> {
        match self.phase {
            Phase::Waiting { .. } => self.connect().await,
            Phase::Connecting { session, .. } => {
                self.lost(session, "the handshake took too long")?;
                self.close(session).await
            }
            Phase::Online {
                session, published, ..
            } => self.speak(session, published).await,
            Phase::Activating { .. } | Phase::Silent => Ok(()),
        }
    }

    /// Begins a handshake.
    async fn connect(&mut self) -> Result<(), Error> {
        let (mode, key) = self.place.credential()?;
        let identity = PskIdentity::new(self.place.device.clone(), mode, self.place.lifetime);
        let cloud = self.place.cloud;
        let session = self
            .call(move |endpoint, now| endpoint.connect(cloud, &identity, key, now))
            .await?
            .map_err(|cause| Error::new("no handshake could be begun", cause))?;
        self.phase = Phase::Connecting {
            session,
            mode,
            give_up: later(HANDSHAKE),
        };
        Ok(())
    }

    pub(super) async fn connected(&mut self, session: SessionId) -> Result<(), Error> {
        match self.phase {
            Phase::Connecting {
                session: expected,
                mode,
                ..
            } if expected == session => match mode {
                SecureMode::ProductSecret => self.activate(session).await,
                _ => {
                    self.backoff.reset();
                    report("online", &[("mode", Json::from(mode.number()))]);
                    self.speak(session, false).await
                }
            },
            _ => self.close(session).await,
        }
    }

    async fn activate(&mut self, session: SessionId) -> Result<(), Error> {
        let request = activation::request(&self.place.device)
            .map_err(|cause| Error::new("the device cannot be activated", cause))?;
        match self.ask(session, request).await? {
            Some(asked) => self.phase = Phase::Activating { session, asked },
            None => self.lost(session, "the secret could not be asked for")?,
        }
        Ok(())
    }

    /// Publishes the links, or once that is done gives a sign of life.
    async fn speak(&mut self, session: SessionId, published: bool) -> Result<(), Error> {
        let failed = |cause| Error::new("the resource directory has no path", cause);
        let request = if published {
            Request::new(Method::Get, RESOURCE_DIRECTORY).map_err(failed)?
        } else {
            Request::new(Method::Post, RESOURCE_DIRECTORY)
                .map_err(failed)?
                .with_payload(
                    ContentFormat::OcfCbor.coap_number(),
                    self.appliance.publication()?,
                )
        };
        let request = request.with_accept(ContentFormat::OcfCbor.coap_number());
        let format = request.content_format;
        match self.ask(session, request).await? {
            Some(asked) => {
                if let Some(format) = format.and_then(ContentFormat::from_coap_number) {
                    report("publishing", &[("format", Json::from(format.as_str()))]);
                }
                self.phase = Phase::Online {
                    session,
                    published,
                    asked: Some(asked),
                    next: later(self.sign_of_life()),
                };
            }
            None => self.lost(session, "a request could not be sent")?,
        }
        Ok(())
    }

    fn sign_of_life(&self) -> Duration {
        Duration::from_secs(u64::from(self.place.lifetime.as_secs() / SIGNS_OF_LIFE))
    }

    pub(super) async fn answered(
        &mut self,
        exchange: ExchangeId,
        response: &Response,
    ) -> Result<(), Error> {
        if !self.phase.awaits(exchange) {
            return Ok(());
        }
        match &mut self.phase {
            Phase::Activating { session, .. } => {
                let session = *session;
                self.activated(session, response).await
            }
            Phase::Online {
                published, asked, ..
            } => {
                *asked = None;
                if !*published {
                    // Refused, the links are offered again with the next sign of life.
                    *published = response.code == Code::CHANGED;
                    let event = if *published {
                        "published"
                    } else {
                        "unpublished"
                    };
                    report(event, &[("code", Json::from(response.code.to_string()))]);
                }
                // Any answer to a sign of life will do: the cloud is there.
                Ok(())
            }
            Phase::Waiting { .. } | Phase::Connecting { .. } | Phase::Silent => Ok(()),
        }
    }

    /// Keeps the secret that the cloud told, and comes back with it.
    async fn activated(&mut self, session: SessionId, response: &Response) -> Result<(), Error> {
        let device = self.place.device.clone();
        // CoAP's answer to a GET is 2.05; EnOS has 2.04 for everything that went well.
        let info = response
            .code
            .is_success()
            .then(|| ActivateInfo::from_json(&response.payload).ok())
            .flatten()
            .filter(|info| info.device == device);
        let Some(info) = info else {
            self.lost(session, &format!("no secret, but {}", response.code))?;
            return self.close(session).await;
        };
        self.state.save(&device, &info.device_secret)?;
        self.place.secret = Some(info.device_secret);
        self.phase = Phase::Waiting {
            until: Moment::now(),
        };
        report(
            "activated",
            &[("mode", Json::from(SecureMode::ProductSecret.number()))],
        );
        self.close(session).await
    }
}
