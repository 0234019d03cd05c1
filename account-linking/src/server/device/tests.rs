#![expect(
    clippy::arithmetic_side_effects,
    reason = "a test that overflows fails"
)]

use super::*;

const LIFE: Duration = Duration::from_secs(600);
const PACE: Duration = Duration::from_secs(5);

struct Shelf {
    devices: Devices,
    start: Instant,
    count: u8,
}

impl Shelf {
    fn new(limit: usize) -> Self {
        Self {
            devices: Devices::new(limit),
            start: tokio::time::Instant::now().into_std(),
            count: 0,
        }
    }

    fn keep(&mut self, is_public: bool) -> Option<Codes> {
        self.count += 1;
        let at = self.start + Duration::from_millis(self.count.into());
        let wanted = Wanted {
            scopes: "r:*".parse().unwrap(),
            challenge: None,
            resources: BTreeSet::new(),
            key: None,
        };
        let entropy = SecretBytes::new([self.count; 32]);
        let client = ("client-a".parse().unwrap(), is_public);
        let ends = (at + LIFE, at + LIFE + LIFE);
        self.devices.keep(client, wanted, &entropy, PACE, ends)
    }

    fn poll(&mut self, codes: &Codes, seconds: u64) -> Polled {
        let client = "client-a".parse().unwrap();
        let now = self.start + Duration::from_secs(seconds);
        self.devices.poll(name(codes), &client, now)
    }

    fn waits(&self, codes: &Codes) -> bool {
        self.devices.find(codes.user_code, self.start).is_some()
    }
}

fn name(codes: &Codes) -> Name {
    sha256(codes.device_code.as_bytes())
}

#[test]
fn who_asks_too_soon_waits_five_seconds_longer_from_then_on() {
    let mut shelf = Shelf::new(4);
    let codes = shelf.keep(true).unwrap();
    assert_eq!(shelf.poll(&codes, 0), Polled::Pending);
    assert_eq!(shelf.poll(&codes, 5), Polled::Pending);
    assert_eq!(shelf.poll(&codes, 9), Polled::SlowDown);
    assert_eq!(shelf.poll(&codes, 18), Polled::SlowDown);
    assert_eq!(shelf.poll(&codes, 33), Polled::Pending);
    assert_eq!(shelf.poll(&codes, 48), Polled::Pending);
}

#[test]
fn what_was_decided_stays_so_and_nobody_else_decides_it() {
    let mut shelf = Shelf::new(4);
    let codes = shelf.keep(true).unwrap();
    let (user, grant) = ("user-1".parse().unwrap(), GrantId::from_bytes([1; 16]));
    assert!(shelf.waits(&codes));
    shelf.devices.decide(name(&codes));
    assert!(!shelf.waits(&codes), "one person is deciding");
    assert_eq!(shelf.poll(&codes, 0), Polled::Pending);
    shelf.devices.reopen(name(&codes));
    assert!(shelf.waits(&codes), "it was not durable");
    shelf.devices.decide(name(&codes));
    shelf.devices.allow(name(&codes), user, grant);
    shelf.devices.reopen(name(&codes));
    let allowed = Polled::Allowed("user-1".parse().unwrap(), grant);
    assert_eq!(shelf.poll(&codes, 1), allowed);
    assert_eq!(shelf.poll(&codes, 2), allowed);
    let denied = shelf.keep(true).unwrap();
    shelf.devices.deny(name(&denied));
    assert!(!shelf.waits(&denied));
    assert_eq!(shelf.poll(&denied, 0), Polled::Denied);
}

#[test]
fn a_code_expires_is_known_to_have_expired_and_is_forgotten() {
    let mut shelf = Shelf::new(4);
    let codes = shelf.keep(false).unwrap();
    let other = "client-b".parse().unwrap();
    assert_eq!(
        shelf.devices.poll(name(&codes), &other, shelf.start),
        Polled::Unknown
    );
    assert_eq!(shelf.poll(&codes, 600), Polled::Pending);
    assert_eq!(shelf.poll(&codes, 601), Polled::Expired);
    let late = shelf.start + Duration::from_secs(601);
    assert!(shelf.devices.find(codes.user_code, late).is_none());
    let over = shelf.devices.next_deadline().unwrap();
    shelf.devices.handle_timeout(over);
    assert_eq!(shelf.poll(&codes, 601), Polled::Unknown);
    assert_eq!(shelf.devices.next_deadline(), None);
    assert!(shelf.devices.user_codes.is_empty());
}

#[test]
fn clients_without_a_secret_do_not_drive_out_others() {
    let mut shelf = Shelf::new(2);
    let first = shelf.keep(true).unwrap();
    let second = shelf.keep(false).unwrap();
    let third = shelf.keep(false).unwrap();
    assert!(!shelf.waits(&first));
    assert!(shelf.keep(true).is_none());
    assert!(shelf.waits(&second));
    let fourth = shelf.keep(false).unwrap();
    assert!(!shelf.waits(&second) && shelf.waits(&third) && shelf.waits(&fourth));
}
