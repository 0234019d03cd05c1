//! Where a device belongs: access points, the policies that choose among them, and the function that decides.
//!
//! [`decide`] is a function of what it is given: the device ([`AllocationInput`]), which policies may speak ([`Selection`]), and the
//! tenant's [`AccessPoints`] and [`Policies`] ([`Setting`]). It never gives a device to an access point that the tenant does not
//! have, was not granted, that takes no new devices, is full, or that the device's entry does not allow.
//!
//! Policies are asked in the order of the selection, and neighbours of one kind together, so that the order among them does not
//! matter:
//!
//! | kind | chooses |
//! | --- | --- |
//! | fixed | its target |
//! | certificate | the target of the policy for the authority in the device's chain that is nearest to the device, then the oldest |
//! | static | of the policies whose keyword is in the device's name or in the word that the device sent, the one of highest priority, then of the longest keyword, then the oldest |
//! | custom | whatever the tenant's function answers, of the access points it was asked about |
//! | nearest | the access point nearest to the network the device comes from |
//! | hashed | an access point by a hash of the device's id, in proportion to the weights |
//!
//! # Example
//!
//! ```
//! use provisioning_proto::allocation::{
//!     AccessPoint, AccessPoints, AllocationInput, AllocationPolicy, Decision, GeoTable, Keyword, KeywordSource, Policies,
//!     Priority, Rule, Selection, Setting, Target, decide,
//! };
//!
//! # fn main() -> Result<(), provisioning_proto::Error> {
//! let mut access_points = AccessPoints::default();
//! access_points.put(AccessPoint::new("beijing-1".parse()?, "Beijing 1"));
//! let mut policies = Policies::default();
//! policies.put(AllocationPolicy::new("p1".parse()?, 1, Rule::Static {
//!     keyword: Keyword::new("beijing")?,
//!     priority: Priority::HIGHEST,
//!     source: KeywordSource::DeviceName,
//!     target: Target::new("beijing-1".parse()?, None),
//! }));
//! let setting = Setting::new(&access_points, &policies);
//!
//! let id = "sn-1".parse()?;
//! let decision = decide(&AllocationInput::new(&id, "beijing-sn-1"), &Selection::All, &setting);
//! assert!(matches!(decision, Decision::Assign { target, .. } if target.access_point.as_str() == "beijing-1"));
//! let decision = decide(&AllocationInput::new(&id, "lhasa-sn-1"), &Selection::All, &setting);
//! assert!(matches!(decision, Decision::NoMatch(_)));
//! # Ok(())
//! # }
//! ```

mod access_point;
mod access_points;
mod decide;
mod geography;
mod hashed;
mod hook;
mod keywords;
mod policies;
mod policy;
mod target;
#[cfg(test)]
mod tests;

pub use access_point::{AccessPoint, CoapUri, Endpoints, Owner, Weight};
pub use access_points::AccessPoints;
pub use decide::{AllocationInput, Decision, Selection, Setting, decide};
pub use geography::{Coordinates, GeoTable, Prefix};
pub use hook::{
    Candidate, HookAuthority, HookCall, HookDevice, HookFault, HookProof, MAX_HOOK_REPLY,
};
pub use policies::Policies;
pub use policy::{
    AllocationPolicy, FunctionUrn, Keyword, KeywordSource, Link, PolicyKind, Priority, Rule,
};
pub use target::Target;
