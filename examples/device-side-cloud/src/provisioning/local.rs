//! This cloud as an access point: a device that is assigned to it becomes a device of one of its products.

use provisioning_proto::model::Assignment;
use provisioning_proto::{AccountId, RegistrationId, Secret};

use crate::error::Error;
use crate::operator::Operator;
use crate::products::Name;

/// The products of this cloud, and what follows when a device changes hands.
#[derive(Clone, Debug)]
pub(super) struct Local(Operator);

impl Local {
    pub(super) fn new(operator: Operator) -> Self {
        Self(operator)
    }

    /// Makes a device known with this secret and owner. Doing it again changes nothing.
    ///
    /// # Errors
    /// The assignment names no product of this cloud, the id or the secret is not one that a device here may have, or the journal
    /// cannot be written.
    pub(super) async fn upsert(
        &self,
        id: &RegistrationId,
        assignment: &Assignment,
        secret: Option<Secret>,
        owner: Option<AccountId>,
    ) -> Result<(), Error> {
        let name = name(id, assignment)?;
        let secret = secret.ok_or_else(|| Error::plain("a device here needs a secret"))?;
        let owner = owner.as_ref().map(AccountId::as_str);
        let products = &self.0.products;
        let was = products.provision(&name, &secret, owner).await?;
        if was.is_some_and(|was| was.as_ref().map(AccountId::as_str) != owner) {
            self.0.change_owner(&name, owner).await?;
        }
        Ok(())
    }

    /// Shuts a device out that belongs elsewhere now, and takes it from its owner.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(super) async fn retire(
        &self,
        id: &RegistrationId,
        assignment: &Assignment,
    ) -> Result<(), Error> {
        let name = name(id, assignment)?;
        if self.0.products.shut_out(&name).await? {
            self.0.change_owner(&name, None).await?;
        }
        Ok(())
    }
}

/// The application of an assignment is the product, and the device's id its key there.
fn name(id: &RegistrationId, assignment: &Assignment) -> Result<Name, Error> {
    let application = assignment.target.application.as_ref();
    let application =
        application.ok_or_else(|| Error::plain("the assignment names no product of this cloud"))?;
    Name::new(application.as_str(), id.as_str())
}
