//! A cloud without a network: a machine, a journal that grants everything, and a clock that is moved by hand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use uci_model::{Content, ContentFormat, DeviceId};
use uci_server_core::{
    Appended, Authentication, Config, DeliveryId, DeliveryOutcome, DeviceCloud, DeviceReport,
    Loaded, Occurrence, Opened, Output, Principal, SealError, Sealer,
};

use super::fixtures;

pub(super) const SECRET: &str = "3BZ6oI9xbRJzOUvUoRb5RgaZjPqHrmql";

/// Where nobody ever answers.
const DEAD: &str = "127.0.0.2:9";

/// Keeps secrets as they are: what sealing costs is not what is measured here.
pub(super) struct Unsealed;

impl Sealer for Unsealed {
    fn seal(&self, _: &str, _: &str, _: [u8; 32], secret: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok(secret.to_vec())
    }

    fn open(&self, _: &str, _: &str, sealed: &[u8]) -> Result<Opened, SealError> {
        Ok(Opened::new(sealed.to_vec()))
    }
}

/// Settings for the biggest accounts that are measured, notifications to this machine included.
pub(super) fn config() -> Config {
    let mut config = Config::default();
    config.account.devices = usize::MAX;
    config.account.subscriptions = usize::MAX;
    config.account.client_subscriptions = usize::MAX;
    config.content = fixtures::limits();
    config.events_url.dangerous_allow_http = true;
    config.events_url.dangerous_allow_non_public = true;
    config
}

pub(super) fn principal(account: &str) -> Principal {
    Principal::new(
        account.parse().expect("an account"),
        "bench".parse().expect("a client"),
        "grant".parse().expect("a grant"),
        "r:* w:*",
        UNIX_EPOCH + Duration::from_secs(1 << 36),
    )
}

pub(super) fn wall() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

pub(super) fn subscribe_request(path: &str, events: &str, events_url: &str) -> Request<Bytes> {
    let body = serde_json::json!({
        "eventsUrl": events_url, "eventTypes": [events], "signingSecret": SECRET,
    });
    Request::builder()
        .method(Method::POST)
        .uri(format!("/api/v1/devices{path}/subscriptions"))
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .header("correlation-id", "bench")
        .body(body.to_string().into())
        .expect("a request")
}

/// The machine and what surrounds it.
pub(super) struct World {
    pub(super) cloud: DeviceCloud,
    now: Instant,
    /// Since the beginning.
    passed: Duration,
    /// What is kept of each stream, when anything is.
    journal: BTreeMap<String, Loaded>,
    keeps_changes: bool,
    pub(super) deliveries: VecDeque<(DeliveryId, Request<Bytes>)>,
    response: Option<Response<Bytes>>,
    next_body: u64,
}

impl World {
    /// A world without snapshots: what one costs grows with its account and is measured by itself.
    pub(super) fn new() -> Self {
        let mut config = config();
        config.snapshot_every = u64::MAX;
        Self::with(config)
    }

    pub(super) fn with(config: Config) -> Self {
        Self {
            cloud: DeviceCloud::new(config, [7; 32], Arc::new(Unsealed)),
            now: tokio::time::Instant::now().into_std(),
            passed: Duration::ZERO,
            journal: BTreeMap::new(),
            keeps_changes: false,
            deliveries: VecDeque::new(),
            response: None,
            next_body: 0,
        }
    }

    /// A world whose journal keeps what is appended.
    pub(super) fn remembering(config: Config) -> Self {
        Self {
            keeps_changes: true,
            ..Self::with(config)
        }
    }

    /// A world that was just started on a journal.
    pub(super) fn started_on(journal: BTreeMap<String, Loaded>) -> Self {
        Self {
            journal,
            ..Self::remembering(config())
        }
    }

    pub(super) fn journal(&self) -> &BTreeMap<String, Loaded> {
        &self.journal
    }

    fn wall(&self) -> SystemTime {
        wall() + self.passed
    }

    /// Carries out everything but deliveries, which wait to be answered.
    pub(super) fn settle(&mut self) {
        while let Some(output) = self.cloud.poll_output() {
            match output {
                Output::Respond { response, .. } => self.response = Some(response),
                Output::Deliver { delivery, request } => {
                    self.deliveries.push_back((delivery, request));
                }
                Output::Load { stream } => {
                    let loaded = self.journal.get(&stream).cloned().unwrap_or_default();
                    self.cloud
                        .handle_loaded(&stream, &loaded, self.wall(), self.now);
                }
                Output::Append(append) => {
                    if self.keeps_changes {
                        for part in append.streams {
                            let stream = self.journal.entry(part.stream).or_default();
                            stream.version += part.changes.len() as u64;
                            stream.changes.extend(part.changes);
                        }
                    }
                    self.cloud
                        .handle_appended(append.id, Appended::Done, self.wall(), self.now);
                }
                Output::SaveSnapshot { stream, snapshot } if self.keeps_changes => {
                    let stream = self.journal.entry(stream).or_default();
                    let after = (stream.version - snapshot.version) as usize;
                    stream.changes.drain(..stream.changes.len() - after);
                    stream.snapshot = Some(snapshot);
                }
                Output::Ask { .. }
                | Output::Abort { .. }
                | Output::Erase { .. }
                | Output::SaveSnapshot { .. }
                | Output::Event(_) => {}
            }
        }
    }

    pub(super) fn report(&mut self, account: &str, device: DeviceId, what: Occurrence) {
        let account = account.parse().expect("an account");
        let report = DeviceReport::new(account, device, 1, what);
        self.cloud.handle_report(report, self.wall(), self.now);
        self.settle();
    }

    /// A device of an account, with its links.
    pub(super) fn add_device(&mut self, account: &str, number: usize, links: usize) {
        let id = fixtures::device_id(number);
        let properties = Box::new(fixtures::properties(number));
        let links = fixtures::links(number, links);
        for what in [
            Occurrence::Registered,
            Occurrence::Online,
            Occurrence::Described(properties),
            Occurrence::LinksPublished(links),
        ] {
            self.report(account, id, what);
        }
    }

    pub(super) fn call(&mut self, account: &str, request: &Request<Bytes>) -> Response<Bytes> {
        let granted = Authentication::Granted(principal(account));
        self.cloud
            .handle_request(request, granted, self.wall(), self.now);
        self.settle();
        self.response.take().expect("answered at once")
    }

    pub(super) fn get(&mut self, account: &str, request: &Request<Bytes>) {
        let response = self.call(account, request);
        assert_eq!(response.status(), StatusCode::OK, "{response:?}");
    }

    pub(super) fn subscribe(&mut self, account: &str, path: &str, events: &str) {
        self.subscribe_at("http://127.0.0.1:9/events", account, path, events);
    }

    /// Subscribes a receiver that never answers.
    pub(super) fn subscribe_dead(&mut self, account: &str, path: &str, events: &str) {
        self.subscribe_at(&format!("http://{DEAD}/events"), account, path, events);
    }

    fn subscribe_at(&mut self, events_url: &str, account: &str, path: &str, events: &str) {
        let request = subscribe_request(path, events, events_url);
        let response = self.call(account, &request);
        assert_eq!(response.status(), StatusCode::CREATED, "{response:?}");
    }

    /// A representation that is new each time.
    pub(super) fn change(&mut self, account: &str, number: usize, link: usize) {
        self.next_body += 1;
        let body = format!(
            r#"{{"value":{},"rt":["oic.r.switch.binary"]}}"#,
            self.next_body
        );
        let what = Occurrence::RepresentationChanged {
            href: fixtures::href(number, link),
            content: Content::new(ContentFormat::Json, body.into()),
        };
        self.report(account, fixtures::device_id(number), what);
    }

    /// A link of a device is published anew, changed.
    pub(super) fn publish(&mut self, account: &str, number: usize) {
        self.next_body += 1;
        let mut links = fixtures::links(number, 1);
        for link in &mut links {
            link.policy.bits = 1 + self.next_body % 3;
        }
        let what = Occurrence::LinksPublished(links);
        self.report(account, fixtures::device_id(number), what);
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.passed += time;
        self.cloud.handle_timeout(self.wall(), self.now);
        self.settle();
    }

    /// Lets every notification that waits arrive where somebody answers, and what follows from that.
    pub(super) fn deliver_all(&mut self) -> usize {
        let mut count = 0;
        let answer = Response::new(Bytes::new());
        let outcome = DeliveryOutcome::from_response(&answer);
        while let Some((delivery, request)) = self.deliveries.pop_front() {
            if request.uri().authority().is_some_and(|to| to == DEAD) {
                continue;
            }
            count += 1;
            self.cloud
                .handle_delivery(delivery, Ok(outcome), self.wall(), self.now);
            self.settle();
        }
        count
    }
}

pub(super) fn get_request(path: &str) -> Request<Bytes> {
    Request::builder()
        .uri(format!("/api/v1/devices{path}"))
        .header("accept", "application/json")
        .body(Bytes::new())
        .expect("a request")
}
