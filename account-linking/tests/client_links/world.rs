//! A store, an authorization server and virtual time around one `Links`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use account_linking::client::{
    ClientAuthentication, Cloud, CloudId, Config, Event, ExchangeId, Links, OpenedSecret,
    OperationId, Output, SealError, Sealer, Start, TransportFailure,
};
use account_linking::{Append, AppendId, Appended, Loaded, SecretBytes, Snapshot, UserId};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

pub const ISSUER: &str = "https://as.example";
pub const REDIRECT: &str = "https://me.example/callback";

pub fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

pub fn cloud_id() -> CloudId {
    "devices".parse().unwrap()
}

pub fn browser(number: u8) -> SecretBytes {
    SecretBytes::new([number; 32])
}

pub fn cloud() -> Cloud {
    let secret = account_linking::ClientSecret::new("client-password").unwrap();
    let mut cloud = Cloud::new(
        cloud_id(),
        ISSUER,
        "https://as.example/authorize?tenant=7",
        "https://as.example/token",
        "me",
        ClientAuthentication::Basic(secret),
        REDIRECT.parse().unwrap(),
    )
    .unwrap();
    cloud.revocation_endpoint = Some("https://as.example/revoke".parse().unwrap());
    cloud.introspection_endpoint = Some("https://as.example/introspect".parse().unwrap());
    cloud.scopes = "r:* w:*".parse().unwrap();
    cloud
}

/// Not a cipher: it only makes sure that what is opened is what was sealed for the same place, and that no secret is
/// found in the store by looking for it.
pub struct TestSealer;

impl TestSealer {
    fn mask(stream: &str, field: &str) -> [u8; 32] {
        Sha256::digest(format!("{stream}|{field}")).into()
    }
}

impl Sealer for TestSealer {
    fn seal(
        &self,
        stream: &str,
        field: &str,
        _nonce: [u8; 32],
        secret: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let mask = Self::mask(stream, field);
        let masked = secret
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask ^ 0x55);
        Ok(mask.iter().copied().chain(masked).collect())
    }

    fn open(&self, stream: &str, field: &str, sealed: &[u8]) -> Result<OpenedSecret, SealError> {
        let mask = Self::mask(stream, field);
        let masked = sealed.strip_prefix(&mask).ok_or(SealError::new())?;
        let opened = masked
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask ^ 0x55);
        Ok(OpenedSecret::new(opened.collect()))
    }
}

/// How the authorization server answers.
pub type Responder = Box<dyn FnMut(&Form) -> Option<http::Response<Bytes>>>;

/// A request as the server sees it.
#[derive(Clone, Debug)]
pub struct Form {
    pub path: String,
    pub authorization: Option<String>,
    pub fields: BTreeMap<String, String>,
}

impl Form {
    fn of(request: &http::Request<Bytes>) -> Self {
        let header = request.headers().get("authorization");
        let body = std::str::from_utf8(request.body()).unwrap();
        let fields = url::Url::parse(&format!("https://x/?{body}")).unwrap();
        Self {
            path: request.uri().path().to_owned(),
            authorization: header.map(|value| value.to_str().unwrap().to_owned()),
            fields: fields
                .query_pairs()
                .map(|(k, v)| (k.into_owned(), v.into_owned()))
                .collect(),
        }
    }

    pub fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// A JWT access token of the issuer.
pub fn jwt(subject: &str, number: u32) -> String {
    let claims = format!(r#"{{"iss":"{ISSUER}","sub":"{subject}","jti":"{number}"}}"#);
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
}

pub fn json(status: u16, body: &str) -> http::Response<Bytes> {
    let response = http::Response::builder()
        .status(status)
        .header("content-type", "application/json");
    response
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .unwrap()
}

/// Tokens for `subject`: numbered, so that each set is another one.
pub fn tokens(subject: &str, number: u32) -> http::Response<Bytes> {
    let access = jwt(subject, number);
    json(
        200,
        &format!(
            r#"{{"access_token":"{access}","token_type":"bearer","expires_in":3600,"refresh_token":"refresh-{number}"}}"#
        ),
    )
}

/// An authorization server at which everything works.
pub fn friendly(subject: &'static str) -> Responder {
    let mut number = 0;
    Box::new(move |form| {
        number += 1;
        Some(match form.path.as_str() {
            "/token" => tokens(subject, number),
            "/introspect" => json(200, &format!(r#"{{"active":true,"sub":"{subject}"}}"#)),
            _ => json(200, "{}"),
        })
    })
}

#[derive(Clone, Debug, Default)]
pub struct Stream {
    pub changes: Vec<Bytes>,
    pub snapshot: Option<Snapshot>,
    pub due: Option<u64>,
}

/// The durable world: it outlives the process.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub streams: BTreeMap<String, Stream>,
    answered: BTreeMap<AppendId, Vec<u64>>,
}

impl Disk {
    pub fn append(&mut self, append: &Append) -> Appended {
        if let Some(versions) = self.answered.get(&append.id) {
            return Appended::Done {
                versions: versions.clone(),
            };
        }
        for part in &append.streams {
            let version = self
                .streams
                .get(&part.stream)
                .map_or(0, |stream| stream.changes.len());
            if version as u64 != part.expected_version {
                return Appended::Conflict {
                    stream: part.stream.clone(),
                };
            }
        }
        let mut versions = Vec::new();
        for part in &append.streams {
            let stream = self.streams.entry(part.stream.clone()).or_default();
            stream.changes.extend(part.changes.iter().cloned());
            stream.due = part.due;
            versions.push(stream.changes.len() as u64);
        }
        self.answered.insert(append.id, versions.clone());
        Appended::Done { versions }
    }

    pub fn load(&self, stream: &str) -> Loaded {
        self.streams
            .get(stream)
            .map_or_else(Loaded::default, |stream| {
                let after = stream
                    .snapshot
                    .as_ref()
                    .map_or(0, |snapshot| snapshot.version as usize);
                Loaded::new(
                    stream.changes.len() as u64,
                    stream.snapshot.clone(),
                    stream.changes[after..].to_vec(),
                )
            })
    }

    /// All that a thief of the disk would have.
    pub fn dump(&self) -> String {
        let bytes = self.streams.iter().flat_map(|(name, stream)| {
            let snapshot = stream
                .snapshot
                .iter()
                .flat_map(|snapshot| snapshot.bytes.to_vec());
            name.bytes()
                .chain(stream.changes.iter().flat_map(|change| change.to_vec()))
                .chain(snapshot)
                .collect::<Vec<_>>()
        });
        String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
    }
}

pub struct World {
    pub links: Links,
    pub config: Config,
    pub cloud: Cloud,
    pub disk: Disk,
    pub now: Instant,
    pub wall: SystemTime,
    pub server: Responder,
    pub asked: Vec<Form>,
    pub events: Vec<Event>,
    /// Every output as a driver might log it.
    pub shown: String,
    /// Requests that the server has not answered.
    pub held: Vec<ExchangeId>,
    /// Appends still to be made durable before the store stops answering.
    pub appends_left: usize,
    runs: u8,
    entropy: u8,
}

impl World {
    pub fn new(server: Responder) -> Self {
        Self::with(server, Config::new("home"), cloud())
    }

    #[allow(clippy::disallowed_methods)]
    pub fn with(server: Responder, config: Config, cloud: Cloud) -> Self {
        let (now, wall) = (
            Instant::now(),
            UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        );
        let links = machine(&config, &cloud, 0, wall, now);
        let (disk, asked, events, held) = (Disk::default(), Vec::new(), Vec::new(), Vec::new());
        Self {
            links,
            config,
            cloud,
            disk,
            now,
            wall,
            server,
            asked,
            events,
            shown: String::new(),
            held,
            appends_left: usize::MAX,
            runs: 0,
            entropy: 0,
        }
    }

    /// The process dies and another one begins with what is on the disk.
    pub fn restart(&mut self) {
        self.runs += 1;
        self.held.clear();
        self.appends_left = usize::MAX;
        self.links = machine(&self.config, &self.cloud, self.runs, self.wall, self.now);
        self.wake();
    }

    /// What a composition does from time to time: it loads what is due.
    pub fn wake(&mut self) {
        let due: Vec<_> = self
            .disk
            .streams
            .iter()
            .filter(|(_, stream)| stream.due.is_some())
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            self.links.wake(&name, self.now).unwrap();
        }
        self.run();
    }

    pub fn run(&mut self) {
        while let Some(output) = self.links.poll_output() {
            self.shown.push_str(&format!("{output:?}"));
            match output {
                Output::Send { exchange, request } => {
                    assert_eq!(request.uri().scheme_str(), Some("https"));
                    assert_eq!(request.method(), http::Method::POST);
                    let form = Form::of(&request);
                    self.asked.push(form.clone());
                    match (self.server)(&form) {
                        Some(response) => self.links.handle_response(exchange, &response, self.now),
                        None => self.held.push(exchange),
                    }
                }
                Output::Append(append) => {
                    if self.appends_left > 0 {
                        self.appends_left -= 1;
                        let appended = self.disk.append(&append);
                        self.links.handle_appended(append.id, &appended, self.now);
                    }
                }
                Output::Load { stream } => {
                    let loaded = self.disk.load(&stream);
                    self.links.handle_loaded(&stream, &loaded, self.now);
                }
                Output::Snapshot { stream, snapshot } => {
                    self.disk.streams.get_mut(&stream).unwrap().snapshot = Some(snapshot);
                }
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    /// Lets time pass, and the machine act in it.
    pub fn pass(&mut self, time: Duration) {
        let (end, mut turns) = (self.now + time, 0);
        while let Some(at) = self.links.next_deadline().filter(|at| *at <= end) {
            self.go_to(at.max(self.now));
            self.links.handle_timeout(self.now);
            assert!(
                self.links
                    .next_deadline()
                    .is_none_or(|next| next > self.now),
                "no progress"
            );
            self.run();
            turns += 1;
            assert!(turns < 10_000, "the machine does not come to rest");
        }
        self.go_to(end);
    }

    fn go_to(&mut self, at: Instant) {
        self.wall += at - self.now;
        self.now = at;
    }

    pub fn lose(&mut self) {
        for exchange in std::mem::take(&mut self.held) {
            self.links
                .handle_failure(exchange, TransportFailure::Unknown, self.now);
        }
        self.run();
    }

    /// Begins an attempt and gives back the `state` in the redirect, with the whole address.
    pub fn start(&mut self, start: Start) -> (String, url::Url) {
        self.entropy += 1;
        let operation = self
            .links
            .start(
                start,
                [self.entropy; 32],
                [self.entropy | 0x80; 32],
                self.now,
            )
            .unwrap();
        self.run();
        match self.last() {
            Event::Redirect {
                operation: of,
                location,
            } if of == operation => {
                let location = location.url().clone();
                let state = location
                    .query_pairs()
                    .find(|(name, _)| name == "state")
                    .unwrap()
                    .1
                    .into_owned();
                (state, location)
            }
            other => panic!("not redirected: {other:?}"),
        }
    }

    pub fn begin(&mut self, name: &str) -> String {
        self.start(Start::new(user(name), cloud_id(), browser(1), "home"))
            .0
    }

    pub fn callback(&mut self, name: &str, query: &str) -> OperationId {
        let operation = self
            .links
            .callback(&user(name), &browser(1), REDIRECT, query, self.now)
            .unwrap();
        self.run();
        operation
    }

    /// The callback of a browser whose user agreed.
    pub fn agree(&mut self, name: &str, state: &str) -> OperationId {
        self.callback(
            name,
            &format!("code=code-{state}&state={state}&iss={ISSUER}"),
        )
    }

    pub fn link(&mut self, name: &str) {
        let state = self.begin(name);
        self.agree(name, &state);
        assert!(
            matches!(self.last(), Event::Linked { .. }),
            "not linked: {:?}",
            self.events
        );
    }

    pub fn token(&mut self, name: &str) -> Event {
        let operation = self
            .links
            .token(&user(name), &cloud_id(), None, self.now)
            .unwrap();
        self.run();
        self.end_of(operation)
    }

    pub fn last(&self) -> Event {
        self.events.last().expect("no event").clone()
    }

    pub fn end_of(&self, operation: OperationId) -> Event {
        let ends: Vec<_> = self
            .events
            .iter()
            .filter(|event| event.operation() == Some(operation))
            .collect();
        assert_eq!(ends.len(), 1, "one final event: {:?}", self.events);
        ends[0].clone()
    }

    pub fn count(&self, path: &str, field: &str, value: &str) -> usize {
        self.asked
            .iter()
            .filter(|form| form.path == path && form.get(field) == value)
            .count()
    }
}

fn machine(config: &Config, cloud: &Cloud, run: u8, wall: SystemTime, now: Instant) -> Links {
    let seed = SecretBytes::new([run; 32]);
    Links::new(
        config.clone(),
        [cloud.clone()],
        Arc::new(TestSealer),
        seed,
        wall,
        now,
    )
    .unwrap()
}
