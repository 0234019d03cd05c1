use crate::allocation::{
    AllocationInput, Decision, GeoTable, Policies, Selection, Setting, Target, decide,
};
use crate::directory::Directory;
use crate::model::Cause;
use crate::{AccessPointId, Code, TenantId};

impl Directory {
    /// Asks a tenant's policies. The place that the device has at `here` counts as free for it.
    pub(crate) fn choose(
        &mut self,
        tenant: &TenantId,
        input: &AllocationInput<'_>,
        selection: &Selection<'_>,
        here: Option<&AccessPointId>,
        geography: Option<&GeoTable>,
    ) -> Decision {
        let place = here.and_then(|here| self.used.get_mut(here));
        if let Some(used) = place {
            *used = used.saturating_sub(1);
        }
        let decision = match self.tenants.get(tenant) {
            None => Decision::NoMatch(Code::NO_MATCH),
            Some(holding) => {
                let mut setting = Setting::new(&holding.access_points, &holding.policies);
                setting.geography = geography;
                setting.load = Some(&self.used);
                decide(input, selection, &setting)
            }
        };
        let place = here.and_then(|here| self.used.get_mut(here));
        if let Some(used) = place {
            *used = used.saturating_add(1);
        }
        decision
    }

    /// Whether a device of a tenant may be given to a target now: it exists, is granted, and takes one that it does not have, when
    /// `coming` others are on their way.
    ///
    /// # Errors
    ///
    /// [`Cause::TargetRefused`].
    pub(crate) fn check_target(
        &self,
        tenant: &TenantId,
        target: &Target,
        has: bool,
        coming: u64,
    ) -> Result<(), Cause> {
        let point = self.access_point(tenant, &target.access_point);
        let point = point.ok_or(Cause::TargetRefused)?;
        let devices = self.devices_at(&target.access_point).saturating_add(coming);
        let takes =
            has || (point.accepts_new && point.capacity.is_none_or(|capacity| devices < capacity));
        if takes && point.is_granted() {
            Ok(())
        } else {
            Err(Cause::TargetRefused)
        }
    }

    /// A tenant's policies.
    #[must_use]
    pub fn policies(&self, tenant: &TenantId) -> Option<&Policies> {
        self.tenants.get(tenant).map(|holding| &holding.policies)
    }
}
