//! A link that is made again after its end has nothing in common with the one before (I14), whichever replica did what.

use std::collections::BTreeSet;
use std::time::Duration;

use account_linking::server::GrantId;
use proptest::prelude::*;

use crate::harness::*;
use crate::links::{LINKS, see_links};
use crate::replicas::{Replicas, fault, post};

const CLIENTS: [&str; 2] = ["client-acme", "client-app"];

/// How a link is ended.
#[derive(Clone, Copy, Debug)]
enum Way {
    Client,
    Page,
    Operator,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Link,
    Refresh,
    Unlink(Way),
    /// Someone presents what a link of before had.
    Present(usize),
    Pass(u16),
    Restart,
}

/// At which replica, of which client, and what the store does wrong.
type Step = (usize, usize, Option<Fault>, Act);

fn step() -> impl Strategy<Value = Step> {
    let way = prop_oneof![Just(Way::Client), Just(Way::Page), Just(Way::Operator)];
    let act = prop_oneof![
        6 => Just(Act::Link),
        4 => Just(Act::Refresh),
        5 => way.prop_map(Act::Unlink),
        4 => (0..8_usize).prop_map(Act::Present),
        1 => (0..20_u16).prop_map(Act::Pass),
        1 => Just(Act::Restart),
    ];
    (0..2_usize, 0..CLIENTS.len(), fault(), act)
}

/// What a client has of one link.
#[derive(Debug)]
struct Link {
    client: usize,
    grant: String,
    code: String,
    access: Vec<String>,
    refresh: String,
}

/// The two replicas, and all links of one user, of which each client has one at a time.
struct Life {
    both: Replicas,
    secret: String,
    current: [Option<Link>; 2],
    over: Vec<Link>,
    /// Every value that ever stood in a token, or was one.
    seen: BTreeSet<String>,
}

impl Life {
    fn new() -> Self {
        let (world, secrets) = World::with_clients(&[confidential(), public()]);
        Self {
            both: Replicas::new(&config(), world),
            secret: secrets[0].clone().unwrap(),
            current: [None, None],
            over: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    fn ask(
        &mut self,
        at: usize,
        fault: Option<Fault>,
        client: usize,
        path: &str,
        pairs: &[(&str, &str)],
    ) -> http::Response<bytes::Bytes> {
        let mut pairs = pairs.to_vec();
        pairs.push(("client_id", CLIENTS[client]));
        let secret = self.secret.clone();
        if client == 0 {
            pairs.push(("client_secret", &secret));
        }
        let request = post(path, &[], &pairs);
        self.both.ask(at, fault, &request).expect("an answer")
    }

    /// No link before had any of this.
    fn is_new(&mut self, value: &str) -> Result<(), TestCaseError> {
        prop_assert!(self.seen.insert(value.to_owned()), "{} came twice", value);
        Ok(())
    }

    /// What a link has of its own in an access token: the whole of it, and its name.
    fn take_access(&mut self, token: &str) -> Result<(), TestCaseError> {
        self.is_new(token)?;
        self.is_new(claims(token)["jti"].as_str().unwrap())
    }

    /// The MAC of a refresh token is new as well: the rest of it names the user and the grant.
    fn take_refresh(&mut self, token: &str) -> Result<(), TestCaseError> {
        self.is_new(token)?;
        self.is_new(&token[token.len() - 42..])
    }

    fn link(&mut self, at: usize, client: usize) -> Result<(), TestCaseError> {
        let code = obtain_code(self.both.at(at), CLIENTS[client], "user-1", &[]);
        self.is_new(&code)?;
        let verifier = verifier();
        let pairs = redemption(&code, verifier.expose());
        // The code comes to the other replica, which may not know of the user's newest grant.
        let answer = self.ask(1 - at, None, client, "/oauth/token", &pairs);
        let tokens = tokens(&answer);
        let refresh = tokens.refresh.unwrap();
        let grant = claims(&tokens.access)["grant_id"]
            .as_str()
            .unwrap()
            .to_owned();
        self.is_new(&grant)?;
        self.take_access(&tokens.access)?;
        self.take_refresh(&refresh)?;
        let access = vec![tokens.access];
        self.current[client] = Some(Link {
            client,
            grant,
            code,
            access,
            refresh,
        });
        Ok(())
    }

    fn refresh(
        &mut self,
        at: usize,
        fault: Option<Fault>,
        client: usize,
    ) -> Result<(), TestCaseError> {
        let Some(mut link) = self.current[client].take() else {
            return Ok(());
        };
        let pairs = [
            ("grant_type", "refresh_token"),
            ("refresh_token", &link.refresh),
        ];
        let mut answer = self.ask(at, fault, client, "/oauth/token", &pairs);
        if answer.status().is_server_error() {
            // What became of it is known from the next answer.
            answer = self.ask(at, None, client, "/oauth/token", &pairs);
        }
        if answer.status() == 400 {
            // An answer was lost for longer than the window of a client without a secret.
            prop_assert!(client == 1, "a link is lost without a reason");
            self.over.push(link);
            return Ok(());
        }
        if answer.status() == 200 {
            let tokens = tokens(&answer);
            self.take_access(&tokens.access)?;
            link.access.push(tokens.access);
            if let Some(next) = tokens.refresh {
                self.take_refresh(&next)?;
                link.refresh = next;
            }
        }
        self.current[client] = Some(link);
        Ok(())
    }

    /// Ends a link; when that fails it is asked for again.
    fn unlink(
        &mut self,
        at: usize,
        fault: Option<Fault>,
        client: usize,
        way: Way,
    ) -> Result<(), TestCaseError> {
        let Some(link) = self.current[client].take() else {
            return Ok(());
        };
        for fault in [fault, None] {
            match way {
                Way::Client => {
                    self.ask(
                        at,
                        fault,
                        client,
                        "/oauth/revoke",
                        &[("token", &link.refresh)],
                    );
                }
                Way::Page => {
                    let world = self.both.at(at);
                    let mut browser = Browser::default();
                    let page = see_links(world, &mut browser, "user-1");
                    let press = browser.form(&page, LINKS, &[("unlink", &link.grant)]);
                    self.both.ask(at, fault, &press);
                }
                Way::Operator => {
                    let world = self.both.at(at);
                    world.store.faults.extend(fault);
                    let grant: GrantId = link.grant.parse().unwrap();
                    let account = "user-1".parse().unwrap();
                    let (wall, now) = (world.wall, world.now);
                    world.server.end_grant(account, grant, wall, now).unwrap();
                    world.pump();
                    world.store.faults.clear();
                    self.both.pass(Duration::from_secs(10));
                }
            }
        }
        self.over.push(link);
        Ok(())
    }

    /// A code and a refresh token of a link that is over give nothing, at either replica.
    fn present(
        &mut self,
        at: usize,
        fault: Option<Fault>,
        which: usize,
    ) -> Result<(), TestCaseError> {
        let Some(link) = self.over.get(which) else {
            return Ok(());
        };
        let (client, code, refresh) = (link.client, link.code.clone(), link.refresh.clone());
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", &refresh)];
        let answer = self.ask(at, fault, client, "/oauth/token", &pairs);
        prop_assert_ne!(answer.status(), 200, "a refresh token of before");
        let verifier = verifier();
        let pairs = redemption(&code, verifier.expose());
        let answer = self.ask(1 - at, None, client, "/oauth/token", &pairs);
        prop_assert_ne!(answer.status(), 200, "a code of before");
        Ok(())
    }

    /// By the store, what was over is over; what is linked now is not touched by it.
    fn is_right(&mut self) -> Result<(), TestCaseError> {
        let mut fresh = self.both.fresh();
        for link in &self.over {
            for token in &link.access {
                prop_assert!(fresh.check(token).is_err(), "a token of before lives");
            }
        }
        for link in self.current.iter().flatten() {
            for token in &link.access {
                let is_good = fresh.check(token).is_ok();
                prop_assert!(is_good, "a link died of what another had");
            }
        }
        Ok(())
    }
}

fn redemption<'a>(code: &'a str, verifier: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", verifier),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// I14
    #[test]
    fn a_link_made_again_shares_nothing_with_the_one_before(steps in prop::collection::vec(step(), 1..40)) {
        let mut life = Life::new();
        for (at, client, fault, act) in steps {
            match act {
                Act::Link if life.current[client].is_none() => life.link(at, client)?,
                Act::Link => {}
                Act::Refresh => life.refresh(at, fault, client)?,
                Act::Unlink(way) => life.unlink(at, fault, client, way)?,
                Act::Present(which) => life.present(at, fault, which)?,
                Act::Pass(seconds) => life.both.pass(Duration::from_secs(u64::from(seconds))),
                Act::Restart => life.both.restart(at),
            }
            life.is_right()?;
        }
    }
}
