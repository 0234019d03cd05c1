//! A real listener on loopback.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

/// What was asked is answered, and its place is free again, though the sender has closed its side.
#[tokio::test]
async fn who_has_asked_may_close_and_is_answered() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("listener");
    let address = listener.local_addr().expect("address");
    let limits = Limits {
        max_body_bytes: 1024,
        max_connections: 1,
    };
    let (stop, stopped) = watch::channel(false);
    let handler = |_| async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Response::new(Bytes::from_static(b"done"))
    };
    let server = tokio::spawn(serve(listener, Transport::Plain, limits, handler, stopped));
    for _ in 0..2 {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let request = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
        stream.write_all(request).await.expect("sent");
        stream.shutdown().await.expect("closed");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(answer.ends_with("done"), "{answer}");
    }
    stop.send(true).expect("it listens");
    server.await.expect("it ends");
}
