//! The templates of products: what their devices offer and tell without OCF. They are kept with the product, in its ledger, as
//! JSON; here they are read, for whoever needs one at each message.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use coap_psk::measurepoint::Template;
use provisioning_proto::ProductKey;
use provisioning_proto::registry::{Command, Registry};

use super::Products;
use crate::error::Error;

/// All templates; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Templates(Arc<RwLock<BTreeMap<ProductKey, Arc<Template>>>>);

impl Templates {
    /// Reads the templates of these products.
    ///
    /// # Errors
    /// One is of a form that this program does not know.
    pub(super) fn of<'r>(registries: impl Iterator<Item = &'r Registry>) -> Result<Self, Error> {
        let templates = Self::default();
        for product in registries.filter_map(Registry::product) {
            if let Some(kept) = &product.template {
                let template = Template::from_json(kept.as_bytes()).map_err(|cause| {
                    Error::new(
                        format!("cannot read the template of {}", product.key),
                        cause,
                    )
                })?;
                templates.set(product.key.clone(), template);
            }
        }
        Ok(templates)
    }

    fn get(&self, product: &ProductKey) -> Option<Arc<Template>> {
        let templates = self.0.read().unwrap_or_else(PoisonError::into_inner);
        templates.get(product).cloned()
    }

    pub(super) fn set(&self, product: ProductKey, template: Template) {
        let mut templates = self.0.write().unwrap_or_else(PoisonError::into_inner);
        templates.insert(product, Arc::new(template));
    }
}

impl Products {
    /// What the devices of a product offer and tell without OCF, where that is known.
    pub(crate) fn template(&self, product: &ProductKey) -> Option<Arc<Template>> {
        self.templates.get(product)
    }

    /// Gives a product a template, in the place of the one it has.
    ///
    /// # Errors
    /// There is no such product, or the journal cannot be written.
    pub(crate) async fn set_template(
        &self,
        product: &str,
        template: Template,
    ) -> Result<Arc<Template>, Error> {
        let product: ProductKey = product
            .parse()
            .map_err(|cause| Error::new(format!("{product} is no product key"), cause))?;
        // Held throughout: of two operators, the one who comes second replaces what the first one set.
        let mut kept = self.kept.lock().await;
        let template = match self.template(&product) {
            Some(earlier) => template.replacing(&earlier),
            None => template,
        };
        let command = Command::SetTemplate(stored(&template)?);
        kept.carry_out(&self.store, &product, command).await?;
        self.templates.set(product.clone(), template);
        let set = self.template(&product);
        set.ok_or_else(|| Error::plain("the template was not kept"))
    }
}

/// A template as the ledger keeps it.
///
/// # Errors
/// It is too long.
pub(super) fn stored(template: &Template) -> Result<provisioning_proto::Template, Error> {
    let json = template
        .to_json()
        .map_err(|cause| Error::new("the template cannot be kept", cause))?;
    provisioning_proto::Template::new(json)
        .map_err(|cause| Error::new("the template cannot be kept", cause))
}
