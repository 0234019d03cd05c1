//! What must hold when everything has come to rest.

use std::collections::BTreeMap;
use std::time::Duration;

use uci_client::MirroredDevice;
use uci_model::{DeviceStatus, Limits};
use uci_server_core::account::{Account, Change, DeviceRecord};

use super::device::Device;
use super::witness::contains;
use super::{ACCOUNTS, World};

impl World {
    /// Ends the turmoil, lets everybody be told once more, and compares all that there is with all that there should be.
    pub fn come_to_rest(&mut self) {
        self.calm();
        // Whoever was never told that it is not wanted any more hears it by the answer to this.
        self.stir_everything();
        self.pass(Duration::from_secs(1_000));
        self.finish_what_is_under_way();
        self.check_accounts();
        self.check_nothing_is_open();
        for link in 0..self.links.len() {
            self.check_mirror(link);
            self.check_mirror_is_own(link);
            self.check_subscriptions(link);
        }
        self.check_secrets();
    }

    /// A link that renews or polls goes on for ever, and may be in the middle of it.
    fn finish_what_is_under_way(&mut self) {
        const MOMENT: Duration = Duration::from_secs(1);
        let quiet = |world: &Self| world.next_at().is_none_or(|at| at > world.elapsed + MOMENT);
        for _ in 0..60 {
            if quiet(self) {
                return;
            }
            self.pass(MOMENT);
        }
        panic!("there is no rest");
    }

    /// The journal says of every account what its devices say; read again it says the same; and nothing is owed.
    fn check_accounts(&self) {
        for name in ACCOUNTS {
            let id = name.parse().unwrap();
            let nothing = Account::default();
            let account = self.witness.accounts.get(&id).unwrap_or(&nothing);
            assert_eq!(account.owing().count(), 0, "{name} is still owed something");
            let truth = self.devices_of(name);
            let known: BTreeMap<_, _> = account.devices().collect();
            assert_eq!(known.len(), truth.len(), "the devices of {name}");
            for device in truth {
                assert!(device.has_told_all(), "{:?} has more to tell", device.id);
                compare_record(device, known[&device.id]);
            }
            let loaded = self.server.journal.load(&format!("account/{name}"));
            let mut again = match loaded.snapshot {
                Some(kept) => Account::from_snapshot(kept.format, &kept.bytes).unwrap(),
                None => Account::default(),
            };
            for change in &loaded.changes {
                again.apply(&Change::decode(change).unwrap());
            }
            assert_eq!(
                again.snapshot().unwrap(),
                account.snapshot().unwrap(),
                "{name}"
            );
        }
    }

    fn devices_of<'a>(&'a self, account: &'a str) -> Vec<&'a Device> {
        let own = |device: &&Device| device.owner() == Some(account);
        self.devices.iter().filter(own).collect()
    }

    /// Nobody waits for an answer, and no machine for anything.
    fn check_nothing_is_open(&mut self) {
        let server = &self.server;
        assert!(server.requests.is_empty(), "requests without an answer");
        assert!(server.reports.is_empty(), "reports without an end");
        assert!(server.grant_ends.is_empty(), "grant ends without an end");
        let cloud = self.server.machine.as_mut().expect("up");
        assert!(cloud.poll_output().is_none());
        assert_eq!(cloud.next_deadline(), None, "{cloud:?} waits for something");
        for link in &mut self.links {
            assert!(link.calls.is_empty(), "calls without an end");
            assert!(link.requests.is_empty(), "notifications without an answer");
            let renews = link.manner().renews;
            let client = link.machine.as_mut().expect("up");
            assert!(client.poll_output().is_none());
            assert!(
                renews || client.next_deadline().is_none(),
                "{client:?} waits for something"
            );
        }
    }

    /// The client-side cloud knows what the device-side cloud knows.
    fn check_mirror(&self, index: usize) {
        let link = &self.links[index];
        let client = link.machine.as_ref().expect("up");
        let truth = self.devices_of(link.account());
        let known: BTreeMap<_, _> = client.mirror().devices().collect();
        let expected: Vec<_> = truth.iter().map(|device| device.id).collect();
        assert_eq!(
            known.keys().copied().collect::<Vec<_>>(),
            expected,
            "link {index}"
        );
        for device in truth {
            compare_mirrored(index, device, known[&device.id]);
        }
    }

    /// Both sides agree on which subscriptions there are; one that renews may be between two.
    fn check_subscriptions(&self, index: usize) {
        let link = &self.links[index];
        let grant = link.grant_id(link.grant).parse().unwrap();
        let kept = self.witness.open_subscriptions(&grant);
        if link.manner().renews {
            assert!(
                kept >= link.wanted.len().saturating_sub(2),
                "link {index}: {kept}"
            );
        } else {
            assert_eq!(kept, link.wanted.len(), "link {index}: {:?}", link.wanted);
        }
        let resources: usize = self
            .devices_of(link.account())
            .iter()
            .map(|device| 1 + device.links.len())
            .sum();
        assert_eq!(
            link.wanted.len(),
            1 + resources,
            "link {index} is told of everything"
        );
    }

    fn check_secrets(&self) {
        let secrets = || self.links.iter().flat_map(|link| &link.secrets);
        assert!(secrets().count() > 0, "nobody ever subscribed");
        // With their last word the secrets of ended consents are gone, even sealed.
        for text in self.server.journal.texts() {
            for (id, sealed) in self.witness.forgotten() {
                assert!(!contains(text, sealed), "the secret of {id} is still kept");
            }
        }
        let journals = self
            .links
            .iter()
            .map(|link| &link.journal)
            .chain([&self.server.journal]);
        for text in journals.flat_map(|journal| journal.texts()) {
            for secret in secrets() {
                assert!(
                    !contains(text, secret.as_bytes()),
                    "a secret lies open in a journal"
                );
            }
        }
    }
}

fn compare_record(device: &Device, record: &DeviceRecord) {
    assert_eq!(record.generation(), device.generation(), "{:?}", device.id);
    assert_eq!(record.is_online(), device.online, "{:?}", device.id);
    let links: BTreeMap<_, _> = record
        .resources()
        .map(|known| (known.href(), known.link(device.id).resource_types))
        .collect();
    let truth = device
        .links
        .iter()
        .map(|(href, link)| (href, link.resource_types.clone()));
    assert_eq!(links, truth.collect(), "{:?}", device.id);
    let contents = record
        .resources()
        .filter_map(|known| Some((known.href(), known.representation()?)));
    assert_eq!(
        contents.collect::<BTreeMap<_, _>>(),
        device.contents.iter().collect()
    );
}

fn compare_mirrored(link: usize, device: &Device, mirrored: &MirroredDevice) {
    let status = if device.online {
        DeviceStatus::Online
    } else {
        DeviceStatus::Offline
    };
    assert_eq!(
        mirrored.status(),
        Some(status),
        "link {link}: {:?}",
        device.id
    );
    let kinds = |link: &uci_model::ResourceLink| link.resource_types.clone();
    let known: BTreeMap<_, _> = mirrored
        .links()
        .map(|(href, link)| (href, kinds(link)))
        .collect();
    let truth: BTreeMap<_, _> = device
        .links
        .iter()
        .map(|(href, link)| (href, kinds(link)))
        .collect();
    assert_eq!(known, truth, "link {link}: links of {:?}", device.id);
    let known: BTreeMap<_, _> = mirrored
        .representations()
        .map(|(href, value)| (href, value.clone()))
        .collect();
    let decode = |content: &uci_model::Content| content.decode(&Limits::default()).unwrap();
    let truth: BTreeMap<_, _> = device
        .contents
        .iter()
        .map(|(href, content)| (href, decode(content)))
        .collect();
    assert_eq!(
        known, truth,
        "link {link}: representations of {:?}",
        device.id
    );
}
