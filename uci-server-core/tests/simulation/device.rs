//! The devices, and whoever carries them: what they are, what they tell, how they answer.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use uci_model::{Content, ContentFormat, DeviceId, Href, Interface, Limits, ResourceLink, Value};
use uci_server_core::{
    AskId, DeviceAnswer, DeviceReport, DeviceRequest, ErrorKind, Occurrence, Operation,
};

use super::{ACCOUNTS, Happening, Process, World};

/// Whose the devices are that there are from the beginning.
const OWNERS: [&str; 4] = [ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[1], ACCOUNTS[2]];

const HREFS: [&str; 3] = ["/light/1", "/meter", "/a/b/c"];

/// A device as it really is.
pub struct Device {
    pub id: DeviceId,
    /// Every owner there was, each with its generation.
    pub owners: Vec<(u64, &'static str)>,
    /// Whether it belongs to the last of them.
    pub owned: bool,
    pub online: bool,
    pub links: BTreeMap<Href, ResourceLink>,
    pub contents: BTreeMap<Href, Content>,
    format: ContentFormat,
    /// What the cloud has not taken yet, oldest first.
    untold: VecDeque<DeviceReport>,
    /// Whether the first of it is under way.
    pub telling: bool,
    version: u64,
}

impl Device {
    pub fn new(number: usize) -> Self {
        let mut id = [0xd0; 16];
        id[15] = number as u8;
        Self {
            id: DeviceId::from_entropy(id),
            owners: Vec::new(),
            owned: false,
            online: false,
            links: BTreeMap::new(),
            contents: BTreeMap::new(),
            format: [ContentFormat::OcfCbor, ContentFormat::Json][number % 2],
            untold: VecDeque::new(),
            telling: false,
            version: 0,
        }
    }

    pub fn owner(&self) -> Option<&'static str> {
        self.owners
            .last()
            .filter(|_| self.owned)
            .map(|(_, account)| *account)
    }

    pub fn generation(&self) -> u64 {
        self.owners.last().map_or(0, |(generation, _)| *generation)
    }

    /// Whether the cloud has taken everything.
    pub fn has_told_all(&self) -> bool {
        self.untold.is_empty()
    }

    fn tell(&mut self, occurrence: Occurrence) {
        if let Some((generation, account)) = self.owners.last() {
            let account = account.parse().unwrap();
            let report = DeviceReport::new(account, self.id, *generation, occurrence);
            self.untold.push_back(report);
        }
    }

    fn belong_to(&mut self, account: &'static str) {
        let generation = self.generation() + 1;
        self.owners.push((generation, account));
        self.owned = true;
        self.forget();
        self.tell(Occurrence::Registered);
    }

    fn leave(&mut self) {
        self.tell(Occurrence::Unregistered);
        self.owned = false;
        self.forget();
    }

    fn forget(&mut self) {
        self.online = false;
        self.links.clear();
        self.contents.clear();
    }

    fn go_online(&mut self) {
        if self.owned && !self.online {
            self.online = true;
            self.tell(Occurrence::Online);
            if self.links.is_empty() {
                self.publish(HREFS[0]);
            }
        }
    }

    fn go_offline(&mut self) {
        if self.owned && self.online {
            self.online = false;
            self.tell(Occurrence::Offline);
        }
    }

    /// Offers a resource, new or otherwise than before, and says what it is like.
    fn publish(&mut self, href: &str) {
        self.version += 1;
        let href: Href = href.parse().unwrap();
        let kind = format!("x.example.v{}", self.version).parse().unwrap();
        let interfaces = vec![Interface::READ_WRITE, Interface::BASELINE];
        let link = ResourceLink::new(href.clone(), vec![kind], interfaces);
        self.links.insert(href.clone(), link.clone());
        self.tell(Occurrence::LinksPublished(vec![link]));
        let power = self.version;
        self.change(&href, power);
    }

    fn withdraw(&mut self, href: &Href) {
        if self.links.remove(href).is_some() {
            self.contents.remove(href);
            self.tell(Occurrence::LinksWithdrawn(vec![href.clone()]));
        }
    }

    fn change(&mut self, href: &Href, power: u64) {
        let owner = self.owner().unwrap_or("nobody");
        let text = format!("{{\"owner\":\"owner-{owner}\",\"power\":{power}}}");
        let content = Content::new(ContentFormat::Json, Bytes::from(text));
        let content = content.in_format(self.format, &Limits::default()).unwrap();
        self.contents.insert(href.clone(), content.clone());
        let href = href.clone();
        self.tell(Occurrence::RepresentationChanged { href, content });
    }
}

impl World {
    /// The devices that there are from the beginning.
    pub fn begin_devices(&mut self) {
        for account in OWNERS {
            self.add_device(account);
        }
    }

    fn add_device(&mut self, account: &'static str) {
        let index = self.devices.len();
        let mut device = Device::new(index);
        device.belong_to(account);
        self.devices.push(device);
        self.plan(Duration::from_millis(20), Happening::Reconnect(index));
    }

    /// Something happens to a device.
    pub fn stir_device(&mut self, index: usize) {
        let choice = self.dice.roll(20);
        let power = self.dice.roll(1_000_000);
        let (href, account) = (self.dice.pick(&HREFS), self.dice.pick(&ACCOUNTS));
        let other = self.dice.index(16);
        let device = &mut self.devices[index];
        let known = device
            .links
            .keys()
            .nth(other % device.links.len().max(1))
            .cloned();
        match (choice, known) {
            (0, _) if device.owned => device.leave(),
            (1, _) if device.owner() != Some(account) => {
                device.belong_to(account);
                self.plan(Duration::from_secs(1), Happening::Reconnect(index));
            }
            (2 | 3, _) => device.go_offline(),
            (4..=6, _) => device.go_online(),
            (7 | 8, _) if device.online => device.publish(href),
            (9, Some(known)) if device.online => device.withdraw(&known),
            (_, Some(known)) if device.online => device.change(&known, power),
            _ => {}
        }
        self.report(index);
    }

    /// Every resource of every device gets the representation with this number.
    pub fn change_everything(&mut self, power: u64) {
        for index in 0..self.devices.len() {
            let device = &mut self.devices[index];
            let hrefs: Vec<Href> = device.links.keys().cloned().collect();
            for href in hrefs {
                device.change(&href, power);
            }
            self.report(index);
        }
    }

    /// Every subscription of every level gets something to be told.
    pub fn stir_everything(&mut self) {
        for index in 0..self.devices.len() {
            let device = &mut self.devices[index];
            device.go_offline();
            device.go_online();
            let hrefs: Vec<Href> = device.links.keys().cloned().collect();
            for href in hrefs {
                device.publish(href.as_str());
            }
            self.report(index);
        }
        for account in ACCOUNTS {
            self.add_device(account);
        }
    }

    /// Hands the oldest report to the cloud, one at a time.
    pub fn report(&mut self, index: usize) {
        let (wall, now) = (self.wall(Process::Server), self.now());
        let device = &mut self.devices[index];
        let (Some(report), Some(cloud), false) = (
            device.untold.front(),
            &mut self.server.machine,
            device.telling,
        ) else {
            return;
        };
        self.counts.reports += 1;
        device.telling = true;
        self.trace.detail(
            self.elapsed,
            format_args!(
                "device {index} of {}: {:?}",
                report.account, report.occurrence
            ),
        );
        let id = cloud.handle_report(report.clone(), wall, now);
        self.server.reports.insert(id, index);
        self.drain_server();
    }

    pub fn reported(&mut self, index: usize, result: Result<(), ErrorKind>) {
        let device = &mut self.devices[index];
        device.telling = false;
        match result {
            Err(ErrorKind::Unavailable) => {
                let after = self.dice.milliseconds(500, 5_000);
                return self.plan(after, Happening::Report(index));
            }
            Ok(()) => {}
            // It had become durable before its answer got lost.
            Err(ErrorKind::NotFound) => assert_eq!(
                device.untold.front().map(|report| &report.occurrence),
                Some(&Occurrence::Unregistered)
            ),
            Err(other) => panic!("{other:?} in answer to {:?}", device.untold.front()),
        }
        device.untold.pop_front();
        self.plan(Duration::from_millis(1), Happening::Report(index));
    }

    /// The cloud is gone: every session with it.
    pub fn lose_sessions(&mut self) {
        for index in 0..self.devices.len() {
            if std::mem::take(&mut self.devices[index].online) {
                let after = self.dice.milliseconds(1, 60_000);
                self.plan(after, Happening::Reconnect(index));
            }
        }
    }

    pub fn reconnect(&mut self, index: usize) {
        self.devices[index].go_online();
        self.report(index);
    }

    /// A device that counts as online since before the cloud's start: is it there?
    pub fn missed(&mut self, id: DeviceId, generation: u64) {
        let found = self.devices.iter().position(|device| device.id == id);
        if let Some(index) = found {
            let device = &mut self.devices[index];
            if device.owned && device.generation() == generation && !device.online {
                device.tell(Occurrence::Offline);
                self.report(index);
            }
        }
    }

    pub fn ask_arrives(&mut self, run: u32, ask: AskId, request: &DeviceRequest) {
        let fault = if self.dice.one_in(self.faults.network) {
            self.dice.roll(4)
        } else {
            9
        };
        let found = self
            .devices
            .iter()
            .position(|device| device.id == request.device);
        let index = found.expect("a device that exists");
        let device = &mut self.devices[index];
        let owner = (request.generation, request.account.as_str());
        assert!(
            device.owners.iter().any(|(g, a)| (*g, *a) == owner),
            "{request:?}"
        );
        let there = device.online && device.generation() == request.generation;
        let known = device.contents.get(&request.href).cloned();
        let answer = match (&request.operation, known) {
            _ if !there || fault == 0 => DeviceAnswer::Unreachable,
            _ if fault == 1 => DeviceAnswer::answered(0xa3, None, Some(Duration::from_secs(30))),
            (_, None) => DeviceAnswer::answered(0x84, None, None),
            (Operation::Retrieve, known) => DeviceAnswer::answered(0x45, known, None),
            (Operation::Update(content), _) => {
                let value = content.decode(&Limits::default()).unwrap();
                let power = value.get("power").and_then(Value::as_integer);
                device.change(
                    &request.href,
                    power.and_then(|power| power.as_u64()).unwrap(),
                );
                self.report(index);
                DeviceAnswer::answered(0x44, None, None)
            }
            (other, _) => panic!("{other:?}"),
        };
        self.answer_ask(run, ask, &answer);
    }

    pub fn ask_answered(&mut self, run: u32, ask: AskId, answer: DeviceAnswer) {
        let now = self.now();
        if run != self.server.run {
            return;
        }
        if let Some(cloud) = &mut self.server.machine {
            cloud.handle_answer(ask, answer, now);
            self.drain_server();
        }
    }
}
