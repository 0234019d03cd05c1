use super::*;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use proptest::prelude::*;

#[test]
fn the_documented_example_is_read_and_written() {
    let identity = PskIdentity::parse(b"MuGsF6W4,15bBZlRknc,2,3600").unwrap();
    assert_eq!(identity.device().product_key().as_str(), "MuGsF6W4");
    assert_eq!(identity.device().to_string(), "MuGsF6W4,15bBZlRknc");
    assert_eq!(identity.mode(), SecureMode::DeviceSecret);
    assert_eq!(identity.lifetime().as_duration(), Duration::from_secs(3600));
    assert_eq!(identity.to_string(), "MuGsF6W4,15bBZlRknc,2,3600");
}

#[test]
fn anything_else_is_refused() {
    let long = format!("{},{},2,3600", "p".repeat(40), "d".repeat(65));
    for bad in [
        "",
        ",,,",
        "product,device",
        "product,device,2",
        "product,device,2,3600,",
        "product,device,2,3600,extra",
        ",device,2,3600",
        ".,device,2,3600",
        "..,device,2,3600",
        "product,dev,2,3600",
        "product,dev ice,2,3600",
        "product,dev/ice,2,3600",
        "prod%uct,device,2,3600",
        "product,device,1,3600",
        "product,device,4,3600",
        "product,device,02,3600",
        "product,device,2,29",
        "product,device,2,86401",
        "product,device,2,03600",
        "product,device,2,+3600",
        "product,device,2,-3600",
        "product,device,2, 3600",
        "product,device,2,3600 ",
        "product,device,2,",
        "product,device,2,99999999999999999999",
        "product,device,2,3600\0",
        long.as_str(),
    ] {
        assert_eq!(
            PskIdentity::parse(bad.as_bytes()).unwrap_err().kind(),
            ErrorKind::Identity,
            "{bad:?}"
        );
    }
    assert!(PskIdentity::parse(b"product,dev\xff\xfe,2,3600").is_err());
    assert!(PskIdentity::parse(&[b'a'; 1000]).is_err());
}

#[test]
fn the_limits_themselves_are_fine() {
    for good in ["p,four,2,30", "p,four,3,86400"] {
        assert_eq!(
            PskIdentity::parse(good.as_bytes()).unwrap().to_string(),
            good
        );
    }
    let longest = format!("{},{},2,86400", "p".repeat(40), "d".repeat(64));
    assert!(PskIdentity::parse(longest.as_bytes()).is_ok());
}

proptest! {
    #[test]
    fn reading_undoes_writing(product in "[A-Za-z0-9._:-]{1,40}", device in "[A-Za-z0-9._:-]{4,64}", mode in 2_u8..=3, lifetime in 30_u32..=86_400) {
        prop_assume!(!matches!(product.as_str(), "." | ".."));
        let text = format!("{product},{device},{mode},{lifetime}");
        let identity = PskIdentity::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(identity.to_string(), text);
    }

    #[test]
    fn what_is_accepted_is_canonical(bytes in proptest::collection::vec(any::<u8>(), 0..160)) {
        if let Ok(identity) = PskIdentity::parse(&bytes) {
            prop_assert_eq!(identity.to_string().into_bytes(), bytes);
        }
    }

    #[test]
    fn near_misses_are_canonical_or_refused(text in "[a-z,]{0,9},[0-9a-f+]{3,6},[ 0-4]{1,2},[0-9]{1,6}") {
        let bytes: Vec<u8> = text.into_bytes();
        if let Ok(identity) = PskIdentity::parse(&bytes) {
            prop_assert_eq!(identity.to_string().into_bytes(), bytes);
        }
    }
}
