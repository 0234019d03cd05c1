use provisioning_proto::migration::{BundleField, Purpose};
use provisioning_proto::{SealedSecret, Secret};
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};

use super::*;

fn instance(key: [u8; 32]) -> Instance {
    Instance {
        tenant: "acme".parse().expect("id"),
        name: "production".to_owned(),
        access_point: "here".parse().expect("id"),
        place: None,
        own: [1; 32],
        token: HeaderValue::from_static("Bearer x"),
        shown: [0; 32],
        key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).expect("a key")),
    }
}

#[test]
fn a_secret_is_opened_by_who_has_the_key_for_the_very_transfer_device_and_field() {
    let name = |path: &str| Name::read(path).expect("a name");
    let (first, second) = ("0".repeat(32), "1".repeat(32));
    let here = name(&format!("{first}/lamp-1"));
    let secret = Secret::new("a secret of a lamp").expect("a secret");
    let (us, them, stranger) = (instance([7; 32]), instance([7; 32]), instance([8; 32]));
    let sealed = us.seal(&here, BundleField::Own, &secret).expect("sealed");
    let again = us.seal(&here, BundleField::Own, &secret).expect("sealed");
    assert_ne!(sealed, again, "a nonce is used once");
    let opened = them.open(&here, BundleField::Own, &sealed);
    assert!(opened.is_ok_and(|opened| opened == secret));
    assert!(stranger.open(&here, BundleField::Own, &sealed).is_err());
    for other in [BundleField::Enrolled, BundleField::EnrolledSecondary] {
        assert!(them.open(&here, other, &sealed).is_err());
    }
    let first_key = us
        .seal(&here, BundleField::Enrolled, &secret)
        .expect("sealed");
    let as_second = them.open(&here, BundleField::EnrolledSecondary, &first_key);
    assert!(as_second.is_err(), "a first key passes for a second");
    for other in [format!("{second}/lamp-1"), format!("{first}/lamp-2")] {
        let opened = them.open(&name(&other), BundleField::Own, &sealed);
        assert!(opened.is_err(), "{other}");
    }
    let short = SealedSecret::new(vec![1; 5]).expect("bytes");
    assert!(them.open(&here, BundleField::Own, &short).is_err());
}

#[test]
fn a_path_names_a_transfer_and_a_device_and_nothing_else() {
    let transfer = "0".repeat(32);
    assert!(Name::read(&format!("{transfer}/lamp-1")).is_some());
    for path in ["", "lamp-1", "x/lamp-1"] {
        assert!(Name::read(path).is_none(), "{path}");
    }
    for device in ["", "a/b", "a%2Fb", "lamp-1/"] {
        let path = format!("{transfer}/{device}");
        assert!(Name::read(&path).is_none(), "{path}");
    }
}

#[test]
fn an_instance_prints_neither_where_it_is_nor_what_it_is_shown() {
    let printed = format!("{:?}", instance([7; 32]));
    assert_eq!(
        printed,
        "Instance { tenant: TenantId(\"acme\"), name: \"production\", .. }"
    );
}

#[test]
fn what_is_sealed_about_something_is_opened_about_nothing_else() {
    let (us, them, stranger) = (instance([7; 32]), instance([7; 32]), instance([8; 32]));
    let sealed = us.seal_about(b"about", b"a registration").expect("sealed");
    assert!(!sealed.windows(12).any(|part| part == b"registration"));
    let opened = them.open_about(b"about", &sealed).expect("opened");
    assert_eq!(&opened[..], b"a registration");
    assert!(stranger.open_about(b"about", &sealed).is_none());
    assert!(them.open_about(b"above", &sealed).is_none());
    assert!(them.open_about(b"about", &sealed[..11]).is_none());
    for at in 0..sealed.len() {
        let mut altered = sealed.clone();
        altered[at] ^= 1;
        assert!(them.open_about(b"about", &altered).is_none(), "byte {at}");
    }
    let nothing = us.seal_about(b"about", b"").expect("sealed");
    let opened = them.open_about(b"about", &nothing).expect("opened");
    assert!(opened.is_empty());
}

#[test]
fn a_file_is_between_two_instances_that_know_each_other_and_otherwise_it_is_said_what_to_do() {
    let mut known = instance([7; 32]);
    known.shown = [2; 32];
    let tenant = |name: &str| name.parse().expect("id");
    let head = |sender, receiver, of| FileHead {
        purpose: Purpose::Withdrawal,
        sender: [sender; 32],
        receiver: [receiver; 32],
        tenant: tenant(of),
        transfer: "0".repeat(32).parse().expect("id"),
        device: "lamp-1".parse().expect("id"),
        ends_at: 0,
    };
    let instances = [known];
    let found = between(&instances, &head(2, 1, "acme")).expect("they know each other");
    assert_eq!(found.name, "production");
    for (sender, receiver, of, text) in [
        (1, 2, "acme", "called \"production\" here"),
        (3, 1, "acme", "set its token_sha256"),
        (2, 1, "other", "none of the tenant other"),
        (2, 3, "acme", "for another instance"),
        (3, 4, "acme", "for another instance"),
    ] {
        let refused = between(&instances, &head(sender, receiver, of));
        let said = refused.map(|one| one.name.clone());
        let said = said.map_err(|error| error.chain());
        assert!(
            said.as_ref().is_err_and(|said| said.contains(text)),
            "{said:?}"
        );
    }
}
