use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::{Request, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::entry::{point, usable};
use super::failure::Failure;
use super::page::Page;
use super::route::{Call, word_of};
use super::{Context, Step, Subject, body, expected, found, put, time};
use crate::allocation::{
    AllocationPolicy, FunctionUrn, Keyword, KeywordSource, PolicyKind, Priority, Rule, Target,
    Weight,
};
use crate::directory::Directory;
use crate::model::Expected;
use crate::{AccessPointId, ApplicationId, CaId, Code, PolicyId, TenantId, tenant};

#[derive(Deserialize)]
struct OneTarget<I> {
    access_point_id: AccessPointId,
    #[serde(alias = "base_strategy_info", alias = "certificate_strategy_info")]
    strategy_info: I,
}

#[derive(Deserialize)]
struct StaticInfo {
    keyword: Keyword,
    priority: Priority,
    #[serde(default)]
    keyword_from: From,
    app_id: Option<ApplicationId>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum From {
    #[default]
    DeviceName,
    Payload,
}

#[derive(Deserialize)]
struct CertificateInfo {
    cert_id: CaId,
    app_id: Option<ApplicationId>,
}

#[derive(Deserialize)]
struct Custom {
    access_point_ids: BTreeSet<AccessPointId>,
    #[serde(alias = "func_strategy_info")]
    strategy_info: CustomInfo,
}

#[derive(Deserialize)]
struct CustomInfo {
    func_urn: FunctionUrn,
    func_name: String,
}

#[derive(Deserialize)]
struct Nearest {
    #[serde(default)]
    access_point_ids: BTreeSet<AccessPointId>,
    app_id: Option<ApplicationId>,
}

#[derive(Deserialize)]
struct Hashed {
    #[serde(default)]
    weights: BTreeMap<AccessPointId, Weight>,
    app_id: Option<ApplicationId>,
}

pub(super) fn read(
    context: &Context<'_>,
    kind: PolicyKind,
    call: Call,
    request: &Request<Bytes>,
) -> Result<Step, Failure> {
    let (directory, tenant) = (context.directory, context.tenant);
    match call {
        Call::List => {
            let page = Page::read(request)?;
            let at = page.filter("access_point_id");
            let at = at.map(str::parse::<AccessPointId>).transpose()?;
            let policies = context.settings()?.policies().values();
            let of_kind = policies.map(|policy| &policy.value).filter(|policy| {
                policy.rule.kind() == kind && at.as_ref().is_none_or(|at| policy.names(at))
            });
            let list = page.take(
                of_kind.map(|policy| (policy.id.as_str(), policy)),
                |_, policy| show(directory, tenant, &policy.id).map(|(shown, _)| shown),
            );
            Ok(page.answer("strategies", list))
        }
        Call::Create => {
            let id: PolicyId = context.new_id().parse()?;
            let policy = AllocationPolicy::new(id.clone(), 0, rule(context, kind, request)?);
            policy.check()?;
            let expected = Expected::Absent;
            let command = context.setting(tenant::Command::SetPolicy { policy, expected });
            let edit = context.edit(Subject::Policy(id), StatusCode::CREATED, vec![command]);
            Ok(Step::Edit(edit))
        }
        Call::Show(id) => {
            let id = of_kind(context, kind, &id)?;
            found(show(directory, tenant, &id), Code::NO_SUCH_STRATEGY)
        }
        Call::Remove(id) => {
            let policy = of_kind(context, kind, &id)?;
            let subject = Subject::Policy(policy.clone());
            let expected = expected(request)?;
            let command = context.setting(tenant::Command::RemovePolicy { policy, expected });
            let edit = context.edit(subject, StatusCode::NO_CONTENT, vec![command]);
            Ok(Step::Edit(edit))
        }
        Call::Replace(_) | Call::Below(..) => Err(Code::NOT_FOUND.into()),
    }
}

/// The id of a policy, if it is one of the kind.
fn of_kind(context: &Context<'_>, kind: PolicyKind, id: &str) -> Result<PolicyId, Failure> {
    let id: PolicyId = id.parse()?;
    let policy = context.settings()?.policies().get(&id);
    let known = policy.is_some_and(|policy| policy.value.rule.kind() == kind);
    if known {
        Ok(id)
    } else {
        Err(Code::NO_SUCH_STRATEGY.into())
    }
}

fn rule(
    context: &Context<'_>,
    kind: PolicyKind,
    request: &Request<Bytes>,
) -> Result<Rule, Failure> {
    Ok(match kind {
        PolicyKind::Static => {
            let given: OneTarget<StaticInfo> = body(request)?;
            let info = given.strategy_info;
            Rule::Static {
                keyword: info.keyword,
                priority: info.priority,
                source: match info.keyword_from {
                    From::DeviceName => KeywordSource::DeviceName,
                    From::Payload => KeywordSource::Payload,
                },
                target: target(context, given.access_point_id, info.app_id)?,
            }
        }
        PolicyKind::Certificate => {
            let given: OneTarget<CertificateInfo> = body(request)?;
            let info = given.strategy_info;
            Rule::Certificate {
                authority: info.cert_id,
                target: target(context, given.access_point_id, info.app_id)?,
            }
        }
        PolicyKind::Custom => {
            let given: Custom = body(request)?;
            all_usable(context, given.access_point_ids.iter())?;
            Rule::Custom {
                function: given.strategy_info.func_urn,
                name: given.strategy_info.func_name,
                access_points: given.access_point_ids,
            }
        }
        PolicyKind::Nearest => {
            let given: Nearest = body(request)?;
            all_usable(context, given.access_point_ids.iter())?;
            Rule::Nearest {
                access_points: given.access_point_ids,
                application: given.app_id,
            }
        }
        PolicyKind::Hashed => {
            let given: Hashed = body(request)?;
            all_usable(context, given.weights.keys())?;
            Rule::Hashed {
                weights: given.weights,
                application: given.app_id,
            }
        }
        PolicyKind::Fixed | PolicyKind::Chain => return Err(Code::STRATEGY_TYPE.into()),
    })
}

fn target(
    context: &Context<'_>,
    id: AccessPointId,
    application: Option<ApplicationId>,
) -> Result<Target, Failure> {
    usable(context, &id)?;
    let point = context.directory.access_point(context.tenant, &id);
    let known = point.is_some_and(|point| point.application(application.as_ref()).is_ok());
    if !known {
        return Err(Code::APPLICATION.into());
    }
    Ok(Target::new(id, application))
}

fn all_usable<'i>(
    context: &Context<'_>,
    mut ids: impl Iterator<Item = &'i AccessPointId>,
) -> Result<(), Failure> {
    ids.try_for_each(|id| usable(context, id))
}

pub(super) fn show(
    directory: &Directory,
    tenant: &TenantId,
    id: &PolicyId,
) -> Option<(Value, u64)> {
    let kept = directory.tenant(tenant)?.policies().get(id)?;
    let policy = &kept.value;
    let mut shown = json!({
        "strategy_id": id,
        "strategy_type": word_of(policy.rule.kind()).unwrap_or("chain"),
        "create_time": time::stamp(policy.created_at),
    });
    let one = |target: &Target| point(directory, tenant, &target.access_point);
    match &policy.rule {
        Rule::Fixed { target } => put(&mut shown, "access_point", one(target)),
        Rule::Static {
            keyword,
            priority,
            source,
            target,
        } => {
            let from = match source {
                KeywordSource::DeviceName => "deviceName",
                KeywordSource::Payload => "payload",
            };
            put(&mut shown, "access_point", one(target));
            put(
                &mut shown,
                "base_strategy_info",
                json!({
                    "keyword": keyword, "priority": priority, "keyword_from": from, "app_id": target.application,
                }),
            );
        }
        Rule::Certificate { authority, target } => {
            put(&mut shown, "access_point", one(target));
            put(
                &mut shown,
                "certificate_strategy_info",
                json!({"cert_id": authority, "app_id": target.application}),
            );
        }
        Rule::Custom {
            function,
            name,
            access_points,
        } => {
            put(&mut shown, "access_point_ids", json!(access_points));
            put(
                &mut shown,
                "func_strategy_info",
                json!({"func_urn": function, "func_name": name}),
            );
        }
        Rule::Nearest {
            access_points,
            application,
        } => {
            put(&mut shown, "access_point_ids", json!(access_points));
            put(&mut shown, "app_id", json!(application));
        }
        Rule::Hashed {
            weights,
            application,
        } => {
            put(&mut shown, "weights", json!(weights));
            put(&mut shown, "app_id", json!(application));
        }
        Rule::Chain { links } => put(&mut shown, "links", json!(links)),
    }
    Some((shown, kept.version))
}
