//! What the users allow: consents, the tokens given out under them, and their withdrawal.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use uci_model::api::AccessToken;
use uci_server_core::{Authentication, Principal};

use super::{Happening, Process, World};

impl World {
    /// What the authorization server says about the token; of a consent that has just ended it may not know yet.
    pub fn authenticate(&mut self, request: &Request<Bytes>) -> (Authentication, bool) {
        let header = request.headers().get("authorization");
        let token = header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let Some(token) = token else {
            return (Authentication::Missing, false);
        };
        let mut parts = token.split('.').skip(1);
        let mut number = || -> u32 { parts.next().unwrap().parse().unwrap() };
        let (link, grant) = (number() as usize, number());
        let named = &self.links[link];
        let current = named.grant == grant && named.linked;
        if !current && self.dice.one_in(2) {
            return (Authentication::Invalid, false);
        }
        let principal = Principal::new(
            named.account().parse().unwrap(),
            named.company().parse().unwrap(),
            named.grant_id(grant).parse().unwrap(),
            "r:* w:*",
            self.wall(Process::Server) + Duration::from_secs(60),
        );
        let revoked = self.links[link].ended.contains(&grant);
        (Authentication::Granted(principal), revoked)
    }

    pub fn give_token(&mut self, index: usize) {
        let now = self.now();
        let withheld = self.dice.one_in(self.faults.token);
        let link = &mut self.links[index];
        link.tokens += 1;
        let text = format!("token.{index}.{}.{}", link.grant, link.tokens);
        let Some(client) = &mut link.machine else {
            return;
        };
        if withheld || !link.linked {
            client.handle_token_failed(now);
        } else {
            let expires = Some(now + Duration::from_secs(600));
            client.handle_token(AccessToken::try_from(text).unwrap(), expires, now);
        }
    }

    /// A user withdraws the consent: from now on no token is given out under it.
    pub fn withdraw_consent(&mut self, link: usize) {
        let grant = self.links[link].grant;
        self.links[link].linked = false;
        self.plan(Duration::ZERO, Happening::TellGrantEnd(link, grant));
        let after = self.dice.milliseconds(1_000, 100_000);
        self.plan(after, Happening::Relink(link));
    }

    pub fn tell_grant_end(&mut self, link: usize, grant: u32) {
        let (wall, now) = (self.wall(Process::Server), self.now());
        let Some(cloud) = &mut self.server.machine else {
            return self.plan(Duration::from_secs(3), Happening::TellGrantEnd(link, grant));
        };
        let of = &self.links[link];
        let id = cloud.end_grant(
            of.account().parse().unwrap(),
            of.grant_id(grant).parse().unwrap(),
            wall,
            now,
        );
        self.server.grant_ends.insert(id, (link, grant));
        self.drain_server();
    }

    pub fn relink(&mut self, index: usize) {
        let link = &mut self.links[index];
        link.grant += 1;
        link.linked = true;
    }
}
