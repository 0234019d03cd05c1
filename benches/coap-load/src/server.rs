//! The servers under load: a UDP echo, and CoAP over the engine and the driver.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::num::NonZeroU8;
use std::thread;

use coap_psk::driver::{self, Shard, Shards};
use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::{Code, Config, Endpoint, Output, Response};
use socket2::SockRef;
use tokio::io::AsyncReadExt as _;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::peers::{self, runtime};

/// How much the server's socket may hold, the most that a system usually allows.
const SOCKET_BUFFER: usize = 4 * 1024 * 1024;
/// How many outputs and calls may wait.
const QUEUE: usize = 4_096;
/// About as long as what libcoap's example server says at its root.
const ANSWER: [u8; 128] = [b'.'; 128];

/// Serves until the standard input ends, as it does when whoever began this process is gone.
pub(crate) fn serve(what: &str, shards: NonZeroU8) {
    runtime().block_on(async {
        let count = if what == "echo" {
            NonZeroU8::MIN
        } else {
            shards
        };
        let sockets = driver::bind((Ipv4Addr::LOCALHOST, 0).into(), count).expect("a port");
        for socket in &sockets {
            SockRef::from(socket)
                .set_recv_buffer_size(SOCKET_BUFFER)
                .expect("an option");
        }
        println!("{}", sockets[0].local_addr().expect("an address"));
        std::io::stdout().flush().expect("somebody reads");
        let ended = async {
            let mut nothing = [0];
            while matches!(tokio::io::stdin().read(&mut nothing).await, Ok(1..)) {}
        };
        tokio::select! {
            () = ended => {}
            () = async {
                match what {
                    "echo" => echo(&sockets[0]).await,
                    _ => all_coaps(sockets, count).await,
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

/// Each shard on a thread of its own, the first one on this.
async fn all_coaps(sockets: Vec<UdpSocket>, count: NonZeroU8) {
    let mut queues = driver::Queues::default();
    queues.calls = QUEUE;
    let (all, shards) = driver::shards(count, queues);
    let mut shards = sockets.into_iter().zip(shards);
    let (socket, shard) = shards.next().expect("at least one");
    for (socket, shard) in shards {
        let (socket, all) = (socket.into_std().expect("a socket"), all.clone());
        thread::spawn(move || {
            runtime().block_on(async {
                let socket = UdpSocket::from_std(socket).expect("a socket");
                coaps(&socket, shard, all, count).await;
            });
        });
    }
    coaps(&socket, shard, all, count).await;
}

/// The whole way of a real server: engine, message layer, driver, and an application behind its channels.
async fn coaps(
    socket: &UdpSocket,
    mut shard: Shard<PskEndpoint>,
    calls: Shards<PskEndpoint>,
    count: NonZeroU8,
) {
    let mut config = Config::default();
    config.max_sessions = 200_000;
    let mut dtls = PskConfig::default();
    dtls.max_sessions = 210_000;
    dtls.shard = (count > NonZeroU8::MIN).then(|| shard.number());
    let dtls = PskEndpoint::new(dtls, [1; 32]);
    let mut endpoint = Endpoint::new(config, dtls, [2; 32]);
    // One for each shard: nobody here asks who is online.
    let (sender, mut outputs) = mpsc::channel(QUEUE);
    let application = async {
        while let Some(output) = outputs.recv().await {
            match output {
                Output::KeyWanted {
                    handshake,
                    identity,
                } => {
                    let key = peers::is_known(&identity).then(peers::key);
                    let call = calls.post(handshake, move |endpoint, now| {
                        endpoint.provide_key(handshake, key, now);
                    });
                    call.await.expect("the driver runs");
                }
                Output::Request { exchange, .. } => {
                    let answer = Response::new(Code::CONTENT).with_payload(0, &ANSWER[..]);
                    let call = calls.post(exchange, move |endpoint, now| {
                        let answered = endpoint.respond(exchange, answer, now);
                        answered.expect("a good answer");
                    });
                    call.await.expect("the driver runs");
                }
                Output::Transmit(_) | Output::Event(_) => {}
            }
        }
    };
    let driving = shard.run(socket, &mut endpoint, &sender);
    let (driven, ()) = tokio::join!(driving, application);
    driven.expect("a socket");
}
