//! The device flow (RFC 8628): what a device asks, and what a person does elsewhere so that it is linked.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;

use super::browser_steps::{first_16, grant_id, name_session};
use super::tasks::{BrowserWork, Pause, Task, Work};
use super::{AuthorizationServer, millis};
use crate::server::authorize::Wanted;
use crate::server::browser::{AskedByDevice, Purpose};
use crate::server::device::{Codes, Polled, UserCode};
use crate::server::grants::{Approval, Command};
use crate::server::ids::{GrantId, RequestId};
use crate::server::output::Event;
use crate::server::pages::DevicePage;
use crate::server::registration::Client;
use crate::server::response::{TokenError, json as json_response, page, see_other};
use crate::user_id::UserId;

/// A consent that has been given to a device and is being made durable.
#[derive(Debug)]
pub(super) struct Allowed {
    asked: Box<AskedByDevice>,
    user: UserId,
    grant: GrantId,
}

type Step = Result<Response<Bytes>, Pause>;

impl AuthorizationServer {
    /// Gives a device its codes.
    pub(super) fn step_device_authorization(&mut self, id: RequestId, task: &mut Task) -> Step {
        let Some(flow) = &self.config.device_flow else {
            return Err(Pause::Unavailable);
        };
        let (lifetime, interval) = (flow.lifetime, flow.interval);
        let Codes {
            device_code,
            user_code,
        } = match self.device_codes(id, task)? {
            Ok(codes) => codes,
            Err(error) => return Ok(error.response()),
        };
        let uri = self.config.issuer.endpoint("/device");
        let body = json!({
            "device_code": device_code,
            "user_code": user_code.to_string(),
            "verification_uri": uri,
            "verification_uri_complete": format!("{uri}?user_code={user_code}"),
            "expires_in": lifetime.as_secs(),
            "interval": interval.as_secs(),
        });
        Ok(json_response(StatusCode::OK, &body))
    }

    fn device_codes(
        &mut self,
        id: RequestId,
        task: &mut Task,
    ) -> Result<Result<Codes, TokenError>, Pause> {
        let registration = match self.identify(id, task)? {
            Ok(registration) => registration,
            Err(error) => return Ok(Err(error)),
        };
        let (Work::DeviceAuthorization(work), Some(flow)) =
            (&task.work, self.config.device_flow.clone())
        else {
            return Err(Pause::Unavailable);
        };
        if !registration.device_flow {
            return Ok(Err(TokenError::UnauthorizedClient));
        }
        let wanted = match Wanted::of_device(&work.form, &registration, &self.config) {
            Ok(wanted) => wanted,
            Err(error) => return Ok(Err(TokenError::Refused(error))),
        };
        let expires = self.desk.after(flow.lifetime);
        // For as long again it is known that it has expired.
        let forgotten = expires.checked_add(flow.lifetime).unwrap_or(expires);
        let is_public = registration.is_public();
        let codes = self.devices.keep(
            (registration.client_id, is_public),
            wanted,
            &work.entropy,
            flow.interval,
            (expires, forgotten),
        );
        Ok(codes.ok_or(TokenError::TemporarilyUnavailable))
    }

    /// The page for the code, for whoever is logged in; anybody else logs in first.
    pub(super) fn device_page(&mut self, work: &BrowserWork) -> Step {
        let found = self.browsers.find(work.cookie.as_deref());
        let known = found.map(|(browser, _)| browser);
        let login = found.and_then(|(_, login)| login.cloned());
        let expires = self.desk.after(self.config.interaction_lifetime);
        // A code goes on from here, and no other text.
        let typed = work.form.get("user_code");
        let typed = typed.and_then(|text| text.parse::<UserCode>().ok());
        let (browser, cookie) = self.browser_of(known, work, expires)?;
        let purpose = Purpose::Device(typed);
        let named = self
            .browsers
            .begin(browser, purpose, &work.entropy, expires);
        let Some(login) = login else {
            let mut response = self.go_on("/login", &named);
            if let Some(cookie) = cookie {
                name_session(&mut response, &cookie);
            }
            return Ok(response);
        };
        let Some(interaction) = self.browsers.interaction(Some(&named), browser) else {
            return Err(Pause::Unavailable);
        };
        interaction.shown_to = Some(login.user);
        let html = self.pages.device(&DevicePage {
            action: format!("{}/device", self.config.issuer.path()),
            csrf: interaction.csrf(),
            interaction: named,
            account: login.user_name,
            user_code: typed.map(|code| code.to_string()).unwrap_or_default(),
            failed: work.form.get("failed").is_some(),
        });
        Ok(page(StatusCode::OK, html))
    }

    /// Takes the code that a person typed, and asks whether its device is meant.
    pub(super) fn device(&mut self, id: RequestId, task: &Task) -> Step {
        let Work::Device(work) = &task.work else {
            return Err(Pause::Unavailable);
        };
        let (user, named, purpose) = match self.pressed_by(work) {
            Ok(pressed) => pressed,
            Err(response) => return Ok(*response),
        };
        if !matches!(purpose, Purpose::Device(_)) {
            return Ok(self.bad_request_page());
        }
        let typed = work.form.get("user_code");
        let typed = typed.and_then(|text| text.parse::<UserCode>().ok());
        let found = typed.and_then(|code| {
            let (name, waiting) = self.devices.find(code, self.desk.now)?;
            Some((code, name, waiting.client.clone(), waiting.wanted.clone()))
        });
        let mut asked = None;
        if let Some((user_code, name, client, wanted)) = found {
            let held = self
                .clients
                .read(&Client::stream(&client), id, &mut self.desk);
            let registration = held.ok_or(Pause::Wait)?.registration();
            asked = registration.map(|registration| AskedByDevice {
                name,
                user_code,
                client,
                wanted,
                client_name: registration.name.clone(),
                client_owner: registration.owner.clone(),
            });
        }
        self.browsers.end(named);
        // RFC 8628, 5.1: whoever guesses is stopped, and learns nothing by the right code either.
        let admitted = self.guesses.admits(user.as_str(), self.desk.now);
        let Some(asked) = asked.filter(|_| admitted) else {
            self.tell(Event::UserCodeRefused { request: id });
            return Ok(self.go_to_device("?failed=yes"));
        };
        self.guesses.clear(user.as_str());
        let found = self.browsers.find(work.cookie.as_deref());
        let Some((browser, _)) = found else {
            return Ok(self.expired_page());
        };
        let expires = self.desk.after(self.config.interaction_lifetime);
        let purpose = Purpose::AllowDevice(Box::new(asked));
        let named = self
            .browsers
            .begin(browser, purpose, &work.entropy, expires);
        Ok(self.go_on("/consent", &named))
    }

    /// The page for the code, behind a login or a code that was not right.
    pub(super) fn go_to_device(&self, query: &str) -> Response<Bytes> {
        see_other(&format!("{}/device{query}", self.config.issuer.path()))
    }

    /// Whether the consent page that was answered is that of a device.
    pub(super) fn is_for_device(&mut self, work: &BrowserWork) -> bool {
        let found = self.browsers.find(work.cookie.as_deref());
        let browser = found.map(|(browser, _)| browser);
        let named = work.form.get("interaction");
        let interaction = browser.and_then(|browser| self.browsers.interaction(named, browser));
        interaction.is_some_and(|found| matches!(found.purpose, Purpose::AllowDevice(_)))
    }

    /// A person's decision about a device.
    pub(super) fn device_consent(&mut self, id: RequestId, task: &mut Task) -> Step {
        let Work::Consent(work) = &mut task.work else {
            return Err(Pause::Unavailable);
        };
        let allowed = match work.device.take() {
            Some(allowed) => allowed,
            None => match self.device_decision(work) {
                Ok(allowed) => allowed,
                Err(response) => return Ok(*response),
            },
        };
        let done = self.allow_device(id, task, &allowed);
        let name = allowed.asked.name;
        let (user, grant) = (allowed.user.clone(), allowed.grant);
        if let Work::Consent(work) = &mut task.work {
            work.device = Some(allowed);
        }
        Ok(if done? {
            self.devices.allow(name, user, grant);
            page(StatusCode::OK, self.pages.device_decided(true))
        } else {
            self.devices.reopen(name);
            self.unavailable_page()
        })
    }

    /// Reads the decision and ends the interaction; of two people who type the same code, one decides.
    fn device_decision(&mut self, work: &BrowserWork) -> Result<Allowed, Box<Response<Bytes>>> {
        let (user, named, purpose) = self.pressed_by(work)?;
        let Purpose::AllowDevice(asked) = purpose else {
            return Err(Box::new(self.expired_page()));
        };
        let allowed = match work.form.get("decision") {
            Some("allow") => true,
            Some("cancel") => false,
            _ => return Err(Box::new(self.bad_request_page())),
        };
        self.browsers.end(named);
        if self.devices.pending(asked.name, self.desk.now).is_none() {
            return Err(Box::new(self.expired_page()));
        }
        if !allowed {
            self.devices.deny(asked.name);
            let html = self.pages.device_decided(false);
            return Err(Box::new(page(StatusCode::OK, html)));
        }
        self.devices.decide(asked.name);
        let grant = grant_id(&work.entropy);
        Ok(Allowed { asked, user, grant })
    }

    /// Makes a grant of which the device code is the code; `false`: the user has too many.
    fn allow_device(
        &mut self,
        id: RequestId,
        task: &mut Task,
        allowed: &Allowed,
    ) -> Result<bool, Pause> {
        let Work::Consent(work) = &task.work else {
            return Err(Pause::Unavailable);
        };
        let salt = first_16(work.entropy.derive("salt"));
        let asked = &allowed.asked;
        let expires = self.devices.expiry(asked.name).ok_or(Pause::Unavailable)?;
        let client = self
            .clients
            .read(&Client::stream(&asked.client), id, &mut self.desk)
            .ok_or(Pause::Wait)?;
        let registration = client.registration().ok_or(Pause::Unavailable)?.clone();
        let left = expires.saturating_duration_since(self.desk.now);
        let command = Command::Approve(Approval {
            grant: allowed.grant,
            client: asked.client.clone(),
            scopes: asked.wanted.scopes.clone(),
            policy: self.policy(&registration),
            salt,
            code_hash: asked.name,
            code_lifetime: millis(left),
            redirect_uri: String::new(),
            redirect_uri_sent: false,
            challenge: None,
            resources: asked.wanted.resources.clone(),
            code_key: None,
            max_grants: self.config.max_grants_per_user,
        });
        let reply = self.change_grants(id, task, &allowed.user, &command)?;
        Ok(reply.is_ok())
    }

    /// Gives a device to be allowed back, when its consent could not be made durable.
    pub(super) fn reopen_device(&mut self, work: &Work) {
        if let Work::Consent(BrowserWork {
            device: Some(allowed),
            ..
        }) = work
        {
            self.devices.reopen(allowed.asked.name);
        }
    }
}

/// The error that a device is answered, or whose grant its code is of (RFC 8628 3.5).
pub(super) fn allowed(polled: Polled) -> Result<(UserId, GrantId), TokenError> {
    Err(match polled {
        Polled::Allowed(user, grant) => return Ok((user, grant)),
        Polled::Unknown => TokenError::InvalidGrant,
        Polled::Pending => TokenError::AuthorizationPending,
        Polled::SlowDown => TokenError::SlowDown,
        Polled::Denied => TokenError::AccessDenied,
        Polled::Expired => TokenError::ExpiredToken,
    })
}
