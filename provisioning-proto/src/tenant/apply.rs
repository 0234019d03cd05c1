use std::collections::BTreeMap;

use crate::model::Versioned;
use crate::tenant::{Change, Fact, OwnAccessPoint, Tenant};

impl Tenant {
    /// Takes in a change. Cannot fail: what does not fit has no effect.
    pub fn apply(&mut self, change: &Change) {
        let at = change.at;
        self.latest = self.latest.max(at);
        match &change.fact {
            Fact::Created { name } => {
                self.name.get_or_insert_with(|| name.clone());
            }
            Fact::ScopeAdded { scope } => {
                self.scopes.insert(scope.clone());
            }
            Fact::ScopeRemoved { scope } => {
                self.scopes.remove(scope);
            }
            Fact::AccessPointSet { point } => {
                let present = self.access_points.get(&point.id);
                let value = OwnAccessPoint {
                    point: point.clone(),
                    grants: present.map_or_else(Default::default, |own| own.value.grants.clone()),
                };
                put(
                    &mut self.access_points,
                    &mut self.versions,
                    &point.id,
                    value,
                    at,
                );
            }
            Fact::AccessPointRemoved { access_point } => {
                self.access_points.remove(access_point);
            }
            Fact::Granted { access_point, to } => {
                if let Some(own) = self.access_points.get_mut(access_point) {
                    own.value.grants.insert(to.clone());
                }
            }
            Fact::GrantEnded { access_point, to } => {
                if let Some(own) = self.access_points.get_mut(access_point) {
                    own.value.grants.remove(to);
                }
            }
            Fact::PolicySet { policy } => {
                put(
                    &mut self.policies,
                    &mut self.versions,
                    &policy.id,
                    policy.clone(),
                    at,
                );
            }
            Fact::PolicyRemoved { policy } => {
                self.policies.remove(policy);
            }
            Fact::GroupSet { group, value } => {
                put(
                    &mut self.groups,
                    &mut self.versions,
                    group,
                    value.clone(),
                    at,
                );
            }
            Fact::GroupRemoved { group } => {
                self.groups.remove(group);
            }
        }
    }
}

fn put<K: Clone + Ord, V>(
    entries: &mut BTreeMap<K, Versioned<V>>,
    versions: &mut u64,
    key: &K,
    value: V,
    at: u64,
) {
    *versions = versions.saturating_add(1);
    let version = *versions;
    let created_at = entries.get(key).map_or(at, |present| present.created_at);
    let entry = Versioned {
        version,
        created_at,
        value,
    };
    entries.insert(key.clone(), entry);
}
