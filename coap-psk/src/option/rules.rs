//! Which options, how often and how long, are in order.

use super::{
    ACCEPT, BLOCK1, BLOCK2, CONTENT_FORMAT, ECHO, ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION_PATH,
    LOCATION_QUERY, MAX_AGE, NO_RESPONSE, OBSERVE, PROXY_SCHEME, PROXY_URI, REQUEST_TAG, SIZE1,
    SIZE2, URI_HOST, URI_PATH, URI_PORT, URI_QUERY, is_critical,
};

/// Whether the option is left out when two requests are compared. (RFC 7252, 5.4.2 and 5.4.6)
#[must_use]
pub(crate) const fn is_no_cache_key(number: u16) -> bool {
    number & 0x1e == 0x1c
}

/// How often an option may occur, and how long its value may be.
#[derive(Clone, Copy, Debug)]
struct Definition {
    repeatable: bool,
    min: usize,
    max: usize,
}

/// RFC 7252, 5.10; RFC 7641, 2; RFC 7959, 2.1 and 4; RFC 7967, 2; RFC 9175, 2.2 and 3.2.
const fn definition(number: u16) -> Option<Definition> {
    let (repeatable, min, max) = match number {
        IF_MATCH => (true, 0, 8),
        URI_HOST | PROXY_SCHEME => (false, 1, 255),
        ETAG => (true, 1, 8),
        IF_NONE_MATCH => (false, 0, 0),
        OBSERVE | BLOCK1 | BLOCK2 => (false, 0, 3),
        URI_PORT | CONTENT_FORMAT | ACCEPT => (false, 0, 2),
        LOCATION_PATH | URI_PATH | URI_QUERY | LOCATION_QUERY => (true, 0, 255),
        MAX_AGE | SIZE1 | SIZE2 => (false, 0, 4),
        PROXY_URI => (false, 1, 1034),
        ECHO => (false, 1, 40),
        NO_RESPONSE => (false, 0, 1),
        REQUEST_TAG => (true, 0, 8),
        _ => return None,
    };
    Some(Definition {
        repeatable,
        min,
        max,
    })
}

/// What becomes of one occurrence of an option.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Standing {
    /// It is used.
    Known,
    /// It is left out, as if it were not there.
    Ignored,
    /// The message must be refused.
    Refused,
}

/// Judges an occurrence of an option; `earlier` tells whether the message has had one of this number before.
///
/// A surplus occurrence and a length out of range count as unknown. (RFC 7252, 5.4.3 and 5.4.5)
pub(crate) fn judge(number: u16, len: usize, earlier: bool, accepted: &[u16]) -> Standing {
    let known = definition(number).map_or_else(
        || accepted.contains(&number),
        |it| (it.repeatable || !earlier) && (it.min..=it.max).contains(&len),
    );
    match (known, is_critical(number)) {
        (true, _) => Standing::Known,
        (false, false) => Standing::Ignored,
        (false, true) => Standing::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::option::{ENOS_MAILBOX, OCF_ACCEPT_CONTENT_FORMAT_VERSION};

    #[test]
    fn unknown_options_are_refused_when_critical_and_ignored_otherwise() {
        for (number, len, earlier, standing) in [
            (URI_PATH, 255, true, Standing::Known),
            (URI_PATH, 256, false, Standing::Refused),
            (CONTENT_FORMAT, 2, false, Standing::Known),
            (CONTENT_FORMAT, 2, true, Standing::Ignored),
            (CONTENT_FORMAT, 3, false, Standing::Ignored),
            (ACCEPT, 1, true, Standing::Refused),
            (BLOCK1, 4, false, Standing::Refused),
            (ECHO, 40, false, Standing::Known),
            (ECHO, 41, false, Standing::Ignored),
            (ECHO, 0, false, Standing::Ignored),
            (ECHO, 12, true, Standing::Ignored),
            (REQUEST_TAG, 8, true, Standing::Known),
            (REQUEST_TAG, 9, false, Standing::Ignored),
            (19, 0, false, Standing::Refused),
            (31, 0, false, Standing::Refused),
            (2051, 0, false, Standing::Refused),
            (OCF_ACCEPT_CONTENT_FORMAT_VERSION, 2, false, Standing::Known),
            (ENOS_MAILBOX, 9, false, Standing::Ignored),
        ] {
            assert_eq!(
                judge(number, len, earlier, &[OCF_ACCEPT_CONTENT_FORMAT_VERSION]),
                standing,
                "option {number}"
            );
        }
    }
}
