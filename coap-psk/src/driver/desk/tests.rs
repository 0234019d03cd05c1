#![cfg(feature = "psk-dtls")]

use super::*;
use crate::config::Config;
use crate::dtls::psk::{PskConfig, PskEndpoint};
use crate::identity::PskIdentity;

fn endpoint(shard: u8) -> Endpoint<PskEndpoint> {
    let config = PskConfig {
        shard: Some(ShardNumber(shard)),
        ..PskConfig::default()
    };
    let dtls = PskEndpoint::new(config, [1; 32]);
    Endpoint::new(Config::default(), dtls, [2; 32])
}

fn from() -> SocketAddr {
    ([192, 0, 2, 1], 40_000).into()
}

/// A record with a connection id of this shard.
fn record_to(shard: u8) -> Vec<u8> {
    let header = [25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1];
    [&header[..], &[shard, 1, 2, 3, 4, 5], &[0, 1, 7]].concat()
}

#[tokio::test]
async fn a_record_for_another_shard_is_handed_on_while_there_is_room_and_all_others_are_not() {
    let (office, mut desks) = Office::open(3, 2);
    let own = endpoint(0);
    let forward = |datagram: &[u8]| desks[0].forward(&own, from(), datagram);
    for datagram in [&record_to(0)[..], &record_to(3), b"", b"\x16\xfe\xfd"] {
        assert!(!forward(datagram), "{datagram:?}");
    }
    assert_eq!(office.forwarded(), (0, 0));
    for _ in 0..3 {
        assert!(forward(&record_to(1)));
    }
    assert_eq!(office.forwarded(), (2, 1), "there is room for two");
    for _ in 0..2 {
        let News::Datagram(forwarded) = next(&mut desks[1]).await else {
            panic!("nobody left a notice")
        };
        assert_eq!((forwarded.from, forwarded.datagram), (from(), record_to(1)));
    }
    assert!(desks[1].try_next().is_none());
    assert!(desks[2].try_next().is_none());
}

async fn next(desk: &mut Desk) -> News {
    core::future::poll_fn(|cx| desk.poll_next(cx)).await
}

fn session(shard: u8, number: u64) -> SessionId {
    SessionId(ShardNumber(shard).first_id() | number)
}

fn identity() -> PskIdentity {
    "product,device,2,60".parse().unwrap()
}

fn online(session: SessionId) -> Output {
    Output::Event(Event::Online {
        session,
        identity: identity(),
        peer: from(),
        replaced: None,
    })
}

fn offline(session: SessionId, why: OfflineReason) -> Output {
    Output::Event(Event::Offline {
        session,
        identity: identity(),
        why,
    })
}

/// What comes out of it when the shard of this desk says this.
fn said(desk: &Desk, output: Output) -> Option<Event> {
    let (sender, mut receiver) = mpsc::channel(1);
    desk.publish(output, sender.try_reserve().unwrap());
    match receiver.try_recv() {
        Ok(Output::Event(event)) => Some(event),
        Ok(other) => panic!("{other:?}"),
        Err(_) => None,
    }
}

/// What its coming online took the place of; `None` when nothing was said.
fn replaced(desk: &Desk, session: SessionId) -> Option<Option<SessionId>> {
    said(desk, online(session)).map(|event| match event {
        Event::Online { replaced, .. } => replaced,
        other => panic!("{other:?}"),
    })
}

#[tokio::test]
async fn a_device_is_at_one_shard_and_what_another_says_of_it_afterwards_is_not_let_out() {
    let (office, mut desks) = Office::open(2, 1);
    let (first, second) = (session(0, 1), session(1, 1));
    let known = || office.session_of(identity().device());
    assert_eq!(replaced(&desks[0], first), Some(None));
    assert!(said(&desks[0], offline(first, OfflineReason::Silent)).is_some());
    assert_eq!(known(), Some(first), "its session is there");
    assert_eq!(replaced(&desks[0], first), Some(None), "it is back");

    assert_eq!(replaced(&desks[1], second), Some(Some(first)));
    assert_eq!(replaced(&desks[0], first), None, "too late");
    for why in [OfflineReason::Silent, OfflineReason::Closed] {
        assert!(said(&desks[0], offline(first, why)).is_none());
    }
    assert_eq!(known(), Some(second));

    assert!(matches!(next(&mut desks[0]).await, News::Notices));
    desks[0].settle(&mut endpoint(0), Instant::ZERO);
    assert_eq!(replaced(&desks[0], session(0, 2)), Some(Some(second)));
    assert_eq!(replaced(&desks[0], session(0, 3)), Some(None), "its own");
    assert!(said(&desks[0], offline(session(0, 2), OfflineReason::Closed)).is_some());
    assert_eq!(known(), Some(session(0, 3)), "that was the one before");
    assert!(said(&desks[0], offline(session(0, 3), OfflineReason::Closed)).is_some());
    assert_eq!(known(), None);
}

#[tokio::test]
async fn whoever_was_told_of_a_session_is_told_once_more_when_it_is_back_from_elsewhere() {
    let (_, desks) = Office::open(2, 1);
    let (here, there) = (session(0, 1), session(1, 1));
    assert_eq!(replaced(&desks[0], here), Some(None));
    assert_eq!(replaced(&desks[1], there), Some(Some(here)));
    // The first shard has not heard of it, and replaces its own: what was told last is what is replaced.
    let anew = Output::Event(Event::Online {
        session: session(0, 2),
        identity: identity(),
        peer: from(),
        replaced: Some(here),
    });
    let event = said(&desks[0], anew);
    assert!(
        matches!(event, Some(Event::Online { replaced, .. }) if replaced == Some(there)),
        "{event:?}"
    );
}
