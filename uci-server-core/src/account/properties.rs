//! Some properties of a resource that have new values, and what its representation becomes.

use uci_model::{Content, Limits, Value};

use crate::error::{Error, ErrorKind};

/// What is known of a resource with `news` in it, in the format of the news; `None` when that changes nothing. What is known and
/// has no properties gives way.
///
/// # Errors
/// [`ErrorKind::Malformed`] when the news are not an object, or the whole cannot be written.
pub(super) fn merged(
    known: Option<&Content>,
    news: &Content,
    limits: &Limits,
) -> Result<Option<Content>, Error> {
    let malformed = |error| Error::with_source(ErrorKind::Malformed, error);
    let Value::Map(new) = news.decode(limits).map_err(malformed)? else {
        return Err(ErrorKind::Malformed.into());
    };
    let Some(Value::Map(old)) = known.and_then(|known| known.decode(limits).ok()) else {
        return Ok(Some(news.clone()));
    };
    let mut whole = old.clone();
    whole.extend(new);
    if whole == old {
        return Ok(None);
    }
    let encoded = Content::encode(news.format(), &Value::Map(whole));
    encoded.map(Some).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use uci_model::ContentFormat;

    use super::*;

    fn json(text: &'static str) -> Content {
        Content::new(ContentFormat::Json, text.as_bytes().into())
    }

    fn merge(known: Option<Content>, news: &Content) -> Result<Option<Content>, ErrorKind> {
        merged(known.as_ref(), news, &Limits::default()).map_err(|error| error.kind())
    }

    #[test]
    fn new_values_replace_and_the_others_stay() {
        for (known, news, expected) in [
            (None, r#"{"a":1}"#, Some(r#"{"a":1}"#)),
            (
                Some(r#"{"a":1,"b":2}"#),
                r#"{"b":3,"c":true}"#,
                Some(r#"{"a":1,"b":3,"c":true}"#),
            ),
            (Some(r#"{ "a":1, "b":2 }"#), r#"{"b":2}"#, None),
            (Some(r#"{"a":1}"#), r#"{"a":1.5}"#, Some(r#"{"a":1.5}"#)),
            // Not merged member by member: a value is a value.
            (
                Some(r#"{"a":{"b":1}}"#),
                r#"{"a":{"c":1}}"#,
                Some(r#"{"a":{"c":1}}"#),
            ),
            (Some("[1]"), r#"{"a":1}"#, Some(r#"{"a":1}"#)),
        ] {
            let merged = merge(known.map(json), &json(news));
            assert_eq!(merged, Ok(expected.map(json)), "{known:?} {news}");
        }
    }

    #[test]
    fn the_whole_is_in_the_format_of_the_news() {
        let limits = Limits::default();
        let known = json(r#"{"a":1}"#);
        let news = json(r#"{"b":2}"#)
            .in_format(ContentFormat::OcfCbor, &limits)
            .unwrap();
        let whole = merge(Some(known), &news).unwrap().unwrap();
        assert_eq!(whole.format(), ContentFormat::OcfCbor);
        let expected = json(r#"{"a":1,"b":2}"#).decode(&limits).unwrap();
        assert_eq!(whole.decode(&limits).unwrap(), expected);
    }

    #[test]
    fn what_has_no_properties_is_refused() {
        for news in ["[]", "1", "{", ""] {
            assert_eq!(
                merge(None, &json(news)),
                Err(ErrorKind::Malformed),
                "{news}"
            );
        }
    }
}
