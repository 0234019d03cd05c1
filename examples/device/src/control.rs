//! The lines that a person, or a script, types.

use serde_json::Value as Json;
use uci_model::{Limits, Value};

/// A command.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    /// Something in the room changes, or somebody turns a knob: `set /light/1 {"state":true}`.
    Set { href: String, value: Value },
    /// Print a resource: `get /light/1`.
    Get { href: String },
    /// Send nothing any more, as a device does whose radio is gone.
    Silence,
    /// Close the session and end.
    Quit,
}

impl Line {
    /// Reads a line; `None` when it is blank.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(line: &str) -> Option<Result<Self, String>> {
        let line = line.trim();
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim_start();
        let parsed = match (verb, rest) {
            ("", _) => return None,
            ("set", _) => set(rest),
            ("get", href) if href.starts_with('/') => Ok(Self::Get {
                href: href.to_owned(),
            }),
            ("silence", "") => Ok(Self::Silence),
            ("quit", "") => Ok(Self::Quit),
            _ => Err("commands are: set HREF JSON, get HREF, silence, quit".to_owned()),
        };
        Some(parsed)
    }
}

fn set(rest: &str) -> Result<Line, String> {
    let Some((href, json)) = rest.split_once(' ') else {
        return Err("set needs an href and a JSON object".to_owned());
    };
    let value = Value::from_json(json.as_bytes(), &Limits::default())
        .map_err(|error| format!("{json} is no JSON: {error}"))?;
    Ok(Line::Set {
        href: href.to_owned(),
        value,
    })
}

/// Prints an event: one JSON object a line, `event` first.
pub(crate) fn report(event: &str, members: &[(&str, Json)]) {
    use std::io::Write as _;
    let mut line = format!("{{\"event\":{}", Json::from(event));
    for (name, value) in members {
        line.push_str(&format!(",{}:{value}", Json::from(*name)));
    }
    line.push_str("}\n");
    // Nobody listens any more: the device goes on all the same.
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_and_others_explained() {
        let set = Line::parse(" set /light/1  {\"state\":true} ").expect("a line");
        let value = Value::from([("state", Value::from(true))]);
        let href = "/light/1".to_owned();
        assert_eq!(
            set,
            Ok(Line::Set {
                href: href.clone(),
                value
            })
        );
        assert_eq!(Line::parse("get /light/1"), Some(Ok(Line::Get { href })));
        assert_eq!(Line::parse("silence"), Some(Ok(Line::Silence)));
        assert_eq!(Line::parse("quit"), Some(Ok(Line::Quit)));
        assert_eq!(Line::parse("  "), None);
        for bad in [
            "set", "set /x", "set /x {", "get", "get x", "quit now", "sleep",
        ] {
            assert!(Line::parse(bad).expect("a line").is_err(), "{bad}");
        }
    }
}
