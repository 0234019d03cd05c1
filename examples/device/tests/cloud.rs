//! The program as a process, against a cloud of a few lines on a real socket.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use coap_psk::activation::{self, ActivateInfo};
use coap_psk::driver::{self, Handle};
use coap_psk::dtls::SessionId;
use coap_psk::{
    Code, Config, DeviceSecret, Endpoint, Event, KeyBytes, Method, Output, ProductSecret, Request,
    Response, SecureMode,
};
use dtls_dimpl::{DimplEndpoint, Limits as DtlsLimits};
use serde_json::Value as Json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UdpSocket;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uci_model::{Limits, Value};

const PRODUCT_SECRET: &str = "the-product-secret-of-this-test";
const DEVICE_SECRET: &str = "the-device-secret-of-this-test";
const DI: &str = "5f3c2d6e-8a41-4a43-9d8e-0c1f6a7b2e10";
const OCF_CBOR: u16 = 10_000;
const PATIENCE: Duration = Duration::from_secs(40);

/// A cloud that lets one device in, activates it, and hands the rest to the test.
struct Cloud {
    handle: Handle<DimplEndpoint>,
    outputs: mpsc::Receiver<Output>,
    driving: JoinHandle<()>,
    address: SocketAddr,
}

impl Cloud {
    async fn start(address: &str) -> Self {
        let socket = UdpSocket::bind(address).await.unwrap();
        let address = socket.local_addr().unwrap();
        let (handle, mut calls) = driver::handle(16);
        let (sender, outputs) = mpsc::channel(256);
        let driving = tokio::spawn(async move {
            let origin = tokio::time::Instant::now().into_std();
            let dtls = DimplEndpoint::new(DtlsLimits::default(), origin);
            let mut endpoint = Endpoint::new(Config::default(), dtls, [7; 32]);
            driver::run(&socket, &mut endpoint, &mut calls, &sender)
                .await
                .unwrap();
        });
        Self {
            handle,
            outputs,
            driving,
            address,
        }
    }

    /// As SIGKILL: the socket is gone, and nobody hears a word of farewell.
    async fn kill(self) -> String {
        self.driving.abort();
        assert!(self.driving.await.unwrap_err().is_cancelled());
        self.address.to_string()
    }

    /// Plays the cloud's part until the output that `wanted` looks for.
    async fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(&Output) -> Option<T>) -> T {
        let search = async {
            loop {
                let output = self.outputs.recv().await.unwrap();
                if let Some(found) = wanted(&output) {
                    return (found, output);
                }
                self.play(output).await;
            }
        };
        let (found, output) = timeout(PATIENCE, search)
            .await
            .unwrap_or_else(|_| panic!("no {what}"));
        self.play(output).await;
        found
    }

    async fn play(&mut self, output: Output) {
        match output {
            Output::KeyWanted {
                handshake,
                identity,
            } => {
                let key = match identity.mode() {
                    SecureMode::ProductSecret => ProductSecret::new(PRODUCT_SECRET)
                        .unwrap()
                        .key(KeyBytes::default()),
                    _ => DeviceSecret::new(DEVICE_SECRET)
                        .unwrap()
                        .key(KeyBytes::default()),
                };
                self.call(move |endpoint, now| endpoint.provide_key(handshake, Some(key), now))
                    .await;
            }
            Output::Request {
                exchange, request, ..
            } => {
                let response = match activation::device_of(&request) {
                    Some(device) => {
                        let secret = DeviceSecret::new(DEVICE_SECRET).unwrap();
                        let info = ActivateInfo::new("1".into(), "a".into(), device, secret);
                        Response::new(Code::CONTENT).with_payload(50, info.to_json().unwrap())
                    }
                    None if request.method == Method::Post => Response::new(Code::CHANGED),
                    None => Response::new(Code::CONTENT),
                };
                self.call(move |endpoint, now| endpoint.respond(exchange, response, now).unwrap())
                    .await;
            }
            _ => {}
        }
    }

    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Endpoint<DimplEndpoint>, coap_psk::Instant) -> T + Send + 'static,
    ) -> T {
        self.handle.call(call).await.unwrap()
    }

    async fn online(&mut self) -> SessionId {
        self.until("session", |output| match output {
            Output::Event(Event::Online { session, .. }) => Some(*session),
            _ => None,
        })
        .await
    }

    async fn published(&mut self) -> Request {
        self.until("publication", |output| match output {
            Output::Request { request, .. } if request.target() == "/oic/rd" => {
                Some(request.clone())
            }
            _ => None,
        })
        .await
    }

    async fn request(&mut self, session: SessionId, request: Request) -> Response {
        let asked = self
            .call(move |endpoint, now| endpoint.request(session, request, now).unwrap())
            .await;
        self.until("response", |output| match output {
            Output::Event(Event::Response { exchange, response }) if *exchange == asked => {
                Some(response.clone())
            }
            _ => None,
        })
        .await
    }

    async fn observe(&mut self, session: SessionId, href: &str) -> Value {
        let request = Request::new(Method::Get, href).unwrap();
        self.call(move |endpoint, now| endpoint.observe(session, request, now).unwrap())
            .await;
        self.notification().await
    }

    async fn notification(&mut self) -> Value {
        self.until("notification", |output| match output {
            Output::Event(Event::Notification { response, .. }) => Some(value(response)),
            _ => None,
        })
        .await
    }
}

/// The program under test.
struct Program {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    fn start(cloud: SocketAddr, dir: &std::path::Path, product_secret: bool) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_device"));
        command
            .args(["--cloud", &cloud.to_string()])
            .args([
                "--product-key",
                "pk1",
                "--device-key",
                "IMEI:0042",
                "--lifetime",
                "30",
            ])
            .args(["--di", DI, "--name", "Hall", "--state"])
            .arg(dir.join("state"));
        if product_secret {
            command
                .arg("--product-secret-file")
                .arg(dir.join("product.secret"));
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            child,
            stdin,
            lines,
        }
    }

    async fn tell(&mut self, line: &str) {
        self.stdin
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap();
    }

    /// The next event of this name.
    async fn event(&mut self, name: &str) -> Json {
        let search = async {
            loop {
                let line = self.lines.next_line().await.unwrap();
                let line = line.unwrap_or_else(|| panic!("ended before {name}"));
                let event: Json = serde_json::from_str(&line).unwrap();
                assert!(!line.contains(DEVICE_SECRET) && !line.contains(PRODUCT_SECRET));
                if event.get("event") == Some(&Json::from(name)) {
                    return event;
                }
            }
        };
        timeout(PATIENCE, search)
            .await
            .unwrap_or_else(|_| panic!("no {name}"))
    }
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("product.secret"), format!("{PRODUCT_SECRET}\n")).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn value(response: &Response) -> Value {
    Value::from_cbor(&response.payload, &Limits::default()).unwrap()
}

fn on(power: u64) -> Value {
    Value::from([("state", Value::from(true)), ("power", Value::from(power))])
}

#[tokio::test]
async fn it_activates_publishes_serves_and_comes_back() {
    let folder = Folder::new("story");
    let mut cloud = Cloud::start("127.0.0.1:0").await;
    let mut device = Program::start(cloud.address, &folder.0, true);

    // It learns its own secret in SecureMode 3, keeps it, and is online in SecureMode 2.
    let session = cloud.online().await;
    device.event("activated").await;
    assert_eq!(
        device.event("online").await.get("mode"),
        Some(&Json::from(2))
    );
    let kept = std::fs::read_to_string(folder.0.join("state/device.json")).unwrap();
    assert!(kept.contains(DEVICE_SECRET));

    let publication = cloud.published().await;
    assert_eq!(
        (publication.method, publication.content_format),
        (Method::Post, Some(OCF_CBOR))
    );
    let links = Value::from_cbor(&publication.payload, &Limits::default()).unwrap();
    assert_eq!(links.get("di").and_then(Value::as_str), Some(DI));
    device.event("published").await;

    // It serves, and tells what changes, whoever changed it.
    let state = cloud.observe(session, "/light/1").await;
    assert_eq!(state.get("state"), Some(&Value::from(false)));
    device.event("observed").await;
    let update = Request::new(Method::Post, "/light/1").unwrap();
    let update = update.with_payload(OCF_CBOR, on(40).to_cbor());
    assert_eq!(cloud.request(session, update).await.code, Code::CHANGED);
    let updated = device.event("updated").await.to_string();
    assert!(updated.contains("\"power\":40"), "{updated}");
    device.tell("set /light/1 {\"power\":41}").await;
    device.event("changed").await;
    loop {
        let state = cloud.notification().await;
        if state.get("power") == Some(&Value::from(41_u64)) {
            break;
        }
    }

    // The cloud dies; the device finds out, comes back by itself, and publishes again.
    let address = cloud.kill().await;
    let mut cloud = Cloud::start(&address).await;
    device.event("offline").await;
    let session = cloud.online().await;
    device.event("online").await;
    cloud.published().await;
    let state = cloud.observe(session, "/light/1").await;
    assert_eq!(state.get("power"), Some(&Value::from(41_u64)));

    // Told to, it says goodbye.
    device.tell("quit").await;
    device.event("ended").await;
    assert!(device.child.wait().await.unwrap().success());
    cloud
        .until("goodbye", |output| match output {
            Output::Event(Event::Offline { session: ended, .. }) => {
                (*ended == session).then_some(())
            }
            _ => None,
        })
        .await;
}

#[tokio::test]
async fn it_starts_with_the_secret_it_kept_and_can_fall_silent() {
    let folder = Folder::new("kept");
    let state = folder.0.join("state");
    std::fs::create_dir_all(&state).unwrap();
    let kept = format!(
        r#"{{"product_key":"pk1","device_key":"IMEI:0042","device_secret":"{DEVICE_SECRET}"}}"#
    );
    std::fs::write(state.join("device.json"), kept).unwrap();
    let mut cloud = Cloud::start("127.0.0.1:0").await;
    let mut device = Program::start(cloud.address, &folder.0, false);
    let session = cloud.online().await;
    cloud.published().await;
    assert_eq!(
        device.event("online").await.get("mode"),
        Some(&Json::from(2))
    );
    device.event("published").await;

    device.tell("silence").await;
    device.event("silent").await;
    let get = Request::new(Method::Get, "/light/1").unwrap();
    cloud
        .call(move |endpoint, now| endpoint.request(session, get, now).unwrap())
        .await;
    let heard = timeout(Duration::from_secs(3), cloud.outputs.recv()).await;
    assert!(heard.is_err(), "{heard:?}");
    device.tell("get /light/1").await;
    assert!(
        device
            .event("value")
            .await
            .to_string()
            .contains("\"power\":0")
    );
    device.tell("set /light/1 {\"power\":1000}").await;
    device.event("error").await;
    device.tell("quit").await;
    assert!(device.child.wait().await.unwrap().success());
}

#[tokio::test]
async fn without_any_secret_it_says_so() {
    let folder = Folder::new("nothing");
    let address = "127.0.0.1:9".parse().unwrap();
    let mut device = Program::start(address, &folder.0, false);
    assert!(!device.child.wait().await.unwrap().success());
}
