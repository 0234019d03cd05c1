//! The redirect in: what the authorization server sent back through the user's browser.

use core::fmt;

use crate::secret::AuthorizationCode;

/// The longest query string that is looked at, in bytes.
pub const MAX_QUERY: usize = 8 * 1024;

/// The longest value of `state`, `iss`, `error` and their like that is kept, in bytes.
const MAX_VALUE: usize = 2 * 1024;

/// An authorization response: RFC 6749, 4.1.2 and 4.1.2.1, with the `iss` of RFC 9207.
#[non_exhaustive]
pub struct Callback {
    /// The `state` as it came.
    pub state: String,
    /// The issuer that the response names.
    pub issuer: Option<String>,
    /// What the server says.
    pub answer: Answer,
}

impl fmt::Debug for Callback {
    /// Leaves the `state` out: until it is spent, it is a secret of one browser.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback")
            .field("issuer", &self.issuer)
            .field("answer", &self.answer)
            .finish_non_exhaustive()
    }
}

/// What an authorization response says.
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer {
    /// The user agreed; the code is to be exchanged.
    Code(AuthorizationCode),
    /// The server or the user refused.
    Refused(ErrorCode),
    /// Neither or both of the above, a parameter twice, or a value over its bound.
    Malformed,
}

/// An `error` of an authorization or token response, kept even when it is in no registry.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ErrorCode(String);

impl ErrorCode {
    /// The code in `text`, with every character that RFC 6749 (4.1.2.1) does not allow left out, cut at 64.
    #[must_use]
    pub fn from_peer(text: &str) -> Self {
        let allowed =
            |c: &char| matches!(c, '\u{20}'..='\u{21}' | '\u{23}'..='\u{5b}' | '\u{5d}'..='\u{7e}');
        Self(text.chars().filter(allowed).take(64).collect())
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Callback {
    /// Reads the query string of a callback; `None` when it names no attempt (no `state`, two of them, or too long).
    ///
    /// Total: whatever else is wrong with the query is [`Answer::Malformed`], because a callback that names an attempt
    /// ends it.
    #[must_use]
    pub fn parse(query: &str) -> Option<Self> {
        if query.len() > MAX_QUERY {
            return None;
        }
        let mut fields = Fields::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            fields.take(&name, &value);
        }
        let Field::Once(state) = fields.state else {
            return None;
        };
        let well_formed = [
            &fields.issuer,
            &fields.code,
            &fields.error,
            &fields.description,
            &fields.uri,
        ]
        .iter()
        .all(|field| !matches!(field, Field::Twice));
        // RFC 6749, 4.1.2.1: an error is an error even if a code stands beside it; both together is neither.
        let answer = match (well_formed, fields.code.value(), fields.error.value()) {
            (true, Some(code), None) => {
                AuthorizationCode::new(code).map_or(Answer::Malformed, Answer::Code)
            }
            (true, None, Some(error)) => Answer::Refused(ErrorCode::from_peer(&error)),
            _ => Answer::Malformed,
        };
        Some(Self {
            state,
            issuer: fields.issuer.value(),
            answer,
        })
    }
}

#[derive(Default)]
struct Fields {
    state: Field,
    issuer: Field,
    code: Field,
    error: Field,
    description: Field,
    uri: Field,
}

impl Fields {
    fn take(&mut self, name: &str, value: &str) {
        let field = match name {
            "state" => &mut self.state,
            "iss" => &mut self.issuer,
            "code" => &mut self.code,
            "error" => &mut self.error,
            "error_description" => &mut self.description,
            "error_uri" => &mut self.uri,
            // RFC 6749, 4.1.2: unrecognized response parameters are ignored.
            _ => return,
        };
        // RFC 6749, 3.1: a parameter without a value counts as absent; none may come twice.
        *field = match core::mem::take(field) {
            Field::Absent if value.is_empty() => Field::Absent,
            Field::Absent if value.len() <= MAX_VALUE => Field::Once(value.to_owned()),
            _ => Field::Twice,
        };
    }
}

/// One parameter: absent, given once, or not usable because it was repeated or too long.
#[derive(Default)]
enum Field {
    #[default]
    Absent,
    Once(String),
    Twice,
}

impl Field {
    fn value(self) -> Option<String> {
        match self {
            Self::Once(value) => Some(value),
            Self::Absent | Self::Twice => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(query: &str) -> Answer {
        Callback::parse(query).unwrap().answer
    }

    #[test]
    fn code_state_and_issuer_are_read() {
        let callback =
            Callback::parse("code=a%2Bb&state=s+1&iss=https%3A%2F%2Fas.example&session=x").unwrap();
        assert_eq!(
            (callback.state.as_str(), callback.issuer.as_deref()),
            ("s 1", Some("https://as.example"))
        );
        let Answer::Code(code) = callback.answer else {
            panic!("no code")
        };
        assert_eq!(code.expose(), "a+b");
    }

    #[test]
    fn an_error_is_kept_even_if_no_registry_has_it() {
        let Answer::Refused(error) = answer("state=s&error=login%22_hint_needed%0a") else {
            panic!("not refused")
        };
        assert_eq!(error.as_str(), "login_hint_needed");
    }

    #[test]
    fn both_or_neither_of_code_and_error_is_malformed() {
        for query in [
            "state=s",
            "state=s&code=",
            "state=s&code=c&error=e",
            "state=s&code=c&code=c",
            "state=s&code=c&iss=a&iss=a",
        ] {
            assert!(matches!(answer(query), Answer::Malformed), "{query}");
        }
    }

    #[test]
    fn a_callback_without_one_state_names_no_attempt() {
        for query in ["", "code=c", "state=&code=c", "state=a&state=a&code=c"] {
            assert!(Callback::parse(query).is_none(), "{query}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(query in ".{0,400}") {
            let _ = Callback::parse(&query);
        }

        #[test]
        fn the_order_of_parameters_changes_nothing(state in "[a-z]{1,9}", code in "[a-z]{1,9}", extra in "[a-z]{1,9}") {
            let one = Callback::parse(&format!("state={state}&code={code}&x={extra}")).unwrap();
            let two = Callback::parse(&format!("x={extra}&code={code}&state={state}")).unwrap();
            prop_assert_eq!(one.state, two.state);
            prop_assert!(matches!((one.answer, two.answer), (Answer::Code(a), Answer::Code(b)) if a.expose() == b.expose()));
        }
    }
}
