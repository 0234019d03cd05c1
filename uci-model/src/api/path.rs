//! Path templates.

use alloc::{string::String, vec::Vec};

use crate::href::encode_segment;

/// Puts the values of the variables into a template, in order.
///
/// A plain variable is percent-encoded as one segment; a greedy one is taken as it is.
pub(super) fn expand(template: &str, args: &[&str]) -> String {
    let mut args = args.iter();
    let mut path = String::with_capacity(template.len());
    for segment in segments(template) {
        path.push('/');
        match Segment::of(segment) {
            Segment::Fixed(text) => path.push_str(text),
            Segment::Variable => args
                .next()
                .into_iter()
                .for_each(|arg| encode_segment(arg, &mut path)),
            Segment::Greedy => path.extend(args.next().map(|arg| arg.trim_start_matches('/'))),
        }
    }
    path
}

/// The values of the variables when this path (without query) fits the template; still percent-encoded.
///
/// A template alone does not tell `/{+href}` from `/{+href}/subscriptions`: try the longer one first.
///
/// ```
/// use uci_model::api::match_path;
///
/// let template = "/devices/{deviceId}/{+resourceLinkHref}/subscriptions";
/// let path = "/devices/d1/light/1/subscriptions";
/// assert_eq!(match_path(template, path), Some(vec!["d1", "light/1"]));
/// assert_eq!(match_path(template, "/devices/d1/light/1"), None);
/// ```
#[must_use]
pub fn match_path<'a>(template: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let mut args = Vec::new();
    let mut template = segments(template);
    let mut rest = path.strip_prefix('/')?;
    while let Some(segment) = template.next() {
        let kind = Segment::of(segment);
        let (value, tail) = if kind == Segment::Greedy {
            split_before_last(rest, template.clone().count())?
        } else {
            rest.split_once('/').unwrap_or((rest, ""))
        };
        match kind {
            Segment::Fixed(text) if text != value => return None,
            Segment::Fixed(_) => {}
            Segment::Variable | Segment::Greedy if value.is_empty() => return None,
            Segment::Variable | Segment::Greedy => args.push(value),
        }
        rest = tail;
    }
    rest.is_empty().then_some(args)
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Segment<'a> {
    Fixed(&'a str),
    Variable,
    Greedy,
}

impl<'a> Segment<'a> {
    fn of(text: &'a str) -> Self {
        if text.starts_with("{+") {
            Self::Greedy
        } else if text.starts_with('{') {
            Self::Variable
        } else {
            Self::Fixed(text)
        }
    }
}

fn segments(template: &str) -> impl Iterator<Item = &str> + Clone {
    template.split('/').filter(|segment| !segment.is_empty())
}

/// Everything but the last `count` segments, and those.
fn split_before_last(path: &str, count: usize) -> Option<(&str, &str)> {
    let mut end = path.len();
    for _ in 0..count {
        end = path.get(..end)?.rfind('/')?;
    }
    let (head, tail) = path.split_at_checked(end)?;
    Some((head, tail.strip_prefix('/').unwrap_or(tail)))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn variables_are_encoded_and_greedy_ones_kept() {
        let path = expand(
            "/devices/{deviceId}/{+href}/subscriptions",
            &["a b", "/light/1%20"],
        );
        assert_eq!(path, "/devices/a%20b/light/1%20/subscriptions");
    }

    #[test]
    fn a_greedy_variable_leaves_the_fixed_tail() {
        let long = "/devices/{d}/{+href}/subscriptions/{s}";
        for (template, path, args) in [
            ("/devices", "/devices", Some(vec![])),
            ("/devices", "/devices/x", None),
            ("/devices/{d}", "/devices/x", Some(vec!["x"])),
            ("/devices/{d}", "/devices/", None),
            ("/devices/{d}", "/devices/x/y", None),
            (
                "/devices/{d}/{+href}",
                "/devices/x/y/z",
                Some(vec!["x", "y/z"]),
            ),
            ("/devices/{d}/{+href}", "/devices/x", None),
            (
                long,
                "/devices/x/a/b/subscriptions/s",
                Some(vec!["x", "a/b", "s"]),
            ),
            (long, "/devices/x/subscriptions/s", None),
            (long, "/devices/x/a/b/c/s", None),
        ] {
            assert_eq!(match_path(template, path), args, "{template} {path}");
        }
    }
}
