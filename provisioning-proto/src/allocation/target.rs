use serde::{Deserialize, Serialize};

use crate::{AccessPointId, ApplicationId};

/// An access point and an application there.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
pub struct Target {
    /// The access point.
    pub access_point: AccessPointId,
    /// The application; the access point's default where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<ApplicationId>,
}

impl Target {
    /// A target.
    #[must_use]
    pub fn new(access_point: AccessPointId, application: Option<ApplicationId>) -> Self {
        Self {
            access_point,
            application,
        }
    }
}
