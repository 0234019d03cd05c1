//! The door on a real socket, with TLS clients that speak bytes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use example_support::Error;
use mqtt_bootstrap::{Door, Figures, Outcome, Port, Refused, Settings};

use provisioning_proto::Secret;
use provisioning_proto::mqtt::session::{Credentials, Presented};
use provisioning_proto::mqtt::{
    Down, DownPayload, Mac, SignatureType, Timestamp, Up, Verdict, Window,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Knows one secret, and tells every device the same address; a device may ask to be kept waiting.
#[derive(Clone)]
struct Desk;

impl Port for Desk {
    type Principal = String;

    async fn authenticate(
        &self,
        credentials: Credentials,
        chain: Vec<Vec<u8>>,
    ) -> Result<String, Refused> {
        let known = match &credentials.presented {
            Presented::Password(mac) => {
                let secret = Secret::new("mysecret").expect("secret");
                mac.check(&secret, Window::default(), SystemTime::UNIX_EPOCH) == Verdict::Accepted
            }
            Presented::Certificate => !chain.is_empty(),
            _ => false,
        };
        let id = credentials.client_id.device().to_string();
        known.then_some(id).ok_or(Refused::Credentials)
    }

    fn name(principal: &String) -> String {
        principal.clone()
    }

    async fn register(&self, _: String, payload: Vec<u8>, peer: IpAddr) -> (Outcome, DownPayload) {
        assert_eq!(peer, IpAddr::V4(Ipv4Addr::LOCALHOST));
        if Up::parse(&payload).keyword.as_deref() == Some("wait") {
            std::future::pending::<()>().await;
        }
        let down = Down::assigned("10.0.0.1:8883".parse().expect("address"));
        (Outcome::Assigned, down.encode().expect("encode"))
    }
}

/// Why connections ended, and how requests were answered, in order.
#[derive(Default)]
struct Seen(Mutex<Vec<&'static str>>);

impl Figures for Seen {
    fn ended(&self, cause: &'static str) {
        self.0.lock().unwrap().push(cause);
    }

    fn answered(&self, outcome: &'static str, _: Duration) {
        self.0.lock().unwrap().push(outcome);
    }
}

/// An authority and what it has certified: DER and key.
struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("key");
        Self(CertifiedIssuer::self_signed(params, key).expect("CA"))
    }

    fn issue(&self, host: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("key");
        let params = CertificateParams::new(vec![host.to_owned()]).expect("host");
        let certificate = params.signed_by(&key, &self.0).expect("certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("key");
        (vec![certificate.der().clone()], key)
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("root");
        roots
    }
}

struct Bench {
    ca: Ca,
    address: SocketAddr,
    seen: Arc<Seen>,
    stop: watch::Sender<bool>,
    door: JoinHandle<Result<(), Error>>,
}

impl Bench {
    async fn open(failures: u32) -> Self {
        let ca = Ca::new();
        let (chain, key) = ca.issue("localhost");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("certificate");
        let (_, tls) = watch::channel(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let address = listener.local_addr().expect("address");
        let seen = Arc::new(Seen::default());
        let mut settings = Settings::default();
        settings.failures_per_source = failures;
        let door = Door::new(
            listener,
            settings,
            tls,
            Desk,
            Arc::clone(&seen) as Arc<dyn Figures>,
        );
        let (stop, stopping) = watch::channel(false);
        let door = tokio::spawn(door.run(stopping));
        Self {
            ca,
            address,
            seen,
            stop,
            door,
        }
    }

    /// What a client trusts, and the certificate that it shows.
    fn client(&self, certified: bool) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(self.ca.roots());
        if certified {
            let (chain, key) = self.ca.issue("dev");
            client
                .with_client_auth_cert(chain, key)
                .expect("certificate")
        } else {
            client.with_no_client_auth()
        }
    }

    async fn connect(&self) -> Device {
        self.connect_with(self.client(false))
            .await
            .expect("handshake")
    }

    async fn connect_with(&self, settings: ClientConfig) -> std::io::Result<Device> {
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").expect("name");
        let stream = TlsConnector::from(Arc::new(settings))
            .connect(name, stream)
            .await?;
        Ok(Device(stream))
    }

    /// A device that was let in.
    async fn enter(&self, id: &str) -> Device {
        let mut device = self.connect().await;
        device.send(&connect(id, Some(&password("mysecret")))).await;
        device.hear(b"\x20\x02\x00\x00").await;
        device
    }

    fn saw(&self, word: &str) -> usize {
        let seen = self.seen.0.lock().unwrap();
        seen.iter().filter(|seen| **seen == word).count()
    }
}

struct Device(TlsStream<TcpStream>);

impl Device {
    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("write");
    }

    /// Waits for these very bytes.
    async fn hear(&mut self, expected: &[u8]) {
        let mut bytes = vec![0; expected.len()];
        timeout(Duration::from_secs(10), self.0.read_exact(&mut bytes))
            .await
            .expect("in time")
            .expect("read");
        assert_eq!(bytes, expected);
    }

    /// Waits for the end of the connection, before which nothing comes.
    async fn hear_the_end(&mut self) {
        let mut byte = [0];
        let read = timeout(Duration::from_secs(10), self.0.read(&mut byte)).await;
        assert!(matches!(read.expect("in time"), Ok(0) | Err(_)), "{byte:?}");
    }
}

fn password(secret: &str) -> String {
    let hour: Timestamp = "2019122614".parse().expect("hour");
    let secret = Secret::new(secret).expect("secret");
    Mac::sign(SignatureType::Sha256, &hour, &secret)
        .to_hex()
        .to_string()
}

fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("short");
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    assert!(length < 16_384);
    let low = u8::try_from(length & 0x7f).expect("seven bits");
    let length = match u8::try_from(length >> 7).expect("seven bits") {
        0 => vec![low],
        high => vec![low | 0x80, high],
    };
    [&[first], &*length, body].concat()
}

fn connect(id: &str, password: Option<&str>) -> Vec<u8> {
    let flags = if password.is_some() { 0xc2 } else { 0x82 };
    let head = [0, 4, b'M', b'Q', b'T', b'T', 4, flags, 0, 120];
    let mut body = [&head[..], &text(&format!("{id}_0_0_2019122614")), &text(id)].concat();
    body.extend(password.map(text).unwrap_or_default());
    packet(0x10, &body)
}

fn subscribe(filter: &str) -> Vec<u8> {
    packet(0x82, &[&[0, 7], &*text(filter), &[0]].concat())
}

fn publish(topic: &str, payload: &str) -> Vec<u8> {
    packet(0x32, &[&*text(topic), &[0, 9], payload.as_bytes()].concat())
}

const UP: &str = "$oc/devices/dev/sys/bootstrap/up";
const DOWN: &str = "$oc/devices/dev/sys/bootstrap/down";
const EVENTS: &str = "$oc/devices/dev/sys/events/up";

fn answer() -> Vec<u8> {
    packet(
        0x30,
        &[&*text(DOWN), br#"{"address":"10.0.0.1:8883"}"#].concat(),
    )
}

#[tokio::test]
async fn a_device_is_told_where_it_belongs() {
    let bench = Bench::open(20).await;
    let mut device = bench.enter("dev").await;
    // The vendor's client sends all of this without waiting for anything.
    let all = [publish(EVENTS, "{}"), subscribe(DOWN), publish(UP, "")].concat();
    device.send(&all).await;
    device
        .hear(b"\x40\x02\x00\x09\x90\x03\x00\x07\x00\x40\x02\x00\x09")
        .await;
    device.hear(&answer()).await;
    device.send(b"\xc0\x00").await;
    device.hear(b"\xd0\x00").await;
    device.send(b"\xe0\x00").await;
    device.hear_the_end().await;
    assert_eq!(bench.saw("assigned"), 1);
}

#[tokio::test]
async fn a_certificate_lets_a_device_in_without_a_password() {
    let bench = Bench::open(20).await;
    let mut device = bench
        .connect_with(bench.client(true))
        .await
        .expect("handshake");
    device.send(&connect("dev", None)).await;
    device.hear(b"\x20\x02\x00\x00").await;
    device
        .send(&[publish(UP, ""), subscribe("#"), subscribe(DOWN)].concat())
        .await;
    device
        .hear(b"\x40\x02\x00\x09\x90\x03\x00\x07\x80\x90\x03\x00\x07\x00")
        .await;
    device.hear(&answer()).await;
    let mut uncertified = bench.connect().await;
    uncertified.send(&connect("dev", None)).await;
    uncertified.hear(b"\x20\x02\x00\x04").await;
    uncertified.hear_the_end().await;
}

#[tokio::test]
async fn who_is_refused_is_told_why_in_the_codes_of_mqtt_and_waits_outside_after_a_while() {
    let bench = Bench::open(3).await;
    let wrong = connect("dev", Some(&password("another")));
    let foreign = [
        &[0x10, 0x13, 0, 4, b'M', b'Q', b'T', b'T', 4, 0x82, 0, 120][..],
        b"\x00\x02ab",
        b"\x00\x03dev",
    ]
    .concat();
    let five = b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x03dev".to_vec();
    let tell = async |bytes: Vec<u8>, code: u8| {
        let mut device = bench.connect().await;
        device.send(&bytes).await;
        device.hear(&[0x20, 2, 0, code]).await;
        device.hear_the_end().await;
    };
    // All at once: every one of them waits for a second.
    tokio::join!(
        tell(wrong.clone(), 4),
        tell(wrong.clone(), 4),
        tell(foreign, 2),
        tell(five, 1)
    );
    let settings = bench.client(false);
    let kept_out = async {
        while bench.connect_with(settings.clone()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(5), kept_out)
        .await
        .expect("kept out");
    assert_eq!(bench.saw("kept_out"), 1);
}

#[tokio::test]
async fn what_is_not_mqtt_or_not_allowed_ends_the_connection() {
    let bench = Bench::open(20).await;
    for (name, bytes) in [
        (
            "another's topic",
            publish("$oc/devices/dev2/sys/bootstrap/up", ""),
        ),
        ("a packet that is too long", vec![0x30, 0xff, 0xff, 0x7f]),
        ("a packet of a server", b"\xd0\x00".to_vec()),
        ("bytes that are no packet", vec![0xff; 64]),
    ] {
        let mut device = bench.enter("dev").await;
        device.send(&bytes).await;
        device.hear_the_end().await;
        println!("{name} ended the connection");
    }
}

#[tokio::test]
async fn a_device_that_comes_in_again_ends_its_former_connection_and_a_stop_ends_all() {
    let mut bench = Bench::open(20).await;
    let mut first = bench.enter("dev").await;
    let mut other = bench.enter("dev2").await;
    let mut second = bench.enter("dev").await;
    first.hear_the_end().await;
    other.send(b"\xc0\x00").await;
    other.hear(b"\xd0\x00").await;
    // An answer that never comes holds up nothing.
    second
        .send(
            &[
                subscribe(DOWN),
                publish(UP, r#"{"baseStrategyKeyword":"wait"}"#),
            ]
            .concat(),
        )
        .await;
    second.hear(b"\x90\x03\x00\x07\x00\x40\x02\x00\x09").await;
    bench.stop.send_replace(true);
    second.hear_the_end().await;
    other.hear_the_end().await;
    let door = &mut bench.door;
    let ended = timeout(Duration::from_secs(5), door).await;
    ended
        .expect("in time")
        .expect("no panic")
        .expect("no error");
    assert_eq!(bench.saw("server"), 3);
}
