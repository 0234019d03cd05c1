//! Makes changes true. Total and pure: what follows by rule follows from the account and the change alone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use uci_model::{Content, DeviceId, Event, EventType, Href, ResourceLink, SubscriptionId};

use super::body::Body;
use super::{
    Account, Change, Description, DeviceRecord, EndCause, Fact, Links, NewSubscription,
    Notification, Subscription, Target,
};
use crate::time::UnixMillis;

/// What a change touched.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Touched {
    /// The device whose links or properties are new.
    pub described: Option<DeviceId>,
    /// Whether signing secrets are gone that must not be kept any longer, not in the history either: their consent has ended.
    pub forgotten: bool,
    /// The subscriptions whose queue may have changed.
    pub queues: BTreeSet<SubscriptionId>,
    /// The subscriptions that ended with it, and why.
    pub ended: Vec<(SubscriptionId, EndCause)>,
}

/// How much of a queue an ended subscription still delivers before its cancellation.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Keep {
    All,
    Head,
    Nothing,
}

impl Account {
    /// Makes `change` true and returns the subscriptions that it touched.
    pub fn apply(&mut self, change: &Change) -> Touched {
        self.clock = self.clock.max(change.at);
        let mut touched = Touched::default();
        match &change.fact {
            Fact::DeviceRegistered { device, generation } => {
                self.apply_registered(*device, *generation, &mut touched);
            }
            Fact::DeviceUnregistered { device } => self.apply_unregistered(*device, &mut touched),
            Fact::DeviceOnline { device } => self.apply_presence(*device, true, &mut touched),
            Fact::DeviceOffline { device } => self.apply_presence(*device, false, &mut touched),
            Fact::DeviceDescribed { device, properties } => {
                if let Some(record) = self.devices.get_mut(device) {
                    record.description = Some(Box::new(Description::new(properties)));
                    touched.described = Some(*device);
                }
            }
            Fact::LinksPublished { device, links } => {
                self.apply_published(*device, links, &mut touched);
            }
            Fact::LinksWithdrawn { device, hrefs } => {
                self.apply_withdrawn(*device, hrefs, &mut touched);
            }
            Fact::RepresentationChanged {
                device,
                href,
                content,
            } => {
                self.apply_representation(*device, href, content, &mut touched);
            }
            Fact::Subscribed { id, made } => self.apply_subscribed(*id, made, &mut touched),
            Fact::Delivered { id, sequence } => self.apply_delivered(*id, *sequence, &mut touched),
            Fact::SubscriptionEnded { id, cause } => self.end(*id, *cause, &mut touched),
            Fact::SubscriptionRemoved { id } => {
                self.remove(*id, &mut touched);
                touched.queues.insert(*id);
            }
            Fact::GrantEnded {
                grant,
                remember_until,
            } => {
                let clock = self.clock;
                self.ended_grants.retain(|_, until| *until > clock);
                self.ended_grants.insert(grant.clone(), *remember_until);
                let of_grant: Vec<SubscriptionId> = self
                    .subscriptions
                    .iter()
                    .filter(|(_, subscription)| subscription.made.grant == *grant)
                    .map(|(id, _)| *id)
                    .collect();
                for id in of_grant {
                    self.end(id, EndCause::GrantEnded, &mut touched);
                }
                touched.forgotten |= self.index.left_behind.remove(grant);
            }
            Fact::Erased => {
                touched.queues.extend(self.subscriptions.keys());
                *self = Self {
                    clock: self.clock,
                    erased: true,
                    ..Self::default()
                };
            }
        }
        touched
    }

    fn apply_registered(&mut self, device: DeviceId, generation: u64, touched: &mut Touched) {
        if let Some(record) = self.devices.get_mut(&device) {
            record.generation = generation;
            return;
        }
        let record = DeviceRecord {
            generation,
            online: false,
            description: None,
            links: Links::default(),
            representations: BTreeMap::new(),
        };
        self.devices.insert(device, record);
        let body = Body::new(Event::DevicesRegistered(vec![device]));
        self.tell(&Target::Devices, body, touched);
    }

    fn apply_unregistered(&mut self, device: DeviceId, touched: &mut Touched) {
        if self.devices.remove(&device).is_none() {
            return;
        }
        self.index.online.remove(&device);
        let body = Body::new(Event::DevicesUnregistered(vec![device]));
        self.tell(&Target::Devices, body, touched);
        let of_device = |target: &Target| matches!(target, Target::Device(of) | Target::Resource(of, _) if *of == device);
        let targets = self.index.by_target.keys();
        let concerned: Vec<Target> = targets.filter(|t| of_device(t)).cloned().collect();
        for target in concerned {
            self.end_all(&target, EndCause::DeviceUnregistered, touched);
        }
    }

    fn apply_published(&mut self, device: DeviceId, links: &[ResourceLink], touched: &mut Touched) {
        let Some(record) = self.devices.get_mut(&device) else {
            return;
        };
        record.links.publish(device, links);
        touched.described = Some(device);
        let links = links.iter().map(|link| link.clone().for_cloud(device));
        let body = Body::new(Event::ResourcesPublished(links.collect()));
        self.tell(&Target::Device(device), body, touched);
    }

    /// What is not offered any more cannot change any more: who watches it is told so, not left waiting.
    fn apply_withdrawn(&mut self, device: DeviceId, hrefs: &[Href], touched: &mut Touched) {
        let Some(record) = self.devices.get_mut(&device) else {
            return;
        };
        let withdrawn = record.links.withdraw(hrefs);
        touched.described = Some(device);
        for href in hrefs {
            record.representations.remove(href);
        }
        let links = withdrawn.iter().map(|listed| listed.of_device(device));
        let body = Body::new(Event::ResourcesUnpublished(links.collect()));
        self.tell(&Target::Device(device), body, touched);
        for href in hrefs {
            let target = Target::Resource(device, href.clone());
            self.end_all(&target, EndCause::LinkWithdrawn, touched);
        }
    }

    fn apply_presence(&mut self, device: DeviceId, online: bool, touched: &mut Touched) {
        let Some(record) = self.devices.get_mut(&device) else {
            return;
        };
        if record.online == online {
            return;
        }
        record.online = online;
        let event = if online {
            self.index.online.insert(device);
            Event::DevicesOnline(vec![device])
        } else {
            self.index.online.remove(&device);
            Event::DevicesOffline(vec![device])
        };
        self.tell(&Target::Devices, Body::new(event), touched);
    }

    fn apply_representation(
        &mut self,
        device: DeviceId,
        href: &Href,
        content: &Content,
        touched: &mut Touched,
    ) {
        let Some(record) = self.devices.get_mut(&device) else {
            return;
        };
        if record.links.get(href).is_none() {
            return;
        }
        record.representations.insert(href.clone(), content.clone());
        let target = Target::Resource(device, href.clone());
        self.tell(&target, Body::changed(content), touched);
    }

    /// One notification for every subscription of the target that wants the event.
    fn tell(&mut self, target: &Target, mut body: Body, touched: &mut Touched) {
        let (at, event) = (self.clock, body.event_type());
        let Some(ids) = self.index.by_target.get(target) else {
            return;
        };
        for id in ids {
            let Some(subscription) = self.subscriptions.get_mut(id) else {
                continue;
            };
            if !subscription.made.event_types.contains(&event) {
                continue;
            }
            let Some(bytes) = body.render(subscription.made.format) else {
                continue;
            };
            let was_open = subscription.ended.is_none();
            subscription.push(event.clone(), bytes, at);
            self.index.owing.insert(*id);
            touched.queues.insert(*id);
            touched.ended.extend(
                subscription
                    .ended
                    .filter(|_| was_open)
                    .map(|cause| (*id, cause)),
            );
        }
    }

    fn apply_subscribed(
        &mut self,
        id: SubscriptionId,
        made: &NewSubscription,
        touched: &mut Touched,
    ) {
        let mut subscription = Subscription {
            made: made.clone(),
            next_sequence: 0,
            queue: VecDeque::new(),
            ended: None,
        };
        for event in &made.event_types {
            let body = self
                .initial_body(&made.target, event)
                .and_then(|mut body| body.render(made.format));
            if let Some(bytes) = body {
                subscription.push(event.clone(), bytes, self.clock);
            }
        }
        self.index
            .by_target
            .entry(made.target.clone())
            .or_default()
            .insert(id);
        if !subscription.queue.is_empty() {
            self.index.owing.insert(id);
        }
        self.subscriptions.insert(id, subscription);
        touched.queues.insert(id);
    }

    /// The present state as the event tells it. A representation that is not known yet is told when it comes.
    fn initial_body(&self, target: &Target, event: &EventType) -> Option<Body> {
        let all = |online: Option<bool>| {
            let wanted =
                |record: &DeviceRecord| online.is_none_or(|online| record.online == online);
            self.devices
                .iter()
                .filter(|(_, record)| wanted(record))
                .map(|(id, _)| *id)
                .collect()
        };
        let event = match (target, event) {
            (Target::Devices, EventType::DevicesRegistered) => Event::DevicesRegistered(all(None)),
            (Target::Devices, EventType::DevicesUnregistered) => Event::DevicesUnregistered(vec![]),
            (Target::Devices, EventType::DevicesOnline) => Event::DevicesOnline(all(Some(true))),
            (Target::Devices, EventType::DevicesOffline) => Event::DevicesOffline(all(Some(false))),
            (Target::Device(device), EventType::ResourcesPublished) => {
                let record = self.devices.get(device)?;
                let links = record.links.iter().map(|listed| listed.of_device(*device));
                Event::ResourcesPublished(links.collect())
            }
            (Target::Device(_), EventType::ResourcesUnpublished) => {
                Event::ResourcesUnpublished(vec![])
            }
            (Target::Resource(device, href), EventType::ResourceContentChanged) => {
                let resource = self.devices.get(device)?.resource(href)?;
                Event::ResourceContentChanged(resource.representation()?.clone())
            }
            _ => return None,
        };
        Some(Body::new(event))
    }

    fn apply_delivered(&mut self, id: SubscriptionId, sequence: u64, touched: &mut Touched) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        if subscription
            .head()
            .is_none_or(|head| head.sequence != sequence)
        {
            return;
        }
        subscription.queue.pop_front();
        touched.queues.insert(id);
        if subscription.queue.is_empty() {
            self.index.owing.remove(&id);
            if subscription.ended.is_some() {
                self.remove(id, touched);
            }
        }
    }

    fn end_all(&mut self, target: &Target, cause: EndCause, touched: &mut Touched) {
        let ids = self.index.by_target.get(target).cloned();
        for id in ids.unwrap_or_default() {
            self.end(id, cause, touched);
        }
    }

    fn end(&mut self, id: SubscriptionId, cause: EndCause, touched: &mut Touched) {
        let at = self.clock;
        let Some(subscription) = self.subscriptions.get_mut(&id) else {
            return;
        };
        if subscription.ended.is_none() {
            touched.ended.push((id, cause));
        }
        subscription.end(cause, at);
        self.index.owing.insert(id);
        touched.queues.insert(id);
    }

    /// The sealed secret goes with it.
    fn remove(&mut self, id: SubscriptionId, touched: &mut Touched) {
        let Some(subscription) = self.subscriptions.remove(&id) else {
            return;
        };
        let NewSubscription { target, grant, .. } = subscription.made;
        if subscription.ended == Some(EndCause::GrantEnded) {
            touched.forgotten = true;
        } else {
            self.index.left_behind.insert(grant);
        }
        self.index.owing.remove(&id);
        if let Some(ids) = self.index.by_target.get_mut(&target) {
            ids.remove(&id);
            if ids.is_empty() {
                self.index.by_target.remove(&target);
            }
        }
    }
}

impl Subscription {
    fn push(&mut self, event_type: EventType, body: Bytes, at: UnixMillis) {
        if self.ended.is_some() {
            return;
        }
        let rules = self.made.rules;
        let behind_head = self.queue.len() > 1;
        if let Some(last) = self.queue.back_mut()
            && behind_head
            && rules.coalesce
            && event_type == EventType::ResourceContentChanged
            && last.event_type == event_type
        {
            last.body = body;
            return;
        }
        if self.queue.len() >= usize::try_from(rules.limit).unwrap_or(usize::MAX) {
            self.end(EndCause::Overflow, at);
            return;
        }
        self.number(event_type, body, at);
    }

    fn end(&mut self, cause: EndCause, at: UnixMillis) {
        let keep = match cause {
            EndCause::DeviceUnregistered | EndCause::LinkWithdrawn => Keep::All,
            EndCause::Unsubscribed | EndCause::Overflow => Keep::Head,
            EndCause::GrantEnded | EndCause::Expired | EndCause::Refused => Keep::Nothing,
        };
        // A second end counts only when it drops what the first one still wanted to deliver.
        if self.ended.is_some() && keep != Keep::Nothing {
            return;
        }
        // Only the head can have been sent: the numbers behind it are free again.
        if let Some(head) = self.queue.front()
            && !self.awaits_cancellation_only()
        {
            let after_head = head.sequence.saturating_add(1);
            match keep {
                Keep::All => {}
                Keep::Head => {
                    self.queue.truncate(1);
                    self.next_sequence = after_head;
                }
                Keep::Nothing => {
                    self.queue.clear();
                    self.next_sequence = after_head;
                }
            }
        }
        let first_end = self.ended.replace(cause).is_none();
        if first_end || self.queue.is_empty() {
            self.number(EventType::SubscriptionCancelled, Bytes::new(), at);
        }
    }

    fn number(&mut self, event_type: EventType, body: Bytes, since: UnixMillis) {
        let sequence = self.next_sequence;
        self.next_sequence = sequence.saturating_add(1);
        self.queue.push_back(Notification {
            sequence,
            event_type,
            body,
            since,
        });
    }
}
