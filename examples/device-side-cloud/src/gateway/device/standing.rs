//! Whether the device is there, and what follows from it: its secret is told no more, it has a device id, it is registered,
//! it is online or offline. What cannot be made durable is tried again.

use std::future::pending;
use std::time::{Duration, Instant};

use coap_psk::identity::Lifetime;
use tracing::warn;
use uci_server_core::{ErrorKind, Occurrence};

use super::Device;
use crate::clock;
use crate::gateway::shared::{AGAIN, Known};
use crate::products::Failure;

/// How far the cloud is with a device on its session.
#[derive(Debug)]
pub(super) struct Standing {
    lifetime: Lifetime,
    online: bool,
    /// It is durable that the device has its own secret, and its lifetime.
    begun: bool,
    /// Until when it may publish a device id of its own.
    grace_ends: Instant,
    /// When something is to be done, although the device says nothing.
    due: Option<Instant>,
}

impl Standing {
    pub(super) fn new(lifetime: Lifetime, grace: Duration) -> Self {
        let now = clock::now();
        Self {
            lifetime,
            online: false,
            begun: false,
            grace_ends: now.checked_add(grace).unwrap_or(now),
            due: None,
        }
    }

    /// The device does something else than publish.
    pub(super) fn end_grace(&mut self) {
        self.grace_ends = self.grace_ends.min(clock::now());
    }

    /// Waits until something is to be done.
    pub(super) async fn due(&self) {
        match self.due {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => pending().await,
        }
    }
}

impl Device {
    pub(super) async fn set_online(&mut self, online: bool) {
        self.standing.online = online;
        self.standing.due = Some(clock::now());
        self.settle_in_time().await;
    }

    /// Settles what there is to settle now that something has changed.
    pub(super) async fn settle_anew(&mut self) -> Result<(), Failure> {
        self.standing.due = Some(clock::now());
        self.settle().await
    }

    /// Settles what is due when the device did not ask for anything that could be refused.
    pub(super) async fn settle_in_time(&mut self) {
        if let Err(Failure::Refused(error) | Failure::Unavailable(error)) = self.settle().await {
            let (session, device) = (self.session.0, &self.name);
            warn!(session, %device, error = error.chain(), "a device's standing is not settled");
        }
    }

    /// Makes durable what follows from the device's being there or not, unless that is done.
    pub(super) async fn settle(&mut self) -> Result<(), Failure> {
        if self.standing.due.is_none() {
            return Ok(());
        }
        let settled = if self.standing.online {
            self.arrive().await
        } else {
            self.depart().await
        };
        match &settled {
            // A device that was shut out meanwhile.
            Err(Failure::Refused(_)) if !self.standing.begun => self.shared.close(self.session),
            Err(Failure::Unavailable(_)) => self.standing.due = clock::now().checked_add(AGAIN),
            Ok(()) | Err(Failure::Refused(_)) => {}
        }
        settled
    }

    /// The device is there. Until it has a device id of its own, the cloud waits for one, and then gives it one.
    async fn arrive(&mut self) -> Result<(), Failure> {
        self.standing.due = None;
        let products = &self.shared.products;
        if !self.standing.begun {
            let lifetime = self.standing.lifetime.as_secs();
            products.begin_session(&self.name, lifetime).await?;
            self.standing.begun = true;
        }
        // A device that belongs to nobody is known to nobody.
        let Some(holding) = products.holding(&self.name).await else {
            return Ok(());
        };
        if holding.id.is_none() {
            if clock::now() < self.standing.grace_ends {
                self.standing.due = Some(self.standing.grace_ends);
                return Ok(());
            }
            products.give_id(&self.name).await?;
        }
        match self.learn().await {
            Some(known) => {
                self.tell_arrival(&known).await?;
                self.offer_template().await
            }
            None => Ok(()),
        }
    }

    /// Finds out whose device this is, and which; `None` before it is bound.
    async fn learn(&mut self) -> Option<Known> {
        let holding = self.shared.products.holding(&self.name).await?;
        let (Ok(account), Ok(device)) =
            (holding.owner.as_str().parse(), holding.id?.as_str().parse())
        else {
            let session = self.session.0;
            warn!(session, "the registry has ids that the cloud cannot use");
            return None;
        };
        let known = Known {
            account,
            device,
            generation: holding.generation,
        };
        self.known = Some(known.clone());
        // The gateway may have ended.
        let _ = self.shared.identified.send((self.session, device)).await;
        Some(known)
    }

    async fn tell_arrival(&self, known: &Known) -> Result<(), Failure> {
        match self.shared.tell(known, Occurrence::Online).await {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Superseded) => {
                // It is new to its owner.
                self.shared.tell(known, Occurrence::Registered).await?;
                Ok(self.shared.tell(known, Occurrence::Online).await?)
            }
            told => Ok(told?),
        }
    }

    async fn depart(&mut self) -> Result<(), Failure> {
        self.standing.due = None;
        match &self.known {
            Some(known) => Ok(self.shared.tell(known, Occurrence::Offline).await?),
            None => Ok(()),
        }
    }

    /// The session is gone. What is still to be reported, the gateway does.
    pub(super) fn leave(self) {
        if let (false, Some(_), Some(known)) = (self.standing.online, self.standing.due, self.known)
        {
            self.shared.expect(known, AGAIN);
        }
    }
}
