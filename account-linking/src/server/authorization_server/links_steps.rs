//! What is linked to an account, as its user sees it, and how the user ends a link.

use core::time::Duration;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http::header::{HeaderValue, SET_COOKIE};
use http::{Response, StatusCode};

use super::browser_steps::name_session;
use super::tasks::{BrowserWork, Pause, Task, Work};
use super::{AuthorizationServer, millis};
use crate::server::browser::{FORGET_COOKIE, Purpose};
use crate::server::grants::{Command, EndReason, GrantSummary, Grants};
use crate::server::ids::{GrantId, RequestId};
use crate::server::pages::{LinkOnPage, LinksPage};
use crate::server::registration::Client;
use crate::server::response::{page, see_other};
use crate::user_id::UserId;

/// What a person pressed on the page of links.
enum Pressed {
    SignOut,
    Unlink(UserId, GrantId),
}

impl AuthorizationServer {
    /// The page of links, for whoever is logged in; anybody else logs in first.
    pub(super) fn links_page(
        &mut self,
        id: RequestId,
        task: &Task,
    ) -> Result<Response<Bytes>, Pause> {
        let Work::LinksPage(work) = &task.work else {
            return Err(Pause::Unavailable);
        };
        let found = self.browsers.find(work.cookie.as_deref());
        let known = found.map(|(browser, _)| browser);
        let login = found.and_then(|(_, login)| login.cloned());
        let expires = self.desk.after(self.config.interaction_lifetime);
        let Some(login) = login else {
            let (browser, cookie) = self.browser_of(known, work, expires)?;
            let interaction = self
                .browsers
                .begin(browser, Purpose::Links, &work.entropy, expires);
            let mut response = self.go_on("/login", &interaction);
            if let Some(cookie) = cookie {
                name_session(&mut response, &cookie);
            }
            return Ok(response);
        };
        let stream = Grants::stream(&login.user);
        let grants = self.grants.read(&stream, id, &mut self.desk);
        let grants = grants.ok_or(Pause::Wait)?.summaries(millis(task.wall));
        let links = grants
            .into_iter()
            .map(|grant| self.link_on_page(id, grant))
            .collect::<Result<_, _>>()?;
        let (browser, _) = self.browser_of(known, work, expires)?;
        let action = format!("{}/links", self.config.issuer.path());
        let named = self
            .browsers
            .begin(browser, Purpose::Links, &work.entropy, expires);
        let Some(interaction) = self.browsers.interaction(Some(&named), browser) else {
            return Err(Pause::Unavailable);
        };
        interaction.shown_to = Some(login.user);
        let html = self.pages.links(&LinksPage {
            action,
            csrf: interaction.csrf(),
            interaction: named,
            account: login.user_name,
            links,
        });
        Ok(page(StatusCode::OK, html))
    }

    fn link_on_page(&mut self, id: RequestId, grant: GrantSummary) -> Result<LinkOnPage, Pause> {
        let stream = Client::stream(&grant.client);
        let client = self.clients.read(&stream, id, &mut self.desk);
        let registration = client.ok_or(Pause::Wait)?.registration();
        let at = |millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis));
        Ok(LinkOnPage {
            client_name: registration
                .map_or_else(|| grant.client.to_string(), |client| client.name.clone()),
            client_owner: registration
                .map(|client| client.owner.clone())
                .unwrap_or_default(),
            grant: grant.grant.to_string(),
            scopes: grant.scopes.iter().map(ToString::to_string).collect(),
            since: at(grant.created).unwrap_or(UNIX_EPOCH),
            last_used: at(grant.last_used).unwrap_or(UNIX_EPOCH),
        })
    }

    /// Ends a link, or the session of the browser.
    pub(super) fn links(
        &mut self,
        id: RequestId,
        task: &mut Task,
    ) -> Result<Response<Bytes>, Pause> {
        let Work::Links(work) = &mut task.work else {
            return Err(Pause::Unavailable);
        };
        let (user, grant) = match &work.unlinking {
            Some(unlinking) => unlinking.clone(),
            None => match self.pressed(work) {
                Ok(Pressed::Unlink(user, grant)) => work.unlinking.insert((user, grant)).clone(),
                Ok(Pressed::SignOut) => return Ok(self.sign_out(work)),
                Err(response) => return Ok(*response),
            },
        };
        let reason = EndReason::Unlinked;
        // One that is not there any more has ended, too.
        let _ = self.change_grants(id, task, &user, &Command::End { grant, reason })?;
        Ok(self.go_to_links())
    }

    /// Reads what was pressed and ends the interaction: the next page has another one.
    fn pressed(&mut self, work: &BrowserWork) -> Result<Pressed, Box<Response<Bytes>>> {
        let (user, named, purpose) = self.pressed_by(work)?;
        if !matches!(purpose, Purpose::Links) {
            return Err(Box::new(self.bad_request_page()));
        }
        let grant = work.form.get("unlink").map(str::parse);
        let pressed = match (grant, work.form.get("sign_out")) {
            (Some(Ok(grant)), None) => Pressed::Unlink(user, grant),
            (None, Some("yes")) => Pressed::SignOut,
            _ => return Err(Box::new(self.bad_request_page())),
        };
        self.browsers.end(named);
        Ok(pressed)
    }

    fn sign_out(&mut self, work: &BrowserWork) -> Response<Bytes> {
        if let Some(cookie) = &work.cookie {
            self.browsers.log_out(cookie);
        }
        let mut response = page(StatusCode::OK, self.pages.signed_out());
        let forget = HeaderValue::from_static(FORGET_COOKIE);
        response.headers_mut().insert(SET_COOKIE, forget);
        response
    }

    pub(super) fn go_to_links(&self) -> Response<Bytes> {
        see_other(&format!("{}/links", self.config.issuer.path()))
    }
}
