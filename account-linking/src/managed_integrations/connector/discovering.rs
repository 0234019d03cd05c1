//! A discovery: the list of a user's devices becomes one event, or several.

use std::time::Instant;

use crate::error::ErrorKind;
use crate::managed_integrations::connector::{
    Connector, DeviceFailure, Event, LeftOut, Output, TaskId, WorkKind,
};
use crate::managed_integrations::event::SendConnectorEvent;
use crate::managed_integrations::matter::{OcfDevice, describe};
use crate::managed_integrations::text::{Message, StatusCode};

impl Connector {
    /// Takes the devices of a user, for a discovery.
    pub fn handle_devices(
        &mut self,
        task: TaskId,
        result: Result<Vec<OcfDevice>, DeviceFailure>,
        now: Instant,
    ) {
        let now = self.tick(now);
        let Some(id) = self.end_step(task, |kind| matches!(kind, WorkKind::Discovery(_))) else {
            return;
        };
        self.discovered(id, result, now);
    }

    pub(super) fn discovered(
        &mut self,
        id: u64,
        result: Result<Vec<OcfDevice>, DeviceFailure>,
        now: Instant,
    ) {
        let Some(work) = self.works.remove(&id) else {
            return;
        };
        let WorkKind::Discovery(discovery) = work.kind else {
            return;
        };
        let connector = self.config.connector.clone();
        let (user, credentials) = (work.user, work.authorization.fingerprint());
        let failed = |status, message: &str| {
            let (connector, user, discovery) = (connector.clone(), user.clone(), discovery.clone());
            let message = Message::nearest(message);
            vec![SendConnectorEvent::discovery_failed(
                connector, user, discovery, status, message,
            )]
        };
        let events = match result {
            Err(failure) => failed(failure.status(), "The devices cannot be listed now"),
            Ok(devices) if devices.len() > self.config.max_devices => failed(
                StatusCode::CONTENT_TOO_LARGE,
                "The user has too many devices",
            ),
            Ok(devices) => {
                let mut described = Vec::new();
                for device in devices {
                    match describe(&device) {
                        Ok(device) => described.push(device),
                        Err(error) => {
                            let reason = match error.kind() {
                                ErrorKind::NoCounterpart => LeftOut::NoCounterpart,
                                _ => LeftOut::TooLarge,
                            };
                            let (user, device) = (user.clone(), device.id);
                            let left = Event::LeftOut {
                                user,
                                device,
                                reason,
                            };
                            self.outputs.push_back(Output::Event(left));
                        }
                    }
                }
                let mut parts: Vec<_> = described
                    .chunks(self.config.devices_per_event.max(1))
                    .map(<[_]>::to_vec)
                    .collect();
                if parts.is_empty() {
                    parts.push(Vec::new());
                }
                let event = |devices| {
                    let (connector, user, discovery) =
                        (connector.clone(), user.clone(), discovery.clone());
                    SendConnectorEvent::discovery(connector, user, discovery, devices)
                };
                parts.into_iter().map(event).collect()
            }
        };
        for event in events {
            self.send(event, Some(credentials), now);
        }
    }
}
