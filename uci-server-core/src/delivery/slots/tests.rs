use super::*;

fn slots(most: usize, most_per_host: usize) -> Slots {
    let rules = DeliveryRules {
        max_concurrent: most,
        max_concurrent_per_host: most_per_host,
        ..DeliveryRules::default()
    };
    Slots::new(&rules)
}

fn id(number: u8) -> SubscriptionId {
    SubscriptionId::from_bytes([number; 16])
}

/// Who is served until there is no room.
fn served(slots: &mut Slots, host_of: impl Fn(SubscriptionId) -> HostName) -> Vec<SubscriptionId> {
    let mut served = Vec::new();
    while let Some(subscription) = slots.next() {
        slots.take(&host_of(subscription));
        served.push(subscription);
    }
    served
}

#[test]
fn the_host_is_what_stands_between_scheme_and_path() {
    for (url, host) in [
        ("https://a.example/hook?x=https://b/", "a.example"),
        ("https://a.example:8443", "a.example:8443"),
        ("https://[2001:db8::1]:8443/x", "[2001:db8::1]:8443"),
        ("https://a.example?x", "a.example"),
        ("nonsense", "nonsense"),
    ] {
        assert_eq!(host_of(url), host);
    }
}

#[test]
fn no_host_gets_more_than_its_share_and_all_no_more_than_there_is() {
    let mut slots = slots(5, 2);
    let hosts = ["https://a/", "https://b/", "https://c/"].map(|url| slots.enter(url));
    for number in 0..9 {
        slots.queue(&hosts[usize::from(number) / 3], id(number));
    }
    let host_of = |subscription: SubscriptionId| {
        Arc::clone(&hosts[usize::from(subscription.to_bytes()[0]) / 3])
    };
    // In turns between hosts, in order within one; the fifth is the last that there is room for.
    let expected = [0, 3, 6, 1, 4].map(id);
    assert_eq!(served(&mut slots, host_of), expected);
    slots.free(&hosts[0]);
    assert_eq!(served(&mut slots, host_of), [id(7)]);
    slots.free(&hosts[0]);
    slots.free(&hosts[1]);
    assert_eq!(served(&mut slots, host_of), [id(2), id(5)]);
}

#[test]
fn an_unreachable_host_is_tried_one_at_a_time_until_it_answers() {
    let mut slots = slots(10, 3);
    let host = slots.enter("https://a/");
    for number in 0..8 {
        slots.queue(&host, id(number));
    }
    let host_of = |_| Arc::clone(&host);
    assert_eq!(served(&mut slots, host_of).len(), 3);
    for _ in 0..3 {
        slots.free(&host);
        slots.note(&host, false);
    }
    assert_eq!(served(&mut slots, host_of), [id(3)]);
    slots.free(&host);
    slots.note(&host, true);
    assert_eq!(served(&mut slots, host_of), [id(4), id(5), id(6)]);
}

#[test]
fn a_host_that_has_not_answered_yet_gets_a_few_attempts() {
    let mut slots = slots(100, 64);
    let host = slots.enter("https://a/");
    for number in 0..80 {
        slots.queue(&host, id(number));
    }
    let host_of = |_| Arc::clone(&host);
    assert_eq!(served(&mut slots, host_of).len(), MOST_AT_FIRST);
    slots.free(&host);
    slots.note(&host, true);
    assert_eq!(served(&mut slots, host_of).len(), 64 - MOST_AT_FIRST + 1);
}

#[test]
fn a_host_is_remembered_as_long_as_something_is_under_way_to_it() {
    let mut slots = slots(10, 1);
    let host = slots.enter("https://a/");
    slots.queue(&host, id(1));
    assert_eq!(served(&mut slots, |_| Arc::clone(&host)), [id(1)]);
    slots.leave(&host);
    // Another subscription to the same host waits for what the one before left behind.
    let again = slots.enter("https://a/");
    slots.queue(&again, id(2));
    assert_eq!(slots.next(), None);
    slots.free(&host);
    assert_eq!(served(&mut slots, |_| Arc::clone(&again)), [id(2)]);
    slots.leave(&again);
    slots.free(&again);
    assert!(slots.hosts.is_empty() && slots.turns.is_empty());
    assert_eq!(slots.in_flight, 0);
}

#[test]
fn who_leaves_leaves_nothing() {
    let mut slots = slots(1, 1);
    let (first, second) = (slots.enter("https://a/"), slots.enter("https://a/x"));
    assert!(Arc::ptr_eq(&first, &second));
    let ticket = slots.queue(&first, id(1));
    slots.withdraw(&first, ticket);
    assert_eq!(slots.next(), None);
    slots.leave(&first);
    slots.leave(&second);
    assert!(slots.hosts.is_empty() && slots.turns.is_empty());
}
