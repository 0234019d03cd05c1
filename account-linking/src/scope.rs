//! Scopes of RFC 6749 3.3: case-sensitive words, kept as an ordered set.

use core::fmt;
use core::str::FromStr;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

/// Longest single scope, in bytes.
pub const MAX_SCOPE_LENGTH: usize = 256;
/// Most scopes in one set.
pub const MAX_SCOPES: usize = 64;

/// One scope, such as `r:*`.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(String);

impl Scope {
    /// The scope as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Scope {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        // RFC 6749, 3.3: %x21 / %x23-5B / %x5D-7E
        let allowed = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if text.is_empty() || text.len() > MAX_SCOPE_LENGTH || !text.bytes().all(allowed) {
            return Err(ErrorKind::InvalidScope.into());
        }
        Ok(Self(text))
    }
}

impl FromStr for Scope {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.to_owned().try_into()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.0
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A set of scopes; on the wire they are separated by one space, in any order. Cheap to clone.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScopeSet(Arc<BTreeSet<Scope>>);

impl ScopeSet {
    /// Whether `scope` is in the set.
    #[must_use]
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|have| have.as_str() == scope)
    }

    /// Whether every scope of this set is also in `other`.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// Whether there is no scope in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes in order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }
}

impl FromStr for ScopeSet {
    type Err = Error;

    /// Reads a space-separated list; an empty one is the empty set.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut scopes = BTreeSet::new();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            scopes.insert(word.parse()?);
            if scopes.len() > MAX_SCOPES {
                return Err(ErrorKind::InvalidScope.into());
            }
        }
        Ok(Self(Arc::new(scopes)))
    }
}

impl TryFrom<String> for ScopeSet {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<ScopeSet> for String {
    fn from(scopes: ScopeSet) -> Self {
        scopes.to_string()
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repetition_do_not_matter_but_case_does() {
        let a: ScopeSet = "w:* r:* r:*".parse().unwrap();
        let b: ScopeSet = "r:* w:*".parse().unwrap();
        assert_eq!(a, b);
        assert_eq!(a.to_string(), "r:* w:*");
        assert!(!a.contains("R:*"));
        assert!("r:*".parse::<ScopeSet>().unwrap().is_subset(&a));
    }

    #[test]
    fn quotes_backslashes_and_controls_are_refused() {
        for text in ["a\"b", "a\\b", "a\tb", "ä"] {
            assert!(text.parse::<ScopeSet>().is_err(), "{text:?}");
        }
    }
}
