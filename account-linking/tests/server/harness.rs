//! A server, a browser and a client, on a clock that moves when told to.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use account_linking::server::dpop::ProofKey;
use account_linking::server::{
    Algorithm, AuthorizationServer, Config, EndReason, Event, Issuer, Output, PlainPages,
    Principal, RefreshKey, Refusal, Registration, RequestId, SigningKey,
};
use account_linking::{PkceVerifier, SecretBytes, UserId};
use bytes::Bytes;
use http::{Request, Response};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub(crate) use crate::store::{Fault, Store};

pub(crate) const ISSUER: &str = "https://cloud.example/oauth";
pub(crate) const AUDIENCE: &str = "https://cloud.example/api";
pub(crate) const REDIRECT: &str = "https://client.example/cb";
pub(crate) const PASSWORD: &str = "correct horse";

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) server: AuthorizationServer,
    pub(crate) store: Store,
    pub(crate) now: Instant,
    pub(crate) wall: SystemTime,
    pub(crate) responses: BTreeMap<RequestId, Response<Bytes>>,
    pub(crate) access: BTreeMap<RequestId, Result<Principal, Refusal>>,
    pub(crate) events: Vec<Event>,
    pub(crate) passwords_asked: usize,
    pub(crate) refuse_to_sign: bool,
    /// Every output as a driver might log it.
    pub(crate) shown: String,
    entropy: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: Option<String>,
    pub(crate) scope: String,
}

pub(crate) fn config() -> Config {
    let jwk = r#"{"kty":"EC","crv":"P-256","x":"eA","y":"eQ"}"#;
    let signing = SigningKey::new("key-1", Algorithm::Es256, jwk).unwrap();
    let refresh = RefreshKey::new(1, SecretBytes::new([77; 32]));
    Config::new(Issuer::new(ISSUER).unwrap(), AUDIENCE, signing, refresh).unwrap()
}

pub(crate) fn confidential() -> Registration {
    Registration::confidential(
        "client-acme".parse().unwrap(),
        "Acme <Home>",
        vec![REDIRECT.parse().unwrap()],
        "r:* w:*".parse().unwrap(),
    )
}

pub(crate) fn public() -> Registration {
    Registration::public(
        "client-app".parse().unwrap(),
        "App",
        vec![REDIRECT.parse().unwrap()],
        "r:* w:*".parse().unwrap(),
    )
}

pub(crate) fn sign(input: &[u8]) -> Vec<u8> {
    Sha256::new()
        .chain_update(b"the private key")
        .chain_update(input)
        .finalize()
        .to_vec()
}

pub(crate) fn verifier() -> PkceVerifier {
    PkceVerifier::generate([42; 32])
}

pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(pairs);
    form.finish()
}

pub(crate) fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap_or(Value::Null)
}

/// A parameter of the URL that a response redirects to.
pub(crate) fn parameter(response: &Response<Bytes>, name: &str) -> Option<String> {
    let location = response.headers().get("location")?.to_str().unwrap();
    let (_, query) = location.split_once('?')?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let found = pairs.find(|(found, _)| found == name);
    found.map(|(_, value)| value.into_owned())
}

fn field(html: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let rest = html.split(&start).nth(1).expect("the page has the field");
    rest.split('"').next().unwrap().to_owned()
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        Self::with_store(config, Store::default(), 1)
    }

    /// A server started on what an earlier one stored.
    pub(crate) fn with_store(config: Config, store: Store, start: u8) -> Self {
        let now = tokio::time::Instant::now().into_std();
        let server =
            AuthorizationServer::new(config, Box::new(PlainPages), [start; 32], now).unwrap();
        Self {
            server,
            store,
            now,
            wall: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
            responses: BTreeMap::new(),
            access: BTreeMap::new(),
            events: Vec::new(),
            passwords_asked: 0,
            refuse_to_sign: false,
            shown: String::new(),
            entropy: u64::from(start) << 32,
        }
    }

    pub(crate) fn with_clients(registrations: &[Registration]) -> (Self, Vec<Option<String>>) {
        Self::with_settings(config(), registrations)
    }

    pub(crate) fn with_settings(
        settings: Config,
        registrations: &[Registration],
    ) -> (Self, Vec<Option<String>>) {
        let mut world = Self::new(settings);
        let secrets = registrations
            .iter()
            .map(|one| world.register(one.clone()))
            .collect();
        (world, secrets)
    }

    pub(crate) fn register(&mut self, registration: Registration) -> Option<String> {
        let entropy = self.entropy();
        let command = self
            .server
            .register_client(registration, entropy, self.wall, self.now)
            .unwrap();
        self.pump();
        match self.events.last() {
            Some(Event::ClientRegistered {
                command: of,
                secret,
                ..
            }) if *of == command => secret.as_ref().map(|secret| secret.expose().to_owned()),
            other => panic!("not registered: {other:?}"),
        }
    }

    pub(crate) fn entropy(&mut self) -> [u8; 32] {
        self.entropy += 1;
        Sha256::digest(self.entropy.to_be_bytes()).into()
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.wall += time;
        self.server.handle_timeout(self.now);
        self.pump();
    }

    pub(crate) fn pump(&mut self) {
        while let Some(output) = self.server.poll_output() {
            self.shown.push_str(&format!("{output:?}\n"));
            match output {
                Output::Respond { request, response } => {
                    assert!(
                        self.responses.insert(request, response).is_none(),
                        "answered twice"
                    );
                }
                Output::Authenticated { request, result } => {
                    self.access.insert(request, result);
                }
                Output::VerifyPassword {
                    request,
                    user_name,
                    password,
                } => {
                    self.passwords_asked += 1;
                    let known = password.expose() == PASSWORD;
                    let user = known.then(|| user_name.parse::<UserId>().unwrap());
                    self.server.handle_password(request, user, self.now);
                }
                Output::Sign {
                    request,
                    signing_input,
                    ..
                } => {
                    let signature = (!self.refuse_to_sign).then(|| sign(&signing_input));
                    self.server
                        .handle_signature(request, signature.as_deref(), self.now);
                }
                Output::Verify {
                    request,
                    signing_input,
                    signature,
                    ..
                } => {
                    let good = sign(&signing_input) == signature;
                    self.server.handle_verification(request, good, self.now);
                }
                Output::VerifyProof {
                    request,
                    key,
                    signing_input,
                    signature,
                    ..
                } => {
                    let good = match &key {
                        ProofKey::P256 { x, .. } => signed_by(x, &signing_input) == signature,
                        _ => false,
                    };
                    self.server.handle_verification(request, good, self.now);
                }
                Output::Load { stream } => match self.store.faults.front() {
                    Some(Fault::SilentLoad) => {
                        self.store.faults.pop_front();
                    }
                    Some(Fault::LoadFailed) => {
                        self.store.faults.pop_front();
                        self.server.handle_load_failed(&stream, self.now);
                    }
                    _ => {
                        let loaded = self.store.load(&stream);
                        self.server.handle_loaded(&stream, &loaded, self.now);
                    }
                },
                Output::Append(append) => {
                    if let Some(answer) = self.store.append(&append) {
                        self.server.handle_appended(append.id, &answer, self.now);
                    }
                }
                Output::SaveSnapshot { stream, snapshot } => {
                    self.store.snapshots.insert(stream, snapshot);
                }
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    /// Sends a request; the answer may be waiting for time to pass.
    pub(crate) fn send(&mut self, request: &Request<Bytes>) -> RequestId {
        let entropy = self.entropy();
        let id = self
            .server
            .handle_request(request, entropy, self.wall, self.now);
        self.pump();
        id
    }

    pub(crate) fn request(&mut self, request: &Request<Bytes>) -> Response<Bytes> {
        let id = self.send(request);
        self.responses.remove(&id).expect("an answer at once")
    }

    pub(crate) fn get(&mut self, path: &str, cookie: Option<&str>) -> Response<Bytes> {
        let mut request = Request::get(path);
        if let Some(cookie) = cookie {
            request = request.header("cookie", format!("other=1; __Host-session={cookie}"));
        }
        self.request(&request.body(Bytes::new()).unwrap())
    }

    pub(crate) fn post(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Response<Bytes> {
        let mut request =
            Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.request(&request.body(body.into()).unwrap())
    }

    pub(crate) fn token(
        &mut self,
        secret: Option<&str>,
        client: &str,
        pairs: &[(&str, &str)],
    ) -> Response<Bytes> {
        let mut pairs = pairs.to_vec();
        pairs.push(("client_id", client));
        if let Some(secret) = secret {
            pairs.push(("client_secret", secret));
        }
        self.post("/oauth/token", &[], form(&pairs))
    }

    pub(crate) fn check(&mut self, token: &str) -> Result<Principal, Refusal> {
        let request = api_request(token).body(Bytes::new()).unwrap();
        self.judge(None, &request)
    }

    /// The check of the usual API, or of the named one.
    pub(crate) fn judge(
        &mut self,
        resource: Option<&str>,
        request: &Request<Bytes>,
    ) -> Result<Principal, Refusal> {
        let (wall, now) = (self.wall, self.now);
        let id = match resource {
            None => self.server.authenticate(request, wall, now),
            Some(resource) => {
                let resource = resource.parse().unwrap();
                self.server.authenticate_for(&resource, request, wall, now)
            }
        };
        self.pump();
        self.access.remove(&id).expect("an answer at once")
    }
}

/// A request to the protected API with a bearer token.
pub(crate) fn api_request(token: &str) -> http::request::Builder {
    Request::get("/api/v1/devices").header("authorization", format!("Bearer {token}"))
}

/// What stands for the signature of a key in a proof.
pub(crate) fn signed_by(x: &[u8; 32], input: &[u8]) -> Vec<u8> {
    let digest = Sha256::new().chain_update(x).chain_update(input);
    digest.finalize().to_vec()
}

/// A browser with one cookie jar, which follows redirects inside the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Browser {
    pub(crate) cookie: Option<String>,
}

impl Browser {
    pub(crate) fn keep_cookie(&mut self, response: &Response<Bytes>) {
        if let Some(value) = response.headers().get("set-cookie") {
            let value = value.to_str().unwrap();
            let pair = value.split(';').next().unwrap();
            self.cookie = Some(pair.split_once('=').unwrap().1.to_owned());
        }
    }

    /// Opens a path and follows redirects inside the server.
    pub(crate) fn open(&mut self, world: &mut World, path: &str) -> Response<Bytes> {
        let mut response = world.get(path, self.cookie.as_deref());
        self.keep_cookie(&response);
        while let Some(location) = response.headers().get("location") {
            let location = location.to_str().unwrap().to_owned();
            if !location.starts_with('/') {
                break;
            }
            response = world.get(&location, self.cookie.as_deref());
            self.keep_cookie(&response);
        }
        response
    }

    /// The request that posts a page's form with `fields`.
    pub(crate) fn form(
        &self,
        page: &Response<Bytes>,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Request<Bytes> {
        let html = String::from_utf8(page.body().to_vec()).unwrap();
        let (interaction, csrf) = (field(&html, "interaction"), field(&html, "csrf"));
        let mut pairs = vec![
            ("interaction", interaction.as_str()),
            ("csrf", csrf.as_str()),
        ];
        pairs.extend_from_slice(fields);
        let cookie = format!("__Host-session={}", self.cookie.clone().unwrap_or_default());
        Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", cookie)
            .body(form(&pairs).into())
            .unwrap()
    }

    /// Posts a page's form with `fields` and follows redirects inside the server.
    pub(crate) fn submit(
        &mut self,
        world: &mut World,
        page: &Response<Bytes>,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Response<Bytes> {
        let response = world.request(&self.form(page, path, fields));
        self.keep_cookie(&response);
        match response.headers().get("location") {
            Some(location) if location.to_str().unwrap().starts_with('/') => {
                let location = location.to_str().unwrap().to_owned();
                self.open(world, &location)
            }
            _ => response,
        }
    }

    pub(crate) fn log_in(
        &mut self,
        world: &mut World,
        page: &Response<Bytes>,
        user: &str,
    ) -> Response<Bytes> {
        let fields = [("username", user), ("password", PASSWORD)];
        self.submit(world, page, "/oauth/login", &fields)
    }
}

pub(crate) fn authorize_path(client: &str, extra: &[(&str, &str)]) -> String {
    let challenge = verifier().challenge();
    let mut pairs = vec![
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", REDIRECT),
        ("state", "st&te 1"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    pairs.retain(|(name, _)| !extra.iter().any(|(other, _)| other == name));
    pairs.extend(extra.iter().filter(|(_, value)| !value.is_empty()));
    format!("/oauth/authorize?{}", form(&pairs))
}

/// Log in and allow; the code of the redirect back.
pub(crate) fn obtain_code(
    world: &mut World,
    client: &str,
    user: &str,
    extra: &[(&str, &str)],
) -> String {
    let mut browser = Browser::default();
    let page = browser.open(world, &authorize_path(client, extra));
    let page = browser.log_in(world, &page, user);
    let answer = browser.submit(world, &page, "/oauth/consent", &[("decision", "allow")]);
    assert_eq!(parameter(&answer, "state").as_deref(), Some("st&te 1"));
    assert_eq!(parameter(&answer, "iss").as_deref(), Some(ISSUER));
    parameter(&answer, "code").expect("a code")
}

pub(crate) fn redeem(
    world: &mut World,
    secret: Option<&str>,
    client: &str,
    code: &str,
) -> Response<Bytes> {
    let verifier = verifier();
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", verifier.expose()),
    ];
    world.token(secret, client, &pairs)
}

pub(crate) fn refresh(
    world: &mut World,
    secret: Option<&str>,
    client: &str,
    token: &str,
) -> Response<Bytes> {
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", token)];
    world.token(secret, client, &pairs)
}

pub(crate) fn tokens(response: &Response<Bytes>) -> Tokens {
    assert_eq!(response.status(), 200, "{:?}", response.body());
    let body = json(response);
    let text = |name: &str| body[name].as_str().map(str::to_owned);
    Tokens {
        access: text("access_token").unwrap(),
        refresh: text("refresh_token"),
        scope: text("scope").unwrap(),
    }
}

/// All fourteen steps of linking.
pub(crate) fn link(world: &mut World, secret: Option<&str>, client: &str, user: &str) -> Tokens {
    let code = obtain_code(world, client, user, &[]);
    tokens(&redeem(world, secret, client, &code))
}

pub(crate) fn error(response: &Response<Bytes>) -> String {
    json(response)["error"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// The claims of an access token, as anyone can read them.
pub(crate) fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(payload)
        .unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// How many ends for this reason have been told.
pub(crate) fn ends(world: &World, why: EndReason) -> usize {
    let ended =
        |event: &&Event| matches!(event, Event::GrantEnded { reason, .. } if *reason == why);
    world.events.iter().filter(ended).count()
}
