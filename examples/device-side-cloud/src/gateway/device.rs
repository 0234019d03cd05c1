//! One session's task: what the device says becomes reports, one after the other, and the cloud observes its resources.

mod standing;
mod telling;

use std::sync::Arc;

use coap_psk::dtls::SessionId;
use coap_psk::identity::Lifetime;
use coap_psk::measurepoint::Template;
use coap_psk::message::{Code, Method};
use coap_psk::{ExchangeId, Request, Response};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};
use uci_model::{Content, ContentFormat, DeviceId, DeviceProperties, Href, Limits};
use uci_server_core::{ErrorKind, Occurrence};

use super::exchanges::{self, Purpose};
use super::publication::Publication;
use super::shared::{Known, Shared, refusal, unavailable};
use crate::products::{Failure, Name};
use standing::Standing;

/// How many tasks may wait at one session.
const TASKS: usize = 64;

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
    shared: Shared,
    limits: Limits,
    standing: Standing,
    /// Whose it is and what it is, once it is bound to a device id.
    known: Option<Known>,
    /// The device id that it published on this session: another one than the cloud's, if that gave it one before.
    published: Option<DeviceId>,
    /// The template of its product, once what it says was published on this session.
    offered: Option<Arc<Template>>,
}

impl Device {
    /// Starts the task; it ends when the sender is dropped and nothing is left to do.
    pub(super) fn start(
        session: SessionId,
        name: Name,
        lifetime: Lifetime,
        shared: Shared,
    ) -> mpsc::Sender<Task> {
        let (tasks, mut receiver) = mpsc::channel(TASKS);
        let mut device = Self {
            session,
            name,
            standing: Standing::new(lifetime, shared.registration_grace),
            shared,
            limits: Limits::default(),
            known: None,
            published: None,
            offered: None,
        };
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    task = receiver.recv() => match task {
                        Some(task) => device.perform(task).await,
                        None => return device.leave(),
                    },
                    () = device.standing.due() => device.settle_in_time().await,
                }
            }
        });
        tasks
    }

    async fn perform(&mut self, task: Task) {
        match task {
            Task::Online => self.set_online(true).await,
            Task::Offline => self.set_online(false).await,
            Task::Request { exchange, request } => {
                let response = self.answer(request).await;
                self.shared.respond(exchange, response);
            }
            Task::Changed { href, content } => {
                self.report(Occurrence::RepresentationChanged { href, content })
                    .await;
            }
            Task::Described(response) => self.described(&response).await,
        }
    }

    async fn report(&self, occurrence: Occurrence) {
        if let Some(known) = &self.known
            && let Err(error) = self.shared.tell(known, occurrence).await
        {
            let device = known.device;
            warn!(session = self.session.0, %device, %error, "a report was not taken");
        }
    }

    async fn answer(&mut self, request: Request) -> Response {
        let path: Vec<_> = request.path.iter().map(String::as_str).collect();
        let publishes = request.method == Method::Post && path == ["oic", "rd"];
        if !publishes {
            self.standing.end_grace();
        }
        // What it says counts only after that it is there.
        if let Err(failure) = self.settle().await {
            return refusal(failure, format_args!("what {} asks for", self.name));
        }
        match (request.method, path.as_slice()) {
            (Method::Post, ["oic", "rd"]) => match self.publish(&request).await {
                Ok(content) => Response::new(Code::CHANGED)
                    .with_payload(content.format().coap_number(), content.into_body()),
                Err(refusal) => refusal,
            },
            (_, ["oic", "rd"]) => Response::new(Code::METHOD_NOT_ALLOWED),
            (_, ["topic", ..]) => self.answer_topic(&request).await,
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
        let known = self
            .bind(publication.device())
            .await
            .map_err(|failure| refusal(failure, format_args!("the device id of {}", self.name)))?;
        let links = publication.links_of(known.device);
        self.tell(Occurrence::LinksPublished(links.clone())).await?;
        self.describe();
        for link in links.iter().filter(|link| link.policy.is_observable()) {
            self.observe(link.href.clone());
        }
        publication
            .answered()
            .map_err(|_| Response::new(Code::INTERNAL_SERVER_ERROR))
    }

    /// Binds the device to the id that it publishes, and registers it. The cloud's id for it is in what comes back.
    async fn bind(&mut self, published: DeviceId) -> Result<Known, Failure> {
        self.shared.products.bind(&self.name, published).await?;
        self.published = Some(published);
        self.settle_anew().await?;
        let owned = self.known.clone();
        owned.ok_or_else(|| Failure::refused("the device has no owner"))
    }

    /// Reports something that the device is to hear of when it fails.
    async fn tell(&self, occurrence: Occurrence) -> Result<(), Response> {
        let Some(known) = &self.known else {
            return Err(Response::new(Code::NOT_FOUND));
        };
        self.shared.tell(known, occurrence).await.map_err(|error| {
            let device = known.device;
            warn!(session = self.session.0, %device, %error, "a report was not taken");
            match error.kind() {
                ErrorKind::NotFound => Response::new(Code::NOT_FOUND),
                ErrorKind::Unavailable => unavailable(),
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
        let (session, shared) = (self.session, self.shared.clone());
        tokio::spawn(async move {
            let exchanges = shared.exchanges;
            shared
                .calls
                .call(session, move |endpoint, now| {
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
            Ok(properties) if self.published == Some(properties.device_id) => {
                self.report(Occurrence::Described(Box::new(properties)))
                    .await;
            }
            Ok(_) => warn!(session = self.session.0, "a device describes another one"),
            Err(error) => warn!(session = self.session.0, %error, "a description cannot be read"),
        }
    }
}
