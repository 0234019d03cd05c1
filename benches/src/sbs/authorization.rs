//! An authorization server with one client that users have linked, its streams in memory or in a journal.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use account_linking::server::driver::Outside;
use account_linking::server::{
    Algorithm, AuthorizationServer, Config, Event, Issuer, Output, PlainPages, RefreshKey,
    Registration, SigningKey,
};
use account_linking::{
    Append, Appended, Loaded, Password, PkceVerifier, SecretBytes, Snapshot, UserId,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use http::{Request, Response};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};

use crate::sbs::durable_streams::Durable;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const REDIRECT: &str = "https://client.example/callback";

/// What is kept: streams of changes.
pub(super) type Kept = BTreeMap<String, Vec<Bytes>>;

/// A key of ES256.
pub(super) struct Keys {
    pair: EcdsaKeyPair,
    random: SystemRandom,
}

impl Keys {
    pub(super) fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("entropy");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random).expect("a key");
        Self { pair, random }
    }

    fn sign(&self, input: &[u8]) -> Vec<u8> {
        let signature = self.pair.sign(&self.random, input).expect("entropy");
        signature.as_ref().to_vec()
    }

    /// A whole JWT of these first parts.
    pub(super) fn jwt(&self, input: &[u8]) -> String {
        let input = std::str::from_utf8(input).expect("text");
        format!("{input}.{}", BASE64.encode(self.sign(input.as_bytes())))
    }

    pub(super) fn verify(&self, input: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key())
            .verify(input, signature)
            .is_ok()
    }

    /// What is signed of a JWT, and its signature.
    pub(super) fn signed(token: &str) -> (Vec<u8>, Vec<u8>) {
        let (input, signature) = token.rsplit_once('.').expect("a JWT");
        let signature = BASE64.decode(signature).expect("base64");
        (input.as_bytes().to_vec(), signature)
    }
}

/// What a client has of its link.
pub(super) struct Linked {
    pub(super) access: String,
    pub(super) refresh: String,
}

/// The server, and what a driver does for it, at once.
pub(super) struct Rig {
    server: AuthorizationServer,
    keys: Arc<Keys>,
    kept: Kept,
    pub(super) secret: String,
    entropy: u64,
    now: Instant,
    wall: SystemTime,
}

impl Rig {
    /// One that remembers so many tokens whose signature is good.
    pub(super) fn new(keys: Arc<Keys>, max_verified_tokens: usize) -> Self {
        let jwk = r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#;
        let config = Config::new(
            Issuer::new("https://cloud.example").expect("an issuer"),
            "https://cloud.example/api/v1",
            SigningKey::new("key-1", Algorithm::Es256, jwk).expect("a key"),
            RefreshKey::new(1, SecretBytes::new([9; 32])),
        );
        let mut config = config.expect("a configuration");
        config.max_verified_tokens = max_verified_tokens;
        let now = tokio::time::Instant::now().into_std();
        let server = AuthorizationServer::new(config, Box::new(PlainPages), [1; 32], now);
        Self {
            server: server.expect("a server"),
            keys,
            kept: Kept::new(),
            secret: String::new(),
            entropy: 0,
            now,
            wall: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
        }
    }

    /// Registers the client.
    pub(super) fn register(&mut self) {
        let mut client = Registration::confidential(
            "client-acme".parse().expect("an id"),
            "Acme",
            vec![REDIRECT.parse().expect("a URI")],
            "r:* w:*".parse().expect("scopes"),
        );
        client.rotation_window = Some(Duration::from_secs(60));
        let entropy = self.entropy();
        let (wall, now) = (self.wall, self.now);
        let begun = self.server.register_client(client, entropy, wall, now);
        begun.expect("room");
        drop(self.pump());
    }

    /// Links the account of a user, all steps of it.
    pub(super) fn link(&mut self, user: &str) -> Linked {
        let verifier = PkceVerifier::generate([7; 32]);
        let arrival = self.get(
            &format!(
                "/authorize?response_type=code&client_id=client-acme&code_challenge={}&code_challenge_method=S256",
                verifier.challenge().as_str()
            ),
            "",
        );
        let cookie = cookie(&arrival);
        let login = self.get(location(&arrival), &cookie);
        let form = format!("{}&username={user}&password=good", fields(&login));
        let answer = self.post("/login", &cookie, form);
        let cookie = self::cookie(&answer);
        let consent = self.get(location(&answer), &cookie);
        let form = format!("{}&decision=allow", fields(&consent));
        let back = self.post("/consent", &cookie, form);
        let code = between(location(&back), "code=", "&").to_owned();
        let form = format!(
            "grant_type=authorization_code&code={code}&code_verifier={}&client_id=client-acme&client_secret={}",
            verifier.expose(),
            self.secret
        );
        let tokens = self.post("/token", "", form);
        let tokens: serde_json::Value = serde_json::from_slice(tokens.body()).expect("JSON");
        let text = |name: &str| {
            let token = tokens.get(name).and_then(serde_json::Value::as_str);
            token.expect("a token").to_owned()
        };
        Linked {
            access: text("access_token"),
            refresh: text("refresh_token"),
        }
    }

    /// A request with an access token.
    pub(super) fn request(token: &str) -> Request<Bytes> {
        let request =
            Request::get("/api/v1/devices").header("authorization", format!("Bearer {token}"));
        request.body(Bytes::new()).expect("a request")
    }

    /// Checks the access token of a request, which must be good.
    pub(super) fn check(&mut self, request: &Request<Bytes>) {
        self.server.authenticate(request, self.wall, self.now);
        assert!(self.pump().1, "the token is good");
    }

    pub(super) fn into_parts(self) -> (AuthorizationServer, Kept) {
        (self.server, self.kept)
    }

    fn entropy(&mut self) -> [u8; 32] {
        self.entropy += 1;
        let mut bytes = [3; 32];
        let number = self.entropy.to_be_bytes();
        bytes
            .iter_mut()
            .zip(number)
            .for_each(|(to, from)| *to = from);
        bytes
    }

    fn get(&mut self, path: &str, cookie: &str) -> Response<Bytes> {
        let request = Request::get(path).header("cookie", format!("__Host-session={cookie}"));
        self.ask(request.body(Bytes::new()).expect("a request"))
    }

    fn post(&mut self, path: &str, cookie: &str, form: String) -> Response<Bytes> {
        let request = Request::post(path)
            .header(FORM.0, FORM.1)
            .header("cookie", format!("__Host-session={cookie}"));
        self.ask(request.body(form.into()).expect("a request"))
    }

    fn ask(&mut self, request: Request<Bytes>) -> Response<Bytes> {
        let entropy = self.entropy();
        self.server
            .handle_request(&request, entropy, self.wall, self.now);
        self.pump().0.expect("an answer")
    }

    /// Does what the outputs say; the answer, and whether a token was good.
    fn pump(&mut self) -> (Option<Response<Bytes>>, bool) {
        let (mut answer, mut good) = (None, false);
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Respond { response, .. } => answer = Some(response),
                Output::Authenticated { result, .. } => good = result.is_ok(),
                Output::VerifyPassword {
                    request, user_name, ..
                } => {
                    let user = Some(user_name.parse().expect("an id"));
                    self.server.handle_password(request, user, self.now);
                }
                Output::Sign {
                    request,
                    signing_input,
                    ..
                } => {
                    let signature = self.keys.sign(&signing_input);
                    self.server
                        .handle_signature(request, Some(&signature), self.now);
                }
                Output::Verify {
                    request,
                    signing_input,
                    signature,
                    ..
                } => {
                    let good = self.keys.verify(&signing_input, &signature);
                    self.server.handle_verification(request, good, self.now);
                }
                Output::VerifyProof { request, .. } => {
                    self.server.handle_verification(request, false, self.now);
                }
                Output::Load { stream } => {
                    let loaded = load(&self.kept, &stream);
                    self.server.handle_loaded(&stream, &loaded, self.now);
                }
                Output::Append(append) => {
                    let id = append.id;
                    let done = keep(&mut self.kept, append);
                    self.server.handle_appended(id, &done, self.now);
                }
                Output::SaveSnapshot { .. } => {}
                Output::Event(Event::ClientRegistered { secret, .. }) => {
                    self.secret = secret.expect("a secret").expose().to_owned();
                }
                Output::Event(_) => {}
            }
        }
        (answer, good)
    }
}

/// The same for the driver.
pub(super) struct Streams {
    kept: Keeping,
    keys: Arc<Keys>,
    entropy: SystemRandom,
}

enum Keeping {
    Memory(Mutex<Kept>),
    Durable(Durable),
}

impl Streams {
    pub(super) fn new(kept: Kept, keys: Arc<Keys>) -> Self {
        Self {
            kept: Keeping::Memory(Mutex::new(kept)),
            keys,
            entropy: SystemRandom::new(),
        }
    }

    /// What is kept so far, and all that comes, in a journal; and what has to run beside it.
    pub(super) fn durable(
        kept: Kept,
        keys: Arc<Keys>,
        journal: &Path,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (durable, answers) = Durable::new(kept, journal);
        let streams = Self {
            kept: Keeping::Durable(durable),
            keys,
            entropy: SystemRandom::new(),
        };
        (streams, answers)
    }
}

impl Outside for Streams {
    fn wall(&self) -> SystemTime {
        // A second that does not pass: every answer is as long as the one before.
        UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    fn entropy(&self) -> Option<[u8; 32]> {
        let mut bytes = [0; 32];
        ring::rand::SecureRandom::fill(&self.entropy, &mut bytes).ok()?;
        Some(bytes)
    }

    async fn verify_password(&self, _: String, _: Password) -> Option<UserId> {
        None
    }

    async fn sign(&self, _: String, _: Algorithm, input: Bytes) -> Option<Vec<u8>> {
        Some(self.keys.sign(&input))
    }

    async fn verify(&self, _: String, _: Algorithm, input: Bytes, signature: Bytes) -> bool {
        self.keys.verify(&input, &signature)
    }

    async fn load(&self, stream: String) -> Option<Loaded> {
        match &self.kept {
            Keeping::Memory(kept) => Some(load(&*kept.lock().ok()?, &stream)),
            Keeping::Durable(durable) => durable.load(stream).await,
        }
    }

    async fn append(&self, append: Append) -> Appended {
        match &self.kept {
            Keeping::Memory(kept) => match kept.lock() {
                Ok(mut kept) => keep(&mut kept, append),
                Err(_) => Appended::Unknown,
            },
            Keeping::Durable(durable) => durable.append(append).await,
        }
    }

    async fn save_snapshot(&self, stream: String, snapshot: Snapshot) {
        if let Keeping::Durable(durable) = &self.kept {
            durable.save_snapshot(stream, snapshot).await;
        }
    }

    fn note(&self, _: Event) {}
}

fn load(kept: &Kept, stream: &str) -> Loaded {
    let changes = kept.get(stream).cloned().unwrap_or_default();
    Loaded::new(changes.len() as u64, None, changes)
}

fn keep(kept: &mut Kept, append: Append) -> Appended {
    let versions = append.streams.into_iter().map(|part| {
        let held = kept.entry(part.stream).or_default();
        held.extend(part.changes);
        held.len() as u64
    });
    Appended::Done {
        versions: versions.collect(),
    }
}

fn location(response: &Response<Bytes>) -> &str {
    let location = response.headers().get("location").expect("a redirect");
    location.to_str().expect("text")
}

fn cookie(response: &Response<Bytes>) -> String {
    let cookie = response.headers().get("set-cookie").expect("a cookie");
    between(cookie.to_str().expect("text"), "=", ";").to_owned()
}

/// The hidden fields of a page, as a form.
fn fields(page: &Response<Bytes>) -> String {
    let html = std::str::from_utf8(page.body()).expect("text");
    let field = |name: &str| {
        let value = between(html, &format!("name=\"{name}\" value=\""), "\"");
        format!("{name}={value}")
    };
    format!("{}&{}", field("interaction"), field("csrf"))
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).expect("its beginning");
    rest.split_once(after).map_or(rest, |(found, _)| found)
}
