//! The driver of the server role in an axum program, over TCP; what it does under failures, on a paused clock.
#![cfg(feature = "tokio")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

#[path = "../examples/axum.rs"]
mod example;

use account_linking::PkceVerifier;
use account_linking::server::driver::{CommandError, Handle, Outside, drive};
use account_linking::server::{
    Algorithm, AuthorizationServer, Config, Event, Issuer, PlainPages, RefreshKey, Refusal,
    SigningKey,
};
use account_linking::{
    Append, Appended, ErrorKind, Loaded, Password, SecretBytes, Snapshot, UserId,
};
use bytes::Bytes;
use http::Request;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const REDIRECT: &str = "http://127.0.0.1:8081/callback";

/// What came over a connection of its own: the head, and the body.
async fn ask(to: &str, method: &str, path: &str, headers: &str, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text
        .split_once(before)
        .unwrap_or_else(|| panic!("{before} in {text}"));
    rest.split_once(after).unwrap().0
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

#[tokio::test]
async fn an_account_is_linked_through_axum_and_its_token_opens_the_interface() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = listener.local_addr().unwrap().to_string();
    let handle = example::start(&format!("http://{to}"), REDIRECT)
        .await
        .unwrap();
    tokio::spawn(async move { axum::serve(listener, example::app(handle)).await });
    let html = "content-type: application/x-www-form-urlencoded\r\n";

    let (head, _) = ask(&to, "GET", "/api/devices", "", "").await;
    assert!(
        head.starts_with("http/1.1 401") && head.contains("www-authenticate: bearer\r\n"),
        "{head}"
    );

    // What a browser does. Heads were made lower case, so what must be exact is read from pages.
    let verifier = PkceVerifier::generate([7; 32]);
    let authorize = format!(
        "/authorize?{}",
        form(&[
            ("response_type", "code"),
            ("client_id", "client-app"),
            ("state", "xyz"),
            ("code_challenge", verifier.challenge().as_str()),
            ("code_challenge_method", "S256"),
        ])
    );
    let mut jar = Jar::default();
    let answer = jar.ask(&to, "GET", &authorize, "", "").await;
    let login = jar.ask(&to, "GET", &answer.location, "", "").await;
    let fields = |page: &str| {
        ["interaction", "csrf"]
            .map(|name| between(page, &format!("name=\"{name}\" value=\""), "\"").to_owned())
    };
    let [interaction, csrf] = fields(&login.body);
    let pressed = form(&[
        ("interaction", &interaction),
        ("csrf", &csrf),
        ("username", "ada"),
        ("password", "correct horse"),
    ]);
    let answer = jar.ask(&to, "POST", "/login", html, &pressed).await;
    let consent = jar.ask(&to, "GET", &answer.location, "", "").await;
    let [interaction, csrf] = fields(&consent.body);
    let pressed = form(&[
        ("interaction", &interaction),
        ("csrf", &csrf),
        ("decision", "allow"),
    ]);
    let back = jar.ask(&to, "POST", "/consent", html, &pressed).await;
    assert!(back.location.starts_with(REDIRECT), "{}", back.location);
    let code = between(&back.location, "code=", "&").to_owned();

    let pressed = form(&[
        ("grant_type", "authorization_code"),
        ("client_id", "client-app"),
        ("code", &code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", verifier.expose()),
    ]);
    let (_, tokens) = ask(&to, "POST", "/token", html, &pressed).await;
    let token = between(&tokens, "\"access_token\":\"", "\"");
    let bearer = format!("authorization: Bearer {token}\r\n");
    let (head, body) = ask(&to, "GET", "/api/devices", &bearer, "").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(body, "the devices of user-1");

    // A body that is too long never reaches the machine.
    let long = "x".repeat(65 << 10);
    let (head, _) = ask(&to, "POST", "/token", html, &long).await;
    assert!(head.starts_with("http/1.1 413"), "{head}");
}

/// A browser's cookies.
#[derive(Default)]
struct Jar(String);

struct Answer {
    location: String,
    body: String,
}

impl Jar {
    async fn ask(
        &mut self,
        to: &str,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> Answer {
        let origin = format!("http://{to}");
        let path = path.strip_prefix(&origin).unwrap_or(path);
        let mut stream = TcpStream::connect(to).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {to}\r\norigin: {origin}\r\nconnection: close\r\ncookie: {}\r\n{headers}\
             content-length: {}\r\n\r\n{body}",
            self.0,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let header = |name: &str| {
            head.lines()
                .filter_map(|line| line.split_once(": "))
                .find(|(found, _)| found.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.to_owned())
        };
        if let Some(cookie) = header("set-cookie") {
            self.0 = cookie.split(';').next().unwrap().to_owned();
        }
        Answer {
            location: header("location").unwrap_or_default(),
            body: body.to_owned(),
        }
    }
}

/// An outside where nothing works.
struct Broken;

impl Outside for Broken {
    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }
    fn entropy(&self) -> Option<[u8; 32]> {
        Some([5; 32])
    }
    async fn verify_password(&self, _: String, _: Password) -> Option<UserId> {
        None
    }
    async fn sign(&self, _: String, _: Algorithm, _: Bytes) -> Option<Vec<u8>> {
        None
    }
    async fn verify(&self, _: String, _: Algorithm, _: Bytes, _: Bytes) -> bool {
        false
    }
    async fn load(&self, _: String) -> Option<Loaded> {
        None
    }
    async fn append(&self, _: Append) -> Appended {
        std::future::pending().await
    }
    async fn save_snapshot(&self, _: String, _: Snapshot) {}
    fn note(&self, _: Event) {}
}

fn broken() -> (Handle, tokio::task::JoinHandle<AuthorizationServer>) {
    let jwk = r#"{"kty":"EC","crv":"P-256","x":"eA","y":"eQ"}"#;
    let config = Config::new(
        Issuer::new("https://cloud.example").unwrap(),
        "https://cloud.example/api",
        SigningKey::new("key-1", Algorithm::Es256, jwk).unwrap(),
        RefreshKey::new(1, SecretBytes::new([77; 32])),
    );
    let now = tokio::time::Instant::now().into_std();
    let server =
        AuthorizationServer::new(config.unwrap(), Box::new(PlainPages), [1; 32], now).unwrap();
    let (handle, task) = drive(server, Broken, 4);
    (handle, tokio::spawn(task))
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_is_a_503_and_a_refused_command() {
    let (handle, _task) = broken();
    let request = Request::get(
        "/authorize?response_type=code&client_id=client-app&state=s&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256",
    );
    let answer = handle.answer(request.body(Bytes::new()).unwrap()).await;
    assert_eq!(answer.status(), 503);
    assert!(answer.headers().contains_key("retry-after"));

    let listed =
        handle.command(|server, _, wall, now| server.list_grants("user-1".parse()?, wall, now));
    let Err(CommandError::Refused(error)) = listed.await else {
        panic!("a store that cannot be read")
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let refused = handle.command(|server, _, wall, now| server.wake("nothing", wall, now));
    assert!(matches!(refused.await, Err(CommandError::Refused(_))));
}

#[tokio::test(start_paused = true)]
async fn without_its_task_everything_is_unavailable() {
    let (handle, task) = broken();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let request = Request::get("/jwks").body(Bytes::new()).unwrap();
    assert_eq!(handle.answer(request).await.status(), 503);
    let (head, ()) = Request::get("/api").body(()).unwrap().into_parts();
    assert_eq!(handle.authenticate(&head).await, Err(Refusal::Unavailable));
    let gone = handle.command(|server, _, wall, now| server.list_grants("u".parse()?, wall, now));
    assert!(matches!(gone.await, Err(CommandError::Gone)));
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_with_the_last_handle() {
    let (handle, task) = broken();
    let other = handle.clone();
    drop(handle);
    let request = Request::get("/jwks").body(Bytes::new()).unwrap();
    assert_eq!(other.answer(request).await.status(), 200);
    drop(other);
    task.await.unwrap();
}
