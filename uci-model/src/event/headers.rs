//! The headers that every notification has, by type.

use crate::{
    error::{Error, ErrorKind, ParseIdError},
    event::EventType,
    ids::{CorrelationId, SubscriptionId},
    time::{UnixSeconds, parse_decimal},
};

/// Which notification of which subscription this is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NotificationHeaders {
    /// `Event-Type`.
    pub event_type: EventType,
    /// `Subscription-ID`.
    pub subscription_id: SubscriptionId,
    /// `Sequence-Number`: 0 for the first, one more for each that follows, across all types.
    pub sequence_number: u64,
    /// `Event-Timestamp`: when it was signed.
    pub timestamp: UnixSeconds,
    /// `Correlation-ID`: the one of the subscribe request.
    pub correlation_id: Option<CorrelationId>,
}

impl NotificationHeaders {
    /// `Event-Type`.
    pub const EVENT_TYPE: &'static str = "event-type";
    /// `Subscription-ID`.
    pub const SUBSCRIPTION_ID: &'static str = "subscription-id";
    /// `Sequence-Number`.
    pub const SEQUENCE_NUMBER: &'static str = "sequence-number";
    /// `Event-Timestamp`.
    pub const EVENT_TIMESTAMP: &'static str = "event-timestamp";
    /// `Event-Signature`.
    pub const EVENT_SIGNATURE: &'static str = "event-signature";
    /// `Correlation-ID`.
    pub const CORRELATION_ID: &'static str = "correlation-id";

    /// Headers with all that a notification must have.
    #[must_use]
    pub const fn new(
        event_type: EventType,
        subscription_id: SubscriptionId,
        sequence_number: u64,
        timestamp: UnixSeconds,
    ) -> Self {
        Self {
            event_type,
            subscription_id,
            sequence_number,
            timestamp,
            correlation_id: None,
        }
    }

    /// Reads the headers; `header` gives the value of a lower-case name.
    ///
    /// An empty `Correlation-ID` counts as none: a cloud in the field sends it so.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidHeader`] when one is missing or malformed. Numbers must be canonical decimals.
    pub fn parse<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Result<Self, Error> {
        let required =
            |name: &'static str| header(name).ok_or_else(|| ParseIdError::new(name, "is missing"));
        let parse = || -> Result<Self, ParseIdError> {
            Ok(Self {
                event_type: required(Self::EVENT_TYPE)?.into(),
                subscription_id: required(Self::SUBSCRIPTION_ID)?.parse()?,
                sequence_number: parse_decimal(required(Self::SEQUENCE_NUMBER)?).ok_or(
                    ParseIdError::new(Self::SEQUENCE_NUMBER, "is not a canonical decimal number"),
                )?,
                timestamp: required(Self::EVENT_TIMESTAMP)?.parse()?,
                correlation_id: header(Self::CORRELATION_ID)
                    .filter(|text| !text.is_empty())
                    .map(str::parse)
                    .transpose()?,
            })
        };
        parse().map_err(|error| Error::with_source(ErrorKind::InvalidHeader, error))
    }
}
