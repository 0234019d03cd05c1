//! The numbers of the Matter data model, as the interface writes them.

use core::cmp::Ordering;
use core::fmt;
use core::str::FromStr;

use serde::{Serialize, Serializer};

use crate::error::{Error, ErrorKind};

/// The most characters of a number, `0x` included.
const MAX_LENGTH: usize = 24;

/// The number that a text of the interface stands for: hexadecimal after `0x`, otherwise decimal.
fn number_of(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    // A sign is no digit, though std would read one.
    let plain = text.len() <= MAX_LENGTH && digits.chars().all(|c| c.is_digit(radix));
    plain.then(|| u32::from_str_radix(digits, radix).ok())?
}

macro_rules! matter_id {
    ($(#[$doc:meta])* $name:ident, $width:literal) => {
        $(#[$doc])*
        ///
        /// It is kept as it was written, since the other side may look for that, and compared by its number.
        #[derive(Clone, Debug)]
        pub struct $name {
            number: u32,
            text: String,
        }

        impl $name {
            /// The id with this number, in hexadecimal.
            #[must_use]
            pub fn new(number: u32) -> Self {
                Self { number, text: format!(concat!("0x{:0", $width, "X}"), number) }
            }

            /// The number.
            #[must_use]
            pub fn number(&self) -> u32 {
                self.number
            }

            /// The text, as it is written or was read.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.text
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                let number = number_of(text).ok_or(ErrorKind::InvalidIdentifier)?;
                Ok(Self { number, text: text.to_owned() })
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.number == other.number
            }
        }

        impl Eq for $name {}

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.number.cmp(&other.number)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.text)
            }
        }
    };
}

matter_id! {
    /// A cluster: `0x0006` is On/Off.
    ClusterId, "4"
}
matter_id! {
    /// An attribute of a cluster.
    AttributeId, "4"
}
matter_id! {
    /// A command of a cluster.
    CommandId, "2"
}
matter_id! {
    /// An event of a cluster.
    EventId, "2"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_hexadecimal_or_decimal_and_compared_as_numbers() {
        let on_off: ClusterId = "0x0006".parse().unwrap();
        assert_eq!(on_off, ClusterId::new(6));
        assert_eq!(on_off, "6".parse().unwrap());
        assert_eq!("0X6".parse::<ClusterId>().unwrap().as_str(), "0X6");
        assert_eq!(ClusterId::new(0x0fff_f101).as_str(), "0xFFFF101");
        assert_eq!(CommandId::new(1).as_str(), "0x01");
        for text in [
            "",
            "0x",
            "+6",
            "0x+6",
            "-1",
            "0x1_0",
            "six",
            "0x100000000",
            "4294967296",
        ] {
            assert!(text.parse::<ClusterId>().is_err(), "{text}");
        }
        assert!("0".repeat(24).parse::<ClusterId>().is_ok());
        assert!("0".repeat(25).parse::<ClusterId>().is_err());
    }
}
