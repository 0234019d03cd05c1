//! What a person may ask for: everything that is kept of them, and that none of it is kept any longer.

use std::time::Duration;

use serde_json::{Value, json};
use tracing::{error, info};
use uci_server_core::AccountId;

use super::Operator;
use super::ownership::account;
use crate::error::Error;
use crate::provisioning::{Provisioning, WeakProvisioning};

/// How long clients have to hear that a consent ended before nothing is left that could tell them.
const FAREWELL: Duration = Duration::from_secs(10);
/// How often it is looked whether they have.
const LOOK: Duration = Duration::from_millis(200);

impl Operator {
    /// All that is kept of a user, without secrets.
    pub(super) async fn export(&self, user: &str) -> Result<Value, Error> {
        let id = self.id_of(user).await?;
        let failed = |cause| Error::new("the account cannot be exported", cause);
        let export = self.cloud.export_account(account(&id)?).await;
        let export = export.map_err(failed)?;
        let export = serde_json::to_value(export)
            .map_err(|cause| Error::new("the account cannot be written", cause))?;
        let registered = self.products.owned_by(&id, None, usize::MAX).await?;
        Ok(json!({
            "user": {"name": user, "id": id},
            "grants": self.grants(&id).await?,
            "registered_devices": super::rows(&registered),
            "account": export,
        }))
    }

    /// Finishes erasures that were cut off near their end, and erases again who was erased after the backup that this cloud
    /// was restored from.
    pub(crate) async fn finish_erasures(&self) -> Result<(), Error> {
        for (name, id) in self.users.all().await {
            // Every erasure gets here, whatever there was of the user.
            if self.store.was_erased(consents_of(&id)).await? {
                match self.erase(&name).await {
                    Ok(_) => info!(id, "the erasure of a user was finished"),
                    Err(error) => error!(
                        id,
                        error = error.chain(),
                        "the erasure of a user is not finished; give the command again"
                    ),
                }
            }
        }
        Ok(())
    }

    /// Erases a user: consents end and clients are told, devices belong to nobody, the account and its keys are gone, and
    /// last the name and the password. Repeating it finishes what was interrupted.
    pub(super) async fn erase(&self, user: &str) -> Result<Value, Error> {
        let id = self.id_of(user).await?;
        let account = account(&id)?;
        self.users.shut_out(&id).await;
        self.end_grants(&id).await?;
        self.wait_for_farewells(&account).await?;
        // Whoever had logged in before may have consented meanwhile.
        self.end_grants(&id).await?;
        for (name, _) in self.products.owned_by(&id, None, usize::MAX).await? {
            self.change_owner(&name, None).await?;
        }
        let provisioning = self.provisioning.get();
        if let Some(provisioning) = provisioning.and_then(WeakProvisioning::upgrade) {
            provisioning.forget_owner(&id).await?;
        }
        let erased = self.cloud.erase_account(account).await;
        erased.map_err(|cause| Error::new("the account was not erased; try again", cause))?;
        let erased = self.store.erase(&consents_of(&id)).await;
        erased.map_err(|cause| Error::new("the consents were not erased; try again", cause))?;
        self.users.erase(user).await?;
        Ok(json!({"erased": user, "id": id}))
    }

    /// Takes those who were erased from the enrollments that still name them: whose erasure was cut off, or was given while the
    /// provisioning service was off, or after the backup that this cloud was restored from.
    pub(crate) async fn finish_forgetting(&self, provisioning: &Provisioning) -> Result<(), Error> {
        // Set once, before any operator comes.
        drop(self.provisioning.set(provisioning.downgrade()));
        for owner in provisioning.owners() {
            if self.store.was_erased(consents_of(&owner)).await? {
                provisioning.forget_owner(&owner).await?;
            }
        }
        Ok(())
    }

    async fn end_grants(&self, id: &str) -> Result<(), Error> {
        for grant in self.linking.grants(id).await? {
            let grant = grant.grant.to_string();
            self.linking.end_grant(id, &grant).await?;
        }
        Ok(())
    }

    /// Waits until every subscription has told its end, and not for ever: a receiver may be gone.
    async fn wait_for_farewells(&self, account: &AccountId) -> Result<(), Error> {
        let all_told = async {
            loop {
                let export = self.cloud.export_account(account.clone()).await;
                let export =
                    export.map_err(|cause| Error::new("the account cannot be read", cause))?;
                if export.subscriptions.is_empty() {
                    return Ok(());
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(FAREWELL, all_told)
            .await
            .unwrap_or(Ok(()))
    }
}

/// The stream in which account linking keeps a user's consents.
fn consents_of(id: &str) -> String {
    format!("grants/{id}")
}
