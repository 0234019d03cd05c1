use super::*;

fn judged(text: &str) -> Result<(), EventsUrlError> {
    EventsUrlPolicy::default().check(text).map(drop)
}

#[test]
fn https_to_a_public_place_is_taken_as_it_is() {
    for text in [
        "https://events.example.com/hook?x=1",
        "https://events.example.com:8443/",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
    ] {
        assert_eq!(
            EventsUrlPolicy::default().check(text).unwrap().as_str(),
            text
        );
    }
}

#[test]
fn what_is_not_plain_https_is_refused() {
    for (text, error) in [
        ("http://events.example.com/", EventsUrlError::Scheme),
        ("ftp://events.example.com/", EventsUrlError::Scheme),
        ("file:///etc/passwd", EventsUrlError::Scheme),
        (
            "https://user@events.example.com/",
            EventsUrlError::Credentials,
        ),
        (
            "https://:secret@events.example.com/",
            EventsUrlError::Credentials,
        ),
        ("https://events.example.com/#part", EventsUrlError::Fragment),
        ("https://", EventsUrlError::Malformed),
        ("/relative", EventsUrlError::Malformed),
        ("", EventsUrlError::Malformed),
        ("https://events.example.com/a\nb", EventsUrlError::Malformed),
        (" https://events.example.com/", EventsUrlError::Malformed),
    ] {
        assert_eq!(judged(text), Err(error), "{text:?}");
    }
    assert_eq!(
        judged(&format!("https://events.example.com/{}", "a".repeat(2048))),
        Err(EventsUrlError::Malformed)
    );
}

#[test]
fn addresses_inside_are_refused_however_they_are_written() {
    for host in [
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "198.18.0.1",
        "192.0.2.1",
        "224.0.0.1",
        "255.255.255.255",
        "[::]",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::10.0.0.1]",
        "[2002:7f00:1::]",
        "[2001::1]",
        "[2001:db8::1]",
        "[fc00::1]",
        "[fd12::1]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
    ] {
        assert_eq!(
            judged(&format!("https://{host}/")),
            Err(EventsUrlError::NotPublic),
            "{host}"
        );
    }
    for neighbor in [
        "100.128.0.1",
        "172.32.0.1",
        "9.255.255.255",
        "[64:ff9b::8.8.8.8]",
        "[::ffff:8.8.8.8]",
    ] {
        assert_eq!(
            judged(&format!("https://{neighbor}/")),
            Ok(()),
            "{neighbor}"
        );
    }
}

#[test]
fn tests_on_one_machine_can_be_allowed() {
    let mut policy = EventsUrlPolicy {
        dangerous_allow_non_public: true,
        ..EventsUrlPolicy::default()
    };
    assert!(policy.check("https://127.0.0.1:1/").is_ok());
    assert_eq!(
        policy.check("http://127.0.0.1:1/"),
        Err(EventsUrlError::Scheme)
    );
    policy.dangerous_allow_http = true;
    assert!(policy.check("http://localhost:1/").is_ok());
    assert_eq!(policy.judge_address([10, 0, 0, 1].into()), Ok(()));
    assert_eq!(
        EventsUrlPolicy::default().judge_address([10, 0, 0, 1].into()),
        Err(EventsUrlError::NotPublic)
    );
}
