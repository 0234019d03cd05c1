//! The rules of machines, C2 to C10, over arbitrary steps.

use std::time::Duration;

use account_linking::server::{AuthorizationServer, DeviceFlow, Output, PlainPages, RequestId};
use account_linking::{AppendId, Appended, Loaded, UserId};
use bytes::Bytes;
use http::Request;
use proptest::prelude::*;

use crate::harness::*;
use crate::proofs::{Holder, settings};

/// One input of any kind, well-timed or not.
#[derive(Clone, Debug)]
enum Step {
    Request(u8),
    Check,
    Command(u8),
    Answer(usize, u8),
    Pass(u16),
    GoBack(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<u8>().prop_map(Step::Request),
        Just(Step::Check),
        any::<u8>().prop_map(Step::Command),
        (0..8_usize, any::<u8>()).prop_map(|(which, how)| Step::Answer(which, how)),
        (0..20_000_u16).prop_map(Step::Pass),
        (0..20_000_u16).prop_map(Step::GoBack),
    ]
}

/// A question the machine asked and nobody has answered yet.
#[derive(Clone, Debug)]
enum Question {
    Password(RequestId),
    Sign(RequestId),
    Verify(RequestId),
    Load(String),
    Append(AppendId, Vec<u64>),
}

struct Bench {
    server: AuthorizationServer,
    start: std::time::Instant,
    offset: u64,
    latest: u64,
    count: u64,
    asked: Vec<RequestId>,
    transcript: Vec<String>,
    questions: Vec<Question>,
}

fn request(kind: u8) -> Request<Bytes> {
    let post = |path: &str, body: &str| {
        Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", "__Host-session=x")
            .body(Bytes::copy_from_slice(body.as_bytes()))
            .unwrap()
    };
    let get = |path: &str| Request::get(path).body(Bytes::new()).unwrap();
    let me = "client_id=client-acme&client_secret=s";
    match kind % 13 {
        0 => get(&authorize_path("client-acme", &[])),
        1 => post(
            "/oauth/token",
            &format!("{me}&grant_type=refresh_token&refresh_token=x"),
        ),
        2 => post("/oauth/revoke", &format!("{me}&token=x")),
        3 => post(
            "/oauth/introspect",
            &format!("{me}&token={}", sample_token()),
        ),
        4 => post("/oauth/login", "interaction=x&csrf=x&username=a&password=b"),
        5 => get("/oauth/consent?interaction=x"),
        6 => get("/oauth/jwks"),
        7 => {
            let path = authorize_path("client-acme", &[]);
            let query = path.split_once('?').unwrap().1;
            post("/oauth/par", &format!("{query}&client_secret=s"))
        }
        8 => {
            let mut request = post(
                "/oauth/token",
                &format!("{me}&grant_type=refresh_token&refresh_token=x"),
            );
            let proof = Holder::new(1).at(1_800_000_000, "POST", &format!("{ISSUER}/token"));
            request.headers_mut().insert("dpop", proof.parse().unwrap());
            request
        }
        9 => post(
            "/oauth/device_authorization",
            "client_id=client-acme&client_secret=s",
        ),
        10 => post(
            "/oauth/token",
            &format!("{me}&grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=x"),
        ),
        11 => get("/oauth/device?user_code=BCDF-GHJK"),
        _ => post("/oauth/token", "grant_type=%"),
    }
}

fn sample_token() -> String {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let header = base64.encode(r#"{"typ":"at+jwt","alg":"ES256","kid":"key-1"}"#);
    let claims = format!(
        r#"{{"iss":"{ISSUER}","sub":"user-1","aud":"{AUDIENCE}","client_id":"client-acme","iat":1800000000,"exp":1900000000,"jti":"1","grant_id":"AAAAAAAAAAAAAAAAAAAAAA"}}"#
    );
    format!("{header}.{}.c2ln", base64.encode(claims))
}

impl Bench {
    fn new(start: std::time::Instant) -> Self {
        let mut settings = settings();
        settings.device_flow = Some(DeviceFlow::default());
        let server =
            AuthorizationServer::new(settings, Box::new(PlainPages), [1; 32], start).unwrap();
        Self {
            server,
            start,
            offset: 0,
            latest: 0,
            count: 0,
            asked: Vec::new(),
            transcript: Vec::new(),
            questions: Vec::new(),
        }
    }

    fn feed(&mut self, step: &Step) {
        let now = self.start + Duration::from_millis(self.offset);
        let wall = std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        self.count += 1;
        let entropy = [u8::try_from(self.count % 251).unwrap(); 32];
        match step {
            Step::Request(kind) => {
                let id = self
                    .server
                    .handle_request(&request(*kind), entropy, wall, now);
                self.asked.push(id);
            }
            Step::Check => {
                let request = Request::get("/x")
                    .header("authorization", format!("Bearer {}", sample_token()))
                    .body(Bytes::new())
                    .unwrap();
                let id = self.server.authenticate(&request, wall, now);
                self.asked.push(id);
            }
            Step::Command(kind) => {
                let user: UserId = "user-1".parse().unwrap();
                let id = match kind % 2 {
                    0 => self
                        .server
                        .register_client(confidential(), entropy, wall, now)
                        .unwrap(),
                    _ => self.server.list_grants(user, wall, now).unwrap(),
                };
                self.asked.push(id);
            }
            Step::Answer(which, how) => {
                // Answered questions stay in the list: late and repeated answers happen.
                let Some(question) = self.questions.get(*which).cloned() else {
                    return;
                };
                match question {
                    Question::Password(id) => {
                        let user = (how % 2 == 0).then(|| "user-1".parse().unwrap());
                        self.server.handle_password(id, user, now);
                    }
                    Question::Sign(id) => self.server.handle_signature(id, Some(b"sig"), now),
                    Question::Verify(id) => self.server.handle_verification(id, how % 2 == 0, now),
                    Question::Load(stream) if how % 4 == 0 => {
                        self.server.handle_load_failed(&stream, now);
                    }
                    Question::Load(stream) => {
                        let changes = if how % 4 == 1 {
                            vec![Bytes::from_static(b"?")]
                        } else {
                            Vec::new()
                        };
                        let loaded = Loaded::new(changes.len() as u64, None, changes);
                        self.server.handle_loaded(&stream, &loaded, now);
                    }
                    Question::Append(id, versions) => {
                        let answer = match how % 4 {
                            0 => Appended::Unknown,
                            1 => Appended::Fenced,
                            2 => Appended::Conflict {
                                stream: "client/client-acme".to_owned(),
                            },
                            _ => Appended::Done { versions },
                        };
                        self.server.handle_appended(id, &answer, now);
                    }
                }
            }
            Step::Pass(time) => {
                self.offset = self.latest + u64::from(*time);
                self.latest = self.offset;
                let now = self.start + Duration::from_millis(self.offset);
                self.server.handle_timeout(now);
                // C5
                assert!(self.server.next_deadline().is_none_or(|next| next > now));
            }
            Step::GoBack(time) => {
                self.offset = self.latest.saturating_sub(u64::from(*time));
                self.server
                    .handle_timeout(self.start + Duration::from_millis(self.offset));
                self.offset = self.latest;
            }
        }
    }

    fn drain(&mut self) {
        loop {
            // C4: looking changes nothing.
            let next = self.server.next_deadline();
            assert_eq!(next, self.server.next_deadline());
            let Some(output) = self.server.poll_output() else {
                break;
            };
            let shown = match &output {
                Output::Respond { request, response } => {
                    format!("Respond {{ request: {request:?}, {response:?} }}")
                }
                Output::Sign { signing_input, .. }
                | Output::Verify { signing_input, .. }
                | Output::VerifyProof { signing_input, .. } => {
                    format!("{output:?} {signing_input:?}")
                }
                other => format!("{other:?}"),
            };
            self.transcript.push(shown);
            match output {
                Output::VerifyPassword { request, .. } => {
                    self.questions.push(Question::Password(request));
                }
                Output::Sign { request, .. } => self.questions.push(Question::Sign(request)),
                Output::Verify { request, .. } | Output::VerifyProof { request, .. } => {
                    self.questions.push(Question::Verify(request));
                }
                Output::Load { stream } => self.questions.push(Question::Load(stream)),
                Output::Append(append) => {
                    let versions = append
                        .streams
                        .iter()
                        .map(|part| part.expected_version + part.changes.len() as u64);
                    self.questions
                        .push(Question::Append(append.id, versions.collect()));
                }
                _ => {}
            }
        }
    }

    /// How often a request, check or command has been brought to its end.
    fn ends(&self, id: RequestId) -> usize {
        let named = [format!("request: {id:?},"), format!("command: {id:?},")];
        let is_end = |line: &&String| {
            let starts = [
                "Respond {",
                "Authenticated {",
                "Event(ClientRegistered {",
                "Event(Done {",
                "Event(Grants {",
                "Event(CommandFailed {",
            ];
            starts.iter().any(|start| line.starts_with(start))
                && named.iter().any(|name| line.contains(name.as_str()))
        };
        self.transcript.iter().filter(is_end).count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// C2: the same inputs give the same outputs.
    #[test]
    fn equal_inputs_give_equal_outputs(steps in proptest::collection::vec(step(), 1..40)) {
        let start = tokio::time::Instant::now().into_std();
        let (mut one, mut two) = (Bench::new(start), Bench::new(start));
        for step in &steps {
            for bench in [&mut one, &mut two] {
                bench.feed(step);
                bench.drain();
            }
        }
        prop_assert_eq!(one.transcript, two.transcript);
    }

    /// C3: inputs between which nothing was drained give the same outputs in the same order.
    #[test]
    fn draining_late_is_correct(steps in proptest::collection::vec(step(), 1..40)) {
        let start = tokio::time::Instant::now().into_std();
        let (mut eager, mut late) = (Bench::new(start), Bench::new(start));
        let answers = |step: &Step| matches!(step, Step::Answer(..));
        for step in &steps {
            eager.feed(step);
            eager.drain();
            if answers(step) {
                // What is answered must have been seen.
                late.drain();
            }
            late.feed(step);
        }
        late.drain();
        // Questions are numbered in the order they were drained, so answers fit both.
        prop_assert_eq!(eager.transcript, late.transcript);
    }

    /// C6, C7, C8: everything ends exactly once, whatever was or was not answered.
    #[test]
    fn everything_ends_exactly_once(steps in proptest::collection::vec(step(), 1..60)) {
        let mut bench = Bench::new(tokio::time::Instant::now().into_std());
        for step in &steps {
            bench.feed(step);
            bench.drain();
        }
        for _ in 0..8 {
            bench.feed(&Step::Pass(20_000));
            bench.drain();
        }
        for id in &bench.asked {
            prop_assert_eq!(bench.ends(*id), 1, "{}", id);
        }
    }
}

/// C9: what is over the limit is refused, and nothing else suffers.
#[test]
fn requests_over_the_limit_are_refused() {
    let mut settings = config();
    settings.max_requests = 2;
    let mut world = World::new(settings);
    world
        .store
        .faults
        .extend([Fault::SilentLoad, Fault::SilentLoad]);
    let revoke = |client: &str| {
        Request::post("/oauth/revoke")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from(form(&[("client_id", client), ("token", "x")])))
            .unwrap()
    };
    let first = world.send(&revoke("client-a"));
    let second = world.send(&revoke("client-b"));
    let third = world.request(&revoke("client-c"));
    assert_eq!(third.status(), 503);
    assert_eq!(third.headers()["retry-after"], "1");
    let page = world.get(&authorize_path("client-acme", &[]), None);
    assert_eq!(page.status(), 503);
    assert_eq!(page.headers()["retry-after"], "1");
    assert_eq!(page.headers()["x-frame-options"], "DENY");
    let full = world
        .server
        .register_client(confidential(), [1; 32], world.wall, world.now);
    assert_eq!(full.unwrap_err().kind(), account_linking::ErrorKind::Full);
    world.pass(Duration::from_secs(10));
    assert_eq!(world.responses[&first].status(), 503);
    assert_eq!(world.responses[&second].status(), 503);
    assert_eq!(error(&world.request(&revoke("client-d"))), "invalid_client");
}

/// C9: sessions and interactions are bounded, and idle streams are unloaded.
#[test]
fn memory_is_bounded() {
    let mut settings = config();
    settings.max_sessions = 3;
    settings.max_streams = 2;
    let mut world = World::new(settings);
    world.register(confidential());
    let mut open = |browser: &mut Browser| {
        world.pass(Duration::from_secs(1));
        browser.open(&mut world, &authorize_path("client-acme", &[]))
    };
    let mut browsers = [const { Browser { cookie: None } }; 4];
    let pages = browsers.each_mut().map(&mut open);
    assert!(pages.iter().all(|page| page.status() == 200));
    // Three have room: the first one had to go, and the others can still log in.
    let [first, second, third, _] = &mut browsers;
    assert_eq!(first.log_in(&mut world, &pages[0], "user-1").status(), 400);
    assert_eq!(second.log_in(&mut world, &pages[1], "user-1").status(), 200);
    assert_eq!(third.log_in(&mut world, &pages[2], "user-2").status(), 200);
    // Whoever is logged in stays, however many come.
    for _ in 0..9 {
        world.pass(Duration::from_secs(1));
        let page = Browser::default().open(&mut world, &authorize_path("client-acme", &[]));
        assert_eq!(page.status(), 200);
    }
    for browser in [second, third] {
        let page = browser.open(&mut world, &authorize_path("client-acme", &[]));
        assert!(String::from_utf8_lossy(page.body()).contains("value=\"allow\""));
    }
    let before = world.store.loads;
    for client in ["client-a", "client-b", "client-acme"] {
        let body = form(&[("client_id", client), ("token", "x")]);
        world.post("/oauth/revoke", &[], body);
    }
    assert_eq!(
        world.store.loads,
        before + 3,
        "the least recently used stream was unloaded"
    );
}
