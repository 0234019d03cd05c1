//! A listener on a real socket whose certificate changes under it.

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use http::{Response, StatusCode};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::certificates::{DevelopmentCa, client_config};
use crate::clock;
use crate::https::{self, Limits, Transport};

/// A folder with a CA, two certificates of it, and the files that the listener reads.
struct Bench {
    dir: PathBuf,
    ca: DevelopmentCa,
    files: Files,
}

impl Bench {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("reload-{name}-{}", clock::unix_millis()));
        std::fs::create_dir_all(&dir).expect("folder");
        let ca = DevelopmentCa::open(&dir).expect("CA");
        let files = Files {
            certificate: dir.join("served.pem"),
            private_key: dir.join("served.key.pem"),
        };
        let bench = Self { dir, ca, files };
        bench.serve("first");
        bench
    }

    /// Has another certificate of the CA stand in the files.
    fn serve(&self, name: &str) {
        let (certificate, key) = self.ca.issue(name, &["localhost"]).expect("certificate");
        std::fs::copy(certificate, &self.files.certificate).expect("copy");
        std::fs::copy(key, &self.files.private_key).expect("copy");
    }

    async fn connect(&self, to: SocketAddr) -> TlsStream<TcpStream> {
        let settings = client_config(&[self.ca.certificate()]).expect("client");
        let stream = TcpStream::connect(to).await.expect("connect");
        let name = ServerName::try_from("localhost").expect("name");
        TlsConnector::from(Arc::new(settings))
            .connect(name, stream)
            .await
            .expect("handshake")
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

/// The certificate that a connection was shown.
fn shown(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    let (_, session) = stream.get_ref();
    session.peer_certificates().expect("certificates")[0].to_vec()
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> String {
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).await.expect("write");
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).await.expect("read");
    String::from_utf8_lossy(&answer).into_owned()
}

async fn listen(settings: watch::Receiver<Arc<ServerConfig>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    let limits = Limits {
        max_body_bytes: 1024,
        max_connections: 8,
    };
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(async move {
        let handler = |_| async {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = StatusCode::OK;
            response
        };
        https::serve(
            listener,
            Transport::Tls(settings),
            limits,
            handler,
            stopping,
        )
        .await;
        drop(stop);
    });
    address
}

#[tokio::test]
async fn new_connections_get_the_new_certificate_and_open_ones_go_on() {
    let bench = Bench::new("changes");
    let (mut reloader, settings) =
        Reloader::start(bench.files.clone(), Arc::default()).expect("start");
    let address = listen(settings).await;
    let mut old = bench.connect(address).await;
    assert_eq!(ask(&mut old).await, "HTTP/1.1 200 OK");

    bench.serve("second");
    reloader.look(false);
    let new = bench.connect(address).await;
    assert_ne!(shown(&new), shown(&old));
    let mut rest = [0; 4096];
    let _ = old.read(&mut rest).await.expect("the rest of the answer");
    assert_eq!(ask(&mut old).await, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn files_that_cannot_be_used_leave_the_former_ones_in_place() {
    let bench = Bench::new("breaks");
    let (mut reloader, settings) =
        Reloader::start(bench.files.clone(), Arc::default()).expect("start");
    let address = listen(settings).await;
    let before = shown(&bench.connect(address).await);

    let other_key = bench.ca.issue("second", &["localhost"]).expect("issue").1;
    let breaks: [&dyn Fn(&Path, &Path); 4] = [
        &|certificate, _| std::fs::write(certificate, "no certificate").expect("write"),
        &|certificate, _| std::fs::remove_file(certificate).expect("remove"),
        &|_, key| std::fs::write(key, "no key").expect("write"),
        // The new key is there before its certificate is.
        &|_, key| assert!(std::fs::copy(&other_key, key).is_ok()),
    ];
    for damage in breaks {
        bench.serve("first");
        damage(&bench.files.certificate, &bench.files.private_key);
        reloader.look(false);
        assert_eq!(shown(&bench.connect(address).await), before);
    }
    bench.serve("second");
    reloader.look(false);
    assert_ne!(shown(&bench.connect(address).await), before);
}
