//! The end of a link, on which two ledgers must agree: the process dies at every step between them, twice.
//!
//! The two machines are put together as the program does it; only the sockets, the disk and the clock are the test's.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

#[path = "../../../account-linking/tests/server/harness.rs"]
mod linking;
#[path = "../../../uci-server-core/tests/rig/rig.rs"]
mod rig;
#[path = "../../../account-linking/tests/server/store.rs"]
mod store;

use std::mem::take;
use std::time::{Duration, UNIX_EPOCH};

use account_linking::UserId;
use account_linking::server::{Event, GrantId, Refusal};
use http::StatusCode;
use linking::{Fault, Tokens};
use rig::{LIGHT, Told, cbor, device, granted, subscribe_request};
use uci_server_core::Appended;

/// Where the process dies while a client takes back its access.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Death {
    RevocationNotWritten,
    RevocationWritten,
    RevocationAnswered,
    AccountNotWritten,
    AccountWritten,
    AccountAcknowledged,
    SettlementNotWritten,
    SettlementWritten,
    Never,
}

const DEATHS: [Death; 9] = [
    Death::RevocationNotWritten,
    Death::RevocationWritten,
    Death::RevocationAnswered,
    Death::AccountNotWritten,
    Death::AccountWritten,
    Death::AccountAcknowledged,
    Death::SettlementNotWritten,
    Death::SettlementWritten,
    Death::Never,
];

/// One user with two clients, in a cloud of two machines, each with what it stores.
struct Composition {
    links: linking::World,
    cloud: rig::World,
    secrets: Vec<Option<String>>,
    /// What each client holds, and what it subscribed to.
    tokens: [Tokens; 2],
    subscriptions: [String; 2],
    starts: u8,
    /// The first client has heard that its access is taken back.
    revoked: bool,
    /// The account has said that the end is durable.
    acknowledged: bool,
    /// What was sent although a link had ended by then.
    told: Vec<Told>,
}

impl Composition {
    fn new() -> Self {
        let registrations = [linking::confidential(), linking::public()];
        let (mut links, secrets) = linking::World::with_clients(&registrations);
        let mut cloud = rig::World::new();
        cloud.light();
        let mut linked = |index: usize, client: &str| {
            let tokens = linking::link(&mut links, secrets[index].as_deref(), client, "alice");
            let grant = links.check(&tokens.access).unwrap().grant.to_string();
            let request = subscribe_request(
                &format!("/{}{LIGHT}", device(1)),
                &["resource_contentchanged"],
            );
            let response = cloud.call(&request, granted("alice", &grant));
            assert_eq!(response.status(), StatusCode::CREATED);
            let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            let subscription = body["subscriptionId"].as_str().unwrap().to_owned();
            (tokens, subscription)
        };
        let first = linked(0, "client-acme");
        let second = linked(1, "client-app");
        links.events.clear();
        Self {
            links,
            cloud,
            secrets,
            tokens: [first.0, second.0],
            subscriptions: [first.1, second.1],
            starts: 1,
            revoked: false,
            acknowledged: false,
            told: Vec::new(),
        }
    }

    /// A new process on what the last one stored: what has ended ends first, then what is owed goes on.
    ///
    /// False when it died over that.
    fn restart(&mut self, death: Death) -> bool {
        self.starts += 1;
        let mut store = self.links.store.clone();
        store.faults.clear();
        self.links = linking::World::with_store(linking::config(), store, self.starts);
        self.cloud.appends_wait = false;
        self.cloud.reboot();
        self.look_around();
        let alive = self.end_all(death);
        if alive {
            self.cloud.wake_due();
        }
        alive
    }

    fn look_around(&mut self) {
        let owing: Vec<String> = self.links.store.due.keys().cloned().collect();
        for stream in owing.iter().filter(|name| name.starts_with("grants/")) {
            let (wall, now) = (self.links.wall, self.links.now);
            self.links.server.wake(stream, wall, now).unwrap();
        }
        self.links.pump();
    }

    fn revoke(&mut self, death: Death) {
        match death {
            Death::RevocationNotWritten => self.links.store.faults.push_back(Fault::Silent),
            Death::RevocationWritten => self.links.store.faults.push_back(Fault::SilentWritten),
            _ => {}
        }
        let body = linking::form(&[
            ("client_id", "client-acme"),
            ("client_secret", self.secrets[0].as_deref().unwrap()),
            ("token", self.tokens[0].refresh.as_deref().unwrap()),
        ]);
        let request = http::Request::post("/oauth/revoke")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.into())
            .unwrap();
        let id = self.links.send(&request);
        if let Some(response) = self.links.responses.remove(&id) {
            assert_eq!(response.status(), StatusCode::OK);
            self.revoked = true;
        }
    }

    /// Tells the account; false when the process died over it.
    fn end(&mut self, grant: GrantId, death: Death) -> bool {
        let grant = grant.to_string().parse().unwrap();
        self.cloud.appends_wait = true;
        let (wall, now) = (self.cloud.wall, self.cloud.now);
        let id = self
            .cloud
            .cloud
            .end_grant(rig::account("alice"), grant, wall, now);
        self.cloud.settle();
        for append in take(&mut self.cloud.unanswered) {
            assert!(self.cloud.grants_ended.is_empty(), "too early");
            if death == Death::AccountNotWritten {
                return false;
            }
            self.cloud.journal.append(&append);
            if death == Death::AccountWritten {
                return false;
            }
            self.cloud
                .cloud
                .handle_appended(append.id, Appended::Done, wall, now);
            self.cloud.settle();
        }
        self.cloud.appends_wait = false;
        assert_eq!(self.cloud.grants_ended.remove(&id), Some(Ok(())));
        self.acknowledged = true;
        death != Death::AccountAcknowledged
    }

    fn settle(&mut self, account: UserId, grant: GrantId, death: Death) {
        match death {
            Death::SettlementNotWritten => self.links.store.faults.push_back(Fault::Silent),
            Death::SettlementWritten => self.links.store.faults.push_back(Fault::SilentWritten),
            _ => {}
        }
        let (wall, now) = (self.links.wall, self.links.now);
        let server = &mut self.links.server;
        server.settle_grant_end(account, grant, wall, now).unwrap();
        self.links.pump();
    }

    /// Ends everywhere what has ended; false when the process died over it.
    fn end_all(&mut self, death: Death) -> bool {
        for event in take(&mut self.links.events) {
            if let Event::GrantEnded { account, grant, .. } = event {
                if death == Death::RevocationAnswered || !self.end(grant, death) {
                    return false;
                }
                self.settle(account, grant, death);
                if [Death::SettlementNotWritten, Death::SettlementWritten].contains(&death) {
                    return false;
                }
            }
        }
        true
    }

    /// One life of the process, which ends with `death` if it has not ended before. The client asks until it is answered.
    fn live(&mut self, death: Death) {
        if !self.restart(death) {
            return;
        }
        self.check();
        if !self.revoked {
            self.revoke(death);
            self.end_all(death);
        }
        if death == Death::Never {
            self.check();
        }
    }

    /// Until the end is known everywhere the first client's receiver is down, so its queue grows.
    fn receive(&mut self) {
        if self.revoked || self.acknowledged {
            self.told.extend(self.cloud.receive_all());
            return;
        }
        while let Some((id, told)) = self.cloud.next_delivery() {
            if told.subscription == self.subscriptions[0] {
                self.cloud.fail_delivery(id);
            } else {
                self.cloud.answer_delivery(id, 200);
            }
        }
    }

    /// What must hold while the process lives.
    fn check(&mut self) {
        let first = self.tokens[0].clone();
        if self.revoked {
            assert_eq!(self.links.check(&first.access), Err(Refusal::Invalid));
        }
        assert!(self.links.check(&self.tokens[1].access.clone()).is_ok());
        self.receive();
    }
}

#[test]
fn whenever_the_process_dies_a_revoked_link_ends_once_and_everywhere() {
    let mut unanswered = 0;
    for (first, second) in DEATHS.iter().flat_map(|a| DEATHS.map(|b| (*a, b))) {
        let mut both = Composition::new();
        both.receive();
        both.cloud.change(device(1), LIGHT, cbor("{}"));
        both.receive();
        for death in [first, second, Death::Never] {
            both.live(death);
            unanswered += usize::from(!both.revoked);
        }
        let context = format!("{first:?}, then {second:?}");
        assert!(both.revoked && both.acknowledged, "{context}");
        // Nothing is owed any more, and nobody is told again.
        let due = both.links.store.due.get("grants/alice").copied();
        let wall = both.links.wall.duration_since(UNIX_EPOCH).unwrap();
        assert!(u128::from(due.unwrap()) > wall.as_millis(), "{context}");
        both.look_around();
        let again = |event: &Event| matches!(event, Event::GrantEnded { .. });
        assert!(!both.links.events.iter().any(again), "{context}");

        both.cloud.change(device(1), LIGHT, cbor("[]"));
        both.check();
        for _ in 0..3 {
            both.cloud.pass(Duration::from_secs(120));
            both.check();
        }
        let [ended, other] = &both.subscriptions;
        let of = |id: &str| -> Vec<&Told> {
            let told = both.told.iter();
            told.filter(|told| told.subscription == id).collect()
        };
        assert!(!of(ended).is_empty(), "{context}: the end is told");
        for told in of(ended) {
            assert_eq!(told.event, "subscription_cancelled", "{context}");
            assert!(told.body.is_empty(), "{context}");
        }
        let changed = |told: &&Told| told.event == "resource_contentchanged";
        assert!(of(other).iter().any(changed), "{context}");

        // The signing secret has gone with the last word; the rig's sealer writes its place in front of it.
        both.cloud.journal.truncate();
        let kept = both.cloud.journal.dump();
        let holds = |id: &str| {
            let place = format!("subscription/{id}").into_bytes();
            kept.windows(place.len()).any(|window| window == place)
        };
        assert!(!holds(ended) && holds(other), "{context}");
    }
    assert!(unanswered > 0, "no death came before the answer");
}
