use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn opaque() -> impl Strategy<Value = Opaque> {
    prop::collection::vec(any::<u8>(), 0..300).prop_map(Opaque::new)
}

fn security() -> impl Strategy<Value = Security> {
    let keys = (opaque(), opaque(), opaque());
    let later = (
        any::<Option<u8>>(),
        any::<Option<u8>>(),
        prop::option::of("[a-z.]{1,20}"),
        prop::collection::vec(any::<u16>(), 0..5),
    );
    let link = prop::option::of((any::<u16>(), any::<u16>()));
    (
        "[^\0]{0,300}",
        any::<bool>(),
        0_u8..4,
        keys,
        any::<Option<u16>>(),
        any::<Option<u32>>(),
        later,
        link,
    )
        .prop_map(|(uri, bootstrap, mode, keys, id, seconds, later, link)| {
            let mut security = Security::no_sec(&uri, 1);
            security.bootstrap_server = bootstrap;
            security.security_mode = [
                SecurityMode::Psk,
                SecurityMode::RawPublicKey,
                SecurityMode::Certificate,
                SecurityMode::NoSec,
            ][usize::from(mode)];
            (
                security.public_key_or_identity,
                security.server_public_key,
                security.secret_key,
            ) = keys;
            security.short_server_id = id;
            security.client_hold_off_time = seconds;
            security.bootstrap_server_account_timeout = seconds;
            (
                security.matching_type,
                security.certificate_usage,
                security.sni,
                security.ciphersuites,
            ) = later;
            security.oscore = link.map(|(object, instance)| ObjectLink { object, instance });
            security
        })
}

proptest! {
    #[test]
    fn an_account_written_as_resources_reads_as_itself(security in security(), id: u16) {
        prop_assert_eq!(Security::from_instance(&security.to_instance(id)), Ok(security));
    }

    #[test]
    fn a_server_written_as_resources_reads_as_itself(id: u16, lifetime: u32, some: Option<u32>, flag: Option<bool>, binding in "[A-Z]{1,4}") {
        let mut server = Server::new(id, lifetime);
        (server.default_minimum_period, server.communication_retry_timer, server.disable_timeout) = (some, some, some);
        (server.mute_send, server.bootstrap_on_registration_failure) = (flag, flag);
        server.preferred_transport = flag.map(|_| binding.clone());
        server.binding = binding;
        prop_assert_eq!(Server::from_instance(&server.to_instance(id)), Ok(server));
    }

    #[test]
    fn rights_and_contexts_written_as_resources_read_as_themselves(
        ids: (u16, u16, u16), rights in prop::collection::btree_map(any::<u16>(), any::<u16>(), 0..5), secret in opaque(), salt in prop::option::of(opaque()), number: Option<i32>,
    ) {
        let control = AccessControl { object: ids.0, instance: ids.1, rights, owner: ids.2 };
        prop_assert_eq!(AccessControl::from_instance(&control.to_instance(7)), Ok(control));
        let mut oscore = Oscore::new(secret, b"a", b"b");
        (oscore.master_salt, oscore.aead_algorithm, oscore.hmac_algorithm) = (salt, number, number);
        prop_assert_eq!(Oscore::from_instance(&oscore.to_instance(0)), Ok(oscore));
    }

    #[test]
    fn no_key_is_printed(key in "[a-z]{12}", identity in "[a-z]{12}") {
        let security = Security::psk("coaps://h", 1, identity.as_bytes(), Opaque::new(key.clone().into_bytes()));
        let printed = format!("{security:?} {:?}", security.to_instance(1));
        let bytes = format!("{:?}", key.as_bytes());
        prop_assert!(!printed.contains(&key) && !printed.contains(&bytes));
    }
}

#[test]
fn values_of_another_type_or_range_are_refused() {
    let good = Server::new(101, 60).to_instance(1);
    for (resource, value) in [
        (0, Value::Integer(65_536)),
        (0, Value::Integer(-1)),
        (0, Value::Text("1".to_owned())),
        (1, Value::Float(1.5)),
        (7, Value::Boolean(true)),
    ] {
        let bad = good.clone().with(resource, value);
        assert_eq!(
            Server::from_instance(&bad),
            Err(DecodeError::Type),
            "{bad:?}"
        );
    }
    let mut missing = good.clone();
    missing.resources.remove(&1);
    assert_eq!(Server::from_instance(&missing), Err(DecodeError::Type));
    let mut multiple = good.clone();
    multiple.resources.insert(
        0,
        Resource::Multiple(BTreeMap::from([(0, Value::Integer(1))])),
    );
    assert_eq!(Server::from_instance(&multiple), Err(DecodeError::Type));
    // JSON writes 60.0 for 60 if its author likes.
    assert!(Server::from_instance(&good.with(1, Value::Float(60.0))).is_ok());
    let mode = Security::no_sec("coap://h", 1)
        .to_instance(1)
        .with(2, Value::Integer(5));
    assert_eq!(Security::from_instance(&mode), Err(DecodeError::Type));
}
