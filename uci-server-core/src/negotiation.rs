//! `Accept` to content format, settled before anything is done (RFC 9110, 12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;
use uci_model::ContentFormat;

/// What this cloud can answer with, in the order in which a tie is decided.
const OFFERED: [ContentFormat; 2] = [ContentFormat::Json, ContentFormat::OcfCbor];

/// Highest weight, in thousandths.
const FULL_WEIGHT: u16 = 1000;

/// How precisely a media range names a format.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Precision {
    Any,
    AnySubtype,
    Exact,
}

/// One readable element of an `Accept` list.
#[derive(Clone, Copy, Debug)]
struct MediaRange<'a> {
    kind: &'a str,
    subtype: &'a str,
    weight: u16,
}

/// The format to answer in; `None` is a 406.
///
/// All `Accept` lines count as one list. The most precise range that names a format gives its weight, weight 0 excludes it,
/// the heaviest format wins, and JSON wins a tie. Elements that cannot be read are left out; no `Accept` accepts anything.
#[must_use]
pub fn response_format(headers: &HeaderMap) -> Option<ContentFormat> {
    if let Some(format) = sole_format(headers) {
        return Some(format);
    }
    let Some(list) = accept_list(headers) else {
        return Some(ContentFormat::Json);
    };
    let ranges = ranges(&list);
    let mut best = None;
    for format in OFFERED {
        let weight = weight_of(format, &ranges);
        if weight > best.map_or(0, |(weight, _)| weight) {
            best = Some((weight, format));
        }
    }
    best.map(|(_, format)| format)
}

/// The format of the notifications of a subscription made with these headers.
///
/// A tie goes to what the list names first, as peers that send both forms expect. When nothing fits it is JSON
/// and not a 406: the header of a subscribe request does not speak of its own answer, which is always JSON.
#[must_use]
pub fn notification_format(headers: &HeaderMap) -> ContentFormat {
    let Some(list) = accept_list(headers) else {
        return ContentFormat::Json;
    };
    let ranges = ranges(&list);
    let place = |format| {
        ranges
            .iter()
            .position(|range| precision(range, format) == Some(Precision::Exact))
    };
    OFFERED
        .into_iter()
        .map(|format| {
            (
                weight_of(format, &ranges),
                place(format).unwrap_or(usize::MAX),
                format,
            )
        })
        .filter(|(weight, ..)| *weight > 0)
        // Heaviest first, then the earliest; `min_by_key` keeps the first of equals, which is JSON.
        .min_by_key(|(weight, place, _)| (FULL_WEIGHT.saturating_sub(*weight), *place))
        .map_or(ContentFormat::Json, |(.., format)| format)
}

/// The format, when the list is the name of one and nothing else, as that of nearly all clients is.
fn sole_format(headers: &HeaderMap) -> Option<ContentFormat> {
    let mut lines = headers.get_all(ACCEPT).iter();
    let (line, None) = (lines.next()?, lines.next()) else {
        return None;
    };
    OFFERED
        .into_iter()
        .find(|format| line.as_bytes() == format.as_str().as_bytes())
}

/// All lines joined; `None` when there is none with content.
fn accept_list(headers: &HeaderMap) -> Option<String> {
    let lines: Vec<&str> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let list = lines.join(",");
    let present = headers.contains_key(ACCEPT);
    // A header that is there but unreadable is not the same as no header: it accepts nothing.
    let unreadable = present && lines.is_empty();
    (unreadable || !list.trim().is_empty()).then_some(list)
}

fn ranges(list: &str) -> Vec<MediaRange<'_>> {
    split_unquoted(list, ',')
        .into_iter()
        .filter_map(parse_range)
        .collect()
}

fn parse_range(element: &str) -> Option<MediaRange<'_>> {
    let parts = split_unquoted(element, ';');
    let (range, parameters) = parts.split_first()?;
    let (kind, subtype) = range.trim().split_once('/')?;
    if !is_token(kind) || !is_token(subtype) || (kind == "*" && subtype != "*") {
        return None;
    }
    let mut weight = FULL_WEIGHT;
    for parameter in parameters {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if name.trim().eq_ignore_ascii_case("q") {
            weight = parse_weight(value.trim())?;
        }
    }
    Some(MediaRange {
        kind,
        subtype,
        weight,
    })
}

/// RFC 9110, 12.4.2: `0` or `1` with up to three decimals, at most 1.
fn parse_weight(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{decimals:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(FULL_WEIGHT),
        _ => None,
    }
}

fn weight_of(format: ContentFormat, ranges: &[MediaRange<'_>]) -> u16 {
    ranges
        .iter()
        .filter_map(|range| Some((precision(range, format)?, range.weight)))
        .max()
        .map_or(0, |(_, weight)| weight)
}

fn precision(range: &MediaRange<'_>, format: ContentFormat) -> Option<Precision> {
    let (kind, subtype) = format.as_str().split_once('/')?;
    match (range.kind, range.subtype) {
        ("*", "*") => Some(Precision::Any),
        (of, "*") if of.eq_ignore_ascii_case(kind) => Some(Precision::AnySubtype),
        (of, exact) if of.eq_ignore_ascii_case(kind) && exact.eq_ignore_ascii_case(subtype) => {
            Some(Precision::Exact)
        }
        _ => None,
    }
}

/// RFC 9110, 5.6.2.
fn is_token(text: &str) -> bool {
    let symbol = |byte| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || symbol(byte))
}

/// Splits at `separator` outside of quoted strings (RFC 9110, 5.6.4).
fn split_unquoted(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|character| {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return character == separator && !quoted,
        }
        false
    })
    .collect()
}

#[cfg(test)]
mod tests;
