//! A world in virtual time: a journal in memory and a device-side cloud that does as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{Method, Request, Response};
use uci_client::{
    Append, AppendId, Appended, Client, Config, Event, Loaded, Opened, Output, RequestId,
    SealError, Sealer, Snapshot,
};
use uci_model::api::{AccessToken, OutgoingRequest, notify};
use uci_model::event::{NotificationHeaders, SigningKey};
use uci_model::{
    Content, ContentFormat, EventType, Limits, SigningSecret, SubscriptionId, UnixSeconds, Value,
};

pub const BASE: &str = "https://cloud.example/api/v1";
pub const LAMP: &str = "53080a4f-5e3e-4291-802f-3436238232d2";

/// Seals by turning bits around behind the name of the place, so that a secret in clear would be seen.
pub struct Turned;

impl Sealer for Turned {
    fn seal(
        &self,
        stream: &str,
        field: &str,
        _: [u8; 32],
        secret: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let turned = secret.iter().map(|byte| byte ^ 0xff);
        Ok(format!("{stream}/{field}/").bytes().chain(turned).collect())
    }

    fn open(&self, stream: &str, field: &str, sealed: &[u8]) -> Result<Opened, SealError> {
        let place = format!("{stream}/{field}/");
        let secret = sealed
            .strip_prefix(place.as_bytes())
            .ok_or_else(SealError::new)?;
        Ok(Opened::new(secret.iter().map(|byte| byte ^ 0xff).collect()))
    }
}

/// A subscription as the device-side cloud has it.
#[derive(Clone)]
pub struct Kept {
    pub path: String,
    pub secret: SigningSecret,
    pub correlation: String,
    pub event_types: Vec<String>,
    pub accept: String,
    pub sequence: u64,
    pub id: SubscriptionId,
}

#[derive(Default)]
pub struct Cloud {
    pub subscriptions: Vec<Kept>,
    pub requests: Vec<Request<Bytes>>,
    /// Answers to give before the ordinary ones begin.
    pub script: VecDeque<Option<Response<Bytes>>>,
    /// The devices with their links, and with their representations; the lamp, if there is one, is the only one.
    pub base: String,
    pub all: String,
    /// The resource of a device that is offline.
    pub offline: Option<&'static str>,
    /// Event types that are not supported: a request for one is answered with the status.
    pub refused: Vec<(&'static str, u16)>,
    made: u8,
}

impl Cloud {
    pub fn answer(&mut self, request: &Request<Bytes>) -> Option<Response<Bytes>> {
        self.requests.push(request.clone());
        if let Some(scripted) = self.script.pop_front() {
            return scripted;
        }
        let path = request.uri().path().to_owned();
        if self.offline.is_some_and(|href| path.ends_with(href)) {
            return Some(status(504));
        }
        let lamp = format!("/api/v1/devices/{LAMP}");
        let listed = match request.uri().query() {
            Some("content=all") => &self.all,
            _ => &self.base,
        };
        Some(
            match (request.method(), path.strip_suffix("/subscriptions")) {
                (&Method::POST, Some(_)) => {
                    let asks_for = |one: &str| wanted_types(request).iter().any(|of| of == one);
                    if let Some((_, code)) = self.refused.iter().find(|(one, _)| asks_for(one)) {
                        return Some(status(*code));
                    }
                    let id = self.keep(request);
                    json(201, &format!(r#"{{"subscriptionId":"{id}"}}"#))
                }
                (&Method::DELETE, _) => {
                    let (_, id) = path.rsplit_once('/').unwrap();
                    let id: SubscriptionId = id.parse().unwrap();
                    let before = self.subscriptions.len();
                    self.subscriptions.retain(|kept| kept.id != id);
                    status(if self.subscriptions.len() < before {
                        202
                    } else {
                        404
                    })
                }
                (&Method::GET, _) if path == "/api/v1/devices" => {
                    json(200, if listed.is_empty() { "[]" } else { listed })
                }
                (&Method::GET, _) if path == lamp && !listed.is_empty() => {
                    let alone = listed
                        .strip_prefix('[')
                        .and_then(|one| one.strip_suffix(']'));
                    match alone.unwrap() {
                        "" => status(404),
                        device => json(200, device),
                    }
                }
                (&Method::GET, _) if path == lamp => {
                    let links = if request.uri().query() == Some("content=all") {
                        String::new()
                    } else {
                        format!(
                            r#"{{"href":"/{LAMP}/light/1","rt":["core.light"],"if":["oic.if.a"]}}"#
                        )
                    };
                    let device =
                        format!(r#"{{"di":"{LAMP}","n":"Lamp","rt":["oic.wk.d"],"dmn":[]}}"#);
                    json(
                        200,
                        &format!(r#"{{"device":{device},"status":"online","links":[{links}]}}"#),
                    )
                }
                _ => status(404),
            },
        )
    }

    /// Notes a subscription without answering.
    pub fn keep(&mut self, request: &Request<Bytes>) -> SubscriptionId {
        let body = Content::new(ContentFormat::Json, request.body().clone());
        let body = body.decode(&Limits::default()).unwrap();
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap().to_owned();
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        self.made += 1;
        let mut id = [self.made; 16];
        id[15] = 0xab;
        let id = SubscriptionId::from_bytes(id);
        self.subscriptions.push(Kept {
            path: request.uri().path().to_owned(),
            secret: text("signingSecret").try_into().unwrap(),
            correlation: header("correlation-id"),
            event_types: wanted_types(request),
            accept: header("accept"),
            sequence: 0,
            id,
        });
        id
    }
}

fn wanted_types(request: &Request<Bytes>) -> Vec<String> {
    let body = Content::new(ContentFormat::Json, request.body().clone());
    let body = body.decode(&Limits::default()).unwrap();
    let types = body.get("eventTypes").and_then(Value::as_array).unwrap();
    types
        .iter()
        .map(|value| value.as_str().unwrap().to_owned())
        .collect()
}

pub fn status(code: u16) -> Response<Bytes> {
    Response::builder().status(code).body(Bytes::new()).unwrap()
}

pub fn json(code: u16, body: &str) -> Response<Bytes> {
    Response::builder()
        .status(code)
        .header("content-type", "application/json")
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .unwrap()
}

/// What is kept of one stream.
#[derive(Clone, Default)]
pub struct Stream {
    /// The version at which the stream was erased; 0 for never.
    pub erased: u64,
    pub changes: Vec<Bytes>,
    pub snapshot: Option<Snapshot>,
    pub due: Option<u64>,
}

impl Stream {
    fn version(&self) -> u64 {
        self.erased + self.changes.len() as u64
    }
}

pub struct World {
    pub client: Client,
    pub now: Instant,
    pub wall: SystemTime,
    pub cloud: Cloud,
    pub streams: BTreeMap<String, Stream>,
    pub events: Vec<Event>,
    pub responses: BTreeMap<RequestId, Response<Bytes>>,
    /// Appends that are held back while this is set.
    pub hold_appends: bool,
    pub held: Vec<Append>,
    /// The same append is answered as the first one was.
    pub appended: Vec<(AppendId, Appended)>,
    pub tokens: u32,
    pub refuse_tokens: bool,
    /// All outputs as they print.
    pub printed: String,
    /// The most changes that came in one append.
    pub largest_append: usize,
}

pub fn config() -> Config {
    let base = BASE.parse().unwrap();
    Config::new(&base, "https://client.example/events".parse().unwrap()).unwrap()
}

impl World {
    pub fn new() -> Self {
        Self::with(config(), BTreeMap::new(), 1)
    }

    pub fn with(config: Config, streams: BTreeMap<String, Stream>, run: u8) -> Self {
        let mut world = Self::idle(config, streams, run);
        world.run();
        world
    }

    fn idle(config: Config, streams: BTreeMap<String, Stream>, run: u8) -> Self {
        #[expect(clippy::disallowed_methods, reason = "virtual time begins somewhere")]
        let now = Instant::now();
        let client = Client::new(
            config,
            "link/1",
            [run; 32],
            [run ^ 0x80; 32],
            Arc::new(Turned),
            now,
        );
        Self {
            client,
            now,
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800),
            cloud: Cloud::default(),
            streams,
            events: Vec::new(),
            responses: BTreeMap::new(),
            hold_appends: false,
            held: Vec::new(),
            appended: Vec::new(),
            tokens: 0,
            refuse_tokens: false,
            printed: String::new(),
            largest_append: 0,
        }
    }

    /// The same cloud and journal, another process.
    pub fn restart(self) -> Self {
        let run = 7;
        let mut next = Self::idle(self.client.config().clone(), self.streams, run);
        next.cloud = self.cloud;
        next.wall = self.wall;
        next.run();
        next
    }

    pub fn append(&mut self, append: &Append) -> Appended {
        if let Some((_, answer)) = self.appended.iter().find(|(id, _)| *id == append.id) {
            return answer.clone();
        }
        let answer = self.append_new(append);
        self.appended.push((append.id, answer.clone()));
        answer
    }

    fn append_new(&mut self, append: &Append) -> Appended {
        let part = &append.streams[0];
        let stream = self.streams.entry(part.stream.clone()).or_default();
        self.largest_append = self.largest_append.max(part.changes.len());
        if stream.version() != part.expected_version {
            return Appended::Conflict {
                stream: part.stream.clone(),
            };
        }
        stream.changes.extend(part.changes.iter().cloned());
        stream.due = part.due;
        Appended::Done {
            versions: vec![stream.version()],
        }
    }

    pub fn loaded(&self, stream: &str) -> Loaded {
        let Some(kept) = self.streams.get(stream) else {
            return Loaded::default();
        };
        let from = kept
            .snapshot
            .as_ref()
            .map_or(0, |snapshot| snapshot.version as usize);
        Loaded::new(
            kept.version(),
            kept.snapshot.clone(),
            kept.changes[from..].to_vec(),
        )
    }

    /// Takes the first append that was held back, and from now on all others.
    pub fn release_appends(&mut self) {
        self.hold_appends = false;
        let append = self.held.remove(0);
        let appended = self.append(&append);
        self.client.handle_appended(append.id, &appended, self.now);
        self.run();
    }

    /// Does all that the client asks for until it asks for nothing more.
    pub fn run(&mut self) {
        while let Some(output) = self.client.poll_output() {
            self.printed += &format!("{output:?}\n");
            match output {
                Output::Send { exchange, request } => {
                    if let Some(response) = self.cloud.answer(&request) {
                        self.client.handle_response(exchange, &response, self.now);
                    }
                }
                Output::NeedToken { .. } if self.refuse_tokens => {
                    self.client.handle_token_failed(self.now);
                }
                Output::NeedToken { .. } => {
                    self.tokens += 1;
                    let token = AccessToken::try_from(format!("token-{}", self.tokens)).unwrap();
                    self.client.handle_token(token, None, self.now);
                }
                Output::Respond { request, response } => {
                    assert!(response.body().is_empty());
                    assert!(
                        self.responses.insert(request, response).is_none(),
                        "answered twice"
                    );
                }
                Output::Load { stream } => {
                    let loaded = self.loaded(&stream);
                    self.client.handle_loaded(&stream, &loaded, self.now);
                }
                Output::Append(append) if self.hold_appends => self.held.push(append),
                Output::Append(append) => {
                    let appended = self.append(&append);
                    self.client.handle_appended(append.id, &appended, self.now);
                }
                Output::SaveSnapshot { stream, snapshot } => {
                    self.streams.entry(stream).or_default().snapshot = Some(snapshot);
                }
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    /// Lets time pass, deadline by deadline.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(deadline) = self
            .client
            .next_deadline()
            .filter(|deadline| *deadline <= end)
        {
            self.wall += deadline - self.now;
            self.now = deadline;
            self.client.handle_timeout(self.now);
            self.run();
        }
        self.wall += end - self.now;
        self.now = end;
    }

    /// Sends a notification of the subscription at `index`, with the next number; returns the status.
    pub fn notify(&mut self, index: usize, event_type: &str, body: Option<&str>) -> Option<u16> {
        let request = self.signed(index, event_type, body);
        self.cloud.subscriptions[index].sequence += 1;
        self.deliver(&request)
    }

    /// Sends the initial notifications of the subscription at `index`, of these types.
    pub fn begin(&mut self, index: usize, event_types: &[&str]) {
        for event_type in event_types {
            assert_eq!(self.notify(index, event_type, Some("[]")), Some(200));
        }
    }

    pub fn signed(&self, index: usize, event_type: &str, body: Option<&str>) -> Request<Bytes> {
        let kept = &self.cloud.subscriptions[index];
        let mut headers = NotificationHeaders::new(
            EventType::from(event_type),
            kept.id,
            kept.sequence,
            UnixSeconds::from(self.wall),
        );
        headers.correlation_id = Some(kept.correlation.parse().unwrap());
        let content = body
            .map(|body| Content::new(ContentFormat::Json, Bytes::copy_from_slice(body.as_bytes())));
        let url = "https://client.example/events".parse().unwrap();
        let key = SigningKey::new(&kept.secret);
        notify::Request::new(headers, content)
            .try_into_http_request(&url, &key)
            .unwrap()
    }

    pub fn deliver(&mut self, request: &Request<Bytes>) -> Option<u16> {
        let id = self.client.handle_request(request, self.wall, self.now);
        self.run();
        self.responses
            .get(&id)
            .map(|response| response.status().as_u16())
    }
}
