//! Two replicas over one store (7.2 of the invariants: interleaved, with conflicts, unknown answers and crashes).
//!
//! A replica keeps in memory what it has read, so one may be behind the other. What it hands out then must still be handed out
//! once: the store decides. What waits in memory for a person (devices, pushed requests) is known to one replica alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use account_linking::server::{Config, DeviceFlow, Dpop};
use bytes::Bytes;
use http::{Request, Response};
use proptest::prelude::*;

use crate::harness::*;
use crate::proofs::{Holder, bound_request};

/// Two servers; the store goes with the one that acts.
pub(crate) struct Replicas {
    worlds: [World; 2],
    holder: usize,
    starts: u8,
    settings: Config,
}

impl Replicas {
    pub(crate) fn new(settings: &Config, world: World) -> Self {
        let other = World::with_store(settings.clone(), Store::default(), 2);
        Self {
            worlds: [world, other],
            holder: 0,
            starts: 2,
            settings: settings.clone(),
        }
    }

    pub(crate) fn at(&mut self, which: usize) -> &mut World {
        if self.holder != which {
            let store = core::mem::take(&mut self.worlds[self.holder].store);
            self.worlds[which].store = store;
            self.holder = which;
        }
        &mut self.worlds[which]
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        for which in [0, 1] {
            self.at(which).pass(time);
        }
    }

    /// A crash: everything in memory is lost, and what was under way.
    pub(crate) fn restart(&mut self, which: usize) {
        self.starts = self.starts.wrapping_add(1);
        let (settings, start) = (self.settings.clone(), self.starts);
        let world = self.at(which);
        let (store, now, wall) = (core::mem::take(&mut world.store), world.now, world.wall);
        *world = World::with_store(settings, store, start);
        (world.now, world.wall) = (now, wall);
    }

    /// Has both answer a request, the first with an append that fails at first, so that the second comes in between.
    fn race(
        &mut self,
        first: usize,
        fault: Option<Fault>,
        request: &Request<Bytes>,
    ) -> Vec<Response<Bytes>> {
        let second = 1 - first;
        self.at(first).store.faults.extend(fault);
        let one = self.at(first).send(request);
        self.at(first).store.faults.clear();
        let other = self.at(second).send(request);
        self.settle(&[(first, one), (second, other)])
    }

    pub(crate) fn ask(
        &mut self,
        which: usize,
        fault: Option<Fault>,
        request: &Request<Bytes>,
    ) -> Option<Response<Bytes>> {
        self.at(which).store.faults.extend(fault);
        let id = self.at(which).send(request);
        self.at(which).store.faults.clear();
        self.settle(&[(which, id)]).pop()
    }

    /// The answers, which may wait for an append to be repeated, or for its end.
    fn settle(
        &mut self,
        asked: &[(usize, account_linking::server::RequestId)],
    ) -> Vec<Response<Bytes>> {
        self.pass(Duration::from_millis(200));
        let waits = |one: &Self| {
            asked
                .iter()
                .any(|(at, id)| !one.worlds[*at].responses.contains_key(id))
        };
        if waits(self) {
            self.pass(Duration::from_secs(10));
        }
        let answers = asked
            .iter()
            .map(|(at, id)| self.worlds[*at].responses.remove(id).expect("an answer"));
        answers.collect()
    }

    /// A replica that has only just started: what it says is true by the store.
    pub(crate) fn fresh(&mut self) -> World {
        let store = self.at(self.holder).store.clone();
        let world = &self.worlds[self.holder];
        let mut fresh = World::with_store(self.settings.clone(), store, 0);
        (fresh.now, fresh.wall) = (world.now, world.wall);
        fresh
    }

    pub(crate) fn admits(&mut self, token: &str) -> bool {
        self.fresh().check(token).is_ok()
    }
}

pub(crate) fn post(path: &str, headers: &[(&str, &str)], pairs: &[(&str, &str)]) -> Request<Bytes> {
    let mut request =
        Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(form(pairs).into()).unwrap()
}

pub(crate) fn fault() -> impl Strategy<Value = Option<Fault>> {
    prop_oneof![
        3 => Just(None),
        2 => Just(Some(Fault::UnknownLost)),
        1 => Just(Some(Fault::UnknownWritten)),
        1 => Just(Some(Fault::Fenced)),
        1 => Just(Some(Fault::SilentWritten)),
    ]
}

/// What is done about one of several links.
#[derive(Clone, Debug)]
enum Act {
    Consent,
    Redeem(usize, bool),
    Refresh(usize),
    Revoke(usize),
    Pass(u16),
    Restart,
}

/// At which replica, whether at both, and what the store does wrong.
type Step = (usize, bool, Option<Fault>, Act);

fn step() -> impl Strategy<Value = Step> {
    let act = prop_oneof![
        2 => Just(Act::Consent),
        4 => (0..4_usize, prop::bool::weighted(0.9)).prop_map(|(which, own)| Act::Redeem(which, own)),
        6 => (0..10_usize).prop_map(Act::Refresh),
        1 => (0..4_usize).prop_map(Act::Revoke),
        2 => (0..20_u16).prop_map(Act::Pass),
        1 => Just(Act::Restart),
    ];
    (0..2_usize, any::<bool>(), fault(), act)
}

#[derive(Debug, Default)]
struct Link {
    code: String,
    successes: usize,
    refresh: Vec<String>,
    access: Vec<String>,
    successors: BTreeMap<String, BTreeSet<String>>,
    over: bool,
}

fn link_on_two(steps: &[Step]) -> Result<(), TestCaseError> {
    let settings = config();
    let mut other = public();
    other.client_id = "client-other".parse().unwrap();
    let (world, _) = World::with_clients(&[public(), other]);
    let mut both = Replicas::new(&settings, world);
    let mut links: Vec<Link> = Vec::new();
    let verifier = verifier();
    for (at, race, fault, act) in steps {
        let send = |both: &mut Replicas, request: &Request<Bytes>| {
            if *race {
                both.race(*at, *fault, request)
            } else {
                both.ask(*at, *fault, request).into_iter().collect()
            }
        };
        match act {
            Act::Consent if links.len() < 4 => {
                let code = obtain_code(both.at(*at), "client-app", "user-1", &[]);
                links.push(Link {
                    code,
                    ..Link::default()
                });
            }
            Act::Consent => {}
            Act::Redeem(which, own) => {
                let Some(link) = links.get_mut(*which) else {
                    continue;
                };
                let request = post(
                    "/oauth/token",
                    &[],
                    &[
                        ("grant_type", "authorization_code"),
                        ("code", &link.code),
                        ("redirect_uri", REDIRECT),
                        ("code_verifier", verifier.expose()),
                        (
                            "client_id",
                            if *own { "client-app" } else { "client-other" },
                        ),
                    ],
                );
                for answer in send(&mut both, &request) {
                    if answer.status() == 200 {
                        // I01, I03
                        prop_assert!(
                            *own && link.successes == 0,
                            "a code gave tokens twice, or to another client"
                        );
                        link.successes += 1;
                        let tokens = tokens(&answer);
                        link.refresh.push(tokens.refresh.unwrap());
                        link.access.push(tokens.access);
                    }
                }
            }
            Act::Refresh(which) => {
                let held = links.iter().enumerate().flat_map(|(index, link)| {
                    link.refresh.iter().map(move |token| (index, token.clone()))
                });
                let Some((index, token)) = held.collect::<Vec<_>>().get(*which).cloned() else {
                    continue;
                };
                let request = post(
                    "/oauth/token",
                    &[],
                    &[
                        ("grant_type", "refresh_token"),
                        ("refresh_token", &token),
                        ("client_id", "client-app"),
                    ],
                );
                let answers = send(&mut both, &request);
                let link = &mut links[index];
                for answer in answers {
                    if answer.status() == 200 {
                        let tokens = tokens(&answer);
                        let successor = tokens.refresh.unwrap();
                        link.access.push(tokens.access);
                        let known = link.successors.entry(token.clone()).or_default();
                        known.insert(successor.clone());
                        // I05, I06: two replicas never make two branches.
                        prop_assert_eq!(known.len(), 1, "one successor");
                        if !link.refresh.contains(&successor) {
                            prop_assert!(!link.over, "a link that is over has a new generation");
                            prop_assert_eq!(
                                link.refresh.last(),
                                Some(&token),
                                "only the newest has a new successor"
                            );
                            link.refresh.push(successor);
                        }
                    }
                }
            }
            Act::Revoke(which) => {
                let Some(token) = links.get(*which).and_then(|link| link.refresh.first()) else {
                    continue;
                };
                let request = post(
                    "/oauth/revoke",
                    &[],
                    &[("token", token), ("client_id", "client-app")],
                );
                send(&mut both, &request);
            }
            Act::Pass(seconds) => both.pass(Duration::from_secs(u64::from(*seconds))),
            Act::Restart => both.restart(*at),
        }
        // I02, I12, I13: what is over by the store stays over, and so does all that is handed out later.
        for link in &mut links {
            let live = link
                .access
                .iter()
                .filter(|token| both.admits(token))
                .count();
            prop_assert!(!link.over || live == 0, "a link that is over lives again");
            prop_assert!(
                live == 0 || live == link.access.len(),
                "a link is over in whole"
            );
            link.over |= live == 0 && !link.access.is_empty();
        }
    }
    Ok(())
}

/// What may happen to a device, a pushed request and a proof.
#[derive(Clone, Copy, Debug)]
enum Once {
    Poll,
    Decide(bool),
    Open,
    Prove,
    ProveAtApi,
    Pass(u64),
    Restart,
}

fn once() -> impl Strategy<Value = (usize, bool, Option<Fault>, Once)> {
    let act = prop_oneof![
        5 => Just(Once::Poll),
        3 => prop::bool::weighted(0.8).prop_map(Once::Decide),
        3 => Just(Once::Open),
        3 => Just(Once::Prove),
        3 => Just(Once::ProveAtApi),
        2 => (0..9_u64).prop_map(Once::Pass),
        1 => Just(Once::Restart),
    ];
    (0..2_usize, any::<bool>(), fault(), act)
}

fn all_once(steps: &[(usize, bool, Option<Fault>, Once)]) -> Result<(), TestCaseError> {
    let mut settings = config();
    settings.device_flow = Some(DeviceFlow::default());
    // A nonce is of one replica and one start: with it, a proof is good at one place alone.
    let mut dpop = Dpop::default();
    dpop.nonce_lifetime = Some(Duration::from_secs(600));
    dpop.nonces_at_apis = true;
    settings.dpop = Some(dpop);
    let mut device = public();
    device.device_flow = true;
    let (mut world, secrets) = World::with_settings(settings.clone(), &[confidential(), device]);
    let secret = secrets[0].clone().unwrap();

    let asked = world.post(
        "/oauth/device_authorization",
        &[],
        form(&[("client_id", "client-app")]),
    );
    let told = json(&asked);
    let text = |name: &str| told[name].as_str().unwrap().to_owned();
    let (device_code, user_code) = (text("device_code"), text("user_code"));
    let path = authorize_path("client-acme", &[]);
    let body = format!("{}&client_secret={secret}", path.split_once('?').unwrap().1);
    let pushed = world.post("/oauth/par", &[], body);
    let reference = json(&pushed)["request_uri"].as_str().unwrap().to_owned();
    let nonce = pushed.headers()["dpop-nonce"].to_str().unwrap().to_owned();

    let mut holder = Holder::new(1);
    let mut proof = |world: &World, url: &str| {
        let mut claims = holder.claims(world, "POST", url);
        claims["nonce"] = nonce.as_str().into();
        holder.sign(&claims)
    };
    let code = obtain_code(&mut world, "client-acme", "user-1", &[]);
    let endpoint = format!("{ISSUER}/token");
    let first = proof(&world, &endpoint);
    let linked = tokens(&crate::proofs::redeem_with(
        &mut world,
        Some(&secret),
        "client-acme",
        &first,
        &code,
    ));
    let token_proof = proof(&world, &endpoint);
    let api_proof = holder.for_api_with(&world, &linked.access, Some(&nonce));
    let held = linked.refresh.unwrap();

    let mut both = Replicas::new(&settings, world);
    let (mut polled, mut opened, mut proven, mut proven_at_api) = (0, 0, 0, 0);
    let mut allowed = false;
    for (at, race, fault, act) in steps {
        let send = |both: &mut Replicas, request: &Request<Bytes>| {
            if *race {
                both.race(*at, *fault, request)
            } else {
                both.ask(*at, *fault, request).into_iter().collect()
            }
        };
        let good = |answers: Vec<Response<Bytes>>, status: u16| {
            answers
                .iter()
                .filter(|answer| answer.status() == status)
                .count()
        };
        match act {
            Once::Poll => {
                let request = post(
                    "/oauth/token",
                    &[],
                    &[
                        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
                        ("device_code", &device_code),
                        ("client_id", "client-app"),
                    ],
                );
                let now = good(send(&mut both, &request), 200);
                prop_assert!(now == 0 || allowed, "nobody has allowed the device");
                polled += now;
            }
            Once::Decide(allows) => {
                let world = both.at(*at);
                let mut browser = Browser::default();
                let page = browser.open(world, "/oauth/device");
                let page = browser.log_in(world, &page, "user-2");
                let page =
                    browser.submit(world, &page, "/oauth/device", &[("user_code", &user_code)]);
                if !String::from_utf8_lossy(page.body()).contains("decision") {
                    continue;
                }
                let decision = if *allows { "allow" } else { "cancel" };
                let press = browser.form(&page, "/oauth/consent", &[("decision", decision)]);
                let answer = both.ask(*at, *fault, &press).expect("an answer");
                allowed |= *allows && answer.status() == 200;
            }
            Once::Open => {
                let pairs = [
                    ("client_id", "client-acme"),
                    ("request_uri", reference.as_str()),
                ];
                let path = format!("/oauth/authorize?{}", form(&pairs));
                let request = Request::get(path).body(Bytes::new()).unwrap();
                opened += good(send(&mut both, &request), 303);
            }
            Once::Prove => {
                let pairs = [
                    ("grant_type", "refresh_token"),
                    ("refresh_token", held.as_str()),
                    ("client_id", "client-acme"),
                    ("client_secret", secret.as_str()),
                ];
                let request = post("/oauth/token", &[("dpop", &token_proof)], &pairs);
                proven += good(send(&mut both, &request), 200);
            }
            Once::ProveAtApi => {
                let request = bound_request(&linked.access, &api_proof);
                let places = if *race { vec![*at, 1 - *at] } else { vec![*at] };
                for at in places {
                    proven_at_api += usize::from(both.at(at).judge(None, &request).is_ok());
                }
            }
            Once::Pass(seconds) => both.pass(Duration::from_secs(*seconds)),
            Once::Restart => both.restart(*at),
        }
        // I42
        prop_assert!(polled <= 1, "a device code gave tokens {polled} times");
        prop_assert!(opened <= 1, "a reference began {opened} interactions");
        prop_assert!(proven <= 1, "a proof gave tokens {proven} times");
        prop_assert!(
            proven_at_api <= 1,
            "a proof opened the API {proven_at_api} times"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn two_replicas_give_a_link_one_future(steps in prop::collection::vec(step(), 1..40)) {
        link_on_two(&steps)?;
    }

    /// I42: a device code is redeemed once and not before it was allowed, a reference begins one interaction, a proof counts once.
    #[test]
    fn what_counts_once_counts_once_on_two_replicas(steps in prop::collection::vec(once(), 1..30)) {
        all_once(&steps)?;
    }
}
