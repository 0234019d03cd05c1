//! The life of two users and their links: what the people in it do and know.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use account_linking::client::{
    ClientAuthentication, Cloud, Event, Identity, OperationId, Output, Start,
};
use account_linking::server::Registration;
use account_linking::{AccessToken, ClientSecret};

use crate::acts::{Act, Kind, USERS};
use crate::bench::Bench;
use crate::harness::{self, Browser, ISSUER, REDIRECT, confidential, public};
use crate::world::{browser, cloud_id, user};

/// One run, with what its people know.
pub struct Life {
    pub bench: Bench,
    /// The token that a user's client last had.
    tokens: BTreeMap<usize, String>,
    refused: BTreeMap<usize, Instant>,
    /// The codes that callbacks brought.
    pub codes: BTreeMap<(u64, OperationId), String>,
    /// How many events there were when a user last asked to unlink.
    pub unlinks: BTreeMap<usize, usize>,
}

impl Life {
    pub fn new(kind: Kind, seed: u64) -> Self {
        let (registration, window): (Registration, _) = match kind {
            Kind::Stable | Kind::Asking => (confidential(), None),
            Kind::Rotating => {
                let (mut rotating, window) = (confidential(), Duration::from_secs(300));
                rotating.rotation_window = Some(window);
                (rotating, Some(window))
            }
            Kind::Public => {
                let app = public();
                let window = app.rotation_window;
                (app, window)
            }
            Kind::Patient => {
                let (mut app, window) = (public(), Duration::from_secs(60));
                app.rotation_window = Some(window);
                (app, Some(window))
            }
        };
        let name = registration.client_id.to_string();
        let (server, secrets) = harness::World::with_clients(&[registration]);
        let authentication = match &secrets[0] {
            Some(secret) => ClientAuthentication::Basic(ClientSecret::new(secret.clone()).unwrap()),
            None => ClientAuthentication::Public,
        };
        let at = |path: &str| format!("{ISSUER}/{path}");
        let mut cloud = Cloud::new(
            cloud_id(),
            ISSUER,
            &at("authorize"),
            &at("token"),
            name,
            authentication,
            REDIRECT.parse().unwrap(),
        )
        .unwrap();
        cloud.revocation_endpoint = Some(at("revoke").parse().unwrap());
        cloud.introspection_endpoint = Some(at("introspect").parse().unwrap());
        cloud.scopes = "r:* w:*".parse().unwrap();
        if matches!(kind, Kind::Asking) {
            cloud.identity = Identity::Introspection;
        }
        Self {
            bench: Bench::new(server, cloud, seed, window),
            tokens: BTreeMap::new(),
            refused: BTreeMap::new(),
            codes: BTreeMap::new(),
            unlinks: BTreeMap::new(),
        }
    }

    /// Gives a command, whose end may come later.
    fn command(
        &mut self,
        give: impl FnOnce(
            &mut account_linking::client::Links,
            Instant,
        ) -> Result<OperationId, account_linking::Error>,
    ) -> Option<(u64, OperationId)> {
        let (run, now) = (self.bench.run, self.bench.now());
        let operation = give(&mut self.bench.links, now).expect("there is room");
        self.bench.open.insert(operation);
        self.bench.pump();
        Some((run, operation))
    }

    /// The end of a command, if it has come.
    pub fn end_of(&self, of: (u64, OperationId)) -> Option<&Event> {
        let mut events = self.bench.events.iter();
        let (_, event) =
            events.find(|(run, event)| *run == of.0 && event.operation() == Some(of.1))?;
        Some(event)
    }

    /// Sends a user to the server, where the account's password is known and everything is allowed; gives back the query
    /// that the browser comes back with.
    fn authorize(&mut self, who: usize, account: &str, replace: bool) -> Option<String> {
        let dice = &mut self.bench.channel.dice;
        let (state, verifier) = (dice.entropy(), dice.entropy());
        let mut start = Start::new(user(USERS[who].0), cloud_id(), browser(1), "home");
        start.replace = replace;
        let begun = self.command(|links, now| links.start(start, state, verifier, now))?;
        let Event::Redirect { location, .. } = self.end_of(begun)? else {
            panic!("not redirected");
        };
        let url = location.url().clone();
        let path = format!("{}?{}", url.path(), url.query().unwrap());
        let (mut browser, server) = (Browser::default(), &mut self.bench.server);
        let page = browser.open(server, &path);
        let page = browser.log_in(server, &page, account);
        let allow = [("decision", "allow")];
        let answer = browser.submit(server, &page, "/oauth/consent", &allow);
        let location = answer.headers()["location"].to_str().unwrap().to_owned();
        Some(location.split_once('?').unwrap().1.to_owned())
    }

    pub fn link(&mut self, who: usize, account: &str, replace: bool) -> Option<(u64, OperationId)> {
        let query = self.authorize(who, account, replace)?;
        let name = user(USERS[who].0);
        let back = |links: &mut account_linking::client::Links, now| {
            links.callback(&name, &browser(1), REDIRECT, &query, now)
        };
        let first = self.command(back)?;
        let mut fields = form_urlencoded::parse(query.as_bytes());
        let (_, code) = fields.find(|(name, _)| name == "code").unwrap();
        self.codes.insert(first, code.into_owned());
        // Browsers repeat what they opened.
        if self.bench.channel.dice.roll(4) == 0 {
            self.command(back);
        }
        Some(first)
    }

    pub fn token(&mut self, who: usize, rejected: bool) -> Option<(u64, OperationId)> {
        let now = self.bench.now();
        let rejected = if rejected {
            // What is refused twice in a minute is of no use, says the client: that would be the user's doing.
            let minute = Duration::from_secs(61);
            if self.refused.get(&who).is_some_and(|at| now < *at + minute) {
                return None;
            }
            self.refused.insert(who, now);
            let token = self.tokens.get(&who)?;
            Some(AccessToken::new(token.clone()).unwrap())
        } else {
            None
        };
        let name = user(USERS[who].0);
        let asked = self.command(|links, now| links.token(&name, &cloud_id(), rejected, now));
        if let Some(Event::Token { token, .. }) = asked.and_then(|asked| self.end_of(asked)) {
            let token = token.expose().to_owned();
            self.tokens.insert(who, token);
        }
        asked
    }

    pub fn list(&mut self, who: usize) -> Option<(u64, OperationId)> {
        let name = user(USERS[who].0);
        self.command(|links, now| links.list(&name, now))
    }

    fn end_grant(&mut self, account: &str) {
        let Some(grant) = self.live_grants(account).first().copied() else {
            return;
        };
        let server = &mut self.bench.server;
        let (wall, now) = (server.wall, server.now);
        let account = account.parse().unwrap();
        server.server.end_grant(account, grant, wall, now).unwrap();
        server.pump();
        self.bench.shadow.ended.insert(grant.to_string());
    }

    pub fn read_server(&mut self) {
        let events = std::mem::take(&mut self.bench.server.events);
        self.bench.shadow.heard(&events);
    }

    pub fn act(&mut self, act: &Act) {
        match *act {
            Act::Link(who, own) => {
                let (_, account) = USERS[if own { who } else { 1 - who }];
                self.link(who, account, false);
            }
            Act::WalkAway(who) => drop(self.authorize(who, USERS[who].1, false)),
            Act::Token(who) => drop(self.token(who, false)),
            Act::Rejected(who) => {
                self.token(who, false);
                self.token(who, true);
            }
            Act::Unlink(who) => {
                let name = user(USERS[who].0);
                self.unlinks.insert(who, self.bench.events.len());
                self.command(|links, now| links.unlink(&name, &cloud_id(), now));
            }
            Act::EndGrant(who) => self.end_grant(USERS[who].1),
            Act::Weather(bad) => self.bench.channel.bad = bad,
            Act::Pass(time) => self.bench.pass(Duration::from_millis(time)),
            Act::RestartClient => self.bench.restart_client(),
            Act::RestartServer => self.bench.restart_server(),
            Act::DieSoon(appends) => self.bench.dies_in = Some(appends),
        }
        self.read_server();
        // C8: what is refused or over leaves nothing behind.
        assert!(!matches!(
            self.bench.links.poll_output(),
            Some(Output::Send { .. })
        ));
    }
}
