//! Moves what the machine of migrations asks for to where it is done, and the answers back; decides nothing.

use http::Method;
use provisioning_proto::migration::{Bundle, BundleField, Output};
use provisioning_proto::roster::Roster;
use provisioning_proto::{RegistrationId, TenantId, TransferId};
use tracing::{debug, error, info, warn};

use super::super::Provisioning;
use super::instances::{Instance, Name, Word};
use crate::clock;
use crate::error::Error;

impl Provisioning {
    pub(super) async fn carry_on(self, output: Output) {
        match output {
            Output::Append(append) => self.append_migrations(append).await,
            Output::Reload(tenant) => {
                if let Err(cause) = self.load_migrations(&tenant).await {
                    error!(%tenant, error = cause.chain(), "migrations go on without their stream");
                }
            }
            Output::Look { tenant, id } => self.look(&tenant, &id),
            Output::Trigger { tenant, id } => self.trigger(&tenant, &id),
            Output::Offer {
                tenant,
                id,
                transfer,
                instance,
            } => {
                let method = Method::PUT;
                self.ask_instance(tenant, id, transfer, instance, method)
                    .await;
            }
            Output::Ask {
                tenant,
                id,
                transfer,
                instance,
            } => {
                let method = Method::GET;
                self.ask_instance(tenant, id, transfer, instance, method)
                    .await;
            }
            Output::Withdraw {
                tenant,
                id,
                transfer,
                instance,
            } => {
                let method = Method::DELETE;
                self.ask_instance(tenant, id, transfer, instance, method)
                    .await;
            }
            // They were done in their order.
            Output::Direct { .. }
            | Output::Retire { .. }
            | Output::Done { .. }
            | Output::Moved { .. } => {}
        }
    }

    /// Asks another instance about a transfer, and tells the machine what it said; what went wrong is asked again.
    async fn ask_instance(
        &self,
        tenant: TenantId,
        id: RegistrationId,
        transfer: TransferId,
        name: String,
        method: Method,
    ) {
        let instances = &self.0.migrating.instances;
        let Some(instance) = instances.find(&tenant, &name) else {
            warn!(%tenant, device = %id, instance = name, "a transfer waits for an instance that the configuration does not name");
            return;
        };
        let Some(place) = &instance.place else {
            info!(%tenant, device = %id, instance = name, "a transfer waits for a file that an operator carries");
            return;
        };
        let body = match method {
            Method::PUT => self.bundle(instance, &id, &transfer),
            _ => Ok(None),
        };
        let body = match (body, &method) {
            (Ok(Some(bundle)), _) => written(&bundle).map(Some),
            (Ok(None), &Method::PUT) => Ok(None),
            (Ok(None), _) => Ok(Some(Vec::new())),
            (Err(cause), _) => Err(cause),
        };
        let asked = match body {
            Ok(Some(body)) => {
                let asked = instances.ask(instance, place, method, &transfer, &id, body);
                asked.await
            }
            Ok(None) => {
                debug!(%tenant, device = %id, "a device that is to be transferred has no assignment");
                return;
            }
            Err(cause) => Err(cause),
        };
        match asked.map(Word::news) {
            Ok(Some(news)) => self.migrating(|state| {
                let (wall, now) = (clock::wall(), clock::now());
                let machine = &mut state.machine;
                machine.handle_news(&tenant, &id, &transfer, news, wall, now);
            }),
            Ok(None) => {}
            Err(cause) => {
                warn!(%tenant, device = %id, instance = name, error = cause.chain(), "another instance was asked in vain");
            }
        }
    }

    /// A device's registration with its secrets sealed for the way; `None` for one without an assignment.
    pub(super) fn bundle(
        &self,
        instance: &Instance,
        id: &RegistrationId,
        transfer: &TransferId,
    ) -> Result<Option<Bundle>, Error> {
        let tenant = &instance.tenant;
        let bundle = self.directory(|directory| {
            let known = directory.registration(tenant, id)?;
            Bundle::of(transfer.clone(), id.clone(), known)
        });
        let Some(bundle) = bundle else {
            return Ok(None);
        };
        let name = Name::of(&bundle);
        let stream = Roster::stream(tenant, Roster::shard_of(id));
        let bundle = bundle.resealed(|field, sealed| {
            let secret = self.0.secrets.open(&stream, &named(id, field), sealed)?;
            instance.seal(&name, field, &secret)
        })?;
        Ok(Some(bundle))
    }
}

fn written(bundle: &Bundle) -> Result<Vec<u8>, Error> {
    let failed = |cause| Error::new("the registration cannot be written", cause);
    bundle.encode().map_err(failed)
}

/// What a secret of a bundle is called in the stream of its device.
pub(super) fn named(id: &RegistrationId, field: BundleField) -> String {
    match field {
        BundleField::Enrolled | BundleField::EnrolledSecondary => Roster::enrolled_secret_field(id),
        BundleField::Own => Roster::own_secret_field(id),
    }
}
