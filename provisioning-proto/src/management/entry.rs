use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::{Context, put, route};
use crate::allocation::{AllocationPolicy, FunctionUrn, Link, PolicyKind, Rule};
use crate::directory::Directory;
use crate::model::{Entry, Expected, InitialConfig, ReprovisioningPolicy};
use crate::registration::Command;
use crate::{AccessPointId, AccountId, Code, PolicyId, Secret, TenantId, tenant};

/// A secret could not be sealed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the secret cannot be sealed")]
#[non_exhaustive]
pub struct SealFailed;

impl SealFailed {
    /// For whoever seals.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Default for SealFailed {
    fn default() -> Self {
        Self::new()
    }
}

impl From<SealFailed> for Failure {
    fn from(_: SealFailed) -> Self {
        Code::UNAVAILABLE.into()
    }
}

/// What a device and a group have in common. What is absent stays as it is.
#[derive(Default, Deserialize)]
pub(super) struct EntryBody {
    access_point_id: Option<AccessPointId>,
    enabled: Option<bool>,
    owner: Option<AccountId>,
    #[serde(default)]
    pub(super) provision_info: ProvisionInfo,
}

#[derive(Default, Deserialize)]
pub(super) struct ProvisionInfo {
    pub(super) auth_type: Option<String>,
    pub(super) certificate_id: Option<String>,
    pub(super) register_group_secret: Option<SecretText>,
    allocation_strategy_type: Option<String>,
    func_urn: Option<FunctionUrn>,
    init_config: Option<String>,
    reprovisioning: Option<ReprovisioningPolicy>,
}

/// A secret as an operator enters it.
#[derive(Deserialize)]
#[serde(try_from = "String")]
pub(super) struct SecretText(pub(super) Secret);

impl TryFrom<String> for SecretText {
    type Error = crate::Error;

    fn try_from(text: String) -> Result<Self, crate::Error> {
        Secret::new(text).map(Self)
    }
}

impl SecretText {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(self.0.expose()).unwrap_or_default()
    }
}

impl EntryBody {
    pub(super) fn access_point(&self) -> Option<&AccessPointId> {
        self.access_point_id.as_ref()
    }

    /// Sets what the body says; the commands make what that needs.
    pub(super) fn set(
        self,
        context: &Context<'_>,
        entry: &mut Entry,
    ) -> Result<Vec<Command>, Failure> {
        let mut commands = Vec::new();
        if let Some(id) = self.access_point_id {
            usable(context, &id)?;
            entry.access_point = Some(id);
        }
        if let Some(enabled) = self.enabled {
            entry.enabled = enabled;
        }
        if let Some(owner) = self.owner {
            entry.owner = Some(owner);
        }
        let info = self.provision_info;
        if let Some(text) = info.init_config {
            entry.initial_config = Some(InitialConfig::new(text)?);
        }
        if let Some(policy) = info.reprovisioning {
            entry.reprovisioning = policy;
        }
        let kind = info.allocation_strategy_type.as_deref().map(route::kind_of);
        match (kind, &info.func_urn) {
            (Some(None), _) => return Err(Code::STRATEGY_TYPE.into()),
            (Some(Some(PolicyKind::Custom)), Some(function)) => {
                entry.policies = of_function(context, function)?;
            }
            (Some(Some(kind)), _) => {
                let (id, command) = all_of(context, kind)?;
                entry.policies = vec![id];
                commands.extend(command);
            }
            (None, _) => {}
        }
        Ok(commands)
    }
}

/// The policies that name a function.
fn of_function(context: &Context<'_>, wanted: &FunctionUrn) -> Result<Vec<PolicyId>, Failure> {
    let policies = context.settings()?.policies().values();
    let named = policies.filter(
        |policy| matches!(&policy.value.rule, Rule::Custom { function, .. } if function == wanted),
    );
    let ids: Vec<PolicyId> = named.map(|policy| policy.value.id.clone()).collect();
    if ids.is_empty() {
        return Err(Code::FUNCTION_NOT_FOUND.into());
    }
    Ok(ids)
}

/// The policy that stands for all of a kind, and what makes it if it is not there.
fn all_of(context: &Context<'_>, kind: PolicyKind) -> Result<(PolicyId, Option<Command>), Failure> {
    let word = route::word_of(kind).unwrap_or_default();
    let id: PolicyId = format!("all-{word}").parse()?;
    if context.settings()?.policies().contains_key(&id) {
        return Ok((id, None));
    }
    let links = vec![Link::Kind(kind)];
    let policy = AllocationPolicy::new(id.clone(), 0, Rule::Chain { links });
    let expected = Expected::Absent;
    let command = context.setting(tenant::Command::SetPolicy { policy, expected });
    Ok((id, Some(command)))
}

/// Lets an access point pass that the tenant has or was granted.
pub(super) fn usable(context: &Context<'_>, id: &AccessPointId) -> Result<(), Failure> {
    let directory = context.directory;
    match directory.access_point(context.tenant, id) {
        Some(point) if point.is_granted() => Ok(()),
        Some(_) => Err(Code::NOT_AUTHORIZED.into()),
        None if directory.owner_of(id).is_some() => Err(Code::NOT_AUTHORIZED.into()),
        None => Err(Failure::malformed(format!("there is no access point {id}"))),
    }
}

/// What is the same for a device and a group.
pub(super) fn show(directory: &Directory, tenant: &TenantId, entry: &Entry) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("enabled".to_owned(), entry.enabled.into());
    if let Some(owner) = &entry.owner {
        shown.insert("owner".to_owned(), owner.as_str().into());
    }
    let mut info = json!({"reprovisioning": entry.reprovisioning});
    if let Some(config) = &entry.initial_config {
        put(
            &mut info,
            "init_config",
            String::from_utf8_lossy(config.as_bytes()),
        );
    }
    let words = entry
        .policies
        .iter()
        .map(|id| id.as_str().strip_prefix("all-"));
    let known = words.flatten().find(|word| route::kind_of(word).is_some());
    match known {
        Some(word) => put(&mut info, "allocation_strategy_type", word),
        None if !entry.policies.is_empty() => put(&mut info, "policy_ids", json!(entry.policies)),
        None => {}
    }
    if let Some(id) = &entry.access_point {
        put(&mut info, "access_point", point(directory, tenant, id));
    }
    shown.insert("provision_info".to_owned(), info);
    shown
}

/// An access point as others refer to it.
pub(super) fn point(directory: &Directory, tenant: &TenantId, id: &AccessPointId) -> Value {
    match directory.access_point(tenant, id) {
        Some(point) => json!({"id": id, "name": point.name, "region": point.region}),
        None => json!({"id": id}),
    }
}
