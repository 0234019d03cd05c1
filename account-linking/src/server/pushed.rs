//! Pushed authorization requests (RFC 9126) that wait for their browser, in memory and bounded.
//!
//! As sessions, they are lost in a restart: the client pushes its request again. Only the hash of a
//! reference is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::secret::{SecretBytes, base64url, sha256};
use crate::server::authorize::AuthorizeRequest;
use crate::server::ids::ClientId;

/// How every reference begins (RFC 9126 2.2).
pub(crate) const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// The hash of a reference.
type Name = [u8; 32];

#[derive(Debug)]
struct Waiting {
    request: AuthorizeRequest,
    expires: Instant,
}

/// The requests that wait.
#[derive(Debug)]
pub(crate) struct Pushed {
    requests: BTreeMap<Name, Waiting>,
    /// When those of clients without a secret expire; the first of them makes room.
    of_public: BTreeSet<(Instant, Name)>,
    /// When the others expire.
    of_confidential: BTreeSet<(Instant, Name)>,
    limit: usize,
}

impl Pushed {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            requests: BTreeMap::new(),
            of_public: BTreeSet::new(),
            of_confidential: BTreeSet::new(),
            limit,
        }
    }

    /// Keeps a request and names it; `None` when there is no room.
    ///
    /// Anybody may push in the name of a client without a secret, so these do not drive out others.
    pub(crate) fn keep(
        &mut self,
        request: AuthorizeRequest,
        is_public: bool,
        entropy: &SecretBytes,
        expires: Instant,
    ) -> Option<String> {
        if self.requests.len() >= self.limit {
            let mut oldest = self.of_public.pop_first();
            if oldest.is_none() && !is_public {
                oldest = self.of_confidential.pop_first();
            }
            self.requests.remove(&oldest?.1);
        }
        let reference = format!("{PREFIX}{}", base64url(&entropy.derive("pushed request")));
        let name = sha256(reference.as_bytes());
        let expiries = if is_public {
            &mut self.of_public
        } else {
            &mut self.of_confidential
        };
        expiries.insert((expires, name));
        self.requests.insert(name, Waiting { request, expires });
        Some(reference)
    }

    /// The request that a client pushed under this reference.
    pub(crate) fn find(&self, reference: &str, client: &ClientId) -> Option<&AuthorizeRequest> {
        let waiting = self.requests.get(&sha256(reference.as_bytes()))?;
        Some(&waiting.request).filter(|request| request.client == *client)
    }

    /// Forgets a request: its reference is used (RFC 9126 4).
    pub(crate) fn spend(&mut self, reference: &str) {
        let name = sha256(reference.as_bytes());
        if let Some(waiting) = self.requests.remove(&name) {
            self.of_public.remove(&(waiting.expires, name));
            self.of_confidential.remove(&(waiting.expires, name));
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let first = [&self.of_public, &self.of_confidential].map(|one| one.first());
        first.into_iter().flatten().map(|(at, _)| *at).min()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for expiries in [&mut self.of_public, &mut self.of_confidential] {
            while expiries.first().is_some_and(|(at, _)| *at <= now) {
                if let Some((_, name)) = expiries.pop_first() {
                    self.requests.remove(&name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::form::Form;
    use crate::server::authorize::{AuthorizeRequest, Way};
    use crate::server::{Algorithm, Config, Issuer, RefreshKey, Registration, SigningKey};

    fn request() -> AuthorizeRequest {
        let registration = Registration::confidential(
            "client-a".parse().unwrap(),
            "A",
            vec!["https://a.example/".parse().unwrap()],
            "r:*".parse().unwrap(),
        );
        let config = Config::new(
            Issuer::new("https://c.example").unwrap(),
            "https://c.example/api",
            SigningKey::new("1", Algorithm::Es256, r#"{"kty":"EC"}"#).unwrap(),
            RefreshKey::new(1, SecretBytes::new([1; 32])),
        );
        let form = Form::parse(b"client_id=client-a").unwrap();
        AuthorizeRequest::check(&form, &registration, &config.unwrap(), Way::Pushed).unwrap()
    }

    #[test]
    fn clients_without_a_secret_do_not_drive_out_others() {
        let start = tokio::time::Instant::now().into_std();
        let client = "client-a".parse().unwrap();
        let mut pushed = Pushed::new(2);
        let mut count = 0;
        let mut keep = |pushed: &mut Pushed, is_public| {
            count += 1;
            let expires = start + Duration::from_secs(count);
            let entropy = SecretBytes::new([u8::try_from(count).unwrap(); 32]);
            pushed.keep(request(), is_public, &entropy, expires)
        };
        let first = keep(&mut pushed, true).unwrap();
        let second = keep(&mut pushed, false).unwrap();
        let third = keep(&mut pushed, false).unwrap();
        assert!(pushed.find(&first, &client).is_none());
        assert!(keep(&mut pushed, true).is_none());
        let fourth = keep(&mut pushed, false).unwrap();
        assert!(pushed.find(&second, &client).is_none());
        assert!(pushed.find(&third, &client).is_some());
        assert!(pushed.find(&third, &"client-b".parse().unwrap()).is_none());
        pushed.spend(&third);
        assert!(pushed.find(&third, &client).is_none());
        assert_eq!(pushed.next_deadline(), Some(start + Duration::from_secs(5)));
        pushed.handle_timeout(start + Duration::from_secs(5));
        assert!(pushed.find(&fourth, &client).is_none());
        assert_eq!(pushed.next_deadline(), None);
    }
}
