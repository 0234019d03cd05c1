//! Names and numbers: who a principal is, and which answer belongs to which output.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

/// Longest account, client or grant id, in bytes.
const MAX_TEXT_ID: usize = 128;

/// A text is not an id: empty, too long, or with characters outside visible ASCII, or with a slash.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an id of 1 to 128 visible ASCII characters without a slash")]
#[non_exhaustive]
pub struct ParseIdError;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Cloning shares the text.
        #[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseIdError;

            fn try_from(text: String) -> Result<Self, ParseIdError> {
                let visible = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
                if text.is_empty() || text.len() > MAX_TEXT_ID || !text.bytes().all(visible) {
                    return Err(ParseIdError);
                }
                Ok(Self(text.into()))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// A linked user: the owner of devices, and the unit in which state is kept.
    AccountId
}
text_id! {
    /// A client-side cloud that is registered with this one.
    ClientId
}
text_id! {
    /// One consent of one user for one client; its subscriptions end with it.
    GrantId
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub struct $name(u64);

        impl $name {
            pub(crate) fn new(number: u64) -> Self {
                Self(number)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    };
}

number_id! {
    /// An HTTP request that waits for its `Output::Respond`.
    RequestId
}
number_id! {
    /// A device report that waits for its `Event::Reported`.
    ReportId
}
number_id! {
    /// A question to a device.
    AskId
}
number_id! {
    /// One attempt to deliver one notification.
    DeliveryId
}
number_id! {
    /// The end of a grant that waits for its `Event::GrantEnded`.
    GrantEndId
}
number_id! {
    /// A device's transfer or removal that waits for its `Event::OwnerChanged`.
    OwnerChangeId
}
number_id! {
    /// An export that waits for its `Event::AccountExported`.
    ExportId
}
number_id! {
    /// An erasure that waits for its `Event::AccountErased`.
    ErasureId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_visible_ascii_without_slash() {
        assert!(AccountId::from_str("user-1@example").is_ok());
        for bad in ["", "a/b", "a b", "\u{e4}", "a\u{7f}"] {
            assert_eq!(AccountId::from_str(bad), Err(ParseIdError), "{bad:?}");
        }
        assert!(GrantId::from_str(&"g".repeat(128)).is_ok());
        assert!(GrantId::from_str(&"g".repeat(129)).is_err());
    }
}
