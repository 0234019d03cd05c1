//! The person's part: login, consent, and the redirect back.

use std::time::Instant;

use bytes::Bytes;
use http::header::{HeaderValue, SET_COOKIE};
use http::{Response, StatusCode};

use super::tasks::{Awaiting, BrowserWork, Pause, Task, Work};
use super::{AuthorizationServer, millis};
use crate::secret::{AuthorizationCode, Password, SecretBytes};
use crate::server::authorize::{AuthorizeError, AuthorizeRequest, Wanted, Way};
use crate::server::browser::{Asked, BrowserId, Login, Purpose, set_cookie};
use crate::server::credential;
use crate::server::grants::{Approval, Command, Policy, Refused};
use crate::server::ids::{ClientId, GrantId, RequestId};
use crate::server::output::{Event, Output};
use crate::server::pages::{ConsentPage, LoginPage, PageError};
use crate::server::pushed::PREFIX;
use crate::server::registration::{Client, Registration};
use crate::server::response::{page, see_other};
use crate::user_id::UserId;

/// A consent that has been given, with the code that will answer it.
#[derive(Debug)]
pub(super) struct Approved {
    request: AuthorizeRequest,
    wanted: Wanted,
    user: UserId,
    grant: GrantId,
    code: AuthorizationCode,
}

type Step = Result<Response<Bytes>, Pause>;

impl AuthorizationServer {
    pub(super) fn step_browser(&mut self, id: RequestId, task: &mut Task) -> Step {
        match &mut task.work {
            Work::Authorize(work) => self.authorize(id, work),
            Work::LoginPage(work) => Ok(self.login_page(work)),
            Work::Login(_) => self.login(id, task),
            Work::ConsentPage(work) => Ok(self.consent_page(work)),
            Work::Consent(_) => self.consent(id, task),
            Work::LinksPage(_) => self.links_page(id, task),
            Work::Links(_) => self.links(id, task),
            Work::DevicePage(work) => self.device_page(work),
            Work::Device(_) => self.device(id, task),
            _ => Err(Pause::Unavailable),
        }
    }

    /// Checks an authorization request and begins an interaction.
    fn authorize(&mut self, id: RequestId, work: &BrowserWork) -> Step {
        let client: Option<ClientId> = work
            .form
            .get("client_id")
            .and_then(|text| text.parse().ok());
        let Some(client) = client else {
            return Ok(self.bad_request_page());
        };
        let stream = Client::stream(&client);
        let held = self
            .clients
            .read(&stream, id, &mut self.desk)
            .ok_or(Pause::Wait)?;
        if held.registration().is_none() {
            self.reread_client(id, &client)?;
            return Ok(self.bad_request_page());
        }
        let reference = work.form.get("request_uri");
        let reference = reference.filter(|uri| uri.starts_with(PREFIX));
        let registration = held.registration().ok_or(PageError::BadRequest);
        let checked = registration.and_then(|registration| {
            let names = (registration.name.clone(), registration.owner.clone());
            let request = match reference {
                // RFC 9126, 4: what else the browser brings counts for nothing.
                Some(reference) if !work.form.has_repeats() => self
                    .pushed
                    .find(reference, &client)
                    .cloned()
                    .ok_or(PageError::BadRequest)?,
                Some(_) => return Err(PageError::BadRequest),
                None => {
                    AuthorizeRequest::check(&work.form, registration, &self.config, Way::Browser)?
                }
            };
            Ok((request, names))
        });
        let Ok((request, names)) = checked else {
            return Ok(self.bad_request_page());
        };
        let known = self.browsers.find(work.cookie.as_deref());
        let logged_in = known.is_some_and(|(_, login)| login.is_some());
        let known = known.map(|(browser, _)| browser);
        let expires = self.desk.after(self.config.interaction_lifetime);
        let (browser, cookie) = self.browser_of(known, work, expires)?;
        if let Some(reference) = reference {
            self.pushed.spend(reference);
        }
        // RFC 9700, 4.11.2: not even an error is sent on for someone who is not logged in.
        if let (Err(error), true) = (&request.wanted, logged_in) {
            return Ok(self.refuse(&request, *error));
        }
        let (client_name, client_owner) = names;
        let purpose = Purpose::Link(Box::new(Asked {
            request,
            client_name,
            client_owner,
        }));
        let interaction = self
            .browsers
            .begin(browser, purpose, &work.entropy, expires);
        let next = if logged_in { "/consent" } else { "/login" };
        let mut response = self.go_on(next, &interaction);
        if let Some(cookie) = cookie {
            name_session(&mut response, &cookie);
        }
        Ok(response)
    }

    /// The browser that is known, or a session for a new one and its cookie.
    pub(super) fn browser_of(
        &mut self,
        known: Option<BrowserId>,
        work: &BrowserWork,
        expires: Instant,
    ) -> Result<(BrowserId, Option<String>), Pause> {
        match known {
            Some(browser) => Ok((browser, None)),
            None => match self.browsers.open(&work.entropy, expires) {
                Some((browser, cookie)) => Ok((browser, Some(cookie))),
                None => Err(Pause::Unavailable),
            },
        }
    }

    fn login_page(&mut self, work: &BrowserWork) -> Response<Bytes> {
        let action = format!("{}/login", self.config.issuer.path());
        let browser = self
            .browsers
            .find(work.cookie.as_deref())
            .map(|(browser, _)| browser);
        let id = work.form.get("interaction");
        let found = browser.and_then(|browser| self.browsers.interaction(id, browser));
        let (Some(id), Some(interaction)) = (id, found) else {
            return self.expired_page();
        };
        let html = self.pages.login(&LoginPage {
            action,
            interaction: id.to_owned(),
            csrf: interaction.csrf(),
            client_name: interaction.asked().map(|asked| asked.client_name.clone()),
            failed: interaction.login_failed,
        });
        page(StatusCode::OK, html)
    }

    fn login(&mut self, id: RequestId, task: &mut Task) -> Step {
        let Work::Login(work) = &task.work else {
            return Err(Pause::Unavailable);
        };
        let cookie = work.cookie.as_deref();
        let browser = self.browsers.find(cookie).map(|(browser, _)| browser);
        let named = work.form.get("interaction");
        let found = browser.and_then(|browser| self.browsers.interaction(named, browser));
        let (Some(cookie), Some(named), Some(interaction)) = (cookie, named, found) else {
            return Ok(self.expired_page());
        };
        if !interaction.has_csrf(work.form.get("csrf")) || work.form.has_repeats() {
            return Ok(self.bad_request_page());
        }
        let user_name = work.form.get("username").unwrap_or_default();
        let password = work.form.get("password").map(Password::new);
        let user = match (&task.password, password) {
            (Some(answer), _) => answer.clone(),
            (None, Some(Ok(password))) if self.throttle.admits(user_name, self.desk.now) => {
                self.desk.outputs.push_back(Output::VerifyPassword {
                    request: id,
                    user_name: user_name.to_owned(),
                    password,
                });
                task.awaiting = Awaiting::Password;
                return Err(Pause::Wait);
            }
            (None, _) => None,
        };
        let Some(user) = user else {
            interaction.login_failed = true;
            let response = self.go_on("/login", named);
            self.tell(Event::LoginFailed { request: id });
            return Ok(response);
        };
        interaction.login_failed = false;
        let purpose = interaction.purpose.clone();
        self.throttle.clear(user_name);
        let expires = self.desk.after(self.config.session_lifetime);
        let user_name = user_name.to_owned();
        let login = Login { user, user_name };
        let Some(renewed) = self.browsers.log_in(cookie, login, &work.entropy, expires) else {
            return Ok(self.expired_page());
        };
        let mut response = match purpose {
            Purpose::Link(asked) => match asked.request.wanted {
                Ok(_) => self.go_on("/consent", named),
                Err(error) => {
                    self.browsers.end(named);
                    self.refuse(&asked.request, error)
                }
            },
            Purpose::Links => {
                self.browsers.end(named);
                self.go_to_links()
            }
            Purpose::Device(typed) => {
                self.browsers.end(named);
                let query = typed.map(|code| format!("?user_code={code}"));
                self.go_to_device(&query.unwrap_or_default())
            }
            // Only for who is logged in; someone else is now.
            Purpose::AllowDevice(_) => self.go_on("/consent", named),
        };
        name_session(&mut response, &renewed);
        Ok(response)
    }

    fn consent_page(&mut self, work: &BrowserWork) -> Response<Bytes> {
        let action = format!("{}/consent", self.config.issuer.path());
        let found = self.browsers.find(work.cookie.as_deref());
        let Some((browser, Some(login))) = found else {
            return self.expired_page();
        };
        let login = login.clone();
        let id = work.form.get("interaction");
        let interaction = self.browsers.interaction(id, browser);
        let (Some(id), Some(interaction)) = (id, interaction) else {
            return self.expired_page();
        };
        let csrf = interaction.csrf();
        let (wanted, client_name, client_owner, device) = match &interaction.purpose {
            Purpose::Link(asked) => {
                let Ok(wanted) = &asked.request.wanted else {
                    return self.expired_page();
                };
                (wanted, &asked.client_name, &asked.client_owner, None)
            }
            Purpose::AllowDevice(asked) => {
                let code = Some(asked.user_code.to_string());
                (&asked.wanted, &asked.client_name, &asked.client_owner, code)
            }
            Purpose::Links | Purpose::Device(_) => return self.expired_page(),
        };
        let html = self.pages.consent(&ConsentPage {
            action,
            interaction: id.to_owned(),
            csrf,
            client_name: client_name.clone(),
            client_owner: client_owner.clone(),
            device,
            account: login.user_name,
            scopes: wanted.scopes.iter().map(ToString::to_string).collect(),
            resources: wanted.resources.iter().map(ToString::to_string).collect(),
        });
        interaction.shown_to = Some(login.user);
        page(StatusCode::OK, html)
    }

    fn consent(&mut self, id: RequestId, task: &mut Task) -> Step {
        let Work::Consent(work) = &mut task.work else {
            return Err(Pause::Unavailable);
        };
        if work.device.is_some() || self.is_for_device(work) {
            return self.device_consent(id, task);
        }
        let approved = match work.approved.take() {
            Some(approved) => approved,
            None => match self.decision(work) {
                Ok(approved) => approved,
                Err(response) => return Ok(*response),
            },
        };
        let outcome = self.approve(id, task, &approved);
        let response = match outcome {
            Ok(Ok(())) => {
                let issuer = self.config.issuer.as_str();
                Ok(see_other(&approved.request.success(&approved.code, issuer)))
            }
            Ok(Err(error)) => Ok(self.refuse(&approved.request, error)),
            Err(pause) => Err(pause),
        };
        if let Work::Consent(work) = &mut task.work {
            work.approved = Some(approved);
        }
        response
    }

    /// Whose press of a button this is, the name of the interaction, and what it is for: only the user to whom its page was
    /// shown, in that browser, with that page's form.
    pub(super) fn pressed_by<'a>(
        &mut self,
        work: &'a BrowserWork,
    ) -> Result<(UserId, &'a str, Purpose), Box<Response<Bytes>>> {
        let found = self.browsers.find(work.cookie.as_deref());
        let Some((browser, Some(login))) = found else {
            return Err(Box::new(self.expired_page()));
        };
        let user = login.user.clone();
        let named = work.form.get("interaction");
        let interaction = self.browsers.interaction(named, browser);
        let (Some(named), Some(interaction)) = (named, interaction) else {
            return Err(Box::new(self.expired_page()));
        };
        let meant = interaction.has_csrf(work.form.get("csrf"))
            && !work.form.has_repeats()
            && interaction.shown_to.as_ref() == Some(&user);
        if !meant {
            return Err(Box::new(self.bad_request_page()));
        }
        Ok((user, named, interaction.purpose.clone()))
    }

    /// Reads the person's decision and ends the interaction, so that it is decided once.
    fn decision(&mut self, work: &BrowserWork) -> Result<Approved, Box<Response<Bytes>>> {
        let (user, named, purpose) = self.pressed_by(work)?;
        let Purpose::Link(asked) = purpose else {
            return Err(Box::new(self.expired_page()));
        };
        let request = asked.request;
        let allowed = match work.form.get("decision") {
            Some("allow") => true,
            Some("cancel") => false,
            _ => return Err(Box::new(self.bad_request_page())),
        };
        self.browsers.end(named);
        let wanted = match request.wanted.clone() {
            Ok(wanted) if allowed => wanted,
            Ok(_) => {
                return Err(Box::new(
                    self.refuse(&request, AuthorizeError::AccessDenied),
                ));
            }
            Err(error) => return Err(Box::new(self.refuse(&request, error))),
        };
        let grant = grant_id(&work.entropy);
        let secret = SecretBytes::new(work.entropy.derive("code"));
        let Ok(code) = credential::code(&user, grant, &secret) else {
            return Err(Box::new(self.unavailable_page()));
        };
        Ok(Approved {
            request,
            wanted,
            user,
            grant,
            code,
        })
    }

    fn approve(
        &mut self,
        id: RequestId,
        task: &mut Task,
        approved: &Approved,
    ) -> Result<Result<(), AuthorizeError>, Pause> {
        let Work::Consent(work) = &task.work else {
            return Err(Pause::Unavailable);
        };
        let salt = first_16(work.entropy.derive("salt"));
        let stream = Client::stream(&approved.request.client);
        let client = self
            .clients
            .read(&stream, id, &mut self.desk)
            .ok_or(Pause::Wait)?;
        let registration = client.registration().ok_or(Pause::Unavailable)?.clone();
        let command = Command::Approve(Approval {
            grant: approved.grant,
            client: approved.request.client.clone(),
            scopes: approved.wanted.scopes.clone(),
            policy: self.policy(&registration),
            salt,
            code_hash: credential::code_hash(&approved.code),
            code_lifetime: millis(self.config.code_lifetime),
            redirect_uri: approved.request.redirect_uri.to_string(),
            redirect_uri_sent: approved.request.redirect_uri_sent,
            challenge: approved.wanted.challenge.clone(),
            resources: approved.wanted.resources.clone(),
            code_key: approved.wanted.key,
            max_grants: self.config.max_grants_per_user,
        });
        let reply = self.change_grants(id, task, &approved.user, &command)?;
        Ok(match reply {
            Ok(_) => Ok(()),
            Err(Refused::Full) => Err(AuthorizeError::TemporarilyUnavailable),
            Err(_) => Err(AuthorizeError::InvalidRequest),
        })
    }

    pub(super) fn policy(&self, registration: &Registration) -> Policy {
        Policy {
            refresh_tokens: registration.refresh_tokens,
            rotation_window: registration.rotation_window.map(millis),
            replay_ends_grant: registration.replay_ends_grant,
            idle: millis(self.config.refresh_idle_lifetime),
            absolute: self.config.refresh_absolute_lifetime.map(millis),
            access_lifetime: millis(self.config.access_token_lifetime),
        }
    }

    /// The answer to a consent that could not be made durable: the client may try again.
    pub(super) fn failed_consent(&self, work: BrowserWork) -> Response<Bytes> {
        match work.approved {
            Some(approved) => {
                self.refuse(&approved.request, AuthorizeError::TemporarilyUnavailable)
            }
            None => self.unavailable_page(),
        }
    }

    fn refuse(&self, request: &AuthorizeRequest, error: AuthorizeError) -> Response<Bytes> {
        see_other(&request.failure(error, self.config.issuer.as_str()))
    }

    pub(super) fn go_on(&self, endpoint: &str, interaction: &str) -> Response<Bytes> {
        let base = self.config.issuer.path();
        see_other(&format!("{base}{endpoint}?interaction={interaction}"))
    }

    pub(super) fn expired_page(&self) -> Response<Bytes> {
        let html = self.pages.error(PageError::Expired);
        page(StatusCode::BAD_REQUEST, html)
    }
}

pub(super) fn name_session(response: &mut Response<Bytes>, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(&set_cookie(cookie)) {
        response.headers_mut().insert(SET_COOKIE, value);
    }
}

pub(super) fn grant_id(entropy: &SecretBytes) -> GrantId {
    GrantId::from_bytes(first_16(entropy.derive("grant")))
}

pub(super) fn first_16(bytes: [u8; 32]) -> [u8; 16] {
    let mut first = [0; 16];
    first
        .iter_mut()
        .zip(bytes)
        .for_each(|(to, from)| *to = from);
    first
}
