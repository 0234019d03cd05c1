//! Prints how much happens in a second of CPU time when turmoil plays what the plain loop beside the simulation of server and
//! client plays: messages to four subscribers in order, each until it is acknowledged, over a network that loses some.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "figures go to the terminal, and a run that does not work has none"
)]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bench_harness::clock;
use tokio::task::JoinSet;
use tokio::time::timeout;
use turmoil::net::UdpSocket;

/// Whom there is to deliver to.
const SUBSCRIBERS: u16 = 4;
const PORT: u16 = 5683;

fn main() {
    let messages = std::env::args().nth(1).and_then(|it| it.parse().ok());
    let began = clock::process_cpu();
    let happenings = play(messages.unwrap_or(1000));
    let taken = clock::process_cpu() - began;
    println!("{}", happenings * 1_000_000_000 / taken.max(1));
}

/// So many messages to each subscriber; how much happened: what arrived, either way, and what was to be sent again at a time.
fn play(messages: u64) -> u64 {
    let happenings = Arc::new(AtomicU64::new(0));
    let mut world = turmoil::Builder::new()
        .rng_seed(1)
        .simulation_duration(Duration::MAX)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(20))
        .build();
    for subscriber in 0..SUBSCRIBERS {
        let counted = Arc::clone(&happenings);
        world.host(name_of(subscriber), move || {
            let counted = Arc::clone(&counted);
            async move {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
                let (mut message, mut arrived) = ([0; 8], 0_u64);
                loop {
                    let (_, from) = socket.recv_from(&mut message).await?;
                    counted.fetch_add(1, Relaxed);
                    arrived += 1;
                    if !is_lost(arrived) {
                        socket.send_to(&message, from).await?;
                    }
                }
            }
        });
    }
    let counted = Arc::clone(&happenings);
    world.client("cloud", async move {
        let mut deliveries = JoinSet::new();
        for subscriber in 0..SUBSCRIBERS {
            deliveries.spawn(deliver(subscriber, messages, Arc::clone(&counted)));
        }
        while let Some(done) = deliveries.join_next().await {
            done??;
        }
        Ok(())
    });
    world.run().expect("everything is delivered");
    happenings.load(Relaxed)
}

async fn deliver(subscriber: u16, messages: u64, counted: Arc<AtomicU64>) -> std::io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT + 1 + subscriber)).await?;
    let (mut acknowledged, mut sent) = ([0; 8], 0_u64);
    for number in 0..messages {
        let mut patience = Duration::from_millis(200);
        'until_acknowledged: loop {
            sent += 1;
            if !is_lost(sent) {
                let to = (name_of(subscriber), PORT);
                socket.send_to(&number.to_be_bytes(), to).await?;
            }
            counted.fetch_add(1, Relaxed);
            while let Ok(came) = timeout(patience, socket.recv_from(&mut acknowledged)).await {
                came?;
                counted.fetch_add(1, Relaxed);
                if acknowledged == number.to_be_bytes() {
                    break 'until_acknowledged;
                }
            }
            patience *= 2;
        }
    }
    Ok(())
}

fn name_of(subscriber: u16) -> String {
    format!("subscriber-{subscriber}")
}

/// One in twenty.
fn is_lost(count: u64) -> bool {
    count.is_multiple_of(20)
}
