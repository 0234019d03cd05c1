//! Notifications over a socket, as peers in the field send them.

use std::time::Duration;

use account_linking::UserId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use uci_client::{Sealer as _, Target};
use uci_model::api::{OutgoingRequest as _, notify};
use uci_model::event::{NotificationHeaders, SigningKey};
use uci_model::{Content, ContentFormat, EventType, Limits, SigningSecret, UnixSeconds, Value};

use super::*;
use crate::clock;

const STREAM: &str = "subscriptions/ann/link-1";

/// The Correlation-ID and the signing secret of the last subscribe request of `ann`, once they are in the journal.
async fn last_attempt(shared: &Shared, field: &str) -> (String, SigningSecret) {
    let attempted = loop {
        let changes = shared.store.load(STREAM).await.unwrap().changes;
        let attempted = changes.iter().rev().find_map(|bytes| {
            let change = Value::from_cbor(bytes, &Limits::default()).unwrap();
            change.get("Attempted").cloned()
        });
        match attempted {
            Some(attempted) => break attempted,
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let correlation = attempted.get("correlation").and_then(Value::as_str);
    let Some(Value::Bytes(sealed)) = attempted.get("secret") else {
        panic!("{attempted:?}");
    };
    let secret = shared.keys.open(STREAM, field, sealed).unwrap();
    let secret = String::from_utf8(secret.expose().to_vec()).unwrap();
    (correlation.unwrap().to_owned(), secret.try_into().unwrap())
}

/// A signed notification that `ann`'s first device is online.
fn notification(correlation: &str, secret: &SigningSecret) -> http::Request<bytes::Bytes> {
    let mut headers = NotificationHeaders::new(
        EventType::DevicesOnline,
        "1eeb465c-5e8d-4305-a366-bbf035fff671".parse().unwrap(),
        0,
        UnixSeconds::from(clock::wall()),
    );
    headers.correlation_id = Some(correlation.parse().unwrap());
    let body = r#"[{"di":"53080a4f-5e3e-4291-802f-3436238232d2"}]"#;
    let content = Content::new(ContentFormat::Json, body.into());
    notify::Request::new(headers, Some(content))
        .try_into_http_request(
            &http::Uri::from_static("https://client.example/events/ann"),
            &SigningKey::new(secret),
        )
        .unwrap()
}

/// Sends a request whose body comes in chunks of seven bytes, each in a write of its own; the answer, whole.
async fn send_in_chunks(
    address: std::net::SocketAddr,
    request: &http::Request<bytes::Bytes>,
) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut head = format!(
        "POST {} HTTP/1.1\r\nhost: client.example\r\nconnection: close\r\ntransfer-encoding: chunked\r\n",
        request.uri().path()
    );
    for (name, value) in request.headers() {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    stream.write_all((head + "\r\n").as_bytes()).await.unwrap();
    for chunk in request.body().chunks(7) {
        let chunk = [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat();
        stream.write_all(&chunk).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_notification_that_comes_in_chunks_is_verified_whole() {
    let folder = std::env::temp_dir().join(format!("in-chunks-{}", std::process::id()));
    let accounts = Arc::new(Accounts::new(Arc::new(shared(&folder))));
    let user: UserId = "ann".parse().unwrap();
    let cloud = FULL.parse().unwrap();
    accounts.open(&user, cloud, "link-1".to_owned()).unwrap();
    let account = accounts.get(&user).unwrap();
    let id = account.subscribe(Target::Devices).await.unwrap();
    let public = Public {
        accounts: Arc::clone(&accounts),
        sessions: Sessions::default(),
        origin: "https://client.example".to_owned(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopping) = watch::channel(false);
    let served = tokio::spawn(crate::serve::serve(
        listener,
        None,
        router(Arc::new(public)),
        stopping,
    ));

    // The subscribe request is never answered: there is no such cloud. The notification says that it was made, unless the
    // next try has just begun, which a slow machine may have come to.
    let field = format!("signing-secret/{id}");
    let (good, answer) = loop {
        let (correlation, secret) = last_attempt(accounts.shared(), &field).await;
        let good = notification(&correlation, &secret);
        let answer = send_in_chunks(address, &good).await;
        let late = ["HTTP/1.1 410 ", "HTTP/1.1 503 "];
        if !late.iter().any(|line| answer.starts_with(line)) {
            break (good, answer);
        }
    };
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "a body in {answer}");
    let mut altered = good.clone();
    *altered.body_mut() = [good.body(), &b" "[..]].concat().into();
    for (request, status) in [(&altered, 400), (&good, 200)] {
        let answer = send_in_chunks(address, request).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{answer}");
    }
    let known = account.visit(|client, _| client.mirror().devices().count());
    assert_eq!(known.await.unwrap(), 1, "it is mirrored");
    stop.send_replace(true);
    served.await.unwrap();
}
