//! One session's task: what the device says becomes reports, one after the other, and the cloud observes its resources.

use coap_psk::dtls::SessionId;
use coap_psk::message::{Code, Method};
use coap_psk::{ExchangeId, Request, Response};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};
use uci_model::{Content, ContentFormat, DeviceId, DeviceProperties, Href, Limits};
use uci_server_core::driver::Handle as Cloud;
use uci_server_core::{AccountId, DeviceReport, Occurrence};

use super::exchanges::{self, Exchanges, Purpose};
use super::publication::Publication;
use super::{Calls, respond};
use crate::error::Error;
use crate::products::{Name, Products};

/// What a session's task is given to do.
#[derive(Debug)]
pub(super) enum Task {
    /// The device is there.
    Online,
    /// It is not, or was silent for its lifetime.
    Offline,
    /// It asks for something.
    Request {
        exchange: ExchangeId,
        request: Request,
    },
    /// A resource has a new representation.
    Changed { href: Href, content: Content },
    /// It answered what it is.
    Described(Response),
}

/// A device on one session.
#[derive(Debug)]
pub(super) struct Device {
    session: SessionId,
    name: Name,
    products: Products,
    cloud: Cloud,
    calls: Calls,
    exchanges: Exchanges,
    identified: mpsc::Sender<(SessionId, DeviceId)>,
    limits: Limits,
    /// Whose it is and what it is, once it is bound to a device id.
    known: Option<Known>,
}

/// In whose hands the device is, in the words of the cloud core.
#[derive(Clone, Debug)]
struct Known {
    account: AccountId,
    device: DeviceId,
    generation: u64,
}

impl Known {
    fn report(&self, occurrence: Occurrence) -> DeviceReport {
        let account = self.account.clone();
        DeviceReport::new(account, self.device, self.generation, occurrence)
    }
}

impl Device {
    /// Starts the task; it ends when the sender is dropped and nothing is left to do.
    #[expect(
        clippy::too_many_arguments,
        reason = "it takes a part of everything the gateway has"
    )]
    pub(super) fn start(
        session: SessionId,
        name: Name,
        products: Products,
        cloud: Cloud,
        calls: Calls,
        exchanges: Exchanges,
        identified: mpsc::Sender<(SessionId, DeviceId)>,
        capacity: usize,
    ) -> mpsc::Sender<Task> {
        let (tasks, mut receiver) = mpsc::channel(capacity);
        let mut device = Self {
            session,
            name,
            products,
            cloud,
            calls,
            exchanges,
            identified,
            limits: Limits::default(),
            known: None,
        };
        tokio::spawn(async move {
            while let Some(task) = receiver.recv().await {
                device.perform(task).await;
            }
        });
        tasks
    }

    async fn perform(&mut self, task: Task) {
        match task {
            Task::Online => self.online().await,
            Task::Offline => self.report(Occurrence::Offline).await,
            Task::Request { exchange, request } => {
                let response = self.answer(request).await;
                respond(&self.calls, exchange, response);
            }
            Task::Changed { href, content } => {
                self.report(Occurrence::RepresentationChanged { href, content })
                    .await;
            }
            Task::Described(response) => self.described(&response).await,
        }
    }

    async fn online(&mut self) {
        if let Err(error) = self.products.begin_session(&self.name).await {
            warn!(
                session = self.session.0,
                error = error.chain(),
                "the first session could not be noted"
            );
        }
        self.learn().await;
        self.report(Occurrence::Online).await;
    }

    /// Finds out whose device this is, and which, if it was bound before.
    async fn learn(&mut self) {
        let Some(holding) = self.products.holding(&self.name).await else {
            return;
        };
        let Some(id) = holding.id else {
            return;
        };
        let (Ok(account), Ok(device)) = (holding.owner.as_str().parse(), id.as_str().parse())
        else {
            return warn!(
                session = self.session.0,
                "the registry has ids that the cloud cannot use"
            );
        };
        self.known = Some(Known {
            account,
            device,
            generation: holding.generation,
        });
        // The gateway may have ended.
        let _ = self.identified.send((self.session, device)).await;
    }

    async fn report(&self, occurrence: Occurrence) {
        if let Some(known) = &self.known
            && let Err(error) = self.cloud.report(known.report(occurrence)).await
        {
            let device = known.device;
            warn!(session = self.session.0, %device, %error, "a report was not taken");
        }
    }

    async fn answer(&mut self, request: Request) -> Response {
        let path = request.path.iter().map(String::as_str).collect::<Vec<_>>();
        match (request.method, path.as_slice()) {
            (Method::Post, ["oic", "rd"]) => match self.publish(&request).await {
                Ok(content) => Response::new(Code::CHANGED)
                    .with_payload(content.format().coap_number(), content.into_body()),
                Err(refusal) => refusal,
            },
            (_, ["oic", "rd"]) => Response::new(Code::METHOD_NOT_ALLOWED),
            // A device that cannot be observed says itself what its resource holds.
            (Method::Post, [_, ..]) => self.represent(&request).await,
            _ => Response::new(Code::NOT_FOUND),
        }
    }

    async fn publish(&mut self, request: &Request) -> Result<Content, Response> {
        let publication = Publication::read(request.content_format, &request.payload, &self.limits)
            .map_err(|error| {
                info!(
                    session = self.session.0,
                    error = error.chain(),
                    "a publication was refused"
                );
                Response::new(Code::BAD_REQUEST)
            })?;
        self.bind(publication.device()).await.map_err(|error| {
            warn!(
                session = self.session.0,
                error = error.chain(),
                "a device was not bound to its id"
            );
            Response::new(Code::FORBIDDEN)
        })?;
        let links = publication.links().to_vec();
        let occurrences = [
            Occurrence::Registered,
            Occurrence::Online,
            Occurrence::LinksPublished(links.clone()),
        ];
        for occurrence in occurrences {
            self.tell(occurrence).await?;
        }
        self.describe();
        for link in links.iter().filter(|link| link.policy.is_observable()) {
            self.observe(link.href.clone());
        }
        publication
            .answered()
            .map_err(|_| Response::new(Code::INTERNAL_SERVER_ERROR))
    }

    async fn bind(&mut self, device: DeviceId) -> Result<(), Error> {
        let id = device
            .to_string()
            .parse()
            .map_err(|cause| Error::new("the device id cannot be kept", cause))?;
        self.products.bind(&self.name, id).await?;
        self.learn().await;
        if self.known.is_none() {
            return Err(Error::plain("the device has no owner"));
        }
        Ok(())
    }

    /// Reports something that the device is to hear of when it fails.
    async fn tell(&self, occurrence: Occurrence) -> Result<(), Response> {
        let Some(known) = &self.known else {
            return Err(Response::new(Code::NOT_FOUND));
        };
        let report = known.report(occurrence);
        self.cloud.report(report).await.map_err(|error| {
            let device = known.device;
            warn!(session = self.session.0, %device, %error, "a report was not taken");
            match error.kind() {
                uci_server_core::ErrorKind::Unavailable => Response::new(Code::SERVICE_UNAVAILABLE),
                _ => Response::new(Code::FORBIDDEN),
            }
        })
    }

    async fn represent(&self, request: &Request) -> Response {
        let content = exchanges::content(request.content_format, &request.payload);
        let href: Option<Href> = request.target().parse().ok();
        let (Some(content), Some(href)) = (content, href) else {
            return Response::new(Code::UNSUPPORTED_CONTENT_FORMAT);
        };
        if content.decode(&self.limits).is_err() {
            return Response::new(Code::BAD_REQUEST);
        }
        match self
            .tell(Occurrence::RepresentationChanged { href, content })
            .await
        {
            Ok(()) => Response::new(Code::CHANGED),
            Err(refusal) => refusal,
        }
    }

    /// Asks the device what it is; the answer comes back as a task.
    fn describe(&self) {
        self.begin("/oic/d", Purpose::Describe, false);
    }

    fn observe(&self, href: Href) {
        let target = href.as_str().to_owned();
        self.begin(&target, Purpose::Observe(href), true);
    }

    fn begin(&self, target: &str, purpose: Purpose, observe: bool) {
        let Ok(request) = Request::new(Method::Get, target) else {
            return;
        };
        let request = request.with_accept(ContentFormat::OcfCbor.coap_number());
        let (session, calls, exchanges) =
            (self.session, self.calls.clone(), self.exchanges.clone());
        tokio::spawn(async move {
            calls
                .call(move |endpoint, now| {
                    let begun = if observe {
                        endpoint.observe(session, request, now)
                    } else {
                        endpoint.request(session, request, now)
                    };
                    match begun {
                        Ok(exchange) => exchanges.begin(exchange, purpose),
                        Err(error) => debug!(session = session.0, %error, "a device was not asked"),
                    }
                })
                .await;
        });
    }

    async fn described(&self, response: &Response) {
        let Some(content) = exchanges::content_of(response) else {
            return;
        };
        match content.decode_as::<DeviceProperties>(&self.limits) {
            Ok(properties)
                if self
                    .known
                    .as_ref()
                    .is_some_and(|known| known.device == properties.device_id) =>
            {
                self.report(Occurrence::Described(Box::new(properties)))
                    .await;
            }
            Ok(_) => warn!(session = self.session.0, "a device describes another one"),
            Err(error) => warn!(session = self.session.0, %error, "a description cannot be read"),
        }
    }
}
