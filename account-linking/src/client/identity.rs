//! Who the remote user is.

use serde::Deserialize;

use crate::secret::{AccessToken, from_base64url};

/// The longest subject that is accepted, in bytes (OpenID Connect Core, 2).
const MAX_SUBJECT: usize = 255;

/// The subject of a JWT access token that `issuer` issued; `None` when the token is no such JWT.
///
/// The signature is not checked: the token came over TLS from the token endpoint itself, which is the authority on it.
/// Never use this on a token that came from anywhere else.
#[must_use]
pub fn subject_of(token: &AccessToken, issuer: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Claims {
        iss: String,
        sub: String,
    }
    let mut parts = token.expose().split('.');
    let (Some(_), Some(payload), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let claims: Claims = serde_json::from_slice(&from_base64url(payload)?).ok()?;
    (claims.iss == issuer)
        .then_some(claims.sub)
        .and_then(checked)
}

/// `subject` if it can name a user.
pub(super) fn checked(subject: String) -> Option<String> {
    let usable = !subject.is_empty()
        && subject.len() <= MAX_SUBJECT
        && !subject.chars().any(char::is_control);
    usable.then_some(subject)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::base64url;

    fn jwt(payload: &str) -> AccessToken {
        AccessToken::new(format!("e30.{}.c2ln", base64url(payload.as_bytes()))).unwrap()
    }

    #[test]
    fn the_subject_of_the_expected_issuer_is_taken() {
        let token = jwt(r#"{"iss":"https://as.example","sub":"u-1","exp":1}"#);
        assert_eq!(
            subject_of(&token, "https://as.example").as_deref(),
            Some("u-1")
        );
        assert_eq!(subject_of(&token, "https://as.example/"), None);
    }

    #[test]
    fn what_is_no_jwt_has_no_subject() {
        for token in ["opaque", "a.b", "a.b.c.d", "e30.e30.c2ln", "e30.!.c2ln"] {
            assert_eq!(
                subject_of(&AccessToken::new(token).unwrap(), "https://as.example"),
                None
            );
        }
        assert_eq!(subject_of(&jwt(r#"{"iss":"i","sub":""}"#), "i"), None);
    }

    proptest! {
        #[test]
        fn any_token_is_read_without_a_panic(text in "[ -~]{1,200}") {
            let _ = subject_of(&AccessToken::new(text).unwrap(), "i");
        }
    }
}
