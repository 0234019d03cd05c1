use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::allocation::hashed::Spread;
use crate::allocation::keywords::Keywords;
use crate::allocation::{AllocationPolicy, Link, PolicyKind, Rule};
use crate::limits::Limits;
use crate::{ErrorKind, PolicyId};

/// The policies of a tenant.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(from = "Vec<AllocationPolicy>", into = "Vec<AllocationPolicy>")]
pub struct Policies {
    policies: BTreeMap<PolicyId, AllocationPolicy>,
    /// Each kind by age; follows from `policies`.
    by_age: BTreeMap<PolicyKind, BTreeSet<(u64, PolicyId)>>,
    /// The words of static policies, made ready when they are first asked after a change.
    keywords: OnceLock<Keywords>,
    /// For each hashed policy what spreading by its weights needs, made ready when it is first asked after a change.
    spreads: BTreeMap<PolicyId, OnceLock<Arc<Spread>>>,
}

impl Policies {
    /// All of them, by their ids.
    #[must_use]
    pub fn all(&self) -> &BTreeMap<PolicyId, AllocationPolicy> {
        &self.policies
    }

    /// One of them.
    #[must_use]
    pub fn policy(&self, id: &PolicyId) -> Option<&AllocationPolicy> {
        self.policies.get(id)
    }

    /// Those of a kind, oldest first.
    pub fn of_kind(&self, kind: PolicyKind) -> impl Iterator<Item = &AllocationPolicy> {
        let ids = self.by_age.get(&kind).into_iter().flatten();
        ids.filter_map(|(_, id)| self.policies.get(id))
    }

    /// Whether there is one of a kind.
    pub(super) fn has_kind(&self, kind: PolicyKind) -> bool {
        self.by_age.get(&kind).is_some_and(|ids| !ids.is_empty())
    }

    /// Whether a policy may be added, and why not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Exists`] for an id that is taken, [`ErrorKind::InvalidValue`] for a malformed policy,
    /// [`ErrorKind::UnknownEntry`] for a chain with a link that is not there, [`ErrorKind::Full`] when there are as many of its
    /// kind as `limits` allows.
    pub fn check_new(&self, policy: &AllocationPolicy, limits: &Limits) -> Result<(), ErrorKind> {
        policy.check()?;
        if self.policies.contains_key(&policy.id) {
            return Err(ErrorKind::Exists);
        }
        if let Rule::Chain { links } = &policy.rule {
            let known = |link: &Link| match link {
                Link::Policy(id) => self.policies.contains_key(id),
                Link::Kind(_) => true,
            };
            if !links.iter().all(known) {
                return Err(ErrorKind::UnknownEntry);
            }
        }
        let kind = policy.rule.kind();
        let most = match kind {
            PolicyKind::Static => limits.static_policies,
            PolicyKind::Certificate => limits.certificate_policies,
            PolicyKind::Custom => limits.custom_policies,
            _ => limits.other_policies,
        };
        if self.by_age.get(&kind).map_or(0, BTreeSet::len) >= most {
            return Err(ErrorKind::Full);
        }
        Ok(())
    }

    /// Adds a policy, in the place of one with its id.
    pub fn put(&mut self, policy: AllocationPolicy) {
        self.remove(&policy.id);
        let of_kind = self.by_age.entry(policy.rule.kind()).or_default();
        of_kind.insert((policy.created_at, policy.id.clone()));
        if let Rule::Hashed { .. } = policy.rule {
            self.spreads.insert(policy.id.clone(), OnceLock::new());
        }
        self.policies.insert(policy.id.clone(), policy);
        self.keywords = OnceLock::new();
    }

    /// Removes a policy.
    pub fn remove(&mut self, id: &PolicyId) -> Option<AllocationPolicy> {
        let policy = self.policies.remove(id)?;
        if let Some(of_kind) = self.by_age.get_mut(&policy.rule.kind()) {
            of_kind.remove(&(policy.created_at, policy.id.clone()));
        }
        self.spreads.remove(id);
        self.keywords = OnceLock::new();
        Some(policy)
    }

    /// Whether a chain refers to a policy.
    #[must_use]
    pub fn is_linked(&self, id: &PolicyId) -> bool {
        let links = self
            .of_kind(PolicyKind::Chain)
            .flat_map(|chain| match &chain.rule {
                Rule::Chain { links } => links.as_slice(),
                _ => &[],
            });
        links
            .into_iter()
            .any(|link| matches!(link, Link::Policy(linked) if linked == id))
    }

    pub(super) fn keywords(&self) -> &Keywords {
        self.keywords
            .get_or_init(|| Keywords::new(self.of_kind(PolicyKind::Static)))
    }

    /// Where the weights of a policy of its own take devices.
    pub(super) fn spread(&self, id: &PolicyId) -> Option<&Spread> {
        let Rule::Hashed { weights, .. } = &self.policies.get(id)?.rule else {
            return None;
        };
        let spread = self.spreads.get(id)?.get_or_init(|| {
            let weights = weights.iter().map(|(id, weight)| (id, *weight));
            Arc::new(Spread::weighted(weights))
        });
        Some(spread)
    }
}

impl PartialEq for Policies {
    fn eq(&self, other: &Self) -> bool {
        // The rest follows from them.
        self.policies == other.policies
    }
}

impl Eq for Policies {}

impl From<Vec<AllocationPolicy>> for Policies {
    fn from(list: Vec<AllocationPolicy>) -> Self {
        let mut policies = Self::default();
        for policy in list {
            policies.put(policy);
        }
        policies
    }
}

impl From<Policies> for Vec<AllocationPolicy> {
    fn from(policies: Policies) -> Self {
        policies.policies.into_values().collect()
    }
}
