//! What one bootstrap connection may do, and what it is told, step by step.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing
)]

#[path = "support/mqtt.rs"]
mod support;

use std::time::Duration;

use provisioning_proto::mqtt::ClientIdForm;
use provisioning_proto::mqtt::session::{
    Authentication, Cause, Connect, ConnectCode, Output, Presented, Publish, QoS, SessionConfig,
};
use support::{Bench, DOWN, EVENTS, PASSWORD, UP, USER, connect, kinds};

fn refused(connect: &Connect<'_>) -> ConnectCode {
    let mut bench = Bench::new(SessionConfig::default());
    bench.session.handle_connect(connect, bench.now);
    assert!(bench.drain().is_empty(), "refused before its time");
    bench.pass(Duration::from_millis(999));
    assert!(bench.drain().is_empty(), "refused before its time");
    bench.pass(Duration::from_millis(1));
    match bench.drain().as_slice() {
        [Output::ConnAck(code), Output::Close(Cause::Refused(cause))] if code == cause => *code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_be_of_a_device_is_refused_with_the_code_for_it() {
    for (name, change, code) in [
        (
            "level 5",
            (|c| c.level = 5) as fn(&mut Connect<'static>),
            ConnectCode::UnacceptableProtocolVersion,
        ),
        (
            "level 3",
            |c| c.level = 3,
            ConnectCode::UnacceptableProtocolVersion,
        ),
        (
            "another's client id",
            |c| c.user_name = Some("dev2"),
            ConnectCode::IdentifierRejected,
        ),
        (
            "no known form",
            |c| c.client_id = "dev_9",
            ConnectCode::IdentifierRejected,
        ),
        (
            "a node",
            |c| c.client_id = "dev_2_0_2019122614",
            ConnectCode::IdentifierRejected,
        ),
        (
            "a bridge",
            |c| c.client_id = "dev_3_0_2019122614",
            ConnectCode::IdentifierRejected,
        ),
        (
            "no user name",
            |c| c.user_name = None,
            ConnectCode::BadUserNameOrPassword,
        ),
        (
            "no password, no certificate",
            |c| c.password = None,
            ConnectCode::BadUserNameOrPassword,
        ),
        (
            "an upper-case password",
            |c| c.password = Some(&[b'A'; 64]),
            ConnectCode::BadUserNameOrPassword,
        ),
        (
            "a short password",
            |c| c.password = Some(b"abc"),
            ConnectCode::BadUserNameOrPassword,
        ),
        (
            "a password without a time",
            |c| c.client_id = "dev_0_ff5bbx7a488f",
            ConnectCode::BadUserNameOrPassword,
        ),
        ("a will", |c| c.has_will = true, ConnectCode::NotAuthorized),
    ] {
        let mut connect = connect();
        change(&mut connect);
        assert_eq!(refused(&connect), code, "{name}");
    }
}

#[test]
fn a_certificate_stands_in_for_a_password_where_the_client_id_allows_it() {
    for (client_id, certificate, allowed) in [
        ("dev_0_1_2019122614", true, true),
        ("dev_0_ff5bbx7a488f", true, true),
        ("dev_0_ff5bbx7a488f_1_2019122614", true, false),
        ("dev_0_1_2019122614", false, false),
        ("dev_0_ff5bbx7a488f", false, false),
    ] {
        let mut bench = Bench::new(SessionConfig::default());
        let mut connect = Connect::new(client_id);
        connect.user_name = Some(USER);
        connect.password = Some(b"");
        connect.has_certificate = certificate;
        bench.session.handle_connect(&connect, bench.now);
        let asked = bench.drain();
        let presented = asked.iter().any(|output| {
            matches!(output, Output::Authenticate(asked) if asked.presented == Presented::Certificate)
        });
        assert_eq!(presented, allowed, "{client_id} {certificate}");
    }
}

#[test]
fn a_password_goes_to_be_judged_with_what_its_client_id_says() {
    let mut bench = Bench::new(SessionConfig::default());
    let mut connect = connect();
    connect.client_id = "dev_0_ff5bbx7a488f_1_2019122614";
    // A certificate beside it changes nothing.
    connect.has_certificate = true;
    bench.session.handle_connect(&connect, bench.now);
    let outputs = bench.drain();
    let [Output::Authenticate(credentials)] = outputs.as_slice() else {
        panic!("{outputs:?}");
    };
    assert!(!format!("{credentials:?} {connect:?}").contains(PASSWORD));
    let ClientIdForm::Signed {
        scope, timestamp, ..
    } = credentials.client_id.form()
    else {
        panic!("{credentials:?}");
    };
    assert_eq!(scope.as_ref().unwrap().as_str(), "ff5bbx7a488f");
    let Presented::Password(mac) = &credentials.presented else {
        panic!("{credentials:?}");
    };
    assert_eq!(
        (mac.mac.to_hex().as_str(), mac.timestamp),
        (PASSWORD, *timestamp)
    );
    assert!(!bench.session.wants_packets());
}

#[test]
fn whoever_is_not_accepted_sees_the_same_at_the_same_time() {
    let judged_after = |verdict, millis| {
        let mut bench = Bench::new(SessionConfig::default());
        bench.session.handle_connect(&connect(), bench.now);
        drop(bench.drain());
        bench.pass(Duration::from_millis(millis));
        bench.session.handle_authentication(verdict, bench.now);
        assert!(bench.drain().is_empty());
        let left = bench.session.next_deadline().unwrap() - bench.now;
        bench.pass(left);
        (Duration::from_millis(millis) + left, kinds(&bench.drain()))
    };
    let expected = (
        Duration::from_secs(1),
        "ConnAck(BadUserNameOrPassword) Close(Refused(BadUserNameOrPassword))".to_owned(),
    );
    // An unknown id is known at once, a wrong password after a look at the journal.
    assert_eq!(judged_after(Authentication::Refused, 0), expected);
    assert_eq!(judged_after(Authentication::Refused, 700), expected);
    assert!(
        judged_after(Authentication::Unavailable, 3)
            .1
            .starts_with("ConnAck(ServerUnavailable)")
    );
}

#[test]
fn credentials_that_nobody_judges_are_refused_as_unavailable() {
    let mut bench = Bench::new(SessionConfig::default());
    bench.session.handle_connect(&connect(), bench.now);
    drop(bench.drain());
    bench.pass(Duration::from_secs(5));
    assert_eq!(
        kinds(&bench.drain()),
        "ConnAck(ServerUnavailable) Close(Refused(ServerUnavailable))"
    );
    bench
        .session
        .handle_authentication(Authentication::Accepted, bench.now);
    assert!(bench.drain().is_empty());
}

#[test]
fn the_sequence_of_the_vendors_client_is_answered_in_its_order() {
    // As captured: a report first, which is acknowledged and forgotten; then SUBSCRIBE and, without waiting, the request.
    let mut bench = Bench::open(SessionConfig::default());
    bench.publish(
        EVENTS,
        QoS::AtLeastOnce(1),
        b"{\"object_device_id\":\"dev\"}",
    );
    assert_eq!(kinds(&bench.drain()), "PubAck(1)");
    bench.subscribe(2, &[DOWN]);
    bench.publish(UP, QoS::AtLeastOnce(3), b"");
    let outputs = bench.drain();
    assert_eq!(kinds(&outputs), "SubAck(2, [true]) Register PubAck(3)");
    bench.answer(&outputs, "there");
    let outputs = bench.drain();
    assert_eq!(kinds(&outputs), format!("Publish({DOWN}, there)"));
    bench.session.handle_disconnect(bench.now);
    assert_eq!(kinds(&bench.drain()), "Close(Device)");
}

#[test]
fn a_filter_that_is_not_the_devices_own_is_refused_and_the_others_are_not() {
    let mut bench = Bench::open(SessionConfig::default());
    bench.subscribe(
        7,
        &[
            "#",
            "$oc/devices/dev2/sys/bootstrap/down",
            "$oc/devices/+/sys/bootstrap/down",
            DOWN,
            UP,
            EVENTS,
        ],
    );
    assert_eq!(
        kinds(&bench.drain()),
        "SubAck(7, [false, false, false, true, false, false])"
    );
    assert!(!bench.session.is_closed());
}

#[test]
fn whatever_a_device_may_not_do_ends_its_connection() {
    let other = "$oc/devices/dev2/sys/bootstrap/up";
    for (name, act) in [
        (
            "another's topic",
            (|b| b.publish("$oc/devices/dev2/sys/bootstrap/up", QoS::AtMostOnce, b""))
                as fn(&mut Bench),
        ),
        ("its own answer", |b| b.publish(DOWN, QoS::AtMostOnce, b"")),
        ("a message", |b| {
            b.publish("$oc/devices/dev/sys/messages/up", QoS::AtLeastOnce(1), b"");
        }),
        ("QoS 2", |b| b.publish(UP, QoS::ExactlyOnce(1), b"")),
        ("QoS 2 of a report", |b| {
            b.publish(EVENTS, QoS::ExactlyOnce(1), b"");
        }),
        ("a second CONNECT", |b| {
            b.session.handle_connect(&connect(), b.now);
        }),
        ("a packet of a server", |b| b.session.handle_other(b.now)),
    ] {
        let mut bench = Bench::open(SessionConfig::default());
        act(&mut bench);
        assert_eq!(kinds(&bench.drain()), "Close(NotAllowed)", "{name}");
    }
    let mut bench = Bench::new(SessionConfig::default());
    bench
        .session
        .handle_publish(&Publish::new(other, QoS::AtMostOnce, b""), bench.now);
    assert_eq!(kinds(&bench.drain()), "Close(NotAllowed)", "before CONNECT");
}

#[test]
fn an_answer_is_held_until_the_device_subscribes() {
    let mut bench = Bench::open(SessionConfig::default());
    bench.publish(UP, QoS::AtMostOnce, b"");
    let outputs = bench.drain();
    bench.answer(&outputs, "there");
    bench.pass(Duration::from_millis(4_999));
    assert!(bench.drain().is_empty());
    bench.subscribe(1, &[DOWN]);
    assert_eq!(
        kinds(&bench.drain()),
        format!("SubAck(1, [true]) Publish({DOWN}, there)")
    );
    bench.subscribe(2, &[DOWN]);
    assert_eq!(kinds(&bench.drain()), "SubAck(2, [true])");
}

#[test]
fn an_answer_that_nobody_listens_for_is_forgotten_and_the_device_may_ask_again() {
    let mut bench = Bench::open(SessionConfig::default());
    bench.publish(UP, QoS::AtLeastOnce(1), b"");
    let outputs = bench.drain();
    bench.answer(&outputs, "there");
    bench.pass(Duration::from_secs(5));
    bench.subscribe(2, &[DOWN]);
    assert_eq!(kinds(&bench.drain()), "SubAck(2, [true])");
    bench.publish(UP, QoS::AtLeastOnce(3), b"");
    let outputs = bench.drain();
    assert_eq!(kinds(&outputs), "Register PubAck(3)");
    bench.answer(&outputs, "there, still");
    assert_eq!(
        kinds(&bench.drain()),
        format!("Publish({DOWN}, there, still)")
    );
}

#[test]
fn a_request_that_is_sent_again_is_registered_once() {
    let mut bench = Bench::open(SessionConfig::default());
    bench.subscribe(1, &[DOWN]);
    bench.publish(UP, QoS::AtLeastOnce(5), b"");
    let outputs = bench.drain();
    bench.publish_again(UP, 5);
    bench.publish(UP, QoS::AtLeastOnce(6), b"");
    bench.publish(UP, QoS::AtMostOnce, b"");
    assert_eq!(kinds(&bench.drain()), "PubAck(5) PubAck(6)");
    bench.answer(&outputs, "there");
    bench.answer(&outputs, "elsewhere");
    assert_eq!(kinds(&bench.drain()), format!("Publish({DOWN}, there)"));
    bench.publish_again(UP, 5);
    assert_eq!(kinds(&bench.drain()), "PubAck(5)");
    // A device may ask once more whenever it likes.
    bench.publish(UP, QoS::AtLeastOnce(5), b"");
    assert_eq!(kinds(&bench.drain()), "Register PubAck(5)");
}

#[test]
fn a_device_is_told_within_four_seconds_that_there_is_no_answer() {
    let mut bench = Bench::open(SessionConfig::default());
    bench.subscribe(1, &[DOWN]);
    bench.publish(UP, QoS::AtLeastOnce(2), b"");
    let outputs = bench.drain();
    let Some(Output::Register { answer_by, .. }) = outputs
        .iter()
        .find(|output| matches!(output, Output::Register { .. }))
    else {
        panic!("{outputs:?}");
    };
    assert_eq!(*answer_by, Some(bench.now + Duration::from_secs(4)));
    bench.pass(Duration::from_secs(4));
    let late = bench.drain();
    let [Output::Publish { payload, .. }] = late.as_slice() else {
        panic!("{late:?}");
    };
    let value: serde_json::Value = serde_json::from_slice(payload.expose()).unwrap();
    assert!(
        value["error_code"].is_string()
            && value["error_msg"].is_string()
            && value.get("address").is_none()
    );
    bench.answer(&outputs, "there");
    assert!(bench.drain().is_empty(), "the late answer was told, too");
}

#[test]
fn packets_requests_silence_and_time_have_bounds() {
    let mut bench = Bench::open(SessionConfig::default());
    for _ in 0..64 {
        bench.session.handle_ping(bench.now);
    }
    assert!(!bench.session.is_closed());
    bench.session.handle_ping(bench.now);
    assert!(kinds(&bench.drain()).ends_with("PingResp Close(TooMuch)"));

    let mut bench = Bench::open(SessionConfig::default());
    bench.subscribe(1, &[DOWN]);
    for _ in 0..8 {
        bench.publish(UP, QoS::AtMostOnce, b"");
        let outputs = bench.drain();
        bench.answer(&outputs, "there");
    }
    drop(bench.drain());
    bench.publish(UP, QoS::AtMostOnce, b"");
    assert_eq!(kinds(&bench.drain()), "Close(TooMuch)");

    let mut bench = Bench::open(SessionConfig::default());
    bench.pass(Duration::from_millis(29_999));
    bench.session.handle_ping(bench.now);
    bench.pass(Duration::from_millis(29_999));
    assert_eq!(kinds(&bench.drain()), "PingResp");
    bench.pass(Duration::from_millis(1));
    assert_eq!(kinds(&bench.drain()), "Close(Silent)");

    let mut bench = Bench::open(SessionConfig::default());
    for _ in 0..12 {
        bench.pass(Duration::from_secs(10));
        bench.session.handle_ping(bench.now);
    }
    assert!(kinds(&bench.drain()).ends_with("PingResp Close(TooLong)"));

    let mut bench = Bench::new(SessionConfig::default());
    bench.pass(Duration::from_secs(10));
    assert_eq!(kinds(&bench.drain()), "Close(Silent)");
}

#[test]
fn a_server_that_stops_ends_the_connection_at_once() {
    let mut bench = Bench::open(SessionConfig::default());
    bench.session.handle_end(bench.now);
    bench.session.handle_end(bench.now);
    bench.publish(UP, QoS::AtMostOnce, b"");
    assert_eq!(kinds(&bench.drain()), "Close(Server)");
    assert_eq!(bench.session.next_deadline(), None);
}

#[test]
fn a_trigger_waits_until_the_device_listens_and_is_told_once() {
    const MESSAGES: &str = "$oc/devices/dev/sys/messages/down";
    let told = |outputs: &[Output]| -> Vec<(String, String)> {
        let published = outputs.iter().filter_map(|output| match output {
            Output::Publish { topic, payload } => {
                let message: serde_json::Value = serde_json::from_slice(payload.expose()).unwrap();
                assert_eq!(message["content"], "BootstrapRequestTrigger");
                assert_eq!(message["object_device_id"], USER);
                Some((topic.clone(), message["id"].as_str().unwrap().to_owned()))
            }
            _ => None,
        });
        published.collect()
    };
    let mut early = Bench::new(SessionConfig::default());
    early.session.handle_trigger("0", early.now);
    early.session.handle_connect(&connect(), early.now);
    early.session.handle_trigger("1", early.now);
    assert_eq!(kinds(&early.drain()), "Authenticate");

    let mut bench = Bench::open(SessionConfig::default());
    bench.session.handle_trigger("2", bench.now);
    bench.session.handle_trigger("3", bench.now);
    bench.subscribe(1, &[DOWN]);
    assert_eq!(kinds(&bench.drain()), "SubAck(1, [true])");
    bench.subscribe(2, &["$oc/devices/dev2/sys/messages/down", MESSAGES]);
    let outputs = bench.drain();
    assert_eq!(kinds(&outputs[..1]), "SubAck(2, [false, true])");
    let expected = (MESSAGES.to_owned(), "3".to_owned());
    assert_eq!(told(&outputs), [expected]);
    bench.session.handle_trigger("4", bench.now);
    let expected = (MESSAGES.to_owned(), "4".to_owned());
    assert_eq!(told(&bench.drain()), [expected]);
    bench.session.handle_unsubscribe(3, [MESSAGES], bench.now);
    bench.session.handle_trigger("5", bench.now);
    bench.publish(UP, QoS::AtMostOnce, b"");
    bench.subscribe(4, &[MESSAGES]);
    assert_eq!(
        kinds(&bench.drain()),
        "UnsubAck(3) Register SubAck(4, [true])"
    );
    bench.session.handle_end(bench.now);
    bench.session.handle_trigger("6", bench.now);
    assert_eq!(kinds(&bench.drain()), "Close(Server)");
}
