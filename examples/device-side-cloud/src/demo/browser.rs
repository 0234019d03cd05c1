//! The user's browser in the story: cookies, redirects, and forms filled in by name. No script, as the pages promise.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{Method, Request, Response, StatusCode, Uri};

use crate::error::Error;
use crate::outbound::Outbound;

/// How many redirects are followed for one click.
const MAX_REDIRECTS: usize = 10;

/// A page as the user sees it.
#[derive(Debug)]
pub(crate) struct Page {
    /// Where it is.
    pub(crate) uri: Uri,
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its text.
    pub(crate) body: String,
    /// The addresses on the way here, redirects first.
    pub(crate) way: Vec<Uri>,
}

/// A browser with its cookies.
#[derive(Debug)]
pub(crate) struct Browser {
    http: Outbound,
    cookies: BTreeMap<String, BTreeMap<String, String>>,
    stop_at: Option<String>,
}

impl Browser {
    pub(crate) fn new(http: Outbound) -> Self {
        Self {
            http,
            cookies: BTreeMap::new(),
            stop_at: None,
        }
    }

    /// Follows no redirect to addresses that begin so: the story reads them itself.
    pub(crate) fn stopping_at(mut self, prefix: &str) -> Self {
        self.stop_at = Some(prefix.to_owned());
        self
    }

    /// What servers had it keep.
    pub(crate) fn cookies(&self) -> impl Iterator<Item = &str> {
        self.cookies
            .values()
            .flat_map(BTreeMap::values)
            .map(String::as_str)
    }

    /// Opens an address and follows where it leads.
    ///
    /// # Errors
    /// A server cannot be reached, or the redirects do not end.
    pub(crate) async fn open(&mut self, uri: &str) -> Result<Page, Error> {
        let uri = parse(uri)?;
        self.go(Method::GET, uri, None).await
    }

    /// Fills in the form of a page and presses a button.
    ///
    /// # Errors
    /// There is no such form, or as [`open`](Self::open).
    pub(crate) async fn submit(
        &mut self,
        page: &Page,
        fields: &[(&str, &str)],
    ) -> Result<Page, Error> {
        let form = form(&page.body).ok_or_else(|| {
            Error::plain(format!(
                "there is no form on {} ({})",
                page.uri, page.status
            ))
        })?;
        let mut values = form.hidden;
        for (name, value) in fields {
            values.insert((*name).to_owned(), (*value).to_owned());
        }
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&values)
            .finish();
        let target = resolve(&page.uri, &form.action)?;
        self.go(Method::POST, target, Some(body)).await
    }

    async fn go(
        &mut self,
        mut method: Method,
        mut uri: Uri,
        mut body: Option<String>,
    ) -> Result<Page, Error> {
        let mut way = Vec::new();
        for _ in 0..MAX_REDIRECTS {
            let response = self.fetch(&method, &uri, body.take()).await?;
            way.push(uri.clone());
            let location = response.headers().get(LOCATION);
            if let (true, Some(location)) = (response.status().is_redirection(), location) {
                let location = location
                    .to_str()
                    .map_err(|cause| Error::new("a redirect is not text", cause))?;
                uri = resolve(&uri, location)?;
                if self
                    .stop_at
                    .as_ref()
                    .is_some_and(|prefix| uri.to_string().starts_with(prefix))
                {
                    return Ok(Page {
                        uri,
                        status: response.status(),
                        body: String::new(),
                        way,
                    });
                }
                method = Method::GET;
                continue;
            }
            let body = String::from_utf8_lossy(response.body()).into_owned();
            return Ok(Page {
                uri,
                status: response.status(),
                body,
                way,
            });
        }
        Err(Error::plain(format!("{uri} redirects without an end")))
    }

    async fn fetch(
        &mut self,
        method: &Method,
        uri: &Uri,
        body: Option<String>,
    ) -> Result<Response<Bytes>, Error> {
        let site = uri.authority().map(ToString::to_string).unwrap_or_default();
        let jar = self.cookies.entry(site).or_default();
        let mut request = Request::builder().method(method).uri(uri);
        if !jar.is_empty() {
            let cookies: Vec<_> = jar
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request = request.header(COOKIE, cookies.join("; "));
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let request = request
            .body(Bytes::from(body.unwrap_or_default()))
            .map_err(|cause| Error::new("the request cannot be made", cause))?;
        let response = self.http.send(request).await?;
        for cookie in response.headers().get_all(SET_COOKIE) {
            let text = cookie.to_str().unwrap_or_default();
            let pair = text.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                jar.insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
        Ok(response)
    }
}

struct Form {
    action: String,
    hidden: BTreeMap<String, String>,
}

/// The first form of a page: its target and its hidden fields.
fn form(html: &str) -> Option<Form> {
    let (_, rest) = html.split_once("<form")?;
    let (head, rest) = rest.split_once('>')?;
    let (inside, _) = rest.split_once("</form>")?;
    let hidden = inside
        .split("<input")
        .skip(1)
        .filter_map(|tag| tag.split_once('>').map(|(tag, _)| tag))
        .filter(|tag| attribute(tag, "type").as_deref() == Some("hidden"))
        .filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value")?)))
        .collect();
    Some(Form {
        action: attribute(head, "action").unwrap_or_default(),
        hidden,
    })
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    let (value, _) = rest.split_once('"')?;
    Some(
        value
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&"),
    )
}

fn parse(uri: &str) -> Result<Uri, Error> {
    uri.parse()
        .map_err(|cause| Error::new(format!("{uri} is no address"), cause))
}

/// An address as it is written on a page, seen from that page.
fn resolve(from: &Uri, to: &str) -> Result<Uri, Error> {
    if to.starts_with("https://") {
        return parse(to);
    }
    let host = from
        .authority()
        .map(ToString::to_string)
        .unwrap_or_default();
    match to {
        "" => Ok(from.clone()),
        absolute if absolute.starts_with('/') => parse(&format!("https://{host}{absolute}")),
        relative => parse(&format!("https://{host}/{relative}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_gives_its_action_and_hidden_fields() {
        let page = r#"<p><form method="post" action="/login?a=1&amp;b=2">
            <input type="hidden" name="csrf" value="x&quot;y"><input type="text" name="user" value="">
            </form>"#;
        let form = form(page).expect("form");
        assert_eq!(form.action, "/login?a=1&b=2");
        assert_eq!(
            form.hidden.into_iter().collect::<Vec<_>>(),
            [("csrf".to_owned(), "x\"y".to_owned())]
        );
    }
}
