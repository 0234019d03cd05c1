//! The other side of a transfer: registrations that another instance hands over.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use provisioning_proto::migration::Bundle;
use provisioning_proto::model::{Attestation, Target};
use provisioning_proto::registration::Command;
use provisioning_proto::roster::{self, Roster};
use provisioning_proto::{ErrorKind, Secret};
use tracing::{info, warn};

use super::super::Provisioning;
use super::driver::named;
use super::instances::{Instance, Instances, Name, Told, Word};
use crate::error::Error;

impl Provisioning {
    /// Answers a request of another instance, of which the path begins with [`Instances::PREFIX`].
    pub(crate) async fn answer_instance(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let token = request.headers().get(header::AUTHORIZATION);
        let token = token.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        let instances = &self.0.migrating.instances;
        let Some(instance) = token.and_then(|token| instances.shows(token)) else {
            let mut response = bare(StatusCode::UNAUTHORIZED);
            let scheme = HeaderValue::from_static("Bearer");
            let headers = response.headers_mut();
            headers.insert(header::WWW_AUTHENTICATE, scheme);
            return response;
        };
        let path = request.uri().path().strip_prefix(Instances::PREFIX);
        let Some(name) = path.and_then(Name::read) else {
            return bare(StatusCode::NOT_FOUND);
        };
        let word = match *request.method() {
            Method::PUT => match Bundle::decode(request.body()) {
                Ok(bundle) => self.take(instance, &name, bundle).await,
                Err(cause) => {
                    let cause = Error::new("it is no registration", cause);
                    Err((StatusCode::BAD_REQUEST, cause))
                }
            },
            Method::GET => Ok(self.taken(instance, &name)),
            Method::DELETE => self.give_back(instance, &name).await,
            _ => {
                let mut response = bare(StatusCode::METHOD_NOT_ALLOWED);
                let methods = HeaderValue::from_static("GET, PUT, DELETE");
                response.headers_mut().insert(header::ALLOW, methods);
                return response;
            }
        };
        let (tenant, device) = (&instance.tenant, &name.id);
        match word {
            Ok(news) => {
                info!(%tenant, %device, instance = instance.name, ?news, method = %request.method(), "an instance asked about a transfer");
                let body = serde_json::to_vec(&Told { news }).unwrap_or_default();
                let mut response = Response::new(Bytes::from(body));
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(header::CONTENT_TYPE, json);
                response
            }
            Err((status, cause)) => {
                warn!(%tenant, %device, instance = instance.name, error = cause.chain(), "a transfer was not taken now");
                bare(status)
            }
        }
    }

    /// Takes a device in, unless there is one of its name: refused is what will never be taken under this transfer.
    pub(super) async fn take(
        &self,
        instance: &Instance,
        name: &Name,
        bundle: Bundle,
    ) -> Result<Word, (StatusCode, Error)> {
        let unreadable = |cause: Error| (StatusCode::BAD_REQUEST, cause);
        let unavailable = |cause: Error| (StatusCode::SERVICE_UNAVAILABLE, cause);
        if Name::of(&bundle) != *name {
            let text = "the registration is of another device or transfer than its path";
            return Err(unreadable(Error::plain(text)));
        }
        let (tenant, id) = (&instance.tenant, &name.id);
        let stream = Roster::stream(tenant, Roster::shard_of(id));
        let bundle = bundle.resealed(|field, sealed| {
            let secret: Secret = instance.open(name, field, sealed)?;
            let secrets = &self.0.secrets;
            secrets.seal(&stream, &named(id, field), secret.expose())
        });
        let mut bundle = bundle.map_err(unreadable)?;
        let certification = self.0.local.certification();
        let mut naming = None;
        if let Some(enrollment) = &mut bundle.enrollment {
            // Accounts are of the instance that they are at.
            enrollment.entry.owner = None;
            if let Attestation::X509Ca { ca, .. } = &enrollment.attestation {
                naming = certification.name(tenant, ca).await;
                if naming.is_none() {
                    let text = "the certificate authority of the device is not known here";
                    return Err(unavailable(Error::plain(text)));
                }
            }
        }
        let point = self.directory(|directory| {
            let point = directory.access_point(tenant, &instance.access_point);
            point.cloned()
        });
        let Some(point) = point else {
            let text = "the access point for devices of this instance is not there";
            return Err(unavailable(Error::plain(text)));
        };
        // The same application, where the access point has it: the device itself stays as it is.
        let application = bundle.assignment.target.application.clone();
        let application = application.filter(|one| point.applications.contains(one));
        let application = application.or_else(|| point.default_application.clone());
        let command = bundle.into_import(Target::new(point.id, application));
        let result = self.change(instance, name, command).await;
        drop(naming);
        match result {
            Ok(()) => Ok(Word::Accepted),
            Err(ErrorKind::Exists) => Ok(Word::Refused),
            // It was withdrawn before it came.
            Err(ErrorKind::Conflict) if self.was_withdrawn(instance, name) => Ok(Word::Withdrawn),
            Err(kind) => Err(unavailable(Error::plain(kind.to_string()))),
        }
    }

    pub(super) fn was_withdrawn(&self, instance: &Instance, name: &Name) -> bool {
        self.directory(|directory| {
            let known = directory.registration(&instance.tenant, &name.id);
            known.is_some_and(|known| known.withdrawn.contains(&name.transfer))
        })
    }

    pub(super) fn taken(&self, instance: &Instance, name: &Name) -> Word {
        self.directory(
            |directory| match directory.registration(&instance.tenant, &name.id) {
                Some(known) if known.was_seen_after(&name.transfer) => Word::Seen,
                Some(known)
                    if known
                        .transfer
                        .as_ref()
                        .is_some_and(|one| one.id == name.transfer) =>
                {
                    Word::Accepted
                }
                _ => Word::None,
            },
        )
    }

    pub(super) async fn give_back(
        &self,
        instance: &Instance,
        name: &Name,
    ) -> Result<Word, (StatusCode, Error)> {
        let transfer = name.transfer.clone();
        let command = roster::Command::Withdraw { transfer };
        match self.change(instance, name, command).await {
            Ok(()) => Ok(Word::Withdrawn),
            Err(ErrorKind::InUse) => Ok(Word::Seen),
            Err(kind) => Err((
                StatusCode::SERVICE_UNAVAILABLE,
                Error::plain(kind.to_string()),
            )),
        }
    }

    async fn change(
        &self,
        instance: &Instance,
        name: &Name,
        command: roster::Command,
    ) -> Result<(), ErrorKind> {
        let command = Command::Registration {
            tenant: instance.tenant.clone(),
            id: name.id.clone(),
            command,
        };
        self.command(command).await.map(drop)
    }
}

fn bare(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}
