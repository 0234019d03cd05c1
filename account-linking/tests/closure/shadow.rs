//! What an onlooker at the server's door knows: which grants the channel itself has brought to their end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use account_linking::server::{EndReason, Event};
use bytes::Bytes;

use crate::harness::{claims, json};

/// One refresh token as the server gave it.
#[derive(Debug, Default)]
struct Given {
    grant: String,
    presented: bool,
    successor: Option<(String, Instant)>,
}

/// The book that the test keeps; nothing of it comes from the machines' insides.
#[derive(Debug, Default)]
pub struct Shadow {
    /// How long a superseded refresh token is to be answered, for clients whose tokens rotate.
    pub window: Option<Duration>,
    given: BTreeMap<String, Given>,
    /// How often a code came, and the grant that it was taken for.
    codes: BTreeMap<String, (u32, Option<String>)>,
    /// Access tokens, and the grants they were given under.
    pub access: BTreeMap<String, String>,
    /// Grants that may be lost: their code came twice (RFC 6749, 4.1.2), or a superseded refresh token came outside of its
    /// window, or after its successor (RFC 9700, 4.14.2).
    pub excused: BTreeSet<String>,
    /// Grants that the user or the operator of the server ended.
    pub ended: BTreeSet<String>,
    /// Why grants ended, as the server told.
    pub ends: BTreeMap<String, EndReason>,
    pub retries: usize,
}

fn field(body: &Bytes, name: &str) -> Option<String> {
    let mut fields = form_urlencoded::parse(body);
    let found = fields.find(|(found, _)| found == name);
    found.map(|(_, value)| value.into_owned())
}

impl Shadow {
    pub fn new(window: Option<Duration>) -> Self {
        Self {
            window,
            ..Self::default()
        }
    }

    pub fn grant_of_code(&self, code: &str) -> Option<String> {
        self.codes.get(code)?.1.clone()
    }

    /// A request arrives at the server.
    pub fn arrives(&mut self, request: &http::Request<Bytes>, now: Instant) {
        if !request.uri().path().ends_with("/token") {
            return;
        }
        if let Some(code) = field(request.body(), "code") {
            let (times, grant) = self.codes.entry(code).or_default();
            *times += 1;
            if *times > 1 {
                self.excused.extend(grant.clone());
            }
        }
        if let Some(token) = field(request.body(), "refresh_token")
            && let Some(given) = self.given.get_mut(&token)
        {
            given.presented = true;
            let (grant, successor) = (given.grant.clone(), given.successor.clone());
            if let Some((next, at)) = successor {
                let over = self.window.is_none_or(|window| now > at + window);
                if over || self.given[&next].presented {
                    self.excused.insert(grant);
                } else {
                    self.retries += 1;
                }
            }
        }
    }

    /// The server answers it; gives back the grant that a code was taken for.
    pub fn answered(
        &mut self,
        request: &http::Request<Bytes>,
        response: &http::Response<Bytes>,
        now: Instant,
    ) {
        let body = json(response);
        let (Some(access), true) = (
            body["access_token"].as_str(),
            request.uri().path().ends_with("/token"),
        ) else {
            return;
        };
        let grant = claims(access)["grant_id"].as_str().unwrap().to_owned();
        self.access.insert(access.to_owned(), grant.clone());
        if let Some(code) = field(request.body(), "code") {
            let (_, of) = self.codes.get_mut(&code).unwrap();
            assert!(of.replace(grant.clone()).is_none(), "a code worked twice");
        }
        if let Some(refresh) = body["refresh_token"].as_str() {
            let given = self.given.entry(refresh.to_owned()).or_default();
            given.grant.clone_from(&grant);
            let before = field(request.body(), "refresh_token").filter(|token| token != refresh);
            if let Some(before) = before.and_then(|token| self.given.get_mut(&token)) {
                let (next, _) = before
                    .successor
                    .get_or_insert_with(|| (refresh.to_owned(), now));
                assert_eq!(next, refresh, "a refresh token has two successors");
            }
        }
    }

    pub fn grant_of(&self, token: &str) -> &str {
        &self.access[token]
    }

    /// Takes in what the server told.
    pub fn heard(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::GrantEnded { grant, reason, .. } => {
                    self.ends.insert(grant.to_string(), *reason);
                }
                Event::CommandFailed { kind, .. } => panic!("a command failed: {kind:?}"),
                _ => {}
            }
        }
    }
}
