//! The pages a person sees: what they must show, and a plain rendering of them.
//!
//! The server adds status and headers. A page loads nothing from elsewhere, runs no script and
//! puts every value through [`escape`].

use core::fmt::{self, Write as _};
use std::time::SystemTime;

/// Renders the pages; a product brings its own.
pub trait Pages: fmt::Debug + Send + Sync {
    /// The form for name and password.
    fn login(&self, page: &LoginPage) -> String;
    /// The question whether the client may have what it asks for.
    fn consent(&self, page: &ConsentPage) -> String;
    /// What is linked to an account, with a way to end each link.
    fn links(&self, page: &LinksPage) -> String;
    /// The form for the code that a device shows (RFC 8628 3.3).
    fn device(&self, page: &DevicePage) -> String;
    /// That the device was allowed, or was not: there is no client to go back to.
    fn device_decided(&self, allowed: bool) -> String;
    /// That nobody is logged in any more in this browser.
    fn signed_out(&self) -> String;
    /// What went wrong, when the browser cannot be sent back to the client.
    fn error(&self, page: PageError) -> String;
}

/// What a login page shows: a form posted to `action` with the fields `interaction`, `csrf`,
/// `username` and `password`.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LoginPage {
    /// Where the form goes.
    pub action: String,
    /// Value of the hidden field `interaction`.
    pub interaction: String,
    /// Value of the hidden field `csrf`.
    pub csrf: String,
    /// The client that wants to be linked; `None` when a person comes to see what is.
    pub client_name: Option<String>,
    /// Whether the last attempt failed; the page does not say why.
    pub failed: bool,
}

/// What a consent page shows: a form posted to `action` with the fields `interaction`, `csrf` and
/// `decision`, which is `allow` or `cancel`.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConsentPage {
    /// Where the form goes.
    pub action: String,
    /// Value of the hidden field `interaction`.
    pub interaction: String,
    /// Value of the hidden field `csrf`.
    pub csrf: String,
    /// The client that wants to be linked.
    pub client_name: String,
    /// Who runs it; may be empty.
    pub client_owner: String,
    /// The code that the device shows which is to be linked (RFC 8628): the page asks whether it is on a device that the person
    /// has before them, since somebody else may have sent it. `None` when there is no device.
    pub device: Option<String>,
    /// The name the user logged in with.
    pub account: String,
    /// The scopes asked for.
    pub scopes: Vec<String>,
    /// The APIs asked for, as URIs; empty when it is the usual one (RFC 8707).
    pub resources: Vec<String>,
}

/// What a page for the code of a device shows: a form posted to `action` with the fields
/// `interaction`, `csrf` and `user_code`.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DevicePage {
    /// Where the form goes.
    pub action: String,
    /// Value of the hidden field `interaction`.
    pub interaction: String,
    /// Value of the hidden field `csrf`.
    pub csrf: String,
    /// The name the user logged in with.
    pub account: String,
    /// The code of the link that led here; empty when there is none.
    pub user_code: String,
    /// Whether the last code was refused; the page does not say why.
    pub failed: bool,
}

/// What a page of links shows: a form for each link, posted to `action` with the fields
/// `interaction`, `csrf` and `unlink`, which is the grant; and one with `sign_out` instead of it.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinksPage {
    /// Where the forms go.
    pub action: String,
    /// Value of the hidden field `interaction`.
    pub interaction: String,
    /// Value of the hidden field `csrf`.
    pub csrf: String,
    /// The name the user logged in with.
    pub account: String,
    /// What is linked; empty when nothing is.
    pub links: Vec<LinkOnPage>,
}

/// One link of an account, as its user sees it.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LinkOnPage {
    /// Value of the field `unlink` that ends it.
    pub grant: String,
    /// The client.
    pub client_name: String,
    /// Who runs it; may be empty.
    pub client_owner: String,
    /// What was allowed.
    pub scopes: Vec<String>,
    /// When the user allowed it.
    pub since: SystemTime,
    /// When it was last used to get an access token.
    pub last_used: SystemTime,
}

/// Why a page of error is shown; no text of the request is repeated on it.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PageError {
    /// The client or its redirect URI is not known, or the request is not well formed.
    BadRequest,
    /// The page was opened too late, twice, or in another browser.
    Expired,
    /// The server cannot answer now.
    Unavailable,
}

/// Pages without any decoration.
#[expect(
    clippy::exhaustive_structs,
    reason = "there is nothing to add to plain pages"
)]
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainPages;

impl Pages for PlainPages {
    fn login(&self, page: &LoginPage) -> String {
        let failed = if page.failed {
            "<p role=\"alert\">That did not work. Please try again.</p>"
        } else {
            ""
        };
        let wants = page.client_name.as_ref().map_or_else(String::new, |name| {
            format!("<p>{} wants to use your devices.</p>", escape(name))
        });
        document(
            "Sign in",
            &format!(
                "{wants}{failed}\
                 <form method=\"post\" action=\"{}\">{}\
                 <p><label>Name <input name=\"username\" autocomplete=\"username\" required></label></p>\
                 <p><label>Password <input name=\"password\" type=\"password\" \
                 autocomplete=\"current-password\" required></label></p>\
                 <p><button>Sign in</button></p></form>",
                escape(&page.action),
                hidden(&page.interaction, &page.csrf),
            ),
        )
    }

    fn consent(&self, page: &ConsentPage) -> String {
        let mut scopes = String::new();
        for scope in page.scopes.iter().chain(&page.resources) {
            scopes.push_str("<li>");
            scopes.push_str(&escape(scope));
            scopes.push_str("</li>");
        }
        let owner = if page.client_owner.is_empty() {
            String::new()
        } else {
            format!(" ({})", escape(&page.client_owner))
        };
        let device = page.device.as_ref().map_or_else(String::new, |code| {
            format!(
                "<p>It is for the device that shows {}. Go on only if you have it before you: whoever \
                 sent you this code would get into your account.</p>",
                escape(code)
            )
        });
        document(
            "Allow access?",
            &format!(
                "<p>You are signed in as {}.</p><p>{}{owner} asks for:</p><ul>{scopes}</ul>{device}\
                 <p>Go on only if you started this yourself.</p>\
                 <form method=\"post\" action=\"{}\">{}\
                 <button name=\"decision\" value=\"allow\">Allow</button> \
                 <button name=\"decision\" value=\"cancel\">Cancel</button></form>",
                escape(&page.account),
                escape(&page.client_name),
                escape(&page.action),
                hidden(&page.interaction, &page.csrf),
            ),
        )
    }

    fn links(&self, page: &LinksPage) -> String {
        let form = |fields: &str| {
            format!(
                "<form method=\"post\" action=\"{}\">{}{fields}</form>",
                escape(&page.action),
                hidden(&page.interaction, &page.csrf),
            )
        };
        let mut links = String::new();
        for link in &page.links {
            let button = form(&format!(
                "<button name=\"unlink\" value=\"{}\">Unlink</button>",
                escape(&link.grant)
            ));
            // Writing to a String does not fail.
            let _ = write!(
                links,
                "<li><b>{}</b> {} ({}){button}</li>",
                escape(&link.client_name),
                escape(&link.client_owner),
                escape(&link.scopes.join(" ")),
            );
        }
        let links = if links.is_empty() {
            "<p>Nothing is linked to your account.</p>".to_owned()
        } else {
            format!("<p>These may use your devices:</p><ul>{links}</ul>")
        };
        let out = form("<button name=\"sign_out\" value=\"yes\">Sign out</button>");
        let account = escape(&page.account);
        document(
            "Linked accounts",
            &format!("<p>You are signed in as {account}.</p>{links}{out}"),
        )
    }

    fn device(&self, page: &DevicePage) -> String {
        let failed = if page.failed {
            "<p role=\"alert\">That is not the code of a device that waits. Please try again.</p>"
        } else {
            ""
        };
        document(
            "Link a device",
            &format!(
                "<p>You are signed in as {}.</p>{failed}\
                 <form method=\"post\" action=\"{}\">{}\
                 <p><label>The code on your device <input name=\"user_code\" value=\"{}\" \
                 autocomplete=\"off\" autocapitalize=\"characters\" required></label></p>\
                 <p><button>Go on</button></p></form>",
                escape(&page.account),
                escape(&page.action),
                hidden(&page.interaction, &page.csrf),
                escape(&page.user_code),
            ),
        )
    }

    fn device_decided(&self, allowed: bool) -> String {
        let (title, text) = if allowed {
            ("Linked", "Your device goes on by itself.")
        } else {
            ("Cancelled", "Nothing was linked.")
        };
        document(title, &format!("<p>{text}</p>"))
    }

    fn signed_out(&self) -> String {
        document("Signed out", "<p>You are signed out.</p>")
    }

    fn error(&self, page: PageError) -> String {
        let text = match page {
            PageError::BadRequest => {
                "The link that brought you here is not right. Nothing was changed."
            }
            PageError::Expired => {
                "This page is no longer good. Please start again where you came from."
            }
            PageError::Unavailable => "We cannot do this right now. Please try again later.",
        };
        document("That did not work", &format!("<p>{text}</p>"))
    }
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title><h1>{title}</h1>{body}</html>"
    )
}

fn hidden(interaction: &str, csrf: &str) -> String {
    format!(
        "<input type=\"hidden\" name=\"interaction\" value=\"{}\">\
         <input type=\"hidden\" name=\"csrf\" value=\"{}\">",
        escape(interaction),
        escape(csrf),
    )
}

/// Makes text safe between tags and inside quoted attributes.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '&' | '<' | '>' | '"' | '\'') {
            // Writing to a String does not fail.
            let _ = write!(safe, "&#{};", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_break_out_of_the_page() {
        let html = PlainPages.consent(&ConsentPage {
            action: "/consent".to_owned(),
            interaction: "\"><script>".to_owned(),
            csrf: "c".to_owned(),
            client_name: "<b>&'".to_owned(),
            client_owner: String::new(),
            device: Some("<em>".to_owned()),
            account: "<i>".to_owned(),
            scopes: vec!["<u>".to_owned()],
            resources: vec!["<a>".to_owned()],
        });
        for text in ["<script>", "<b>", "<i>", "<u>", "<a>", "<em>"] {
            assert!(!html.contains(text), "{text}");
        }
    }
}
