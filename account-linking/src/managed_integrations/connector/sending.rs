//! Events on their way out.

use core::time::Duration;
use std::collections::BTreeMap;
use std::time::Instant;

use crate::error::{Error, ErrorKind};
use crate::managed_integrations::connector::{
    Connector, Due, Event, Output, SendFailure, TaskId, after,
};
use crate::managed_integrations::event::SendConnectorEvent;
use crate::managed_integrations::matter::{OcfDevice, state};
use crate::managed_integrations::text::ConnectorDeviceId;
use crate::user_id::UserId;

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Whose resource a report is about.
type Subject = (UserId, ConnectorDeviceId, String);

/// Events that are being sent or wait for another attempt.
#[derive(Debug, Default)]
pub(super) struct Sends {
    open: BTreeMap<TaskId, Sending>,
    reports: BTreeMap<Subject, Slot>,
    /// How many reports are open or wait.
    reporting: usize,
    /// How many of them wait.
    waiting: usize,
}

/// The reports of one resource: what is on its way, and what comes after it, so that the newest arrives last.
#[derive(Debug, Default)]
struct Slot {
    open: usize,
    next: Vec<SendConnectorEvent>,
}

#[derive(Debug)]
struct Sending {
    event: SendConnectorEvent,
    attempt: u32,
    /// With the driver until then, or else waiting for its next attempt until then.
    deadline: Instant,
    with_driver: bool,
    reason: Reason,
}

#[derive(Clone, Debug)]
enum Reason {
    /// It answers a request with these credentials.
    Request([u8; 32]),
    /// It reports a change.
    Report(Subject),
}

impl Sends {
    /// How many events of requests are open.
    pub(super) fn answers(&self) -> usize {
        let open_reports = self.reporting.saturating_sub(self.waiting);
        self.open.len().saturating_sub(open_reports)
    }

    fn insert(&mut self, task: TaskId, sending: Sending) {
        if let Reason::Report(subject) = &sending.reason {
            let slot = self.reports.entry(subject.clone()).or_default();
            slot.open = slot.open.saturating_add(1);
            self.reporting = self.reporting.saturating_add(1);
        }
        self.open.insert(task, sending);
    }

    fn remove(&mut self, task: TaskId) -> Option<Sending> {
        let sending = self.open.remove(&task)?;
        if let Reason::Report(subject) = &sending.reason {
            self.reporting = self.reporting.saturating_sub(1);
            if let Some(slot) = self.reports.get_mut(subject) {
                slot.open = slot.open.saturating_sub(1);
            }
        }
        Some(sending)
    }

    /// Whether there is a newer report of the same resource.
    fn is_outdated(&self, sending: &Sending) -> bool {
        match &sending.reason {
            Reason::Request(_) => false,
            Reason::Report(subject) => {
                let slot = self.reports.get(subject);
                slot.is_some_and(|slot| !slot.next.is_empty())
            }
        }
    }

    /// What has waited for the last report of a resource, when there is none on its way any more.
    fn take_next(&mut self, subject: &Subject) -> Vec<SendConnectorEvent> {
        if self.reports.get(subject).is_some_and(|slot| slot.open > 0) {
            return Vec::new();
        }
        let next = self.reports.remove(subject).unwrap_or_default().next;
        self.reporting = self.reporting.saturating_sub(next.len());
        self.waiting = self.waiting.saturating_sub(next.len());
        next
    }

    /// Drops what answers requests with these credentials; what deadlines that were.
    pub(super) fn stop(&mut self, credentials: [u8; 32]) -> Vec<(Instant, TaskId)> {
        let over = |(task, sending): (&TaskId, &Sending)| match &sending.reason {
            Reason::Request(own) if *own == credentials => Some((sending.deadline, *task)),
            _ => None,
        };
        let over: Vec<_> = self.open.iter().filter_map(over).collect();
        for (_, task) in &over {
            self.remove(*task);
        }
        over
    }
}

impl Connector {
    /// Tells that a resource has another representation; `device` has it. To be called for users who are linked.
    ///
    /// Reports of one resource are sent one after the other. Of those that have to wait only the newest is sent.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] or [`ErrorKind::NoCounterpart`] when there is nothing to tell, [`ErrorKind::Full`] when
    /// [`Config::max_reports`](super::Config::max_reports) are open.
    pub fn report(
        &mut self,
        user: &UserId,
        device: &OcfDevice,
        href: &str,
        now: Instant,
    ) -> Result<(), Error> {
        let states = state(device, href)?;
        let subject = (user.clone(), device.id.clone(), href.to_owned());
        let replaced = self
            .sends
            .reports
            .get(&subject)
            .map_or(0, |slot| slot.next.len());
        let reporting = self.sends.reporting.saturating_sub(replaced);
        let reporting = reporting.saturating_add(states.len());
        if reporting > self.config.max_reports {
            return Err(ErrorKind::Full.into());
        }
        let now = self.tick(now);
        let connector = &self.config.connector;
        let event = |endpoint| {
            let (connector, user, device) = (connector.clone(), user.clone(), device.id.clone());
            SendConnectorEvent::device_event(connector, user, device, endpoint)
        };
        self.sends.reporting = reporting;
        let waiting = self.sends.waiting.saturating_sub(replaced);
        self.sends.waiting = waiting.saturating_add(states.len());
        let slot = self.sends.reports.entry(subject.clone()).or_default();
        slot.next = states.into_iter().map(event).collect();
        self.send_next(&subject, now);
        Ok(())
    }

    fn send_next(&mut self, subject: &Subject, now: Instant) {
        for event in self.sends.take_next(subject) {
            self.send_first(event, Reason::Report(subject.clone()), now);
        }
    }

    /// Sends what answers a request.
    pub(super) fn send(
        &mut self,
        event: SendConnectorEvent,
        credentials: Option<[u8; 32]>,
        now: Instant,
    ) {
        let reason = Reason::Request(credentials.unwrap_or_default());
        self.send_first(event, reason, now);
    }

    fn send_first(&mut self, event: SendConnectorEvent, reason: Reason, now: Instant) {
        let sending = Sending {
            event,
            attempt: 1,
            deadline: now,
            with_driver: false,
            reason,
        };
        let task = TaskId(self.next_id());
        self.sends.insert(task, sending);
        self.send_now(task, now);
    }

    fn send_now(&mut self, task: TaskId, now: Instant) {
        let deadline = after(now, self.config.send_timeout);
        let Some(sending) = self.sends.open.get_mut(&task) else {
            return;
        };
        sending.deadline = deadline;
        sending.with_driver = true;
        let event = sending.event.clone();
        self.deadlines.insert((deadline, Due::Send(task)));
        self.outputs.push_back(Output::Send { task, event });
    }

    /// Takes whether an event was accepted, with 202.
    pub fn handle_sent(&mut self, task: TaskId, result: Result<(), SendFailure>, now: Instant) {
        let now = self.tick(now);
        let Some(sending) = self
            .sends
            .open
            .get(&task)
            .filter(|sending| sending.with_driver)
        else {
            return;
        };
        let deadline = sending.deadline;
        self.deadlines.remove(&(deadline, Due::Send(task)));
        match result {
            Ok(()) => {
                if let Some(Reason::Report(subject)) =
                    self.sends.remove(task).map(|sent| sent.reason)
                {
                    self.send_next(&subject, now);
                }
            }
            Err(failure) => self.send_failed(task, failure, now),
        }
    }

    pub(super) fn send_is_due(&mut self, task: TaskId, now: Instant) {
        match self
            .sends
            .open
            .get(&task)
            .map(|sending| sending.with_driver)
        {
            Some(true) => self.send_failed(task, SendFailure::Later, now),
            Some(false) => self.send_now(task, now),
            None => {}
        }
    }

    fn send_failed(&mut self, task: TaskId, failure: SendFailure, now: Instant) {
        let Some(mut sending) = self.sends.remove(task) else {
            return;
        };
        let outdated = self.sends.is_outdated(&sending);
        if outdated
            || failure == SendFailure::Refused
            || sending.attempt >= self.config.send_attempts
        {
            if !outdated {
                let (operation, user) = (sending.event.operation(), sending.event.user().clone());
                let lost = Event::NotSent { operation, user };
                self.outputs.push_back(Output::Event(lost));
            }
            if let Reason::Report(subject) = sending.reason {
                self.send_next(&subject, now);
            }
            return;
        }
        let doubled = 1_u32.checked_shl(sending.attempt.saturating_sub(1));
        let wait = self
            .config
            .first_wait
            .saturating_mul(doubled.unwrap_or(u32::MAX));
        sending.attempt = sending.attempt.saturating_add(1);
        sending.with_driver = false;
        sending.deadline = after(now, wait.min(LONGEST_WAIT));
        // Under another name, so that a late answer to the last attempt is not one to the next.
        let task = TaskId(self.next_id());
        self.deadlines.insert((sending.deadline, Due::Send(task)));
        self.sends.insert(task, sending);
    }
}
