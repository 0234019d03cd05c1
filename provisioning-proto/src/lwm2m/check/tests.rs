use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::lwm2m::{ObjectLink, Opaque};

/// A key on P-256, made by OpenSSL for this test, and its public key and a certificate of it.
const PRIVATE: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg0CornpIxCJCtOXxm4D3UHuYf2gqc4QkRwutfSQ1zhyuhRANCAAQwKDS0MYHer4kHkrB1NEJmIicOjdiDkI9bMNlh6GvEn380e4nrvABfcjGBYwDXNYu9jBiA+FfFkE5somtJsNpO";
const PUBLIC: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEMCg0tDGB3q+JB5KwdTRCZiInDo3Yg5CPWzDZYehrxJ9/NHuJ67wAX3IxgWMA1zWLvYwYgPhXxZBObKJrSbDaTg==";
const CERTIFICATE: &str = "MIIBcDCCARWgAwIBAgIUJaEILUH0FYkySnraX0zXZHKDHkswCgYIKoZIzj0EAwIwDDEKMAgGA1UEAwwBZDAgFw0yNjExMjIxOTQ2NDdaGA8yMTI2MTAyOTE5NDY0N1owDDEKMAgGA1UEAwwBZDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDAoNLQxgd6viQeSsHU0QmYiJw6N2IOQj1sw2WHoa8SffzR7ieu8AF9yMYFjANc1i72MGID4V8WQTmyia0mw2k6jUzBRMB0GA1UdDgQWBBSdMwdVmWXqwHlAuUpjl16kQs/3LjAfBgNVHSMEGDAWgBSdMwdVmWXqwHlAuUpjl16kQs/3LjAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQDZKt3k1d1SNmQQXLuRwYxlF/lDMj1uyZ8VZSTYeC2/cgIhAIy9uXA7hnWthnDZEZnJNEkJf5HOJ1GGfIdZGH8Z35+h";

fn der(base64: &str) -> Opaque {
    Opaque::new(STANDARD.decode(base64).unwrap())
}

fn psk() -> Account {
    let security = Security::psk("coaps://h:5684", 101, b"id", Opaque::new(vec![7; 16]));
    Account::new(security, Server::new(101, 60))
}

fn judge(account: Account) -> Result<(), Unfit> {
    Configuration::new(vec![account]).check(true)
}

fn altered(alter: impl FnOnce(&mut Account)) -> Result<(), Unfit> {
    let mut account = psk();
    alter(&mut account);
    judge(account)
}

#[test]
fn short_server_ids_that_are_reserved_doubled_or_without_a_match_are_refused() {
    for (id, fits) in [(0, false), (1, true), (65_534, true), (65_535, false)] {
        let judged = altered(|account| {
            account.security.short_server_id = Some(id);
            account.server.short_server_id = id;
        });
        assert_eq!(judged.is_ok(), fits, "{id}");
    }
    assert_eq!(
        altered(|it| it.server.short_server_id = 102),
        Err(Unfit::ShortServerId)
    );
    assert_eq!(
        altered(|it| it.security.short_server_id = None),
        Err(Unfit::ShortServerId)
    );
    assert_eq!(
        Configuration::new(vec![psk(), psk()]).check(true),
        Err(Unfit::ShortServerId)
    );
}

#[test]
fn a_configuration_without_a_server_or_with_a_bootstrap_server_is_refused() {
    assert_eq!(Configuration::default().check(true), Err(Unfit::NoAccount));
    assert_eq!(
        altered(|it| it.security.bootstrap_server = true),
        Err(Unfit::BootstrapServer)
    );
    let many =
        (1..=17).map(|id| Account::new(Security::no_sec("coap://h", id), Server::new(id, 60)));
    assert_eq!(
        Configuration::new(many.collect()).check(true),
        Err(Unfit::TooMany)
    );
}

#[test]
fn a_uri_has_a_scheme_that_goes_with_the_mode_and_a_host() {
    for (uri, why) in [
        ("coaps://h", None),
        ("coaps://[::1]:5684/path", None),
        ("coaps+tcp://h:5684", None),
        ("coap://h", Some(Unfit::Mode)),
        ("coap+tcp://h", Some(Unfit::Mode)),
        ("https://h", Some(Unfit::Uri)),
        ("coaps://", Some(Unfit::Uri)),
        ("coaps://:5684", Some(Unfit::Uri)),
        ("coaps:///path", Some(Unfit::Uri)),
        ("coaps://user@h", Some(Unfit::Uri)),
        ("coaps://h h", Some(Unfit::Uri)),
        ("h:5684", Some(Unfit::Uri)),
        ("", Some(Unfit::Uri)),
    ] {
        assert_eq!(
            altered(|it| it.security.server_uri = uri.to_owned()).err(),
            why,
            "{uri}"
        );
    }
    assert_eq!(
        altered(|it| it.security.server_uri = format!("coaps://{}", "h".repeat(248))),
        Err(Unfit::Uri)
    );
    let no_sec = |uri| judge(Account::new(Security::no_sec(uri, 5), Server::new(5, 60)));
    assert_eq!(no_sec("coap://h"), Ok(()));
    assert_eq!(no_sec("coaps://h"), Err(Unfit::Mode));
}

#[test]
fn each_mode_needs_its_keys_in_their_form() {
    assert_eq!(judge(psk()), Ok(()));
    assert_eq!(
        altered(|it| it.security.secret_key = Opaque::default()),
        Err(Unfit::Key)
    );
    assert_eq!(
        altered(|it| it.security.secret_key = Opaque::new(vec![1; 65])),
        Err(Unfit::Key)
    );
    assert_eq!(
        altered(|it| it.security.public_key_or_identity = Opaque::default()),
        Err(Unfit::Key)
    );
    let with = |mode, own: &str, servers: &str, secret: &str| {
        altered(|it| {
            it.security.security_mode = mode;
            it.security.public_key_or_identity = der(own);
            it.security.server_public_key = der(servers);
            it.security.secret_key = der(secret);
        })
    };
    use SecurityMode::{Certificate, Est, NoSec, RawPublicKey};
    assert_eq!(with(Certificate, CERTIFICATE, CERTIFICATE, PRIVATE), Ok(()));
    assert_eq!(with(RawPublicKey, PUBLIC, PUBLIC, PRIVATE), Ok(()));
    for (mode, own, servers, secret) in [
        (Certificate, PUBLIC, CERTIFICATE, PRIVATE),
        (Certificate, CERTIFICATE, "", PRIVATE),
        (Certificate, CERTIFICATE, CERTIFICATE, ""),
        (Certificate, CERTIFICATE, CERTIFICATE, PUBLIC),
        (Certificate, &CERTIFICATE[..400], CERTIFICATE, PRIVATE),
        (RawPublicKey, CERTIFICATE, PUBLIC, PRIVATE),
        (RawPublicKey, PUBLIC, "", PRIVATE),
        (RawPublicKey, PUBLIC, PUBLIC, CERTIFICATE),
    ] {
        assert_eq!(
            with(mode, own, servers, secret),
            Err(Unfit::Key),
            "{mode:?}"
        );
    }
    assert_eq!(
        with(Est, CERTIFICATE, CERTIFICATE, PRIVATE),
        Err(Unfit::Est)
    );
    assert_eq!(
        altered(|it| {
            it.security.security_mode = NoSec;
            it.security.server_uri = "coap://h".to_owned();
        }),
        Err(Unfit::Key)
    );
}

#[test]
fn a_key_goes_only_where_nobody_else_reads() {
    let keyed = Configuration::new(vec![psk()]);
    assert_eq!(keyed.check(false), Err(Unfit::KeyInTheClear));
    let open = Configuration::new(vec![Account::new(
        Security::no_sec("coap://h", 5),
        Server::new(5, 60),
    )]);
    assert_eq!(open.check(false), Ok(()));
    let mut oscore = open.clone();
    oscore.accounts[0].oscore = Some(Oscore::new(Opaque::new(vec![1; 16]), b"a", b"b"));
    assert_eq!(
        (oscore.check(true), oscore.check(false)),
        (Ok(()), Err(Unfit::KeyInTheClear))
    );
}

#[test]
fn oscore_needs_algorithms_and_ids_that_can_be_used() {
    let with = |alter: &dyn Fn(&mut Oscore)| {
        altered(|account| {
            let mut oscore = Oscore::new(Opaque::new(vec![1; 16]), b"a", b"b");
            alter(&mut oscore);
            account.oscore = Some(oscore);
        })
    };
    assert_eq!(with(&|_| {}), Ok(()));
    assert_eq!(with(&|it| it.recipient_id = b"1234567"[..].into()), Ok(()));
    for unusable in [
        &(|it: &mut Oscore| it.recipient_id = b"a"[..].into()) as &dyn Fn(&mut Oscore),
        &|it| it.recipient_id = b"12345678"[..].into(),
        &|it| (it.aead_algorithm, it.recipient_id) = (Some(12), b"12"[..].into()),
        &|it| it.aead_algorithm = Some(4),
        &|it| it.hmac_algorithm = Some(-12),
        &|it| it.master_secret = Opaque::new(vec![1; 15]),
    ] {
        assert_eq!(with(unusable), Err(Unfit::Oscore));
    }
    let link = Some(ObjectLink {
        object: 21,
        instance: 0,
    });
    assert_eq!(altered(|it| it.security.oscore = link), Err(Unfit::Oscore));
}

#[test]
fn values_out_of_their_range_are_refused() {
    for wrong in [
        &(|it: &mut Account| it.server.lifetime = 0) as &dyn Fn(&mut Account),
        &|it| it.server.binding = String::new(),
        &|it| it.server.binding = "UX".to_owned(),
        &|it| it.server.binding = "UU".to_owned(),
        &|it| it.security.matching_type = Some(4),
        &|it| it.security.certificate_usage = Some(4),
    ] {
        assert_eq!(altered(|it| wrong(it)), Err(Unfit::Value));
    }
    assert_eq!(altered(|it| it.server.binding = "UQ".to_owned()), Ok(()));
}
