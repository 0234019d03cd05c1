//! How many of a thing a tenant may have, and how long a text may be.

use crate::ErrorKind;

/// How long a text may be, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Size {
    /// The shortest that is allowed.
    pub least: usize,
    /// The longest that is allowed.
    pub most: usize,
}

impl Size {
    /// From `least` to `most` bytes, both included.
    #[must_use]
    pub const fn new(least: usize, most: usize) -> Self {
        Self { least, most }
    }

    /// Lets a text of this size pass.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] for a shorter or longer one.
    pub fn check(self, text: &str) -> Result<(), ErrorKind> {
        if (self.least..=self.most).contains(&text.len()) {
            Ok(())
        } else {
            Err(ErrorKind::InvalidValue)
        }
    }
}

/// The secret of a device.
pub const DEVICE_SECRET: Size = Size::new(8, 32);
/// The name of a device.
pub const DEVICE_NAME: Size = Size::new(1, 256);
/// What is said about a device.
pub const DESCRIPTION: Size = Size::new(0, 2048);
/// The name of a registration group.
pub const GROUP_NAME: Size = Size::new(1, 256);
/// The secret of a registration group in base64, 32 to 128 bytes.
pub const GROUP_SECRET: Size = Size::new(44, 172);
/// The name of an access point.
pub const ACCESS_POINT_NAME: Size = Size::new(1, 256);
/// The region of an access point.
pub const REGION: Size = Size::new(1, 64);
/// The keyword of a static policy.
pub const KEYWORD: Size = Size::new(1, 256);
/// The name of a custom function.
pub const FUNCTION_URN: Size = Size::new(1, 360);
/// What a device is given beside its address.
pub const INITIAL_CONFIG: Size = Size::new(1, 65_535);
/// A certificate in PEM.
pub const CERTIFICATE: Size = Size::new(1, 65_535);
/// A page of a list: how many entries an operator may ask for at once.
pub const PAGE: Size = Size::new(1, 50);
/// How many entries a page has when nobody asks for a number.
pub const DEFAULT_PAGE: usize = 10;
/// How many access points a custom policy may list.
pub const CUSTOM_ACCESS_POINTS: Size = Size::new(1, 10);

/// How many of each thing a tenant may have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// Certificate authorities, verified or not: 100.
    pub certificate_authorities: usize,
    /// Custom policies: 10.
    pub custom_policies: usize,
    /// Static policies: 20.
    pub static_policies: usize,
    /// Certificate policies: 20.
    pub certificate_policies: usize,
    /// Policies of every other kind, each: 20.
    pub other_policies: usize,
    /// Access points, the tenant's own and those of others: 1000.
    pub access_points: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            certificate_authorities: 100,
            custom_policies: 10,
            static_policies: 20,
            certificate_policies: 20,
            other_policies: 20,
            access_points: 1000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_hold_at_both_ends() {
        for (size, least, most) in [
            (DEVICE_SECRET, 8, 32),
            (GROUP_NAME, 1, 256),
            (KEYWORD, 1, 256),
            (FUNCTION_URN, 1, 360),
            (INITIAL_CONFIG, 1, 65_535),
        ] {
            let passes = |length: usize| size.check(&"x".repeat(length)).is_ok();
            assert!(passes(least) && passes(most), "{size:?}");
            assert!(!passes(least - 1) && !passes(most + 1), "{size:?}");
        }
    }
}
