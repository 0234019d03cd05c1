use std::time::Duration;

use provisioning_proto::lwm2m::objects::{Security, Server};
use provisioning_proto::lwm2m::{
    Account, Code, Config, Configuration, ContentFormat, Event, Failure, Method, Missing, PeerId,
    Request, RequestId, TransportFailure, Unfit, Verify,
};

use super::client::{Client, Manners};
use super::world::{World, account, configuration, name};

const PEER: PeerId = PeerId(1);

fn read() -> Config {
    let mut config = Config::default();
    config.verify = Verify::Read;
    config
}

fn cause(world: &World) -> &Failure {
    match world.events.as_slice() {
        [Event::Failed { cause, .. }] => cause,
        other => panic!("{other:?}"),
    }
}

fn with_manners(manners: Manners) -> World {
    let mut client = Client::new("1.1", ContentFormat::SenmlCbor, 0);
    client.manners = manners;
    World::with(Config::default(), client)
}

#[test]
fn clients_of_every_version_are_bootstrapped_in_every_format_wherever_their_bootstrap_account_is() {
    for (version, format) in [
        ("1.0", ContentFormat::Tlv),
        ("1.1", ContentFormat::Tlv),
        ("1.1", ContentFormat::SenmlJson),
        ("1.1", ContentFormat::SenmlCbor),
        ("1.2", ContentFormat::SenmlCbor),
    ] {
        for at in [0, 1, 7] {
            let mut world = World::with(read(), Client::new(version, format, at));
            world.begins(PEER);
            assert_eq!(world.answers, [Code::CHANGED]);
            world.settle();
            let client = world.client();
            assert!(
                matches!(world.events.as_slice(), [Event::Finished { refused, .. }] if refused.is_empty()),
                "{version} {format:?}: {:?}",
                world.events
            );
            assert!(
                client.keeps_its_bootstrap_account(),
                "{version} {format:?} {at}"
            );
            assert_eq!(client.formats, [format.number(); 2]);
            let Event::Finished { placed, .. } = &world.events[0] else {
                panic!()
            };
            let security = Security::from_instance(&client.objects[&(0, placed[0].security)]);
            let server = Server::from_instance(&client.objects[&(1, placed[0].server)]);
            assert_eq!(security.unwrap(), account(101).security);
            assert_eq!(server.unwrap(), account(101).server);
            assert!(world.machine.is_empty() && world.machine.next_deadline().is_none());
        }
    }
}

#[test]
fn what_is_asked_comes_in_order_and_ends_with_one_finish() {
    let mut client = Client::new("1.1", ContentFormat::Tlv, 0);
    let old = account(7);
    client.objects.insert((0, 3), old.security.to_instance(3));
    client.objects.insert((1, 5), old.server.to_instance(5));
    let mut world = World::with(read(), client);
    world.begins(PEER);
    world.settle();
    assert_eq!(
        world.client().log,
        [
            "Get /",
            "Delete /0/3",
            "Delete /1",
            "Put /0/1",
            "Put /1/1",
            "Get /",
            "Get /1",
            "Post /bs"
        ]
    );
    // The old account is gone.
    assert_eq!(
        world.client().objects.keys().copied().collect::<Vec<_>>(),
        [(0, 0), (0, 1), (1, 1), (3, 0)]
    );
}

#[test]
fn a_refused_write_or_delete_fails_the_bootstrap_and_nothing_is_finished() {
    for code in [
        Code::BAD_REQUEST,
        Code::new(4, 15),
        Code::INTERNAL_SERVER_ERROR,
    ] {
        let mut world = with_manners(Manners {
            writes: Some(code),
            ..Manners::default()
        });
        world.begins(PEER);
        world.settle();
        assert_eq!(
            cause(&world),
            &Failure::Refused {
                path: "/0/1".to_owned(),
                code
            }
        );
        assert_eq!(world.client().log, ["Get /", "Put /0/1"]);
        assert_eq!(world.client().finished, 0);
    }
    let mut world = with_manners(Manners {
        deletes: Some(Code::BAD_REQUEST),
        ..Manners::default()
    });
    world
        .clients
        .get_mut(&PEER)
        .unwrap()
        .objects
        .insert((1, 0), account(7).server.to_instance(0));
    world.begins(PEER);
    world.settle();
    assert_eq!(
        cause(&world),
        &Failure::Refused {
            path: "/1".to_owned(),
            code: Code::BAD_REQUEST
        }
    );
    assert_eq!(world.client().finished, 0);
}

#[test]
fn a_lenient_server_goes_on_and_tells_what_was_refused() {
    let mut world = with_manners(Manners {
        writes: Some(Code::BAD_REQUEST),
        ..Manners::default()
    });
    let mut config = Config::default();
    config.lenient = true;
    world.machine = provisioning_proto::lwm2m::Bootstraps::new(config);
    world.begins(PEER);
    world.settle();
    let Event::Finished { refused, .. } = &world.events[0] else {
        panic!("{:?}", world.events)
    };
    assert_eq!(
        refused,
        &[
            ("/0/1".to_owned(), Code::BAD_REQUEST),
            ("/1/1".to_owned(), Code::BAD_REQUEST)
        ]
    );
    assert_eq!(world.client().finished, 1);
}

#[test]
fn a_client_that_says_yes_and_forgets_is_found_out() {
    let mut world = with_manners(Manners {
        forgets: true,
        ..Manners::default()
    });
    world.begins(PEER);
    world.settle();
    assert_eq!(cause(&world), &Failure::Unverified);
    assert_eq!(world.client().finished, 0);
}

#[test]
fn a_client_that_does_not_accept_the_end_is_written_to_once_more() {
    let not_acceptable = (Code::NOT_ACCEPTABLE, 1);
    let mut world = with_manners(Manners {
        finish: Some(not_acceptable),
        ..Manners::default()
    });
    world.begins(PEER);
    world.settle();
    assert!(matches!(world.events.as_slice(), [Event::Finished { .. }]));
    let finishes = world
        .client()
        .log
        .iter()
        .filter(|it| *it == "Post /bs")
        .count();
    assert_eq!((finishes, world.client().finished), (2, 1));
    for (finish, code) in [
        ((Code::NOT_ACCEPTABLE, 2), Code::NOT_ACCEPTABLE),
        ((Code::BAD_REQUEST, 1), Code::BAD_REQUEST),
    ] {
        let mut world = with_manners(Manners {
            finish: Some(finish),
            ..Manners::default()
        });
        world.begins(PEER);
        world.settle();
        assert_eq!(cause(&world), &Failure::Finish(code));
    }
}

#[test]
fn a_client_that_does_not_say_what_it_has_is_not_written_to() {
    let mut world = with_manners(Manners {
        discover: Some(Code::NOT_FOUND),
        ..Manners::default()
    });
    world.begins(PEER);
    world.settle();
    assert_eq!(cause(&world), &Failure::Discover(Code::NOT_FOUND));
    assert_eq!(world.client().log, ["Get /"]);
}

#[test]
fn a_client_that_asks_anew_begins_anew_and_one_that_repeats_itself_does_not() {
    let mut world = World::with(Config::default(), Client::new("1.1", ContentFormat::Tlv, 0));
    let first = world.begins(PEER);
    assert!(world.step());
    let late = world.open.front().cloned().unwrap();
    // The same message: the same answer, and the bootstrap goes on.
    let request = world.client().asks("urn:imei:1");
    world.asks(PEER, first, &request);
    assert_eq!(world.answers, [Code::CHANGED; 2]);
    assert_eq!((world.open.len(), world.events.len()), (1, 0));
    // Another one.
    world.begins(PEER);
    assert_eq!(cause(&world), &Failure::Cancelled);
    assert_eq!(world.cancelled, [late.0]);
    assert_eq!(world.open.len(), 2);
    let response = world.clients.get_mut(&PEER).unwrap().answer(&late.2);
    world.machine.handle_response(late.0, &response, world.now);
    assert!(world.machine.poll_output().is_none());
    world.open.pop_front();
    world.settle();
    assert!(matches!(
        world.events.as_slice(),
        [Event::Failed { .. }, Event::Finished { .. }]
    ));
    assert_eq!(world.client().finished, 1);
}

#[test]
fn clients_of_one_name_and_two_tenants_do_not_disturb_each_other() {
    let mut world = World::with(Config::default(), Client::new("1.1", ContentFormat::Tlv, 0));
    world
        .clients
        .insert(PeerId(2), Client::new("1.1", ContentFormat::SenmlJson, 1));
    world.names.insert(PeerId(2), name("u", "urn:imei:1"));
    world.begins(PEER);
    world.begins(PeerId(2));
    assert_eq!(world.machine.len(), 2);
    world.settle();
    assert!(matches!(
        world.events.as_slice(),
        [Event::Finished { .. }, Event::Finished { .. }]
    ));
}

#[test]
fn an_endpoint_name_that_is_not_the_credentials_is_refused_and_none_is_the_credentials() {
    let mut world = World::with(Config::default(), Client::new("1.1", ContentFormat::Tlv, 0));
    let wrong = world.client().asks("urn:imei:2");
    world.asks(PEER, RequestId(90), &wrong);
    assert_eq!(world.answers, [Code::BAD_REQUEST]);
    assert_eq!(
        world.events,
        [Event::WrongEndpoint {
            client: name("t", "urn:imei:1"),
            claimed: "urn:imei:2".parse().unwrap()
        }]
    );
    assert!(world.machine.is_empty());
    let none = Request::new(Method::Post, &["bs"]);
    world.asks(PEER, RequestId(91), &none);
    assert_eq!(world.answers, [Code::BAD_REQUEST, Code::CHANGED]);
}

#[test]
fn a_client_that_nobody_knows_is_answered_as_one_with_a_bad_request() {
    let mut world = World::with(Config::default(), Client::new("1.1", ContentFormat::Tlv, 0));
    world.wanted = Err(Missing::Nothing);
    world.begins(PEER);
    assert_eq!(world.answers, [Code::BAD_REQUEST]);
    assert_eq!(cause(&world), &Failure::NoConfiguration);
}

#[test]
fn a_configuration_that_would_lock_the_client_out_is_not_sent() {
    let mut world = World::with(Config::default(), Client::new("1.1", ContentFormat::Tlv, 0));
    let mut unfit = account(101);
    unfit.server.short_server_id = 102;
    world.wanted = Ok(Configuration::new(vec![unfit]));
    world.begins(PEER);
    assert_eq!(world.answers, [Code::INTERNAL_SERVER_ERROR]);
    assert_eq!(cause(&world), &Failure::Unfit(Unfit::ShortServerId));
    assert!(world.client().log.is_empty());
}

#[test]
fn keys_go_over_an_open_transport_only_where_that_is_allowed() {
    for (insecure, keyed, allowed) in [
        (false, true, false),
        (true, true, true),
        (false, false, true),
    ] {
        let mut config = Config::default();
        config.insecure = insecure;
        let mut world = World::with(config, Client::new("1.1", ContentFormat::Tlv, 0));
        world.confidential = false;
        if !keyed {
            let open = Account::new(Security::no_sec("coap://h", 5), Server::new(5, 60));
            world.wanted = Ok(Configuration::new(vec![open]));
        }
        world.begins(PEER);
        world.settle();
        assert_eq!(
            matches!(world.events[0], Event::Finished { .. }),
            allowed,
            "{:?}",
            world.events
        );
        if !allowed {
            assert_eq!(cause(&world), &Failure::Unfit(Unfit::KeyInTheClear));
            assert!(world.client().log.is_empty());
        }
    }
}

#[test]
fn silence_ends_a_bootstrap_and_leaves_nothing_behind() {
    let mut world = World::with(Config::default(), Client::new("1.1", ContentFormat::Tlv, 0));
    world.begins(PEER);
    world.step();
    world.passes(Duration::from_secs(92));
    assert!(world.events.is_empty());
    world.passes(Duration::from_secs(1));
    assert_eq!(cause(&world), &Failure::TimedOut);
    assert_eq!(world.cancelled.len(), 1);
    assert!(world.machine.is_empty() && world.machine.next_deadline().is_none());
}

#[test]
fn a_client_that_dawdles_is_given_up_after_ten_minutes() {
    let mut world = World::with(Config::default(), Client::new("1.1", ContentFormat::Tlv, 0));
    world.clients.get_mut(&PEER).unwrap().manners.finish = Some((Code::NOT_ACCEPTABLE, 9));
    let mut config = Config::default();
    config.corrective_rounds = 9;
    world.machine = provisioning_proto::lwm2m::Bootstraps::new(config);
    world.begins(PEER);
    for _ in 0..9 {
        world.passes(Duration::from_secs(70));
        world.step();
    }
    assert_eq!(cause(&world), &Failure::TimedOut);
}

#[test]
fn whoever_cannot_be_told_now_comes_again_later() {
    let mut config = Config::default();
    config.retry_after = Duration::from_secs(45);
    let mut world = World::with(config, Client::new("1.1", ContentFormat::Tlv, 0));
    world.wanted = Err(Missing::NotNow);
    world.begins(PEER);
    assert_eq!(world.answers, [Code::SERVICE_UNAVAILABLE]);
    assert_eq!(world.put_off, [45]);
    assert_eq!(cause(&world), &Failure::Unavailable);
    assert!(world.machine.is_empty() && world.client().log.is_empty());
    // The next time it is told.
    world.wanted = Ok(configuration());
    world.begins(PEER);
    world.settle();
    assert!(matches!(world.events.last(), Some(Event::Finished { .. })));
    assert_eq!(world.put_off, [45]);
}

#[test]
fn a_configuration_that_does_not_come_is_an_error_of_the_server() {
    let mut world = World::with(Config::default(), Client::new("1.1", ContentFormat::Tlv, 0));
    let request = world.client().asks("urn:imei:1");
    let client = name("t", "urn:imei:1");
    let incoming = provisioning_proto::lwm2m::Incoming {
        id: RequestId(1),
        peer: PEER,
        client,
        confidential: true,
        request: &request,
    };
    world.machine.handle_request(incoming, world.now);
    // The question is lost.
    assert!(world.machine.poll_output().is_some());
    world.passes(Duration::from_secs(10));
    assert_eq!(world.answers, [Code::SERVICE_UNAVAILABLE]);
    assert_eq!(world.put_off, [30]);
    assert_eq!(cause(&world), &Failure::TimedOut);
}

#[test]
fn a_reset_and_the_end_of_the_session_end_the_bootstrap() {
    let mut world = World::with(Config::default(), Client::new("1.1", ContentFormat::Tlv, 0));
    world.begins(PEER);
    let (exchange, ..) = world.open.pop_front().unwrap();
    world
        .machine
        .handle_failure(exchange, TransportFailure::Unreachable, world.now);
    world.drain();
    assert_eq!(cause(&world), &Failure::Unreachable);
    world.begins(PEER);
    world.machine.handle_gone(PEER, world.now);
    world.drain();
    assert_eq!(world.events.len(), 2);
    assert!(world.machine.is_empty());
}

#[test]
fn there_is_room_for_so_many_bootstraps_and_no_more() {
    let mut config = Config::default();
    config.max_bootstraps = 2;
    let mut world = World::new(config);
    for number in 1..=3 {
        world
            .clients
            .insert(PeerId(number), Client::new("1.1", ContentFormat::Tlv, 0));
        world
            .names
            .insert(PeerId(number), name("t", &format!("client-{number}")));
        world.begins(PeerId(number));
    }
    assert_eq!(
        world.answers,
        [Code::CHANGED, Code::CHANGED, Code::SERVICE_UNAVAILABLE]
    );
    assert_eq!(world.put_off, [30]);
    world.settle();
    world.begins(PeerId(3));
    world.settle();
    assert_eq!(world.events.len(), 3);
}

#[test]
fn a_pack_is_given_where_that_is_wanted_and_otherwise_the_client_is_written_to() {
    let mut request = Request::new(Method::Get, &["bspack"]);
    request.query.push("ep=urn:imei:1".to_owned());
    request.accept = Some(112);
    let mut world = World::with(
        Config::default(),
        Client::new("1.2", ContentFormat::SenmlCbor, 0),
    );
    world.asks(PEER, RequestId(1), &request);
    assert_eq!(world.answers, [Code::NOT_FOUND]);

    let mut config = Config::default();
    config.packs = true;
    let mut world = World::with(config, Client::new("1.2", ContentFormat::SenmlCbor, 0));
    world.asks(PEER, RequestId(1), &request);
    assert_eq!(world.answers, [Code::CONTENT]);
    assert!(matches!(world.events.as_slice(), [Event::Packed { .. }]));
    assert_eq!(world.packs[0].content_format, Some(112));
    let read =
        provisioning_proto::lwm2m::senml_cbor::decode(world.packs[0].payload.expose()).unwrap();
    assert_eq!(
        read,
        [
            (0, account(101).security.to_instance(1)),
            (1, account(101).server.to_instance(1))
        ]
    );
    // It is a configuration with keys like any other.
    world.confidential = false;
    world.asks(PEER, RequestId(2), &request);
    assert_eq!(world.answers, [Code::CONTENT, Code::INTERNAL_SERVER_ERROR]);
}

#[test]
fn no_output_prints_the_key() {
    let mut world = World::with(Config::default(), Client::new("1.1", ContentFormat::Tlv, 0));
    world.begins(PEER);
    let mut printed = String::new();
    while let Some((_, _, request)) = world.open.front() {
        printed.push_str(&format!("{request:?} {:?}", world.machine));
        world.step();
    }
    assert!(printed.contains("payload: Opaque("));
    assert!(
        !printed.contains("connection key")
            && !printed.contains(&format!("{:?}", super::world::KEY))
    );
}
