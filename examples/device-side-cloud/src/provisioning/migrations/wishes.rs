//! What operators want of migrations.

use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::Response;
use provisioning_proto::management::{MigrationEdit, MigrationWish};
use provisioning_proto::migration::Migrations;
use provisioning_proto::registration::CommandId;
use provisioning_proto::{ErrorKind, TenantId};
use tokio::sync::oneshot;

use super::super::Provisioning;
use crate::clock;

impl Provisioning {
    /// Carries out what an operator wants of a migration, and answers it.
    pub(in super::super) async fn migrate(
        &self,
        tenant: &TenantId,
        edit: MigrationEdit,
    ) -> Response<Bytes> {
        let id = edit.device();
        let result = match edit.wish().clone() {
            MigrationWish::Plan(plan) => {
                self.0.migrating.any.store(true, Ordering::Relaxed);
                self.order(|machine, wall, now| machine.plan(tenant, id, plan, wall, now))
                    .await
            }
            MigrationWish::Abort => {
                self.order(|machine, wall, now| machine.abort(tenant, id, wall, now))
                    .await
            }
            MigrationWish::EndAlone(without) => {
                self.order(|machine, wall, now| machine.end_alone(tenant, id, without, wall, now))
                    .await
            }
            MigrationWish::LetGo => {
                self.order(|machine, wall, now| machine.let_go(tenant, id, wall, now))
                    .await
            }
            MigrationWish::Seen(generation) => {
                self.seen(tenant, id, generation);
                Ok(())
            }
        };
        self.plans(tenant, |plans| edit.answer(plans, result))
    }

    /// Begins a command of the machine now, and waits for its end.
    pub(super) async fn order(
        &self,
        begin: impl FnOnce(&mut Migrations, SystemTime, Instant) -> Result<CommandId, ErrorKind>,
    ) -> Result<(), ErrorKind> {
        let (tell, told) = oneshot::channel();
        self.migrating(|state| {
            let id = begin(&mut state.machine, clock::wall(), clock::now())?;
            state.done.insert(id, tell);
            Ok::<(), ErrorKind>(())
        })?;
        told.await.unwrap_or(Err(ErrorKind::Unavailable))
    }
}
