use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};

use super::Step;
use super::failure::Failure;
use crate::limits;

/// How much of a list is wanted, and from where on.
///
/// A marker is the id of the last entry that was seen, in hexadecimal digits, and lists are in the order of their ids: whatever is
/// added or removed meanwhile, what was there all the time is seen once.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) limit: usize,
    pub(super) after: Option<String>,
    filters: Vec<(String, String)>,
}

impl Page {
    pub(super) fn read(request: &Request<Bytes>) -> Result<Self, Failure> {
        let query = request.uri().query().unwrap_or_default();
        let mut page = Self {
            limit: limits::DEFAULT_PAGE,
            after: None,
            filters: Vec::new(),
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "limit" => {
                    let limit = value.parse().ok();
                    let allowed = limits::PAGE.least..=limits::PAGE.most;
                    page.limit = limit
                        .filter(|limit| allowed.contains(limit))
                        .ok_or_else(|| Failure::malformed("limit is 1 to 50".to_owned()))?;
                }
                "marker" => {
                    let marker = from_hex(&value);
                    page.after = Some(marker.ok_or_else(|| {
                        Failure::malformed("the marker is not one of a page".to_owned())
                    })?);
                }
                _ => page.filters.push((name.into_owned(), value.into_owned())),
            }
        }
        Ok(page)
    }

    /// What a filter asks for.
    pub(super) fn filter(&self, name: &str) -> Option<&str> {
        let mut filters = self.filters.iter();
        filters
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The page as it is answered: the entries with their ids, of which one more than wanted says that there is more.
    pub(super) fn answer(&self, member: &str, mut entries: Vec<(String, Value)>) -> Step {
        let more = entries.len() > self.limit;
        entries.truncate(self.limit);
        let marker = entries
            .last()
            .filter(|_| more)
            .map(|(id, _)| base16ct::lower::encode_string(id.as_bytes()));
        let count = entries.len();
        let list: Vec<Value> = entries.into_iter().map(|(_, entry)| entry).collect();
        let body = json!({member: list, "page": {"count": count, "marker": marker}});
        Step::Answer(super::json(http::StatusCode::OK, &body, None))
    }

    /// The entries of this page, from a list in the order of ids that may begin before it.
    pub(super) fn take<'e, T: 'e>(
        &self,
        entries: impl Iterator<Item = (&'e str, T)>,
        mut show: impl FnMut(&'e str, T) -> Option<Value>,
    ) -> Vec<(String, Value)> {
        let after = self.after.as_deref();
        entries
            .skip_while(|(id, _)| after.is_some_and(|after| *id <= after))
            .filter_map(|(id, entry)| Some((id.to_owned(), show(id, entry)?)))
            .take(self.limit.saturating_add(1))
            .collect()
    }
}

fn from_hex(text: &str) -> Option<String> {
    let text = Some(text).filter(|text| text.len() <= 512)?;
    String::from_utf8(base16ct::mixed::decode_vec(text).ok()?).ok()
}
