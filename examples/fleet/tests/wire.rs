//! A fleet on a real socket.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    missing_docs,
    unreachable_pub
)]

#[path = "support/cloud.rs"]
mod cloud;

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coap_psk::driver::{handle, run};
use coap_psk::{Method, Request};
use device_fleet::{Fleet, Plan, Wire};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use cloud::{Cloud, endpoint, members};

#[tokio::test]
async fn five_hundred_devices_on_one_socket_are_five_hundred_peers() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (calls, mut ends) = handle(64);
        // Room for whatever comes while an answer is under way.
        let (sender, mut outputs) = mpsc::channel(4_096);
        let mut endpoint = endpoint(7);
        let app = async move {
            let cloud = Arc::new(Mutex::new(Cloud::new(500)));
            while let Some(output) = outputs.recv().await {
                let cloud = Arc::clone(&cloud);
                calls
                    .call(move |endpoint, now| cloud.lock().unwrap().take(endpoint, output, now))
                    .await;
            }
        };
        tokio::join!(run(&socket, &mut endpoint, &mut ends, &sender), app).0
    });

    let mut wire = Wire::open(address).await.unwrap();
    let mut plan = Plan::new(Request::new(Method::Post, "/up").unwrap());
    (plan.requests, plan.interval, plan.arrivals) = (Some(5), Duration::ZERO, 0);
    plan.at_once = 32;
    let mut fleet = Fleet::new(
        members(500),
        plan,
        wire.port(),
        [[1; 32], [2; 32]],
        wire.now(),
    );
    let limit = wire.now().saturating_add(Duration::from_secs(60));
    wire.drive(&mut fleet, limit).await.unwrap();
    let tally = fleet.tally();
    assert!(fleet.is_settled(), "{:?}", tally.failures);
    assert_eq!((tally.online, tally.failed()), (500, 0));
    assert_eq!(tally.requests.count(), 2_500);
    wire.leave(&mut fleet).await;
    assert_eq!(fleet.tally().online, 0);
    serving.abort();
}

#[tokio::test]
async fn a_cloud_elsewhere_is_refused() {
    for elsewhere in ["192.0.2.1:5684", "[::1]:5684"] {
        assert!(Wire::open(elsewhere.parse().unwrap()).await.is_err());
    }
}
