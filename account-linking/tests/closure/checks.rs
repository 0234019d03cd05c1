//! What must be true when the channel has healed.

use std::time::Duration;

use account_linking::client::{Event, Failure, LinkSummary};
use account_linking::server::{Event as ServerEvent, GrantId};

use crate::acts::USERS;
use crate::runs::Life;

impl Life {
    pub fn live_grants(&mut self, account: &str) -> Vec<GrantId> {
        let server = &mut self.bench.server;
        let (wall, now) = (server.wall, server.now);
        let account = account.parse().unwrap();
        let command = server.server.list_grants(account, wall, now).unwrap();
        server.pump();
        let listed = server.events.iter().find_map(|event| match event {
            ServerEvent::Grants {
                command: of,
                grants,
            } if *of == command => Some(grants),
            _ => None,
        });
        listed.unwrap().iter().map(|grant| grant.grant).collect()
    }

    /// The link of a user, as the client shows it.
    fn shown(&mut self, who: usize) -> Option<LinkSummary> {
        let listed = self.list(who).unwrap();
        match self.end_of(listed) {
            Some(Event::Links { links, .. }) => links.first().map(|(_, link)| link.clone()),
            other => panic!("not listed: {other:?}"),
        }
    }

    /// The token that the client gives a user, if the link is of use.
    fn given(&mut self, who: usize, rejected: bool) -> Option<String> {
        let asked = self.token(who, rejected).unwrap();
        self.bench.pass(Duration::from_secs(1));
        match self.end_of(asked) {
            Some(Event::Token { token, .. }) => Some(token.expose().to_owned()),
            Some(Event::Failed {
                failure: Failure::NeedsRelink,
                ..
            }) => None,
            other => panic!("the channel has healed, and there is no token: {other:?}"),
        }
    }

    /// How often a user was told that the link must be made anew, since it was last made or a process died, which may have
    /// kept something to itself; and whether none did.
    fn relinks_told(&self, who: usize) -> (usize, bool) {
        let made = self.linked(who).map_or(0, |(place, _)| place + 1);
        let died = self
            .bench
            .deaths
            .last()
            .copied()
            .filter(|died| *died >= made);
        let since = &self.bench.events[died.unwrap_or(made)..];
        let told = since.iter().filter(|(_, event)| {
            matches!(event, Event::RelinkNeeded { user, .. } if user.as_str() == USERS[who].0)
        });
        (told.count(), died.is_none())
    }

    /// Whether a grant has a reason to be dead.
    fn may_be_lost(&self, grant: &str) -> bool {
        let shadow = &self.bench.shadow;
        shadow.excused.contains(grant) || shadow.ended.contains(grant)
    }

    fn must_be_excused(&self, grant: &str) {
        let why = self.bench.shadow.ends.get(grant);
        assert!(
            self.may_be_lost(grant),
            "{grant} is lost, and should not be: {why:?}"
        );
    }

    /// Where the last event that told of a user's link is, and the grant of that link.
    fn linked(&self, who: usize) -> Option<(usize, Option<String>)> {
        let name = USERS[who].0;
        let mut events = self.bench.events.iter().enumerate().rev();
        events.find_map(|(place, (run, event))| match event {
            Event::Linked {
                user, operation, ..
            } if user.as_str() == name => {
                let code = operation.and_then(|operation| self.codes.get(&(*run, operation)));
                Some((
                    place,
                    code.and_then(|code| self.bench.shadow.grant_of_code(code)),
                ))
            }
            _ => None,
        })
    }

    /// A link that is gone was unlinked, and one that must be made anew had a grant that may be lost.
    fn is_accounted_for(&self, who: usize, gone: bool) {
        let Some((place, grant)) = self.linked(who) else {
            return;
        };
        if gone {
            let asked = self.unlinks.get(&who).is_some_and(|asked| *asked > place);
            assert!(asked, "a link is gone that nobody unlinked");
        } else if self.relinks_told(who).1 {
            // Another process than that of the callback may have told of it; then the grant is not known here.
            grant.iter().for_each(|grant| self.must_be_excused(grant));
        }
    }

    /// The grant of the link, when the client has one that works; checks that both sides agree about a user's link.
    fn agree(&mut self, who: usize) -> Option<String> {
        let Some(link) = self.shown(who) else {
            self.is_accounted_for(who, true);
            return None;
        };
        let mut token = None;
        if link.relink.is_none() {
            token = self.given(who, false);
            let grant = self
                .bench
                .shadow
                .grant_of(token.as_ref().unwrap())
                .to_owned();
            if self.bench.server.check(token.as_ref().unwrap()).is_err() {
                self.must_be_excused(&grant);
                // The cloud refuses the token, which is how the client learns of it.
                token = self.given(who, true);
                assert!(token.is_none(), "a dead grant gave a token");
            }
        }
        let (told, all_told) = self.relinks_told(who);
        let Some(token) = token else {
            self.is_accounted_for(who, false);
            assert!(
                told == 1 || !all_told && told == 0,
                "told {told} times of its end"
            );
            return None;
        };
        assert_eq!(told, 0, "told of the end of a link that lives");
        let principal = self.bench.server.check(&token).unwrap();
        assert_eq!(principal.account.as_str(), link.remote_user);
        Some(principal.grant.to_string())
    }

    /// The channel heals, and everything comes to rest.
    fn heal(&mut self) {
        (self.bench.channel.bad, self.bench.dies_in) = (false, None);
        self.bench.pass(Duration::from_secs(700));
        let left = format!("{:?}", self.bench.links);
        assert!(
            left.contains("operations: 0, exchanges: 0,"),
            "something leaks: {left}"
        );
        assert!(self.bench.open.is_empty(), "a command without an end");
        self.bench.pass(Duration::from_secs(62));
        self.read_server();
    }

    pub fn settle(&mut self) {
        self.heal();
        let current: Vec<_> = (0..USERS.len()).filter_map(|who| self.agree(who)).collect();
        // What lives at the server lives here, or its tokens never came to be stored here, or the channel is to blame.
        for (_, account) in USERS {
            for grant in self.live_grants(account) {
                let grant = grant.to_string();
                let known = self.bench.stored.contains(&grant);
                assert!(
                    !known || current.contains(&grant) || self.may_be_lost(&grant),
                    "{grant} lives on without a link"
                );
            }
        }
        // No token of a grant that was ended, or of a link that is gone, opens anything.
        let access = self.bench.shadow.access.clone();
        for (token, grant) in &access {
            let ended = self.bench.shadow.ended.contains(grant);
            let gone = self.bench.stored.contains(grant)
                && !current.contains(grant)
                && !self.may_be_lost(grant);
            if ended || gone {
                assert!(self.bench.server.check(token).is_err(), "{grant} is over");
            }
        }
        // Whatever happened, a new attempt works.
        for (who, (_, account)) in USERS.into_iter().enumerate() {
            let fresh = format!("{account}-new");
            let back = self.link(who, &fresh, true).unwrap();
            self.bench.pass(Duration::from_secs(1));
            assert!(
                matches!(self.end_of(back), Some(Event::Linked { .. })),
                "{:?}",
                self.end_of(back)
            );
            let grant = self.agree(who).expect("a link that works");
            let live = self.live_grants(&fresh);
            assert_eq!(
                live.iter().map(ToString::to_string).collect::<Vec<_>>(),
                [grant]
            );
        }
    }
}
