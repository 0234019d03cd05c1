use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::allocation::{Target, Weight};
use crate::{AccessPointId, ApplicationId, CaId, ErrorKind, PolicyId, limits};

/// How many links a chain may have, and how many access points a policy may list, other than a custom one.
const MAX_LISTED: usize = 1000;

/// A rule of a tenant by which devices come to access points.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AllocationPolicy {
    /// Its id.
    pub id: PolicyId,
    /// When it was made, in Unix milliseconds; where nothing else decides, the oldest policy does.
    pub created_at: u64,
    /// What it says.
    pub rule: Rule,
}

/// What a policy says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Every device goes to one target.
    Fixed {
        /// Where to.
        target: Target,
    },
    /// Devices with a word in their name go to one target.
    Static {
        /// The word.
        keyword: Keyword,
        /// How much it counts beside other words.
        priority: Priority,
        /// Where the word is looked for.
        source: KeywordSource,
        /// Where to.
        target: Target,
    },
    /// Devices with a certificate of one authority go to one target.
    Certificate {
        /// The authority.
        authority: CaId,
        /// Where to.
        target: Target,
    },
    /// Devices are spread by a hash of their ids.
    Hashed {
        /// The access points and their shares; none means all of the tenant with the shares they have.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        weights: BTreeMap<AccessPointId, Weight>,
        /// The application there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        application: Option<ApplicationId>,
    },
    /// A device goes to the access point nearest to the network it comes from.
    Nearest {
        /// The access points; none means all of the tenant.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        access_points: BTreeSet<AccessPointId>,
        /// The application there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        application: Option<ApplicationId>,
    },
    /// A function of the tenant chooses.
    Custom {
        /// Which function.
        function: FunctionUrn,
        /// A name for people, 1 to 256 bytes.
        name: String,
        /// The 1 to 10 access points among which it may choose.
        access_points: BTreeSet<AccessPointId>,
    },
    /// Other policies, one after another, until one of them chooses.
    Chain {
        /// Which, and in which order. A chain within a chain is passed over.
        links: Vec<Link>,
    },
}

/// A part of a chain.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// One policy.
    Policy(PolicyId),
    /// All policies of a kind, also those that are made later.
    Kind(PolicyKind),
}

/// The kinds of policies.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// [`Rule::Fixed`].
    Fixed,
    /// [`Rule::Certificate`].
    Certificate,
    /// [`Rule::Static`].
    Static,
    /// [`Rule::Custom`].
    Custom,
    /// [`Rule::Nearest`].
    Nearest,
    /// [`Rule::Hashed`].
    Hashed,
    /// [`Rule::Chain`].
    Chain,
}

/// The word of a static policy, 1 to 256 bytes.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Keyword(String);

/// What a static policy counts, 0 (lowest) to 4 (highest).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Priority(u8);

/// Where the word of a static policy is looked for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum KeywordSource {
    /// In the device's name; for a device of a group, in the group's name with the device's id behind it.
    #[default]
    DeviceName,
    /// In the keyword that the device sent. A device may send any, so what it can choose is no more than the policies offer.
    Payload,
}

/// The name of a tenant's function, 1 to 360 bytes without spaces and control characters.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct FunctionUrn(String);

impl AllocationPolicy {
    /// A policy made at `created_at`, in Unix milliseconds.
    #[must_use]
    pub fn new(id: PolicyId, created_at: u64, rule: Rule) -> Self {
        Self {
            id,
            created_at,
            rule,
        }
    }

    /// Lets a policy pass whose texts and lists are of their sizes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`].
    pub fn check(&self) -> Result<(), ErrorKind> {
        let sound = match &self.rule {
            Rule::Fixed { .. } | Rule::Static { .. } | Rule::Certificate { .. } => true,
            Rule::Hashed { weights, .. } => weights.len() <= MAX_LISTED,
            Rule::Nearest { access_points, .. } => access_points.len() <= MAX_LISTED,
            Rule::Custom {
                name,
                access_points,
                ..
            } => {
                let size = limits::CUSTOM_ACCESS_POINTS;
                limits::DEVICE_NAME.check(name)?;
                (size.least..=size.most).contains(&access_points.len())
            }
            Rule::Chain { links } => !links.is_empty() && links.len() <= MAX_LISTED,
        };
        if sound {
            Ok(())
        } else {
            Err(ErrorKind::InvalidValue)
        }
    }

    /// Whether it names this access point.
    #[must_use]
    pub fn names(&self, id: &AccessPointId) -> bool {
        match &self.rule {
            Rule::Fixed { target }
            | Rule::Static { target, .. }
            | Rule::Certificate { target, .. } => target.access_point == *id,
            Rule::Hashed { weights, .. } => weights.contains_key(id),
            Rule::Nearest { access_points, .. } | Rule::Custom { access_points, .. } => {
                access_points.contains(id)
            }
            Rule::Chain { .. } => false,
        }
    }
}

impl Rule {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> PolicyKind {
        match self {
            Self::Fixed { .. } => PolicyKind::Fixed,
            Self::Static { .. } => PolicyKind::Static,
            Self::Certificate { .. } => PolicyKind::Certificate,
            Self::Hashed { .. } => PolicyKind::Hashed,
            Self::Nearest { .. } => PolicyKind::Nearest,
            Self::Custom { .. } => PolicyKind::Custom,
            Self::Chain { .. } => PolicyKind::Chain,
        }
    }
}

impl Priority {
    /// What counts least.
    pub const LOWEST: Self = Self(0);
    /// What counts most.
    pub const HIGHEST: Self = Self(4);

    /// A priority.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] over 4.
    pub fn new(priority: u8) -> Result<Self, ErrorKind> {
        if priority > 4 {
            return Err(ErrorKind::InvalidValue);
        }
        Ok(Self(priority))
    }

    /// The number.
    #[must_use]
    pub fn value(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Priority {
    type Error = ErrorKind;

    fn try_from(priority: u8) -> Result<Self, ErrorKind> {
        Self::new(priority)
    }
}

impl From<Priority> for u8 {
    fn from(priority: Priority) -> Self {
        priority.0
    }
}

macro_rules! checked_text {
    ($name:ident, $check:expr) => {
        impl $name {
            /// Takes a text of its size.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::InvalidValue`].
            pub fn new(text: impl Into<String>) -> Result<Self, ErrorKind> {
                let text = text.into();
                let check: fn(&str) -> Result<(), ErrorKind> = $check;
                check(&text)?;
                Ok(Self(text))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = ErrorKind;

            fn try_from(text: String) -> Result<Self, ErrorKind> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }
    };
}

checked_text!(Keyword, |text| limits::KEYWORD.check(text));
checked_text!(FunctionUrn, |text| {
    limits::FUNCTION_URN.check(text)?;
    if text
        .chars()
        .any(|sign| sign.is_control() || sign.is_whitespace())
    {
        return Err(ErrorKind::InvalidValue);
    }
    Ok(())
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_keywords_and_functions_keep_their_sizes() {
        assert_eq!(Priority::new(4), Ok(Priority::HIGHEST));
        assert_eq!(Priority::new(5), Err(ErrorKind::InvalidValue));
        assert!(Keyword::new("x".repeat(256)).is_ok() && Keyword::new("").is_err());
        assert!(Keyword::new("x".repeat(257)).is_err());
        assert!(
            FunctionUrn::new("u".repeat(360)).is_ok() && FunctionUrn::new("u".repeat(361)).is_err()
        );
        assert!(FunctionUrn::new("a b").is_err());
    }

    #[test]
    fn a_custom_policy_lists_one_to_ten_access_points() {
        let policy = |count: usize| {
            AllocationPolicy::new(
                "p".parse().unwrap(),
                0,
                Rule::Custom {
                    function: FunctionUrn::new("urn:f").unwrap(),
                    name: "f".to_owned(),
                    access_points: (0..count)
                        .map(|n| format!("ap-{n}").parse().unwrap())
                        .collect(),
                },
            )
        };
        assert!(policy(1).check().is_ok() && policy(10).check().is_ok());
        assert!(policy(0).check().is_err() && policy(11).check().is_err());
        assert!(
            policy(2).names(&"ap-1".parse().unwrap()) && !policy(2).names(&"ap-2".parse().unwrap())
        );
    }
}
