//! From an event to a delivered notification, beside a client that posts the same bytes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use tokio::sync::mpsc;
use uci_model::{Content, ContentFormat};
use uci_server_core::driver::{Handle, handle, run as drive};
use uci_server_core::{Authentication, DeviceCloud, Occurrence};

use crate::sbs::fixtures;
use crate::sbs::net::{self, Server, Side};
use crate::sbs::outside::{Outside, report, send, sender};
use crate::sbs::world::{self, Unsealed};
use bench_harness::{Case, Limit, Run};

/// Each with a subscription of its own, and so at most one notification on its way.
const CONNECTIONS: usize = 10;
const BODY: usize = 1024;

pub(super) fn notify(run: &mut Run) {
    let runtime = net::runtime();
    let receiver = Server::start(net::swallow);
    let address = receiver.address;
    let [ours_count, peer_count, comfort_count] = [(); 3].map(|()| Arc::new(AtomicU64::new(0)));
    let duration = Duration::from_millis(run.scaled(250, 50) as u64);
    let pace = Pace::default();
    let ours = {
        let (count, pace) = (Arc::clone(&ours_count), pace.clone());
        Side::start(move || cloud(format!("http://{address}"), count, pace))
    };
    let peer = {
        let (count, pace) = (Arc::clone(&peer_count), pace.clone());
        Side::start(move || client(format!("http://{address}"), count, pace))
    };
    let comfort = {
        let (count, pace) = (Arc::clone(&comfort_count), pace.clone());
        Side::start(move || comfortable_client(format!("http://{address}"), count, pace))
    };
    let measured = |side, turn, count: Arc<AtomicU64>| -> Case<'_> {
        let (runtime, pace): (_, &Pace) = (&runtime, &pace);
        let side: &Side = side;
        Box::new(move || {
            runtime.block_on(async {
                let (began, before) = (side.cpu().await, count.load(Ordering::Relaxed));
                pace.0.store(turn, Ordering::Relaxed);
                tokio::time::sleep(duration).await;
                pace.0.store(0, Ordering::Relaxed);
                // What is on its way arrives, and is counted.
                tokio::time::sleep(Duration::from_millis(20)).await;
                let posted = count.load(Ordering::Relaxed) - before;
                (side.cpu().await - began) as f64 / posted.max(1) as f64 / 1000.0
            })
        })
    };
    let [ours, peer, comfort] = run.medians([
        measured(&ours, OURS, ours_count),
        measured(&peer, PEERS, peer_count),
        measured(&comfort, COMFORT, comfort_count),
    ]);
    run.row(
        "event to delivered, 1 KB, 10 connections, `hyper-util` client posting",
        "µs",
        (ours, peer),
        Limit::AtMost(1.4),
    );
    run.row(
        "the same, `reqwest` posting",
        "µs",
        (ours, comfort),
        Limit::AtMost(1.1),
    );
}

/// Whose turn it is to post.
#[derive(Clone, Default)]
struct Pace(Arc<AtomicU64>);

const OURS: u64 = 1;
const PEERS: u64 = 2;
const COMFORT: u64 = 3;

impl Pace {
    async fn turn_of(&self, whose: u64) {
        while self.0.load(Ordering::Relaxed) != whose {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// One account, device and subscription for each connection; each event waits until the one before has arrived.
async fn cloud(receiver: String, count: Arc<AtomicU64>, pace: Pace) {
    let mut told = BTreeMap::new();
    let mut arrivals = Vec::new();
    for number in 0..CONNECTIONS {
        let (sender, arrival) = mpsc::unbounded_channel();
        told.insert(format!("/{number}"), sender);
        arrivals.push(arrival);
    }
    let machine = DeviceCloud::new(world::config(), [7; 32], Arc::new(Unsealed));
    let (handle, commands) = handle(1024);
    tokio::spawn(drive(machine, commands, Arc::new(Outside::telling(told))));
    for (number, arrival) in arrivals.into_iter().enumerate() {
        let account = format!("account-{number}");
        let device = fixtures::device_id(number);
        for what in [
            Occurrence::Registered,
            Occurrence::LinksPublished(fixtures::links(number, 1)),
        ] {
            report(&handle, &account, device, what).await;
        }
        let href = fixtures::href(number, 0);
        let path = format!("/{device}{href}");
        let url = format!("{receiver}/{number}");
        let mut request = world::subscribe_request(&path, "resource_contentchanged", &url);
        let granted = Authentication::Granted(world::principal(&account));
        request.extensions_mut().insert(granted);
        assert_eq!(handle.answer(request).await.status(), StatusCode::CREATED);
        let (handle, count, pace) = (handle.clone(), Arc::clone(&count), pace.clone());
        tokio::spawn(events(handle, number, arrival, count, pace));
    }
    // Until the side is dropped.
    std::future::pending::<()>().await;
}

async fn events(
    handle: Handle,
    number: usize,
    mut arrival: mpsc::UnboundedReceiver<()>,
    count: Arc<AtomicU64>,
    pace: Pace,
) {
    let account = format!("account-{number}");
    let bodies = [body('a'), body('b')];
    for body in bodies.iter().cycle() {
        pace.turn_of(OURS).await;
        let what = Occurrence::RepresentationChanged {
            href: fixtures::href(number, 0),
            content: Content::new(ContentFormat::Json, body.clone()),
        };
        report(&handle, &account, fixtures::device_id(number), what).await;
        arrival.recv().await.expect("it arrives");
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// A representation of [`BODY`] bytes.
fn body(letter: char) -> Bytes {
    let members = r#"{"rt":["oic.r.switch.binary"],"value":true,"text":""}"#;
    let text = letter.to_string().repeat(BODY - members.len());
    members
        .replace(r#""text":"""#, &format!(r#""text":"{text}""#))
        .into()
}

/// Posts what a notification is, again and again.
async fn client(receiver: String, count: Arc<AtomicU64>, pace: Pace) {
    let sender = sender();
    for number in 0..CONNECTIONS {
        let (sender, count, pace) = (sender.clone(), Arc::clone(&count), pace.clone());
        let (body, uri) = (body('a'), format!("{receiver}/{number}"));
        tokio::spawn(async move {
            loop {
                pace.turn_of(PEERS).await;
                send(&sender, notification(&uri, body.clone()))
                    .await
                    .expect("sent");
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    std::future::pending::<()>().await;
}

/// As [`client`], with the client that most programs use.
async fn comfortable_client(receiver: String, count: Arc<AtomicU64>, pace: Pace) {
    let sender = reqwest::Client::new();
    for number in 0..CONNECTIONS {
        let (sender, count, pace) = (sender.clone(), Arc::clone(&count), pace.clone());
        let (body, uri) = (body('a'), format!("{receiver}/{number}"));
        tokio::spawn(async move {
            loop {
                pace.turn_of(COMFORT).await;
                let request = notification(&uri, body.clone());
                let request = reqwest::Request::try_from(request).expect("a request");
                let response = sender.execute(request).await.expect("sent");
                response.bytes().await.expect("a body");
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    std::future::pending::<()>().await;
}

fn notification(uri: &str, body: Bytes) -> Request<Bytes> {
    Request::post(uri)
        .header("content-type", "application/json")
        .header("event-type", "resource_contentchanged")
        .header("subscription-id", "00000000-0000-4000-8000-000000000001")
        .header("sequence-number", "1000000")
        .header("event-timestamp", "1700000000")
        .header("correlation-id", "bench")
        .header("event-signature", "0".repeat(64))
        .body(body)
        .expect("a request")
}
