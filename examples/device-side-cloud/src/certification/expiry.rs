//! Removes certificates whose token was not used in time, and those past their end.

use std::time::Duration;

use provisioning_proto::TenantId;
use provisioning_proto::certificates::issuance::Command;
use tracing::{info, warn};

use super::Certification;
use crate::clock;
use crate::error::Error;

/// How many are removed with one change of the journal.
const AT_ONCE: usize = 1000;
/// How long to wait where nothing is due, and after a failure.
const PAUSE: Duration = Duration::from_secs(60);

impl Certification {
    /// Goes on for as long as the task is let live.
    pub(crate) async fn expire(self) -> Result<(), Error> {
        loop {
            let wait = match self.expire_due().await {
                Ok(wait) => wait,
                Err(error) => {
                    warn!(error = error.chain(), "what has ended was not removed");
                    PAUSE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.issued.notified() => {}
            }
        }
    }

    /// Removes what is due; how long to wait for the next.
    async fn expire_due(&self) -> Result<Duration, Error> {
        let mut next = PAUSE;
        let mut tenants = self.tenants.lock().await;
        for (id, tenant) in tenants.iter_mut() {
            let before = tenant.issued.ledger().len();
            while due_in(tenant) == Some(Duration::ZERO) {
                let held = tenant.issued.ledger().len();
                let command = Command::Expire { most: AT_ONCE };
                tenant.carry_out(&self.store, command).await?;
                if tenant.issued.ledger().len() == held {
                    break;
                }
            }
            report(id, before.saturating_sub(tenant.issued.ledger().len()));
            next = due_in(tenant).map_or(next, |wait| wait.min(next));
        }
        // A due time is a whole second or so away, or it would be asked for again at once.
        Ok(next.max(Duration::from_millis(500)))
    }
}

fn due_in(tenant: &super::Tenant) -> Option<Duration> {
    let due = tenant.issued.ledger().next_due()?;
    Some(due.duration_since(clock::wall()).unwrap_or_default())
}

fn report(tenant: &TenantId, removed: usize) {
    if removed > 0 {
        info!(%tenant, removed, "certificates that ended were removed");
    }
}
