//! The servers under load: a UDP echo, and CoAP over the engine and the driver.

use std::io::Write as _;
use std::net::Ipv4Addr;

use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::{Code, Config, Endpoint, Output, Response, driver};
use socket2::SockRef;
use tokio::io::AsyncReadExt as _;
use tokio::net::UdpSocket;
use tokio::runtime::Builder;
use tokio::sync::mpsc;

use crate::peers;

/// How much the server's socket may hold, the most that a system usually allows.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;
/// How many outputs and calls may wait.
const QUEUE: usize = 4_096;
/// About as long as what libcoap's example server says at its root.
const ANSWER: [u8; 128] = [b'.'; 128];

/// Serves until the standard input ends, as it does when whoever began this process is gone.
pub(crate) fn serve(what: &str) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        SockRef::from(&socket)
            .set_recv_buffer_size(SOCKET_BUFFER)
            .expect("an option");
        println!("{}", socket.local_addr().expect("an address"));
        std::io::stdout().flush().expect("somebody reads");
        let ended = async {
            let mut nothing = [0];
            while matches!(tokio::io::stdin().read(&mut nothing).await, Ok(1..)) {}
        };
        tokio::select! {
            () = ended => {}
            () = async {
                match what {
                    "echo" => echo(&socket).await,
                    _ => coaps(&socket).await,
                }
            } => {}
        }
    });
}

async fn echo(socket: &UdpSocket) {
    let mut buffer = vec![0; 65_536];
    loop {
        let (len, from) = socket.recv_from(&mut buffer).await.expect("a datagram");
        let _ = socket.send_to(&buffer[..len], from).await;
    }
}

/// The whole way of a real server: engine, message layer, driver, and an application behind its channels.
async fn coaps(socket: &UdpSocket) {
    let mut config = Config::default();
    config.max_sessions = 200_000;
    let mut dtls = PskConfig::default();
    dtls.max_sessions = 210_000;
    let dtls = PskEndpoint::new(dtls, [1; 32]);
    let mut endpoint = Endpoint::new(config, dtls, [2; 32]);
    let (calls, mut ends) = driver::handle(QUEUE);
    let (sender, mut outputs) = mpsc::channel(QUEUE);
    let application = async {
        while let Some(output) = outputs.recv().await {
            match output {
                Output::KeyWanted {
                    handshake,
                    identity,
                } => {
                    let key = peers::is_known(&identity).then(peers::key);
                    let call = calls.call(move |endpoint: &mut Endpoint<_>, now| {
                        endpoint.provide_key(handshake, key, now);
                    });
                    call.await.expect("the driver runs");
                }
                Output::Request { exchange, .. } => {
                    let answer = Response::new(Code::CONTENT).with_payload(0, &ANSWER[..]);
                    let call = calls.call(move |endpoint: &mut Endpoint<_>, now| {
                        endpoint.respond(exchange, answer, now)
                    });
                    call.await.expect("the driver runs").expect("a good answer");
                }
                Output::Transmit(_) | Output::Event(_) => {}
            }
        }
    };
    let driving = driver::run(socket, &mut endpoint, &mut ends, &sender);
    let (driven, ()) = tokio::join!(driving, application);
    driven.expect("a socket");
}
