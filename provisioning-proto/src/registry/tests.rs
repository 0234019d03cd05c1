//! What each command does, and what it does not allow.
#![allow(clippy::arithmetic_side_effects)]

use std::time::{Duration, SystemTime};

use crate::registry::{Activation, Change, Command, Fact, Proof, Registry, Reply};
use crate::{DeviceKey, ErrorKind, SealedSecret, Template};

const ID: &str = "0f9d1b5e-7a3c-4c11-9d2f-00aa11bb22cc";

fn sealed(text: &str) -> SealedSecret {
    SealedSecret::new(text.as_bytes().to_vec()).unwrap()
}

fn key(text: &str) -> DeviceKey {
    text.parse().unwrap()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn run(registry: &mut Registry, command: Command) -> Result<Reply, ErrorKind> {
    let decision = registry
        .decide(command, at(100))
        .map_err(|error| error.kind())?;
    decision
        .changes
        .iter()
        .for_each(|change| registry.apply(change));
    Ok(decision.reply)
}

fn with_devices(activation: Activation) -> Registry {
    let mut registry = Registry::default();
    let create = Command::CreateProduct {
        product: "pk".parse().unwrap(),
        name: "Lamp".to_owned(),
        secret: sealed("product"),
        activation,
    };
    run(&mut registry, create).unwrap();
    for device in ["dev1", "dev2"] {
        let add = Command::AddDevice {
            device: key(device),
            secret: sealed(device),
            owner: Some("alice".parse().unwrap()),
        };
        run(&mut registry, add).unwrap();
    }
    registry
}

fn activate(registry: &mut Registry) -> Result<Reply, ErrorKind> {
    let device = key("dev1");
    run(registry, Command::Activate { device })
}

fn product_proof(registry: &Registry) -> Result<&SealedSecret, ErrorKind> {
    let credential = registry.credential(&key("dev1"), Proof::ProductSecret);
    credential.map_err(|error| error.kind())
}

#[test]
fn activation_until_the_first_session_can_be_repeated_and_then_ends() {
    let mut registry = with_devices(Activation::UntilFirstSession);
    for _ in 0..3 {
        assert_eq!(product_proof(&registry), Ok(&sealed("product")));
        assert_eq!(activate(&mut registry), Ok(Reply::Secret(sealed("dev1"))));
    }
    let device = key("dev1");
    run(&mut registry, Command::BeginSession { device }).unwrap();
    assert_eq!(activate(&mut registry), Err(ErrorKind::Activated));
    assert_eq!(product_proof(&registry), Err(ErrorKind::Activated));
    let own = registry.credential(&key("dev1"), Proof::OwnSecret).unwrap();
    assert_eq!(own, &sealed("dev1"));
    let replace = Command::ReplaceSecret {
        device: key("dev1"),
        secret: sealed("new"),
    };
    run(&mut registry, replace).unwrap();
    assert_eq!(activate(&mut registry), Ok(Reply::Secret(sealed("new"))));
}

#[test]
fn activation_once_is_answered_once() {
    let mut registry = with_devices(Activation::Once);
    assert_eq!(activate(&mut registry), Ok(Reply::Secret(sealed("dev1"))));
    assert_eq!(activate(&mut registry), Err(ErrorKind::Activated));
    assert_eq!(product_proof(&registry), Err(ErrorKind::Activated));
}

#[test]
fn activation_that_is_off_closes_the_product_secret() {
    let mut registry = with_devices(Activation::Once);
    run(&mut registry, Command::SetActivation(Activation::Off)).unwrap();
    assert_eq!(activate(&mut registry), Err(ErrorKind::ActivationOff));
    assert_eq!(product_proof(&registry), Err(ErrorKind::ActivationOff));
}

#[test]
fn a_disabled_device_can_do_nothing_until_it_is_enabled() {
    let mut registry = with_devices(Activation::Once);
    let set = |enabled| Command::SetEnabled {
        device: key("dev1"),
        enabled,
    };
    run(&mut registry, set(false)).unwrap();
    let device = key("dev1");
    for command in [
        Command::Activate {
            device: key("dev1"),
        },
        Command::BeginSession {
            device: key("dev1"),
        },
        Command::SetLifetime {
            device: key("dev1"),
            seconds: 30,
        },
        Command::BindDeviceId {
            device: key("dev1"),
            id: ID.parse().unwrap(),
        },
    ] {
        assert_eq!(run(&mut registry, command), Err(ErrorKind::Disabled));
    }
    for proof in [Proof::OwnSecret, Proof::ProductSecret] {
        let refused = registry.credential(&device, proof).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Disabled);
    }
    run(&mut registry, set(true)).unwrap();
    assert!(registry.credential(&device, Proof::OwnSecret).is_ok());
}

#[test]
fn a_lifetime_is_written_when_it_changes() {
    let mut registry = with_devices(Activation::Off);
    let device = key("dev1");
    for (seconds, written) in [(30, 1), (30, 0), (3600, 1), (30, 1)] {
        let device = device.clone();
        let set = Command::SetLifetime { device, seconds };
        let decision = registry.decide(set.clone(), at(100)).unwrap();
        assert_eq!(decision.changes.len(), written, "{seconds}");
        run(&mut registry, set).unwrap();
        let kept = registry.device(&key("dev1")).unwrap().lifetime;
        assert_eq!(kept, Some(seconds));
    }
}

#[test]
fn a_template_is_written_when_it_changes_and_can_be_as_long_as_allowed() {
    let template = |bytes: Vec<u8>| Template::new(bytes);
    for length in [0, Template::MAX + 1] {
        let refused = template(vec![7; length]).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidValue, "{length}");
    }
    let longest = template(vec![7; Template::MAX]).unwrap();
    let mut empty = Registry::default();
    let set = Command::SetTemplate(longest.clone());
    assert_eq!(run(&mut empty, set.clone()), Err(ErrorKind::UnknownProduct));
    let mut registry = with_devices(Activation::Off);
    for (wanted, written) in [
        (longest.clone(), 1),
        (longest, 0),
        (template(vec![8]).unwrap(), 1),
    ] {
        let set = Command::SetTemplate(wanted.clone());
        let decision = registry.decide(set.clone(), at(100)).unwrap();
        assert_eq!(decision.changes.len(), written);
        for change in &decision.changes {
            let read = Change::decode(&change.encode().unwrap()).unwrap();
            assert_eq!(read, *change);
        }
        run(&mut registry, set).unwrap();
        assert_eq!(registry.product().unwrap().template, Some(wanted));
    }
    let snapshot = registry.snapshot().unwrap();
    let restored = Registry::restore(crate::registry::SNAPSHOT_FORMAT, &snapshot).unwrap();
    assert_eq!(restored, registry);
}

#[test]
fn a_device_id_is_bound_to_one_device_for_good() {
    let mut registry = with_devices(Activation::Off);
    let bind = |device: &str, id: &str| Command::BindDeviceId {
        device: key(device),
        id: id.parse().unwrap(),
    };
    let other = ID.replace('0', "1");
    assert_eq!(run(&mut registry, bind("dev1", ID)), Ok(Reply::Done));
    assert!(
        registry
            .decide(bind("dev1", ID), at(0))
            .unwrap()
            .changes
            .is_empty()
    );
    assert_eq!(
        run(&mut registry, bind("dev1", &other)),
        Err(ErrorKind::Bound)
    );
    assert_eq!(
        run(&mut registry, bind("dev2", ID)),
        Err(ErrorKind::DeviceIdTaken)
    );
    let (found, device) = registry.device_by_id(&ID.parse().unwrap()).unwrap();
    assert_eq!(found, &key("dev1"));
    assert_eq!(device.owner.as_ref().unwrap().as_str(), "alice");
    let device = key("dev1");
    run(&mut registry, Command::RemoveDevice { device }).unwrap();
    assert_eq!(run(&mut registry, bind("dev2", ID)), Ok(Reply::Done));
}

#[test]
fn what_exists_is_not_made_again_and_what_does_not_is_unknown() {
    let mut registry = Registry::default();
    let add = |device: &str| Command::AddDevice {
        device: key(device),
        secret: sealed("s"),
        owner: None,
    };
    assert_eq!(
        run(&mut registry, add("dev1")),
        Err(ErrorKind::UnknownProduct)
    );
    registry = with_devices(Activation::Off);
    assert_eq!(run(&mut registry, add("dev1")), Err(ErrorKind::Exists));
    let device = key("dev9");
    let remove = Command::RemoveDevice { device };
    assert_eq!(run(&mut registry, remove), Err(ErrorKind::UnknownDevice));
    for proof in [Proof::OwnSecret, Proof::ProductSecret] {
        let refused = registry.credential(&key("dev9"), proof).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::UnknownDevice);
    }
    let create = |name: &str| Command::CreateProduct {
        product: "pk".parse().unwrap(),
        name: name.to_owned(),
        secret: sealed("s"),
        activation: Activation::Off,
    };
    assert_eq!(run(&mut registry, create("again")), Err(ErrorKind::Exists));
    let mut empty = Registry::default();
    let too_long = "n".repeat(257);
    for name in ["", &too_long] {
        assert_eq!(run(&mut empty, create(name)), Err(ErrorKind::InvalidValue));
    }
}

#[test]
fn a_clock_that_steps_back_dates_nothing_earlier() {
    let mut registry = with_devices(Activation::Off);
    let device = key("dev1");
    let owner = None;
    let decision = registry
        .decide(Command::SetOwner { device, owner }, at(50))
        .unwrap();
    assert_eq!(decision.changes[0].at, 100_000);
    let early = Change {
        at: 7,
        fact: Fact::ActivationSet {
            activation: Activation::Once,
        },
    };
    registry.apply(&early);
    let set = Command::SetActivation(Activation::Off);
    assert_eq!(registry.decide(set, at(1)).unwrap().changes[0].at, 100_000);
}

#[test]
fn nothing_prints_sealed_bytes() {
    let registry = with_devices(Activation::Off);
    let printed = format!("{registry:?}");
    assert!(printed.contains("SealedSecret(..)"));
    assert!(!printed.contains(&format!("{:?}", b"product".as_slice())));
}
