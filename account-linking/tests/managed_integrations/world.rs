//! A connector with a small cloud behind it, in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use account_linking::UserId;
use account_linking::managed_integrations::connector::{
    CheckFailure, Config, Connector, DeviceFailure, Event, InvocationId, Output,
};
use account_linking::managed_integrations::matter::{OcfDevice, OcfResource, endpoints};
use account_linking::managed_integrations::request::Authorization;
use account_linking::managed_integrations::{Answer, SendConnectorEvent, Value};

/// A lamp with a switch and a dimmer.
pub fn lamp(id: &str) -> OcfDevice {
    let resource = |href: &str, kind: &str, property: &str, value: Value| {
        let mut resource = OcfResource::new(href, kind);
        resource.interfaces = vec!["oic.if.a".to_owned()];
        resource.representation = BTreeMap::from([(property.to_owned(), value)]);
        resource
    };
    let mut lamp = OcfDevice::new(id.parse().unwrap());
    lamp.types = vec!["oic.d.light".to_owned()];
    lamp.resources = vec![
        resource(
            "/switch",
            "oic.r.switch.binary",
            "value",
            Value::Bool(false),
        ),
        resource(
            "/dim",
            "oic.r.light.dimming",
            "dimmingSetting",
            Value::Integer(0),
        ),
    ];
    lamp
}

/// The only endpoint of a device.
pub fn endpoint_of(device: &OcfDevice) -> String {
    endpoints(device).unwrap()[0].id.to_string()
}

/// A request with a token of the user.
pub fn request(token: &str, payload: &str) -> String {
    format!(
        r#"{{"header":{{"auth":{{"type":"OAuth2.0","token":"{token}"}}}},"payload":{{"connectorId":"c-1",{payload}}}}}"#
    )
}

pub fn activate(token: &str) -> String {
    request(
        token,
        r#""operationName":"AWS.ActivateUser","operationVersion":"1.0.0""#,
    )
}

pub fn discover(token: &str, id: &str) -> String {
    request(
        token,
        &format!(r#""operationName":"AWS.DiscoverDevices","deviceDiscoveryId":"{id}""#),
    )
}

pub fn deactivate(token: &str) -> String {
    request(token, r#""operationName":"AWS.DeactivateUser""#)
}

/// Commands to the only endpoint of `lamp-1`: a list of clusters in JSON.
pub fn send(token: &str, trace: &str, clusters: &str) -> String {
    let endpoint = endpoint_of(&lamp("lamp-1"));
    request(
        token,
        &format!(
            r#""operationName":"AWS.SendCommand","traceId":"{trace}","connectorDeviceId":"lamp-1","endpoints":[{{"id":"{endpoint}","clusters":{clusters}}}]"#
        ),
    )
}

pub struct World {
    pub connector: Connector,
    pub now: Instant,
    /// Tokens that are good, and their users.
    pub tokens: BTreeMap<String, String>,
    pub devices: Vec<OcfDevice>,
    /// What a device answers instead of obeying.
    pub failure: Option<DeviceFailure>,
    pub answers: BTreeMap<InvocationId, Answer>,
    pub sent: Vec<SendConnectorEvent>,
    pub events: Vec<Event>,
    pub checks: usize,
    pub lists: usize,
    pub updates: Vec<(String, Value)>,
    pub revoked: Vec<String>,
    /// Outputs of these kinds are left undone.
    pub deaf: BTreeSet<&'static str>,
    pub left: Vec<Output>,
}

impl World {
    pub fn new() -> Self {
        Self::with(Config::new("c-1".parse().unwrap()))
    }

    pub fn with(config: Config) -> Self {
        #[allow(clippy::disallowed_methods)]
        let now = Instant::now();
        Self {
            connector: Connector::new(config),
            now,
            tokens: BTreeMap::from([
                ("ann-1".into(), "ann".into()),
                ("ann-2".into(), "ann".into()),
                ("bob-1".into(), "bob".into()),
            ]),
            devices: vec![lamp("lamp-1")],
            failure: None,
            answers: BTreeMap::new(),
            sent: Vec::new(),
            events: Vec::new(),
            checks: 0,
            lists: 0,
            updates: Vec::new(),
            revoked: Vec::new(),
            deaf: BTreeSet::new(),
            left: Vec::new(),
        }
    }

    /// What comes of a request, when everything that it asks for is done.
    pub fn ask(&mut self, payload: &str) -> Answer {
        let invocation = self.begin(payload);
        self.answers[&invocation].clone()
    }

    pub fn begin(&mut self, payload: &str) -> InvocationId {
        let invocation = self
            .connector
            .handle_invocation(payload.as_bytes(), self.now);
        self.run();
        invocation
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.connector.handle_timeout(self.now);
        self.run();
    }

    pub fn run(&mut self) {
        while let Some(output) = self.connector.poll_output() {
            if self.deaf.contains(kind(&output)) {
                self.left.push(output);
            } else {
                self.obey(output);
            }
        }
    }

    /// Does what was left undone.
    pub fn hear(&mut self) {
        self.deaf.clear();
        for output in std::mem::take(&mut self.left) {
            self.obey(output);
        }
        self.run();
    }

    fn obey(&mut self, output: Output) {
        let now = self.now;
        match output {
            Output::Answer { invocation, answer } => {
                assert!(
                    self.answers.insert(invocation, answer).is_none(),
                    "answered twice"
                );
            }
            Output::Check {
                task,
                authorization,
            } => {
                self.checks += 1;
                let user = self
                    .tokens
                    .get(&token(&authorization))
                    .map(|user| user.parse().unwrap());
                self.connector
                    .handle_checked(task, user.ok_or(CheckFailure::Invalid), now);
            }
            Output::Revoke {
                task,
                authorization,
            } => {
                let token = token(&authorization);
                let user = self.tokens.remove(&token).map(|user| user.parse().unwrap());
                self.revoked.push(token);
                self.connector.handle_revoked(task, Ok(user), now);
            }
            Output::ListDevices { task, .. } => {
                self.lists += 1;
                let devices = self.failure.map_or_else(|| Ok(self.devices.clone()), Err);
                self.connector.handle_devices(task, devices, now);
            }
            Output::FindDevice { task, device, .. } => {
                let found = self.devices.iter().find(|one| one.id == device).cloned();
                self.connector
                    .handle_device(task, found.ok_or(DeviceFailure::NotFound), now);
            }
            Output::Update { task, update, .. } => {
                self.updates.push((update.href, update.value));
                let result = self.failure.map_or(Ok(()), Err);
                self.connector.handle_updated(task, result, now);
            }
            Output::Send { task, event } => {
                self.sent.push(event);
                self.connector.handle_sent(task, Ok(()), now);
            }
            Output::Event(event) => self.events.push(event),
        }
    }

    /// The body of the only event that was sent.
    pub fn only_event(&self) -> String {
        let [event] = &self.sent[..] else {
            panic!("{:?}", self.sent)
        };
        String::from_utf8(event.to_json().to_vec()).unwrap()
    }
}

pub fn token(authorization: &Authorization) -> String {
    match authorization {
        Authorization::OAuth { token } => token.expose().to_owned(),
        other => panic!("{other:?}"),
    }
}

pub fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

pub fn kind(output: &Output) -> &'static str {
    match output {
        Output::Answer { .. } => "answer",
        Output::Check { .. } => "check",
        Output::Revoke { .. } => "revoke",
        Output::ListDevices { .. } => "list",
        Output::FindDevice { .. } => "find",
        Output::Update { .. } => "update",
        Output::Send { .. } => "send",
        Output::Event(_) => "event",
    }
}
