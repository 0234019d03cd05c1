//! More devices than sessions: who keeps a place, who gives way, and how all of them are told to go.
#![cfg(feature = "dtls")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    dead_code,
    missing_docs
)]

#[path = "support/records.rs"]
mod records;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use coap_psk::dtls::SessionId;
use coap_psk::{Config, Event, OfflineReason, Output};

use records::Cloud;

fn source(host: u32) -> SocketAddr {
    (Ipv4Addr::from_bits(0x0a00_0000 + host), 5_684).into()
}

fn identity(device: u32, lifetime: u32) -> String {
    format!("product,device-{device},2,{lifetime}")
}

/// A cloud with two places, and the device 1 in one of them, which is never silent for its lifetime.
fn cloud() -> Cloud {
    let mut config = Config::default();
    config.max_sessions = 2;
    let mut cloud = Cloud::new(config);
    cloud.connect(source(1), &identity(1, 86_400));
    cloud
}

fn wait(cloud: &mut Cloud, secs: u64) {
    cloud.now = cloud.now.saturating_add(Duration::from_secs(secs));
    cloud.endpoint.handle_timeout(cloud.now);
    cloud.drain();
}

/// A device tries to get a session; those that went offline on the way, and whether it came online.
fn visit(cloud: &mut Cloud, device: u32, lifetime: u32) -> (Vec<SessionId>, bool) {
    cloud.outputs.clear();
    cloud.hello(source(device));
    cloud.name(source(device), &identity(device, lifetime));
    cloud.answer_keys(true);
    let gone = ended(cloud);
    let online = cloud
        .outputs
        .iter()
        .any(|output| matches!(output, Output::Event(Event::Online { .. })));
    (gone, online)
}

fn ended(cloud: &Cloud) -> Vec<SessionId> {
    let ended = cloud.outputs.iter().filter_map(|output| match output {
        Output::Event(Event::Offline { session, why, .. }) if *why == OfflineReason::Closed => {
            Some(*session)
        }
        _ => None,
    });
    ended.collect()
}

fn answers(cloud: &mut Cloud, device: u32) -> bool {
    cloud.sent.clear();
    // A ping.
    cloud.message(source(device), b"\x40\x00\x00\x01");
    cloud.sent == [(source(device), b"\x70\x00\x00\x01".to_vec())]
}

#[test]
fn a_stranger_takes_no_place_from_a_device_that_is_online() {
    let mut cloud = cloud();
    cloud.connect(source(2), &identity(2, 30));
    wait(&mut cloud, 29);
    for stranger in 10..20 {
        assert_eq!(visit(&mut cloud, stranger, 30), (vec![], false));
    }
    assert!(answers(&mut cloud, 1) && answers(&mut cloud, 2));
    let counters = cloud.endpoint.counters();
    assert_eq!(
        (counters.sessions_refused, counters.sessions_evicted),
        (10, 0)
    );
}

#[test]
fn who_has_been_silent_for_longest_beyond_its_lifetime_gives_way() {
    let mut config = Config::default();
    config.max_sessions = 3;
    let mut cloud = Cloud::new(config);
    cloud.connect(source(1), &identity(1, 86_400));
    // The later one has the shorter lifetime, and is offline first.
    let long = cloud.connect(source(2), &identity(2, 60));
    let short = cloud.connect(source(3), &identity(3, 30));
    wait(&mut cloud, 30);
    wait(&mut cloud, 30);
    assert_eq!(visit(&mut cloud, 4, 86_400), (vec![short], true));
    assert_eq!(visit(&mut cloud, 5, 86_400), (vec![long], true));
    assert_eq!(visit(&mut cloud, 6, 86_400), (vec![], false));
    assert!(!answers(&mut cloud, 2) && !answers(&mut cloud, 3));
    for device in [1, 4, 5] {
        assert!(answers(&mut cloud, device), "device {device}");
    }
    let counters = cloud.endpoint.counters();
    assert_eq!(
        (counters.sessions_refused, counters.sessions_evicted),
        (1, 2)
    );
}

#[test]
fn a_silent_device_that_is_heard_again_keeps_its_place() {
    let mut cloud = cloud();
    cloud.connect(source(2), &identity(2, 30));
    wait(&mut cloud, 31);
    assert!(answers(&mut cloud, 2));
    assert_eq!(visit(&mut cloud, 3, 30), (vec![], false));
    assert!(answers(&mut cloud, 2));
}

#[test]
fn a_device_that_comes_again_takes_its_own_place_and_nobody_elses() {
    let mut cloud = cloud();
    cloud.connect(source(2), &identity(2, 30));
    wait(&mut cloud, 31);
    assert_eq!(visit(&mut cloud, 1, 86_400), (vec![], true));
    assert_eq!(visit(&mut cloud, 2, 30), (vec![], true));
    assert_eq!(cloud.endpoint.counters().sessions_evicted, 0);
}

#[test]
fn when_all_sessions_are_closed_every_one_is_told_and_nothing_is_left() {
    let mut cloud = cloud();
    let second = cloud.connect(source(2), &identity(2, 30));
    cloud.outputs.clear();
    cloud.endpoint.close_all(cloud.now);
    cloud.drain();
    assert_eq!(ended(&cloud), [SessionId(second.0 - 1), second]);
    assert_eq!(cloud.endpoint.next_deadline(), None);
    assert!(!answers(&mut cloud, 1) && !answers(&mut cloud, 2));
}
