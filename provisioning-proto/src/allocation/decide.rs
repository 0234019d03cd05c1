use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::allocation::hashed::Owner;
use crate::allocation::keywords::Ranked;
use crate::allocation::{
    AccessPoint, AccessPoints, AllocationPolicy, FunctionUrn, GeoTable, HookCall, Link, Policies,
    PolicyKind, Rule, Target,
};
use crate::model::InitialConfig;
use crate::{AccessPointId, ApplicationId, CaId, Code, PolicyId, RegistrationId};

/// The order in which kinds are asked where the entry does not say: from what says most about a device to what says least.
const ALL_KINDS: [PolicyKind; 6] = [
    PolicyKind::Fixed,
    PolicyKind::Certificate,
    PolicyKind::Static,
    PolicyKind::Custom,
    PolicyKind::Nearest,
    PolicyKind::Hashed,
];

/// What is known of a device that asks where it belongs.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AllocationInput<'a> {
    /// Its id.
    pub id: &'a RegistrationId,
    /// Its name; for a device of a group, the group's name with the device's id behind it.
    pub name: &'a str,
    /// The keyword that it sent. It may send any.
    pub payload_keyword: Option<&'a str>,
    /// The authorities in the chain that was verified, nearest to the device first; none where it proved itself otherwise.
    pub authorities: &'a [CaId],
    /// Where it comes from.
    pub peer: Option<IpAddr>,
    /// The access points that its entry allows; all of the tenant where there is none.
    pub allowed: Option<&'a BTreeSet<AccessPointId>>,
}

/// Which policies may speak.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Selection<'a> {
    /// All of the tenant: fixed, certificate, static, custom, nearest, hashed.
    All,
    /// These, in this order. One that is not there any more is passed over.
    Listed(&'a [PolicyId]),
    /// None: the entry names its access point.
    AccessPoint(&'a AccessPointId),
}

/// What a tenant has.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Setting<'a> {
    /// Its access points.
    pub access_points: &'a AccessPoints,
    /// Its policies.
    pub policies: &'a Policies,
    /// Where networks are; nobody is near to anything without it.
    pub geography: Option<&'a GeoTable>,
    /// How many devices each access point has; 0 where there is none.
    pub load: Option<&'a BTreeMap<AccessPointId, u64>>,
}

/// Where a device belongs.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "each of them must be acted on")]
pub enum Decision {
    /// There.
    Assign {
        /// Where; the application is the access point's default where the policy names none.
        target: Target,
        /// The policy that chose it.
        policy: Option<PolicyId>,
        /// What the device is given beside its address, where a function said so, in place of what its entry has.
        initial_config: Option<InitialConfig>,
    },
    /// Nowhere: a function said so.
    Deny {
        /// The function's code, as it gave it.
        code: String,
        /// The function's reason.
        text: String,
    },
    /// Nowhere: no policy had a place for it.
    NoMatch(Code),
    /// A function must be asked.
    AskHook(HookCall),
}

impl<'a> AllocationInput<'a> {
    /// A device of which nothing but its id and name is known.
    #[must_use]
    pub fn new(id: &'a RegistrationId, name: &'a str) -> Self {
        Self {
            id,
            name,
            payload_keyword: None,
            authorities: &[],
            peer: None,
            allowed: None,
        }
    }
}

impl<'a> Setting<'a> {
    /// A tenant with these access points and policies, no geography, and nothing full.
    #[must_use]
    pub fn new(access_points: &'a AccessPoints, policies: &'a Policies) -> Self {
        Self {
            access_points,
            policies,
            geography: None,
            load: None,
        }
    }
}

/// Decides where a device belongs. The same input gives the same decision.
#[must_use]
pub fn decide(
    input: &AllocationInput<'_>,
    selection: &Selection<'_>,
    setting: &Setting<'_>,
) -> Decision {
    let asked = Asked { input, setting };
    let groups = match selection {
        Selection::AccessPoint(id) => {
            let target = asked.resolve(&Target::new((*id).clone(), None));
            return target.map_or(Decision::NoMatch(Code::NO_MATCH), |target| {
                Decision::Assign {
                    target,
                    policy: None,
                    initial_config: None,
                }
            });
        }
        Selection::All => ALL_KINDS.map(Group::all).to_vec(),
        Selection::Listed(ids) => listed(ids, setting.policies),
    };
    let mut code = Code::NO_MATCH;
    for group in &groups {
        if !group.is_any(setting.policies) {
            continue;
        }
        match asked.ask(group) {
            Decision::NoMatch(why) => code = why,
            found => return found,
        }
    }
    Decision::NoMatch(code)
}

/// Policies of one kind that are asked together.
#[derive(Clone, Debug)]
struct Group<'a> {
    kind: PolicyKind,
    /// Which of them; all where there is none.
    members: Option<BTreeSet<&'a PolicyId>>,
}

impl Group<'_> {
    fn all(kind: PolicyKind) -> Self {
        Self {
            kind,
            members: None,
        }
    }

    /// Whether there is somebody to ask. Those that are listed are there.
    fn is_any(&self, policies: &Policies) -> bool {
        match &self.members {
            Some(members) => !members.is_empty(),
            None => policies.has_kind(self.kind),
        }
    }

    fn has(&self, id: &PolicyId) -> bool {
        self.members
            .as_ref()
            .is_none_or(|members| members.contains(id))
    }
}

fn listed<'a>(ids: &'a [PolicyId], policies: &'a Policies) -> Vec<Group<'a>> {
    let mut groups = Vec::new();
    for policy in ids.iter().filter_map(|id| policies.policy(id)) {
        let Rule::Chain { links } = &policy.rule else {
            join(&mut groups, policy);
            continue;
        };
        for link in links {
            match link {
                Link::Kind(PolicyKind::Chain) => {}
                Link::Kind(kind) => groups.push(Group::all(*kind)),
                Link::Policy(id) => {
                    let linked = policies.policy(id);
                    if let Some(linked) = linked.filter(|one| one.rule.kind() != PolicyKind::Chain)
                    {
                        join(&mut groups, linked);
                    }
                }
            }
        }
    }
    groups
}

/// Neighbours of a kind are asked together.
fn join<'a>(groups: &mut Vec<Group<'a>>, policy: &'a AllocationPolicy) {
    let kind = policy.rule.kind();
    if let Some(Group {
        kind: last,
        members: Some(members),
    }) = groups.last_mut()
        && *last == kind
    {
        members.insert(&policy.id);
    } else {
        groups.push(Group {
            kind,
            members: Some(BTreeSet::from([&policy.id])),
        });
    }
}

#[derive(Clone, Copy)]
struct Asked<'a> {
    input: &'a AllocationInput<'a>,
    setting: &'a Setting<'a>,
}

impl<'a> Asked<'a> {
    fn ask(self, group: &Group<'_>) -> Decision {
        let found = match group.kind {
            PolicyKind::Certificate => self.by_certificate(group),
            PolicyKind::Static => {
                let keywords = self.setting.policies.keywords();
                let (name, word) = (self.input.name, self.input.payload_keyword);
                let resolve = |ranked: &Ranked| {
                    let Target {
                        access_point,
                        application,
                    } = &ranked.target;
                    let point = self
                        .setting
                        .access_points
                        .of_seed(access_point, ranked.seed);
                    at(self.takes(point?)?, application.as_ref())
                };
                let usable =
                    |ranked: &Ranked| group.has(&ranked.policy) && resolve(ranked).is_some();
                let best = keywords.best(name, word, usable);
                best.and_then(|ranked| Some((resolve(ranked)?, &ranked.policy)))
            }
            PolicyKind::Custom => {
                let call = self.call(group);
                return call.map_or(Decision::NoMatch(Code::NO_MATCH), Decision::AskHook);
            }
            PolicyKind::Chain => None,
            PolicyKind::Fixed | PolicyKind::Nearest | PolicyKind::Hashed => {
                let mut oldest_first = self.members(group);
                oldest_first.find_map(|policy| Some((self.place(policy)?, &policy.id)))
            }
        };
        let Some((target, policy)) = found else {
            return Decision::NoMatch(if group.kind == PolicyKind::Nearest {
                Code::NO_NEAR_ACCESS_POINT
            } else {
                Code::NO_MATCH
            });
        };
        Decision::Assign {
            target,
            policy: Some(policy.clone()),
            initial_config: None,
        }
    }

    fn members(self, group: &Group<'_>) -> impl Iterator<Item = &'a AllocationPolicy> {
        let policies = self.setting.policies;
        let listed = group.members.as_ref().map(|members| {
            let listed = members.iter().filter_map(|id| policies.policy(id));
            let mut listed: Vec<_> = listed.collect();
            listed.sort_unstable_by(|one, other| {
                (one.created_at, &one.id).cmp(&(other.created_at, &other.id))
            });
            listed
        });
        let all = listed.is_none().then(|| policies.of_kind(group.kind));
        let all = all.into_iter().flatten();
        all.chain(listed.into_iter().flatten())
    }

    fn by_certificate(self, group: &Group<'_>) -> Option<(Target, &'a PolicyId)> {
        self.input.authorities.iter().find_map(|presented| {
            self.members(group).find_map(|policy| match &policy.rule {
                Rule::Certificate { authority, target } if authority == presented => {
                    Some((self.resolve(target)?, &policy.id))
                }
                _ => None,
            })
        })
    }

    /// What one policy says that needs no other beside it.
    fn place(self, policy: &AllocationPolicy) -> Option<Target> {
        match &policy.rule {
            Rule::Fixed { target } => self.resolve(target),
            Rule::Nearest {
                access_points,
                application,
            } => {
                let here = self.setting.geography?.locate(self.input.peer?)?;
                let all = access_points.is_empty();
                let points = self.setting.access_points.all().values();
                let near = points
                    .filter(|point| all || access_points.contains(&point.id))
                    .filter_map(|point| Some((point.location?.chord_squared(here), &point.id)))
                    .filter(|(_, id)| {
                        self.resolve(&Target::new((*id).clone(), application.clone()))
                            .is_some()
                    })
                    .min()?;
                self.resolve(&Target::new(near.1.clone(), application.clone()))
            }
            Rule::Hashed {
                weights,
                application,
            } => {
                let spread = if weights.is_empty() {
                    self.setting.access_points.spread()
                } else {
                    self.setting.policies.spread(&policy.id)?
                };
                let points = self.setting.access_points;
                let usable = |share: Owner<'_>| {
                    let point = points.of_share(share);
                    point.is_some_and(|point| self.takes(point).is_some())
                };
                let chosen = spread.choose(self.input.id, self.input.allowed, usable)?;
                at(points.of_share(chosen)?, application.as_ref())
            }
            _ => None,
        }
    }

    /// The function that must be asked: that of the oldest policy with a place, among all places of its policies.
    fn call(self, group: &Group<'_>) -> Option<HookCall> {
        let mut call: Option<(&PolicyId, &FunctionUrn)> = None;
        let mut candidates: BTreeMap<&AccessPointId, &AccessPoint> = BTreeMap::new();
        for policy in self.members(group) {
            let Rule::Custom {
                function,
                access_points,
                ..
            } = &policy.rule
            else {
                continue;
            };
            if call.is_some_and(|(_, asked)| asked != function) {
                continue;
            }
            let usable = access_points.iter().filter_map(|id| self.usable(id));
            let before = candidates.len();
            candidates.extend(usable.map(|point| (&point.id, point)));
            if candidates.len() > before && call.is_none() {
                call = Some((&policy.id, function));
            }
        }
        let (policy, function) = call?;
        Some(HookCall::new(
            function.clone(),
            policy.clone(),
            candidates.into_values(),
        ))
    }

    /// The target with its application, if the device may go there.
    fn resolve(self, target: &Target) -> Option<Target> {
        let point = self.usable(&target.access_point)?;
        at(point, target.application.as_ref())
    }

    fn usable(self, id: &AccessPointId) -> Option<&'a AccessPoint> {
        self.takes(self.setting.access_points.access_point(id)?)
    }

    /// The access point, if the device may go there.
    fn takes(self, point: &AccessPoint) -> Option<&AccessPoint> {
        let is_full = |capacity| {
            let devices = self.setting.load.and_then(|load| load.get(&point.id));
            devices.copied().unwrap_or(0) >= capacity
        };
        let mut allowed = self.input.allowed.iter();
        let takes = point.accepts_new
            && point.weight.value() > 0
            && point.is_granted()
            && !point.capacity.is_some_and(is_full)
            && allowed.all(|allowed| allowed.contains(&point.id));
        takes.then_some(point)
    }
}

fn at(point: &AccessPoint, application: Option<&ApplicationId>) -> Option<Target> {
    let application = point.application(application).ok()?;
    Some(Target::new(point.id.clone(), application))
}
