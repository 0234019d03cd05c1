use proptest::prelude::*;

use super::*;
use crate::lwm2m::objects::{AccessControl, Oscore, Security, Server};
use crate::lwm2m::{Account, Opaque};

fn account(id: u16) -> Account {
    let key = Opaque::new(vec![7; 16]);
    Account::new(
        Security::psk("coaps://h", id, b"id", key),
        Server::new(id, 60),
    )
}

fn plan(configuration: &Configuration, has: &str) -> Plan {
    Plan::new(configuration, &Discovery::decode(has.as_bytes()).unwrap()).unwrap()
}

/// The steps as they are sent.
fn told(plan: &Plan) -> Vec<String> {
    let tell = |step: &Step| match step {
        Step::Delete(path) => format!("DELETE {path}"),
        Step::Write(object, instance) => format!("PUT /{object}/{}", instance.id),
    };
    plan.steps.iter().map(tell).collect()
}

#[test]
fn the_bootstrap_account_is_left_alone_wherever_it_is() {
    let configuration = Configuration::new(vec![account(101)]);
    for (has, steps) in [
        ("</0/0>,</1>", ["PUT /0/1", "PUT /1/1"].as_slice()),
        ("</0/1>,</1>", &["PUT /0/2", "PUT /1/2"]),
        ("</0/7>", &["PUT /0/1", "PUT /1/1"]),
        (
            "</0/0>;ssid=5,</0/1>,</1/0>;ssid=5",
            &["DELETE /0/0", "DELETE /1", "PUT /0/2", "PUT /1/2"],
        ),
        // A client of 1.0 that names no ids: any of them may be it.
        (
            "</0/0>,</0/1>,</1/3>",
            &["DELETE /1", "PUT /0/2", "PUT /1/2"],
        ),
        // One that does not list it.
        ("</1>,</3/0>", &["PUT /0/1", "PUT /1/1"]),
    ] {
        assert_eq!(told(&plan(&configuration, has)), steps, "{has}");
    }
}

#[test]
fn accounts_that_stay_are_written_over_by_their_like_alone() {
    let mut configuration = Configuration::new(vec![account(9), account(101)]);
    configuration.clean = Clean::Nothing;
    let steps = told(&plan(
        &configuration,
        "</0/0>,</0/1>;ssid=101,</0/2>;ssid=7,</1/0>;ssid=101,</1/1>;ssid=7",
    ));
    assert_eq!(steps, ["PUT /0/3", "PUT /0/1", "PUT /1/3", "PUT /1/0"]);
    configuration.clean = Clean::Everything;
    let steps = told(&plan(
        &configuration,
        "</0/0>,</0/1>;ssid=101,</0/2>;ssid=7,</1/0>;ssid=101",
    ));
    assert_eq!(
        steps,
        ["DELETE /", "PUT /0/1", "PUT /0/2", "PUT /1/1", "PUT /1/2"]
    );
}

#[test]
fn rights_and_contexts_come_after_the_accounts_and_are_linked() {
    let mut configuration = Configuration::new(vec![account(101)]);
    configuration.accounts[0].oscore = Some(Oscore::new(Opaque::new(vec![1; 16]), b"a", b"b"));
    configuration.access_controls.push(AccessControl {
        object: 3,
        instance: 0,
        rights: BTreeMap::from([(101, 15)]),
        owner: 101,
    });
    let plan = plan(&configuration, "</0/0>,</2/0>,</21/1>,</21/2>;ssid=3");
    assert_eq!(
        told(&plan),
        [
            "DELETE /2",
            "DELETE /21/2",
            "PUT /0/1",
            "PUT /1/1",
            "PUT /2/0",
            "PUT /21/0"
        ]
    );
    let Step::Write(SECURITY, security) = &plan.steps[2] else {
        panic!("{:?}", plan.steps[2])
    };
    let link = Security::from_instance(security).unwrap().oscore;
    assert_eq!(
        link,
        Some(ObjectLink {
            object: OSCORE,
            instance: 0
        })
    );
}

#[test]
fn a_client_of_1_0_is_not_sent_what_it_does_not_know() {
    let mut configuration = Configuration::new(vec![account(101)]);
    configuration.accounts[0].server.mute_send = Some(true);
    let has = Discovery::decode(b"lwm2m=\"1.0\",</0/0>").unwrap();
    assert_eq!(Plan::new(&configuration, &has), Err(PlanError::Version));
    configuration.accounts[0].server.mute_send = None;
    assert!(Plan::new(&configuration, &has).is_ok());
}

proptest! {
    /// I40.
    #[test]
    fn no_plan_touches_an_account_that_may_be_the_bootstrap_servers(
        securities in prop::collection::btree_map(0_u16..8, prop::option::of(1_u16..5), 0..8),
        servers in prop::collection::btree_map(0_u16..8, prop::option::of(1_u16..5), 0..8),
        contexts in prop::collection::btree_map(0_u16..4, prop::option::of(1_u16..5), 0..4),
        ids in prop::collection::btree_set(1_u16..9, 1..5),
        oscore: bool,
        clean in prop_oneof![Just(Clean::Nothing), Just(Clean::Accounts), Just(Clean::Everything)],
    ) {
        let mut discovery = Discovery::default();
        for (object, instances) in [(SECURITY, &securities), (SERVER, &servers), (OSCORE, &contexts)] {
            discovery.links.extend(instances.iter().map(|(id, server)| (Path::Instance(object, *id), *server)));
        }
        let mut configuration = Configuration::new(ids.iter().map(|id| account(*id)).collect());
        configuration.clean = clean;
        if oscore {
            configuration.accounts[0].oscore = Some(Oscore::new(Opaque::new(vec![1; 16]), b"a", b"b"));
        }
        let plan = Plan::new(&configuration, &discovery).unwrap();
        let mut order = Vec::new();
        let mut written = BTreeSet::new();
        for step in &plan.steps {
            match step {
                // The client itself keeps the account when everything is deleted.
                Step::Delete(Path::Root) => prop_assert_eq!(clean, Clean::Everything),
                Step::Delete(Path::Object(object)) => prop_assert!(matches!(*object, SERVER | ACCESS_CONTROL)),
                Step::Delete(Path::Instance(object, id)) => prop_assert!(matches!(discovery.links.get(&Path::Instance(*object, *id)), Some(Some(_)))),
                Step::Delete(path) => prop_assert!(false, "{}", path),
                Step::Write(object, instance) => {
                    let path = Path::Instance(*object, instance.id);
                    if matches!(*object, SECURITY | OSCORE) {
                        prop_assert!(discovery.links.get(&path) != Some(&None), "{} is written over", path);
                    }
                    prop_assert!(written.insert(path), "{} is written twice", path);
                    order.push(*object);
                }
            }
        }
        prop_assert!(order.is_sorted());
        // Every Security instance has its Server instance.
        prop_assert_eq!(plan.placed.iter().map(|placed| placed.short_server_id).collect::<BTreeSet<_>>(), ids);
        for placed in &plan.placed {
            prop_assert!(written.contains(&Path::Instance(SECURITY, placed.security)) && written.contains(&Path::Instance(SERVER, placed.server)));
        }
    }
}
