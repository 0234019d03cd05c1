//! The fixed table: a file that names devices, groups, access points and policies, read again for each device that comes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use example_support::Error;
use provisioning_proto::allocation::{
    AccessPoint, AccessPoints, AllocationInput, AllocationPolicy, Decision, Keyword, KeywordSource,
    Policies, Priority, Rule, Selection, Setting, Target, decide,
};
use provisioning_proto::mqtt::{Down, TargetAddress};
use provisioning_proto::{AccessPointId, Code, RegistrationId, ScopeId};
use serde::Deserialize;

/// The table as it stands in its file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    /// Where devices may be sent.
    pub(crate) access_points: BTreeMap<AccessPointId, TargetAddress>,
    #[serde(default)]
    pub(crate) policies: Vec<PolicyEntry>,
    #[serde(default)]
    pub(crate) devices: BTreeMap<RegistrationId, DeviceEntry>,
    #[serde(default)]
    pub(crate) groups: BTreeMap<ScopeId, GroupEntry>,
}

/// A device that was registered beforehand.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceEntry {
    /// What it signs with, if it has a secret.
    pub(crate) secret: Option<String>,
    /// Its certificate's SHA-256 or SHA-1, in hexadecimal digits, if it has one.
    pub(crate) fingerprint: Option<String>,
    #[serde(default = "enabled")]
    pub(crate) enabled: bool,
    init_config: Option<String>,
}

/// A group whose devices are not known beforehand.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupEntry {
    name: String,
    /// The secret that those of its devices follow from, in base64.
    pub(crate) secret: Option<String>,
    /// The secret that each of its devices is given for its target.
    device_secret: Option<String>,
    /// A PEM file with the authority that its devices have certificates of.
    pub(crate) authority: Option<PathBuf>,
    init_config: Option<String>,
}

/// Devices with a word in their name, or that say it, go to an access point.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyEntry {
    keyword: String,
    #[serde(default)]
    in_payload: bool,
    access_point: AccessPointId,
}

/// Who came in, and through which entry.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    pub(crate) id: RegistrationId,
    pub(crate) scope: Option<ScopeId>,
}

fn enabled() -> bool {
    true
}

impl Table {
    /// Reads the file.
    pub(crate) async fn read(path: &Path) -> Result<Self, Error> {
        let failed =
            |cause: std::io::Error| Error::new(format!("cannot read {}", path.display()), cause);
        let text = tokio::fs::read_to_string(path).await.map_err(failed)?;
        toml::from_str(&text)
            .map_err(|cause| Error::new(format!("{} is not usable", path.display()), cause))
    }

    /// Where a device belongs.
    pub(crate) fn place(
        &self,
        principal: &Principal,
        keyword: Option<&str>,
    ) -> Result<Down, Error> {
        let invalid =
            |cause: provisioning_proto::Error| Error::new("the table is not usable", cause);
        let mut points = AccessPoints::default();
        for id in self.access_points.keys() {
            points.put(AccessPoint::new(id.clone(), id.as_str()));
        }
        let mut policies = Policies::default();
        for (number, entry) in (0_u64..).zip(&self.policies) {
            let rule = Rule::Static {
                keyword: Keyword::new(entry.keyword.clone())
                    .map_err(|cause| invalid(cause.into()))?,
                priority: Priority::HIGHEST,
                source: match entry.in_payload {
                    true => KeywordSource::Payload,
                    false => KeywordSource::DeviceName,
                },
                target: Target::new(entry.access_point.clone(), None),
            };
            let id = format!("p{number}")
                .parse()
                .map_err(|cause| Error::new("the table is not usable", cause))?;
            policies.put(AllocationPolicy::new(id, number, rule));
        }
        let group = principal
            .scope
            .as_ref()
            .and_then(|scope| self.groups.get(scope));
        // A device of a group has the group's name before its own.
        let name = match group {
            Some(group) => format!("{}{}", group.name, principal.id),
            None => principal.id.to_string(),
        };
        let mut input = AllocationInput::new(&principal.id, &name);
        input.payload_keyword = keyword;
        let decision = decide(&input, &Selection::All, &Setting::new(&points, &policies));
        let target = match decision {
            Decision::Assign { target, .. } => target,
            Decision::NoMatch(code) => return Ok(Down::refused(code.to_string(), code.text())),
            _ => return Ok(refused()),
        };
        let Some(address) = self.access_points.get(&target.access_point) else {
            return Ok(refused());
        };
        let mut down = Down::assigned(address.clone());
        if let Down::Assigned {
            init_config,
            device_secret,
            ..
        } = &mut down
        {
            let device = self.devices.get(&principal.id).filter(|_| group.is_none());
            *init_config = match (device, group) {
                (Some(device), _) => device.init_config.clone(),
                (None, group) => group.and_then(|group| group.init_config.clone()),
            };
            *device_secret = group
                .and_then(|group| group.device_secret.clone())
                .map(provisioning_proto::Secret::new)
                .transpose()
                .map_err(invalid)?;
        }
        Ok(down)
    }
}

fn refused() -> Down {
    Down::refused(Code::NO_MATCH.to_string(), Code::NO_MATCH.text())
}
