//! What decisions on their way have taken: those made beside them must not take it again.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::PskIdentity;
use crate::{AccessPointId, GroupId, TenantId};

/// What a decision that is not durable yet has taken.
#[derive(Debug, Default)]
pub(super) struct Arrival {
    pub(super) group: Option<(TenantId, GroupId)>,
    pub(super) access_point: Option<AccessPointId>,
    pub(super) identity: Option<PskIdentity>,
}

/// All that decisions under way have taken.
#[derive(Debug, Default)]
pub(in crate::registration) struct Coming {
    pub(super) groups: BTreeMap<(TenantId, GroupId), u64>,
    pub(super) access_points: BTreeMap<AccessPointId, u64>,
    pub(super) identities: BTreeSet<PskIdentity>,
}

impl Coming {
    pub(super) fn add(&mut self, arrival: &Arrival) {
        if let Some(group) = &arrival.group {
            let count = self.groups.entry(group.clone()).or_default();
            *count = count.saturating_add(1);
        }
        if let Some(point) = &arrival.access_point {
            let count = self.access_points.entry(point.clone()).or_default();
            *count = count.saturating_add(1);
        }
        self.identities.extend(arrival.identity.clone());
    }

    pub(super) fn remove(&mut self, arrival: &Arrival) {
        if let Some(group) = &arrival.group {
            take_one(&mut self.groups, group);
        }
        if let Some(point) = &arrival.access_point {
            take_one(&mut self.access_points, point);
        }
        if let Some(identity) = &arrival.identity {
            self.identities.remove(identity);
        }
    }
}

fn take_one<K: Ord>(counts: &mut BTreeMap<K, u64>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}
