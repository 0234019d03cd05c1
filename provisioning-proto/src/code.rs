//! The numbers by which a provisioning service names what went wrong.

use std::fmt;

/// What went wrong, by its number in the vendor's public list; written `IoTDP.100414`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Code(u32);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $status:literal, $text:literal;)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// Every code that this crate gives out, by rising number.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The HTTP status that goes with it.
            #[must_use]
            pub fn status(self) -> u16 {
                match self.0 {
                    $($number => $status,)*
                    _ => 500,
                }
            }

            /// What it means, in words.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self.0 {
                    $($number => $text,)*
                    _ => "unknown error",
                }
            }
        }
    };
}

codes! {
    /// A file or request is too large.
    SIZE_LIMIT = 100_001, 400, "the file or request is too large";
    /// A file has the wrong suffix.
    SUFFIX = 100_002, 400, "the file is of the wrong type";
    /// There is no such tenant for this operator.
    USER_NOT_FOUND = 100_101, 403, "no such user";
    /// There is no such device.
    DEVICE_NOT_FOUND = 100_201, 404, "no such device";
    /// A device's name or id is malformed.
    DEVICE_NAME = 100_202, 400, "the name or id of the device is malformed";
    /// A batch has too many lines.
    BATCH_TOO_LONG = 100_203, 400, "too many devices in one batch";
    /// There is such a device already.
    DEVICE_EXISTS = 100_204, 409, "the device exists already";
    /// A device of LwM2M lacks one of its keys.
    LWM2M_KEY_MISSING = 100_205, 400, "a key for LwM2M is missing";
    /// A batch does not have the columns of the template.
    TEMPLATE = 100_214, 400, "the file does not follow the template";
    /// There is a certificate of that name already.
    CERTIFICATE_NAME_EXISTS = 100_215, 409, "a certificate of that name exists already";
    /// What should be a certificate is none.
    CERTIFICATE_MALFORMED = 100_216, 400, "the certificate cannot be read";
    /// There is that certificate already.
    CERTIFICATE_EXISTS = 100_217, 409, "the certificate exists already";
    /// No access point is known for where the device is.
    NO_NEAR_ACCESS_POINT = 100_409, 500, "no access point for the device's address";
    /// There is no such kind of policy.
    STRATEGY_TYPE = 100_410, 400, "no such type of policy";
    /// There is no such function.
    FUNCTION_NOT_FOUND = 100_411, 404, "no such function";
    /// A policy is still referred to.
    STRATEGY_IN_USE = 100_413, 409, "the policy is in use";
    /// No policy matches the device.
    NO_MATCH = 100_414, 404, "no policy matches the device";
    /// The tenant has no policy of this kind, or not this one.
    NO_SUCH_STRATEGY = 100_415, 404, "no such policy";
    /// An application is not one of its access point.
    APPLICATION = 100_504, 400, "the access point has no such application";
    /// There is a group of that name already.
    GROUP_EXISTS = 104_801, 409, "the group exists already";
    /// There is no such group.
    GROUP_NOT_FOUND = 104_802, 404, "no such group";
    /// The access point's owner has not granted it.
    NOT_AUTHORIZED = 105_004, 403, "the access point is not granted";
    /// A request is malformed. The numbers from here on are ours; the vendor's list has none for them.
    MALFORMED = 199_001, 400, "the request is malformed";
    /// The operator's token is missing or not good.
    UNAUTHORIZED = 199_002, 401, "the token is not good";
    /// There is no such thing.
    NOT_FOUND = 199_003, 404, "there is no such thing";
    /// The thing has no such method.
    METHOD = 199_004, 405, "there is no such method here";
    /// There is one already.
    EXISTS = 199_005, 409, "it exists already";
    /// Something refers to it.
    IN_USE = 199_006, 409, "it is in use";
    /// A limit is reached.
    LIMIT = 199_007, 409, "a limit is reached";
    /// It was changed since it was read.
    CHANGED = 199_008, 412, "it was changed meanwhile";
    /// It is set once.
    IMMUTABLE = 199_009, 400, "it cannot be changed any more";
    /// The service cannot do it now.
    UNAVAILABLE = 199_010, 503, "not now";
    /// A certificate authority has no code that could be signed, or needs none.
    NO_CODE = 199_011, 409, "no code is waiting to be signed";
    /// What is to name a certificate authority names none that is there.
    NO_AUTHORITY = 199_012, 400, "no such certificate authority";
}

impl Code {
    /// The number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IoTDP.{:06}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart_and_written_with_their_prefix() {
        assert!(Code::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(Code::NO_MATCH.to_string(), "IoTDP.100414");
        assert_eq!(
            (
                Code::NO_NEAR_ACCESS_POINT.number(),
                Code::NO_NEAR_ACCESS_POINT.status()
            ),
            (100_409, 500)
        );
        assert!(
            Code::ALL
                .iter()
                .all(|code| (400..=504).contains(&code.status()) && !code.text().is_empty())
        );
    }
}
