//! The code that a person reads from one device and types into another (RFC 8628 6.1).

use core::fmt;
use core::str::FromStr;

use crate::error::{Error, ErrorKind};
use crate::secret::{same, sha256};

/// Letters that no word is made of, and none that is taken for another.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LENGTH: usize = 8;
/// 20^8: how many there are.
const CODES: u64 = 25_600_000_000;

/// Eight letters, shown in two groups of four; case and whatever else a person puts between them do not count.
///
/// There are 20^8 of them: with the usual bounds on guesses and devices that wait, one guess in 1.5 million is right.
#[derive(Clone, Copy)]
pub struct UserCode([u8; LENGTH]);

impl UserCode {
    /// The code that comes of entropy.
    pub(crate) fn of(entropy: &[u8; 32]) -> Self {
        // 256 bits modulo the number of codes, whose bias nobody sees.
        let mut rest = entropy.iter().fold(0_u64, |rest, byte| {
            rest.wrapping_mul(256).wrapping_add(u64::from(*byte)) % CODES
        });
        Self([(); LENGTH].map(|()| {
            let letter = usize::try_from(rest % 20).unwrap_or_default();
            rest /= 20;
            LETTERS.get(letter).copied().unwrap_or(b'B')
        }))
    }

    /// By which a device is found.
    pub(crate) fn hash(self) -> [u8; 32] {
        sha256(&self.0)
    }
}

impl fmt::Debug for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserCode(..)")
    }
}

impl PartialEq for UserCode {
    fn eq(&self, other: &Self) -> bool {
        same(&self.0, &other.0)
    }
}

impl Eq for UserCode {}

impl FromStr for UserCode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = || Error::from(ErrorKind::InvalidIdentifier);
        // Room for what people put between letters.
        if text.len() > 64 {
            return Err(invalid());
        }
        let mut code = [0; LENGTH];
        let mut letters = text
            .bytes()
            .map(|byte| byte.to_ascii_uppercase())
            .filter(|byte| byte.is_ascii_alphanumeric());
        for place in &mut code {
            *place = letters.next().ok_or_else(invalid)?;
        }
        let known = code.iter().all(|letter| LETTERS.contains(letter));
        match letters.next() {
            None if known => Ok(Self(code)),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, letter) in self.0.into_iter().enumerate() {
            if place == LENGTH / 2 {
                f.write_str("-")?;
            }
            write!(f, "{}", char::from(letter))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        let code = UserCode::of(&[7; 32]);
        let text = code.to_string();
        assert_eq!((text.len(), text.as_bytes()[4]), (9, b'-'));
        let loose = format!(" {} ", text.to_lowercase().replace('-', " - "));
        for typed in [text.as_str(), &loose, &text.replace('-', "")] {
            assert_eq!(typed.parse::<UserCode>().unwrap(), code, "{typed}");
        }
        for typed in [
            "",
            "BCDF-GHJ",
            "BCDF-GHJKL",
            "BCDF-GHJA",
            "BCDF-GHJ1",
            &"-".repeat(65),
        ] {
            assert!(typed.parse::<UserCode>().is_err(), "{typed}");
        }
        assert!(
            "ÄBCDF-GHJK".parse::<UserCode>().is_ok(),
            "what is no letter of ours is passed over"
        );
    }

    #[test]
    fn codes_differ_in_every_place() {
        let codes: Vec<_> = (0..=255_u8).map(|n| UserCode::of(&[n; 32]).0).collect();
        for place in 0..LENGTH {
            let mut seen: Vec<_> = codes.iter().map(|code| code[place]).collect();
            seen.sort_unstable();
            seen.dedup();
            assert!(seen.len() > 10, "place {place}: {}", seen.len());
        }
    }
}
