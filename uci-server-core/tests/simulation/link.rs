//! A linked account at a client-side cloud.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uci_client::{CallId, Client, Config, Notification, RequestId, SubscribeId, Target};
use uci_model::{ContentFormat, SubscriptionId};

use super::ACCOUNTS;
use super::journal::Journal;
use super::network::Attempt;

/// Which company has linked which account, and how it works.
pub const LINKS: [Manner; 4] = [
    Manner::new("east", 0, ContentFormat::Json),
    Manner::new("east", 1, ContentFormat::OcfCbor),
    Manner::new("west", 0, ContentFormat::OcfCbor),
    Manner {
        renews: true,
        ..Manner::new("west", 1, ContentFormat::Json)
    },
];

/// How a client-side cloud works with one account.
pub struct Manner {
    company: &'static str,
    account: usize,
    format: ContentFormat,
    /// Whether it polls and replaces its subscriptions from time to time.
    pub renews: bool,
}

impl Manner {
    const fn new(company: &'static str, account: usize, format: ContentFormat) -> Self {
        Self {
            company,
            account,
            format,
            renews: false,
        }
    }
}

/// One linked account at one client-side cloud.
pub struct Link {
    pub number: usize,
    /// `None` while the process is down.
    pub machine: Option<Client>,
    pub run: u32,
    pub journal: Journal,
    /// By how many seconds its wall clock is wrong.
    pub clock_step: i64,
    /// The consent, counted up whenever the user links the account again.
    pub grant: u32,
    pub linked: bool,
    /// The consents whose end is durable at the server.
    pub ended: BTreeSet<u32>,
    /// What it wants to be told of.
    pub wanted: BTreeMap<Target, SubscribeId>,
    /// Every signing secret that it ever sent.
    pub secrets: BTreeSet<String>,
    /// What waits for its one answer.
    pub calls: BTreeSet<CallId>,
    pub requests: BTreeMap<RequestId, (Attempt, SubscriptionId, u64)>,
    /// The latest number of each subscription in this run.
    latest: BTreeMap<SubscriptionId, u64>,
    /// Whether it knows its subscriptions.
    pub loaded: bool,
    pub tokens: u32,
}

impl Link {
    pub fn new(number: usize) -> Self {
        Self {
            number,
            machine: None,
            run: 0,
            journal: Journal::default(),
            clock_step: 0,
            grant: 1,
            linked: true,
            ended: BTreeSet::new(),
            wanted: BTreeMap::new(),
            secrets: BTreeSet::new(),
            calls: BTreeSet::new(),
            requests: BTreeMap::new(),
            latest: BTreeMap::new(),
            loaded: false,
            tokens: 0,
        }
    }

    pub fn manner(&self) -> &'static Manner {
        &LINKS[self.number]
    }

    pub fn account(&self) -> &'static str {
        ACCOUNTS[self.manner().account]
    }

    pub fn company(&self) -> &'static str {
        self.manner().company
    }

    pub fn grant_id(&self, grant: u32) -> String {
        format!("grant-{}-{grant}", self.number)
    }

    pub fn config(&self) -> Config {
        let url = format!(
            "https://{}.example.com/events/{}",
            self.company(),
            self.number
        );
        let base = "https://cloud.example.com/api/v1".parse().unwrap();
        let mut config = Config::new(&base, url.parse().unwrap()).unwrap();
        config.format = self.manner().format;
        config.snapshot_every = 5;
        let renews = self.manner().renews;
        config.poll_interval = renews.then_some(Duration::from_secs(500));
        config.lifetime = renews.then_some(Duration::from_secs(1_300));
        config
    }

    pub fn stop(&mut self) {
        self.machine = None;
        self.run += 1;
        self.calls.clear();
        self.requests.clear();
        self.latest.clear();
        self.loaded = false;
    }

    /// Notes a notification that took effect: in one run they come in order, and without a gap but before the last word.
    pub fn note(&mut self, told: &Notification) {
        let last = told.event == uci_model::Event::SubscriptionCancelled;
        assert!(
            !told.gap || last,
            "link {}: {told:?} after a gap",
            self.number
        );
        if let Some(before) = self.latest.insert(told.subscription, told.sequence) {
            let step = told.sequence.checked_sub(before).expect("forward");
            assert!(step == 1 || (step == 2 && last), "{told:?} after {before}");
        }
    }
}
