//! Keeping the mirror in step: by notifications at once, and by fetching what they leave open.

use std::time::Instant;

use uci_model::api::{
    BatchFormat, RequestOptions, retrieve_device, retrieve_devices, retrieve_resource,
};

use super::exchanging::Answer;
use super::{Client, Timer};
use crate::calls::{Call, Order, Reply};
use crate::exchange::Purpose;
use crate::mirror::{Learned, MirrorChange, Stamp};
use crate::notifications::Notification;
use crate::output::{Event, FailureKind, Output};
use crate::subscriptions::is_refusal;
use crate::sync::{Part, Parts, Scope};

impl Client {
    /// Fetches all devices, links and representations; [`Event::InStep`] follows when the mirror has them.
    pub fn resync(&mut self, now: Instant) {
        let now = self.advance(now);
        self.sync.mark(Scope::All);
        self.settle(now);
    }

    /// Lets a notification change the mirror, and fetches what it leaves open.
    pub(super) fn reflect(&mut self, notification: &Notification) {
        let Some(target) = self
            .store
            .ledger
            .get(notification.id)
            .map(|wanted| wanted.target.clone())
        else {
            return;
        };
        if notification.gap {
            self.sync.mark(Scope::of(&target));
        }
        let learned = self
            .mirror
            .note(&target, &notification.event, &self.config.limits);
        self.tell(learned);
    }

    /// Begins the next fetch, unless one is on its way.
    pub(super) fn fetch(&mut self) {
        if let Some((scope, part)) = self.sync.start() {
            self.fetch_part(scope, part);
        }
    }

    fn fetch_part(&mut self, scope: Scope, part: Part) {
        let batch = match part {
            Part::Links => BatchFormat::Base,
            Part::Contents => BatchFormat::All,
        };
        let options = RequestOptions::accepting(self.config.format);
        let call = match &scope {
            Scope::All => {
                let mut request = retrieve_devices::Request::new(batch);
                request.options = options;
                Call::from(request)
            }
            Scope::Device(device) => {
                let mut request = retrieve_device::Request::new(*device, batch);
                request.options = options;
                Call::from(request)
            }
            Scope::Resource(device, href) => {
                let mut request = retrieve_resource::Request::new(*device, href.clone());
                request.options = options;
                Call::from(request)
            }
        };
        let since = self.mirror.now();
        self.exchanges
            .add(Purpose::Sync { scope, part, since }, Order::Call(call));
    }

    /// Takes the end of a fetch.
    pub(super) fn sync_ended(
        &mut self,
        scope: Scope,
        part: Part,
        since: Stamp,
        order: &Order,
        answer: Answer<'_>,
        now: Instant,
    ) {
        let reply = answer.and_then(|response| match order {
            Order::Call(call) => Ok(call.decode(response)?),
            Order::Subscribe { .. } | Order::Unsubscribe { .. } => {
                Err(FailureKind::Undecodable.into())
            }
        });
        let failure = match reply {
            Ok(reply) => match self.take(&scope, part, since, &reply) {
                Some(learned) => {
                    if part == Part::Links {
                        self.took_links(&scope, &learned);
                    }
                    self.tell(learned);
                    return self.fetch_next(scope);
                }
                None => FailureKind::Undecodable.into(),
            },
            Err(failure) => failure,
        };
        match (&scope, failure.kind) {
            (Scope::Device(device), FailureKind::Status(404)) => {
                let learned = self.mirror.take_absence(*device, since);
                self.tell(learned);
                self.sync.settle();
                self.end_polled_without_target(&scope);
            }
            // What is known of it stays until a notification or the next fetch of everything says otherwise.
            (Scope::Device(_) | Scope::Resource(..), kind) if is_refused(kind) => {
                self.sync.settle();
            }
            _ => {
                let failures = self.sync.fail();
                let delay =
                    self.config
                        .backoff
                        .delay(failures, failure.retry_after, &mut self.random);
                self.timers.set(Timer::Sync, now, delay);
                // Without a subscription nobody counts on the mirror: it is not worth another try.
                if self.activities.is_empty() {
                    self.sync.clear();
                }
            }
        }
    }

    /// Goes on with the next part of a scope, or says that it is complete.
    fn fetch_next(&mut self, scope: Scope) {
        let parts = self.sync.open_parts();
        match self.sync.succeed() {
            Some(part) => self.fetch_part(scope, part),
            None => {
                self.mirror.forget_removed();
                if scope == Scope::All && parts == Parts::ALL {
                    self.outputs.push_back(Output::Event(Event::InStep));
                }
            }
        }
    }

    /// Goes on from devices and links that were just taken.
    fn took_links(&mut self, scope: &Scope, learned: &Learned) {
        if !self.sync.open_parts().contents {
            for change in &learned.changes {
                if let MirrorChange::DeviceAdded { device } = change {
                    self.sync
                        .mark_parts(Scope::Device(*device), Parts::CONTENTS);
                }
            }
        }
        // A device that does not fit into the mirror may well be there.
        if !learned.full {
            self.end_polled_without_target(scope);
        }
    }

    /// Puts what was fetched into the mirror; `None` when it cannot be read.
    fn take(&mut self, scope: &Scope, part: Part, since: Stamp, reply: &Reply) -> Option<Learned> {
        let limits = &self.config.fetch_limits;
        match (scope, reply, part) {
            (_, Reply::Devices(response), Part::Links) => Some(
                self.mirror
                    .take_devices(response.decode_base(limits).ok()?, since),
            ),
            (_, Reply::Devices(response), Part::Contents) => Some(
                self.mirror
                    .take_contents(response.decode_all(limits).ok()?, since),
            ),
            (_, Reply::Device(response), Part::Links) => Some(
                self.mirror
                    .take_device(response.decode_base(limits).ok()?, since),
            ),
            (_, Reply::Device(response), Part::Contents) => Some(
                self.mirror
                    .take_contents(vec![response.decode_all(limits).ok()?], since),
            ),
            (Scope::Resource(device, href), Reply::Representation(representation), _) => {
                match representation
                    .content
                    .as_ref()
                    .map(|content| content.decode(&self.config.limits))
                {
                    Some(value) => {
                        Some(
                            self.mirror
                                .take_representation(*device, href, value.ok()?, since),
                        )
                    }
                    None => Some(Learned::default()),
                }
            }
            (_, Reply::Representation(_), _) => None,
        }
    }

    fn tell(&mut self, learned: Learned) {
        for scope in learned.fetch {
            self.sync.mark(scope);
        }
        let changes = learned
            .changes
            .into_iter()
            .map(|change| Output::Event(Event::Mirror(change)));
        self.outputs.extend(changes);
        if learned.full {
            self.outputs.push_back(Output::Event(Event::MirrorFull));
        }
    }
}

/// Whether the same fetch would fail again.
const fn is_refused(kind: FailureKind) -> bool {
    match kind {
        FailureKind::Status(status) => is_refusal(status),
        FailureKind::Inexpressible => true,
        _ => false,
    }
}
