//! The slot of the bearer token: what it is, until when, and whether a new one was asked for.

use std::time::{Duration, Instant};

use uci_model::api::AccessToken;

/// The token in use.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    token: Option<AccessToken>,
    until: Option<Instant>,
    /// Counts the tokens, so that a late 401 about an old one does not throw the new one away.
    generation: u64,
    refused: bool,
    asked: bool,
}

impl Credentials {
    /// The token and its generation, if there is one that is still good.
    pub(crate) fn current(&self, now: Instant) -> Option<(&AccessToken, u64)> {
        let token = self.token.as_ref()?;
        let good = self.until.is_none_or(|until| now < until);
        good.then_some((token, self.generation))
    }

    /// Notes that a token is asked for; `None` when it was already, else whether the last one was refused.
    pub(crate) const fn ask(&mut self) -> Option<bool> {
        if self.asked {
            return None;
        }
        self.asked = true;
        Some(self.refused)
    }

    /// Takes a new token, which counts as expired `leeway` before its end unless it is shorter than that.
    pub(crate) fn replace(
        &mut self,
        token: AccessToken,
        expires: Option<Instant>,
        leeway: Duration,
        now: Instant,
    ) {
        self.token = Some(token);
        self.until = expires.map(|expires| {
            expires
                .checked_sub(leeway)
                .filter(|early| *early > now)
                .unwrap_or(expires)
        });
        self.generation = self.generation.wrapping_add(1);
        self.refused = false;
        self.asked = false;
    }

    /// Notes that no token will come for now.
    pub(crate) const fn give_up(&mut self) {
        self.asked = false;
    }

    /// Forgets the token of `generation`, which the peer refused.
    pub(crate) fn refuse(&mut self, generation: u64) {
        if self.generation == generation {
            self.token = None;
            self.refused = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use uci_model::api::AccessToken;

    use super::Credentials;

    const LEEWAY: Duration = Duration::from_secs(30);

    fn token(text: &str) -> AccessToken {
        AccessToken::try_from(text.to_owned()).unwrap()
    }

    fn filled(lifetime: u64) -> (Credentials, Instant) {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test needs some instant to begin with"
        )]
        let now = Instant::now();
        let mut credentials = Credentials::default();
        let expires = now.checked_add(Duration::from_secs(lifetime));
        credentials.replace(token("t"), expires, LEEWAY, now);
        (credentials, now)
    }

    #[test]
    fn a_token_counts_as_expired_a_little_early() {
        let (credentials, now) = filled(100);
        assert!(credentials.current(now + Duration::from_secs(69)).is_some());
        assert!(credentials.current(now + Duration::from_secs(70)).is_none());
    }

    #[test]
    fn a_token_shorter_than_the_leeway_is_used_to_its_end() {
        let (credentials, now) = filled(10);
        assert!(credentials.current(now + Duration::from_secs(9)).is_some());
        assert!(credentials.current(now + Duration::from_secs(10)).is_none());
    }

    #[test]
    fn a_late_refusal_of_an_old_token_leaves_the_new_one() {
        let (mut credentials, now) = filled(100);
        let (_, old) = credentials.current(now).unwrap();
        credentials.replace(token("u"), None, LEEWAY, now);
        credentials.refuse(old);
        assert!(credentials.current(now).is_some());
        let (_, new) = credentials.current(now).unwrap();
        credentials.refuse(new);
        assert!(credentials.current(now).is_none());
        assert_eq!(credentials.ask(), Some(true));
        assert_eq!(credentials.ask(), None);
    }
}
