//! What happened to a subscription. The written form is forever: variants are only added, fields only with a default.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uci_model::{ContentFormat, CorrelationId, EventType, SubscriptionId};

use super::{Sealed, SubscribeId, Target, from_cbor};
use crate::error::{Error, ErrorKind};

/// One thing that happened.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum Change {
    /// The caller asked for a subscription.
    Wanted {
        id: SubscribeId,
        target: Target,
        event_types: Vec<EventType>,
        format: ContentFormat,
    },
    /// A try began, with a fresh secret.
    Attempted {
        id: SubscribeId,
        correlation: CorrelationId,
        secret: Sealed,
        /// What it asks for, when that is not all that is wanted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event_types: Option<Vec<EventType>>,
    },
    /// The peer gave the try an id.
    Bound {
        id: SubscribeId,
        subscription: SubscriptionId,
    },
    /// A notification was taken.
    Notified {
        id: SubscribeId,
        sequence: u64,
        /// Its event type, when it is the first of that type under the try.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        first: Option<EventType>,
    },
    /// The peer ended the subscription.
    Cancelled { id: SubscribeId },
    /// The caller gave it up.
    Released { id: SubscribeId },
    /// Nothing is left to do for it.
    Closed { id: SubscribeId },
}

impl Change {
    /// The subscription that it happened to.
    pub(crate) const fn id(&self) -> SubscribeId {
        match self {
            Self::Wanted { id, .. }
            | Self::Attempted { id, .. }
            | Self::Bound { id, .. }
            | Self::Notified { id, .. }
            | Self::Cancelled { id }
            | Self::Released { id }
            | Self::Closed { id } => *id,
        }
    }

    pub(crate) fn encode(&self) -> Result<Bytes, Error> {
        let mut bytes = Vec::new();
        ciborium::into_writer(self, &mut bytes)
            .map_err(|source| Error::caused(ErrorKind::Unreadable, source))?;
        Ok(Bytes::from(bytes))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        from_cbor(bytes)
    }
}
