//! Targets of `uci-client`.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::HeaderValue;
use uci_client::{
    Appended, Client, Config, Event, ExchangeId, Loaded, Opened, Output, SealError, Sealer,
    Snapshot, Target,
};
use uci_model::api::{BatchFormat, retrieve_devices};
use uci_model::event::{NotificationHeaders, SignedMessage, SigningKey};
use uci_model::{EventTypes, Limits, SubscriptionLevel, Value};

use crate::text::Parts;

mod machine;

pub use self::machine::machine;

/// The subscription that [`notification`] is told of.
const SUBSCRIPTION: &str = "11111111-2222-4333-8444-555555555555";

/// Seals nothing: the targets are about peers, not about secrets.
struct Open;

impl Sealer for Open {
    fn seal(&self, _: &str, _: &str, _: [u8; 32], secret: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok(secret.to_vec())
    }

    fn open(&self, _: &str, _: &str, sealed: &[u8]) -> Result<Opened, SealError> {
        Ok(Opened::new(sealed.to_vec()))
    }
}

/// A client whose journal always agrees and that always gets a token.
struct Peer {
    machine: Client,
    /// What the journal has.
    loaded: Loaded,
    /// The last snapshot; there is one after every append.
    written: Option<Snapshot>,
    now: Instant,
    sent: Vec<(ExchangeId, http::Request<Bytes>)>,
    responses: usize,
    replies: usize,
}

impl Peer {
    fn new(loaded: Loaded, seed: u8) -> Self {
        let base = "https://cloud.example/api/v1".parse().expect("a URI");
        let events_url = "https://client.example/events"
            .to_owned()
            .try_into()
            .expect("a URL");
        let mut config = Config::new(&base, events_url).expect("a configuration");
        config.snapshot_every = 1;
        let now = Instant::now();
        let machine = Client::new(config, "client", [seed; 32], [8; 32], Arc::new(Open), now);
        let mut peer = Self {
            machine,
            loaded,
            written: None,
            now,
            sent: Vec::new(),
            responses: 0,
            replies: 0,
        };
        peer.run();
        peer
    }

    /// Does everything that the machine wants done, but keeps what it sends.
    fn run(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send { exchange, request } => self.sent.push((exchange, request)),
                Output::NeedToken { .. } => {
                    let token = "a-token".to_owned().try_into().expect("a token");
                    self.machine.handle_token(token, None, self.now);
                }
                Output::Respond { .. } => self.responses += 1,
                Output::Load { stream } => {
                    self.machine.handle_loaded(&stream, &self.loaded, self.now)
                }
                Output::Append(append) => {
                    let part = &append.streams[0];
                    let version = part.expected_version + part.changes.len() as u64;
                    self.loaded.version = version;
                    self.loaded.changes.extend(part.changes.iter().cloned());
                    let versions = vec![version];
                    self.machine
                        .handle_appended(append.id, &Appended::Done { versions }, self.now);
                }
                Output::Event(Event::Answered { .. }) => self.replies += 1,
                Output::SaveSnapshot { snapshot, .. } => self.written = Some(snapshot),
                Output::Event(_) => {}
            }
        }
    }
}

/// A notification, as a first line, headers and a body, under a signature that holds: whatever it says, it gets one answer.
pub fn notification(bytes: &[u8]) {
    let Some(parts) = Parts::read(bytes) else {
        return;
    };
    let Some(mut request) = parts.request() else {
        return;
    };
    let mut peer = Peer::new(Loaded::default(), 7);
    let types = EventTypes::all(SubscriptionLevel::Devices);
    peer.machine
        .subscribe(Target::Devices, &types, peer.now)
        .expect("a subscription");
    peer.run();
    let at = peer
        .sent
        .iter()
        .position(|(_, sent)| sent.method() == http::Method::POST);
    let (exchange, subscribe) = peer.sent.swap_remove(at.expect("a subscribe request"));
    let body: serde_json::Value = serde_json::from_slice(subscribe.body()).expect("JSON");
    let secret = body["signingSecret"].as_str().expect("a secret").to_owned();
    let subscribed = http::Response::builder()
        .status(201)
        .header("content-type", "application/json")
        .body(format!(r#"{{"subscriptionId":"{SUBSCRIPTION}"}}"#).into())
        .expect("a response");
    peer.machine
        .handle_response(exchange, &subscribed, peer.now);
    peer.run();

    let part = |name| parts.header(name).unwrap_or_default().as_bytes();
    let signature = SigningKey::new(&secret.try_into().expect("a secret")).sign(&SignedMessage {
        content_type: part("content-type"),
        event_type: part(NotificationHeaders::EVENT_TYPE),
        subscription_id: part(NotificationHeaders::SUBSCRIPTION_ID),
        sequence_number: part(NotificationHeaders::SEQUENCE_NUMBER),
        event_timestamp: part(NotificationHeaders::EVENT_TIMESTAMP),
        body: &parts.body,
    });
    let signature = HeaderValue::from_str(&signature.to_string()).expect("digits");
    request
        .headers_mut()
        .insert(NotificationHeaders::EVENT_SIGNATURE, signature);
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    peer.machine.handle_request(&request, wall, peer.now);
    peer.run();
    assert_eq!(peer.responses, 1, "a request has one answer");
}

/// The answer of a device-side cloud to a call, as a status, headers and a body: the call ends once, or is asked again.
pub fn response(bytes: &[u8]) {
    let Some(response) = Parts::read(bytes).and_then(|parts| parts.response()) else {
        return;
    };
    let mut peer = Peer::new(Loaded::default(), 7);
    peer.sent.clear();
    peer.machine
        .call(retrieve_devices::Request::new(BatchFormat::All), peer.now)
        .expect("a call");
    peer.run();
    // A 401 makes the client fetch a new token and ask once more.
    for _ in 0..2 {
        for (exchange, _) in std::mem::take(&mut peer.sent) {
            peer.machine.handle_response(exchange, &response, peer.now);
        }
        peer.run();
    }
    assert_eq!(peer.replies, 1, "a call has one end");
}

/// A stored change, and a stored snapshot: what is read is written as what reads the same.
pub fn stored(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    written_as_read(Loaded::new(1, None, vec![bytes.clone()]));
    let version = Value::from_cbor(&bytes, &Limits::default()).ok();
    let version = version.and_then(|ledger| ledger.get("version")?.as_integer()?.as_u64());
    let version = version
        .filter(|version| *version < u64::MAX / 2)
        .unwrap_or(1);
    for format in [0, 1] {
        let snapshot = Some(Snapshot::new(version, format, bytes.clone()));
        written_as_read(Loaded::new(version, snapshot, Vec::new()));
    }
}

/// What is read, and what follows from it, is the same by a snapshot of it and by its changes.
fn written_as_read(loaded: Loaded) {
    let types = EventTypes::all(SubscriptionLevel::Devices);
    let subscribe = |peer: &mut Peer| peer.machine.subscribe(Target::Devices, &types, peer.now);
    let mut first = Peer::new(loaded, 7);
    if subscribe(&mut first).is_err() {
        // It could not be read.
        return;
    }
    first.run();
    let snapshot = first.written.expect("a snapshot at every append");
    let restored = Loaded::new(snapshot.version, Some(snapshot), Vec::new());
    let mut restored = Peer::new(restored, 9);
    let mut replayed = Peer::new(first.loaded, 9);
    let standings = |peer: &Peer| format!("{:?}", peer.machine.subscriptions().collect::<Vec<_>>());
    assert_eq!(standings(&restored), standings(&replayed));
    for peer in [&mut restored, &mut replayed] {
        subscribe(peer).expect("it was read");
        peer.run();
    }
    assert_eq!(
        restored.written, replayed.written,
        "one ledger, written twice"
    );
}
