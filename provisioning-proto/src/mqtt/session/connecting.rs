//! From CONNECT to CONNACK.

use std::time::Instant;

use super::{
    Authenticating, Authentication, Cause, Connect, ConnectCode, Credentials, Open, Output, Phase,
    Presented, Requests, Session, silent_until,
};
use crate::mqtt::{ClientId, ClientIdForm, Mac, TimedMac, Topics};

impl Session {
    /// CONNECT. Refusals that need no look at any secret are decided here, but told no sooner than the others.
    pub fn handle_connect(&mut self, connect: &Connect<'_>, now: Instant) {
        self.advance(now);
        let Phase::Fresh { .. } = self.phase else {
            // A second CONNECT is a violation (MQTT 3.1.1, 3.1).
            return self.close(Cause::NotAllowed);
        };
        let refuse_at = self.now.checked_add(self.config.refuse_after);
        let credentials = match credentials(connect) {
            Ok(credentials) => credentials,
            Err(code) => return self.refuse(code, refuse_at),
        };
        self.phase = Phase::Authenticating(Authenticating {
            device: credentials.client_id.device().clone(),
            topics: Topics::new(credentials.client_id.device()),
            keep_alive: connect.keep_alive,
            refuse_at,
            until: self.now.checked_add(self.config.authenticate_within),
        });
        self.outputs.push_back(Output::Authenticate(credentials));
    }

    /// The answer to an [`Output::Authenticate`]; one that comes late or twice is ignored.
    pub fn handle_authentication(&mut self, authentication: Authentication, now: Instant) {
        self.advance(now);
        let Phase::Authenticating(waiting) = &self.phase else {
            return;
        };
        let refuse_at = waiting.refuse_at;
        match authentication {
            Authentication::Accepted => self.open(),
            Authentication::Refused => self.refuse(ConnectCode::BadUserNameOrPassword, refuse_at),
            Authentication::Unavailable => self.refuse(ConnectCode::ServerUnavailable, refuse_at),
        }
    }

    fn open(&mut self) {
        let Phase::Authenticating(waiting) = &self.phase else {
            return;
        };
        self.phase = Phase::Open(Box::new(Open {
            device: waiting.device.clone(),
            topics: waiting.topics.clone(),
            subscribed: false,
            hears_triggers: false,
            trigger: None,
            keep_alive: waiting.keep_alive,
            silent_until: silent_until(waiting.keep_alive, self.now),
            until: self.now.checked_add(self.config.lifetime),
            packets: 0,
            requests: Requests::default(),
        }));
        self.outputs
            .push_back(Output::ConnAck(ConnectCode::Accepted));
    }

    /// Refuses the connection, at once or at a time that is still to come.
    pub(super) fn refuse(&mut self, code: ConnectCode, at: Option<Instant>) {
        if at.is_some_and(|at| at > self.now) {
            self.phase = Phase::Refusing { code, at };
        } else {
            self.outputs.push_back(Output::ConnAck(code));
            self.close(Cause::Refused(code));
        }
    }
}

fn credentials(connect: &Connect<'_>) -> Result<Credentials, ConnectCode> {
    if connect.level != 4 {
        return Err(ConnectCode::UnacceptableProtocolVersion);
    }
    let bad = ConnectCode::BadUserNameOrPassword;
    let user_name = connect.user_name.ok_or(bad)?;
    let client_id = ClientId::parse(connect.client_id, user_name)
        .map_err(|_| ConnectCode::IdentifierRejected)?;
    if connect.has_will {
        // Nothing of the device is passed on to anybody.
        return Err(ConnectCode::NotAuthorized);
    }
    let password = connect.password.filter(|password| !password.is_empty());
    let presented = match (client_id.form(), password) {
        (
            ClientIdForm::Signed {
                signature,
                timestamp,
                ..
            },
            Some(password),
        ) => {
            let mac = Mac::parse(password).map_err(|_| bad)?;
            Presented::Password(TimedMac::new(*signature, *timestamp, mac))
        }
        (ClientIdForm::Signed { scope: None, .. } | ClientIdForm::Scoped { .. }, None)
            if connect.has_certificate =>
        {
            Presented::Certificate
        }
        (ClientIdForm::Signed { .. } | ClientIdForm::Scoped { .. }, _) => return Err(bad),
        (ClientIdForm::Node { .. } | ClientIdForm::Bridge { .. }, _) => {
            return Err(ConnectCode::IdentifierRejected);
        }
    };
    Ok(Credentials {
        client_id,
        presented,
    })
}
