//! Several endpoints at one address, over real sockets on loopback.
#![cfg(all(feature = "psk-dtls", feature = "tokio", target_os = "linux"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

#[path = "support/site.rs"]
mod site;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU8;
use std::time::Duration;

use coap_psk::dtls::{SessionId, ShardNumber};
use coap_psk::{Code, Counters, Event, OfflineReason, Output, PskKey, Response, driver, option};
use tokio::sync::mpsc;
use tokio::time::timeout;

use site::{Device, Nat, SOON, Site, name};

const FOUR: NonZeroU8 = NonZeroU8::new(4).unwrap();
const DEVICES: usize = 64;

/// The session that a request came on, as the answer tells.
fn session_in(response: &Response) -> SessionId {
    assert_eq!(response.code, Code::CONTENT);
    SessionId(u64::from_be_bytes(response.payload[..].try_into().unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_of_many_ports_are_served_by_many_shards_and_all_learn_of_the_end() {
    let mut site = Site::open(FOUR).await;
    let mut devices = Vec::new();
    for number in 0..DEVICES {
        devices.push(Device::connect(number, site.address, Some(0)).await);
    }
    let sessions: BTreeMap<_, _> = (0..DEVICES)
        .map(|number| (number, site.all.session_of(&name(number)).unwrap()))
        .collect();
    for (number, device) in devices.iter_mut().enumerate() {
        // The answer says which session the request came on.
        assert_eq!(session_in(&device.ask().await), sessions[&number]);
    }
    let used: BTreeSet<_> = sessions.values().copied().map(ShardNumber::from).collect();
    assert!(used.len() > 1, "{used:?}");
    let each = site.all.call_all(|endpoint, _| endpoint.sessions()).await;
    assert_eq!((each.len(), each.iter().sum::<usize>()), (4, DEVICES));
    assert_eq!(site.all.counters().await, Counters::default());
    assert_eq!(site.all.forwarding(), driver::Forwarding::default());

    site.close().await;
    for device in &mut devices {
        assert_eq!(device.ends().await, OfflineReason::Closed);
    }
    let offline: BTreeSet<_> = site
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Offline { session, .. } => Some(session),
            _ => None,
        })
        .collect();
    assert_eq!(offline, sessions.into_values().collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_with_a_connection_id_keeps_its_session_when_it_comes_to_another_shard() {
    let mut site = Site::open(FOUR).await;
    let mut nat = Nat::open(site.address).await;
    let mut device = Device::connect(1, nat.address, Some(0)).await;
    let session = site.all.session_of(&name(1)).unwrap();
    // The system chooses by address: sooner or later, another one than before.
    for _ in 0..64 {
        nat.rebind().await;
        assert_eq!(session_in(&device.ask().await), session);
        if site.all.forwarding().forwarded > 0 {
            break;
        }
    }
    let forwarding = site.all.forwarding();
    assert!(forwarding.forwarded > 0, "it was always the same shard");
    assert_eq!(forwarding.dropped, 0);
    assert_eq!(site.all.session_of(&name(1)), Some(session));
    site.close().await;
    assert_eq!(device.ends().await, OfflineReason::Closed, "it was reached");
    let events = site.events();
    let online = |event: &&Event| matches!(event, Event::Online { .. });
    assert_eq!(events.iter().filter(online).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_begins_anew_at_another_shard_loses_its_session_before_without_another_word()
{
    let mut site = Site::open(FOUR).await;
    let mut sessions = Vec::new();
    let mut devices = Vec::new();
    while sessions.len() < 16 {
        // The same one, each time from another port, with nothing to be known by.
        devices.push(Device::connect(1, site.address, None).await);
        sessions.push(site.all.session_of(&name(1)).unwrap());
    }
    let shards: BTreeSet<_> = sessions.iter().copied().map(ShardNumber::from).collect();
    assert!(shards.len() > 1, "{shards:?}");
    let last = devices.last_mut().unwrap();
    assert_eq!(session_in(&last.ask().await), sessions[15]);
    let left = async {
        loop {
            let each = site.all.call_all(|endpoint, _| endpoint.sessions()).await;
            if each.iter().sum::<usize>() == 1 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, left).await.expect("the others end");

    site.close().await;
    let events = site.events();
    let (online, offline) = events.split_at(sessions.len());
    let mut before = None;
    for (event, session) in online.iter().zip(sessions) {
        assert!(
            matches!(event, Event::Online { session: new, replaced, .. } if (*new, *replaced) == (session, before)),
            "{event:?} after {before:?}"
        );
        before = Some(session);
    }
    assert!(
        matches!(offline, [Event::Offline { session, .. }] if Some(*session) == before),
        "{offline:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_that_waits_for_a_device_waits_at_its_next_session_wherever_that_is() {
    let mut site = Site::open(FOUR).await;
    let mut devices = vec![Device::connect(1, site.address, None).await];
    let session = site.all.session_of(&name(1)).unwrap();
    let command = "/topic/sys/product/device-1/thing/service/x";
    let announcing = site.all.call(session, move |endpoint, _| {
        endpoint.announce(&name(1), Some(command)).unwrap();
    });
    announcing.await.unwrap();
    let mut shards = BTreeSet::from([ShardNumber::from(session)]);
    while shards.len() < 3 {
        devices.push(Device::connect(1, site.address, None).await);
        let session = site.all.session_of(&name(1)).unwrap();
        shards.insert(session.into());
        let device = devices.last_mut().unwrap();
        // It takes a moment for the shards to tell each other.
        let named = async {
            loop {
                let response = device.ask().await;
                assert_eq!(session_in(&response), session);
                let mut options = response.options.iter();
                if let Some(named) = options.find(|it| it.number == option::ENOS_MAILBOX) {
                    return named.value.clone();
                }
            }
        };
        let named = timeout(SOON, named).await.expect("it waits on");
        assert_eq!(named, command.as_bytes());
    }
    site.close().await;
}

#[tokio::test]
async fn a_device_does_not_know_of_its_session_before_its_shard_could_tell() {
    let (all, mut shards) = driver::shards(NonZeroU8::MIN, driver::Queues::default());
    let socket = driver::bind((Ipv4Addr::LOCALHOST, 0).into(), NonZeroU8::MIN)
        .unwrap()
        .remove(0);
    let address = socket.local_addr().unwrap();
    let (sender, mut outputs) = mpsc::channel(1);
    let theirs = sender.clone();
    tokio::spawn(async move {
        let mut endpoint = site::endpoint(Some(shards[0].number()));
        shards[0].run(&socket, &mut endpoint, &theirs).await
    });
    let connecting = tokio::spawn(Device::connect(1, address, None));
    let Some(Output::KeyWanted { handshake, .. }) = timeout(SOON, outputs.recv()).await.unwrap()
    else {
        panic!("it asks for the key first")
    };
    let peer = address;
    let session = SessionId(0);
    let filling = sender.try_send(Output::Event(Event::Moved { session, peer }));
    filling.expect("there is room for one");
    let key = Some(PskKey::new(site::KEY));
    let providing = all.call(handshake, move |it, now| {
        it.provide_key(handshake, key, now);
        it.sessions()
    });
    assert_eq!(timeout(SOON, providing).await.unwrap(), Some(1));
    // What a call brought about is sent before the next one is taken.
    timeout(SOON, all.call(handshake, |_, _| ())).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!connecting.is_finished());
    assert_eq!(all.session_of(&name(1)), None);

    assert!(outputs.recv().await.is_some(), "that makes room");
    timeout(SOON, connecting).await.unwrap().unwrap();
    let session = all.session_of(&name(1)).unwrap();
    let online = outputs.recv().await;
    assert!(
        matches!(online, Some(Output::Event(Event::Online { session: it, .. })) if it == session),
        "{online:?}"
    );
}

#[tokio::test]
async fn a_call_to_a_shard_that_there_is_not_or_not_any_more_has_no_answer() {
    let mut site = Site::open(FOUR).await;
    assert_eq!(site.all.call(ShardNumber(3), |_, _| 7).await, Some(7));
    assert_eq!(site.all.call(ShardNumber(4), |_, _| 7).await, None);
    assert_eq!(site.all.call_all(|it, _| it.shard().0).await, [0, 1, 2, 3]);
    site.end(2).await;
    assert_eq!(site.all.call(ShardNumber(2), |_, _| 7).await, None);
    assert_eq!(site.all.call_all(|it, _| it.shard().0).await, [0, 1, 3]);
}

#[tokio::test]
async fn an_engine_that_numbers_its_sessions_as_another_shard_is_not_driven() {
    let (_all, mut shards) = driver::shards(FOUR, driver::Queues::default());
    let sockets = driver::bind((Ipv4Addr::LOCALHOST, 0).into(), FOUR).unwrap();
    let (outputs, _nobody) = mpsc::channel(1);
    let mut endpoint = site::endpoint(None);
    let refused = shards[1].run(&sockets[1], &mut endpoint, &outputs).await;
    assert_eq!(
        refused.unwrap_err().kind(),
        std::io::ErrorKind::InvalidInput
    );
}

#[tokio::test]
async fn sockets_share_an_address_with_each_other_and_with_nobody_who_was_there() {
    let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    for (first, second) in [(1, 1), (1, 4), (4, 1), (4, 4)] {
        let [first, second] = [first, second].map(|count| NonZeroU8::new(count).unwrap());
        let sockets = driver::bind(any, first).unwrap();
        let address = sockets[0].local_addr().unwrap();
        assert_eq!(sockets.len(), usize::from(first.get()));
        assert!(
            sockets
                .iter()
                .all(|socket| socket.local_addr().unwrap() == address)
        );
        let refused = driver::bind(address, second).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::AddrInUse);
    }
}
