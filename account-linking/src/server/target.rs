//! Which APIs an access token is for (RFC 8707).

use std::collections::BTreeSet;

use crate::form::Form;
use crate::resource::{MAX_RESOURCES, Resource};
use crate::server::config::Config;
use crate::server::registration::Registration;

/// The APIs that a token request names, out of those that a grant may have.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Target {
    asked: BTreeSet<Resource>,
    /// What a grant without resources is for.
    default: String,
    /// All that tokens are given out for now.
    known: BTreeSet<Resource>,
}

impl Target {
    /// Reads a token request; `None` when what it names cannot be a resource.
    pub(crate) fn read(form: &Form, config: &Config) -> Option<Self> {
        Some(Self {
            asked: named(form)?,
            default: config.audience.clone(),
            known: config.resources.clone(),
        })
    }

    /// The resources of an access token under a grant with these; empty stands for the default.
    ///
    /// `None` when more is asked for than was granted (RFC 8707 2.2), or nothing granted is known any more.
    pub(crate) fn within(&self, granted: &BTreeSet<Resource>) -> Option<BTreeSet<Resource>> {
        let known = |one: &&Resource| one.as_str() == self.default || self.known.contains(*one);
        let alive: BTreeSet<_> = granted.iter().filter(known).cloned().collect();
        if self.asked.is_empty() {
            return (alive.is_empty() == granted.is_empty()).then_some(alive);
        }
        if granted.is_empty() {
            let default_only = self.asked.iter().all(|one| one.as_str() == self.default);
            return default_only.then(BTreeSet::new);
        }
        self.asked.is_subset(&alive).then(|| self.asked.clone())
    }
}

/// The resources of an authorization request; `None` when one is not known or not for this client.
pub(crate) fn requested(
    form: &Form,
    registration: &Registration,
    config: &Config,
) -> Option<BTreeSet<Resource>> {
    let asked = named(form)?;
    let allowed = |one: &Resource| {
        one.as_str() == config.audience
            || (config.resources.contains(one) && registration.resources.contains(one))
    };
    asked.iter().all(allowed).then_some(asked)
}

fn named(form: &Form) -> Option<BTreeSet<Resource>> {
    let mut asked = BTreeSet::new();
    for (count, text) in form.all("resource").enumerate() {
        if count >= MAX_RESOURCES {
            return None;
        }
        asked.insert(text.parse().ok()?);
    }
    Some(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(texts: &[&str]) -> BTreeSet<Resource> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn within(asked: &[&str], known: &[&str], granted: &[&str]) -> Option<BTreeSet<Resource>> {
        let target = Target {
            asked: set(asked),
            default: "https://d.example".to_owned(),
            known: set(known),
        };
        target.within(&set(granted))
    }

    #[test]
    fn a_token_is_for_what_was_asked_for_of_what_was_granted_and_is_known() {
        let (a, b, d) = (
            "https://a.example",
            "https://b.example",
            "https://d.example",
        );
        for (asked, known, granted, expected) in [
            (&[][..], &[a, b][..], &[][..], Some(&[][..])),
            (&[], &[a, b], &[a, b], Some(&[a, b])),
            (&[a], &[a, b], &[a, b], Some(&[a])),
            (&[d], &[a], &[], Some(&[])),
            (&[d], &[a], &[a, d], Some(&[d])),
            (&[a], &[a], &[], None),
            (&[d], &[a], &[a], None),
            (&[a, b], &[a, b], &[a], None),
            // One that the server does not have any more.
            (&[], &[a], &[a, b], Some(&[a])),
            (&[b], &[a], &[a, b], None),
            (&[], &[], &[a, b], None),
        ] {
            let found = within(asked, known, granted);
            assert_eq!(found, expected.map(set), "{asked:?} {known:?} {granted:?}");
        }
    }

    #[test]
    fn more_resources_than_the_limit_are_refused() {
        let form = |count: usize| {
            let pairs: Vec<_> = (0..count)
                .map(|n| format!("resource=https://{n}.example"))
                .collect();
            Form::parse(pairs.join("&").as_bytes()).unwrap()
        };
        assert_eq!(named(&form(MAX_RESOURCES)).unwrap().len(), MAX_RESOURCES);
        assert!(named(&form(MAX_RESOURCES + 1)).is_none());
    }
}
