//! Who guesses learns nothing from what the server does: for an unknown client it does what it does for a wrong secret, for
//! an unknown user what it does for a wrong password (I27). `tests/timing.rs` measures the rest.

use std::time::Duration;

use proptest::prelude::*;

use crate::harness::*;

const ENDPOINTS: [&str; 5] = [
    "token",
    "revoke",
    "introspect",
    "par",
    "device_authorization",
];

/// A guess at a client's secret.
#[derive(Clone, Debug)]
struct Guess {
    endpoint: &'static str,
    by_header: bool,
    /// Whether the request names a token that is good.
    with_token: bool,
    secret: String,
    /// Whether the server has only just started, and what its store does wrong then.
    cold: Option<Option<Fault>>,
}

#[derive(Clone, Debug)]
enum Act {
    Client(Guess),
    /// A guess at a password.
    User(String),
    Link,
    Pass(u16),
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    let fault = prop_oneof![
        3 => Just(None),
        1 => Just(Some(Fault::SilentLoad)),
        1 => Just(Some(Fault::LoadFailed)),
    ];
    let guess = (
        prop::sample::select(&ENDPOINTS[..]),
        any::<bool>(),
        any::<bool>(),
        "[a-zA-Z0-9+%:~]{1,50}",
        prop::option::of(fault),
    );
    let guess = guess.prop_map(|(endpoint, by_header, with_token, secret, cold)| Guess {
        endpoint,
        by_header,
        with_token,
        secret,
        cold,
    });
    prop_oneof![
        6 => guess.prop_map(Act::Client),
        6 => "[ -~]{0,30}".prop_map(Act::User),
        1 => Just(Act::Link),
        2 => (0..600_u16).prop_map(Act::Pass),
        1 => Just(Act::Restart),
    ]
}

/// One of two servers with the same history; what is guessed at is there at one of them, and not at the other.
struct Twin {
    world: World,
    client: &'static str,
    user: &'static str,
    token: String,
    starts: u8,
}

/// What the server was seen to do, without the names, and what it answered.
type Seen = (Vec<String>, Option<(u16, String, Vec<u8>)>);

impl Twin {
    fn new(client: &'static str, user: &'static str) -> Self {
        let mut settings = config();
        settings.device_flow = Some(account_linking::server::DeviceFlow::default());
        let (mut world, secrets) = World::with_settings(settings, &[confidential(), public()]);
        let secret = secrets[0].as_deref();
        let held = link(&mut world, secret, "client-acme", "user-2");
        Self {
            world,
            client,
            user,
            token: held.refresh.unwrap(),
            starts: 1,
        }
    }

    fn restart(&mut self) {
        self.starts = self.starts.wrapping_add(1);
        let mut settings = config();
        settings.device_flow = Some(account_linking::server::DeviceFlow::default());
        let store = core::mem::take(&mut self.world.store);
        let (now, wall) = (self.world.now, self.world.wall);
        self.world = World::with_store(settings, store, self.starts);
        (self.world.now, self.world.wall) = (now, wall);
    }

    fn ask(&mut self, request: &http::Request<bytes::Bytes>) -> Seen {
        self.world.shown.clear();
        let id = self.world.send(request);
        if !self.world.responses.contains_key(&id) {
            self.world.pass(Duration::from_secs(10));
        }
        let mut work: Vec<_> = self.world.shown.lines().map(kind_of).collect();
        work.sort();
        let answer = self.world.responses.remove(&id).map(|answer| {
            let (status, headers) = (answer.status().as_u16(), format!("{:?}", answer.headers()));
            (status, headers, answer.into_body().to_vec())
        });
        (work, answer)
    }

    fn guess(&mut self, guess: &Guess) -> Seen {
        let mut pairs = vec![("grant_type", "refresh_token"), ("scope", "r:*")];
        if guess.with_token {
            pairs.push(("refresh_token", &self.token));
            pairs.push(("token", &self.token));
        }
        let path = format!("/oauth/{}", guess.endpoint);
        let mut request =
            http::Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        if guess.by_header {
            use base64::Engine as _;
            let halves = [self.client, &guess.secret]
                .map(|half| form_urlencoded::byte_serialize(half.as_bytes()).collect::<String>());
            let text = base64::engine::general_purpose::STANDARD.encode(halves.join(":"));
            request = request.header("authorization", format!("Basic {text}"));
        } else {
            pairs.push(("client_id", self.client));
            pairs.push(("client_secret", &guess.secret));
        }
        let request = request.body(form(&pairs).into()).unwrap();
        match guess.cold {
            Some(fault) => {
                self.restart();
                self.world.store.faults.extend(fault);
            }
            // A name that was asked for lately is in memory, whether or not there is such a client.
            None => drop(self.ask(&request)),
        }
        let seen = self.ask(&request);
        self.world.store.faults.clear();
        // What the store did not answer is forgotten.
        self.world.pass(Duration::from_secs(30));
        seen
    }

    fn log_in(&mut self, password: &str) -> Seen {
        let mut browser = Browser::default();
        let page = browser.open(&mut self.world, &authorize_path("client-acme", &[]));
        let fields = [("username", self.user), ("password", password)];
        let press = browser.form(&page, "/oauth/login", &fields);
        let (mut work, answer) = self.ask(&press);
        let after = browser.open(&mut self.world, answer_path(&answer));
        work.push(String::from_utf8_lossy(after.body()).into_owned());
        (work, answer)
    }
}

fn answer_path(answer: &Option<(u16, String, Vec<u8>)>) -> &str {
    let (_, headers, _) = answer.as_ref().expect("an answer");
    let start = "\"location\": \"";
    let rest = headers.split(start).nth(1).expect("a redirect");
    rest.split('"').next().unwrap()
}

/// What an output is, and of which kind of stream: `Load { stream: "client/acme" }` is a load of a client.
fn kind_of(line: &str) -> String {
    let known = line.split('/').next().unwrap_or(line);
    let mut words = known.split(|letter: char| !letter.is_ascii_alphanumeric());
    let output = words.next().unwrap_or_default();
    match output {
        "Load" | "Event" => known
            .split(|letter: char| letter.is_ascii_digit())
            .next()
            .unwrap_or_default()
            .to_owned(),
        _ => output.to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// I27
    #[test]
    fn unknown_clients_and_users_cost_the_work_of_wrong_secrets(acts in prop::collection::vec(act(), 1..40)) {
        let mut known = Twin::new("client-acme", "user-2");
        let mut unknown = Twin::new("client-nobody", "user-9");
        for act in acts {
            match act {
                Act::Client(guess) => {
                    let (one, other) = (known.guess(&guess), unknown.guess(&guess));
                    let asked = one.0.iter().filter(|work| work.starts_with("Load")).count();
                    prop_assert_eq!(asked, usize::from(guess.cold.is_some()), "the client is read when it is not in memory");
                    prop_assert_eq!(one, other);
                }
                Act::User(password) => {
                    let (one, other) = (known.log_in(&password), unknown.log_in(&password));
                    prop_assert_eq!(one, other);
                }
                _ => for twin in [&mut known, &mut unknown] {
                    match &act {
                        Act::Link => drop(obtain_code(&mut twin.world, "client-acme", "user-1", &[])),
                        Act::Pass(seconds) => twin.world.pass(Duration::from_secs(u64::from(*seconds))),
                        _ => twin.restart(),
                    }
                },
            }
        }
    }
}
