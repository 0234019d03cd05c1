//! Forms and queries (`application/x-www-form-urlencoded`), read strictly and within bounds.

use core::fmt;
use core::str;
use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};

/// Longest form or query, in bytes.
pub const MAX_FORM_LENGTH: usize = 16_384;
/// Most parameters in a form.
pub const MAX_PARAMETERS: usize = 64;

/// The parameters of a form; one sent without a value counts as absent (RFC 6749 3.1).
#[derive(Clone, Default)]
pub struct Form {
    values: BTreeMap<String, Vec<Zeroizing<String>>>,
}

impl Form {
    /// Reads a form from any bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidForm`] on a bad escape, text that is not UTF-8, a NUL, or more than
    /// [`MAX_FORM_LENGTH`] bytes or [`MAX_PARAMETERS`] parameters.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_FORM_LENGTH {
            return Err(ErrorKind::InvalidForm.into());
        }
        let mut form = Self::default();
        let pairs = bytes.split(|b| *b == b'&').filter(|pair| !pair.is_empty());
        for (count, pair) in pairs.enumerate() {
            if count >= MAX_PARAMETERS {
                return Err(ErrorKind::InvalidForm.into());
            }
            let mut halves = pair.splitn(2, |b| *b == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            if value.is_empty() {
                continue;
            }
            form.values.entry(name.to_string()).or_default().push(value);
        }
        Ok(form)
    }

    /// The value of `name`; of a repeated parameter, the last.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.last().map(|value| value.as_str())
    }

    /// All values of `name`, in their order.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let values = self.values.get(name).into_iter().flatten();
        values.map(|value| value.as_str())
    }

    /// Whether `name` came more than once with a value.
    #[must_use]
    pub fn repeats(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|values| values.len() > 1)
    }

    /// Whether any parameter came more than once with a value.
    #[must_use]
    pub fn has_repeats(&self) -> bool {
        self.has_repeats_but("")
    }

    /// Whether any parameter but `name` came more than once with a value.
    #[must_use]
    pub fn has_repeats_but(&self, name: &str) -> bool {
        let mut values = self.values.iter();
        values.any(|(found, values)| found != name && values.len() > 1)
    }
}

impl fmt::Debug for Form {
    /// Shows the names only: values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// Whether the body of a request says that it is a form.
pub(crate) fn is_form<B>(request: &http::Request<B>) -> bool {
    let value = request.headers().get(http::header::CONTENT_TYPE);
    let value = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = value.split(';').next().unwrap_or("").trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Undoes the encoding of one name or value.
pub(crate) fn decode(bytes: &[u8]) -> Result<Zeroizing<String>, Error> {
    let mut plain = Zeroizing::new(Vec::with_capacity(bytes.len()));
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        plain.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|b| char::from(*b).to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else {
                    return Err(ErrorKind::InvalidForm.into());
                };
                u8::try_from(high << 4 | low).map_err(|_| ErrorKind::InvalidForm)?
            }
            byte => *byte,
        });
    }
    if plain.contains(&0) || str::from_utf8(&plain).is_err() {
        return Err(ErrorKind::InvalidForm.into());
    }
    let plain = String::from_utf8(core::mem::take(&mut *plain));
    let plain = plain.map_err(|_| ErrorKind::InvalidForm)?;
    Ok(Zeroizing::new(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_empty_values_and_repeats_are_told_apart() {
        let form = Form::parse(b"a=1%2B2+3&b=&c&d=x&d=y&&e=%C3%A4").unwrap();
        assert_eq!(form.get("a"), Some("1+2 3"));
        assert_eq!(form.get("b"), None);
        assert_eq!(form.get("c"), None);
        assert_eq!(form.get("e"), Some("ä"));
        assert!(form.repeats("d") && form.has_repeats());
        assert!(!form.repeats("a"));
        assert!(form.all("d").eq(["x", "y"]));
        assert!(!form.has_repeats_but("d") && form.has_repeats_but("a"));
    }

    #[test]
    fn malformed_forms_are_refused() {
        let many = "a=1&".repeat(MAX_PARAMETERS + 1);
        let long = "a".repeat(MAX_FORM_LENGTH + 1);
        for bytes in [
            b"a=%4".as_slice(),
            b"a=%zz",
            b"a=%00",
            b"a=%ff",
            many.as_bytes(),
            long.as_bytes(),
        ] {
            assert_eq!(
                Form::parse(bytes).unwrap_err().kind(),
                ErrorKind::InvalidForm
            );
        }
    }

    #[test]
    fn values_do_not_print() {
        let form = Form::parse(b"code=secret").unwrap();
        assert_eq!(format!("{form:?}"), r#"{"code"}"#);
    }
}
