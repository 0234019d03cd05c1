//! Browser sessions and the interactions in them, in memory and bounded.
//!
//! They are lost in a restart: people then see "please start again", and nothing else happens,
//! because a grant exists only once it is durable. A session is named by a cookie of which only
//! the hash is kept; it gets another name at login. An interaction is one authorization request on
//! its way to a decision; it belongs to the browser that began it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::secret::{SecretBytes, base64url, same, sha256};
use crate::server::authorize::AuthorizeRequest;
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

/// One authorization request on its way to a decision.
#[derive(Clone, Debug)]
pub(crate) struct Interaction {
    pub(crate) request: AuthorizeRequest,
    pub(crate) client_name: String,
    pub(crate) client_owner: String,
    pub(crate) login_failed: bool,
    /// Whose consent page was shown; only this user's decision counts.
    pub(crate) shown_to: Option<UserId>,
    browser: BrowserId,
    csrf: SecretBytes,
    expires: Instant,
}

impl Interaction {
    /// The CSRF token of this interaction's forms.
    pub(crate) fn csrf(&self) -> String {
        base64url(self.csrf.expose())
    }

    /// Whether a form carried this interaction's CSRF token.
    pub(crate) fn has_csrf(&self, presented: Option<&str>) -> bool {
        presented.is_some_and(|text| same(text.as_bytes(), self.csrf().as_bytes()))
    }
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Key {
    Session([u8; 32]),
    Interaction(String),
}

/// All sessions and interactions.
#[derive(Debug)]
pub(crate) struct Browsers {
    sessions: BTreeMap<[u8; 32], Session>,
    interactions: BTreeMap<String, Interaction>,
    deadlines: BTreeSet<(Instant, Key)>,
    next_browser: BrowserId,
    limit: usize,
}

impl Browsers {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            sessions: BTreeMap::new(),
            interactions: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            next_browser: 0,
            limit,
        }
    }

    /// The browser that presents this cookie, and who is logged in there.
    pub(crate) fn find(&self, cookie: Option<&str>) -> Option<(BrowserId, Option<&Login>)> {
        let session = self.sessions.get(&sha256(cookie?.as_bytes()))?;
        Some((session.browser, session.login.as_ref()))
    }

    /// Opens a session for a browser that has none; `None` when there are too many.
    pub(crate) fn open(
        &mut self,
        entropy: &SecretBytes,
        expires: Instant,
    ) -> Option<(BrowserId, String)> {
        if self.sessions.len() >= self.limit {
            return None;
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
        self.deadlines.remove(&(session.expires, Key::Session(old)));
        Some(self.name(session.browser, Some(login), entropy, expires))
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
        let session = Session {
            browser,
            login,
            expires,
        };
        self.deadlines.insert((expires, Key::Session(hash)));
        self.sessions.insert(hash, session);
        cookie
    }

    /// Begins an interaction and names it; `None` when there are too many.
    pub(crate) fn begin(
        &mut self,
        browser: BrowserId,
        request: AuthorizeRequest,
        (client_name, client_owner): (String, String),
        entropy: &SecretBytes,
        expires: Instant,
    ) -> Option<String> {
        if self.interactions.len() >= self.limit {
            return None;
        }
        let id = base64url(&entropy.derive("interaction"));
        let interaction = Interaction {
            request,
            client_name,
            client_owner,
            login_failed: false,
            shown_to: None,
            browser,
            csrf: SecretBytes::new(entropy.derive("csrf")),
            expires,
        };
        self.deadlines
            .insert((expires, Key::Interaction(id.clone())));
        self.interactions.insert(id.clone(), interaction);
        Some(id)
    }

    /// The interaction `id`, for the browser that began it.
    pub(crate) fn interaction(
        &mut self,
        id: Option<&str>,
        browser: BrowserId,
    ) -> Option<&mut Interaction> {
        let interaction = self.interactions.get_mut(id?)?;
        (interaction.browser == browser).then_some(interaction)
    }

    /// Ends an interaction: nobody can decide it again.
    pub(crate) fn end(&mut self, id: &str) {
        if let Some(interaction) = self.interactions.remove(id) {
            let key = Key::Interaction(id.to_owned());
            self.deadlines.remove(&(interaction.expires, key));
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while self.next_deadline().is_some_and(|at| at <= now) {
            match self.deadlines.pop_first() {
                Some((_, Key::Session(hash))) => {
                    self.sessions.remove(&hash);
                }
                Some((_, Key::Interaction(id))) => {
                    self.interactions.remove(&id);
                }
                None => {}
            }
        }
    }
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

/// The `Set-Cookie` that names a session.
pub(crate) fn set_cookie(value: &str) -> String {
    format!("{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Lax")
}
