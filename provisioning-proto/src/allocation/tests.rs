//! What the policies choose, and what they never choose.
#![allow(clippy::arithmetic_side_effects)]

mod hashed;
mod hook;
mod selection;
mod static_rule;

use crate::allocation::{
    AccessPoint, AccessPoints, AllocationInput, AllocationPolicy, Decision, FunctionUrn, Keyword,
    KeywordSource, Policies, Priority, Rule, Selection, Setting, Target, Weight, decide,
};
use crate::{AccessPointId, Code, RegistrationId};

fn point(id: &str) -> AccessPoint {
    AccessPoint::new(id.parse().unwrap(), id)
}

fn points(list: impl IntoIterator<Item = AccessPoint>) -> AccessPoints {
    list.into_iter().collect::<Vec<_>>().into()
}

fn policies(list: impl IntoIterator<Item = AllocationPolicy>) -> Policies {
    list.into_iter().collect::<Vec<_>>().into()
}

fn policy(id: &str, created_at: u64, rule: Rule) -> AllocationPolicy {
    AllocationPolicy::new(id.parse().unwrap(), created_at, rule)
}

fn target(id: &str) -> Target {
    Target::new(id.parse().unwrap(), None)
}

fn keyword(word: &str, priority: u8, target_id: &str) -> Rule {
    Rule::Static {
        keyword: Keyword::new(word).unwrap(),
        priority: Priority::new(priority).unwrap(),
        source: KeywordSource::DeviceName,
        target: target(target_id),
    }
}

fn custom(function: &str, ids: &[&str]) -> Rule {
    Rule::Custom {
        function: FunctionUrn::new(function).unwrap(),
        name: "chooser".to_owned(),
        access_points: ids.iter().map(|id| id.parse().unwrap()).collect(),
    }
}

fn weight(value: u16) -> Weight {
    Weight::new(value).unwrap()
}

fn id(text: &str) -> RegistrationId {
    text.parse().unwrap()
}

/// Where a device of this name goes, or the code why not.
fn place(name: &str, points: &AccessPoints, policies: &Policies) -> Result<String, Code> {
    let id = id("sn-1");
    let input = AllocationInput::new(&id, name);
    outcome(decide(
        &input,
        &Selection::All,
        &Setting::new(points, policies),
    ))
}

fn outcome(decision: Decision) -> Result<String, Code> {
    match decision {
        Decision::Assign { target, .. } => Ok(target.access_point.to_string()),
        Decision::NoMatch(code) => Err(code),
        other => panic!("{other:?}"),
    }
}

fn access_point_id(text: &str) -> AccessPointId {
    text.parse().unwrap()
}
