//! What a running cloud has around it here: a journal that grants everything at once, and receivers on loopback.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::mpsc;
use uci_model::DeviceId;
use uci_server_core::driver::{self, Handle};
use uci_server_core::{
    Append, Appended, DeviceAnswer, DeviceReport, DeviceRequest, Event, Loaded, Occurrence,
    Snapshot, TransportFailure,
};

/// A client with connections that are kept.
pub(super) type Sender = Client<HttpConnector, Full<Bytes>>;

pub(super) fn sender() -> Sender {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

/// Sends one notification and reads the answer.
pub(super) async fn send(
    sender: &Sender,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, TransportFailure> {
    let response = sender
        .request(request.map(Full::new))
        .await
        .map_err(|_| TransportFailure::Connection)?;
    let (head, body) = response.into_parts();
    let body = body
        .collect()
        .await
        .map_err(|_| TransportFailure::Connection)?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

/// The surroundings; remembers nothing but how long the streams are.
pub(super) struct Outside {
    sender: Sender,
    versions: Mutex<BTreeMap<String, u64>>,
    /// Who hears of deliveries, by the path that they went to.
    delivered: BTreeMap<String, mpsc::UnboundedSender<()>>,
}

impl Outside {
    pub(super) fn new() -> Self {
        Self::telling(BTreeMap::new())
    }

    pub(super) fn telling(delivered: BTreeMap<String, mpsc::UnboundedSender<()>>) -> Self {
        Self {
            sender: sender(),
            versions: Mutex::new(BTreeMap::new()),
            delivered,
        }
    }
}

impl driver::Outside for Outside {
    fn wall(&self) -> SystemTime {
        super::world::wall()
    }

    async fn load(&self, _: String) -> Option<Loaded> {
        Some(Loaded::default())
    }

    async fn append(&self, append: Append) -> Appended {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        for part in append.streams {
            let version = part.expected_version + part.changes.len() as u64;
            versions.insert(part.stream, version);
        }
        Appended::Done
    }

    async fn save_snapshot(&self, _: String, _: Snapshot) -> bool {
        true
    }

    async fn erase(&self, _: String) -> bool {
        true
    }

    async fn ask(&self, _: DeviceRequest) -> DeviceAnswer {
        DeviceAnswer::Unreachable
    }

    async fn deliver(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportFailure> {
        let delivered = self.delivered.get(request.uri().path()).cloned();
        let response = send(&self.sender, request).await;
        if let Some(delivered) = delivered {
            let _ = delivered.send(());
        }
        response
    }

    fn note(&self, _: Event) {}
}

/// Reports and waits until that is durable.
pub(super) async fn report(handle: &Handle, account: &str, device: DeviceId, what: Occurrence) {
    let account = account.parse().expect("an account");
    let report = DeviceReport::new(account, device, 1, what);
    handle.report(report).await.expect("taken");
}
