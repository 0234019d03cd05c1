//! An HTTP request, read completely before anything is done.

use std::time::SystemTime;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request};
use uci_model::{
    Content, ContentFormat, CorrelationId, DeviceId, EventTypes, Href, Interface, SigningSecret,
    SubscribeBody, SubscriptionId, SubscriptionLevel, Value,
};

use crate::account::Target;
use crate::authorization::{Authentication, Principal, authenticate, authorize};
use crate::config::Config;
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

/// What is asked for, one variant for each kind of answer.
#[derive(Debug)]
pub(crate) enum Action {
    RetrieveDevices { batch: Batch, format: ContentFormat },
    RetrieveDevice { device: DeviceId, batch: Batch, format: ContentFormat },
    RetrieveResource(ResourceAction),
    UpdateResource { on: ResourceAction, content: Content, value: Value },
    Subscribe(Subscribe),
    Unsubscribe { target: Target, subscription: SubscriptionId },
}

/// `content=base|all`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Batch {
    Base,
    All,
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
    pub(crate) events_url: String,
    pub(crate) event_types: EventTypes,
    pub(crate) signing_secret: SigningSecret,
    pub(crate) correlation: Option<CorrelationId>,
    pub(crate) format: ContentFormat,
}

/// Reads a request: credentials, path, scopes, formats, query, body, in this order.
pub(crate) fn read(
    config: &Config,
    request: &Request<Bytes>,
    authentication: Authentication,
    wall: SystemTime,
) -> Result<Incoming, Problem> {
    let principal = authenticate(authentication, wall).map_err(Problem::refused)?;
    let route = route(&config.prefix, request.method(), request.uri().path())?;
    authorize(&principal, &route).map_err(Problem::refused)?;
    let headers = request.headers();
    let query = Query::read(request.uri().query().unwrap_or_default());
    let negotiated = || response_format(headers).ok_or_else(Problem::not_acceptable);
    let resource = |device, href| -> Result<ResourceAction, Problem> {
        Ok(ResourceAction { device, href, interface: query.interface()?, format: negotiated()? })
    };
    let action = match route {
        Route::RetrieveDevices => {
            let format = negotiated()?;
            Action::RetrieveDevices { batch: query.batch()?, format }
        }
        Route::RetrieveDevice { device } => {
            let format = negotiated()?;
            Action::RetrieveDevice { device, batch: query.batch()?, format }
        }
        Route::RetrieveResource { device, href } => {
            Action::RetrieveResource(resource(device, href)?)
        }
        Route::UpdateResource { device, href } => {
            let on = resource(device, href)?;
            let content = content(config, request)?;
            let value = content.decode(&config.content)?;
            Action::UpdateResource { on, content, value }
        }
        Route::Subscribe { target } => Action::Subscribe(subscribe(config, request, target)?),
        Route::Unsubscribe { target, subscription } => Action::Unsubscribe { target, subscription },
    };
    Ok(Incoming { principal, action })
}

/// The body with its format; anything but the two formats is a 415.
fn content(config: &Config, request: &Request<Bytes>) -> Result<Content, Problem> {
    let format = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| ContentFormat::from_content_type(value.to_str().ok()?))
        .ok_or_else(Problem::unsupported_media_type)?;
    if request.body().len() > config.content.max_length {
        return Err(Problem::bad_request("the body is too long"));
    }
    Ok(Content::new(format, request.body().clone()))
}

fn subscribe(
    config: &Config,
    request: &Request<Bytes>,
    target: Target,
) -> Result<Subscribe, Problem> {
    let level = match target {
        Target::Devices => SubscriptionLevel::Devices,
        Target::Device(_) => SubscriptionLevel::Device,
        Target::Resource(..) => SubscriptionLevel::Resource,
    };
    let body = SubscribeBody::decode(level, &content(config, request)?, &config.content)?;
    let url = config
        .events_url
        .check(body.events_url.as_str())
        .map_err(|error| Problem::bad_request(&error.to_string()))?;
    Ok(Subscribe {
        target,
        // As it was checked, not as it was written: what is sent to is what was judged.
        events_url: url.into(),
        event_types: body.event_types,
        signing_secret: body.signing_secret,
        correlation: correlation(request.headers()),
        format: notification_format(request.headers()),
    })
}

/// The `Correlation-ID`, when it is one.
fn correlation(headers: &HeaderMap) -> Option<CorrelationId> {
    headers.get(CORRELATION_ID)?.to_str().ok()?.parse().ok()
}

/// The parameters that mean something here; all others are ignored.
struct Query {
    content: Vec<String>,
    interfaces: Vec<String>,
}

impl Query {
    fn read(query: &str) -> Self {
        let values = |wanted: &str| {
            url::form_urlencoded::parse(query.as_bytes())
                .filter(|(name, _)| name == wanted)
                .map(|(_, value)| value.into_owned())
                .collect()
        };
        Self { content: values("content"), interfaces: values("if") }
    }

    fn batch(&self) -> Result<Batch, Problem> {
        let mut batches = self.content.iter().map(|value| match value.as_str() {
            "base" => Ok(Batch::Base),
            "all" => Ok(Batch::All),
            _ => Err(Problem::bad_request("content is neither base nor all")),
        });
        let first = batches.next().unwrap_or(Ok(Batch::Base))?;
        for batch in batches {
            if batch? != first {
                return Err(Problem::bad_request("content is given twice"));
            }
        }
        Ok(first)
    }

    fn interface(&self) -> Result<Option<Interface>, Problem> {
        match self.interfaces.as_slice() {
            [] => Ok(None),
            [one] => one
                .parse()
                .map(Some)
                .map_err(|_| Problem::bad_request("if does not name an interface")),
            _ => Err(Problem::bad_request("if is given twice")),
        }
    }
}
