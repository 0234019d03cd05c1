//! Turns commands into changes. A function of the ledger, the command and the moment; it touches nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uci_model::{Content, DeviceId, DeviceProperties, Href, Limits, ResourceLink, SubscriptionId};

use super::properties::merged;
use super::{
    Account, Change, DeviceRecord, EndCause, Fact, Listed, NewSubscription, Subscription, Target,
};
use crate::config::AccountLimits;
use crate::device_port::Occurrence;
use crate::error::{Error, ErrorKind};
use crate::ids::GrantId;
use crate::time::UnixMillis;

/// What is asked of an account.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// A device did something.
    Report {
        /// The device.
        device: DeviceId,
        /// The ownership under which it acts.
        generation: u64,
        /// What it did.
        occurrence: Occurrence,
    },
    /// A client subscribes.
    Subscribe {
        /// The new subscription's id.
        id: SubscriptionId,
        /// How it is made.
        made: Box<NewSubscription>,
    },
    /// A client unsubscribes.
    Unsubscribe {
        /// The subscription.
        id: SubscriptionId,
        /// What the client says it subscribed to.
        target: Target,
        /// The consent under which the client acts.
        grant: GrantId,
    },
    /// The head of a queue was delivered.
    Delivered {
        /// The subscription.
        id: SubscriptionId,
        /// The number that was delivered.
        sequence: u64,
    },
    /// A subscription's notification cannot be delivered: end it.
    End {
        /// The subscription.
        id: SubscriptionId,
        /// Why.
        cause: EndCause,
    },
    /// A subscription's receiver does not want it, or cannot be told of its end: forget it.
    Remove {
        /// The subscription.
        id: SubscriptionId,
    },
    /// The user withdrew a consent.
    EndGrant {
        /// The grant.
        grant: GrantId,
        /// For how long its access tokens may still turn up.
        remember_for: Duration,
    },
    /// Nothing of the account is to be kept. Changes nothing in one that holds nothing.
    Erase,
}

/// When, and within which bounds, a command is decided.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Moment {
    /// Wall time.
    pub wall: UnixMillis,
    /// Bounds on the account.
    pub limits: AccountLimits,
    /// Bounds on a representation.
    pub content: Limits,
}

impl Moment {
    /// A moment with the default bounds on representations.
    #[must_use]
    pub fn new(wall: UnixMillis, limits: AccountLimits) -> Self {
        Self {
            wall,
            limits,
            content: Limits::default(),
        }
    }
}

impl Account {
    /// The changes that follow from `command`; none when it changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::Superseded`], [`ErrorKind::Malformed`], [`ErrorKind::Full`] and
    /// [`ErrorKind::GrantEnded`]; then nothing follows.
    pub fn decide(&self, command: &Command, moment: &Moment) -> Result<Vec<Change>, Error> {
        let at = self.clock.max(moment.wall);
        let fact = match command {
            Command::Report {
                device,
                generation,
                occurrence,
            } => self.decide_report(*device, *generation, occurrence, moment)?,
            Command::Subscribe { id, made } => {
                self.decide_subscribe(made, &moment.limits)?;
                Some(Fact::Subscribed {
                    id: *id,
                    made: made.clone(),
                })
            }
            Command::Unsubscribe { id, target, grant } => {
                let subscription = self.subscriptions.get(id).filter(|subscription| {
                    let made = &subscription.made;
                    // Of another client or under another path it does not exist.
                    made.grant == *grant && made.target == *target && subscription.ended.is_none()
                });
                subscription.ok_or(ErrorKind::NotFound)?;
                Some(Fact::SubscriptionEnded {
                    id: *id,
                    cause: EndCause::Unsubscribed,
                })
            }
            Command::Delivered { id, sequence } => {
                let head = self
                    .subscriptions
                    .get(id)
                    .and_then(|subscription| subscription.head());
                let is_head = head.is_some_and(|head| head.sequence == *sequence);
                is_head.then_some(Fact::Delivered {
                    id: *id,
                    sequence: *sequence,
                })
            }
            Command::End { id, cause } => {
                // Also of one that has ended: what it still wanted to deliver must not hold up its cancellation.
                let blocked = self
                    .subscriptions
                    .get(id)
                    .is_some_and(|s| s.ended.is_none() || !s.awaits_cancellation_only());
                blocked.then_some(Fact::SubscriptionEnded {
                    id: *id,
                    cause: *cause,
                })
            }
            Command::Remove { id } => self
                .subscriptions
                .contains_key(id)
                .then_some(Fact::SubscriptionRemoved { id: *id }),
            Command::EndGrant {
                grant,
                remember_for,
            } => (!self.has_ended(grant)).then(|| Fact::GrantEnded {
                grant: grant.clone(),
                remember_until: at.after(*remember_for),
            }),
            Command::Erase => (!self.is_new() && !self.erased).then_some(Fact::Erased),
        };
        let Some(fact) = fact else {
            return Ok(Vec::new());
        };
        let change = Change { at, fact };
        check_readable(&change)?;
        Ok(vec![change])
    }

    /// Whether nothing was ever written into it. Even an account that is empty by now has a history.
    fn is_new(&self) -> bool {
        self.clock == UnixMillis::default() && self.devices.is_empty()
    }

    fn decide_subscribe(
        &self,
        made: &NewSubscription,
        limits: &AccountLimits,
    ) -> Result<(), Error> {
        if self.has_ended(&made.grant) {
            return Err(ErrorKind::GrantEnded.into());
        }
        match &made.target {
            Target::Devices => {}
            Target::Device(device) => {
                self.devices.get(device).ok_or(ErrorKind::NotFound)?;
            }
            Target::Resource(device, href) => {
                let record = self.devices.get(device).ok_or(ErrorKind::NotFound)?;
                record.links.get(href).ok_or(ErrorKind::NotFound)?;
            }
        }
        let subscriptions = self.subscriptions.values();
        let of_client = |held: &&Subscription| held.made.client == made.client;
        // Nobody has more than all have: seldom must anything be counted.
        if self.subscriptions.len() >= limits.subscriptions
            || self.subscriptions.len() >= limits.client_subscriptions
                && subscriptions.filter(of_client).count() >= limits.client_subscriptions
        {
            let reason = "the account or the client has as many subscriptions as it may have";
            return Err(Error::with_source(ErrorKind::Full, reason));
        }
        Ok(())
    }

    fn decide_report(
        &self,
        device: DeviceId,
        generation: u64,
        occurrence: &Occurrence,
        moment: &Moment,
    ) -> Result<Option<Fact>, Error> {
        let limits = &moment.limits;
        if *occurrence == Occurrence::Registered {
            return self.decide_registered(device, generation, limits);
        }
        let record = self.devices.get(&device).ok_or(ErrorKind::NotFound)?;
        if record.generation != generation {
            return Err(ErrorKind::Superseded.into());
        }
        Ok(match occurrence {
            Occurrence::Registered => None,
            Occurrence::Unregistered => Some(Fact::DeviceUnregistered { device }),
            Occurrence::Online => (!record.online).then_some(Fact::DeviceOnline { device }),
            Occurrence::Offline => record.online.then_some(Fact::DeviceOffline { device }),
            Occurrence::Described(properties) => {
                let properties = Box::new(completed(device, properties));
                let known = record.properties(device).as_ref() == Some(properties.as_ref());
                (!known).then_some(Fact::DeviceDescribed { device, properties })
            }
            Occurrence::LinksPublished(links) => {
                let links = record.news_of(device, links, limits)?;
                (!links.is_empty()).then_some(Fact::LinksPublished { device, links })
            }
            Occurrence::LinksWithdrawn(hrefs) => {
                let hrefs = record.offered(device, hrefs);
                (!hrefs.is_empty()).then_some(Fact::LinksWithdrawn { device, hrefs })
            }
            Occurrence::PropertiesChanged { href, content } => {
                let href = href.without_device(device);
                let resource = record.resource(&href).ok_or(ErrorKind::NotFound)?;
                let whole = merged(resource.representation(), content, &moment.content)?;
                if let Some(whole) = &whole {
                    check_content(whole, &moment.content)?;
                }
                whole.map(|content| Fact::RepresentationChanged {
                    device,
                    href,
                    content,
                })
            }
            Occurrence::RepresentationChanged { href, content } => {
                let href = href.without_device(device);
                let resource = record.resource(&href).ok_or(ErrorKind::NotFound)?;
                let known = resource.representation() == Some(content);
                if !known {
                    check_content(content, &moment.content)?;
                }
                let content = content.clone();
                (!known).then_some(Fact::RepresentationChanged {
                    device,
                    href,
                    content,
                })
            }
        })
    }

    fn decide_registered(
        &self,
        device: DeviceId,
        generation: u64,
        limits: &AccountLimits,
    ) -> Result<Option<Fact>, Error> {
        match self.devices.get(&device) {
            Some(record) if record.generation > generation => Err(ErrorKind::Superseded.into()),
            Some(record) if record.generation == generation => Ok(None),
            None if self.devices.len() >= limits.devices => Err(ErrorKind::Full.into()),
            _ => Ok(Some(Fact::DeviceRegistered { device, generation })),
        }
    }
}

impl DeviceRecord {
    /// The links that are new or changed, as the device names itself; of two with one href the later.
    fn news_of(
        &self,
        device: DeviceId,
        links: &[ResourceLink],
        limits: &AccountLimits,
    ) -> Result<Vec<ResourceLink>, Error> {
        let mut news = BTreeMap::new();
        for link in links {
            let mut link = link.clone();
            link.href = link.href.without_device(device);
            // Listed with the device before it, it must still be an href: one that is too long spoils the whole list.
            let listed: Result<Href, _> = link.href.with_device(device).as_str().parse();
            listed.map_err(|error| Error::with_source(ErrorKind::Malformed, error))?;
            let known = self.links.get(&link.href);
            if known.is_some_and(|known| *known == Listed::new(device, &link)) {
                news.remove(&link.href);
            } else {
                news.insert(link.href.clone(), link);
            }
        }
        let added = news
            .keys()
            .filter(|href| self.links.get(href).is_none())
            .count();
        if self.links.len().saturating_add(added) > limits.links {
            return Err(ErrorKind::Full.into());
        }
        Ok(news.into_values().collect())
    }

    /// Those of `hrefs` that are offered, each once; all that are for an empty list.
    fn offered(&self, device: DeviceId, hrefs: &[Href]) -> Vec<Href> {
        if hrefs.is_empty() {
            return self.links.iter().map(|l| l.href().clone()).collect();
        }
        let named: BTreeSet<Href> = hrefs
            .iter()
            .map(|href| href.without_device(device))
            .collect();
        named
            .into_iter()
            .filter(|href| self.links.get(href).is_some())
            .collect()
    }
}

/// A representation must be readable in both formats, because subscribers may want either.
fn check_content(content: &Content, limits: &Limits) -> Result<(), Error> {
    content
        .check(limits)
        .map_err(|error| Error::with_source(ErrorKind::Malformed, error))
}

/// The properties as the interface lists them: of this very device, whatever it calls itself, and with an item where one
/// is required.
fn completed(device: DeviceId, properties: &DeviceProperties) -> DeviceProperties {
    let least = DeviceProperties::new(device);
    let mut properties = properties.clone();
    properties.device_id = device;
    if properties.resource_types.is_empty() {
        properties.resource_types = least.resource_types;
    }
    if properties.manufacturer_name.is_empty() {
        properties.manufacturer_name = least.manufacturer_name;
    }
    properties
}

/// What is written must be readable for ever, or the account is lost with it. Links and properties may carry members that
/// are deeper or more than a reader takes.
fn check_readable(change: &Change) -> Result<(), Error> {
    if let Fact::DeviceDescribed { .. } | Fact::LinksPublished { .. } = change.fact {
        Change::decode(&change.encode()?)
            .map_err(|error| Error::with_source(ErrorKind::Malformed, error))?;
    }
    Ok(())
}
