//! A cloud with a journal in memory, a clock that is moved by hand, and everything outside recorded.

#![allow(dead_code)]
#![allow(clippy::disallowed_methods, clippy::new_without_default)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use uci_model::event::{NotificationHeaders, SignedMessage, SigningKey};
use uci_model::{Content, ContentFormat, DeviceId, Interface, ResourceLink, SigningSecret};
use uci_server_core::account::{EndCause, Export};
use uci_server_core::{
    AccountId, Append, AskId, Authentication, Config, DeliveryId, DeliveryOutcome, DeviceAnswer,
    DeviceCloud, DeviceReport, DeviceRequest, ErasureId, ErrorKind, Event, ExportId, GrantEndId,
    GrantId, Occurrence, Opened, Output, OwnerChangeId, Principal, ReportId, RequestId, SealError,
    Sealer, Snapshot, TransportFailure,
};

pub(crate) mod described;
mod journal;

pub(crate) use journal::Journal;

pub(crate) const SECRET: &str = "3BZ6oI9xbRJzOUvUoRb5RgaZjPqHrmql";
pub(crate) const EVENTS: &str = "https://events.example.com/hook?key=1";
pub(crate) const CORRELATION: &str = "6f0a5a0c-0000-4000-8000-00000000beef";
pub(crate) const LIGHT: &str = "/light/1";

/// Seals by writing the place before the secret; opening elsewhere fails.
pub(crate) struct Labels;

impl Sealer for Labels {
    fn seal(
        &self,
        stream: &str,
        field: &str,
        nonce: [u8; 32],
        secret: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let mut sealed = format!("{stream} {field}\n").into_bytes();
        sealed.extend(secret.iter().map(|byte| byte ^ 0x55));
        sealed.extend(nonce.iter().take(4));
        Ok(sealed)
    }

    fn open(&self, stream: &str, field: &str, sealed: &[u8]) -> Result<Opened, SealError> {
        let place = format!("{stream} {field}\n").into_bytes();
        let rest = sealed
            .strip_prefix(place.as_slice())
            .ok_or_else(SealError::new)?;
        let secret = rest
            .split_at_checked(rest.len() - 4)
            .ok_or_else(SealError::new)?
            .0;
        Ok(Opened::new(secret.iter().map(|byte| byte ^ 0x55).collect()))
    }
}

/// A notification as its receiver reads it, verified.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) subscription: String,
    pub(crate) sequence: u64,
    pub(crate) event: String,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Bytes,
}

impl Told {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Reads a notification and verifies its signature over what is really in it.
pub(crate) fn read_notification(request: &Request<Bytes>) -> Told {
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .map(|value| value.to_str().unwrap())
    };
    let headers = NotificationHeaders::parse(header).unwrap();
    let content_type = header("content-type");
    let key = SigningKey::new(&SigningSecret::try_from(SECRET.to_owned()).unwrap());
    let message = SignedMessage {
        content_type: content_type.unwrap_or_default().as_bytes(),
        event_type: header("event-type").unwrap().as_bytes(),
        subscription_id: header("subscription-id").unwrap().as_bytes(),
        sequence_number: header("sequence-number").unwrap().as_bytes(),
        event_timestamp: header("event-timestamp").unwrap().as_bytes(),
        body: request.body(),
    };
    let signature = header("event-signature").unwrap().parse().unwrap();
    key.verify(&message, &signature).unwrap();
    Told {
        subscription: headers.subscription_id.to_string(),
        sequence: headers.sequence_number,
        event: headers.event_type.to_string(),
        content_type: content_type.map(ToOwned::to_owned),
        body: request.body().clone(),
    }
}

pub(crate) struct World {
    pub(crate) cloud: DeviceCloud,
    pub(crate) config: Config,
    pub(crate) journal: Journal,
    pub(crate) now: Instant,
    pub(crate) wall: SystemTime,
    pub(crate) responses: BTreeMap<RequestId, Response<Bytes>>,
    /// What was asked, so that every answer is held against the description.
    asked: BTreeMap<RequestId, Request<Bytes>>,
    pub(crate) asks: VecDeque<(AskId, DeviceRequest)>,
    pub(crate) deliveries: VecDeque<(DeliveryId, Request<Bytes>)>,
    pub(crate) reported: BTreeMap<ReportId, Result<(), ErrorKind>>,
    pub(crate) grants_ended: BTreeMap<GrantEndId, Result<(), ErrorKind>>,
    pub(crate) owners_changed: BTreeMap<OwnerChangeId, Result<u64, ErrorKind>>,
    pub(crate) erased: BTreeMap<ErasureId, Result<(), ErrorKind>>,
    pub(crate) exports: BTreeMap<ExportId, Export>,
    pub(crate) presumed: Vec<(AccountId, DeviceId, u64)>,
    pub(crate) stalled: Vec<AccountId>,
    pub(crate) ended: Vec<(String, EndCause)>,
    /// What the journal is not asked to do while this is set.
    pub(crate) journal_silent: bool,
    /// Streams cannot be erased while this is set.
    pub(crate) erase_fails: bool,
    /// The machine is not told that an attempt is stopped while this is set.
    pub(crate) aborts_wait: bool,
    pub(crate) aborted: Vec<DeliveryId>,
    /// Snapshots are not kept while this is set.
    pub(crate) saves_fail: bool,
    /// How many snapshots were handed out.
    pub(crate) saves: usize,
    /// How often a stream was loaded.
    pub(crate) loads: usize,
    /// Appends are kept for the test while this is set.
    pub(crate) appends_wait: bool,
    pub(crate) unanswered: Vec<Append>,
    starts: u8,
}

pub(crate) fn device(number: u8) -> DeviceId {
    format!("d0000000-0000-4000-8000-0000000000{number:02x}")
        .parse()
        .unwrap()
}

pub(crate) fn account(name: &str) -> AccountId {
    name.parse().unwrap()
}

pub(crate) fn principal(account: &str, grant: &str, scope: &str) -> Principal {
    let far = UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    Principal::new(
        account.parse().unwrap(),
        format!("client-of-{grant}").parse().unwrap(),
        grant.parse().unwrap(),
        scope,
        far,
    )
}

pub(crate) fn granted(account: &str, grant: &str) -> Authentication {
    Authentication::Granted(principal(account, grant, "r:* w:*"))
}

pub(crate) fn link(href: &str) -> ResourceLink {
    let interfaces = vec![Interface::READ_WRITE, Interface::BASELINE];
    let types = vec!["oic.r.switch.binary".parse().unwrap()];
    ResourceLink::new(href.parse().unwrap(), types, interfaces)
}

pub(crate) fn json(text: &str) -> Content {
    Content::new(ContentFormat::Json, Bytes::copy_from_slice(text.as_bytes()))
}

pub(crate) fn cbor(text: &str) -> Content {
    json(text)
        .in_format(ContentFormat::OcfCbor, &uci_model::Limits::default())
        .unwrap()
}

pub(crate) fn request(method: Method, path: &str) -> Request<Bytes> {
    Request::builder()
        .method(method)
        .uri(format!("https://cloud.example.com/api/v1/devices{path}"))
        .body(Bytes::new())
        .unwrap()
}

pub(crate) fn post(path: &str, content_type: &str, body: &str) -> Request<Bytes> {
    let mut request = request(Method::POST, path);
    request
        .headers_mut()
        .insert("content-type", content_type.parse().unwrap());
    *request.body_mut() = Bytes::copy_from_slice(body.as_bytes());
    request
}

pub(crate) fn subscribe_request(path: &str, types: &[&str]) -> Request<Bytes> {
    let body = serde_json::json!({
        "eventsUrl": EVENTS, "eventTypes": types, "signingSecret": SECRET,
    });
    let mut request = post(
        &format!("{path}/subscriptions"),
        "application/json",
        &body.to_string(),
    );
    request
        .headers_mut()
        .insert("correlation-id", CORRELATION.parse().unwrap());
    request
        .headers_mut()
        .insert("accept", "application/json".parse().unwrap());
    request
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let wall = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        Self {
            cloud: DeviceCloud::new(config.clone(), [1; 32], Arc::new(Labels)),
            config,
            journal: Journal::default(),
            now: Instant::now(),
            wall,
            responses: BTreeMap::new(),
            asked: BTreeMap::new(),
            asks: VecDeque::new(),
            deliveries: VecDeque::new(),
            reported: BTreeMap::new(),
            grants_ended: BTreeMap::new(),
            owners_changed: BTreeMap::new(),
            erased: BTreeMap::new(),
            exports: BTreeMap::new(),
            presumed: Vec::new(),
            stalled: Vec::new(),
            ended: Vec::new(),
            journal_silent: false,
            erase_fails: false,
            aborts_wait: false,
            aborted: Vec::new(),
            saves_fail: false,
            saves: 0,
            loads: 0,
            appends_wait: false,
            unanswered: Vec::new(),
            starts: 1,
        }
    }

    /// A process that starts again: nothing is left but the journal; due accounts are woken.
    pub(crate) fn restart(&mut self) {
        self.reboot();
        self.wake_due();
    }

    /// A process that starts again and has not looked after anything yet.
    pub(crate) fn reboot(&mut self) {
        self.starts = self.starts.wrapping_add(1);
        self.cloud = DeviceCloud::new(self.config.clone(), [self.starts; 32], Arc::new(Labels));
        self.asks.clear();
        self.deliveries.clear();
        self.unanswered.clear();
    }

    pub(crate) fn wake_due(&mut self) {
        let due: Vec<String> = self.journal.due.keys().cloned().collect();
        for stream in due {
            if let Some(id) = stream.strip_prefix("account/") {
                self.cloud.wake(account(id), self.wall, self.now);
            }
        }
        self.settle();
    }

    pub(crate) fn pass(&mut self, duration: Duration) {
        self.now += duration;
        self.wall += duration;
        self.cloud.handle_timeout(self.wall, self.now);
        self.settle();
    }

    /// Carries out all that the journal can do; asks and deliveries are kept for the test.
    pub(crate) fn settle(&mut self) {
        while let Some(output) = self.cloud.poll_output() {
            match output {
                Output::Respond { request, response } => {
                    if let Some(asked) = self.asked.remove(&request) {
                        described::check(&self.config.prefix, &asked, &response);
                    }
                    assert!(
                        self.responses.insert(request, response).is_none(),
                        "answered twice"
                    );
                }
                Output::Ask { ask, request } => self.asks.push_back((ask, request)),
                Output::Deliver { delivery, request } => {
                    self.deliveries.push_back((delivery, request));
                }
                Output::Load { stream } if self.journal_silent => {
                    self.cloud.handle_load_failed(&stream, self.now);
                }
                Output::Load { stream } => {
                    self.loads += usize::from(stream.starts_with("account/"));
                    let loaded = self.journal.load(&stream);
                    self.cloud
                        .handle_loaded(&stream, &loaded, self.wall, self.now);
                }
                Output::Append(append) if self.journal_silent || self.appends_wait => {
                    self.unanswered.push(append);
                }
                Output::Append(append) => {
                    let appended = self.journal.append(&append);
                    self.cloud
                        .handle_appended(append.id, appended, self.wall, self.now);
                }
                Output::Abort { delivery } => self.abort(delivery),
                Output::SaveSnapshot { stream, snapshot } => self.save(stream, snapshot),
                Output::Event(Event::Reported { report, result }) => {
                    let result = result.map_err(|error| error.kind());
                    assert!(
                        self.reported.insert(report, result).is_none(),
                        "reported twice"
                    );
                }
                Output::Event(Event::GrantEnded { end, result }) => {
                    let result = result.map_err(|error| error.kind());
                    assert!(
                        self.grants_ended.insert(end, result).is_none(),
                        "ended twice"
                    );
                }
                Output::Event(Event::PresumedOnline {
                    account,
                    device,
                    generation,
                }) => {
                    self.presumed.push((account, device, generation));
                }
                Output::Erase { stream } => {
                    let erased = !self.erase_fails;
                    if erased {
                        self.journal.erase(&stream);
                    }
                    self.cloud
                        .handle_erased(&stream, erased, self.wall, self.now);
                }
                Output::Event(Event::OwnerChanged { change, result }) => {
                    let result = result.map_err(|error| error.kind());
                    let before = self.owners_changed.insert(change, result);
                    assert!(before.is_none(), "changed twice");
                }
                Output::Event(Event::AccountErased { erasure, result }) => {
                    let result = result.map_err(|error| error.kind());
                    let before = self.erased.insert(erasure, result);
                    assert!(before.is_none(), "erased twice");
                }
                Output::Event(Event::AccountExported { export, result }) => {
                    let export = self.exports.insert(export, *result.unwrap());
                    assert!(export.is_none(), "exported twice");
                }
                Output::Event(Event::Stalled { account }) => self.stalled.push(account),
                Output::Event(Event::SubscriptionEnded {
                    subscription,
                    cause,
                    ..
                }) => self.ended.push((subscription.to_string(), cause)),
                Output::Event(other) => panic!("{other:?}"),
            }
        }
    }

    /// Stops an attempt, as a driver does.
    fn abort(&mut self, delivery: DeliveryId) {
        self.deliveries.retain(|(id, _)| *id != delivery);
        self.aborted.push(delivery);
        if !self.aborts_wait {
            let failure = Err(TransportFailure::Connection);
            self.cloud
                .handle_delivery(delivery, failure, self.wall, self.now);
        }
    }

    fn save(&mut self, stream: String, snapshot: Snapshot) {
        self.saves += 1;
        let (version, saved) = (snapshot.version, !self.saves_fail);
        if saved {
            self.journal.snapshots.insert(stream.clone(), snapshot);
        }
        self.cloud
            .handle_saved(&stream, version, saved, self.wall, self.now);
    }

    pub(crate) fn start(&mut self, request: &Request<Bytes>, who: Authentication) -> RequestId {
        let id = self.cloud.handle_request(request, who, self.wall, self.now);
        self.asked.insert(id, request.clone());
        self.settle();
        id
    }

    /// The answer, which must be there without any device's help.
    pub(crate) fn call(
        &mut self,
        request: &Request<Bytes>,
        who: Authentication,
    ) -> Response<Bytes> {
        let id = self.start(request, who);
        self.responses.remove(&id).expect("answered")
    }

    pub(crate) fn get(&mut self, path: &str) -> Response<Bytes> {
        self.call(&request(Method::GET, path), granted("alice", "g1"))
    }

    pub(crate) fn get_json(&mut self, path: &str) -> serde_json::Value {
        let response = self.get(path);
        assert_eq!(response.status(), StatusCode::OK);
        serde_json::from_slice(response.body()).unwrap()
    }

    pub(crate) fn report_as(
        &mut self,
        owner: &str,
        device: DeviceId,
        generation: u64,
        what: Occurrence,
    ) -> Result<(), ErrorKind> {
        let report = DeviceReport::new(account(owner), device, generation, what);
        let id = self.cloud.handle_report(report, self.wall, self.now);
        self.settle();
        self.reported.remove(&id).expect("reported")
    }

    pub(crate) fn report(&mut self, device: DeviceId, what: Occurrence) {
        self.report_as("alice", device, 1, what).unwrap();
    }

    pub(crate) fn change(&mut self, device: DeviceId, href: &str, content: Content) {
        let href = href.parse().unwrap();
        self.report(device, Occurrence::RepresentationChanged { href, content });
    }

    /// Alice's device, online, with a light that is on.
    pub(crate) fn light(&mut self) -> DeviceId {
        let device = device(1);
        self.report(device, Occurrence::Registered);
        self.report(device, Occurrence::Online);
        self.report(device, Occurrence::LinksPublished(vec![link(LIGHT)]));
        self.change(device, LIGHT, cbor(r#"{"state":true}"#));
        device
    }

    /// Subscribes Alice's first client.
    pub(crate) fn subscribe(&mut self, path: &str, types: &[&str]) -> String {
        let response = self.call(&subscribe_request(path, types), granted("alice", "g1"));
        assert_eq!(response.status(), StatusCode::CREATED, "{response:?}");
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        body["subscriptionId"].as_str().unwrap().to_owned()
    }

    pub(crate) fn unsubscribe(&mut self, path: &str, id: &str) -> StatusCode {
        let request = request(Method::DELETE, &format!("{path}/subscriptions/{id}"));
        self.call(&request, granted("alice", "g1")).status()
    }

    /// The next delivery, not answered yet.
    pub(crate) fn next_delivery(&mut self) -> Option<(DeliveryId, Told)> {
        let (id, request) = self.deliveries.pop_front()?;
        Some((id, read_notification(&request)))
    }

    pub(crate) fn answer_delivery(&mut self, id: DeliveryId, status: u16) {
        let response = Response::builder()
            .status(status)
            .body(Bytes::new())
            .unwrap();
        let outcome = DeliveryOutcome::from_response(&response);
        self.cloud
            .handle_delivery(id, Ok(outcome), self.wall, self.now);
        self.settle();
    }

    pub(crate) fn fail_delivery(&mut self, id: DeliveryId) {
        let failure = Err(TransportFailure::Connection);
        self.cloud.handle_delivery(id, failure, self.wall, self.now);
        self.settle();
    }

    /// Receives everything that is deliverable now.
    pub(crate) fn receive_all(&mut self) -> Vec<Told> {
        let mut all = Vec::new();
        while let Some((id, told)) = self.next_delivery() {
            all.push(told);
            self.answer_delivery(id, 200);
        }
        all
    }

    /// Event types with their numbers.
    pub(crate) fn receive(&mut self) -> Vec<(u64, String)> {
        self.receive_all()
            .into_iter()
            .map(|told| (told.sequence, told.event))
            .collect()
    }

    pub(crate) fn transfer(&mut self, device: DeviceId, to: &str) -> Result<u64, ErrorKind> {
        let (wall, now) = (self.wall, self.now);
        let id = self.cloud.transfer_device(device, account(to), wall, now);
        self.settle();
        self.owners_changed.remove(&id).expect("changed or refused")
    }

    pub(crate) fn remove(&mut self, device: DeviceId) -> Result<u64, ErrorKind> {
        let id = self.cloud.remove_device(device, self.wall, self.now);
        self.settle();
        self.owners_changed.remove(&id).expect("changed or refused")
    }

    pub(crate) fn erase(&mut self, name: &str) -> Result<(), ErrorKind> {
        let id = self.cloud.erase_account(account(name), self.wall, self.now);
        self.settle();
        self.erased.remove(&id).expect("erased or not")
    }

    pub(crate) fn export(&mut self, name: &str) -> Export {
        let id = self
            .cloud
            .export_account(account(name), self.wall, self.now);
        self.settle();
        self.exports.remove(&id).expect("exported")
    }

    pub(crate) fn end_grant(&mut self, grant: &str) {
        let grant: GrantId = grant.parse().unwrap();
        let id = self
            .cloud
            .end_grant(account("alice"), grant, self.wall, self.now);
        self.settle();
        assert_eq!(self.grants_ended.remove(&id), Some(Ok(())));
    }

    pub(crate) fn answer_ask(&mut self, code: u8, content: Option<Content>) -> DeviceRequest {
        self.answer_ask_with(code, content, None)
    }

    pub(crate) fn answer_ask_with(
        &mut self,
        code: u8,
        content: Option<Content>,
        max_age: Option<Duration>,
    ) -> DeviceRequest {
        let (ask, request) = self.asks.pop_front().expect("asked");
        let answer = DeviceAnswer::answered(code, content, max_age);
        self.cloud.handle_answer(ask, answer, self.now);
        self.settle();
        request
    }
}

/// `n` of `sequence` and event type.
pub(crate) fn seen(list: &[(u64, &str)]) -> Vec<(u64, String)> {
    list.iter()
        .map(|(sequence, event)| (*sequence, (*event).to_owned()))
        .collect()
}
