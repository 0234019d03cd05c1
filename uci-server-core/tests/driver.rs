//! The tokio driver with a paused clock.

#![cfg(feature = "tokio")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

#[path = "rig/rig.rs"]
mod rig;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use rig::{
    Journal, LIGHT, Labels, account, cbor, device, granted, link, request, subscribe_request,
};
use tower_service::Service as _;
use uci_server_core::driver::{self, Handle, Outside};
use uci_server_core::{
    Append, Appended, Config, DeviceAnswer, DeviceCloud, DeviceReport, DeviceRequest, ErrorKind,
    Event, Loaded, Occurrence, Opened, SealError, Sealer, Snapshot, TransportFailure,
};

#[derive(Default)]
struct Fake {
    journal: Mutex<Journal>,
    delivered: Mutex<Vec<(u64, String)>>,
    failures: Mutex<u32>,
    silent_device: bool,
    /// Notifications with a body never end.
    hanging_receiver: bool,
    /// How many notifications were given up before they ended.
    given_up: Mutex<u32>,
    broken_gateway: bool,
    broken_journal: bool,
    loads: Mutex<u32>,
}

/// Counts that it was dropped.
struct GivenUp<'a>(&'a Mutex<u32>);

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        *self.0.lock().unwrap() += 1;
    }
}

impl Outside for Fake {
    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    async fn load(&self, stream: String) -> Option<Loaded> {
        *self.loads.lock().unwrap() += 1;
        (!self.broken_journal).then(|| self.journal.lock().unwrap().load(&stream))
    }

    async fn append(&self, append: Append) -> Appended {
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.journal.lock().unwrap().append(&append)
    }

    async fn save_snapshot(&self, stream: String, snapshot: Snapshot) -> bool {
        let mut journal = self.journal.lock().unwrap();
        journal.snapshots.insert(stream, snapshot);
        true
    }

    async fn erase(&self, stream: String) -> bool {
        self.journal.lock().unwrap().erase(&stream);
        true
    }

    async fn ask(&self, request: DeviceRequest) -> DeviceAnswer {
        if self.silent_device {
            std::future::pending::<()>().await;
        }
        assert!(!self.broken_gateway, "as a bug in it would");
        assert_eq!(request.href.as_str(), LIGHT);
        DeviceAnswer::answered(69, Some(cbor("{\"on\":true}")), None)
    }

    async fn deliver(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportFailure> {
        {
            let mut failures = self.failures.lock().unwrap();
            if *failures > 0 {
                *failures -= 1;
                return Err(TransportFailure::Connection);
            }
        }
        let told = rig::read_notification(&request);
        if self.hanging_receiver && !told.body.is_empty() {
            let _given_up = GivenUp(&self.given_up);
            std::future::pending::<()>().await;
        }
        self.delivered
            .lock()
            .unwrap()
            .push((told.sequence, told.event));
        Ok(Response::new(Bytes::new()))
    }

    fn note(&self, event: Event) {
        assert!(
            matches!(event, Event::SubscriptionEnded { .. }),
            "{event:?}"
        );
    }
}

fn run(fake: Fake) -> (Handle, Arc<Fake>, tokio::task::JoinHandle<()>) {
    run_with(Config::default(), fake)
}

fn run_with(config: Config, fake: Fake) -> (Handle, Arc<Fake>, tokio::task::JoinHandle<()>) {
    let fake = Arc::new(fake);
    let (handle, commands) = driver::handle(8);
    let cloud = DeviceCloud::new(config, [3; 32], Arc::new(Labels));
    let task = tokio::spawn(driver::run(cloud, commands, fake.clone()));
    (handle, fake, task)
}

async fn call(handle: &Handle, mut request: Request<Bytes>) -> Response<Bytes> {
    request.extensions_mut().insert(granted("alice", "g1"));
    handle.clone().call(request).await.unwrap()
}

/// A light, and a subscription to it whose receiver takes notifications and does not answer.
async fn watched_by_one_who_hangs() -> (Handle, Arc<Fake>) {
    let (handle, fake, _) = run(Fake {
        hanging_receiver: true,
        ..Fake::default()
    });
    light(&handle).await;
    let path = format!("/{}{LIGHT}", device(1));
    let subscribe = subscribe_request(&path, &["resource_contentchanged"]);
    assert_eq!(call(&handle, subscribe).await.status(), StatusCode::CREATED);
    (handle, fake)
}

async fn light(handle: &Handle) {
    let href = LIGHT.parse().unwrap();
    for what in [
        Occurrence::Registered,
        Occurrence::Online,
        Occurrence::LinksPublished(vec![link(LIGHT)]),
        Occurrence::RepresentationChanged {
            href,
            content: cbor("{}"),
        },
    ] {
        let report = DeviceReport::new(account("alice"), device(1), 1, what);
        handle.report(report).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn requests_reports_and_deliveries_go_through() {
    let failures = Mutex::new(3);
    let (handle, fake, task) = run(Fake {
        failures,
        ..Fake::default()
    });
    light(&handle).await;
    let path = format!("/{}{LIGHT}", device(1));
    let read = call(&handle, request(Method::GET, &path)).await;
    assert_eq!(read.body().as_ref(), b"{\"on\":true}");
    let subscribe = subscribe_request(&path, &["resource_contentchanged"]);
    assert_eq!(call(&handle, subscribe).await.status(), StatusCode::CREATED);
    // Three failures, three delays.
    tokio::time::sleep(Duration::from_secs(30)).await;
    let first = (0, "resource_contentchanged".to_owned());
    assert_eq!(
        *fake.delivered.lock().unwrap(),
        std::slice::from_ref(&first)
    );
    handle
        .end_grant(account("alice"), "g1".parse().unwrap())
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let last = (1, "subscription_cancelled".to_owned());
    assert_eq!(*fake.delivered.lock().unwrap(), [first, last]);
    handle.wake(account("alice")).await.unwrap();
    drop(handle);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_being_told_under_a_grant_is_dropped_before_its_end_is_acknowledged() {
    let (handle, fake) = watched_by_one_who_hangs().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = tokio::time::Instant::now();
    let grant = "g1".parse().unwrap();
    handle.end_grant(account("alice"), grant).await.unwrap();
    assert_eq!(*fake.given_up.lock().unwrap(), 1);
    // Not when the attempt has had its time: as soon as the end is durable.
    assert!(before.elapsed() < Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let last = (1, "subscription_cancelled".to_owned());
    assert_eq!(*fake.delivered.lock().unwrap(), [last]);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_is_dropped() {
    let (_handle, fake) = watched_by_one_who_hangs().await;
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(*fake.given_up.lock().unwrap(), 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(*fake.given_up.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_operator_hands_over_removes_exports_and_erases() {
    let (handle, _, _) = run(Fake::default());
    light(&handle).await;
    let (alice, bob) = (account("alice"), account("bob"));
    let transferred = handle.transfer_device(device(1), bob.clone()).await;
    assert_eq!(transferred.unwrap(), 2);
    let export = handle.export_account(bob.clone()).await.unwrap();
    assert_eq!(export.devices[0].device, device(1));
    assert!(
        handle
            .export_account(alice)
            .await
            .unwrap()
            .devices
            .is_empty()
    );
    assert_eq!(handle.remove_device(device(1)).await.unwrap(), 2);
    let gone = handle.remove_device(device(1)).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    handle.erase_account(bob).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_without_authentication_gets_a_challenge() {
    let (handle, _, _) = run(Fake::default());
    let response = handle.answer(request(Method::GET, "")).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn a_silent_device_is_a_504_in_its_time() {
    let (handle, _, _) = run(Fake {
        silent_device: true,
        ..Fake::default()
    });
    light(&handle).await;
    let start = tokio::time::Instant::now();
    let response = call(
        &handle,
        request(Method::GET, &format!("/{}{LIGHT}", device(1))),
    )
    .await;
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_panic_outside_holds_up_nothing_else() {
    let (handle, _, _) = run(Fake {
        broken_gateway: true,
        ..Fake::default()
    });
    light(&handle).await;
    let start = tokio::time::Instant::now();
    let read = call(
        &handle,
        request(Method::GET, &format!("/{}{LIGHT}", device(1))),
    );
    let report = async {
        let report = DeviceReport::new(account("alice"), device(1), 1, Occurrence::Offline);
        handle.report(report).await.unwrap();
        start.elapsed()
    };
    let (response, reported) = tokio::join!(read, report);
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    assert!(reported < Duration::from_millis(100), "{reported:?}");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_cannot_be_loaded_is_tried_again_every_few_seconds_however_many_ask() {
    let (handle, fake, _) = run(Fake {
        broken_journal: true,
        ..Fake::default()
    });
    for _ in 0..20 {
        let response = call(&handle, request(Method::GET, "")).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    *fake.loads.lock().unwrap() = 0;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let loads = *fake.loads.lock().unwrap();
    assert!((11..=12).contains(&loads), "{loads}");
}

#[tokio::test(start_paused = true)]
async fn a_stopped_cloud_says_so() {
    let (handle, commands) = driver::handle(1);
    drop(commands);
    assert_eq!(
        call(&handle, request(Method::GET, "")).await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    let report = DeviceReport::new(account("alice"), device(1), 1, Occurrence::Online);
    assert_eq!(
        handle.report(report).await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_before_the_task_has_begun_waits_for_it() {
    let (handle, commands) = driver::handle(1);
    let early = tokio::spawn(async move { call(&handle, request(Method::GET, "")).await.status() });
    tokio::task::yield_now().await;
    assert!(!early.is_finished());
    let cloud = DeviceCloud::new(Config::default(), [3; 32], Arc::new(Labels));
    let outside = Arc::new(Fake::default());
    let ((), answered) = tokio::join!(driver::run(cloud, commands, outside), early);
    assert_eq!(answered.unwrap(), StatusCode::OK);
}

struct BrokenSealer;

impl Sealer for BrokenSealer {
    fn seal(&self, _: &str, _: &str, _: [u8; 32], _: &[u8]) -> Result<Vec<u8>, SealError> {
        panic!("as a bug in it would")
    }

    fn open(&self, _: &str, _: &str, _: &[u8]) -> Result<Opened, SealError> {
        Err(SealError::new())
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_panicked_answers_nobody_and_its_task_ends() {
    let (handle, commands) = driver::handle(8);
    let cloud = DeviceCloud::new(Config::default(), [3; 32], Arc::new(BrokenSealer));
    let task = tokio::spawn(driver::run(cloud, commands, Arc::new(Fake::default())));
    light(&handle).await;
    let path = format!("/{}{LIGHT}", device(1));
    let subscriber = handle.clone();
    let subscribing = tokio::spawn(async move {
        let subscribe = subscribe_request(&path, &["resource_contentchanged"]);
        call(&subscriber, subscribe).await
    });
    assert!(subscribing.await.unwrap_err().is_panic());
    task.await.unwrap();
    let list = call(&handle, request(Method::GET, "")).await;
    assert_eq!(list.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_is_cancelled() {
    let mut config = Config::default();
    config.client.in_flight = 1;
    let (handle, _, _) = run_with(
        config,
        Fake {
            silent_device: true,
            ..Fake::default()
        },
    );
    light(&handle).await;
    let read = || request(Method::GET, &format!("/{}{LIGHT}", device(1)));
    for _ in 0..3 {
        // The caller gives up long before the device's time is over, and its place is free again.
        let patience = Duration::from_secs(1);
        let gave_up = tokio::time::timeout(patience, call(&handle, read())).await;
        assert!(gave_up.is_err());
    }
    let list = call(&handle, request(Method::GET, "")).await;
    assert_eq!(list.status(), StatusCode::OK);
    let waiting = call(&handle, read());
    let other = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        call(&handle, request(Method::GET, "")).await.status()
    };
    let (waited, refused) = tokio::join!(waiting, other);
    assert_eq!(waited.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(refused, StatusCode::TOO_MANY_REQUESTS);
}
