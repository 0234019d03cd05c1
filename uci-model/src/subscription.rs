//! What a subscribe request and its answer say.

use alloc::{collections::BTreeSet, string::String, vec::Vec};
use core::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    content::{Content, ContentFormat},
    error::{Error, ErrorKind, ParseIdError},
    event::{EventType, SubscriptionLevel},
    limits::Limits,
    value::Mismatch,
};

/// The body of a subscribe request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubscribeBody {
    /// Where the notifications go: `eventsUrl`.
    pub events_url: EventsUrl,
    /// What is notified: `eventTypes`.
    pub event_types: EventTypes,
    /// What the notifications are signed with: `signingSecret`.
    pub signing_secret: SigningSecret,
}

/// The members as they are written. Strings, so that no error of serde's can quote the secret.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    events_url: String,
    event_types: Vec<EventType>,
    signing_secret: Zeroizing<String>,
}

impl SubscribeBody {
    /// A body with all that it must have.
    #[must_use]
    pub const fn new(
        events_url: EventsUrl,
        event_types: EventTypes,
        signing_secret: SigningSecret,
    ) -> Self {
        Self {
            events_url,
            event_types,
            signing_secret,
        }
    }

    /// Writes the body; always JSON.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`]; no body is known that gives it.
    pub fn encode(&self) -> Result<Content, Error> {
        let members = Members {
            events_url: self.events_url.0.clone(),
            event_types: self.event_types.iter().cloned().collect(),
            signing_secret: self.signing_secret.0.clone(),
        };
        Content::encode(ContentFormat::Json, &members)
    }

    /// Reads the body of a request at this level. Unknown members are ignored.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnsupportedFormat`] for other content than JSON; [`ErrorKind::Malformed`];
    /// [`ErrorKind::LimitExceeded`]; [`ErrorKind::Invalid`] for a missing member, an event type of another
    /// level, none at all, and a secret shorter than 32 or longer than 256 characters.
    pub fn decode(
        level: SubscriptionLevel,
        content: &Content,
        limits: &Limits,
    ) -> Result<Self, Error> {
        if content.format() != ContentFormat::Json {
            return Err(Error::new(ErrorKind::UnsupportedFormat));
        }
        let mut members: Members = content.decode_as(limits)?;
        Ok(Self {
            events_url: members.events_url.try_into()?,
            event_types: EventTypes::new(level, members.event_types)?,
            signing_secret: core::mem::take(&mut *members.signing_secret).try_into()?,
        })
    }
}

/// Event types that one subscription asks for: at least one, all of one level.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventTypes {
    level: SubscriptionLevel,
    types: BTreeSet<EventType>,
}

impl EventTypes {
    /// These types, each once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] when there is none or one is not of this level.
    pub fn new(
        level: SubscriptionLevel,
        types: impl IntoIterator<Item = EventType>,
    ) -> Result<Self, Error> {
        let invalid = |reason| Error::with_source(ErrorKind::Invalid, Mismatch::new(reason));
        let types: BTreeSet<_> = types.into_iter().collect();
        if types.is_empty() {
            return Err(invalid("no event type is asked for"));
        }
        if types
            .iter()
            .any(|event_type| event_type.level() != Some(level))
        {
            return Err(invalid("an event type is not one of this level"));
        }
        Ok(Self { level, types })
    }

    /// All types of a level.
    #[must_use]
    pub fn all(level: SubscriptionLevel) -> Self {
        Self {
            level,
            types: level.event_types().iter().cloned().collect(),
        }
    }

    /// The level that all of them are of.
    #[must_use]
    pub const fn level(&self) -> SubscriptionLevel {
        self.level
    }

    /// Whether this type is among them.
    #[must_use]
    pub fn contains(&self, event_type: &EventType) -> bool {
        self.types.contains(event_type)
    }

    /// The types, in the order in which their first notifications go out.
    pub fn iter(&self) -> impl Iterator<Item = &EventType> {
        self.types.iter()
    }
}

/// Where notifications go: an absolute http or https URL, as the client wrote it.
///
/// Only its form is checked here; whether a cloud may send there is the cloud's policy.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventsUrl(String);

impl EventsUrl {
    const MAX_LENGTH: usize = 2048;

    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is an https URL.
    #[must_use]
    pub fn is_https(&self) -> bool {
        strip_scheme(&self.0, "https://").is_some()
    }
}

impl TryFrom<String> for EventsUrl {
    type Error = ParseIdError;

    fn try_from(text: String) -> Result<Self, ParseIdError> {
        crate::ids::check_text(&text, "events URL", Self::MAX_LENGTH)?;
        let error = |problem| ParseIdError::new("events URL", problem);
        let rest = strip_scheme(&text, "https://")
            .or_else(|| strip_scheme(&text, "http://"))
            .ok_or_else(|| error("is not an http or https URL"))?;
        if rest.is_empty() || rest.starts_with(['/', '?', '#']) {
            return Err(error("has no host"));
        }
        Ok(Self(text))
    }
}

impl core::str::FromStr for EventsUrl {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        String::from(text).try_into()
    }
}

impl From<EventsUrl> for String {
    fn from(url: EventsUrl) -> Self {
        url.0
    }
}

fn strip_scheme<'a>(url: &'a str, scheme: &str) -> Option<&'a str> {
    let (start, rest) = url.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// The secret that signs the notifications of one subscription.
///
/// The standard has exactly 32 characters; a client in the field sends 44, so 32 to 256 are taken.
#[derive(Clone)]
pub struct SigningSecret(Zeroizing<String>);

impl SigningSecret {
    const MIN_LENGTH: usize = 32;
    const MAX_LENGTH: usize = 256;

    /// A secret of 32 characters with 160 bits of the caller's entropy.
    ///
    /// Five bits go into a character, so 20 bytes make exactly the length that the standard asks for.
    #[must_use]
    pub fn from_entropy(entropy: [u8; 20]) -> Self {
        const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let mut text = Zeroizing::new(String::with_capacity(Self::MIN_LENGTH));
        let entropy = Zeroizing::new(entropy);
        for five in entropy.as_chunks::<5>().0 {
            let bits = five
                .iter()
                .fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
            for place in (0..8_u32).rev() {
                let index = (bits >> place.saturating_mul(5)) & 31;
                let letter = usize::try_from(index)
                    .ok()
                    .and_then(|index| ALPHABET.get(index));
                text.extend(letter.map(|letter| char::from(*letter)));
            }
        }
        Self(text)
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for SigningSecret {
    type Error = ParseIdError;

    fn try_from(text: String) -> Result<Self, ParseIdError> {
        let text = Zeroizing::new(text);
        let length = text.chars().count();
        if length < Self::MIN_LENGTH {
            Err(ParseIdError::new("signing secret", "is too short"))
        } else if length > Self::MAX_LENGTH {
            Err(ParseIdError::new("signing secret", "is too long"))
        } else {
            Ok(Self(text))
        }
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(..)")
    }
}
