//! Text with places in it, `{{name}}`, that are filled in.

use account_linking::server::pages::escape;

/// A template that was checked: every place in it has a value.
#[derive(Debug)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug)]
enum Part {
    /// Text as it stands.
    Html(String),
    /// A place, by its name.
    Place(String),
}

/// What goes into a place.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// Text, which is escaped.
    Text(&'a str),
    /// Part of a page.
    Html(&'a str),
}

impl Template {
    /// Reads a template whose places are among `values`, or `text.NAME` for a word of the pages' language.
    ///
    /// # Errors
    /// What is wrong with it, for an operator to read.
    pub(super) fn read<'a>(
        text: &str,
        values: &[&str],
        word: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, behind)) = after.split_once("}}") else {
                return Err("a {{ has no }}".to_owned());
            };
            parts.push(Part::Html(before.to_owned()));
            parts.push(match name.strip_prefix("text.").map(&word) {
                Some(Some(word)) => Part::Html(escaped(word)),
                None if values.contains(&name) => Part::Place(name.to_owned()),
                _ => return Err(format!("there is no {{{{{name}}}}} on this page")),
            });
            rest = behind;
        }
        parts.push(Part::Html(rest.to_owned()));
        Ok(Self(parts))
    }

    /// The text with its places filled in.
    pub(super) fn fill(&self, values: &[(&str, Value<'_>)]) -> String {
        let mut filled = String::new();
        for part in &self.0 {
            match part {
                Part::Html(html) => filled.push_str(html),
                Part::Place(place) => {
                    let value = values.iter().find(|(name, _)| name == place);
                    match value {
                        Some((_, Value::Text(text))) => filled.push_str(&escaped(text)),
                        Some((_, Value::Html(html))) => filled.push_str(html),
                        None => {}
                    }
                }
            }
        }
        filled
    }
}

/// Text made safe between tags and in quoted attributes.
pub(super) fn escaped(text: &str) -> String {
    escape(text)
}
