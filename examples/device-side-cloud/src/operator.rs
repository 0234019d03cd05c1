//! Carries out what operators ask for.

use serde_json::{Value, json};

use crate::admin::Order;
use crate::error::Error;
use crate::linking::Linking;
use crate::products::Products;
use crate::users::Users;

/// What an operator acts on; clones act on the same.
#[derive(Clone, Debug)]
pub(crate) struct Operator {
    pub(crate) users: Users,
    pub(crate) products: Products,
    pub(crate) linking: Linking,
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
            } => {
                let made = self.products.add_product(&name, dynamic_activation).await?;
                Ok(json!({"product_key": made.key, "product_secret": made.secret}))
            }
            Order::AddDevice {
                product,
                owner,
                device_key,
            } => {
                let owner_id = self
                    .users
                    .id_of(&owner)
                    .await
                    .ok_or_else(|| Error::plain(format!("there is no user {owner}")))?;
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
            Order::AddClient {
                name,
                redirect_uris,
                public,
            } => {
                let made = self.linking.register(name, redirect_uris, public).await?;
                let mut answer = json!({"client_id": made.client});
                if let (Some(secret), Some(answer)) = (made.secret, answer.as_object_mut()) {
                    answer.insert("client_secret".to_owned(), secret.into());
                }
                Ok(answer)
            }
        }
    }
}
