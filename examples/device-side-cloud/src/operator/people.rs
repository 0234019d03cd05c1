//! What a person may ask for: everything that is kept of them, and that none of it is kept any longer.

use std::time::Duration;

use serde_json::{Value, json};
use uci_server_core::AccountId;

use super::Operator;
use super::ownership::account;
use crate::error::Error;

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

    /// Erases a user: consents end and clients are told, devices belong to nobody, the account and its keys are gone, and
    /// last the name and the password. Repeating it finishes what was interrupted.
    pub(super) async fn erase(&self, user: &str) -> Result<Value, Error> {
        let id = self.id_of(user).await?;
        let account = account(&id)?;
        for grant in self.linking.grants(&id).await? {
            self.linking
                .end_grant(&id, &grant.grant.to_string())
                .await?;
        }
        self.wait_for_farewells(&account).await?;
        for (name, _) in self.products.owned_by(&id, None, usize::MAX).await? {
            self.change_owner(&name, None).await?;
        }
        let erased = self.cloud.erase_account(account).await;
        erased.map_err(|cause| Error::new("the account was not erased; try again", cause))?;
        // Where account linking keeps a user's consents.
        let erased = self.store.erase(&format!("grants/{id}")).await;
        erased.map_err(|cause| Error::new("the consents were not erased; try again", cause))?;
        self.users.erase(user).await?;
        Ok(json!({"erased": user, "id": id}))
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
