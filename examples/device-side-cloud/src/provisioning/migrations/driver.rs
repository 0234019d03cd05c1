//! Moves what the machine of migrations asks for to where it is done, and the answers back; decides nothing.

use provisioning_proto::migration::Output;
use tracing::{error, warn};

use super::super::Provisioning;

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
                instance,
                ..
            }
            | Output::Ask {
                tenant,
                id,
                instance,
                ..
            }
            | Output::Withdraw {
                tenant,
                id,
                instance,
                ..
            } => {
                warn!(%tenant, device = %id, instance, "a transfer waits for an instance that the configuration does not name");
            }
            // They were done in their order.
            Output::Direct { .. }
            | Output::Retire { .. }
            | Output::Done { .. }
            | Output::Moved { .. } => {}
        }
    }
}
