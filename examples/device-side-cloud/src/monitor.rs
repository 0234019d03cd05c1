//! What an operator's tools see of the running cloud: whether it lives, whether it is ready and why not, and its figures.
//!
//! The listener is one of its own, without TLS and without accounts: it belongs on an address that only the operator reaches.

mod family;
mod health;
mod metrics;
mod refusals;
mod routes;
mod shards;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use tokio::sync::mpsc;
use tokio::time::timeout;
use uci_server_core::driver::Handle as Cloud;

use crate::gateway;
use crate::https::refusal;
use crate::store::Store;

pub(crate) use health::{Health, Phase};
pub(crate) use metrics::Metrics;
pub(crate) use routes::{method, template};

/// What Prometheus asks for (text exposition format 0.0.4).
const EXPOSITION: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// How long the CoAP door may take to say what it counted. It stands still while the gateway is behind, and its figures are then
/// left out.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the parts of the program say how they are. Clones share everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Monitor {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Arc<Health>,
}

/// The queues between the parts of the program, seen from outside. They are not kept open by being watched.
#[derive(Clone, Debug)]
pub(crate) struct Queues {
    pub(crate) cloud: Cloud,
    pub(crate) gateway: mpsc::WeakSender<gateway::Command>,
    pub(crate) devices: mpsc::WeakSender<coap_psk::Output>,
}

/// Answers the operator's tools.
#[derive(Clone, Debug)]
pub(crate) struct Observatory {
    pub(crate) monitor: Monitor,
    pub(crate) store: Store,
    pub(crate) queues: Queues,
    /// The CoAP door.
    pub(crate) devices: gateway::Calls,
}

impl Observatory {
    /// `/healthz`, `/readyz` and `/metrics`; nothing else is here.
    pub(crate) async fn answer(self, request: Request<Bytes>) -> Response<Bytes> {
        let known = matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics");
        if known && !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response =
                refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET is allowed here\n");
            let allow = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(header::ALLOW, allow);
            return response;
        }
        match request.uri().path() {
            "/healthz" => refusal(StatusCode::OK, "alive\n"),
            "/readyz" => self.readiness().await,
            "/metrics" => self.figures().await,
            _ => refusal(StatusCode::NOT_FOUND, "/healthz, /readyz or /metrics\n"),
        }
    }

    async fn readiness(&self) -> Response<Bytes> {
        self.store.probe().await;
        let reasons = self.monitor.health.reasons();
        if reasons.is_empty() {
            return refusal(StatusCode::OK, "ready\n");
        }
        let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, "");
        *response.body_mut() = reasons
            .iter()
            .flat_map(|reason| [reason, "\n"])
            .collect::<String>()
            .into();
        response
    }

    async fn figures(&self) -> Response<Bytes> {
        let mut text = String::new();
        let depths = [
            ("cloud", self.queues.cloud.waiting()),
            ("gateway", waiting(&self.queues.gateway)),
            ("devices", waiting(&self.queues.devices)),
        ];
        self.monitor.metrics.write(&mut text, &depths);
        let counted = async {
            let counters = self.devices.counters().await;
            let sessions = self.devices.call_all(|endpoint, _| endpoint.sessions());
            (counters, sessions.await)
        };
        if let Ok((counters, sessions)) = timeout(PATIENCE, counted).await {
            refusals::write(&mut text, &counters);
            shards::write(&mut text, &sessions, self.devices.forwarding());
        }
        let mut response = refusal(StatusCode::OK, "");
        *response.body_mut() = text.into();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, EXPOSITION);
        response
    }
}

/// How much waits in a channel; nothing in one that has ended.
fn waiting<T>(channel: &mpsc::WeakSender<T>) -> usize {
    channel.upgrade().map_or(0, |sender| {
        sender.max_capacity().saturating_sub(sender.capacity())
    })
}
