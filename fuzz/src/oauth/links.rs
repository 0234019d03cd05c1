//! The client role: what authorization servers answer it, and what it keeps.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use account_linking::client::{
    ClientAuthentication, Cloud, CloudId, Config, Event, ExchangeId, Failure, Identity, Links,
    OpenedSecret, OperationId, Output, SealError, Sealer, Start,
};
use account_linking::{AccessToken, Appended, ClientSecret, Loaded, SecretBytes, Snapshot, UserId};
use bytes::Bytes;
use http::{Request, Response};

use crate::text::Parts;

const REDIRECT: &str = "https://client.example/callback";
/// The claims are `{"iss":"https://cloud.example","sub":"u-1"}`.
const TOKENS: &str = r#"{"access_token":"e30.eyJpc3MiOiJodHRwczovL2Nsb3VkLmV4YW1wbGUiLCJzdWIiOiJ1LTEifQ.c2ln",
    "token_type":"Bearer","expires_in":3600,"refresh_token":"r"}"#;
/// Longer than anything takes that a command waits for.
const LONG: Duration = Duration::from_secs(70);

/// Seals nothing: the targets are about peers, not about secrets.
struct Open;

impl Sealer for Open {
    fn seal(&self, _: &str, _: &str, _: [u8; 32], secret: &[u8]) -> Result<Vec<u8>, SealError> {
        Ok(secret.to_vec())
    }

    fn open(&self, _: &str, _: &str, sealed: &[u8]) -> Result<OpenedSecret, SealError> {
        Ok(OpenedSecret::new(sealed.to_vec()))
    }
}

/// A client role with one user, whose store always agrees.
struct Peer {
    machine: Links,
    now: Instant,
    /// What the store has.
    kept: BTreeMap<String, Loaded>,
    /// What the store has of whichever remote user is claimed.
    claim: Loaded,
    /// The last snapshots.
    written: BTreeMap<String, Snapshot>,
    sent: VecDeque<(ExchangeId, Request<Bytes>)>,
    events: Vec<Event>,
}

fn user() -> UserId {
    "ann".parse().expect("an id")
}

fn cloud() -> CloudId {
    "lamps".parse().expect("an id")
}

fn browser() -> SecretBytes {
    SecretBytes::new([3; 32])
}

fn good() -> Response<Bytes> {
    Response::new(Bytes::from_static(TOKENS.as_bytes()))
}

impl Peer {
    fn new(identity: Identity, kept: BTreeMap<String, Loaded>, claim: Loaded) -> Self {
        let secret = ClientSecret::new("a-secret").expect("a secret");
        let mut lamps = Cloud::new(
            cloud(),
            "https://cloud.example",
            "https://cloud.example/authorize",
            "https://cloud.example/token",
            "our-id",
            ClientAuthentication::Basic(secret),
            REDIRECT.parse().expect("a redirect URI"),
        )
        .expect("a cloud");
        let endpoint = |path: &str| Some(format!("https://cloud.example{path}").parse());
        lamps.introspection_endpoint = endpoint("/introspect").transpose().expect("a URL");
        lamps.revocation_endpoint = endpoint("/revoke").transpose().expect("a URL");
        lamps.identity = identity;
        let mut config = Config::new("home");
        config.snapshot_every = 1;
        let (now, wall) = (
            Instant::now(),
            UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        );
        let seed = SecretBytes::new([1; 32]);
        Self {
            machine: Links::new(config, [lamps], Arc::new(Open), seed, wall, now)
                .expect("a machine"),
            now,
            kept,
            claim,
            written: BTreeMap::new(),
            sent: VecDeque::new(),
            events: Vec::new(),
        }
    }

    /// Does everything that the machine wants done, at this time, but keeps what it sends.
    fn run(&mut self) {
        self.drain();
        while self
            .machine
            .next_deadline()
            .is_some_and(|at| at <= self.now)
        {
            self.machine.handle_timeout(self.now);
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send { exchange, request } => self.sent.push_back((exchange, request)),
                Output::Append(append) => {
                    let mut versions = Vec::new();
                    for part in append.streams {
                        let kept = self.kept.entry(part.stream).or_default();
                        kept.version = part.expected_version + part.changes.len() as u64;
                        kept.changes.extend(part.changes);
                        versions.push(kept.version);
                    }
                    let done = Appended::Done { versions };
                    self.machine.handle_appended(append.id, &done, self.now);
                }
                Output::Load { stream } => {
                    let is_claim = stream.starts_with("claim/");
                    let first = if is_claim {
                        self.claim.clone()
                    } else {
                        Loaded::default()
                    };
                    let kept = self.kept.entry(stream.clone()).or_insert(first);
                    self.machine.handle_loaded(&stream, kept, self.now);
                }
                Output::Snapshot { stream, snapshot } => {
                    self.written.insert(stream, snapshot);
                }
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    /// Sends the user away.
    fn start(&mut self, state: u8) -> OperationId {
        let start = Start::new(user(), cloud(), browser(), "home");
        let started = self.machine.start(start, [state; 32], [2; 32], self.now);
        let operation = started.expect("a command");
        self.run();
        operation
    }

    /// Sends the user away and lets it come back with a code; the command that waits for the end.
    fn come_back(&mut self) -> OperationId {
        self.start(4);
        let Some(Event::Redirect { location, .. }) = self.events.pop() else {
            panic!("the user is not sent away");
        };
        let query = location.url().query_pairs();
        let state = query.into_iter().find(|(name, _)| name == "state");
        let (_, state) = state.expect("a state");
        let query = format!("code=a-code&state={state}&iss=https://cloud.example");
        let back = self
            .machine
            .callback(&user(), &browser(), REDIRECT, &query, self.now);
        let operation = back.expect("a command");
        self.run();
        operation
    }

    /// Asks for a token, another one in place of `refused`.
    fn token(&mut self, refused: Option<AccessToken>) -> OperationId {
        let asked = self.machine.token(&user(), &cloud(), refused, self.now);
        let asked = asked.expect("a command");
        self.run();
        asked
    }

    /// Answers the oldest request, if there is one, which must go to this endpoint.
    fn answer(&mut self, endpoint: &str, response: &Response<Bytes>) -> bool {
        let Some((exchange, request)) = self.sent.pop_front() else {
            return false;
        };
        assert_eq!(request.uri().path(), endpoint);
        self.machine.handle_response(exchange, response, self.now);
        self.run();
        true
    }

    /// Lets time pass, in which nobody answers.
    fn pass(&mut self) {
        let end = self.now + LONG;
        while let Some(deadline) = self.machine.next_deadline().filter(|at| *at <= end) {
            self.now = deadline;
            self.run();
        }
    }

    /// The one end of a command.
    fn end_of(&self, operation: OperationId) -> &Event {
        let ends = |event: &&Event| event.operation() == Some(operation);
        let ends: Vec<&Event> = self.events.iter().filter(ends).collect();
        assert_eq!(ends.len(), 1, "a command has one end: {ends:?}");
        ends[0]
    }

    /// The links of the user, or that they cannot be read.
    fn links(&mut self) -> Event {
        let listed = self.machine.list(&user(), self.now).expect("a command");
        self.run();
        self.end_of(listed).clone()
    }
}

fn new_peer(identity: Identity) -> Peer {
    Peer::new(identity, BTreeMap::new(), Loaded::default())
}

/// A user whose account is linked.
fn linked() -> Peer {
    let mut peer = new_peer(Identity::TokenSubject);
    let operation = peer.come_back();
    assert!(peer.answer("/token", &good()));
    assert!(matches!(peer.end_of(operation), Event::Linked { .. }));
    peer
}

/// What authorization servers answer, as a status, headers and a body: every command has one end whatever it is.
pub fn token_response(bytes: &[u8]) {
    let Some(response) = Parts::read(bytes).and_then(|parts| parts.response()) else {
        return;
    };
    code(&response);
    refresh(&response);
    introspection(&response);
    revocation(&response);
}

/// The answer to a code (RFC 6749, 4.1.4): only one with status 200 links.
fn code(response: &Response<Bytes>) {
    let mut peer = new_peer(Identity::TokenSubject);
    let operation = peer.come_back();
    assert!(peer.answer("/token", response));
    match peer.end_of(operation) {
        Event::Linked { .. } => assert_eq!(response.status(), 200),
        Event::NotLinked { .. } => {}
        other => panic!("{other:?}"),
    }
}

/// The answer to a refresh (RFC 6749, 6): a token that is given in place of the refused one is that of the answer.
fn refresh(response: &Response<Bytes>) {
    let mut peer = linked();
    let asked = peer.token(None);
    let Event::Token { token, .. } = peer.end_of(asked).clone() else {
        panic!("no token");
    };
    let asked = peer.token(Some(token));
    assert!(peer.answer("/token", response));
    peer.pass();
    match peer.end_of(asked) {
        Event::Token { token, .. } => {
            assert_eq!(response.status(), 200);
            let says: serde_json::Value = serde_json::from_slice(response.body()).expect("JSON");
            assert_eq!(says["access_token"], token.expose());
        }
        Event::Failed { .. } => {}
        other => panic!("{other:?}"),
    }
}

/// The answer to an introspection (RFC 7662, 2.2), by which the remote user is learned.
fn introspection(response: &Response<Bytes>) {
    let mut peer = new_peer(Identity::Introspection);
    let operation = peer.come_back();
    assert!(peer.answer("/token", &good()));
    assert!(peer.answer("/introspect", response));
    peer.pass();
    match peer.end_of(operation) {
        Event::Linked { link, .. } => {
            assert_eq!(response.status(), 200);
            assert!(!link.remote_user.is_empty());
        }
        Event::NotLinked { .. } | Event::Failed { .. } => {}
        other => panic!("{other:?}"),
    }
}

/// The answers to revocations (RFC 7009, 2.2): the link is gone whatever they are.
fn revocation(response: &Response<Bytes>) {
    let mut peer = linked();
    let ended = peer.machine.unlink(&user(), &cloud(), peer.now);
    let ended = ended.expect("a command");
    peer.run();
    assert!(matches!(peer.end_of(ended), Event::Unlinked { .. }));
    // A refresh token and an access token, and no more than that, however they are answered.
    let mut answers = 0;
    while peer.answer("/revoke", response) {
        answers += 1;
    }
    assert!((1..=2).contains(&answers), "{answers} requests");
    assert!(matches!(peer.links(), Event::Links { links, .. } if links.is_empty()));
}

/// What the store has of a user and of a claim, as a change or as a snapshot.
pub(super) fn stored(bytes: &Bytes) {
    for loaded in [
        Loaded::new(1, None, vec![bytes.clone()]),
        Loaded::new(1, Some(Snapshot::new(1, 1, bytes.clone())), Vec::new()),
    ] {
        stored_user(loaded.clone());
        stored_claim(loaded);
    }
}

/// What is read of a user is written as what reads the same, and so is what follows from it.
fn stored_user(loaded: Loaded) {
    const STREAM: &str = "links/ann";
    let with = |loaded| {
        let kept = BTreeMap::from([(STREAM.to_owned(), loaded)]);
        Peer::new(Identity::TokenSubject, kept, Loaded::default())
    };
    let mut first = with(loaded);
    let operation = first.start(5);
    match first.end_of(operation) {
        Event::Redirect { .. } => {}
        // It could not be read.
        Event::Failed {
            failure: Failure::Unavailable,
            ..
        } => return,
        other => panic!("{other:?}"),
    }
    let snapshot = first.written[STREAM].clone();
    let mut restored = with(Loaded::new(snapshot.version, Some(snapshot), Vec::new()));
    let mut replayed = with(first.kept[STREAM].clone());
    assert_eq!(restored.links(), replayed.links());
    restored.start(6);
    replayed.start(6);
    let (restored, replayed) = (&restored.written[STREAM], &replayed.written[STREAM]);
    assert_eq!(restored, replayed, "one ledger, written twice");
}

/// Whoever has claimed a remote user, or whatever cannot be read: linking it has one end.
fn stored_claim(claim: Loaded) {
    let mut peer = Peer::new(Identity::TokenSubject, BTreeMap::new(), claim);
    let operation = peer.come_back();
    assert!(peer.answer("/token", &good()));
    peer.pass();
    match peer.end_of(operation) {
        Event::Linked { .. } | Event::NotLinked { .. } | Event::Failed { .. } => {}
        other => panic!("{other:?}"),
    }
}
