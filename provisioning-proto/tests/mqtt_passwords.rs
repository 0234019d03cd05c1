//! Passwords, their hours and derived secrets: vectors of the vendor's clients, and properties.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use provisioning_proto::mqtt::{
    Derivation, GroupSecret, Mac, SignatureType, TimedMac, Timestamp, Verdict, Window,
};
use provisioning_proto::{RegistrationId, Secret};

const ID: &str = "5f052ac562369102d42b0fb6";

fn secret(text: &str) -> Secret {
    Secret::new(text).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn id(text: &str) -> RegistrationId {
    text.parse().unwrap()
}

fn wall(hours: u64, seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(hours * 3600 + seconds)
}

fn text(secret: &Secret) -> &str {
    str::from_utf8(secret.expose()).unwrap()
}

fn signed(signature: SignatureType, hour: &str, with: &str) -> TimedMac {
    TimedMac::new(
        signature,
        at(hour),
        Mac::sign(signature, &at(hour), &secret(with)),
    )
}

#[test]
fn passwords_of_registered_devices_are_those_of_the_vectors() {
    for (hour, with, password) in [
        (
            "2019122614",
            "mysecret",
            "38656b6523223f2418078d0a6197f0f909afb277c572f1315c2e705fc72762c0",
        ),
        (
            "2018072417",
            "12345678",
            "cda20ea47ca2e8f01d9dd8aa9eb7e7937562f5be6982ea82d46c582c4a476b3f",
        ),
    ] {
        for signature in [SignatureType::Sha256, SignatureType::Sha256Timed] {
            assert_eq!(
                *Mac::sign(signature, &at(hour), &secret(with)).to_hex(),
                password
            );
        }
    }
}

#[test]
fn secrets_and_passwords_of_group_devices_are_those_of_the_vectors() {
    let counting =
        GroupSecret::from_base64("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    let captured = GroupSecret::new("0123456789abcdef0123456789abcdef").unwrap();
    for (group, hour, derived, password) in [
        (
            counting,
            "2019122614",
            "782531cf95876fc8b039e512c76d27f64ddccfb0f9f41aa231b61bdd51f1fa93",
            "883911b5fd24b86878701dc1a21a6e3d7b576c1ba33efb57bf836a84bf0b7104",
        ),
        (
            captured,
            "2026112122",
            "6108b68a1b28a2612b782004462f201c106901766f99a08528cbbccf6e89c1fa",
            "b52cd2fe53ef6483341c351d52547d123dc7c3725aad2423ee6b40ece8c109c2",
        ),
    ] {
        let device = Derivation::IdAsKey.derive(&group, &id(ID));
        assert_eq!(text(&device), derived);
        let mac = Mac::sign(SignatureType::Sha256Timed, &at(hour), &device);
        assert_eq!(*mac.to_hex(), password);
    }
}

#[test]
fn the_derivation_of_the_azure_shape_is_that_of_its_vector() {
    let group = GroupSecret::from_base64(
        "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==",
    )
    .unwrap();
    let device = Derivation::GroupAsKey.derive(&group, &id("sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6"));
    assert_eq!(
        text(&device),
        "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc="
    );
}

#[test]
fn the_sm3_password_is_what_openssl_computes() {
    // printf mysecret | openssl dgst -sm3 -mac HMAC -macopt key:2019122614
    let mac = Mac::sign(
        SignatureType::Sm3Timed,
        &at("2019122614"),
        &secret("mysecret"),
    );
    assert_eq!(
        *mac.to_hex(),
        "72de41a0c15c1a7dd8bf1ffe740f85c49a60102f2877e0fcc8c0b5dcbbf06696"
    );
}

#[test]
fn a_password_is_64_lower_case_digits() {
    let password = Mac::sign(SignatureType::Sha256, &at("2019122614"), &secret("s")).to_hex();
    assert_eq!(password.len(), 64);
    assert!(Mac::parse(password.as_bytes()).is_ok());
    assert!(Mac::parse(password.to_uppercase().as_bytes()).is_err());
    assert!(Mac::parse(&password.as_bytes()[1..]).is_err());
    assert!(Mac::parse(format!("{}0", *password).as_bytes()).is_err());
    assert!(Mac::parse(b"").is_err());
    assert!(Mac::parse("g".repeat(64).as_bytes()).is_err());
}

#[test]
fn an_untimed_password_is_taken_whenever_and_a_timed_one_only_now() {
    let now = wall(at("2019122614").hours_since_1970().unwrap(), 1800);
    let check = |mac: &TimedMac| mac.check(&secret("s"), Window::default(), now);
    for (signature, hour, verdict) in [
        (SignatureType::Sha256, "2019122614", Verdict::Accepted),
        (SignatureType::Sha256, "1970010100", Verdict::Accepted),
        (SignatureType::Sha256, "0000000000", Verdict::Accepted),
        (SignatureType::Sha256Timed, "2019122614", Verdict::Accepted),
        (SignatureType::Sha256Timed, "2019122613", Verdict::Accepted),
        (SignatureType::Sha256Timed, "2019122615", Verdict::Accepted),
        (SignatureType::Sha256Timed, "2019122612", Verdict::Stale),
        (SignatureType::Sha256Timed, "2019122616", Verdict::Stale),
        (SignatureType::Sha256Timed, "0000000000", Verdict::Stale),
        (SignatureType::Sm3Timed, "2019122614", Verdict::Accepted),
        (SignatureType::Sm3Timed, "2019122612", Verdict::Stale),
    ] {
        assert_eq!(
            check(&signed(signature, hour, "s")),
            verdict,
            "{signature:?} {hour}"
        );
        assert_eq!(
            check(&signed(signature, hour, "t")),
            Verdict::Wrong,
            "{signature:?} {hour}"
        );
    }
}

#[test]
fn the_kinds_of_password_are_not_taken_for_one_another() {
    let now = wall(at("2019122614").hours_since_1970().unwrap(), 0);
    let mut mac = signed(SignatureType::Sha256Timed, "2019122614", "s");
    mac.signature = SignatureType::Sm3Timed;
    assert_eq!(
        mac.check(&secret("s"), Window::default(), now),
        Verdict::Wrong
    );
}

#[test]
fn hours_of_the_calendar_are_those_of_date() {
    // date -u -d @SECONDS +%Y%m%d%H
    for (hour, seconds) in [
        ("1970010100", 0),
        ("1999123123", 946_684_799_u64),
        ("2000010100", 946_684_800),
        ("2000022912", 951_825_600),
        ("2018072417", 1_532_454_980),
        ("2019122614", 1_577_370_459),
        ("2024022923", 1_709_251_199),
        ("2024030100", 1_709_251_200),
        ("2100030100", 4_107_542_400),
        ("9999123123", 253_402_300_799),
    ] {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(Timestamp::at(wall), Some(at(hour)), "{hour}");
        assert_eq!(at(hour).hours_since_1970(), Some(seconds / 3600), "{hour}");
    }
    for none in [
        "2019022900",
        "2100022900",
        "2019130100",
        "2019003100",
        "2019010024",
        "2019043100",
        "1969123123",
    ] {
        assert_eq!(at(none).hours_since_1970(), None, "{none}");
    }
    assert_eq!(
        Timestamp::at(SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_800)),
        None
    );
    assert_eq!(
        Timestamp::at(SystemTime::UNIX_EPOCH - Duration::from_secs(1)),
        None
    );
}

#[test]
fn a_group_secret_has_32_to_128_bytes_and_its_text_44_to_172_characters() {
    for (length, characters) in [
        (32, Some(44)),
        (128, Some(172)),
        (31, None),
        (129, None),
        (0, None),
        (600, None),
    ] {
        let made = GroupSecret::new(vec![7; length]).ok();
        assert_eq!(
            made.as_ref().map(|secret| secret.to_base64().len()),
            characters,
            "{length}"
        );
        if let Some(secret) = made {
            assert_eq!(
                GroupSecret::from_base64(&secret.to_base64()).unwrap(),
                secret
            );
        }
    }
    assert!(GroupSecret::from_base64("not base64").is_err());
    assert!(GroupSecret::new(vec![0; 32]).unwrap().has_zero_byte());
}

#[test]
fn a_secret_is_not_printed() {
    let group = GroupSecret::new("0123456789abcdef0123456789abcdef").unwrap();
    let mac = signed(SignatureType::Sha256, "2019122614", "hunter2hunter2");
    let printed = format!("{group:?} {mac:?} {:?}", secret("hunter2hunter2"));
    assert!(
        !printed.contains("hunter2") && !printed.contains("0123"),
        "{printed}"
    );
    assert!(!printed.contains(mac.mac.to_hex().as_str()), "{printed}");
}

proptest! {
    #[test]
    fn a_generated_group_secret_has_48_bytes_and_none_is_zero(entropy in any::<[u8; 32]>()) {
        let secret = GroupSecret::generate(entropy);
        prop_assert_eq!(secret.expose().len(), 48);
        prop_assert!(!secret.has_zero_byte());
    }

    #[test]
    fn an_hour_is_read_as_it_was_written(hours in 0_u64..70_389_528, second in 0_u64..3600) {
        let timestamp = Timestamp::at(wall(hours, second)).unwrap();
        prop_assert_eq!(timestamp.hours_since_1970(), Some(hours));
        // The digits of a later hour sort later.
        let next = Timestamp::at(wall(hours + 1, 0));
        prop_assert!(next.is_none_or(|next| next.to_string() > timestamp.to_string()));
    }

    #[test]
    fn ten_digits_are_an_hour_only_if_the_calendar_has_it(digits in "[0-9]{10}|(19|20)[0-9]{2}[01][0-9][0-3][0-9][0-2][0-9]") {
        if let Some(hours) = at(&digits).hours_since_1970() {
            prop_assert_eq!(Timestamp::at(wall(hours, 0)).unwrap().to_string(), digits);
        }
    }

    #[test]
    fn the_window_is_exact_on_hour_boundaries(
        hours in 100_u64..700_000,
        second in 0_u64..3600,
        past in 0_u32..5,
        future in 0_u32..5,
        offset in -8_i64..8,
    ) {
        let then = Timestamp::at(wall(hours.checked_add_signed(offset).unwrap(), 0)).unwrap();
        let inside = -i64::from(past) <= offset && offset <= i64::from(future);
        prop_assert_eq!(Window::new(past, future).contains(&then, wall(hours, second)), inside);
    }

    #[test]
    fn whatever_differs_in_hour_secret_or_password_is_refused(
        with in "[ -~]{1,40}",
        hour in "[0-9]{10}",
        place in 0_usize..64,
        bit in 0_u32..8,
    ) {
        let now = wall(400_000, 0);
        let check = |mac: &TimedMac, with: &[u8]| {
            mac.check(&Secret::new(with).unwrap(), Window::default(), now)
        };
        let sound = signed(SignatureType::Sha256, &hour, &with);
        prop_assert_eq!(check(&sound, with.as_bytes()), Verdict::Accepted);

        let mut other = with.clone().into_bytes();
        let at_secret = place % other.len();
        other[at_secret] ^= 1 << bit;
        prop_assert_eq!(check(&sound, &other), Verdict::Wrong);

        let mut digits = hour.into_bytes();
        let at_hour = place % 10;
        digits[at_hour] = if digits[at_hour] == b'9' { b'0' } else { digits[at_hour] + 1 };
        let mut moved = sound.clone();
        moved.timestamp = at(str::from_utf8(&digits).unwrap());
        prop_assert_eq!(check(&moved, with.as_bytes()), Verdict::Wrong);

        let mut password = sound.mac.to_hex().as_bytes().to_vec();
        password[place] = if password[place] == b'0' { b'1' } else { b'0' };
        let forged = TimedMac::new(sound.signature, sound.timestamp, Mac::parse(&password).unwrap());
        prop_assert_eq!(check(&forged, with.as_bytes()), Verdict::Wrong);
    }

    #[test]
    fn derivations_differ_between_ids_groups_and_shapes(
        group in prop::collection::vec(any::<u8>(), 32..=128),
        one in "[a-z0-9_-]{1,40}",
        two in "[a-z0-9_-]{1,40}",
    ) {
        let secret = GroupSecret::new(group.clone()).unwrap();
        let mut other = group;
        other[0] ^= 1;
        let other = GroupSecret::new(other).unwrap();
        for shape in [Derivation::IdAsKey, Derivation::GroupAsKey] {
            let derived = shape.derive(&secret, &id(&one));
            prop_assert_eq!(&derived, &shape.derive(&secret, &id(&one)));
            prop_assert!(derived != shape.derive(&other, &id(&one)));
            prop_assert!(one == two || derived != shape.derive(&secret, &id(&two)));
        }
        prop_assert!(Derivation::IdAsKey.derive(&secret, &id(&one)) != Derivation::GroupAsKey.derive(&secret, &id(&one)));
    }
}
