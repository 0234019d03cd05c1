//! The pages that a person sees while an account is linked: templates and words that an operator can replace.
//!
//! They need no script, load nothing from elsewhere but one style sheet, and put every value in escaped.

mod template;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::SystemTime;

use account_linking::server::Pages;
use account_linking::server::pages::{
    ConsentPage, DevicePage, LinkOnPage, LinksPage, LoginPage, PageError,
};
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use serde::Deserialize;

use crate::error::Error;
use template::{Template, Value, escaped};

/// Where the style sheet is.
pub(crate) const STYLE_PATH: &str = "/pages.css";

/// The words of all pages in one language; a file that lacks one is refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    language: String,
    sign_in_title: String,
    consent_title: String,
    links_title: String,
    signed_out_title: String,
    device_title: String,
    device_allowed_title: String,
    device_denied_title: String,
    error_title: String,
    wants_to_use: String,
    sign_in_to_see: String,
    login_failed: String,
    user_name: String,
    password: String,
    sign_in: String,
    signed_in_as: String,
    asks_for: String,
    only_if_you: String,
    allow: String,
    cancel: String,
    user_code: String,
    user_code_hint: String,
    user_code_failed: String,
    go_on: String,
    for_device: String,
    only_before_you: String,
    device_allowed: String,
    device_denied: String,
    these_may: String,
    nothing_linked: String,
    since: String,
    last_used: String,
    unlink: String,
    sign_out: String,
    signed_out: String,
    bad_request: String,
    expired: String,
    unavailable: String,
    scopes: BTreeMap<String, String>,
}

/// The pages of this cloud.
#[derive(Debug)]
pub(crate) struct TemplatePages {
    texts: Texts,
    frame: Template,
    login: Template,
    consent: Template,
    device: Template,
    links: Template,
    link: Template,
}

/// The texts and templates of this program, one of them from the operator's folder if it is there.
struct Sources<'a>(Option<&'a Path>);

impl Sources<'_> {
    fn read(&self, name: &str, own: &str) -> Result<String, Error> {
        let Some(folder) = self.0 else {
            return Ok(own.to_owned());
        };
        let path = folder.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(own.to_owned()),
            Err(cause) => Err(Error::new(format!("cannot read {}", path.display()), cause)),
        }
    }

    fn template(
        &self,
        name: &str,
        own: &str,
        values: &[&str],
        texts: &Texts,
    ) -> Result<Template, Error> {
        let text = self.read(name, own)?;
        Template::read(&text, values, |word| texts.word(word))
            .map_err(|wrong| Error::plain(format!("{name}: {wrong}")))
    }
}

impl Texts {
    /// A word that a template may name as `text.NAME`.
    fn word(&self, name: &str) -> Option<&str> {
        Some(match name {
            "language" => &self.language,
            "user_name" => &self.user_name,
            "password" => &self.password,
            "sign_in" => &self.sign_in,
            "signed_in_as" => &self.signed_in_as,
            "asks_for" => &self.asks_for,
            "only_if_you" => &self.only_if_you,
            "allow" => &self.allow,
            "cancel" => &self.cancel,
            "user_code" => &self.user_code,
            "user_code_hint" => &self.user_code_hint,
            "go_on" => &self.go_on,
            "since" => &self.since,
            "last_used" => &self.last_used,
            "unlink" => &self.unlink,
            "sign_out" => &self.sign_out,
            _ => return None,
        })
    }
}

impl TemplatePages {
    /// Reads the pages; what is not in the operator's folder is what this program brings.
    ///
    /// # Errors
    /// A file cannot be read, a word is missing, or a template names something that is not on its page.
    pub(crate) fn open(folder: Option<&Path>) -> Result<Self, Error> {
        const FORM: [&str; 3] = ["action", "interaction", "csrf"];
        let sources = Sources(folder);
        let texts = sources.read("texts.toml", include_str!("../pages/texts.toml"))?;
        let texts: Texts = toml::from_str(&texts)
            .map_err(|cause| Error::new("texts.toml cannot be used", cause))?;
        let read = |name, own, values: &[&str]| {
            sources.template(name, own, &[&FORM, values].concat(), &texts)
        };
        Ok(Self {
            frame: read(
                "frame.html",
                include_str!("../pages/frame.html"),
                &["title", "body"],
            )?,
            login: read(
                "login.html",
                include_str!("../pages/login.html"),
                &["client", "failed"],
            )?,
            consent: read(
                "consent.html",
                include_str!("../pages/consent.html"),
                &["account", "client_name", "client_owner", "scopes", "device"],
            )?,
            device: read(
                "device.html",
                include_str!("../pages/device.html"),
                &["account", "user_code", "failed"],
            )?,
            links: read(
                "links.html",
                include_str!("../pages/links.html"),
                &["account", "links"],
            )?,
            link: read(
                "link.html",
                include_str!("../pages/link.html"),
                &[
                    "number",
                    "client_name",
                    "client_owner",
                    "scopes",
                    "since",
                    "last_used",
                    "grant",
                ],
            )?,
            texts,
        })
    }

    /// The style sheet, which is in the same folder.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn style(folder: Option<&Path>) -> Result<Bytes, Error> {
        let style = Sources(folder).read("pages.css", include_str!("../pages/pages.css"))?;
        Ok(style.into())
    }

    fn framed(&self, title: &str, body: String) -> String {
        self.frame
            .fill(&[("title", Value::Text(title)), ("body", Value::Html(&body))])
    }

    fn scopes(&self, scopes: &[String]) -> String {
        let item = |scope: &String| {
            let words = self.texts.scopes.get(scope).unwrap_or(scope);
            format!("<li>{}</li>", escaped(words))
        };
        scopes.iter().map(item).collect()
    }

    fn link(&self, page: &LinksPage, number: usize, link: &LinkOnPage) -> String {
        self.link.fill(&[
            ("number", Value::Text(&number.to_string())),
            ("action", Value::Text(&page.action)),
            ("interaction", Value::Text(&page.interaction)),
            ("csrf", Value::Text(&page.csrf)),
            ("grant", Value::Text(&link.grant)),
            ("client_name", Value::Text(&link.client_name)),
            ("client_owner", Value::Text(&link.client_owner)),
            ("scopes", Value::Html(&self.scopes(&link.scopes))),
            ("since", Value::Text(&day(link.since))),
            ("last_used", Value::Text(&day(link.last_used))),
        ])
    }
}

impl Pages for TemplatePages {
    fn login(&self, page: &LoginPage) -> String {
        let client = match &page.client_name {
            Some(name) => format!(
                "<strong>{}</strong> {}",
                escaped(name),
                escaped(&self.texts.wants_to_use)
            ),
            None => escaped(&self.texts.sign_in_to_see),
        };
        let failed = problem_if(page.failed, &self.texts.login_failed);
        let body = self.login.fill(&[
            ("action", Value::Text(&page.action)),
            ("interaction", Value::Text(&page.interaction)),
            ("csrf", Value::Text(&page.csrf)),
            ("client", Value::Html(&format!("<p>{client}</p>"))),
            ("failed", Value::Html(&failed)),
        ]);
        self.framed(&self.texts.sign_in_title, body)
    }

    fn consent(&self, page: &ConsentPage) -> String {
        let owner = if page.client_owner.is_empty() {
            String::new()
        } else {
            format!("({})", page.client_owner)
        };
        let device = page.device.as_ref().map_or_else(String::new, |code| {
            format!(
                "<p>{} <strong class=\"code\">{}</strong>. {}</p>",
                escaped(&self.texts.for_device),
                escaped(code),
                escaped(&self.texts.only_before_you)
            )
        });
        // APIs beside this cloud's, by their URIs or the words that an operator has for them.
        let asked = [page.scopes.as_slice(), page.resources.as_slice()].concat();
        let body = self.consent.fill(&[
            ("action", Value::Text(&page.action)),
            ("interaction", Value::Text(&page.interaction)),
            ("csrf", Value::Text(&page.csrf)),
            ("account", Value::Text(&page.account)),
            ("client_name", Value::Text(&page.client_name)),
            ("client_owner", Value::Text(&owner)),
            ("scopes", Value::Html(&self.scopes(&asked))),
            ("device", Value::Html(&device)),
        ]);
        self.framed(&self.texts.consent_title, body)
    }

    fn device(&self, page: &DevicePage) -> String {
        let failed = problem_if(page.failed, &self.texts.user_code_failed);
        let body = self.device.fill(&[
            ("action", Value::Text(&page.action)),
            ("interaction", Value::Text(&page.interaction)),
            ("csrf", Value::Text(&page.csrf)),
            ("account", Value::Text(&page.account)),
            ("user_code", Value::Text(&page.user_code)),
            ("failed", Value::Html(&failed)),
        ]);
        self.framed(&self.texts.device_title, body)
    }

    fn device_decided(&self, allowed: bool) -> String {
        let texts = &self.texts;
        let (title, text) = match allowed {
            true => (&texts.device_allowed_title, &texts.device_allowed),
            false => (&texts.device_denied_title, &texts.device_denied),
        };
        self.framed(title, format!("<p>{}</p>", escaped(text)))
    }

    fn links(&self, page: &LinksPage) -> String {
        let links: String = (1..)
            .zip(&page.links)
            .map(|(number, link)| self.link(page, number, link))
            .collect();
        let about = if links.is_empty() {
            &self.texts.nothing_linked
        } else {
            &self.texts.these_may
        };
        let body = self.links.fill(&[
            ("action", Value::Text(&page.action)),
            ("interaction", Value::Text(&page.interaction)),
            ("csrf", Value::Text(&page.csrf)),
            ("account", Value::Text(&page.account)),
            (
                "links",
                Value::Html(&format!("<p>{}</p>{links}", escaped(about))),
            ),
        ]);
        self.framed(&self.texts.links_title, body)
    }

    fn signed_out(&self) -> String {
        let text = escaped(&self.texts.signed_out);
        self.framed(&self.texts.signed_out_title, format!("<p>{text}</p>"))
    }

    fn error(&self, page: PageError) -> String {
        let text = match page {
            PageError::BadRequest => &self.texts.bad_request,
            PageError::Expired => &self.texts.expired,
            _ => &self.texts.unavailable,
        };
        self.framed(&self.texts.error_title, problem_if(true, text))
    }
}

/// What went wrong, if it did.
fn problem_if(failed: bool, text: &str) -> String {
    let problem = || format!("<p class=\"problem\" role=\"alert\">{}</p>", escaped(text));
    failed.then(problem).unwrap_or_default()
}

/// The answer to a request for the style sheet.
pub(crate) fn style_sheet(style: &Bytes) -> Response<Bytes> {
    let mut response = Response::new(style.clone());
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A day as `22 Nov 2026`, in UTC.
fn day(at: SystemTime) -> String {
    // Sun, 22 Nov 2026 16:00:00 GMT
    let date = httpdate::fmt_http_date(at);
    date.get(5..16).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
