//! The cloud core in this program: its journal, its secrets, its devices and the way its notifications leave.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use journal::seal::Keyring;
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument as _, debug, error, info, info_span, warn};
use uci_server_core::account::EndCause;
use uci_server_core::driver::{Commands, Handle, Outside, run};
use uci_server_core::{
    Append, Appended, Config, DeviceAnswer, DeviceCloud, DeviceRequest, Event, Loaded, Opened,
    Rate, SealError, Sealer, Snapshot, TransportFailure, Volume,
};

use crate::clock;
use crate::config;
use crate::error::Error;
use crate::gateway::{Ask, Command, Known};
use crate::linking::Unsettled;
use crate::monitor::Monitor;
use crate::outbound::Outbound;
use crate::store::Store;

/// Everything that the core has outside of itself.
#[derive(Debug)]
struct Surroundings {
    monitor: Monitor,
    store: Store,
    outbound: Outbound,
    gateway: mpsc::Sender<Command>,
}

/// What the core is set to by the configuration.
pub(crate) fn settings(config: &config::Config) -> Config {
    let mut settings = Config::default();
    settings.events_url.dangerous_allow_non_public = config.notifications.allow_private_addresses;
    settings.delivery.attempt_timeout = Duration::from_secs(config.notifications.timeout_seconds);
    settings.client.in_flight = config.quotas.requests_in_flight;
    settings.client.rate = config
        .quotas
        .requests_per_minute
        .map(|requests| Rate::new(requests.get(), Duration::from_secs(60)));
    settings.client.bodies = config
        .quotas
        .body_bytes_per_minute
        .map(|bytes| Volume::new(bytes.get(), Duration::from_secs(60)));
    settings.account.client_subscriptions = config.quotas.subscriptions_per_user;
    settings.ask_timeout = Duration::from_secs(config.coaps.answer_seconds);
    settings.grant_memory = settings
        .grant_memory
        .max(Duration::from_secs(config.linking.access_token_seconds));
    settings
}

/// Runs the core until all its handles are gone.
///
/// # Errors
/// The system gave no random bytes.
pub(crate) async fn drive(
    settings: Config,
    commands: Commands,
    monitor: Monitor,
    store: Store,
    outbound: Outbound,
    gateway: mpsc::Sender<Command>,
) -> Result<(), Error> {
    let sealer = Arc::new(KeyringSealer(Arc::clone(store.keyring())));
    let cloud = DeviceCloud::new(settings, clock::entropy()?, sealer);
    let surroundings = Arc::new(Surroundings {
        monitor,
        store,
        outbound,
        gateway,
    });
    run(cloud, commands, surroundings).await;
    Ok(())
}

/// Has every account that still owes something go on, less those with unsettled ends: what a killed cloud had promised is
/// kept.
///
/// # Errors
/// The journal cannot be read.
pub(crate) async fn wake_all(
    store: &Store,
    cloud: &Handle,
    unsettled: &Unsettled,
) -> Result<(), Error> {
    let owing = store
        .owing(u64::MAX)
        .await
        .map_err(|cause| Error::new("cannot list what is owed", cause))?;
    let mut count = 0_usize;
    for account in owing
        .iter()
        .filter_map(|due| due.stream.strip_prefix("account/"))
        // What these owe may be owed to a client whose access has ended.
        .filter(|account| !unsettled.contains(*account))
        .filter_map(|account| account.parse().ok())
    {
        count = count.saturating_add(1);
        cloud
            .wake(account)
            .await
            .map_err(|cause| Error::new("the cloud core has stopped", cause))?;
    }
    info!(accounts = count, "accounts that owe something go on");
    Ok(())
}

impl Outside for Surroundings {
    fn wall(&self) -> SystemTime {
        clock::wall()
    }

    async fn load(&self, stream: String) -> Option<Loaded> {
        match self.store.load(&stream).await {
            Ok(loaded) => Some(Loaded {
                version: loaded.version,
                snapshot: loaded.snapshot.map(|snapshot| Snapshot {
                    version: snapshot.version,
                    format: snapshot.format,
                    bytes: snapshot.bytes,
                }),
                changes: loaded.changes,
            }),
            Err(cause) => {
                error!(stream, %cause, "a stream cannot be read");
                None
            }
        }
    }

    async fn append(&self, append: Append) -> Appended {
        let streams = append
            .streams
            .into_iter()
            .map(|part| {
                journal::StreamAppend::new(part.stream, part.expected_version, part.changes)
                    .with_due(part.due)
            })
            .collect();
        let append = journal::Append::new(journal::AppendId::new(append.id.0), streams);
        match self.store.append(append).await {
            Ok(journal::Appended::Done { .. }) => Appended::Done,
            Ok(journal::Appended::Conflict { .. }) => Appended::Conflict,
            Ok(journal::Appended::Fenced) => Appended::Fenced,
            Err(cause) => {
                error!(%cause, "the journal cannot be written");
                Appended::Unknown
            }
        }
    }

    async fn save_snapshot(&self, stream: String, snapshot: Snapshot) -> bool {
        let snapshot = journal::Snapshot::new(snapshot.version, snapshot.format, snapshot.bytes);
        let saved = self.store.save_snapshot(&stream, snapshot).await;
        if let Err(cause) = &saved {
            // The changes are still there, and the cloud asks again if some of them must be forgotten.
            warn!(stream, %cause, "a snapshot was not kept");
        }
        saved.is_ok()
    }

    async fn erase(&self, stream: String) -> bool {
        match self.store.erase(&stream).await {
            Ok(()) => true,
            Err(cause) => {
                error!(stream, %cause, "a stream cannot be erased");
                false
            }
        }
    }

    async fn ask(&self, request: DeviceRequest) -> DeviceAnswer {
        let (answer, answered) = oneshot::channel();
        if self
            .gateway
            .send(Command::Ask(Ask { request, answer }))
            .await
            .is_err()
        {
            return DeviceAnswer::Unreachable;
        }
        answered.await.unwrap_or(DeviceAnswer::Unreachable)
    }

    async fn deliver(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportFailure> {
        let header = |name| {
            let value = request.headers().get(name);
            value.and_then(|value| value.to_str().ok()).unwrap_or("-")
        };
        let span = info_span!(
            "delivery",
            subscription = header("subscription-id"),
            number = header("sequence-number"),
            host = request.uri().host().unwrap_or_default(),
        );
        let delivering = self.monitor.metrics.delivering();
        let result = self.outbound.notify(request).instrument(span.clone()).await;
        delivering.ended(result.as_ref().ok().map(Response::status));
        let _entered = span.entered();
        match &result {
            Ok(response) => debug!(status = response.status().as_u16(), "answered"),
            Err(error) => info!(error = error.chain(), "a notification was not delivered"),
        }
        result.map_err(|_| TransportFailure::Connection)
    }

    fn note(&self, event: Event) {
        match event {
            Event::PresumedOnline {
                account,
                device,
                generation,
            } => {
                let gateway = self.gateway.clone();
                tokio::spawn(async move {
                    let presumed = Known {
                        account,
                        device,
                        generation,
                    };
                    // The gateway may have ended.
                    drop(gateway.send(Command::Expect(presumed)).await);
                });
            }
            Event::Unreadable { stream, error } => {
                error!(stream, %error, "a stream holds what this release does not understand");
            }
            Event::SubscriptionEnded {
                subscription,
                cause,
                ..
            } => {
                info!(%subscription, ?cause, "a subscription ended");
                self.monitor.metrics.subscription_ended(word(cause));
            }
            Event::Fenced { stream } => {
                error!(stream, "another process has taken over this journal");
                self.monitor.health.superseded();
            }
            other => info!(?other, "the cloud core reports"),
        }
    }
}

/// Why a subscription ended, as a word for the figures.
fn word(cause: EndCause) -> &'static str {
    match cause {
        EndCause::Unsubscribed => "unsubscribed",
        EndCause::DeviceUnregistered => "device_unregistered",
        EndCause::LinkWithdrawn => "link_withdrawn",
        EndCause::GrantEnded => "grant_ended",
        EndCause::Overflow => "overflow",
        EndCause::Expired => "expired",
        EndCause::Refused => "refused",
        _ => "other",
    }
}

/// Seals the core's secrets with the operator's keys.
struct KeyringSealer(Arc<Keyring>);

impl Sealer for KeyringSealer {
    fn seal(
        &self,
        stream: &str,
        field: &str,
        nonce_entropy: [u8; 32],
        secret: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        self.0
            .seal(stream, field, nonce_entropy, secret)
            .map_err(SealError::with_source)
    }

    fn open(&self, stream: &str, field: &str, sealed: &[u8]) -> Result<Opened, SealError> {
        self.0
            .open(stream, field, sealed)
            .map(|secret| Opened::new(secret.expose().to_vec()))
            .map_err(SealError::with_source)
    }
}
