//! The driver, over real sockets on loopback.
#![cfg(feature = "tokio")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

#[path = "support/plain.rs"]
mod plain;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use coap_psk::driver::{Handle, handle, run};
use coap_psk::{
    Code, Config, DeviceSecret, Endpoint, Event, Instant, KeyBytes, Method, OfflineReason, Output,
    PskIdentity, PskKey, Request, Response,
};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use plain::Plain;

const SOON: Duration = Duration::from_secs(20);

struct Driven {
    handle: Handle<Plain>,
    outputs: mpsc::Receiver<Output>,
    address: std::net::SocketAddr,
    task: JoinHandle<std::io::Result<()>>,
}

async fn drive(salt: u64) -> Driven {
    drive_on(
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap(),
        salt,
    )
}

fn drive_on(socket: UdpSocket, salt: u64) -> Driven {
    let address = socket.local_addr().unwrap();
    let (handle, mut calls) = handle(4);
    let (sender, outputs) = mpsc::channel(4);
    let task = tokio::spawn(async move {
        let mut endpoint = Endpoint::new(Config::default(), Plain::new(salt), [9; 32]);
        run(&socket, &mut endpoint, &mut calls, &sender).await
    });
    Driven {
        handle,
        outputs,
        address,
        task,
    }
}

async fn next(driven: &mut Driven) -> Output {
    timeout(SOON, driven.outputs.recv())
        .await
        .expect("an output in time")
        .expect("the driver runs")
}

fn key() -> PskKey {
    DeviceSecret::new("M3yy874uGY8INjEGddTR")
        .unwrap()
        .key(KeyBytes::FromOne)
}

#[tokio::test]
async fn a_device_and_a_cloud_talk_over_sockets_and_stop_when_their_handles_go() {
    let (mut cloud, mut device) = (drive(1).await, drive(2).await);
    let (to, identity): (_, PskIdentity) = (cloud.address, "product,device,2,60".parse().unwrap());
    let call = device
        .handle
        .call(move |endpoint, now| endpoint.connect(to, &identity, key(), now));
    let session = call.await.unwrap().unwrap();

    let Output::KeyWanted { handshake, .. } = next(&mut cloud).await else {
        panic!("no key wanted")
    };
    cloud
        .handle
        .call(move |endpoint, now| endpoint.provide_key(handshake, Some(key()), now))
        .await
        .unwrap();
    let Output::Event(Event::Online { .. }) = next(&mut device).await else {
        panic!("the device is not online")
    };
    let Output::Event(Event::Online { .. }) = next(&mut cloud).await else {
        panic!("the cloud does not see it")
    };

    let request = Request::new(Method::Post, "/up")
        .unwrap()
        .with_payload(0, vec![1; 3_000]);
    device
        .handle
        .call(move |endpoint, now| endpoint.request(session, request, now))
        .await
        .unwrap()
        .unwrap();
    let Output::Request {
        exchange, request, ..
    } = next(&mut cloud).await
    else {
        panic!("no request")
    };
    assert_eq!(request.payload.len(), 3_000);
    let response = Response::new(Code::CHANGED);
    cloud
        .handle
        .call(move |endpoint, now| endpoint.respond(exchange, response, now))
        .await
        .unwrap()
        .unwrap();
    let Output::Event(Event::Response { response, .. }) = next(&mut device).await else {
        panic!("no response")
    };
    assert_eq!(response.code, Code::CHANGED);

    device
        .handle
        .call(move |endpoint, now| endpoint.close(session, now))
        .await
        .unwrap();
    let Output::Event(Event::Offline { why, .. }) = next(&mut cloud).await else {
        panic!("not offline")
    };
    assert_eq!(why, OfflineReason::Closed);

    drop(device.handle);
    timeout(SOON, device.task).await.unwrap().unwrap().unwrap();
    drop(cloud.handle);
    timeout(SOON, cloud.task).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_deadline_wakes_the_endpoint_by_itself() {
    let mut device = drive(1).await;
    // Nobody listens here: the engine repeats its first flight, and gives up after a minute of virtual time.
    tokio::time::pause();
    let (to, identity): (_, PskIdentity) = (
        (Ipv4Addr::LOCALHOST, 9).into(),
        "product,device,2,60".parse().unwrap(),
    );
    device
        .handle
        .call(move |endpoint, now| endpoint.connect(to, &identity, key(), now))
        .await
        .unwrap()
        .unwrap();
    let output = device.outputs.recv().await.unwrap();
    let Output::Event(Event::Offline { why, .. }) = output else {
        panic!("{output:?}")
    };
    assert_eq!(why, OfflineReason::TimedOut);
}

#[tokio::test]
async fn calls_are_carried_out_while_nobody_reads_the_outputs() {
    let mut device = drive(1).await;
    let to = (Ipv4Addr::LOCALHOST, 9).into();
    for number in 0..9 {
        let identity: PskIdentity = format!("product,device-{number},2,60").parse().unwrap();
        let connecting = device
            .handle
            .call(move |endpoint, now| endpoint.connect(to, &identity, key(), now));
        connecting.await.unwrap().unwrap();
    }
    // More events than the channel has room for.
    let closing = device.handle.call(|endpoint, now| endpoint.close_all(now));
    timeout(SOON, closing).await.unwrap().unwrap();
    let counting = device.handle.call(|endpoint, _| endpoint.sessions());
    assert_eq!(timeout(SOON, counting).await.unwrap(), Some(0));
    for number in 0..9 {
        let Output::Event(Event::Offline { identity, .. }) = next(&mut device).await else {
            panic!("{number}")
        };
        let name = format!("device-{number}");
        assert_eq!(identity.device().device_key().as_str(), name, "in order");
    }
}

#[tokio::test]
async fn what_is_posted_runs_in_its_order_and_before_what_is_called_later() {
    let driven = drive(1).await;
    let (seen, mut noted) = mpsc::unbounded_channel();
    // More than the queue has room for.
    for number in 0..9 {
        let seen = seen.clone();
        let post = driven.handle.post(move |_, _| seen.send(number).unwrap());
        assert_eq!(timeout(SOON, post).await.unwrap(), Some(()));
    }
    assert_eq!(driven.handle.call(|_, _| ()).await, Some(()));
    let order: Vec<i32> = std::iter::from_fn(|| noted.try_recv().ok()).collect();
    assert_eq!(order, (0..9).collect::<Vec<_>>());
    driven.task.abort();
    let _ = driven.task.await;
    assert_eq!(driven.handle.post(|_, _| ()).await, None);
}

/// Over IPv4 and IPv6, more datagrams at a time than are taken with one wake-up.
#[cfg(feature = "psk-dtls")]
#[tokio::test]
async fn a_burst_is_answered_datagram_by_datagram() {
    use coap_psk::dtls::DtlsEndpoint as _;
    use coap_psk::dtls::psk::{PskConfig, PskEndpoint};

    let mut device = PskEndpoint::new(PskConfig::default(), [2; 32]);
    let cloud_at = (Ipv4Addr::LOCALHOST, 5_684).into();
    device
        .connect(cloud_at, b"product,device,2,60", key(), Instant::ZERO)
        .unwrap();
    let hello = device.poll_transmit().unwrap().datagram;
    for host in [
        IpAddr::from(Ipv4Addr::LOCALHOST),
        Ipv6Addr::LOCALHOST.into(),
    ] {
        let Ok(socket) = UdpSocket::bind((host, 0)).await else {
            assert!(host.is_ipv6(), "there are machines without IPv6");
            continue;
        };
        let address = socket.local_addr().unwrap();
        let mut devices = Vec::new();
        for _ in 0..150 {
            let device = UdpSocket::bind((host, 0)).await.unwrap();
            device.send_to(&hello, address).await.unwrap();
            devices.push(device);
        }
        let (_handle, mut calls) = handle(4);
        let (sender, _outputs) = mpsc::channel(4);
        tokio::spawn(async move {
            let dtls = PskEndpoint::new(PskConfig::default(), [1; 32]);
            let mut endpoint = Endpoint::new(Config::default(), dtls, [9; 32]);
            run(&socket, &mut endpoint, &mut calls, &sender).await
        });
        let mut cookies = BTreeSet::new();
        for device in devices {
            let mut buffer = [0; 128];
            let answer = timeout(SOON, device.recv_from(&mut buffer)).await;
            let (len, from) = answer.expect("an answer in time").unwrap();
            assert_eq!(from, address);
            cookies.insert(buffer[..len].to_vec());
        }
        assert_eq!(cookies.len(), 150, "each got its own");
    }
}

#[tokio::test]
async fn a_call_to_a_driver_that_is_gone_has_no_answer() {
    let driven = drive(1).await;
    driven.task.abort();
    let _ = driven.task.await;
    assert_eq!(driven.handle.call(|_, _| ()).await, None);
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_does_not_stop_the_driver() {
    let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let to = nobody.local_addr().unwrap();
    drop(nobody);
    // A connected socket is told what became of its datagrams, on every system.
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.connect(to).await.unwrap();
    let device = drive_on(socket, 1);
    let identity: PskIdentity = "product,device,2,60".parse().unwrap();
    device
        .handle
        .call(move |endpoint, now| endpoint.connect(to, &identity, key(), now))
        .await
        .unwrap()
        .unwrap();
    // Two repetitions of the first flight: each is refused.
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    assert_eq!(device.handle.call(|_, _| ()).await, Some(()));
    assert!(!device.task.is_finished());
}
