//! Browser sessions and the interactions in them, in memory and bounded.
//!
//! They are lost in a restart: people then see "please start again", and nothing else happens,
//! because a grant exists only once it is durable. A session is named by a cookie of which only
//! the hash is kept; it gets another name at login. An interaction is one authorization request on
//! its way to a decision, or one view of what is linked; it belongs to the browser that began it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::secret::{SecretBytes, base64url, same, sha256};
use crate::server::authorize::{AuthorizeRequest, Wanted};
use crate::server::device::{Name, UserCode};
use crate::server::ids::ClientId;
use crate::user_id::UserId;

/// The cookie that names a session.
pub(crate) const COOKIE: &str = "__Host-session";

/// A browser, across the names its session has.
pub(crate) type BrowserId = u64;

#[derive(Debug)]
struct Session {
    browser: BrowserId,
    login: Option<Login>,
    expires: Instant,
}

/// Who is logged in.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) user: UserId,
    /// The name as it was typed, for the consent page.
    pub(crate) user_name: String,
}

/// What an interaction is for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// A client wants to be linked.
    Link(Box<Asked>),
    /// The person looks at what is linked.
    Links,
    /// The person has a code of a device to type, or followed a link with one.
    Device(Option<UserCode>),
    /// A device wants to be linked.
    AllowDevice(Box<AskedByDevice>),
}

/// What a device asks for, on its way to a decision.
#[derive(Clone, Debug)]
pub(crate) struct AskedByDevice {
    pub(crate) name: Name,
    pub(crate) user_code: UserCode,
    pub(crate) client: ClientId,
    pub(crate) wanted: Wanted,
    pub(crate) client_name: String,
    pub(crate) client_owner: String,
}

/// An authorization request on its way to a decision.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) request: AuthorizeRequest,
    pub(crate) client_name: String,
    pub(crate) client_owner: String,
}

/// What a person was asked and has not decided yet.
#[derive(Clone, Debug)]
pub(crate) struct Interaction {
    pub(crate) purpose: Purpose,
    pub(crate) login_failed: bool,
    /// To whom the page was shown; only this user's decision counts.
    pub(crate) shown_to: Option<UserId>,
    browser: BrowserId,
    csrf: SecretBytes,
    expires: Instant,
}

impl Interaction {
    /// The authorization request, if it is one that is to be decided.
    pub(crate) fn asked(&self) -> Option<&Asked> {
        match &self.purpose {
            Purpose::Link(asked) => Some(asked),
            Purpose::Links | Purpose::Device(_) | Purpose::AllowDevice(_) => None,
        }
    }

    /// The CSRF token of this interaction's forms.
    pub(crate) fn csrf(&self) -> String {
        base64url(self.csrf.expose())
    }

    /// Whether a form carried this interaction's CSRF token.
    pub(crate) fn has_csrf(&self, presented: Option<&str>) -> bool {
        presented.is_some_and(|text| same(text.as_bytes(), self.csrf().as_bytes()))
    }
}

/// The hash of a cookie, by which a session is found.
type CookieHash = [u8; 32];

/// The hash of an interaction's name, by which it is found: how long that takes tells nothing of a name.
type InteractionHash = [u8; 32];

/// All sessions and interactions.
#[derive(Debug)]
pub(crate) struct Browsers {
    sessions: BTreeMap<CookieHash, Session>,
    /// When the sessions that somebody logged in to expire.
    logins: BTreeSet<(Instant, CookieHash)>,
    /// When the others expire; the first of them makes room for a new one.
    visits: BTreeSet<(Instant, CookieHash)>,
    interactions: BTreeMap<InteractionHash, Interaction>,
    /// When interactions expire; the first of them makes room for a new one.
    ages: BTreeSet<(Instant, InteractionHash)>,
    next_browser: BrowserId,
    limit: usize,
}

impl Browsers {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            sessions: BTreeMap::new(),
            logins: BTreeSet::new(),
            visits: BTreeSet::new(),
            interactions: BTreeMap::new(),
            ages: BTreeSet::new(),
            next_browser: 0,
            limit,
        }
    }

    /// The browser that presents this cookie, and who is logged in there.
    pub(crate) fn find(&self, cookie: Option<&str>) -> Option<(BrowserId, Option<&Login>)> {
        let session = self.sessions.get(&sha256(cookie?.as_bytes()))?;
        Some((session.browser, session.login.as_ref()))
    }

    /// Opens a session for a browser that has none; `None` when people have logged in to all.
    ///
    /// Anybody may ask for sessions without end, so the oldest one without a login gives way:
    /// were the new one refused, a few requests would keep everybody out until they expire.
    pub(crate) fn open(
        &mut self,
        entropy: &SecretBytes,
        expires: Instant,
    ) -> Option<(BrowserId, String)> {
        if self.sessions.len() >= self.limit {
            let (_, oldest) = self.visits.pop_first()?;
            self.sessions.remove(&oldest);
        }
        let browser = self.next_browser;
        self.next_browser = browser.wrapping_add(1);
        Some((browser, self.name(browser, None, entropy, expires)))
    }

    /// Gives the browser's session a new name and a user; the old name is dead (fixation).
    pub(crate) fn log_in(
        &mut self,
        cookie: &str,
        login: Login,
        entropy: &SecretBytes,
        expires: Instant,
    ) -> Option<String> {
        let old = sha256(cookie.as_bytes());
        let session = self.sessions.remove(&old)?;
        self.logins.remove(&(session.expires, old));
        self.visits.remove(&(session.expires, old));
        Some(self.name(session.browser, Some(login), entropy, expires))
    }

    /// Ends a session; whoever is logged in there is no more.
    pub(crate) fn log_out(&mut self, cookie: &str) {
        let name = sha256(cookie.as_bytes());
        if let Some(session) = self.sessions.remove(&name) {
            self.logins.remove(&(session.expires, name));
            self.visits.remove(&(session.expires, name));
        }
    }

    fn name(
        &mut self,
        browser: BrowserId,
        login: Option<Login>,
        entropy: &SecretBytes,
        expires: Instant,
    ) -> String {
        let cookie = base64url(&entropy.derive("session"));
        let hash = sha256(cookie.as_bytes());
        let expiries = match login {
            Some(_) => &mut self.logins,
            None => &mut self.visits,
        };
        expiries.insert((expires, hash));
        let session = Session {
            browser,
            login,
            expires,
        };
        self.sessions.insert(hash, session);
        cookie
    }

    /// Begins an interaction and names it; the oldest one gives way when there are too many.
    pub(crate) fn begin(
        &mut self,
        browser: BrowserId,
        purpose: Purpose,
        entropy: &SecretBytes,
        expires: Instant,
    ) -> String {
        if self.interactions.len() >= self.limit
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.interactions.remove(&oldest);
        }
        let id = base64url(&entropy.derive("interaction"));
        let interaction = Interaction {
            purpose,
            login_failed: false,
            shown_to: None,
            browser,
            csrf: SecretBytes::new(entropy.derive("csrf")),
            expires,
        };
        let hash = sha256(id.as_bytes());
        self.ages.insert((expires, hash));
        self.interactions.insert(hash, interaction);
        id
    }

    /// The interaction `id`, for the browser that began it.
    pub(crate) fn interaction(
        &mut self,
        id: Option<&str>,
        browser: BrowserId,
    ) -> Option<&mut Interaction> {
        let interaction = self.interactions.get_mut(&sha256(id?.as_bytes()))?;
        (interaction.browser == browser).then_some(interaction)
    }

    /// Ends an interaction: nobody can decide it again.
    pub(crate) fn end(&mut self, id: &str) {
        let hash = sha256(id.as_bytes());
        if let Some(interaction) = self.interactions.remove(&hash) {
            self.ages.remove(&(interaction.expires, hash));
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let logins = self.logins.first().map(|(at, _)| *at);
        let visits = self.visits.first().map(|(at, _)| *at);
        let ages = self.ages.first().map(|(at, _)| *at);
        [logins, visits, ages].into_iter().flatten().min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for expiries in [&mut self.logins, &mut self.visits] {
            while let Some(session) = pop_expired(expiries, now) {
                self.sessions.remove(&session);
            }
        }
        while let Some(interaction) = pop_expired(&mut self.ages, now) {
            self.interactions.remove(&interaction);
        }
    }
}

fn pop_expired<K: Ord>(expiries: &mut BTreeSet<(Instant, K)>, now: Instant) -> Option<K> {
    expiries.first().filter(|(at, _)| *at <= now)?;
    expiries.pop_first().map(|(_, key)| key)
}

/// The session cookie among a request's cookies.
pub(crate) fn cookie(headers: &http::HeaderMap) -> Option<&str> {
    let values = headers.get_all(http::header::COOKIE).iter();
    let mut pairs = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    pairs.find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE && value.len() <= 64).then_some(value)
    })
}

/// The `Set-Cookie` that makes a browser forget its session.
pub(crate) const FORGET_COOKIE: &str =
    "__Host-session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0";

/// The `Set-Cookie` that names a session.
pub(crate) fn set_cookie(value: &str) -> String {
    format!("{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Lax")
}
