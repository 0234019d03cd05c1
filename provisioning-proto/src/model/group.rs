use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::{Entry, GroupAttestation};
use crate::{ErrorKind, RegistrationId, ScopeId};

/// The longest name of a group, in bytes.
const MAX_NAME: usize = 256;
/// The longest list of ids or patterns of a group.
const MAX_LISTED: usize = 1000;
/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 256;

/// Devices that need no registration of their own (enrollment group).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct EnrollmentGroup {
    /// A name, 1 to 256 bytes; keywords match against it with the device's id behind it.
    pub name: String,
    /// The public alias that its devices present.
    pub scope: ScopeId,
    /// How they prove who they are. Never changes.
    pub attestation: GroupAttestation,
    /// Which ids may come, and how many.
    pub ids: IdRule,
    /// What happens when a device that has a credential of its own comes with the group's again.
    pub rebind: Rebind,
    /// Where they go.
    pub entry: Entry,
}

impl EnrollmentGroup {
    /// A group that lets nobody in before [`ids`](Self::ids) says who.
    #[must_use]
    pub fn new(name: String, scope: ScopeId, attestation: GroupAttestation, entry: Entry) -> Self {
        Self {
            name,
            scope,
            attestation,
            ids: IdRule::default(),
            rebind: Rebind::Deny,
            entry,
        }
    }

    /// Judges what can be judged of the group alone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] for a name that is empty or too long, and for lists that are too long.
    pub fn check(&self) -> Result<(), ErrorKind> {
        let lists = self.ids.patterns.len().max(self.ids.allowed.len());
        if self.name.is_empty() || self.name.len() > MAX_NAME || lists > MAX_LISTED {
            return Err(ErrorKind::InvalidValue);
        }
        Ok(())
    }
}

/// Which ids a group lets in. One that is neither listed nor fits a pattern is refused: whoever holds a group's credential could
/// otherwise register under any name.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct IdRule {
    /// Patterns, of which one must fit.
    #[serde(default)]
    pub patterns: Vec<IdPattern>,
    /// Ids that are let in without a pattern.
    #[serde(default)]
    pub allowed: BTreeSet<RegistrationId>,
    /// How many different ids may ever be assigned.
    #[serde(default)]
    pub max_devices: Option<u32>,
    /// How many ids may be assigned for the first time within an hour.
    #[serde(default)]
    pub max_new_per_hour: Option<u32>,
}

impl IdRule {
    /// Lets every id in.
    #[must_use]
    pub fn any() -> Self {
        Self {
            patterns: vec![IdPattern("*".to_owned())],
            ..Self::default()
        }
    }

    /// Whether an id may come, apart from how many there are.
    #[must_use]
    pub fn admits(&self, id: &RegistrationId) -> bool {
        self.allowed.contains(id) || self.patterns.iter().any(|pattern| pattern.fits(id))
    }
}

/// A pattern of ids: `*` stands for any characters, `?` for one, everything else for itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct IdPattern(String);

impl IdPattern {
    /// Takes 1 to 256 characters of which ids are made, `*` and `?`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] for anything else.
    pub fn new(text: impl Into<String>) -> Result<Self, ErrorKind> {
        let text = text.into();
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:*?".contains(&byte);
        if text.is_empty() || text.len() > MAX_PATTERN || !text.bytes().all(known) {
            return Err(ErrorKind::InvalidValue);
        }
        Ok(Self(text))
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole id fits.
    #[must_use]
    pub fn fits(&self, id: &RegistrationId) -> bool {
        let (pattern, text) = (self.0.as_bytes(), id.as_str().as_bytes());
        let (mut at, mut read) = (0_usize, 0_usize);
        // Where to go on when what follows the last `*` does not fit: linear space, at most the product of the lengths in time.
        let mut star: Option<(usize, usize)> = None;
        while let Some(byte) = text.get(read) {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at, read));
                    at = at.saturating_add(1);
                }
                Some(wanted) if *wanted == b'?' || wanted == byte => {
                    at = at.saturating_add(1);
                    read = read.saturating_add(1);
                }
                _ => {
                    let Some((place, from)) = star else {
                        return false;
                    };
                    at = place.saturating_add(1);
                    read = from.saturating_add(1);
                    star = Some((place, read));
                }
            }
        }
        pattern
            .get(at..)
            .is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
    }
}

impl TryFrom<String> for IdPattern {
    type Error = ErrorKind;

    fn try_from(text: String) -> Result<Self, ErrorKind> {
        Self::new(text)
    }
}

impl From<IdPattern> for String {
    fn from(pattern: IdPattern) -> Self {
        pattern.0
    }
}

/// What happens when a device that has a credential of its own comes with that of its group. For ten minutes after it was assigned,
/// and until it was seen at its target, it is told the same again whatever this says: the answer may have been lost.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Rebind {
    /// It is refused: whoever has the group's secret cannot take a device over.
    Deny,
    /// It is let in once after an operator approved it.
    Approve,
    /// It is let in.
    Allow,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, id: &str) -> bool {
        IdPattern::new(pattern).unwrap().fits(&id.parse().unwrap())
    }

    #[test]
    fn a_pattern_fits_the_whole_id() {
        assert!(fits("*", "a") && fits("sn-??", "sn-01") && fits("a*b*c", "a-b-b-c"));
        assert!(fits("*-1", "x-1-1") && fits("abc", "abc") && fits("a**", "a"));
        assert!(!fits("sn-??", "sn-1") && !fits("sn-??", "xsn-01") && !fits("a*b", "a-b-c"));
        assert!(!fits("?", "ab") && !fits("a?*", "a"));
        assert!(IdPattern::new("").is_err() && IdPattern::new("a/b").is_err());
    }

    #[test]
    fn a_rule_that_says_nothing_lets_nobody_in() {
        let id: RegistrationId = "sn-1".parse().unwrap();
        let mut rule = IdRule::default();
        assert!(!rule.admits(&id));
        rule.allowed.insert(id.clone());
        assert!(rule.admits(&id) && IdRule::any().admits(&id));
    }
}
