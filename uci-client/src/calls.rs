//! The typed calls, and every other request to the peer, as `http` messages.

use bytes::Bytes;
use uci_model::api::{
    AccessToken, OutgoingRequest, Representation, RequestOptions, Subscribed, decode_response,
    retrieve_device, retrieve_devices, retrieve_resource, subscribe_to_device,
    subscribe_to_devices, subscribe_to_resource, unsubscribe_from_device, unsubscribe_from_devices,
    unsubscribe_from_resource, update_resource,
};
use uci_model::{
    ContentFormat, CorrelationId, Error as ModelError, ErrorKind, EventType, EventTypes,
    SigningSecret, SubscribeBody, SubscriptionId,
};

use crate::config::Config;
use crate::ledger::Target;
use crate::output::FailureKind;

/// A call that the caller makes of the peer: one of the endpoints of `uci_model::api`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Call {
    /// `GET /devices`
    RetrieveDevices(retrieve_devices::Request),
    /// `GET /devices/{deviceId}`
    RetrieveDevice(retrieve_device::Request),
    /// `GET /devices/{deviceId}/{resourceLinkHref}`
    RetrieveResource(retrieve_resource::Request),
    /// `POST /devices/{deviceId}/{resourceLinkHref}`
    UpdateResource(update_resource::Request),
}

/// What the peer answered to a [`Call`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Reply {
    /// To [`Call::RetrieveDevices`].
    Devices(retrieve_devices::Response),
    /// To [`Call::RetrieveDevice`].
    Device(retrieve_device::Response),
    /// To [`Call::RetrieveResource`] and [`Call::UpdateResource`].
    Representation(Representation),
}

impl From<retrieve_devices::Request> for Call {
    fn from(request: retrieve_devices::Request) -> Self {
        Self::RetrieveDevices(request)
    }
}

impl From<retrieve_device::Request> for Call {
    fn from(request: retrieve_device::Request) -> Self {
        Self::RetrieveDevice(request)
    }
}

impl From<retrieve_resource::Request> for Call {
    fn from(request: retrieve_resource::Request) -> Self {
        Self::RetrieveResource(request)
    }
}

impl From<update_resource::Request> for Call {
    fn from(request: update_resource::Request) -> Self {
        Self::UpdateResource(request)
    }
}

impl Call {
    /// Fills in what the caller left open: the media type of the answer.
    ///
    /// Always exactly one, because peers in the field read a list of two differently from one another.
    pub(crate) fn accepting(mut self, format: ContentFormat) -> Self {
        let options = match &mut self {
            Self::RetrieveDevices(request) => &mut request.options,
            Self::RetrieveDevice(request) => &mut request.options,
            Self::RetrieveResource(request) => &mut request.options,
            Self::UpdateResource(request) => &mut request.options,
        };
        options.accept.get_or_insert(format);
        self
    }

    /// Reads the answer to the call.
    pub(crate) fn decode(&self, response: &http::Response<Bytes>) -> Result<Reply, FailureKind> {
        let reply = match self {
            Self::RetrieveDevices(_) => decode_response(response).map(Reply::Devices),
            Self::RetrieveDevice(_) => decode_response(response).map(Reply::Device),
            Self::RetrieveResource(_) | Self::UpdateResource(_) => {
                decode_response(response).map(Reply::Representation)
            }
        };
        reply.map_err(|error| failure_kind(&error))
    }
}

/// A request to the peer, kept until it is answered because a 401 is answered by another try.
#[derive(Clone, Debug)]
pub(crate) enum Order {
    Call(Call),
    Subscribe {
        target: Target,
        event_types: Vec<EventType>,
        correlation: CorrelationId,
        secret: SigningSecret,
        format: ContentFormat,
    },
    Unsubscribe {
        target: Target,
        subscription: SubscriptionId,
    },
}

impl Order {
    /// The request as it is sent.
    pub(crate) fn to_http(
        &self,
        config: &Config,
        token: &AccessToken,
    ) -> Result<http::Request<Bytes>, ModelError> {
        let base = config.base();
        match self.clone() {
            Self::Call(Call::RetrieveDevices(request)) => {
                request.try_into_http_request(base, token)
            }
            Self::Call(Call::RetrieveDevice(request)) => request.try_into_http_request(base, token),
            Self::Call(Call::RetrieveResource(request)) => {
                request.try_into_http_request(base, token)
            }
            Self::Call(Call::UpdateResource(request)) => request.try_into_http_request(base, token),
            Self::Subscribe {
                target,
                event_types,
                correlation,
                secret,
                format,
            } => {
                let event_types = EventTypes::new(target.level(), event_types)?;
                let body = SubscribeBody::new(config.events_url().clone(), event_types, secret);
                let mut options = RequestOptions::accepting(format);
                options.correlation_id = Some(correlation);
                match target {
                    Target::Devices => {
                        let mut request = subscribe_to_devices::Request::new(body);
                        request.options = options;
                        request.try_into_http_request(base, token)
                    }
                    Target::Device { device } => {
                        let mut request = subscribe_to_device::Request::new(device, body);
                        request.options = options;
                        request.try_into_http_request(base, token)
                    }
                    Target::Resource { device, href } => {
                        let mut request = subscribe_to_resource::Request::new(device, href, body);
                        request.options = options;
                        request.try_into_http_request(base, token)
                    }
                }
            }
            Self::Unsubscribe {
                target,
                subscription,
            } => match target {
                Target::Devices => unsubscribe_from_devices::Request::new(subscription)
                    .try_into_http_request(base, token),
                Target::Device { device } => {
                    unsubscribe_from_device::Request::new(device, subscription)
                        .try_into_http_request(base, token)
                }
                Target::Resource { device, href } => {
                    unsubscribe_from_resource::Request::new(device, href, subscription)
                        .try_into_http_request(base, token)
                }
            },
        }
    }
}

/// Reads the answer to a subscribe request.
pub(crate) fn decode_subscribed(
    response: &http::Response<Bytes>,
) -> Result<SubscriptionId, FailureKind> {
    let subscribed: Subscribed = decode_response(response).map_err(|error| failure_kind(&error))?;
    Ok(subscribed.subscription_id)
}

fn failure_kind(error: &ModelError) -> FailureKind {
    match error.kind() {
        ErrorKind::Status(status) => FailureKind::Status(status),
        _ => FailureKind::Undecodable,
    }
}
