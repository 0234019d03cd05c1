//! Carries out what operators ask for.

mod keys;
mod ownership;
mod people;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use coap_psk::measurepoint::Template;
use provisioning_proto::DeviceId;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uci_server_core::driver::Handle as Cloud;

use crate::admin::Order;
use crate::certification::Certification;
use crate::error::Error;
use crate::gateway;
use crate::linking::Linking;
use crate::products::{Name, Products};
use crate::provisioning::WeakProvisioning;
use crate::store::Store;
use crate::users::Users;

/// The most devices on one page.
const PAGE: usize = 1000;

/// What an operator acts on; clones act on the same.
#[derive(Clone, Debug)]
pub(crate) struct Operator {
    pub(crate) users: Users,
    pub(crate) products: Products,
    pub(crate) linking: Linking,
    pub(crate) cloud: Cloud,
    pub(crate) gateway: mpsc::Sender<gateway::Command>,
    pub(crate) store: Store,
    pub(crate) access_token_lifetime: Duration,
    pub(crate) certification: Certification,
    /// Who has owners of devices, too; set when it is there.
    pub(crate) provisioning: Arc<OnceLock<WeakProvisioning>>,
}

impl Operator {
    /// Carries out one order; the value says what became of it.
    ///
    /// # Errors
    /// It cannot be done, in words for the operator.
    pub(crate) async fn carry_out(&self, order: Order) -> Result<Value, Error> {
        match order {
            Order::AddProduct {
                name,
                dynamic_activation,
                template,
            } => {
                let template = template.as_deref().map(read_template).transpose()?;
                let made = self
                    .products
                    .add_product(&name, dynamic_activation, template)
                    .await?;
                Ok(json!({"product_key": made.key, "product_secret": made.secret}))
            }
            Order::SetTemplate { product, template } => {
                let template = read_template(&template)?;
                let set = self.products.set_template(&product, template).await?;
                let resources = set.resources().iter();
                let hrefs: Vec<_> = resources.map(|resource| &resource.href).collect();
                Ok(json!({"resource": hrefs, "withdrawn": set.withdrawn()}))
            }
            Order::AddDevice {
                product,
                owner,
                device_key,
            } => {
                let owner_id = self.id_of(&owner).await?;
                let made = self
                    .products
                    .add_device(&product, device_key, &owner_id)
                    .await?;
                Ok(json!({"device_key": made.key, "device_secret": made.secret, "owner": owner}))
            }
            Order::AddUser { name, password } => {
                let id = self.users.add(&name, password.expose()).await?;
                Ok(json!({"user": name, "id": id}))
            }
            Order::AddClient(client) => {
                let made = self.linking.register(client).await?;
                let mut answer = json!({"client_id": made.client});
                let more = [("client_secret", made.secret), ("unmet", made.unmet)];
                if let Some(answer) = answer.as_object_mut() {
                    for (name, value) in more {
                        answer.extend(value.map(|value| (name.to_owned(), value.into())));
                    }
                }
                Ok(answer)
            }
            Order::ListDevices {
                owner,
                after,
                limit,
            } => self.list_devices(&owner, after, limit).await,
            Order::ListGrants { user } => {
                let id = self.id_of(&user).await?;
                Ok(json!({"grant": self.grants(&id).await?}))
            }
            Order::EndGrant { user, grant } => {
                let id = self.id_of(&user).await?;
                self.linking.end_grant(&id, &grant).await?;
                Ok(json!({"ended": grant}))
            }
            Order::AddClientKey { client, key } => {
                self.linking.add_client_key(&client, &key).await?;
                Ok(json!({"client_id": client}))
            }
            Order::RetireClientKeys { client } => {
                self.linking.retire_client_keys(&client).await?;
                Ok(json!({"client_id": client}))
            }
            Order::AddClientSecret { client } => {
                let secret = self.linking.add_client_secret(&client).await?;
                Ok(json!({"client_id": client, "client_secret": secret}))
            }
            Order::RetireClientSecrets { client } => {
                self.linking.retire_client_secrets(&client).await?;
                Ok(json!({"client_id": client}))
            }
            Order::ListKeys => self.list_keys().await,
            Order::AddKey { kind } => self.add_key(kind).await,
            Order::RetireKey {
                kind,
                number,
                force,
            } => self.retire_key(kind, number, force).await,
            Order::TransferDevice { device, to } => self.transfer(&device, &to).await,
            Order::RemoveDevice { device } => self.remove(&device).await,
            Order::ExportUser { name } => self.export(&name).await,
            Order::EraseUser { name } => self.erase(&name).await,
            Order::BackUp { dir } => {
                let file = self.store.back_up(dir).await?;
                Ok(json!({"backup": file}))
            }
            Order::Provisioning(_) => Err(Error::plain(
                "the provisioning service is off; [provisioning] in the configuration says so",
            )),
            Order::Authority { tenant, ca, deed } => {
                self.certification.authority(&tenant, &ca, deed).await
            }
            Order::Certificate { tenant, deed } => {
                self.certification.certificate(&tenant, deed).await
            }
        }
    }

    async fn id_of(&self, user: &str) -> Result<String, Error> {
        let id = self.users.id_of(user).await;
        id.ok_or_else(|| Error::plain(format!("there is no user {user}")))
    }

    /// A page of a user's devices, and where the next one begins.
    async fn list_devices(
        &self,
        owner: &str,
        after: Option<String>,
        limit: usize,
    ) -> Result<Value, Error> {
        let owner = self.id_of(owner).await?;
        let after = after.map(|name| name.parse::<Name>()).transpose()?;
        let limit = limit.clamp(1, PAGE);
        let page = self
            .products
            .owned_by(&owner, after.as_ref(), limit)
            .await?;
        // A full page may be the last one; the next is empty then.
        let next = page.last().filter(|_| page.len() == limit);
        let next = next.map(|(name, _)| name.to_string());
        Ok(json!({"device": rows(&page), "next": next}))
    }

    /// The consents of the user with this id.
    async fn grants(&self, id: &str) -> Result<Vec<Value>, Error> {
        let grants = self.linking.grants(id).await?;
        Ok(grants
            .iter()
            .map(|grant| {
                json!({
                    "grant": grant.grant.to_string(),
                    "client": grant.client.to_string(),
                    "scopes": grant.scopes.to_string(),
                    "created": grant.created,
                    "last_used": grant.last_used,
                })
            })
            .collect())
    }
}

fn read_template(json: &str) -> Result<Template, Error> {
    Template::from_json(json.as_bytes())
        .map_err(|cause| Error::new("the template cannot be used", cause))
}

/// Devices of the registry for people to read.
fn rows(devices: &[(Name, Option<DeviceId>)]) -> Vec<Value> {
    devices
        .iter()
        .map(|(name, id)| {
            let id = id.as_ref().map(ToString::to_string);
            json!({"device": name.to_string(), "device_id": id})
        })
        .collect()
}
