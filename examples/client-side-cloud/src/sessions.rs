//! Which browser belongs to which local user.
//!
//! A real client-side cloud has users who sign in. Here the name in the address of `/link` stands for that; what follows,
//! the cookie that ties the linking to one browser, is as it must be. A restart forgets the sessions, and whoever was in
//! the middle of linking begins again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use account_linking::{SecretBytes, UserId};
use http::HeaderMap;
use http::header::COOKIE;

use crate::{Failure, clock};

/// `__Host-` keeps the cookie to this host and to HTTPS.
const COOKIE_NAME: &str = "__Host-browser";
/// The most sessions; the oldest makes way.
const MOST: usize = 10_000;

/// The sessions in memory.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    by_cookie: BTreeMap<String, UserId>,
    by_age: VecDeque<String>,
}

/// A browser and its user.
#[derive(Debug)]
pub(crate) struct Session {
    /// What ties a linking attempt to this browser.
    pub(crate) browser: SecretBytes,
    /// Who uses it.
    pub(crate) user: UserId,
}

impl Sessions {
    /// Begins a session of `user`; gives it with the `Set-Cookie` that makes the browser keep it.
    pub(crate) fn begin(&self, user: UserId) -> Result<(Session, String), Failure> {
        let bytes =
            clock::entropy().map_err(|error| Failure::of("the system has no entropy", error))?;
        let cookie: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.by_age.len() >= MOST
            && let Some(oldest) = table.by_age.pop_front()
        {
            table.by_cookie.remove(&oldest);
        }
        table.by_age.push_back(cookie.clone());
        table.by_cookie.insert(cookie.clone(), user.clone());
        // Lax, because the browser comes back from another site.
        let header = format!("{COOKIE_NAME}={cookie}; Path=/; Secure; HttpOnly; SameSite=Lax");
        Ok((
            Session {
                browser: SecretBytes::new(bytes),
                user,
            },
            header,
        ))
    }

    /// The session that a request belongs to.
    pub(crate) fn of(&self, headers: &HeaderMap) -> Option<Session> {
        let cookie = cookie(headers)?;
        let user = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .by_cookie
            .get(&cookie)
            .cloned()?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(cookie.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Session {
            browser: SecretBytes::new(bytes),
            user,
        })
    }
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let all = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut pairs = all
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(name, _)| *name == COOKIE_NAME)
        .map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, cookie.parse().unwrap());
        headers
    }

    #[test]
    fn a_session_is_found_by_its_cookie_and_by_no_other() {
        let sessions = Sessions::default();
        let (begun, set) = sessions.begin("ann".parse().unwrap()).unwrap();
        let pair = set.split(';').next().unwrap();
        let found = sessions.of(&with(&format!("a=b; {pair}"))).unwrap();
        assert_eq!((found.user, found.browser), (begun.user, begun.browser));
        for cookie in [
            "__Host-browser=",
            "__Host-browser=00",
            &pair.replace("__Host-", ""),
        ] {
            assert!(sessions.of(&with(cookie)).is_none(), "{cookie}");
        }
    }
}
