//! An HTTP request, read completely before anything is done.

use std::time::SystemTime;

use bytes::Bytes;
use http::Request;
use uci_model::api::{
    BatchFormat, IncomingRequest as _, RequestOptions, retrieve_device, retrieve_devices,
    retrieve_resource, subscribe_to_device, subscribe_to_devices, subscribe_to_resource,
    update_resource,
};
use uci_model::{Content, ContentFormat, DeviceId, Href, Interface, SubscribeBody, SubscriptionId};

use crate::account::Target;
use crate::authorization::{Authentication, Principal, authenticate, authorize};
use crate::config::Config;
use crate::ids::ClientId;
use crate::negotiation::{notification_format, response_format};
use crate::response::Problem;
use crate::router::{Route, route};

/// The header that links the requests of one transaction.
pub(crate) const CORRELATION_ID: &str = "correlation-id";

/// A request that may be carried out.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) principal: Principal,
    pub(crate) action: Action,
}

/// What a request is for.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// The description of the interface, which is no secret.
    Description,
    /// Something of the principal's account.
    OfAccount(Box<Incoming>),
}

/// What is asked for, one variant for each kind of answer.
#[derive(Debug)]
pub(crate) enum Action {
    RetrieveDevices {
        batch: BatchFormat,
        format: ContentFormat,
    },
    RetrieveDevice {
        device: DeviceId,
        batch: BatchFormat,
        format: ContentFormat,
    },
    RetrieveResource(ResourceAction),
    UpdateResource {
        on: ResourceAction,
        /// Readable, within the bounds.
        content: Content,
    },
    Subscribe(Subscribe),
    Unsubscribe {
        target: Target,
        subscription: SubscriptionId,
    },
}

/// A resource, how to look at it and how to answer.
#[derive(Clone, Debug)]
pub(crate) struct ResourceAction {
    pub(crate) device: DeviceId,
    pub(crate) href: Href,
    pub(crate) interface: Option<Interface>,
    pub(crate) format: ContentFormat,
}

/// A subscription to be made.
#[derive(Debug)]
pub(crate) struct Subscribe {
    pub(crate) target: Target,
    pub(crate) body: SubscribeBody,
    /// As it was checked, not as it was written: what is sent to is what was judged.
    pub(crate) events_url: String,
    pub(crate) options: RequestOptions,
    pub(crate) format: ContentFormat,
}

/// Reads a request: credentials, quota, path, scopes, formats, then query and body.
///
/// `admit` says whether the client may ask at all now.
pub(crate) fn read(
    config: &Config,
    request: &Request<Bytes>,
    authentication: Authentication,
    wall: SystemTime,
    admit: impl FnOnce(&ClientId) -> Result<(), Problem>,
) -> Result<Wanted, Problem> {
    let route = route(&config.prefix, request.method(), request.uri().path());
    if route == Ok(Route::RetrieveDescription) {
        return Ok(Wanted::Description);
    }
    let principal = authenticate(authentication, wall).map_err(Problem::refused)?;
    admit(&principal.client)?;
    let route = route?;
    authorize(&principal, &route).map_err(Problem::refused)?;
    let reads_body = matches!(
        route,
        Route::UpdateResource { .. } | Route::Subscribe { .. }
    );
    let longest = config.client.body.min(config.content.max_length);
    if reads_body && request.body().len() > longest {
        return Err(Problem::content_too_large());
    }
    let negotiated = || response_format(request.headers()).ok_or_else(Problem::not_acceptable);
    let action = match route {
        Route::RetrieveDescription => return Ok(Wanted::Description),
        Route::RetrieveDevices => {
            let format = negotiated()?;
            let typed = retrieve_devices::Request::try_from_http_request(request, &[])?;
            Action::RetrieveDevices {
                batch: typed.batch_format,
                format,
            }
        }
        Route::RetrieveDevice { device } => {
            let format = negotiated()?;
            let path_args = [&*device.to_string()];
            let typed = retrieve_device::Request::try_from_http_request(request, &path_args)?;
            Action::RetrieveDevice {
                device,
                batch: typed.batch_format,
                format,
            }
        }
        Route::RetrieveResource { device, href } => {
            let format = negotiated()?;
            let path_args = [&*device.to_string(), href.as_str()];
            let typed = retrieve_resource::Request::try_from_http_request(request, &path_args)?;
            let interface = typed.interface;
            Action::RetrieveResource(ResourceAction {
                device,
                href,
                interface,
                format,
            })
        }
        Route::UpdateResource { device, href } => {
            let format = negotiated()?;
            let path_args = [&*device.to_string(), href.as_str()];
            let typed = update_resource::Request::try_from_http_request(request, &path_args)?;
            let (interface, content) = (typed.interface, typed.content);
            content.check(&config.content)?;
            let on = ResourceAction {
                device,
                href,
                interface,
                format,
            };
            Action::UpdateResource { on, content }
        }
        Route::Subscribe { target } => Action::Subscribe(subscribe(config, request, target)?),
        Route::Unsubscribe {
            target,
            subscription,
        } => Action::Unsubscribe {
            target,
            subscription,
        },
    };
    let incoming = Incoming { principal, action };
    Ok(Wanted::OfAccount(Box::new(incoming)))
}

fn subscribe(
    config: &Config,
    request: &Request<Bytes>,
    target: Target,
) -> Result<Subscribe, Problem> {
    let (body, options) = match &target {
        Target::Devices => {
            let typed = subscribe_to_devices::Request::try_from_http_request(request, &[])?;
            (typed.body, typed.options)
        }
        Target::Device(device) => {
            let path_args = [&*device.to_string()];
            let typed = subscribe_to_device::Request::try_from_http_request(request, &path_args)?;
            (typed.body, typed.options)
        }
        Target::Resource(device, href) => {
            let path_args = [&*device.to_string(), href.as_str()];
            let typed = subscribe_to_resource::Request::try_from_http_request(request, &path_args)?;
            (typed.body, typed.options)
        }
    };
    let url = config
        .events_url
        .check(body.events_url.as_str())
        .map_err(|error| Problem::bad_request(&error.to_string()))?;
    let format = notification_format(request.headers());
    Ok(Subscribe {
        target,
        body,
        events_url: url.into(),
        options,
        format,
    })
}
